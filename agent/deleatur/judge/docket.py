"""How the matters of a docket stand: what is due when, what was missed, and who is told. Pure.

Rules kept: a missed time stays missed when the matter is done later; a finding is closed only after somebody
else looked again; a day that the calendar does not know is never computed with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final, Literal

from deleatur.documents.docket import (
    Answered,
    AnyAct,
    Begun,
    Calendar,
    Closed,
    Granted,
    Line,
    Matter,
    Opened,
    Rechecked,
    Remedied,
    Reviewed,
    Used,
)
from deleatur.errors import Malformed, Refused

APPROVAL_DAYS: Final = 3  # working days; requirement 74, the habit of one practitioner
ANSWER: Final = timedelta(hours=2)  # requirement 75, likewise
SOLVE: Final = timedelta(hours=24)
QUARTER: Final = timedelta(days=92)  # requirement 61: the longest quarter of a year
UNUSED: Final = timedelta(days=90)  # likewise

Term = Literal["answer", "close", "review"]


@dataclass(frozen=True)
class Deadline:
    """A time by which something must have happened."""

    term: Term
    due: datetime
    met: datetime | None  # when it happened; None: not yet
    missed: bool


@dataclass(frozen=True)
class Standing:
    """A matter and how far it is."""

    matter: Matter
    opened_by: str = ""  # SPKI of the key
    answered: datetime | None = None
    remedied_by: frozenset[str] = (
        frozenset()
    )  # SPKI of the keys; none: a re-check found otherwise, or none yet
    rechecked: bool = False
    granted: datetime | None = None
    used: datetime | None = None
    reviewed: datetime | None = None  # when it was granted, or looked at last
    closed: datetime | None = None
    unused: bool = False  # a grant of which nobody made use for long
    deadlines: tuple[Deadline, ...] = field(default=())

    @property
    def missed(self) -> bool:
        """Whether any time was missed, ever."""
        return any(deadline.missed for deadline in self.deadlines)

    @property
    def overdue(self) -> bool:
        """Whether something is late and still not done."""
        return any(deadline.missed and deadline.met is None for deadline in self.deadlines)

    @property
    def in_force(self) -> bool:
        """Whether this is a grant on which somebody may act now: given, not ended, reviewed in time."""
        return self.granted is not None and self.closed is None and not self.overdue

    @property
    def told(self) -> str:
        """Who must hear of it now: the superior, once something is overdue."""
        return self.matter.superior if self.overdue else self.matter.owner


def fold(lines: Sequence[Line]) -> dict[str, Standing]:
    """Return every matter as far as the lines say, without deadlines.

    Raises:
        Malformed: a line that cannot follow from those before.
    """
    known: dict[str, Standing] = {}
    for number, line in enumerate(lines):
        try:
            if number and line.at < lines[number - 1].at:
                raise Refused("it is dated before the line before")
            if isinstance(line.act, Begun) != (number == 0):
                raise Refused("a docket begins once, in its first line")
            _follow(known, line.act, line.by.spki, moment(line.at))
        except Refused as error:
            raise Malformed(str(error), kind="broken-chain", where=f"line {number + 1}") from None
    return known


def require_possible(known: dict[str, Standing], act: AnyAct, spki: str, at: str) -> None:
    """Ask whether an act may be the next one.

    Raises:
        Refused: the reason.
    """
    _follow(dict(known), act, spki, moment(at))


def _follow(known: dict[str, Standing], act: AnyAct, spki: str, at: datetime) -> None:
    match act:
        case Begun():
            return
        case Opened(matter=matter):
            if matter.id in known:
                raise Refused(f"there is a matter {matter.id} already; take another id")
            if moment(matter.since) > at:
                raise Refused(f"{matter.id} came in at {matter.since}, which lies ahead; look at the clock")
            known[matter.id] = Standing(matter, opened_by=spki)
        case Answered() | Remedied() | Rechecked() | Granted() | Used() | Reviewed() | Closed():
            known[act.matter] = _advanced(_open(known, act.matter), act, spki, at)


def _open(known: dict[str, Standing], name: str) -> Standing:
    if name not in known:
        raise Refused(f"there is no matter {name}; open it first")
    if known[name].closed is not None:
        raise Refused(f"{name} is closed")
    return known[name]


def _advanced(
    stood: Standing,
    act: Answered | Remedied | Rechecked | Granted | Used | Reviewed | Closed,
    spki: str,
    at: datetime,
) -> Standing:
    name, kind = stood.matter.id, stood.matter.kind
    if isinstance(act, Granted | Used | Reviewed) and kind == "grant":
        return _of_grant(stood, act, spki, at)
    match act:
        case Answered() if kind == "complaint" and stood.answered is None:
            return replace(stood, answered=at)
        case Remedied() if kind == "finding":
            return replace(stood, remedied_by=stood.remedied_by | {spki}, rechecked=False)
        case Rechecked() if kind == "finding" and stood.remedied_by:
            if spki in stood.remedied_by:
                raise Refused(f"who remedied {name} does not look again; another key does")
            return replace(
                stood, rechecked=act.sound, remedied_by=stood.remedied_by if act.sound else frozenset()
            )
        case Closed() if kind == "finding" and not stood.rechecked:
            raise Refused(f"{name} is a finding: it is closed after a re-check that found it remedied")
        case Closed() if kind == "complaint" and stood.answered is None:
            return replace(stood, answered=at, closed=at)
        case Closed():
            return replace(stood, closed=at)
    raise Refused(f"{name} is {_article(kind)} as it stands: this cannot follow")


def _of_grant(stood: Standing, act: Granted | Used | Reviewed, spki: str, at: datetime) -> Standing:
    name = stood.matter.id
    if not isinstance(act, Used) and spki == stood.opened_by:
        raise Refused(f"who asked for {name} neither grants nor reviews it; another key does")
    if isinstance(act, Granted):
        if stood.granted is not None:
            raise Refused(f"{name} is granted already; review it")
        return replace(stood, granted=at, reviewed=at)
    if stood.reviewed is None:
        raise Refused(f"{name} is not granted yet")
    if at > stood.reviewed + QUARTER:
        raise Refused(f"{name} lapsed, for nobody reviewed it in time; ask for it anew")
    return replace(stood, used=at) if isinstance(act, Used) else replace(stood, reviewed=at)


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "approval" else f"a {kind}"


def judged(known: dict[str, Standing], calendar: Calendar, now: datetime) -> tuple[Standing, ...]:
    """Return every matter with its deadlines as of `now`, in the order in which they were opened.

    Raises:
        Refused: a deadline lies outside the days of the calendar.
    """
    return tuple(
        replace(stood, deadlines=_deadlines(stood, calendar, now), unused=_unused(stood, now))
        for stood in known.values()
    )


def _unused(stood: Standing, now: datetime) -> bool:
    last = stood.used or stood.granted
    return last is not None and stood.closed is None and now - last > UNUSED


def _deadlines(stood: Standing, calendar: Calendar, now: datetime) -> tuple[Deadline, ...]:
    since = moment(stood.matter.since)

    def by(term: Term, due: datetime, met: datetime | None) -> Deadline:
        return Deadline(term, due, met, (met or now) > due)

    match stood.matter.kind:
        case "approval":
            return (by("close", after_working_days(since, APPROVAL_DAYS, calendar), stood.closed),)
        case "complaint":
            return (
                by("answer", since + ANSWER, stood.answered),
                by("close", since + SOLVE, stood.closed),
            )
        case "grant" if stood.reviewed is not None:
            return (by("review", stood.reviewed + QUARTER, stood.closed),)
        case "grant":
            return ()
        case "finding":
            last = date.fromisoformat(stood.matter.due or "")
            return (by("close", _midnight(last + timedelta(days=1), calendar), stood.closed),)


def after_working_days(since: datetime, count: int, calendar: Calendar) -> datetime:
    """Return the end of the last of `count` working days that follow the local day of `since`.

    Raises:
        Refused: that lies outside the days of the calendar.
    """
    day = since.astimezone(_zone(calendar)).date()
    if str(day) < calendar.first:
        raise _unknown(day, calendar)
    while count:
        day += timedelta(days=1)
        if str(day) > calendar.last:
            raise _unknown(day, calendar)
        count -= _worked(day, calendar)
    return _midnight(day + timedelta(days=1), calendar)


def _worked(day: date, calendar: Calendar) -> bool:
    if str(day) in calendar.workday:
        return True
    return day.weekday() < 5 and str(day) not in calendar.holiday  # Monday is 0


def _unknown(day: date, calendar: Calendar) -> Refused:
    return Refused(
        f"the calendar knows {calendar.first} to {calendar.last}, not {day}; add its holidays to it"
    )


def _midnight(day: date, calendar: Calendar) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=_zone(calendar)).astimezone(UTC)


def _zone(calendar: Calendar) -> timezone:
    hours, minutes = calendar.offset[1:].split(":")
    ahead = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(ahead if calendar.offset[0] == "+" else -ahead)


def moment(text: str) -> datetime:
    """Return a time of a document; all are in UTC."""
    return datetime.fromisoformat(text)
