"""Vectors of what others destroyed: the register, the record, processors, and what is attested of them."""

from making import Made, bad, swap

from deleatur.documents.attested import (
    BUNDLE_TYPE,
    Bundle,
    BundledCertificate,
    BundledRecord,
    BundleStatement,
)
from deleatur.documents.certificate import STATEMENT_TYPE, Digest, Subject
from deleatur.documents.codec import encode_json
from deleatur.documents.destruction import decode_destruction
from deleatur.documents.processors import decode_processors
from deleatur.documents.vendors import decode_vendors
from deleatur.judge.attesting import FileFact, known_key
from deleatur.judge.destruction import destruction_statement
from deleatur.judge.processors import processors_statement
from deleatur.testing.destroyed import AT, CAROL, DESTRUCTION, ORDER, PROCESSORS, SHREDCO, VENDORS
from deleatur.testing.vectors import vector_text

_VENDORS, _DESTRUCTION, _PROCESSORS = (text.encode() for text in (VENDORS, DESTRUCTION, PROCESSORS))
_A = FileFact("aa" * 32, 1000)


def vendors() -> Made:
    """Make the vectors of the register."""
    good = _VENDORS
    yield "vendors/good", vector_text({"decoder": "vendors", "expect": "ok"}, good)
    yield bad(
        "vendors/unknown-key",
        "unknown-key",
        "$.vendor[0]",
        "a vendor has no such key",
        swap(good, b'name = "Shred and Sons"', b'name = "Shred and Sons"\nrating = "five stars"'),
    )
    yield bad(
        "vendors/no-expiry",
        "missing-key",
        "$.vendor[0].certificate[0]",
        "a certificate without its last day is valid for ever",
        swap(good, b'expires = "2027-04-30"\n', b""),
    )
    yield bad(
        "vendors/number-not-text",
        "wrong-type",
        "$.vendor[0].certificate[0].number",
        "nothing is converted",
        swap(good, b'number = "IS 700001"', b"number = 700001"),
    )
    yield bad(
        "vendors/requires-nothing",
        "bad-value",
        "$.requires",
        "every vendor must hold something",
        swap(good, b'requires = ["ISO/IEC 27001"]', b"requires = []"),
    )
    yield bad(
        "vendors/no-such-day",
        "bad-value",
        "$.vendor[0].certificate[0].expires",
        "2027 has no 30 February",
        swap(good, b"2027-04-30", b"2027-02-30"),
    )
    yield bad(
        "vendors/carrier-unknown",
        "bad-value",
        "$.vendor[0].certificate[0].carriers[2]",
        "punched cards are paper",
        swap(good, b'"flash"]', b'"punched-card"]'),
    )
    yield bad(
        "vendors/expires-first",
        "contradiction",
        "$.vendor[0].certificate[0].expires",
        "it expired before it was issued",
        swap(good, b"2027-04-30", b"2024-04-30"),
    )
    yield bad(
        "vendors/called-ourselves",
        "contradiction",
        "$.vendor[0].id",
        "ourselves is no vendor",
        swap(good, b'id = "shredco"', b'id = "ourselves"'),
    )
    second = b'\n[[own_operator]]\nname = "dave"\nspki = "' + CAROL.public.spki.encode()
    yield bad(
        "vendors/one-key-twice",
        "repeated",
        "$.own_operator[1].spki",
        "two people with one key cannot be told apart",
        good + second + b'"\ntrained_until = "2027-01-01"\n',
    )
    yield bad(
        "vendors/mail-address",
        "personal",
        "$.vendor[0].name",
        "an address names a person",
        swap(good, b"Shred and Sons", b"jo@shred.example"),
    )


def order() -> Made:
    """Make the vectors of the order."""
    good = ORDER.encode()
    yield "order/good", vector_text({"decoder": "order", "expect": "ok"}, good)
    one = good[: good.rindex(b"[[witness]]")]
    for name, kind, place, comment, text in (
        ("unknown-key", "unknown-key", "$", "an order has no end yet", b'ended = "x"\n' + good),
        ("no-vendor", "missing-key", "$", "who destroys?", swap(good, b'by = "shredco"\n', b"")),
        (
            "boxes-as-text",
            "wrong-type",
            "$.item[2].boxes",
            "nothing is converted",
            swap(good, b"= 3", b'= "3"'),
        ),
        ("one-witness", "bad-value", "$.witness", "two sign beside the operator", one),
        ("no-such-time", "bad-value", "$.handover[0].at", "no such day", swap(good, b"-20T07", b"-31T07")),
        ("serial-twice", "repeated", "$.item[1].serial", "which one?", swap(good, b"S4X7NF0M", b"ZC1ABC01")),
        (
            "paper-without-amount",
            "missing-key",
            "$.item[2]",
            "how much paper?",
            swap(good, b"boxes = 3\ngrams = 41500\n", b""),
        ),
        (
            "mail-address",
            "personal",
            "$.authority",
            "an address names a person",
            swap(good, b"plan of closing, part 7", b"jo@shop.example"),
        ),
    ):
        yield bad(f"order/{name}", kind, place, comment, text)


