"""Draft, sign and verify the validation of a certificate: a record of its own, by an identity of its own.

Rules: the certificate is verified with its evidence first, at each of the three; a validation counts by
the one key that the caller trusts for it, and only if that key had no part in the job.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deleatur.documents.certificate import Digest
from deleatur.documents.codec import encode_json
from deleatur.documents.plan import Plan, PublicKey
from deleatur.documents.toml import encode_toml
from deleatur.documents.validation import (
    Policy,
    Validation,
    decode_sheet,
    decode_validation,
    statement_of,
)
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.attesting import known_key
from deleatur.judge.fingerprint import key_id
from deleatur.judge.validation import answered, identity_objections, objections, sheet_of
from deleatur.trust.dsse import IN_TOTO, MAX_ENVELOPE, seal, unseal
from deleatur.trust.folder import ENVELOPE
from deleatur.trust.keys import SigningKey
from deleatur.trust.untrusted import named_file
from deleatur.trust.verification import Verification

MAX_POLICY = 64 << 20  # bytes of the organisation's document


@dataclass(frozen=True)
class Validated:
    """A validation that verifies, and whether its policy was compared."""

    said: Validation
    sha256: str  # of its envelope, hex
    policy_compared: bool


def draft_validation(certificate: Verification, policy: Path) -> bytes:
    """Return the sheet to fill in, as TOML, in which nothing is answered.

    Raises:
        Refused: the certificate was looked at without its evidence.
        Malformed: the policy's file has a name that a validation cannot have.
        Invalid: the policy cannot be read.
    """
    _plan(certificate)
    digest = hashlib.sha256(named_file(policy, MAX_POLICY)).hexdigest()
    held = Policy(file=policy.name, digest=Digest(sha256=digest))
    sheet = encode_toml(sheet_of(certificate.certificate, certificate.sha256, held)).encode()
    decode_sheet(sheet)
    return sheet


def sign_validation(certificate: Verification, sheet: bytes, key: SigningKey, at: str) -> bytes:
    """Return the envelope of what a filled sheet says, signed by the validator.

    Args:
        certificate: as it verified just now, with its evidence.
        sheet: `validation.toml`, filled in.
        key: the validator's.
        at: now, RFC 3339 in UTC.

    Raises:
        Refused: something is not answered, is more than the answers, or the key took part in the job.
        Malformed: the sheet does not follow docs/spec/validation.md.
    """
    plan = _plan(certificate)
    said = answered(decode_sheet(sheet), certificate.certificate, certificate.sha256, key.public, at)
    if reasons := _reasons(said, certificate, plan, key.public):
        raise Refused(f"not a validation that may be signed: {'; '.join(reasons)}")
    return seal(encode_json(statement_of(ENVELOPE, certificate.sha256, said)), IN_TOTO, [key])


def verify_validation(
    certificate: Verification, where: Path, validator: PublicKey, policy: Path | None
) -> Validated:
    """Verify a validation of a certificate that verified.

    Args:
        certificate: with its evidence.
        where: the file of the validation's envelope.
        validator: the public key that came from elsewhere, and that the caller trusts for this.
        policy: the file that it must have been held against; None to not compare.

    Raises:
        Invalid: it does not verify, is about another certificate, or its key took part in the job.
        Refused: the certificate was looked at without its evidence.
    """
    plan = _plan(certificate)
    envelope = named_file(where, MAX_ENVELOPE)
    body, signers = unseal(envelope, IN_TOTO, [validator])
    if not signers:
        raise Invalid(f"the validation is not signed by {validator.name} ({key_id(validator)})")
    try:
        statement = decode_validation(body)
    except Malformed as error:
        raise Invalid(f"not a validation: {error}") from None
    said, (subject,) = statement.predicate, statement.subject
    if (subject.name, subject.digest.sha256) != (ENVELOPE, certificate.sha256):
        raise Invalid("the validation is about another certificate than this one")
    named = PublicKey(name=said.validator.name, spki=said.validator.spki)
    if named.spki != validator.spki or known_key(named) != said.validator:
        raise Invalid(f"the validation speaks for {said.validator.name}, whose key did not sign it")
    if reasons := _reasons(said, certificate, plan, validator):
        raise Invalid(f"the validation does not hold: {'; '.join(reasons)}")
    if policy is not None:
        digest = hashlib.sha256(named_file(policy, MAX_POLICY)).hexdigest()
        if digest != said.policy.digest.sha256:
            raise Invalid(f"the validation was held against another policy than {policy.name}")
    return Validated(said, hashlib.sha256(envelope).hexdigest(), policy is not None)


def said_in(envelope: bytes) -> Validation:
    """Return what a validation says; nothing is verified.

    Raises:
        Invalid: it is none.
    """
    body, _ = unseal(envelope, IN_TOTO, [])
    try:
        return decode_validation(body).predicate
    except Malformed as error:
        raise Invalid(f"not a validation: {error}") from None


def _reasons(said: Validation, certificate: Verification, plan: Plan, key: PublicKey) -> Sequence[str]:
    whole = certificate.certificate
    others = (*certificate.signers, *certificate.operators)
    return [*objections(said, whole), *identity_objections(key, whole, plan, others)]


def _plan(certificate: Verification) -> Plan:
    """Return the plan beside a certificate: it says who may have taken part."""
    if certificate.plan is None:
        raise Refused("a validation needs the whole certificate; name its folder, not its envelope alone")
    return certificate.plan
