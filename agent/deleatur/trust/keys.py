"""Make, keep and use signing keys: Ed25519 and ECDSA P-256, wrapped with scrypt in files.

Rules: a private key is never on disk in clear; no file is overwritten; stock `openssl pkey` opens
what stands here; the kind of a key comes from the key itself, never from a signed document; a
point that would verify anything is refused when it is read.
"""

import base64
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from deleatur.documents.codec import read_limited
from deleatur.documents.plan import PublicKey
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.fingerprint import ED25519_PREFIX, key_id, spki_bytes

__all__ = ["SigningKey", "generate", "key_id", "load_private", "load_public", "public_pem", "verifies"]

MAX_KEY_FILE = 16 << 10  # bytes; ours have under 500
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")

# Stock OpenSSL opens scrypt-wrapped PKCS#8 up to 32 MiB of memory only (SCRYPT_MAX_MEM), which is
# N = 2^14 with r = 8; OWASP's password storage sheet asks p >= 5 for that N, as the equal of
# N = 2^17, p = 1. We take 8: about a third of a second.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 14, 8, 8
_SALT = 16  # bytes, RFC 7914 §6 wants it unique; 128 random bits are

_ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)  # RFC 6979: no randomness when signing

_P = 2**255 - 19  # the field of Curve25519, RFC 7748 §4.1
_D = (-121665 * pow(121666, -1, _P)) % _P  # RFC 8032 §5.1
# y-coordinates of the eight points whose order divides 8: they verify signatures nobody made.
_LOW_ORDER = {
    0,
    1,
    _P - 1,
    int.from_bytes(
        bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
    ),
    int.from_bytes(
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
    ),
}


@dataclass(frozen=True)
class SigningKey:
    """A private key in memory, with its public half. Never printed, never written."""

    public: PublicKey
    _private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"SigningKey({self.public.name}, {self.key_id})"

    @property
    def key_id(self) -> str:
        """The fingerprint of the public half, in the style of OpenSSH."""
        return key_id(self.public)

    def sign(self, message: bytes) -> bytes:
        """Return the signature over `message`; the same message gives the same bytes."""
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return self._private.sign(message)
        return self._private.sign(message, _ECDSA)


def generate(folder: Path, name: str, kind: Literal["ed25519", "p-256"], passphrase: bytes) -> PublicKey:
    """Make a key pair: `NAME.key` (PKCS#8, scrypt, mode 0600) and `NAME.pub` (SPKI PEM) in `folder`.

    Raises:
        Refused: the name is no pseudonym of ours, the passphrase is empty, or a file is there already.
    """
    if not _NAME.match(name):
        raise Refused(f"{name[:80]!r} is no name of a key: use letters, digits, dot, dash, at most 64")
    if not passphrase:
        raise Refused(f"the key {name} needs a passphrase that is not empty")
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    if kind == "ed25519":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        private = ec.generate_private_key(ec.SECP256R1())
    public = _public_of(private, name)
    public_path = folder / f"{name}.pub"
    if os.path.lexists(public_path):
        raise Refused(f"{public_path} is there already; choose another name or move it away")
    _write_new(folder / f"{name}.key", _wrap(private, passphrase), 0o600)
    _write_new(public_path, public_pem(public), 0o644)
    return public


def load_private(path: Path, passphrase: bytes) -> SigningKey:
    """Read a private key.

    Raises:
        Refused: there is no such file, or the passphrase does not open it.
        Invalid: the file holds no Ed25519 or P-256 key wrapped with a passphrase.
    """
    pem = _read(path)
    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" not in pem:
        raise Invalid(f"{path} is not a private key wrapped with a passphrase (PKCS#8 PEM)")
    try:
        private = serialization.load_pem_private_key(pem, passphrase)
    except UnsupportedAlgorithm:
        raise Invalid(f"{path} is wrapped in a way that is not supported here") from None
    except (ValueError, TypeError):
        raise Refused(f"{path} does not open: wrong passphrase, or a damaged file") from None
    if not isinstance(private, (ed25519.Ed25519PrivateKey, ec.EllipticCurvePrivateKey)):
        raise Invalid(f"{path} holds neither an Ed25519 nor a P-256 key")
    return SigningKey(_public_of(private, _name_of(path)), private)


