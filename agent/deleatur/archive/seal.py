"""Encrypt a bag to its file, durably, and prove that what was written decrypts to what was meant.

The second recipient is ephemeral: its secret key lives in this process only, as an object of
pyrage that is never turned into text, and which wipes itself when it is dropped after the comparison.
"""

import errno
import hashlib
import hmac
import io
import os
from pathlib import Path
from typing import Any

from deleatur.archive.age import pyrage, recipient_of
from deleatur.documents.job import Custodian
from deleatur.errors import Failed

_BLOCK = 1 << 20  # bytes read at a time


def seal(plain: bytes, path: Path, custodian: Custodian) -> tuple[str, int]:
    """Encrypt `plain` to the custodian and put it at `path`; return SHA-256 (hex) and size of the file.

    Written beside `path`, flushed, read back, decrypted, compared, and only then renamed: a file
    at `path` is whole and was compared. Doing it again replaces it.

    Raises:
        Failed: the disk is full, or what was read back is not what was written.
        Refused: the custodian's recipient is not usable.
    """
    recipient = recipient_of(custodian)
    witness = pyrage().x25519.Identity.generate()
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        _flush_folder(path.parent.parent)
        written = _encrypt(plain, partial, [recipient, witness.to_public()])
        digest, size = digest_of(partial)
        if digest != written:
            raise Failed(f"archive {path.name}: read back from the disk, it differs; check the medium")
        if not _opens_to(partial, witness, plain):
            raise Failed(f"archive {path.name}: read back and decrypted, it differs; check the machine")
        del witness
        partial.rename(path)
        _flush_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise Failed(_explain(error, path, len(plain))) from None
    return digest, size


def digest_of(path: Path) -> tuple[str, int]:
    """Return SHA-256 (hex) and size of a file as the disk has it: its pages leave the cache first."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


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


def _encrypt(plain: bytes, path: Path, recipients: list[Any]) -> str:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        tee = _Tee(descriptor)
        pyrage().encrypt_io(io.BytesIO(plain), tee, recipients)
        if tee.error is not None:
            raise tee.error
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return tee.digest.hexdigest()


def _opens_to(path: Path, identity: Any, plain: bytes) -> bool:
    try:
        opened = pyrage().decrypt(path.read_bytes(), [identity])
    except pyrage().DecryptError:
        return False
    return hmac.compare_digest(hashlib.sha256(opened).digest(), hashlib.sha256(plain).digest())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explain(error: OSError, path: Path, size: int) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"archive {path.name}: no space in {path.parent}; free {size} bytes and resume"
    return f"archive {path.name}: {error.strerror} ({path.parent}); repair and resume"
