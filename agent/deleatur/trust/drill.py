"""The custodian's signed word about a drill: this archive was opened to its end, in so many seconds.

An in-toto Statement in a DSSE envelope about the sealed file, as a receipt is. Rules: it counts by the
key of a custodian; it is attested, since nobody of ours was there.
"""

from typing import Literal

from deleatur.documents.certificate import STATEMENT_TYPE, Digest, Part, Subject, Time
from deleatur.documents.codec import decode_canonical, encode_json
from deleatur.documents.place import Count, Name
from deleatur.documents.plan import PublicKey
from deleatur.errors import Invalid, Malformed
from deleatur.judge.fingerprint import key_id
from deleatur.trust.dsse import IN_TOTO, seal, unseal
from deleatur.trust.keys import SigningKey

# A name that nobody can own, until the project owns one: docs/adr/0014-type-uris-under-a-reserved-name.md
DrillType = Literal["https://deleatur.example/attestation/restore-drill/v1"]
DRILL_TYPE: DrillType = "https://deleatur.example/attestation/restore-drill/v1"


class Drill(Part, frozen=True):
    """What a custodian saw when the archive was opened for trial."""

    schema_version: Literal["deleatur/restore-drill/v1"]
    custodian: Name
    contents: Digest  # of the plain tar inside; its manifests were compared, too
    size: Count  # bytes of the sealed file
    started_at: Time
    seconds: Count  # until the last digest was compared, by a clock that nobody sets


class DrillStatement(Part, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The Statement that carries `Drill`."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject]
    predicate_type: DrillType
    predicate: Drill


def sign_drill(file: str, sha256: str, drill: Drill, key: SigningKey) -> bytes:
    """Return a custodian's envelope over a drill."""
    statement = DrillStatement(
        type_=STATEMENT_TYPE,
        subject=(Subject(name=file, digest=Digest(sha256=sha256)),),
        predicate_type=DRILL_TYPE,
        predicate=drill,
    )
    return seal(encode_json(statement), IN_TOTO, [key])


def drill_in(envelope: bytes, custodian: PublicKey) -> tuple[str, str, Drill]:
    """Return file, SHA-256 and the drill, if this custodian signed it as their own.

    Raises:
        Invalid: not such a statement, or not this custodian's.
    """
    payload, signers = unseal(envelope, IN_TOTO, [custodian])
    if not signers:
        raise Invalid(f"not signed by {custodian.name} ({key_id(custodian)})")
    try:
        statement = decode_canonical(payload, DrillStatement)
    except Malformed as error:
        raise Invalid(f"not a drill: {error}") from None
    if statement.predicate.custodian != custodian.name:
        raise Invalid(f"the drill speaks for {statement.predicate.custodian}, not for {custodian.name}")
    (subject,) = statement.subject
    return subject.name, subject.digest.sha256, statement.predicate