def load_public(path: Path) -> PublicKey:
    """Read a public key and refuse one that must not be trusted.

    Raises:
        Refused: there is no such file.
        Invalid: not an SPKI PEM, another algorithm or curve, or a point of low order.
    """
    pem = _read(path)
    try:
        public = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid(f"{path} is not a public key in PEM (SubjectPublicKeyInfo)") from None
    if not isinstance(public, (ed25519.Ed25519PublicKey, ec.EllipticCurvePublicKey)):
        raise Invalid(f"{path} holds neither an Ed25519 nor a P-256 key")
    key = PublicKey(name=_name_of(path), spki=_spki(public))
    _public(key)
    return key


def public_pem(key: PublicKey) -> bytes:
    """Return the key as SPKI PEM, the form that `openssl` and `cosign` read.

    Raises:
        Invalid: `key` is not a key that we use.
    """
    return _public(key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Say whether `signature` over `message` was made with the private half of `key`.

    Raises:
        Invalid: `key` is not a key that we use, or must not be trusted.
    """
    public = _public(key)
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(signature, message)
        else:
            public.verify(signature, message, _ECDSA)
    except InvalidSignature:
        return False
    return True


def _public(key: PublicKey) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey:
    der = spki_bytes(key)
    if der.startswith(ED25519_PREFIX):
        _require_honest_point(der[len(ED25519_PREFIX) :], key.name)
    try:
        public = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid(f"the public key {key.name} is not a point of its curve") from None
    if not isinstance(public, (ed25519.Ed25519PublicKey, ec.EllipticCurvePublicKey)):
        raise Invalid(f"the public key {key.name} is neither Ed25519 nor P-256")
    return public


def _require_honest_point(encoded: bytes, name: str) -> None:
    """Refuse an Ed25519 point that is not canonical, not on the curve, or of low order (RFC 8032 §5.1.3)."""
    y = int.from_bytes(encoded, "little") & ((1 << 255) - 1)
    if y >= _P:
        raise Invalid(f"the public key {name} is not in canonical form")
    if y in _LOW_ORDER:
        raise Invalid(f"the public key {name} is a point of low order: it would verify anything")
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if pow(square, (_P - 1) // 2, _P) != 1:
        raise Invalid(f"the public key {name} is not a point of its curve")


def _spki(public: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey) -> str:
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def _public_of(private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, name: str) -> PublicKey:
    key = PublicKey(name=name, spki=_spki(private.public_key()))
    _public(key)
    return key


def _name_of(path: Path) -> str:
    if not _NAME.match(path.stem):
        raise Invalid(f"{path.name[:80]!r} is no name of a key: use letters, digits, dot, dash, at most 64")
    return path.stem


def _read(path: Path) -> bytes:
    try:
        return read_limited(path, MAX_KEY_FILE)
    except FileNotFoundError:
        raise Refused(f"there is no key at {path}; make one with `deleatur init`") from None
    except Malformed:
        raise Invalid(f"{path} is too large to be a key") from None


def _write_new(path: Path, content: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, mode)
    except FileExistsError:
        raise Refused(f"{path} is there already; choose another name or move it away") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# pyca writes PKCS#8 with PBKDF2 of 2,048 rounds only, so the wrapping is made here: RFC 8018 §6.2
# (PBES2) with scrypt (RFC 7914 §7) and AES-256-CBC (RFC 3565 §4.1).
_OID_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_OID_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_OID_AES_256_CBC = bytes.fromhex("060960864801650304012a")


def _wrap(private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, passphrase: bytes) -> bytes:
    clear = private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    salt, vector = secrets.token_bytes(_SALT), secrets.token_bytes(algorithms.AES256.block_size // 8)
    key = Scrypt(salt=salt, length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P).derive(passphrase)
    padder = padding.PKCS7(algorithms.AES256.block_size).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(clear) + padder.finalize()) + encryptor.finalize()
    derivation = _sequence(
        _OID_SCRYPT,
        _sequence(_tlv(0x04, salt), _integer(_SCRYPT_N), _integer(_SCRYPT_R), _integer(_SCRYPT_P)),
    )
    scheme = _sequence(_OID_AES_256_CBC, _tlv(0x04, vector))
    der = _sequence(_sequence(_OID_PBES2, _sequence(derivation, scheme)), _tlv(0x04, sealed))
    body = base64.encodebytes(der).replace(b"\n", b"")
    lines = [body[i : i + 64] for i in range(0, len(body), 64)]  # RFC 7468 §2
    return b"\n".join(
        (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, b"-----END ENCRYPTED PRIVATE KEY-----", b"")
    )


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))
