"""Known-answer tests that run before every job, counted: a tool that cannot add must not erase."""

import bz2
import hashlib
import hmac
import lzma
import zlib
from base64 import b64encode
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deleatur.documents.journal import Entry, Unheld, digest_of_line, line_of, read_chain
from deleatur.errors import Failed, Malformed
from deleatur.sanitize.decoders import NAMES, Expander
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.surface import Piece
from deleatur.trust.dsse import pre_authentication_encoding


def _sha256() -> bool:
    """FIPS 180-4, the one-block message `abc`."""
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    return hashlib.sha256(b"abc").hexdigest() == expected


def _hmac() -> bool:
    """RFC 4231, test case 2."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    return hmac.digest(b"Jefe", b"what do ya want for nothing?", "sha256").hex() == expected


def _aes_ctr() -> bool:
    """NIST SP 800-38A, F.5.5, first block."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    counter = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    cipher = Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()
    return cipher.update(plain).hex() == "601ec313775789a5b7a7f504bbf3d228"


def _aes_gcm() -> bool:
    """The GCM specification, test case 13: 256-bit key of zeros, empty plain text."""
    return AESGCM(bytes(32)).encrypt(bytes(12), b"", None).hex() == "530f8afbc74536b9a963b4f1c4cb738b"


def _keystream_seeks() -> bool:
    """The pattern read at an offset is the pattern read from the start."""
    stream = Keystream("00" * 32)
    return stream.read("unit", 0, 100)[37:] == stream.read("unit", 37, 63)


def _ed25519() -> bool:
    """RFC 8032 §7.1, test 2; and the same signature over another message is refused."""
    key = Ed25519PublicKey.from_public_bytes(
        bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    )
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key.verify(signature, b"\x72")
    return _refuses(lambda: key.verify(signature, b"\x73"))


def _p256() -> bool:
    """RFC 6979 §A.2.5, P-256 with SHA-256, message `sample`; and another message is refused."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    key = ec.EllipticCurvePublicNumbers(
        0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6,
        0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299,
        ec.SECP256R1(),
    ).public_key()
    signature = encode_dss_signature(
        0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
        0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
    )
    algorithm = ec.ECDSA(hashes.SHA256())
    key.verify(signature, b"sample", algorithm)
    return _refuses(lambda: key.verify(signature, b"simple", algorithm))


def _dsse() -> bool:
    """The DSSE specification's example of the pre-authentication encoding."""
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    return pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == expected


def _scanner_sees() -> bool:
    """A planted value is found in each form, across a border, and nothing is found where it is not."""
    name = "Müller 李小龙"
    raw = name.encode()
    forms = [name.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be", "gb18030")]
    forms += [raw.hex().encode(), raw.hex().upper().encode()]
    forms += [b64encode(b"-" * before + raw + b"--") for before in range(3)]
    scanner = Scanner(NeedleSet.of([raw]))
    seen = all(scanner.search([b"xx" + form[:9], form[9:] + b"xx"]).count == 1 for form in forms)
    return seen and not any(scanner.search([form[1:9], b"-" + form[9:-2]]).count for form in forms)


def _decoders_see() -> bool:
    """A value that is compressed as each store does it is expanded: its end is a copy of its beginning."""
    text = b"Anna Berg lives here. " * 4
    literal = b"\0Anna Ber\0g lives \x40here. "
    head = b"number and neighbour"
    symbols = b"\1\3\0\0\x0a\x14\x34\1" + b"\0\0\0\0\0\0\1\0\2" + b"here. Anna Berg lives "
    stored = {
        "duckdb": symbols + b"\1\2\0" * 4,
        "innodb": bytes(4) + head + b"\x80\1" + b"\xff\x1f" + bytes(4) + head + text[:22] + b"\x16\0\x2f",
        "full-text": b"\4\0\x81\x48\0\x16" + text[:22] + b"\0\x16\x42" + text[22:] + b"\0",
        "postgresql": b"\x92\0\0\0\x58\0\0\0" + literal + b"\x0f\x16\x30",
        "redis": b"\xc3\x1a\x40\x58\x15Anna Berg lives here. \xe0\x39\x15",
        "bzip2": bz2.compress(text),
        "xz": lzma.compress(text, preset=0),  # others take 90 MiB
        "zlib": zlib.compress(text),
        "zstd": bytes.fromhex("28b52ffd2058ed0000b0") + text[:22] + bytes.fromhex("01009ed26c02"),
    }
    return stored.keys() == NAMES and all(
        any(text in part.content for part in _expanded(name, b"--" + stored[name] + b"--")) for name in NAMES
    )


def _expanded(name: str, content: bytes) -> list[Piece]:
    expander = Expander((name,))
    found = [*expander.feed(Piece("", 0, content)), *expander.end()]
    return [part for part in found if isinstance(part, Piece)]


def _chain_holds() -> bool:
    """A journal whose middle was changed is refused."""
    first = line_of(Entry(n=0, at="2026-01-01T00:00:00.000Z", previous="00" * 32, event=Unheld(asked=())))
    second = Entry(n=1, at="2026-01-01T00:00:00.000Z", previous=digest_of_line(first), event=Unheld(asked=()))
    read_chain(first + line_of(second), "00" * 32)
    changed = first.replace(b"2026", b"2027", 1)
    return _refuses(lambda: read_chain(changed + line_of(second), "00" * 32))


def _refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except (InvalidSignature, Malformed):
        return True
    return False


TESTS: tuple[Callable[[], bool], ...] = (
    _sha256,
    _hmac,
    _aes_ctr,
    _aes_gcm,
    _keystream_seeks,
    _ed25519,
    _p256,
    _dsse,
    _scanner_sees,
    _decoders_see,
    _chain_holds,
)
COUNT = 11  # a test that was lost in an edit must be noticed


def selftest() -> int:
    """Run every known-answer test and return how many passed.

    Raises:
        Failed: a test gave another answer, or one is missing.
    """
    if len(TESTS) != COUNT:
        raise Failed(f"{len(TESTS)} self-tests were found and {COUNT} must run; reinstall deleatur")
    for test in TESTS:
        if not test():
            raise Failed(
                f"self-test {test.__name__.strip('_')} gave a wrong answer; erase nothing, reinstall"
            )
    return COUNT
