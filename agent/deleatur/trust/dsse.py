"""Seal and unseal DSSE envelopes (secure-systems-lab/dsse, protocol version 1.0.2).

Rules: what was signed is handed on byte for byte; the key id is a hint and never counted; signers
are distinct public keys; the algorithm comes from the trusted key; only canonical base64 is read.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from deleatur.documents.codec import decode_json, encode_json
from deleatur.documents.place import Frozen
from deleatur.documents.plan import PublicKey
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.fingerprint import spki_bytes
from deleatur.trust.keys import SigningKey, verifies

MAX_ENVELOPE = 64 << 20  # bytes; a certificate for a thousand targets has under 10 MB
MAX_SIGNATURES = 32  # more is an attack: each costs a verification per trusted key
IN_TOTO = "application/vnd.in-toto+json"  # in-toto attestation framework, spec v1, envelope


class Signature(Frozen, frozen=True):
    """One signature of an envelope."""

    sig: str
    keyid: str = ""


class Envelope(Frozen, frozen=True):
    """A payload and the signatures over it."""

    payload: str
    payloadType: str  # noqa: N815 - the name DSSE gives it
    signatures: tuple[Signature, ...]


class Opened(NamedTuple):
    """An envelope with its base64 taken off; nothing in it is verified."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed (DSSE protocol, "PAE")."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(payload: bytes, payload_type: str, keys: Sequence[SigningKey]) -> bytes:
    """Return an envelope over `payload`, signed by every key in turn.

    Raises:
        Refused: there is no key, or one public key stands twice.
    """
    if not keys:
        raise Refused("nothing can be sealed without a key; name at least one")
    if len({key.public.spki for key in keys}) != len(keys):
        raise Refused("one key would sign twice; name distinct keys")
    message = pre_authentication_encoding(payload_type, payload)
    return encode_json(
        Envelope(
            payload=base64.b64encode(payload).decode(),
            payloadType=payload_type,
            signatures=tuple(
                Signature(keyid=key.key_id, sig=base64.b64encode(key.sign(message)).decode()) for key in keys
            ),
        )
    )


def add_signature(envelope: bytes, key: SigningKey) -> bytes:
    """Return the envelope with one signature more over the same payload.

    The caller has asked what the payload says, and whose signatures are there.

    Raises:
        Malformed: it is no envelope, or holds as many signatures as are read.
    """
    opened = decode_envelope(envelope)
    parsed = decode_json(envelope, Envelope, limit=MAX_ENVELOPE)
    message = pre_authentication_encoding(opened.payload_type, opened.payload)
    added = Signature(keyid=key.key_id, sig=base64.b64encode(key.sign(message)).decode())
    signed = encode_json(msgspec.structs.replace(parsed, signatures=(*parsed.signatures, added)))
    decode_envelope(signed)
    return signed


def unseal(
    envelope: bytes, payload_type: str, trusted: Sequence[PublicKey]
) -> tuple[bytes, tuple[PublicKey, ...]]:
    """Return the payload and the distinct trusted keys whose signatures over it verify.

    Signatures by keys that are not trusted are no error and do not count. It is for the caller to
    ask whether there are enough signers; there may be none.

    Raises:
        Invalid: not an envelope, another payload type, or base64 that is not canonical.
    """
    try:
        opened = decode_envelope(envelope)
    except Malformed as error:
        raise Invalid(f"not a DSSE envelope: {error}") from None
    if opened.payload_type != payload_type:
        raise Invalid(f"the envelope holds {opened.payload_type[:80]!r} where {payload_type} is expected")
    payload, signatures = opened.payload, opened.signatures
    message = pre_authentication_encoding(payload_type, payload)
    signers: dict[bytes, PublicKey] = {}
    for key in trusted:
        spki = spki_bytes(key)
        if spki not in signers and any(verifies(key, signature, message) for signature in signatures):
            signers[spki] = key
    return payload, tuple(signers.values())


def signature_places(envelope: bytes, keys: Sequence[PublicKey]) -> tuple[tuple[int, PublicKey], ...]:
    """Return which signature of an envelope, counted from 0, is by which of these keys.

    Raises:
        Malformed: it is no envelope.
        Invalid: a key is none that we use.
    """
    opened = decode_envelope(envelope)
    message = pre_authentication_encoding(opened.payload_type, opened.payload)
    return tuple(
        (number, key)
        for number, signature in enumerate(opened.signatures)
        for key in keys
        if verifies(key, signature, message)
    )


def decode_envelope(envelope: bytes) -> Opened:
    """Decode an envelope strictly; its signatures are not checked here.

    Raises:
        Malformed: what docs/spec/certificate.md forbids of an envelope.
    """
    parsed = decode_json(envelope, Envelope, limit=MAX_ENVELOPE)
    if not 1 <= len(parsed.signatures) <= MAX_SIGNATURES:
        raise Malformed(
            f"{len(parsed.signatures)} signatures; 1 to {MAX_SIGNATURES} are read",
            kind="bad-value",
            where="$.signatures",
        )
    return Opened(
        payload_type=parsed.payloadType,
        payload=_base64(parsed.payload, "$.payload"),
        signatures=tuple(
            _base64(entry.sig, f"$.signatures[{number}].sig")
            for number, entry in enumerate(parsed.signatures)
        ),
    )


def _base64(text: str, where: str) -> bytes:
    """Decode strictly: base64 has many spellings of one value, and one is canonical (RFC 4648 §3.5)."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64", kind="bad-value", where=where) from None
    if base64.b64encode(content).decode() != text:
        raise Malformed("not in canonical base64", kind="not-canonical", where=where)
    return content