def destruction() -> Made:
    """Make the vectors of the record."""
    good = _DESTRUCTION
    yield "destruction/good", vector_text({"decoder": "destruction", "expect": "ok"}, good)
    yield bad(
        "destruction/unknown-key",
        "unknown-key",
        "$.treatment[1]",
        "misspelt, so it would not count",
        swap(good, b'particle = "300"', b'particel = "300"'),
    )
    yield bad(
        "destruction/no-times",
        "missing-key",
        "$",
        "when it ended is not said",
        swap(good, b'ended = "2026-11-20T10:30:00Z"\n', b""),
    )
    yield bad(
        "destruction/paper-without-amount",
        "missing-key",
        "$.item[2]",
        "paper needs boxes or grams",
        swap(good, b"boxes = 3\ngrams = 41500\n", b""),
    )
    yield bad(
        "destruction/shredded-without-level",
        "missing-key",
        "$.treatment[1]",
        "what leaves pieces has a level",
        swap(good, b'level = "H-5"\n', b""),
    )
    yield bad(
        "destruction/area-not-text",
        "wrong-type",
        "$.treatment[1].particle",
        "an area is written as text, so that no float is read",
        swap(good, b'particle = "300"', b"particle = 300"),
    )
    witness = good.rindex(b"\n[[witness]]")
    yield bad(
        "destruction/one-witness", "bad-value", "$.witness", "two witnesses at least", good[:witness] + b"\n"
    )
    yield bad(
        "destruction/kept-two-years",
        "bad-value",
        "$.keep_years",
        "three years at least",
        swap(good, b'operator = "op-7"', b'operator = "op-7"\nkeep_years = 2'),
    )
    yield bad(
        "destruction/level-unknown",
        "bad-value",
        "$.treatment[1].level",
        "levels end at 7",
        swap(good, b'"H-5"', b'"H-8"'),
    )
    yield bad(
        "destruction/particle-of-nothing",
        "bad-value",
        "$.treatment[1].particle",
        "0 mm² would bear every level",
        swap(good, b'particle = "300"', b'particle = "0.00"'),
    )
    yield bad(
        "destruction/file-elsewhere",
        "bad-value",
        "$.evidence[0].file",
        "evidence lies in the record's own folder",
        swap(good, b'"hall-2.mp4"', b'"../hall-2.mp4"'),
    )
    yield bad(
        "destruction/no-such-time",
        "bad-value",
        "$.started",
        "no 31 November",
        swap(good, b"2026-11-20T09:00:00Z", b"2026-11-31T09:00:00Z"),
    )
    yield bad(
        "destruction/ended-first",
        "contradiction",
        "$.ended",
        "ended before it started",
        swap(good, b"2026-11-20T10:30:00Z", b"2026-11-20T08:59:59Z"),
    )
    yield bad(
        "destruction/degaussed-to-a-level",
        "contradiction",
        "$.treatment[0]",
        "a magnet leaves no pieces",
        swap(good, b'machine = "degausser 3"', b'level = "H-5"'),
    )
    yield bad(
        "destruction/one-serial-twice",
        "repeated",
        "$.item[1].serial",
        "two pieces that cannot be told apart",
        swap(good, b'serial = "S4X7NF0M"', b'serial = "ZC1ABC01"'),
    )
    yield bad(
        "destruction/mail-address",
        "personal",
        "$.item[2].what",
        "what it held, not whom",
        swap(good, b"contracts 2010 to 2014", b"letters of jo@shop.example"),
    )


