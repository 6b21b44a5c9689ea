"""The validation of a certificate: the sheet that a person fills in, and the statement that they sign.

NIST SP 800-88r2 §4.5.2: the organisation accepts an outcome or does not; verification is the certificate's
(docs/spec/validation.md). It names the certificate by digest, adds nothing to what that claims, and
answers every limit and every exception of it one by one.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.certificate import STATEMENT_TYPE, Digest, Key, Part, State, Subject, Time
from deleatur.documents.codec import decode_canonical, decode_toml
from deleatur.documents.place import Digest as Hex
from deleatur.documents.place import Frozen, Name, Text
from deleatur.documents.rules import Fault, personal_text, raise_all

# A name that nobody can own, until the project owns one: docs/adr/0014-type-uris-under-a-reserved-name.md
ValidationType = Literal["https://deleatur.example/attestation/validation/v1"]
VALIDATION_TYPE: ValidationType = "https://deleatur.example/attestation/validation/v1"
MAX_VALIDATION = 16 << 20  # bytes; a certificate for a thousand targets has under 10 MB

OPEN: Literal["?"] = "?"  # what nobody has answered yet
Outcome = Literal["accepted", "accepted-with-exceptions", "rejected"]
Check = Literal["certificate-verified-offline", "journal-recomputed", "limits-read", "policy-met"]
CHECKS: tuple[Check, ...] = (
    "certificate-verified-offline",
    "journal-recomputed",
    "limits-read",
    "policy-met",
)
Answer = Literal["yes", "no"]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]


class Policy(Part, frozen=True):
    """What the outcome was held against: a file of the organisation, by what is in it."""

    file: FileName
    digest: Digest


class Checked(Part, frozen=True):
    """Something that the validator says they looked at."""

    name: Check
    answer: Answer


class Limit(Part, frozen=True):
    """A limit of the certificate, and whether it is accepted."""

    id: str
    text: str
    accepted: Answer


class Exempted(Part, frozen=True):
    """An exception of the certificate, whether it is accepted, and why."""

    target_id: str
    type: str
    text: str
    accepted: Answer
    reason: Text


class Validation(Part, frozen=True):
    """The predicate: whether somebody accepts what a certificate says, and on which grounds."""

    schema_version: Literal["deleatur/validation/v1"]
    certificate_id: str
    certificate_state: State  # as the certificate has it
    validator: Key
    validated_at: Time
    policy: Policy
    checks: tuple[Checked, ...]
    limits: tuple[Limit, ...]
    exceptions: tuple[Exempted, ...]
    outcome: Outcome
    reason: Text


class ValidationStatement(Frozen, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The in-toto Statement that carries `Validation`; its subject is the certificate's envelope."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject]
    predicate_type: ValidationType
    predicate: Validation


class CheckAsked(Frozen, frozen=True):
    """A check, to be answered."""

    name: Check
    answer: Literal["yes", "no", "?"]


class LimitAsked(Frozen, frozen=True):
    """A limit, to be answered."""

    id: Name
    text: str
    accepted: Literal["yes", "no", "?"]


class ExceptionAsked(Frozen, frozen=True):
    """An exception, to be answered with a reason."""

    target: Name
    type: Name
    text: str
    accepted: Literal["yes", "no", "?"]
    reason: Text


class Sheet(Frozen, frozen=True):
    """`validation.toml`: everything that has to be answered; `?` stands where nothing is said yet."""

    schema: Literal["deleatur/validation-sheet/v1"]
    certificate: Name
    certificate_sha256: Hex
    policy: FileName
    policy_sha256: Hex
    outcome: Literal["accepted", "accepted-with-exceptions", "rejected", "?"]
    reason: Text
    check: Annotated[tuple[CheckAsked, ...], Meta(min_length=1)]
    limit: tuple[LimitAsked, ...] = ()
    exception: tuple[ExceptionAsked, ...] = ()


def decode_sheet(content: bytes) -> Sheet:
    """Decode `validation.toml`.

    Raises:
        Malformed: what docs/spec/validation.md forbids.
    """
    sheet = decode_toml(content, Sheet, limit=MAX_VALIDATION)
    raise_all([*_faults(sheet)])
    return sheet


def decode_validation(body: bytes) -> ValidationStatement:
    """Decode the statement of a validation.

    Raises:
        Malformed: what docs/spec/validation.md forbids.
    """
    return decode_canonical(body, ValidationStatement, limit=MAX_VALIDATION)


def statement_of(certificate_file: str, sha256: str, validation: Validation) -> ValidationStatement:
    """Return the statement about a certificate's envelope."""
    return ValidationStatement(
        type_=STATEMENT_TYPE,
        subject=(Subject(name=certificate_file, digest=Digest(sha256=sha256)),),
        predicate_type=VALIDATION_TYPE,
        predicate=validation,
    )


def _faults(sheet: Sheet) -> Iterator[Fault]:
    yield from personal_text(sheet.reason, "$.reason")
    for n, asked in enumerate(sheet.exception):
        yield from personal_text(asked.reason, f"$.exception[{n}].reason")
