"""The signed words about an archive: a copy read back, a receipt, a hand-over.

Each is an in-toto Statement in a DSSE envelope about the sealed file. Rules: what counts is the key that the
plan names; a receipt holds a proof that only who opened the archive can make; a word about other bytes,
or by another key, is no word at all.
"""

import hmac
from collections.abc import Sequence
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from deleatur.documents.certificate import STATEMENT_TYPE, Digest, Part, Subject, Time
from deleatur.documents.codec import decode_canonical, encode_json
from deleatur.documents.place import Count, Name
from deleatur.documents.place import Digest as Hex
from deleatur.documents.plan import PublicKey
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.fingerprint import key_id
from deleatur.trust.dsse import IN_TOTO, Envelope, decode_envelope, seal, unseal
from deleatur.trust.keys import SigningKey

# A name that nobody can own, until the project owns one: docs/adr/0014-type-uris-under-a-reserved-name.md
CopyType = Literal["https://deleatur.example/attestation/archive-copy/v1"]
ReceiptType = Literal["https://deleatur.example/attestation/archive-receipt/v1"]
HandoverType = Literal["https://deleatur.example/attestation/archive-handover/v1"]
COPY_TYPE: CopyType = "https://deleatur.example/attestation/archive-copy/v1"
RECEIPT_TYPE: ReceiptType = "https://deleatur.example/attestation/archive-receipt/v1"
HANDOVER_TYPE: HandoverType = "https://deleatur.example/attestation/archive-handover/v1"
Recipient = Annotated[str, Meta(pattern=r"^age1[0-9a-z]{10,4000}\Z")]
Document = TypeVar("Document", bound=msgspec.Struct)


class CopyRead(Part, frozen=True):
    """A copy as its medium gave it, whole, through a fresh handle."""

    schema_version: Literal["deleatur/archive-copy/v1"]
    copy: Name  # its id in the plan
    size: Count  # bytes
    disks: tuple[str, ...]  # serial numbers, or names of devices that tell none
    file: str  # st_dev:st_ino
    way: Literal["direct", "uncached"]
    at: Time


class Receipt(Part, frozen=True):
    """A custodian's word: I have opened this archive, whole, and keep it."""

    schema_version: Literal["deleatur/archive-receipt/v1"]
    custodian: Name
    contents: Digest  # of the plain tar inside
    proof: Hex  # HMAC-SHA256 under the challenge inside the archive
    at: Time


class Handover(Part, frozen=True):
    """What the leaving custodian, the successor and the approver sign: from now on another key opens it."""

    schema_version: Literal["deleatur/archive-handover/v1"]
    leaving: Name
    successor: Name
    key: str  # SubjectPublicKeyInfo of the successor, base64
    recipient: Recipient  # of the successor
    before: Digest  # of the sealed file that the leaving custodian opened
    size: Count  # bytes of the file that was sealed anew
    contents: Digest  # of the plain tar: the same in both
    at: Time