def processors() -> Made:
    """Make the vectors of the list of processors."""
    good = _PROCESSORS
    yield "processors/good", vector_text({"decoder": "processors", "expect": "ok"}, good)
    yield bad(
        "processors/unknown-key",
        "unknown-key",
        "$.processor[1]",
        "what is verified is not for them to say",
        swap(good, b'id = "profiler"', b'id = "profiler"\nverified = true'),
    )
    yield bad(
        "processors/no-officer",
        "missing-key",
        "$",
        "somebody answers for the list",
        swap(good, f'[officer]\nname = "carol"\nspki = "{CAROL.public.spki}"\n'.encode(), b""),
    )
    yield bad(
        "processors/years-as-text",
        "wrong-type",
        "$.keep_years",
        "nothing is converted",
        swap(good, b"keep_years = 3", b'keep_years = "3"'),
    )
    yield bad(
        "processors/no-such-day",
        "bad-value",
        "$.processor[0].certificate.received",
        "no 31 November",
        swap(good, b"2026-11-18", b"2026-11-31"),
    )
    yield bad(
        "processors/one-id-twice",
        "repeated",
        "$.processor[1].id",
        "two processors that cannot be told apart",
        swap(good, b'id = "profiler"', b'id = "mailer"'),
    )
    yield bad(
        "processors/mail-address",
        "personal",
        "$.processor[0].name",
        "an address names a person",
        swap(good, b"a sender of newsletters", b"jo@mail.example"),
    )


def attested() -> Made:
    """Make the vectors of the signed statements."""
    names = ("destruction.toml", "vendors.toml", "evidence/hall-2.mp4", "evidence/serials.jpg")
    record, register = decode_destruction(_DESTRUCTION), decode_vendors(_VENDORS)
    good = destruction_statement(record, register, dict.fromkeys(names, _A), AT)
    files = dict.fromkeys(("processors.toml", "evidence/mailer.pdf"), _A)
    others = processors_statement(decode_processors(_PROCESSORS), files, AT)
    bundle = encode_json(_bundle())
    yield "attested/good-destruction", vector_text({"decoder": "attested", "expect": "ok"}, good)
    yield "attested/good-processors", vector_text({"decoder": "attested", "expect": "ok"}, others)
    yield "attested/good-bundle", vector_text({"decoder": "bundle", "expect": "ok"}, bundle)
    yield bad(
        "attested/not-a-statement", "syntax", "$", "no predicateType", swap(good, b"predicateType", b"type")
    )
    yield bad(
        "attested/measured",
        "bad-value",
        "$.predicate.assurance",
        "what is attested is never A3",
        swap(good, b'"assurance":"A1"', b'"assurance":"A3"'),
    )
    yield bad(
        "attested/verified",
        "bad-value",
        "$.predicate.state",
        "what is attested is never called verified",
        swap(others, b'"state":"attested-with-exceptions"', b'"state":"verified"'),
    )
    yield bad(
        "attested/other-predicate",
        "bad-value",
        "$.predicateType",
        "a certificate is no record",
        swap(good, b"physical-destruction/v1", b"erasure-certificate/v1"),
    )
    yield bad(
        "attested/no-entry",
        "missing-key",
        "$.predicate.entry",
        "the day of entry is always told",
        swap(good, b',"daysLate":0', b""),
    )
    yield bad(
        "attested/unknown-key",
        "unknown-key",
        "$.predicate",
        "also where in-toto would allow it",
        swap(good, b'"assurance":"A1"', b'"assurance":"A1","measured":"yes"'),
    )
    yield bad(
        "attested/late-as-text",
        "wrong-type",
        "$.predicate.entry.daysLate",
        "nothing is converted",
        swap(good, b'"daysLate":0', b'"daysLate":"0"'),
    )
    yield bad(
        "attested/spaced",
        "not-canonical",
        "$",
        "the same statement, written another way",
        swap(good, b'"daysLate":0', b'"daysLate": 0'),
    )


def _bundle() -> BundleStatement:
    digest = Digest(sha256="bb" * 32)
    return BundleStatement(
        type_=STATEMENT_TYPE,
        subject=(Subject(name="manifest.sha256", digest=digest),),
        predicate_type=BUNDLE_TYPE,
        predicate=Bundle(
            schema_version="deleatur/bundle/v1",
            made_at=AT,
            maker=known_key(SHREDCO.public),
            certificates=(
                BundledCertificate(
                    id="certificate-0001", digest=digest, retain_until="2036-03-01", state="verified"
                ),
            ),
            records=(
                BundledRecord(
                    id="yard-2026-11-20",
                    folder="yard",
                    digest=digest,
                    retain_until="2031-11-20",
                    state="attested",
                    assurance="A1",
                    days_late=0,
                ),
            ),
        ),
    )
