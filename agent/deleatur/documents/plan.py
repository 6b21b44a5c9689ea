"""The Plan: what was approved, in `plan.json`, written once (docs/spec/plan.md).

Nothing in it is computed again: keys, seeds, identities and plugin digests are read ever after.
"""

from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.gates import AnyGate
from deleatur.documents.job import ArchivedTable, Custody, FreeSpace, Policy, Target, Verification
from deleatur.documents.place import (
    Count,
    Digest,
    Frozen,
    Identity,
    Kept,
    KeyedDigest,
    Moment,
    Name,
    Pattern,
    PublicKey,
    Role,
    Sampling,
    Step,
    Surface,
    Text,
    Unit,
)

SCHEMA = "deleatur/plan/v1"


class RoleKeys(Frozen, frozen=True):
    """A role that must approve, and whose approval counts as its own."""

    role: Role
    keys: tuple[str, ...]  # base64 of the DER bytes; each is an approver's


class PluginPin(Frozen, frozen=True):
    """The exact code of a plugin: resume refuses another one."""

    distribution: str
    version: str
    record_digest: Digest  # sha256 hex of the distribution's RECORD; see docs/reference/plugins.md
    entry_point: str


class PlannedTarget(Frozen, frozen=True):
    """A target as it was seen when the plan was made."""

    id: Name
    target: Target  # as asked, with an absolute URL
    identity: Identity
    size: Count
    units: tuple[Unit, ...]
    held: tuple[Unit, ...]
    kept: tuple[Kept, ...]
    technique: str
    limits: tuple[str, ...]
    surfaces: tuple[Surface, ...]
    sampling: Sampling
    plugin: PluginPin
    values_digest: KeyedDigest = ""  # keyed digest of the operator's values_from files
    outage: Count = 0  # milliseconds: for how long at most others wait at one stretch; the backend keeps it
    shown: Count | None = None  # bytes that a drive showed when `size` has those that it hid too; None: all


class PlannedFill(Frozen, frozen=True):
    """A file system whose free blocks are overwritten when all steps are done, as it was seen."""

    id: Name
    asked: FreeSpace  # with an absolute folder
    identity: Identity
    size: Count  # bytes that were free, the reserve included, without the margin
    limits: tuple[str, ...]
    targets: tuple[Name, ...]  # that lie, as far as they can be read, on planned file systems only
    pattern: Pattern


class PlannedHost(Frozen, frozen=True):
    """The host on which the plan was made, and on no other it is run."""

    name: Text  # as uname(2) tells it
    machine: KeyedDigest  # keyed digest of its machine-id; "": it has none, and the name alone is compared


class Software(Frozen, frozen=True):
    """What made the plan."""

    agent: str
    version: str
    python: str
    record_digest: Digest


class Plan(Frozen, frozen=True):
    """Everything that is going to happen, in order."""

    schema: Literal["deleatur/plan/v1"]
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
    job: Name
    job_digest: Digest  # sha256 hex of job.toml as read
    reason: str
    authority: str
    requested_by: Name
    created_at: Moment
    planned_by: PublicKey
    approvers: tuple[PublicKey, ...]  # whose approvals count
    roles: tuple[RoleKeys, ...]  # those that the policy asks for, in its order
    policy: Policy
    verification: Verification
    custody: Custody | None
    targets: tuple[PlannedTarget, ...]
    steps: tuple[Step, ...]
    free_space: tuple[PlannedFill, ...]  # overwritten after all steps
    gates: tuple[AnyGate, ...]  # what must be so before anything changes, in the order of asking
    host: PlannedHost
    software: Software


__all__ = [
    "ArchivedTable",
    "Plan",
    "PlannedHost",
    "PlannedTarget",
    "PluginPin",
    "PublicKey",
    "RoleKeys",
    "Software",
]
