"""The assurance of a target by rule: a letter from what was read, never from what was wished.

A0 executed, A1 attested by the device and changed at every marker, A2 sampled, A3 complete
(docs/explanation/what-a-certificate-means.md). A4 needs an independent verifier, A5 a destroyed
medium: this form collects none.
Taking evidence away or adding a limit never raises the letter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from deleatur.judge.sentences import limit

Reach = Literal["complete", "sampled", "none"]
Level = Literal["A0", "A1", "A2", "A3"]
_LEVEL: dict[Reach, Level] = {"none": "A0", "sampled": "A2", "complete": "A3"}


@dataclass(frozen=True)
class Facts:
    """What was read of one target after the erase."""

    overwritten: Reach | None  # keystream read back; None: the technique overwrites nothing
    absent: Reach  # the selection looked for again
    searched: Reach | None  # values searched in raw bytes; None: what was overwritten is compared anyway
    verdict: Literal["CLEAN", "INCONCLUSIVE"]  # of the residue search, which has a positive control
    limits: Sequence[str]  # ids of vetted sentences
    attested: bool = False  # the device did it by itself; what was read are markers, few and ours


@dataclass(frozen=True)
class Assessment:
    """The letter, and the ids of the limits that lowered it."""

    level: Level
    limited_by: tuple[str, ...]


def assess(facts: Facts) -> Assessment:
    """Return the letter: the lowest of what was read back, looked for and searched.

    Raises:
        Refused: a limit has no vetted sentence.
    """
    reaches = (facts.overwritten, facts.absent, facts.searched)
    letters = [_LEVEL[reach] for reach in reaches if reach is not None]
    if facts.attested:
        letters.append("A1")
    if facts.verdict != "CLEAN":
        letters.append("A0")
    caps = tuple(name for name in dict.fromkeys(facts.limits) if limit(name).effect == "cap")
    if caps:
        letters.append("A0")
    return Assessment(level=min(letters), limited_by=caps)


def exceptional(limits: Sequence[str]) -> bool:
    """Say whether any of these limits belongs among the exceptions.

    Raises:
        Refused: a limit has no vetted sentence.
    """
    return bool({limit(name).effect for name in limits} - {"boundary"})
