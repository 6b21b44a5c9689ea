"""Name public keys: the fingerprint that `ssh-keygen -l` prints for the same key.

A fingerprint helps a person to compare two keys. It is never counted: what counts is the
SubjectPublicKeyInfo itself.
"""

import base64
import binascii
import hashlib

from deleatur.documents.plan import PublicKey
from deleatur.errors import Invalid

# RFC 8410 §4 and RFC 5480 §2.1.1: the DER bytes before the key itself, for the two kinds we use.
ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")
P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_ED25519_SIZE = 32  # bytes, RFC 8032 §5.1.5
_P256_SIZE = 65  # bytes: 0x04 and two coordinates, SEC 1 §2.3.3


def spki_bytes(key: PublicKey) -> bytes:
    """Return the DER bytes of the key's SubjectPublicKeyInfo.

    Raises:
        Invalid: not canonical base64, or neither Ed25519 nor P-256 in the one form we write.
    """
    try:
        der = base64.b64decode(key.spki, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(f"the public key {key.name} is not base64") from None
    if base64.b64encode(der).decode() != key.spki:
        raise Invalid(f"the public key {key.name} is not in canonical base64")
    if der.startswith(ED25519_PREFIX) and len(der) == len(ED25519_PREFIX) + _ED25519_SIZE:
        return der
    if der.startswith(P256_PREFIX + b"\x04") and len(der) == len(P256_PREFIX) + _P256_SIZE:
        return der
    raise Invalid(f"the public key {key.name} is neither Ed25519 nor an uncompressed P-256 point")


def key_id(key: PublicKey) -> str:
    """Return the key's fingerprint in the style of OpenSSH, such as `SHA256:Nf2p…` (RFC 4253 §6.6).

    Raises:
        Invalid: `key` is neither Ed25519 nor P-256.
    """
    der = spki_bytes(key)
    if der.startswith(ED25519_PREFIX):
        blob = _string(b"ssh-ed25519") + _string(der[len(ED25519_PREFIX) :])
    else:
        blob = _string(b"ecdsa-sha2-nistp256") + _string(b"nistp256") + _string(der[len(P256_PREFIX) :])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _string(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content
