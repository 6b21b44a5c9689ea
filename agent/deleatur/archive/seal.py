"""Encrypt a bag to its file, durably, and prove that what was written decrypts to what was meant.

The last recipient is ephemeral: its secret key lives in this process only, as an object of
pyrage that is never turned into text, and which wipes itself when it is dropped after the comparison.
"""

import errno
import hashlib
import hmac
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deleatur.archive.age import pyrage
from deleatur.archive.bag import check_bag
from deleatur.archive.opening import drain, unsealed
from deleatur.errors import Failed, Refused

_BLOCK = 1 << 20  # bytes read at a time


class Sealed(NamedTuple):
    """A sealed file at its place."""

    sha256: str  # of the sealed file
    size: int  # bytes
    contents: str  # SHA-256 (hex) of the plain tar inside


def seal(blocks: Iterator[bytes], path: Path, recipients: Sequence[Any]) -> Sealed:
    """Encrypt a bag to the recipients, any of whom opens it alone, and put it at `path`.

    Written beside `path` as the blocks come, flushed, read back, decrypted, compared, and only then
    renamed: a file at `path` is whole and was compared. Doing it again replaces it. Whatever the
    blocks' maker raises ends it, and nothing is left.

    Raises:
        Failed: the disk is full, or what was read back is not what was written.
    """
    witness = pyrage().x25519.Identity.generate()
    partial = path.with_name(f".{path.name}.partial")
    plain = _Blocks(blocks)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _flush_folder(path.parent.parent)
        written = _encrypt(plain, partial, [*recipients, witness.to_public()])
        digest, size = digest_of(partial)
        if digest != written:
            raise Failed(f"archive {path.name}: read back from the disk, it differs; check the medium")
        if not _opens_to(partial, witness, plain.digest.hexdigest()):
            raise Failed(f"archive {path.name}: read back and decrypted, it differs; check the machine")
        del witness
        partial.rename(path)
        _flush_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error is plain.error:
            raise
        raise Failed(_explain(error, path, plain.size)) from None
    finally:
        if plain.error is not None:  # what the blocks' maker raised, whatever it was
            partial.unlink(missing_ok=True)
    return Sealed(digest, size, plain.digest.hexdigest())


def contents_of(blocks: Iterator[bytes]) -> str:
    """Return the SHA-256 (hex) of a plain bag that is made and not stored."""
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def digest_of(path: Path) -> tuple[str, int]:
    """Return SHA-256 (hex) and size of a file as the disk has it: its pages leave the cache first."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


class _Blocks(io.RawIOBase):
    """The plain bag as pyrage reads it, digested on the way; an error of its maker ends it and is kept."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")
        self.digest = hashlib.sha256()
        self.size = 0
        self.ended = False
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, and nothing at the end."""
        while not self._rest and not self.ended and self.error is None:
            self._next()
        block = bytes(self._rest[:size]) if size >= 0 else bytes(self._rest)
        self._rest = self._rest[len(block) :]
        return block

    def _next(self) -> None:
        try:
            block = next(self._blocks, None)
        except BaseException as error:  # noqa: BLE001  (raised again by `_encrypt`: pyrage would lose it)
            self.error = error
            return
        self.ended = block is None
        self._rest = memoryview(block or b"")
        self.digest.update(self._rest)
        self.size += len(self._rest)


class _Tee:
    """A file that digests what it writes and keeps its first error.

    pyrage loses exceptions that its writer raises, so none is raised into it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, block: bytes) -> int:
        rest = memoryview(block)
        try:
            while rest and self.error is None:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self.error = error
        self.digest.update(block)
        return len(block)

    def flush(self) -> None:
        """Leave flushing to fsync."""


def _encrypt(plain: _Blocks, path: Path, recipients: list[Any]) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        tee = _Tee(descriptor)
        pyrage().encrypt_io(plain, tee, recipients)
        for error in (plain.error, tee.error):
            if error is not None:
                raise error
        if not plain.ended:
            raise Failed(f"archive {path.name}: the encryption stopped before the end; check the machine")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return tee.digest.hexdigest()


def _opens_to(path: Path, identity: Any, digest: str) -> bool:
    """Decrypt the file, read the bag in it to its end, and compare its digest; nothing plain is stored."""
    try:
        with unsealed(path, identity) as plain:
            check_bag(plain)
            found = drain(plain)
    except (Failed, Refused):
        return False
    return hmac.compare_digest(found, digest)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError, path: Path, size: int) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"archive {path.name}: no space in {path.parent} after {size} bytes; make room and resume"
    return f"archive {path.name}: {error.strerror} ({path.parent}); repair and resume"
