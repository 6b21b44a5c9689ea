"""The docket: requests, complaints, findings and grants with owner and due time (docs/spec/docket.md).

Append-only: one signed act a line, hash-chained as the register of holds is. It names matters by number and
people by pseudonym; which working days there are stands in `calendar.toml`.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.codec import MAX_JOB, MAX_LINE, decode_canonical, decode_toml
from deleatur.documents.place import Count, Digest, Frozen, Instant, Name, Text
from deleatur.documents.plan import PublicKey
from deleatur.documents.rules import Fault, personal_text, raise_all, real_date, twice

Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
Offset = Annotated[str, Meta(pattern=r"^[+-](0[0-9]|1[0-4]):[0-5][0-9]\Z")]
MatterKind = Literal["approval", "complaint", "finding", "grant"]


class Calendar(Frozen, frozen=True):
    """Which days are worked, as `calendar.toml` has it: Monday to Friday but for these."""

    schema: Literal["deleatur/calendar/v1"]
    offset: Offset  # of local time from UTC; a day ends at local midnight
    first: Day  # the days that this calendar knows; nothing is computed outside
    last: Day
    holiday: tuple[Day, ...] = ()  # of Monday to Friday, not worked
    workday: tuple[Day, ...] = ()  # of Saturday and Sunday, worked


class Matter(Frozen, frozen=True):
    """What is asked, complained of or found, who must do it by when, and whose superior is told if not."""

    id: Name
    kind: MatterKind
    about: Text  # the job, the audit, the number of the case; no person's name
    owner: Name  # pseudonym
    superior: Name
    since: Instant  # when it came in
    due: Day | None = None  # of a finding: its last day


class Act(Frozen, frozen=True, tag_field="kind"):
    """Base of what a line of the docket does."""


class Begun(Act, frozen=True, tag="begun"):
    """The docket began. The digest of this line tells one docket from every other."""

    schema: Literal["deleatur/docket/v1"]
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


class Opened(Act, frozen=True, tag="opened"):
    """A matter came in."""

    matter: Matter


class Answered(Act, frozen=True, tag="answered"):
    """Whoever complained has a first answer."""

    matter: Name


class Remedied(Act, frozen=True, tag="remedied"):
    """What was found is put right, says this key."""

    matter: Name


class Rechecked(Act, frozen=True, tag="rechecked"):
    """Another key than the one that remedied has looked again."""

    matter: Name
    sound: bool
    evidence: Digest  # sha256 hex of the report of the look


class Granted(Act, frozen=True, tag="granted"):
    """Access is given, by another key than the one that asked for it."""

    matter: Name


class Used(Act, frozen=True, tag="used"):
    """Whoever has access has used it."""

    matter: Name


class Reviewed(Act, frozen=True, tag="reviewed"):
    """Another key than the one that asked has looked whether the access is still needed, and it is."""

    matter: Name


class Closed(Act, frozen=True, tag="closed"):
    """The matter is done: decided, solved, or remedied and found so."""

    matter: Name
    how: Text


AnyAct = Begun | Opened | Answered | Remedied | Rechecked | Granted | Used | Reviewed | Closed


class Line(Frozen, frozen=True):
    """What is signed of one line of the docket."""

    n: Count  # 0, 1, 2, … without gaps
    at: Instant  # of the signer's clock, never before the line before
    previous: Digest  # sha256 hex of the line before, without its newline; for n = 0 only zeros
    by: PublicKey
    act: AnyAct


def decode_calendar(content: bytes) -> Calendar:
    """Decode `calendar.toml`.

    Raises:
        Malformed: what docs/spec/docket.md forbids.
    """
    calendar = decode_toml(content, Calendar, limit=MAX_JOB)
    raise_all([*_faults_of_calendar(calendar)])
    return calendar


def decode_line(content: bytes) -> Line:
    """Decode what is signed of one line of the docket, which must be written the canonical way.

    Raises:
        Malformed: what docs/spec/docket.md forbids.
    """
    line = decode_canonical(content, Line, limit=MAX_LINE)
    match line.act:
        case Opened(matter=matter):
            raise_all([*_faults_of_matter(matter, "$.act.matter")])
        case Closed(how=how):
            raise_all([*personal_text(how, "$.act.how")])
    return line


def _faults_of_matter(matter: Matter, where: str) -> Iterator[Fault]:
    yield from personal_text(matter.about, f"{where}.about")
    if matter.owner == matter.superior:
        yield Fault("contradiction", f"{where}.superior", "the owner is not their own superior")
    if (matter.due is not None) != (matter.kind == "finding"):
        yield Fault("contradiction", f"{where}.due", "a finding has its last day, and nothing else has one")
    if matter.due is not None:
        yield from real_date(matter.due, f"{where}.due")


def _faults_of_calendar(calendar: Calendar) -> Iterator[Fault]:
    yield from real_date(calendar.first, "$.first")
    yield from real_date(calendar.last, "$.last")
    for where, days in (("holiday", calendar.holiday), ("workday", calendar.workday)):
        for n, day in enumerate(days):
            yield from real_date(day, f"$.{where}[{n}]")
            if not calendar.first <= day <= calendar.last:
                yield Fault("bad-value", f"$.{where}[{n}]", "lies outside the days of this calendar")
        yield from twice(days, f"$.{where}")
    for n, day in enumerate(calendar.workday):
        if day in calendar.holiday:
            yield Fault("contradiction", f"$.workday[{n}]", "this day is a holiday, too")
