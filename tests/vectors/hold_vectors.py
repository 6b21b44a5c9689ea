"""Vectors of a hold and of the hold register."""

from making import Made, bad, swap

from deleatur.documents.hold import AnyAct, Begun, Placed, Released, decode_hold
from deleatur.testing.finished import known_key
from deleatur.testing.vectors import vector_text
from deleatur.trust.keys import SigningKey
from deleatur.trust.register import read_register, sign_line

HOLD = b"""\
schema = "deleatur/hold/v1"
id = "case-2026-17"
matter = "court-order"
authority = "Regional Court of Examplestadt"
case = "3 O 17/26"
since = "2026-11-01"

[scope]
place = "sqlite:///srv/shop/crm.sqlite"
table = "customer"
where = [{ column = "country", operator = "=", value = "DE" }]
"""
LEGAL, FINANCE, STRANGER = (known_key(n, k) for n, k in (("legal", 70), ("finance", 71), ("legal", 99)))
KEYS = [LEGAL.public, FINANCE.public]
AT = "2026-11-22T09:00:00.000Z"
COURT = decode_hold(HOLD)


def hold() -> Made:
    yield _good("good-rows", HOLD, "rows of one table")
    everything = HOLD.partition(b"place")[0]
    yield _good("good-everything", everything, "an empty scope holds everything")
    yield _good("good-job", everything + b'job = "close-the-shop"\n', "one job")
    yield _good(
        "good-values-file",
        swap(HOLD, b'"=", value = "DE"', b'"in", values_from = "people.txt"'),
        "people by a values file",
    )
    for name, kind, where, comment, document in (
        ("no-scope", "missing-key", "$", "what it holds is not said", HOLD.partition(b"\n[scope]")[0]),
        ("unknown-key", "unknown-key", "$.scope", "misspelt", swap(HOLD, b"place =", b"palce =")),
        ("count-as-case", "wrong-type", "$.case", "a number", swap(HOLD, b'"3 O 17/26"', b"17")),
        (
            "matter-unknown",
            "bad-value",
            "$.matter",
            "no such matter",
            swap(HOLD, b'"court-order"', b'"courtesy"'),
        ),
        ("no-such-day", "bad-value", "$.since", "no such day", swap(HOLD, b"2026-11-01", b"2026-11-31")),
        (
            "job-and-place",
            "contradiction",
            "$.scope",
            "a job and a place",
            swap(HOLD, b"[scope]", b'[scope]\njob = "close-the-shop"'),
        ),
        (
            "table-of-nowhere",
            "missing-key",
            "$.scope",
            "a table without its place",
            swap(HOLD, b'place = "sqlite:///srv/shop/crm.sqlite"\n', b""),
        ),
        (
            "place-relative",
            "bad-value",
            "$.scope.place",
            "jobs name stores by absolute URLs, so this would hold nothing",
            swap(HOLD, b"sqlite:///srv/shop/crm.sqlite", b"sqlite:crm.sqlite"),
        ),
        (
            "rows-of-no-table",
            "missing-key",
            "$.scope",
            "conditions without a table",
            swap(HOLD, b'table = "customer"\n', b""),
        ),
        (
            "value-twice",
            "operand",
            "$.scope.where[0]",
            "a value and a list",
            swap(HOLD, b'value = "DE"', b'value = "DE", values = ["DE"]'),
        ),
        (
            "mail-address",
            "personal",
            "$.scope.where[0].value",
            "a value that names a person",
            swap(HOLD, b'"DE"', b'"o@example.org"'),
        ),
        (
            "person-in-case",
            "personal",
            "$.case",
            "an address where a number belongs",
            swap(HOLD, b"3 O 17/26", b"o@example.org"),
        ),
    ):
        yield bad(f"hold/{name}", kind, where, comment, document)


ACTS: tuple[tuple[AnyAct, SigningKey], ...] = (
    (Begun(schema="deleatur/holds/v1", id="0123456789abcdef" * 2), LEGAL),
    (Placed(hold=COURT, values=""), LEGAL),
    (Released(hold="case-2026-17", reason="lifted"), LEGAL),
    (Released(hold="case-2026-17", reason="lifted, seen"), FINANCE),
)


def register() -> Made:
    lines = _chain(ACTS)
    yield _sound("whole", lines, b"", "placed, and released by two keys")
    yield _sound("begun", lines[:1], b"", "nothing on hold")
    yield _sound("torn-tail", lines[:2], lines[2][:70], "a crash while the third line was written")
    yield _sound("torn-newline", lines[:2], lines[2][:-1], "only the newline is missing: it never happened")
    strange = sign_line(read_register(b"".join(lines[:2]), KEYS), ACTS[2][0], STRANGER, AT)
    other = _chain((ACTS[0], (Placed(hold=COURT, values=""), FINANCE)))
    twice = sign_line(read_register(b"".join(lines[:2]), KEYS), ACTS[1][0], LEGAL, AT)
    nobody = sign_line(read_register(lines[0], KEYS), Released(hold="case-1", reason="lifted"), LEGAL, AT)
    for name, place, comment, broken in (
        ("dropped", "line 2", "a line was dropped", [lines[0], *lines[2:]]),
        ("dropped-first", "line 1", "the first line was dropped", lines[1:]),
        ("swapped", "line 3", "two lines changed places", [*lines[:2], lines[3], lines[2]]),
        ("repeated", "line 3", "a line stands twice", [*lines[:2], *lines[1:]]),
        ("other-branch", "line 3", "the end of another register", [lines[0], other[1], *lines[2:]]),
        ("by-a-stranger", "line 3", "released by a key that nobody knows", [*lines[:2], strange]),
        (
            "signature-of-another",
            "line 3",
            "the signature of a stranger under a known key",
            [*lines[:2], _signed_by(lines[2], strange)],
        ),
        ("placed-twice", "line 3", "one id for two holds", [*lines[:2], twice]),
        ("released-unplaced", "line 2", "no such hold", [lines[0], nobody]),
        ("begun-twice", "line 2", "a register begins once", [lines[0], _again(lines[0])]),
        ("spaces", "line 1", "not written the canonical way", [swap(lines[0], b'"keyid":', b'"keyid": ')]),
    ):
        header = {"decoder": "register", "expect": "malformed", "kind": "broken-chain", "where": place}
        yield f"hold/register-{name}", vector_text(header | {"comment": comment}, b"".join(broken))


def _chain(acts: tuple[tuple[AnyAct, SigningKey], ...]) -> list[bytes]:
    lines: list[bytes] = []
    for act, key in acts:
        lines.append(sign_line(read_register(b"".join(lines), KEYS), act, key, AT))
    return lines


def _again(first: bytes) -> bytes:
    return sign_line(read_register(first, KEYS), ACTS[0][0], LEGAL, AT)


def _signed_by(line: bytes, other: bytes) -> bytes:
    mark = b'"signatures":'
    return line[: line.index(mark)] + other[other.index(mark) :]


def _good(name: str, document: bytes, comment: str) -> tuple[str, bytes]:
    return f"hold/{name}", vector_text({"decoder": "hold", "expect": "ok", "comment": comment}, document)


def _sound(name: str, lines: list[bytes], torn: bytes, comment: str) -> tuple[str, bytes]:
    whole = b"".join(lines)
    header = {"decoder": "register", "expect": "ok", "entries": str(len(lines)), "sound": str(len(whole))}
    return f"hold/register-good-{name}", vector_text(header | {"comment": comment}, whole + torn)
