"""What a gate may look at: the job's folder, the day, and the targets that no step has changed yet."""

from dataclasses import dataclass
from pathlib import Path

from deleatur.documents.plan import PlannedTarget
from deleatur.engine.chronicle import Clock
from deleatur.engine.opening import Opener


@dataclass(frozen=True)
class Context:
    """What a gate may look at."""

    folder: Path  # of the job
    clock: Clock
    opener: Opener
    untouched: tuple[PlannedTarget, ...]  # that no step of the job has begun to change
