"""The files of a SoftHSM token: which of them holds which key, and the wrapped bytes in it.

SoftHSM keeps each object in a file of its own, wrapped by a key that the PIN opens; it removes the file of a
key that is destroyed and overwrites nothing (measured: tests/integration/test_token_keys.py). Rule kept:
what cannot be read is an error, never an object that is not there.
"""

import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from deleatur.api import Refused, Transient

_TOKEN = "token.object"  # noqa: S105 - a file's name
_SERIAL, _USER_PIN = 0x8000534A, 0x8000534D  # CKA_OS_TOKENSERIAL, CKA_OS_USERPIN of SoftHSM's store
_VENDOR = 0x80000000  # CKA_VENDOR_DEFINED
_VALUE, _ID = 0x11, 0x102  # CKA_VALUE, CKA_ID: PKCS#11 v2.40
_FIXED = {1: 1, 2: 8}  # kinds of attributes and their bytes: boolean, number; 3 is a string with its length
_STRING = 3
_SALT, _IV = 8, 16  # bytes
_ROUNDS = 1500  # and the last byte of the salt, of SHA-256
_MAGIC = b"RJR"


class SoftHsmFiles:
    """The folder of one token."""

    def __init__(self, tokens: str, serial: bytes, pin: bytes) -> None:
        """Find the token's folder by its serial number, and open the key of its objects.

        Raises:
            Refused: no folder there, or several, an unreadable one, or a PIN of another token.
        """
        try:
            files = Path(tokens).glob(f"*/{_TOKEN}")
            found = [path for path in files if _attributes(path).get(_SERIAL) == serial]
        except (OSError, struct.error, ValueError) as error:
            told = type(error).__name__
            raise Refused(f"a folder of SoftHSM cannot be read ({told}); mend or remove it") from None
        if len(found) != 1:
            raise Refused(f"{len(found)} folders of SoftHSM hold this token, and it has to be one")
        self.folder = found[0].parent
        self._key = _opened(_attributes(found[0]).get(_USER_PIN, b""), pin)

    def wrapped(self) -> dict[str, list[tuple[Path, bytes]]]:
        """Return, for each CKA_ID in hexadecimal, the files of the objects and their wrapped values."""
        found: dict[str, list[tuple[Path, bytes]]] = {}
        for path in sorted(self.folder.glob("*.object")):
            if path.name == _TOKEN:
                continue
            try:
                attributes = _attributes(path)
                if attributes.get(_ID):
                    name = self._plain(attributes[_ID]).hex()
                    found.setdefault(name, []).append((path, attributes.get(_VALUE, b"")))
            except FileNotFoundError:  # destroyed meanwhile
                continue
            except (ValueError, struct.error):
                raise Transient(
                    "an object of the token cannot be read: it is being written, or no private one; try again"
                ) from None
        return found

    def _plain(self, wrapped: bytes) -> bytes:
        return _decrypted(self._key, wrapped)


def _attributes(path: Path) -> dict[int, bytes]:
    """Return the attributes of an object up to CKA_ID; they are sorted by type."""
    content = path.read_bytes()
    return dict(_read(content))


def _read(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 8  # bytes: how often the file was written
    while at < len(content):
        kind, form = struct.unpack_from(">QQ", content, at)
        at += 16
        if _ID < kind < _VENDOR:
            return
        if form == _STRING:
            (size,) = struct.unpack_from(">Q", content, at)
            at += 8
        else:
            size = _FIXED.get(form, len(content))
        if at + size > len(content):
            raise ValueError("cut")
        yield kind, content[at : at + size]
        at += size


def _opened(blob: bytes, pin: bytes) -> bytes:
    """Unwrap the token's key with the user's PIN."""
    salt, rest = blob[:_SALT], blob[_SALT:]
    digest = hashlib.sha256(salt + pin).digest()
    for _ in range(_ROUNDS - 1 + (salt[-1] if salt else 0)):
        digest = hashlib.sha256(digest).digest()
    try:
        plain = _decrypted(digest, rest)
    except ValueError:
        plain = b""
    if not plain.startswith(_MAGIC):
        raise Refused("the files of the token are not opened by its PIN")
    return plain.removeprefix(_MAGIC)


def _decrypted(key: bytes, wrapped: bytes) -> bytes:
    """Decrypt AES-256-CBC with its IV in front. Raises ValueError when that is not what it is."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(wrapped[:_IV])).decryptor()
    padded = decryptor.update(wrapped[_IV:]) + decryptor.finalize()
    unpadder = PKCS7(8 * _IV).unpadder()
    return unpadder.update(padded) + unpadder.finalize()