class CopyStatement(Part, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The Statement that carries `CopyRead`."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: CopyType
    predicate: CopyRead


class ReceiptStatement(Part, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The Statement that carries `Receipt`."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: ReceiptType
    predicate: Receipt


class HandoverStatement(Part, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The Statement that carries `Handover`; its subject is the file that was sealed anew."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: HandoverType
    predicate: Handover


def challenge_of(key: bytes, plan_digest: str, package: str) -> bytes:
    """Return the 32 bytes that lie in one package (`Archived.package`), from the job's secret."""
    return hmac.digest(key, f"deleatur/archive-receipt/v1/{plan_digest}/{package}".encode(), "sha256")


def sign_copy(file: str, sha256: str, copy: CopyRead, key: SigningKey) -> bytes:
    """Return the agent's envelope over a copy that was read back."""
    return _sealed(
        CopyStatement(
            type_=STATEMENT_TYPE,
            subject=(Subject(name=file, digest=Digest(sha256=sha256)),),
            predicate_type=COPY_TYPE,
            predicate=copy,
        ),
        key,
    )


def copy_in(envelope: bytes, agent: PublicKey) -> tuple[str, str, CopyRead]:
    """Return file, SHA-256 and what was read, if the agent signed it.

    Raises:
        Invalid: not such a statement, or not signed by the agent.
    """
    statement = _opened(envelope, CopyStatement, agent)
    return *_subject(statement.subject), statement.predicate


def sign_receipt(
    file: str, sha256: str, *, custodian: str, contents: str, challenge: bytes, at: str, key: SigningKey
) -> bytes:
    """Return a custodian's envelope over an archive that was opened; `at` is RFC 3339 in UTC with `Z`."""
    proof = _proof(challenge, sha256, custodian, contents, at)
    return _sealed(
        ReceiptStatement(
            type_=STATEMENT_TYPE,
            subject=(Subject(name=file, digest=Digest(sha256=sha256)),),
            predicate_type=RECEIPT_TYPE,
            predicate=Receipt(
                schema_version="deleatur/archive-receipt/v1",
                custodian=custodian,
                contents=Digest(sha256=contents),
                proof=proof,
                at=at,
            ),
        ),
        key,
    )


def receipt_in(envelope: bytes, custodian: PublicKey) -> tuple[str, str, Receipt]:
    """Return file, SHA-256 and receipt, if the custodian signed it; whether it was opened is not asked here.

    Raises:
        Invalid: not such a statement, or not signed by this custodian.
    """
    statement = _opened(envelope, ReceiptStatement, custodian)
    if statement.predicate.custodian != custodian.name:
        raise Invalid(f"the receipt speaks for {statement.predicate.custodian}, not for {custodian.name}")
    return *_subject(statement.subject), statement.predicate


def require_opened(sha256: str, receipt: Receipt, *, contents: str, challenge: bytes) -> None:
    """Ask that who signed a receipt has opened the archive, to its end.

    Raises:
        Refused: the proof is not one, or the contents are not those that were sealed.
    """
    if receipt.contents.sha256 != contents:
        raise Refused(f"the receipt of {receipt.custodian} is about other contents than were sealed")
    wanted = _proof(challenge, sha256, receipt.custodian, contents, receipt.at)
    if not hmac.compare_digest(wanted, receipt.proof):
        raise Refused(f"the receipt of {receipt.custodian} does not show that the archive was opened")


def sign_handover(file: str, sha256: str, handover: Handover, key: SigningKey) -> bytes:
    """Return the first signature over a hand-over, that of the leaving custodian."""
    return _sealed(
        HandoverStatement(
            type_=STATEMENT_TYPE,
            subject=(Subject(name=file, digest=Digest(sha256=sha256)),),
            predicate_type=HANDOVER_TYPE,
            predicate=handover,
        ),
        key,
    )


def sign_too(envelope: bytes, key: SigningKey) -> bytes:
    """Return the envelope of a hand-over with one more signature over the same bytes.

    Raises:
        Invalid: it is no hand-over.
        Refused: the key has signed already.
    """
    handover_in(envelope, ())
    payload, signed = unseal(envelope, IN_TOTO, [key.public])
    if signed:
        raise Refused(f"{key.key_id} has signed this hand-over already, and counts once")
    before = msgspec.json.decode(envelope, type=Envelope)
    after = msgspec.json.decode(seal(payload, IN_TOTO, [key]), type=Envelope)
    return encode_json(msgspec.structs.replace(before, signatures=before.signatures + after.signatures))


def handover_in(
    envelope: bytes, known: Sequence[PublicKey]
) -> tuple[str, str, Handover, tuple[PublicKey, ...]]:
    """Return file, SHA-256, the hand-over, and which of the known keys signed it; the successor's is its own.

    Raises:
        Invalid: not such a statement.
    """
    try:
        statement = decode_canonical(decode_envelope(envelope).payload, HandoverStatement)
    except Malformed as error:
        raise Invalid(f"not a hand-over: {error}") from None
    successor = PublicKey(name=statement.predicate.successor, spki=statement.predicate.key)
    signers = unseal(envelope, IN_TOTO, [*known, successor])[1]
    return *_subject(statement.subject), statement.predicate, signers


def _sealed(statement: msgspec.Struct, key: SigningKey) -> bytes:
    return seal(encode_json(statement), IN_TOTO, [key])


def _opened(envelope: bytes, kind: type[Document], key: PublicKey) -> Document:
    payload, signers = unseal(envelope, IN_TOTO, [key])
    if not signers:
        raise Invalid(f"not signed by {key.name} ({key_id(key)})")
    try:
        return decode_canonical(payload, kind)
    except Malformed as error:
        raise Invalid(f"not the statement that is expected: {error}") from None


def _subject(subjects: tuple[Subject, ...]) -> tuple[str, str]:
    if len(subjects) != 1:
        raise Invalid(f"the statement is about {len(subjects)} files and must be about one")
    return subjects[0].name, subjects[0].digest.sha256


def _proof(challenge: bytes, sha256: str, custodian: str, contents: str, at: str) -> str:
    lines = "\n".join(("deleatur/archive-receipt/v1", sha256, contents, custodian, at)) + "\n"
    return hmac.new(challenge, lines.encode(), "sha256").hexdigest()
