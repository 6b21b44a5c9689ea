"""Vectors of the journal and of its entries."""

import hashlib

from making import Made, bad, swap
from plan_vectors import PLAN

from deleatur.documents.codec import encode_json
from deleatur.documents.journal import (
    Advanced,
    AnyEvent,
    Compared,
    Entry,
    Erased,
    Erasing,
    Filled,
    Filling,
    Lay,
    Passed,
    Preflighted,
    Started,
    Stopped,
    Unheld,
    digest_of_line,
    line_of,
)
from deleatur.testing.vectors import vector_text

PLAN_DIGEST = hashlib.sha256(encode_json(PLAN)).hexdigest()
EVENTS: tuple[AnyEvent, ...] = (
    Started(
        schema="deleatur/journal/v1",
        plan=PLAN_DIGEST,
        selftests=5,
        resumed=False,
        approved_by=("key-a", "key-b"),
    ),
    Preflighted(target="shop", identity="7" * 64, units=1),
    Unheld(asked=("holds-register",)),
    Erasing(step="s1"),
    Advanced(step="s1", position="table Customer", done=4, outage=120),
    Erased(step="s1", done=4),
    Compared(
        step="s1",
        mode="full",
        population=4,
        read=4,
        size=64,
        mismatches=0,
        unreadable=0,
        surfaces=(),
        lay=Lay(in_place=1, moved=1, kept=0, untold=0, moved_units=("inode-13",), on_device=64),
    ),
    Stopped(exit_code=6, error="Transient"),
    Passed(gate="datamap", digest="5" * 64, counts=(("owners", 2),)),
    Filling(fill="data-disk"),
    Filled(
        fill="data-disk",
        written=4096,
        left=0,
        control=1,
        control_equal=0,
        population=1,
        read=1,
        size=4096,
        mismatches=0,
        reserved=8192,
        reserved_left=0,
        files_left=0,
    ),
)


def chain(events: tuple[AnyEvent, ...]) -> list[bytes]:
    """Return the lines of a journal of `events`."""
    lines: list[bytes] = []
    previous = PLAN_DIGEST
    for n, event in enumerate(events):
        at = f"2026-01-02T03:04:{n:02}.000Z"
        lines.append(line_of(Entry(n=n, at=at, previous=previous, event=event)))
        previous = digest_of_line(lines[-1])
    return lines


def journal() -> Made:
    lines = chain(EVENTS)
    yield _journal_good("whole", lines, b"", "eleven entries")
    yield _journal_good("empty", [], b"", "nothing happened yet")
    yield _journal_good("torn-tail", lines[:3], lines[3][:40], "a crash in the middle of the fourth line")
    yield _journal_good(
        "torn-newline", lines[:3], lines[3][:-1], "only the newline is missing: it never happened"
    )
    yield _journal_good("torn-zeros", lines[:3], bytes(100), "a file system filled the tail with zeros")
    yield _journal_good("torn-first", [], lines[0][:10], "a crash in the first line")
    other = chain(EVENTS[:4] + EVENTS[5:])
    for name, place, comment, broken in (
        (
            "changed",
            "line 6",
            "an entry was changed",
            [*lines[:4], swap(lines[4], b'"done":4', b'"done":5'), *lines[5:]],
        ),
        ("dropped", "line 5", "an entry was dropped", [*lines[:4], *lines[5:]]),
        ("dropped-first", "line 1", "the first entry was dropped", lines[1:]),
        ("swapped", "line 5", "two entries changed places", [*lines[:4], lines[5], lines[4], *lines[6:]]),
        ("repeated", "line 6", "an entry stands twice", [*lines[:5], lines[4], *lines[5:]]),
        ("put-in", "line 5", "an entry of another journal", [*lines[:4], other[0], *lines[4:]]),
        ("other-branch", "line 6", "the end of another journal", [*lines[:5], *other[5:]]),
        (
            "number",
            "line 5",
            "a number was changed",
            [*lines[:4], swap(lines[4], b'{"n":4', b'{"n":5'), *lines[5:]],
        ),
        ("not-json", "line 5", "a line was scratched out", [*lines[:4], b"\n", *lines[5:]]),
        (
            "spaces",
            "line 8",
            "the same entry, other bytes",
            [*lines[:7], swap(lines[7], b'{"n":7', b'{"n": 7')],
        ),
        ("carriage-return", "line 1", "line ends of another system", [x[:-1] + b"\r\n" for x in lines]),
        (
            "torn-in-the-middle",
            "line 5",
            "a line ends early",
            [*lines[:4], lines[4][:50] + b"\n", *lines[5:]],
        ),
    ):
        yield bad(f"journal/{name}", "broken-chain", place, comment, b"".join(broken), plan=PLAN_DIGEST)
    yield bad(
        "journal/other-plan", "broken-chain", "line 1", "of another plan", b"".join(lines), plan="0" * 64
    )
    yield from _entries(lines)


def _entries(lines: list[bytes]) -> Made:
    for n, line in enumerate(lines):
        header = {"decoder": "entry", "expect": "ok", "comment": type(EVENTS[n]).__name__}
        yield f"journal/entry-{header['comment'].lower()}", vector_text(header, line)
    for name, n, old, new, kind, place, comment in (
        ("unknown-kind", 3, b'"erasing"', b'"erased-all"', "bad-value", "$.event.kind", "no such event"),
        ("no-kind", 3, b'"kind":"erasing",', b"", "missing-key", "$.event", "which event?"),
        ("unknown-key", 3, b'"s1"', b'"s1","row":1', "unknown-key", "$.event", "the journal holds no data"),
        ("key-twice", 3, b'"s1"', b'"s1","step":"s2"', "duplicate-key", "$.event", "which one counts?"),
        ("missing-key", 4, b',"done":4', b"", "missing-key", "$.event", "how much?"),
        (
            "position-not-ascii",
            4,
            b"table Customer",
            "café".encode(),
            "bad-value",
            "$.event.position",
            "ASCII only",
        ),
        ("time-without-zone", 3, b"000Z", b"000", "bad-value", "$.at", "whose time?"),
        ("bool-for-integer", 4, b'"done":4', b'"done":true', "wrong-type", "$.event.done", "true is not 1"),
    ):
        name, text = bad(f"journal/entry-{name}", kind, place, comment, swap(lines[n], old, new))
        yield name, text.replace(b"decoder: journal\n", b"decoder: entry\n", 1)


def _journal_good(name: str, lines: list[bytes], tail: bytes, comment: str) -> tuple[str, bytes]:
    sound = b"".join(lines)
    header = {
        "decoder": "journal",
        "expect": "ok",
        "plan": PLAN_DIGEST,
        "entries": str(len(lines)),
        "sound": str(len(sound)),
        "comment": comment,
    }
    return f"journal/good-{name}", vector_text(header, sound + tail)
