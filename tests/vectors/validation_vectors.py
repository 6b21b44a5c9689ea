"""Vectors of the validation of a certificate: the sheet to fill in, and the signed statement."""

from making import Made, bad, swap

from deleatur.documents.certificate import Digest
from deleatur.documents.codec import encode_json
from deleatur.documents.validation import (
    Checked,
    Exempted,
    Limit,
    Policy,
    Validation,
    decode_sheet,
    statement_of,
)
from deleatur.judge.attesting import known_key as shown
from deleatur.testing.finished import known_key
from deleatur.testing.vectors import vector_text

SHEET = b"""\
schema = "deleatur/validation-sheet/v1"
certificate = "certificate-0001"
certificate_sha256 = "3333333333333333333333333333333333333333333333333333333333333333"
policy = "media-policy.pdf"
policy_sha256 = "4444444444444444444444444444444444444444444444444444444444444444"
outcome = "accepted-with-exceptions"
reason = "?"

[[check]]
name = "limits-read"
answer = "yes"

[[limit]]
id = "copies-elsewhere"
text = "copies elsewhere are not covered"
accepted = "no"

[[exception]]
target = "crm"
type = "places-not-read"
text = "two blocks were not read"
accepted = "?"
reason = "they held nothing but zeros"
"""


def sheet() -> Made:
    """Make the vectors of the sheet."""
    decode_sheet(SHEET)
    yield "validation/sheet-good", vector_text({"decoder": "validation-sheet", "expect": "ok"}, SHEET)
    for name, kind, place, comment, old, new in (
        ("unknown-key", "unknown-key", "$", "all at once", b'outcome = "', b'accept_all = true\noutcome = "'),
        ("no-policy", "missing-key", "$", "held against what?", b'policy = "media-policy.pdf"\n', b""),
        (
            "no-checks",
            "missing-key",
            "$",
            "nothing was looked at",
            b'[[check]]\nname = "limits-read"\nanswer = "yes"\n',
            b"",
        ),
        ("answer-as-bool", "wrong-type", "$.limit[0].accepted", "no conversion", b'ed = "no"', b"ed = false"),
        ("answer-maybe", "bad-value", "$.check[0].answer", "yes or no", b'answer = "yes"', b'answer = "ok"'),
        ("check-unknown", "bad-value", "$.check[0].name", "no such check", b"limits-read", b"looks-good"),
        ("outcome-unknown", "bad-value", "$.outcome", "no claim", b"accepted-with-exceptions", b"purged"),
        ("digest-short", "bad-value", "$.policy_sha256", "cut", b'44444444"', b'4"'),
        ("policy-path", "bad-value", "$.policy", "a name, not a path", b"media-policy", b"../media-policy"),
        ("person", "personal", "$.reason", "an address names a person", b'= "?"\n\n', b'= "ask a@b.eu"\n\n'),
        (
            "no-reason",
            "missing-key",
            "$.exception[0]",
            "why?",
            b'\nreason = "they held nothing but zeros"',
            b"",
        ),
    ):
        text = swap(SHEET, old, new)
        _, vector = bad(f"validation-sheet/{name}", kind, place, comment, text)
        yield f"validation/sheet-{name}", vector


def validation() -> Made:
    """Make the vectors of the statement."""
    said = Validation(
        schema_version="deleatur/validation/v1",
        certificate_id="certificate-0001",
        certificate_state="verified-with-exceptions",
        validator=shown(known_key("officer", 70).public),
        validated_at="2026-11-23T09:00:00Z",
        policy=Policy(file="media-policy.pdf", digest=Digest(sha256="4" * 64)),
        checks=(Checked(name="limits-read", answer="yes"),),
        limits=(Limit(id="copies-elsewhere", text="copies elsewhere are not covered", accepted="yes"),),
        exceptions=(
            Exempted(target_id="crm", type="not-read", text="two blocks", accepted="yes", reason="zeros"),
        ),
        outcome="accepted-with-exceptions",
        reason="enough for this shelf",
    )
    sound = encode_json(statement_of("certificate.dsse.json", "3" * 64, said))
    yield "validation/good", vector_text({"decoder": "validation", "expect": "ok"}, sound)
    for name, kind, place, comment, old, new in (
        (
            "claims-more",
            "unknown-key",
            "$.predicate",
            "it claims nothing",
            b'"outcome":',
            b'"assurance":"A4","outcome":',
        ),
        ("no-policy", "missing-key", "$.predicate.policy", "of what?", b'"file":"media-policy.pdf",', b""),
        (
            "open-answer",
            "bad-value",
            "$.predicate.checks[0].answer",
            "open",
            b'"answer":"yes"',
            b'"answer":"?"',
        ),
        (
            "limit-as-bool",
            "wrong-type",
            "$.predicate.limits[0].accepted",
            "no conversion",
            b'not covered","accepted":"yes"',
            b'not covered","accepted":true',
        ),
        (
            "outcome-unknown",
            "bad-value",
            "$.predicate.outcome",
            "none",
            b'"accepted-with-exceptions"',
            b'"purged"',
        ),
        (
            "state-unknown",
            "bad-value",
            "$.predicate.certificateState",
            "none",
            b"verified-with-exceptions",
            b"gone",
        ),
        ("time-without-zone", "bad-value", "$.predicate.validatedAt", "when?", b"09:00:00Z", b"09:00:00"),
        (
            "two-subjects",
            "bad-value",
            "$.subject",
            "one certificate",
            b'"subject":[',
            b'"subject":[{"name":"x","digest":{"sha256":"' + b"3" * 64 + b'"}},',
        ),
        (
            "other-predicate",
            "bad-value",
            "$.predicateType",
            "a drill",
            b"attestation/validation/v1",
            b"attestation/restore-drill/v1",
        ),
        ("spaced", "not-canonical", "$", "another form", b'{"_type":', b'{ "_type":'),
    ):
        yield bad(f"validation/{name}", kind, place, comment, swap(sound, old, new))
