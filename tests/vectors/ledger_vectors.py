"""Vectors of the ledger of a notice and of its entries."""

from making import Made, bad, swap

from deleatur.documents.chain import digest_of_line
from deleatur.documents.ledger import (
    ANCHOR,
    AnyHappened,
    Deferred,
    Delivered,
    Handing,
    LedgerEntry,
    LetterDigest,
    Opened,
    Replied,
    Sealed,
    Settled,
    Told,
    Undelivered,
    ledger_line,
)
from deleatur.sanitize.digest import keyed_digest
from deleatur.testing.vectors import vector_text

ANCHORED = keyed_digest(bytes(range(32)), ANCHOR)
WHO = ("a" * 64,)
EVENTS: tuple[AnyHappened, ...] = (
    Opened(
        schema="deleatur/ledger/v1",
        cut_off="2026-12-23",
        letters=(LetterDigest(language="de", digest="1" * 64),),
        boot="2" * 64,
        uptime=4000,
    ),
    Handing(channel="email", language="de", subjects=WHO),
    Told(channel="email", subjects=WHO),
    Deferred(channel="email", subjects=("b" * 64,)),
    Undelivered(channel="email", status="5.1.1", subjects=WHO),
    Delivered(channel="phone", subjects=WHO),
    Replied(subjects=WHO),
    Settled(subjects=WHO),
    Sealed(spki="MCow", signature="c2ln"),
)


def chain(events: tuple[AnyHappened, ...]) -> list[bytes]:
    """Return the lines of a ledger of `events`."""
    lines: list[bytes] = []
    previous = ANCHORED
    for n, event in enumerate(events):
        at = f"2026-11-22T03:04:{n:02}.000Z"
        lines.append(ledger_line(LedgerEntry(n=n, at=at, previous=previous, event=event)))
        previous = digest_of_line(lines[-1])
    return lines


def ledger() -> Made:
    lines = chain(EVENTS)
    for name, content, comment in (
        ("whole", lines, "one entry of each kind"),
        ("empty", [], "nobody was told"),
    ):
        header = {"decoder": "ledger", "expect": "ok", "plan": ANCHORED, "comment": comment}
        yield f"ledger/good-{name}", vector_text(header, b"".join(content))
    other = chain(EVENTS[:2] + EVENTS[3:])
    for name, place, comment, broken in (
        (
            "changed",
            "line 3",
            "told by another channel",
            [*lines[:2], swap(lines[2], b"email", b"phone"), *lines[3:]],
        ),
        ("dropped", "line 5", "a letter that came back was dropped", [*lines[:4], *lines[5:]]),
        ("swapped", "line 2", "told before it was handed over", [lines[0], lines[2], lines[1], *lines[3:]]),
        ("put-in", "line 3", "an entry of another ledger", [*lines[:2], other[1], *lines[2:]]),
    ):
        # what was changed is found by the line after it, what was moved by its number
        where = "line 4" if name == "changed" else place
        yield bad(f"ledger/{name}", "broken-chain", where, comment, b"".join(broken), plan=ANCHORED)
    yield bad(
        "ledger/other-key", "broken-chain", "line 1", "of another notice", b"".join(lines), plan="0" * 64
    )
    yield from _entries(lines)


def _entries(lines: list[bytes]) -> Made:
    for n, line in enumerate(lines):
        header = {"decoder": "ledger-entry", "expect": "ok", "comment": type(EVENTS[n]).__name__}
        yield f"ledger/entry-{header['comment'].lower()}", vector_text(header, line)
    digest = WHO[0].encode()
    for name, n, old, new, kind, place, comment in (
        ("unknown-kind", 2, b'"told"', b'"read"', "bad-value", "$.event.kind", "nobody knows who reads"),
        (
            "unknown-key",
            2,
            b'"channel"',
            b'"to":"x","channel"',
            "unknown-key",
            "$.event",
            "no address stands here",
        ),
        ("missing-key", 2, b'"channel":"email",', b"", "missing-key", "$.event", "by which channel?"),
        (
            "address-for-digest",
            2,
            digest,
            b"x@example.org",
            "bad-value",
            "$.event.subjects[0]",
            "no data here",
        ),
        ("nobody", 2, b'["' + digest + b'"]', b"[]", "bad-value", "$.event.subjects", "told whom?"),
        ("unknown-channel", 2, b'"email"', b'"dove"', "bad-value", "$.event.channel", "no such channel"),
        ("spaces", 2, b'{"n":2', b'{"n": 2', "not-canonical", "$", "the same entry, other bytes"),
    ):
        header = {"decoder": "ledger-entry", "expect": "malformed", "kind": kind, "where": place}
        yield f"ledger/entry-{name}", vector_text(header | {"comment": comment}, swap(lines[n], old, new))
