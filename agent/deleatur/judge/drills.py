"""Say when each custodian opened each archive last, and whose next drill is overdue. Pure.

Rules: every custodian opens every archive of their part at least once a year, since a key that was lost
shows only then; the first year begins when custody does; only a drill on the archive as it is sealed now
counts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from deleatur.documents.journal import Archived
from deleatur.judge.custodians import Keeper
from deleatur.judge.periods import add_years


@dataclass(frozen=True)
class Opened:
    """A drill that counts."""

    file: str
    sha256: str  # of the sealed file
    spki: str  # whose key signed it
    day: date
    seconds: int


@dataclass(frozen=True)
class DrillStanding:
    """One custodian and one archive: the last drill, and the last day for the next one."""

    file: str
    custodian: str
    last: Opened | None  # None: never opened since custody began
    due: date
    overdue: bool


def drill_standings(
    keepers: Sequence[Keeper], archived: Sequence[Archived], drills: Iterable[Opened], today: date
) -> tuple[DrillStanding, ...]:
    """Return how every custodian of today stands with every archive; a year is a calendar year."""
    newest: dict[tuple[str, str, str], Opened] = {}
    for drill in drills:
        key = (drill.file, drill.sha256, drill.spki)
        if key not in newest or newest[key].day <= drill.day:
            newest[key] = drill
    found = []
    for keeper in keepers:
        if keeper.until:
            continue
        for archive in (a for a in archived if a.part == keeper.part):
            last = newest.get((archive.file, archive.sha256, keeper.key.spki))
            begin = last.day if last is not None else date.fromisoformat(keeper.since[:10])
            due = add_years(begin, 1)
            found.append(DrillStanding(archive.file, keeper.key.name, last, due, today > due))
    return tuple(found)
