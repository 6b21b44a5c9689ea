"""The Plan: what was approved, in `plan.json`, written once (docs/spec/plan.md).

Nothing in it is computed again: keys, seeds, identities and plugin digests are read ever after.
"""

from typing import Literal

from deleatur.documents.job import ArchivedTable, Custodian, Name, Policy, Target, Verification
from deleatur.documents.place import Frozen, Identity, Sampling, Step, Surface, Unit

SCHEMA = "deleatur/plan/v1"


class PublicKey(Frozen, frozen=True):
    """A key by its SubjectPublicKeyInfo; `name` is a pseudonym and proves nothing."""

    name: Name
    spki: str  # base64 of the DER bytes


class PluginPin(Frozen, frozen=True):
    """The exact code of a plugin: resume refuses another one."""

    distribution: str
    version: str
    record_digest: str  # sha256 hex of the distribution's RECORD; see docs/reference/plugins.md
    entry_point: str


class PlannedTarget(Frozen, frozen=True):
    """A target as it was seen when the plan was made."""

    id: Name
    target: Target  # as asked, with an absolute URL
    identity: Identity
    size: int
    units: tuple[Unit, ...]
    held: tuple[Unit, ...]
    technique: str
    limits: tuple[str, ...]
    surfaces: tuple[Surface, ...]
    sampling: Sampling
    plugin: PluginPin
    values_digest: str = ""  # keyed digest of the operator's values_from files


class Software(Frozen, frozen=True):
    """What made the plan."""

    agent: str
    version: str
    python: str
    record_digest: str


class Plan(Frozen, frozen=True):
    """Everything that is going to happen, in order."""

    schema: Literal["deleatur/plan/v1"]
    id: str  # 32 hex digits
    job: Name
    job_digest: str  # sha256 hex of job.toml as read
    reason: str
    authority: str
    requested_by: Name
    created_at: str  # RFC 3339, UTC, seconds
    planned_by: PublicKey
    approvers: tuple[PublicKey, ...]  # whose approvals count
    policy: Policy
    verification: Verification
    custodian: Custodian | None
    targets: tuple[PlannedTarget, ...]
    steps: tuple[Step, ...]
    software: Software


__all__ = ["ArchivedTable", "Plan", "PlannedTarget", "PluginPin", "PublicKey", "Software"]
