"""Compare a plan with the job that it is of: nothing that the job asks for may be missing in it. Pure.

Rule kept: a plan may let more rows stay than its job says; whatever else the job says stands in it unchanged.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from deleatur.documents.job import Job, Target
from deleatur.documents.plan import Plan, PlannedTarget


def missing_in(plan: Plan, job: Job) -> Iterator[str]:
    """Yield what of `job` is not in `plan`, or not as the job says it."""
    if plan.job != job.name:
        yield "name"
    for key in ("reason", "authority", "requested_by", "policy", "verification", "custody"):
        if getattr(plan, key) != getattr(job, key):
            yield key
    if [(f.id, f.asked.margin) for f in plan.free_space] != [(f.id, f.margin) for f in job.free_space]:
        yield "free_space"
    yield from (f"the gate {name}" for name in _gates(job) if name not in {g.name for g in plan.gates})
    if [t.id for t in plan.targets] != [t.id for t in job.target]:
        yield "target"
        return
    for planned, asked in zip(plan.targets, job.target, strict=True):
        yield from (f"{asked.id}.{key}" for key in _of_target(planned, asked))


def _gates(job: Job) -> Iterator[str]:
    asked = {
        "datamap": job.datamap,
        "notice": job.notice,
        "without-notice": job.without_notice,
        "follows": job.follows,
        "custody": job.custody is not None and job.custody.copy,
        "records": job.records,
        "papers": job.paper,
        "staff": job.staff,
    }
    return (name for name, part in asked.items() if part)


def _of_target(planned: PlannedTarget, asked: Target) -> Iterator[str]:
    parts = urlsplit(asked.url)
    if (parts.netloc or parts.path.startswith("/")) and planned.target.url != asked.url:
        yield "url"
    if asked.technique not in (None, planned.technique):
        yield "technique"
    for key in ("select", "archive", "others_write", "leave_shared", "lift_hidden"):
        if getattr(planned.target, key) != getattr(asked, key):
            yield key
    if any(rows not in planned.target.hold for rows in asked.hold):
        yield "hold"
