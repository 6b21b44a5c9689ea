"""Vectors of the record of a transfer abroad, and of an event."""

from making import Made, bad, swap

from deleatur.testing.vectors import vector_text

TRANSFER = b"""\
schema = "deleatur/transfer/v1"
id = "transfer-7"
law = "CN"
to = "DE"
receiver = "archive house in the salt mine"
purpose = "the third copy of the archives"
ground = "standard contract, filed as number 2026-11"
decided = "2026-11-01"
until = "2027-10-31"
"""


def transfer() -> Made:
    """Make the vectors of the record of a transfer."""
    yield "transfer/good", vector_text({"decoder": "transfer", "expect": "ok"}, TRANSFER)
    for name, kind, place, comment, old, new in (
        ("unknown-key", "unknown-key", "$", "nobody signs it by itself", b'id = "', b'signed = "x"\nid = "'),
        ("no-end", "missing-key", "$", "it would hold for ever", b'until = "2027-10-31"\n', b""),
        ("date-for-text", "wrong-type", "$.until", "nothing is converted", b'"2027-10-31"', b"2027-10-31"),
        ("law-unknown", "bad-value", "$.law", "which law?", b'law = "CN"', b'law = "unknown"'),
        ("no-such-day", "bad-value", "$.until", "February", b"2027-10-31", b"2027-02-30"),
        ("ended-first", "contradiction", "$.until", "it never held", b"2027-10-31", b"2026-10-31"),
        ("stays", "contradiction", "$.to", "nothing goes abroad", b'to = "DE"', b'to = "CN"'),
        (
            "person",
            "personal",
            "$.receiver",
            "a person",
            b"archive house in the salt mine",
            b"jo@mine.example",
        ),
    ):
        yield bad(f"transfer/{name}", kind, place, comment, swap(TRANSFER, old, new))


EVENT = b"""\
{"schema": "deleatur/event/v1", "id": "ev-12", "kind": "consent-withdrawn",
 "received": "2026-11-22T08:00:00Z", "channel": "web form", "of": ["crm/customers.id: 17"]}
"""


def event() -> Made:
    """Make the vectors of an event."""
    yield "event/good", vector_text({"decoder": "event", "expect": "ok"}, EVENT)
    for name, kind, place, comment, old, new in (
        ("syntax", "syntax", "character 167", "cut off", b"]}", b"]"),
        ("key-twice", "duplicate-key", "$", "which one?", b'"id": "ev-12"', b'"id": "ev-12", "id": "ev-13"'),
        ("unknown-key", "unknown-key", "$", "who says so?", b'"id"', b'"urgent": true, "id"'),
        ("of-nobody", "bad-value", "$.of", "whose?", b'["crm/customers.id: 17"]', b"[]"),
        ("no-id", "missing-key", "$", "nobody could ask for it", b'"id": "ev-12", ', b""),
        (
            "number-for-text",
            "wrong-type",
            "$.of[0]",
            "nothing is converted",
            b'"crm/customers.id: 17"',
            b"17",
        ),
        ("kind-unknown", "bad-value", "$.kind", "no such event", b"consent-withdrawn", b"order-placed"),
        ("no-such-day", "bad-value", "$.received", "November", b"11-22T", b"11-31T"),
        ("person", "personal", "$.channel", "an address names a person", b"web form", b"jo@shop.example"),
    ):
        yield bad(f"event/{name}", kind, place, comment, swap(EVENT, old, new))
