"""Decode a job or a plan: first its form, then the rules between its fields. Pure."""

from deleatur.documents.codec import MAX_JOB, MAX_PLAN, decode_canonical, decode_toml
from deleatur.documents.job import Job
from deleatur.documents.plan import Plan
from deleatur.documents.rules import check_job, check_plan


def decode_job(content: bytes) -> Job:
    """Decode `job.toml`.

    Raises:
        Malformed: what docs/spec/job.md forbids.
    """
    job = decode_toml(content, Job, limit=MAX_JOB)
    check_job(job)
    return job


def decode_plan(content: bytes) -> Plan:
    """Decode `plan.json`, which must be written the canonical way.

    Raises:
        Malformed: what docs/spec/plan.md forbids.
    """
    plan = decode_canonical(content, Plan, limit=MAX_PLAN)
    check_plan(plan)
    return plan
