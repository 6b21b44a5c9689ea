"""What a gate may look at: the job's folder, the day, its targets, and what the journal says of it."""

from dataclasses import dataclass, field
from pathlib import Path

from deleatur.documents.gates import Member
from deleatur.documents.journal import Archived, Passed
from deleatur.documents.place import PublicKey
from deleatur.documents.plan import PlannedTarget
from deleatur.engine.chronicle import Clock
from deleatur.engine.holding import HoldSources
from deleatur.engine.opening import Opener


@dataclass(frozen=True)
class Context:
    """What a gate may look at."""

    folder: Path  # of the job
    clock: Clock
    opener: Opener
    untouched: tuple[PlannedTarget, ...]  # that no step of the job has begun to change
    agent: PublicKey  # whose word about copies counts
    pending: tuple[PlannedTarget, ...] = ()  # that still have something to be erased
    job: str = ""  # its name
    holds: HoldSources = field(default_factory=HoldSources)
    passed: tuple[Passed, ...] = ()  # each time that a gate let this job through
    plan_digest: str = ""  # sha256 hex; "" while it is planned
    people: tuple[Member, ...] = ()  # whom the settings know
    signers: tuple[PublicKey, ...] = ()  # of the certificate
    approved_by: tuple[str, ...] = ()  # key ids of the approvals that count
    archived: tuple[Archived, ...] = ()  # what the archives of this job are
