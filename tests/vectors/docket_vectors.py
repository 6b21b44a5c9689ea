"""Vectors of a calendar and of the docket."""

from making import Made, swap

from deleatur.documents.codec import encode_json
from deleatur.documents.docket import (
    Answered,
    AnyAct,
    Begun,
    Closed,
    Granted,
    Line,
    Matter,
    MatterKind,
    Opened,
    Rechecked,
    Remedied,
    Reviewed,
)
from deleatur.testing.finished import known_key
from deleatur.testing.vectors import vector_text
from deleatur.trust.docket import DOCKET_TYPE, read_docket, sign_docket_line
from deleatur.trust.dsse import seal
from deleatur.trust.keys import SigningKey

CALENDAR = b"""\
schema = "deleatur/calendar/v1"
offset = "+08:00"
first = "2026-01-01"
last = "2026-12-31"
holiday = ["2026-10-01", "2026-10-02"]
workday = ["2026-10-10"]
"""
LEGAL, AUDIT, STRANGER = (known_key(n, k) for n, k in (("legal", 70), ("audit", 72), ("legal", 99)))
KEYS = [LEGAL.public, AUDIT.public]
FIRST, SECOND = "2026-11-22T09:00:00.000Z", "2026-11-23T09:00:00.000Z"


def _matter(name: str, kind: MatterKind, due: str | None = None, since: str = FIRST) -> Opened:
    matter = Matter(id=name, kind=kind, about="audit 7", owner="anna", superior="head", since=since, due=due)
    return Opened(matter=matter)


BEGUN = Begun(schema="deleatur/docket/v1", id="0123456789abcdef" * 2)
FINDING = _matter("f-1", "finding", "2026-12-01")
LATER = _matter("c-1", "complaint", since="2027-01-01T00:00:00.000Z")
SOUND = Rechecked(matter="f-1", sound=True, evidence="0" * 64)
CLOSED = Closed(matter="f-1", how="remedied")
ACCESS = _matter("g-1", "grant")
GIVEN = Granted(matter="g-1")
WHOLE: tuple[tuple[AnyAct, SigningKey], ...] = (
    (BEGUN, LEGAL),
    (FINDING, LEGAL),
    (Remedied(matter="f-1"), LEGAL),
    (SOUND, AUDIT),
    (CLOSED, LEGAL),
)


def docket() -> Made:
    yield "docket/good-calendar", _good("calendar", CALENDAR, "a week with a working Saturday")
    for name, kind, where, comment, document in (
        ("calendar-unknown-key", "unknown-key", "$", "misspelt", swap(CALENDAR, b"holiday", b"holyday")),
        ("calendar-no-offset", "missing-key", "$", "in no zone", swap(CALENDAR, b'offset = "+08:00"\n', b"")),
        ("calendar-number", "wrong-type", "$.first", "no text", swap(CALENDAR, b'"2026-01-01"', b"20260101")),
        ("calendar-bad-day", "bad-value", "$.holiday[1]", "no such day", swap(CALENDAR, b"10-02", b"10-32")),
        (
            "calendar-day-twice",
            "repeated",
            "$.holiday[1]",
            "a day stands twice",
            swap(CALENDAR, b"10-02", b"10-01"),
        ),
        (
            "calendar-worked-holiday",
            "contradiction",
            "$.workday[0]",
            "worked and not worked",
            swap(CALENDAR, b"10-10", b"10-02"),
        ),
        (
            "calendar-outside",
            "bad-value",
            "$.workday[0]",
            "not its year",
            swap(CALENDAR, b"2026-10-10", b"2027-10-10"),
        ),
    ):
        header = {"decoder": "calendar", "expect": "malformed", "kind": kind, "where": where}
        yield f"docket/{name}", vector_text(header | {"comment": comment}, document)
    yield from _lines()


def _lines() -> Made:
    whole = _chain(WHOLE)
    yield "docket/good-whole", _good("docket", b"".join(whole), "a finding, remedied, looked at, closed")
    torn = b"".join(whole[:2]) + whole[2][:-1]
    yield "docket/good-torn", _good("docket", torn, "a crash while the third line was written")
    head = WHOLE[:3]
    for name, acts, comment, at in (
        ("own-recheck", (*head, (SOUND, LEGAL)), "who remedied looks again", FIRST),
        ("closed-unchecked", (*head, (CLOSED, LEGAL)), "closed without a re-check", FIRST),
        ("by-a-stranger", (*head, (SOUND, STRANGER)), "by a key that nobody knows", FIRST),
        ("unopened", (*head, (Answered(matter="c-1"), LEGAL)), "no such matter", FIRST),
        ("opened-twice", (*head, (FINDING, LEGAL)), "one id for two matters", FIRST),
        ("begun-twice", (*head, (BEGUN, LEGAL)), "a docket begins once", FIRST),
        ("from-tomorrow", (*head, (LATER, LEGAL)), "came in later than it was entered", FIRST),
        ("dated-back", (*head, (SOUND, AUDIT)), "dated before the line before", "2026-11-01T09:00:00.000Z"),
    ):
        broken = _chain(acts[:-1])
        last, key = acts[-1]
        broken.append(sign_docket_line(read_docket(b"".join(broken), KEYS), last, key, at))
        yield f"docket/{name}", _broken("line 4", comment, broken)
    yield "docket/dropped", _broken("line 2", "a line was dropped", [whole[0], *whole[2:]])
    yield "docket/swapped", _broken("line 3", "two lines changed places", [*whole[:2], whole[3], whole[2]])
    access = _chain(((BEGUN, LEGAL), (ACCESS, LEGAL), (GIVEN, AUDIT), (Reviewed(matter="g-1"), AUDIT)))
    yield "docket/good-grant", _good("docket", b"".join(access), "access, asked for, given, reviewed")
    asked = [access[0], access[1]]
    yield (
        "docket/granted-to-oneself",
        _broken("line 3", "who asks does not give", [*asked, _raw(asked, GIVEN)]),
    )
    late = _raw(access[:3], Reviewed(matter="g-1"), AUDIT, "2027-02-23T09:00:00.000Z")
    yield "docket/reviewed-too-late", _broken("line 4", "it lapsed a day before", [*access[:3], late])
    odd = _matter("f-1", "approval", "2026-12-01")
    day = [whole[0], _raw(whole[:1], odd)]
    yield "docket/approval-with-a-day", _broken("line 2", "only a finding has a day", day)


def _raw(before: list[bytes], act: AnyAct, key: SigningKey = LEGAL, at: str = FIRST) -> bytes:
    """Sign a line that we would not sign."""
    read = read_docket(b"".join(before), KEYS)
    line = Line(n=len(before), at=at, previous=read.head, by=key.public, act=act)
    return seal(encode_json(line), DOCKET_TYPE, [key])


def _chain(acts: tuple[tuple[AnyAct, SigningKey], ...]) -> list[bytes]:
    lines: list[bytes] = []
    for act, key in acts:
        lines.append(sign_docket_line(read_docket(b"".join(lines), KEYS), act, key, FIRST))
    return lines


def _good(decoder: str, document: bytes, comment: str) -> bytes:
    return vector_text({"decoder": decoder, "expect": "ok", "comment": comment}, document)


def _broken(where: str, comment: str, lines: list[bytes]) -> bytes:
    header = {"decoder": "docket", "expect": "malformed", "kind": "broken-chain", "where": where}
    return vector_text(header | {"comment": comment}, b"".join(lines))
