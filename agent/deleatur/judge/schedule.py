"""Count the last days of a closing company's gates back from its end. Pure.

Rules kept: the terms of the policies are counted as the gates count them, so that who keeps to the schedule
is never refused by a term; what came later shows that what comes before was done; only a day
that is over is late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from deleatur.documents.policy import Pack
from deleatur.judge.periods import add_years

Gate = Literal["begin", "map", "notice", "archive", "erase", "certificate"]
GATES: Final[tuple[Gate, ...]] = ("begin", "map", "notice", "archive", "erase", "certificate")
_MONTHS = 6  # requirement 86: begin six months before
_AROUND = 2  # days: told late on one day, the term is over in every time zone (judge.notice.days_over)
_WHAT: Final[dict[Gate, str]] = {
    "begin": "the data map is begun: six months before the end, or earlier where the steps need it",
    "map": "the data map is closed: owners have attested, differences are explained",
    "notice": "the last letter has left; people have {notice} days",
    "archive": "the job runs and writes its archives; copies and receipts take {archive} days",
    "erase": "copies and receipts are there; erasing and verifying take {erase} days",
    "certificate": "every job has its certificate: the last day of business",
}


@dataclass(frozen=True)
class Days:
    """How long the operator takes for what no policy has a term for."""

    map: int  # from the first look to the last attestation
    archive: int  # from the archive to the last receipt
    erase: int  # from the first erase to the certificate


@dataclass(frozen=True)
class Due:
    """A gate and its last day."""

    gate: Gate
    day: date
    what: str
    done: bool
    late: bool


def schedule(
    end: date, packs: Sequence[Pack], days: Days, *, reached: Gate | None, today: date
) -> tuple[Due, ...]:
    """Return every gate with its last day, in the order of the days.

    Args:
        end: the last day of business.
        packs: policies; the longest notice term counts.
        days: how long the operator takes.
        reached: the last gate that is behind us; None: none.
        today: to judge what is late.

    Raises:
        OverflowError: a day lies outside the calendar.
    """
    notice = max((pack.notice.days for pack in packs if pack.notice is not None), default=0)
    erase = end - timedelta(days=days.erase)
    archive = erase - timedelta(days=days.archive)
    told = archive - timedelta(days=notice + _AROUND)
    begin = min(told - timedelta(days=days.map), months_before(end, _MONTHS))
    last: dict[Gate, date] = {
        "begin": begin,
        "map": told,
        "notice": told,
        "archive": archive,
        "erase": erase,
        "certificate": end,
    }
    behind = GATES[: GATES.index(reached) + 1] if reached is not None else ()
    return tuple(
        Due(
            gate,
            last[gate],
            _WHAT[gate].format(notice=notice, archive=days.archive, erase=days.erase),
            gate in behind,
            gate not in behind and today > last[gate],
        )
        for gate in GATES
    )


def certificate_until(end: date, packs: Sequence[Pack]) -> date:
    """Return the last day on which certificates of the last day must be there: five years at least."""
    years = [pack.certificate.years for pack in packs if pack.certificate is not None]
    return add_years(end, max([5, *years]))


def months_before(day: date, months: int) -> date:
    """Return the same day so many months earlier; the month's last day where it has no such day."""
    count = day.year * 12 + day.month - 1 - months
    first = date(count // 12, count % 12 + 1, 1)
    following = date((count + 1) // 12, (count + 1) % 12 + 1, 1)
    return first.replace(day=min(day.day, (following - timedelta(days=1)).day))
