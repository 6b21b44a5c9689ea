"""Who and what one run of a job needs around it."""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from deleatur.documents.gates import Member
from deleatur.engine.chronicle import Clock
from deleatur.engine.holding import HoldSources
from deleatur.engine.hooks import Hooks
from deleatur.engine.opening import Opener
from deleatur.engine.progress import Progress
from deleatur.trust.keys import SigningKey


@dataclass(frozen=True)
class Crew:
    """Who and what a walk needs around it."""

    opener: Opener
    hooks: Hooks
    keys: Sequence[SigningKey]  # that sign the certificate, the agent's first
    approved_by: tuple[str, ...]  # key ids of the approvals that count, checked by the caller
    clock: Clock
    progress: Progress
    halt: Event  # a person stopped the run: no device goes on
    holds: HoldSources
    people: tuple[Member, ...] = ()  # who is who
