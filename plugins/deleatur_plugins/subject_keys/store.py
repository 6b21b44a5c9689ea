"""The key store: one file for the wrapped data key of each subject, and values sealed under those keys.

Rules kept: no name and no key of a subject stands anywhere in clear; a key has one place, a block of its
own, so that destroying it is one overwrite; "there is no such key" is said only if the folder of keys
itself says so, and everything else that goes wrong is another error.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from deleatur.api import Gone, Refused

KEY, NONCE, TAG = 32, 12, 16  # bytes: AES-256, and GCM as NIST SP 800-38D §5.2.1 recommends it
BLOCK = 4096  # bytes of a key's file: a block of its own on every file system in use
WRAPPED = NONCE + KEY + TAG  # bytes
MAGIC = b"deleatur key v1\n"
SEALED = b"\x01"  # first byte of a sealed value
_ID = 64  # hexadecimal digits
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class KeyNotFound(Refused):
    """The store itself says that there is no key for this subject: nothing of theirs can be opened."""


class KeyStore:
    """An open store. Keys are read each time and kept nowhere; close it, or use it with `with`."""

    column = "subject"

    def __init__(self, folder: str | Path, kek: bytes) -> None:
        """Open a store with its key-encryption key of 32 bytes.

        Raises:
            Refused: the key is not that of this store, or the folder is no store.
            Gone: there is no such folder.
        """
        if len(kek) != KEY:
            raise Refused(f"a key-encryption key has {KEY} bytes, this one has {len(kek)}")
        self._names, self._wrapping, check = (_derived(kek, use) for use in (b"names", b"wrapping", b"check"))
        with ExitStack() as opened:
            try:
                self._keys = open_quietly(str(Path(folder) / "keys"), _READ | os.O_DIRECTORY)
            except FileNotFoundError:
                raise Gone("there is no key store here") from None
            opened.callback(os.close, self._keys)
            if not hmac.compare_digest(_content("check", self._keys, ".."), check):
                raise Refused("this key-encryption key is not that of the store")
            opened.pop_all()

    @classmethod
    def create(cls, folder: str | Path, kek: bytes) -> Self:
        """Make an empty store in a folder that does not exist yet, and open it.

        Raises:
            FileExistsError: something is there.
        """
        if len(kek) != KEY:
            raise Refused(f"a key-encryption key has {KEY} bytes, this one has {len(kek)}")
        path = Path(folder)
        path.mkdir(mode=0o700)
        (path / "keys").mkdir(mode=0o700)
        with (path / "check").open("wb") as file:
            file.write(_derived(kek, b"check"))
            file.flush()
            os.fsync(file.fileno())
        for made in (path / "keys", path, path.parent):
            _flush(made)
        return cls(path, kek)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        os.close(self._keys)

    def seal(self, subject: str, column: str, value: bytes) -> bytes:
        """Return `value` sealed for one column of one subject, whose key is made on first use."""
        name = self.name_of(subject)
        try:
            key = self._key(name)
        except KeyNotFound:
            key = self._made(name)
        return sealed(key, name, column, value, secrets.token_bytes(NONCE))

    def open(self, subject: str, column: str, value: bytes) -> bytes:
        """Return what was sealed for this column of this subject.

        Raises:
            KeyNotFound: the subject has no key: it was destroyed, or never made.
            Refused: sealed for another subject or column, changed, or the key is damaged.
            PermissionError: the store is not for this user.
        """
        return self.open_by_name(self.name_of(subject), column, value)

    def open_by_name(self, name: str, column: str, value: bytes) -> bytes:
        """Return what was sealed, by the name of the key; raises as `open`."""
        key = self._key(name)
        nonce, rest = parts_of(value)
        try:
            return AESGCM(key).decrypt(nonce, rest, bound(name, column))
        except InvalidTag:
            raise Refused("a value was sealed for another subject, column or key, or was changed") from None

    def name_of(self, subject: str) -> str:
        """Return the name of a subject's key: 64 hexadecimal digits that only the store's key can compute."""
        return hmac.new(self._names, subject.encode(), hashlib.sha256).hexdigest()

    def names(self) -> Iterator[str]:
        """Yield the name of every key there is, in order."""
        found = sorted(os.listdir(self._keys))  # noqa: PTH208 - pathlib knows no descriptors
        yield from (name for name in found if len(name) == _ID and not name.startswith("."))

    def content(self, name: str) -> bytes:
        """Return the bytes of a key's file, below the cache or not.

        Raises:
            KeyNotFound: the folder of keys says that it is not there.
        """
        return _content(name, self._keys)

    def wrapped(self, name: str) -> bytes:
        """Return the wrapped key, as it lies in the store; raises as `content`."""
        return self.content(name)[len(MAGIC) :][:WRAPPED]

    def canary(self, name: str, column: str, nonce: bytes) -> bytes:
        """Return an empty value sealed under a key, to see later whether it opens; raises as `open`."""
        return sealed(self._key(name), name, column, b"", nonce)

    def _key(self, name: str) -> bytes:
        content = self.content(name)
        wrapped = content[len(MAGIC) :][:WRAPPED]
        try:
            if not content.startswith(MAGIC):
                raise InvalidTag
            return AESGCM(self._wrapping).decrypt(wrapped[:NONCE], wrapped[NONCE:], name.encode())
        except InvalidTag:
            raise Refused(f"key-{name[:16]} is damaged, or is being destroyed") from None

    def _made(self, name: str) -> bytes:
        """Make a key, durably and as a whole; another process may have been faster."""
        nonce = secrets.token_bytes(NONCE)
        key = AESGCM.generate_key(bit_length=8 * KEY)
        wrapped = nonce + AESGCM(self._wrapping).encrypt(nonce, key, name.encode())
        fd = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=self._keys)
        try:
            os.write(fd, (MAGIC + wrapped).ljust(BLOCK, b"\0"))
            os.fsync(fd)
            with suppress(FileExistsError):
                os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=self._keys, follow_symlinks=True)
            os.fsync(self._keys)
        finally:
            os.close(fd)
        return self._key(name)


def sealed(key: bytes, name: str, column: str, value: bytes, nonce: bytes) -> bytes:
    """Return a sealed value: version, nonce, ciphertext, tag. A nonce is used once with a key."""
    return SEALED + nonce + AESGCM(key).encrypt(nonce, value, bound(name, column))


def parts_of(value: bytes) -> tuple[bytes, bytes]:
    """Return the nonce of a sealed value, and its ciphertext with the tag.

    Raises:
        Refused: it is none.
    """
    nonce, rest = value[1 : 1 + NONCE], value[1 + NONCE :]
    if value[:1] != SEALED or len(rest) < TAG:
        raise Refused("this is no sealed value of version 1")
    return nonce, rest


def bound(name: str, column: str) -> bytes:
    """Return what a value is bound to: nobody can move it to another person, or to another column."""
    return b"deleatur value v1\0" + name.encode() + b"\0" + column.encode()


def _derived(kek: bytes, use: bytes) -> bytes:
    """Derive the key of one use (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY, salt=None, info=b"deleatur key store v1 " + use).derive(kek)


def _content(name: str, folder: int, at: str = ".") -> bytes:
    with _opened(f"{at}/{name}", folder) as fd:
        return os.pread(fd, BLOCK, 0)


@contextmanager
def _opened(name: str, folder: int) -> Iterator[int]:
    try:
        fd = open_quietly(name, _READ, folder)
    except FileNotFoundError:
        if os.fstat(folder).st_nlink == 0:
            raise Refused("the folder of keys was removed while it was open") from None
        raise KeyNotFound("there is no such key") from None
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: a file of the key store") from None
    try:
        yield fd
    finally:
        os.close(fd)


def open_quietly(name: str, flags: int, folder: int | None = None) -> int:
    """Open without a trace in the time of access; who does not own the file may not ask for that."""
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(name, flags, dir_fd=folder)


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
