"""Write a copy of a sealed archive to another medium, and read it back whole from there.

Rules: only sealed bytes are copied; a folder is never made, since where nothing is mounted it would lie on
the wrong disk; links are not followed; a copy that cannot be read back as it should be is no copy.
"""

import errno
import hashlib
import mmap
import os
import stat
from pathlib import Path
from typing import Literal, NamedTuple

from deleatur.errors import Failed, Refused

Way = Literal["direct", "uncached"]  # past the cache, or after the system was asked to drop it
_BLOCK = 1 << 20  # bytes, a multiple of every sector size


class ReadBack(NamedTuple):
    """A file as its medium gave it."""

    sha256: str
    size: int  # bytes
    way: Way
    inode: tuple[int, int]  # st_dev, st_ino


def write_copy(source: Path, folder: Path, expected: str) -> None:
    """Put a copy of `source` into `folder`, under its own name, durably; `expected` is its SHA-256 (hex).

    Written as `.NAME.partial` and renamed; what is there already is replaced.

    Raises:
        Refused: the folder is not there, or the source is not what is expected.
        Failed: the medium is full or broken.
    """
    if not folder.is_dir():
        raise Refused(f"{folder} is not there; mount the medium, or make the folder on it")
    partial = folder / f".{source.name}.partial"
    try:
        digest = _copied(source, partial)
        if digest != expected:
            raise Refused(f"{source.name} is not the archive that was sealed; without it nothing is copied")
        partial.rename(folder / source.name)
        _flush(folder)
    except OSError as error:
        partial.unlink(missing_ok=True)
        what = "no space is left" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror
        raise Failed(f"copy to {folder}: {what}; mend that and copy again") from None
    except Refused:
        partial.unlink(missing_ok=True)
        raise


def read_back(path: Path) -> ReadBack:
    """Read a whole copy through a fresh handle, past the page cache where the file system can.

    Raises:
        FileNotFoundError: it is not there.
        Refused: it is a link or no plain file.
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    descriptor, way = _opened(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"{path} is no plain file")
        with mmap.mmap(-1, _BLOCK) as buffer:  # aligned to a page, as O_DIRECT asks
            while count := os.readv(descriptor, [buffer]):
                digest.update(memoryview(buffer)[:count])
                size += count
    finally:
        os.close(descriptor)
    return ReadBack(digest.hexdigest(), size, way, (status.st_dev, status.st_ino))


def _opened(path: Path) -> tuple[int, Way]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_DIRECT), "direct"
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused(f"{path} is a link; a copy is a file of its own") from None
        if error.errno != errno.EINVAL:  # EINVAL: this file system has no O_DIRECT, open(2)
            raise
    descriptor = os.open(path, flags)
    os.fdatasync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return descriptor, "uncached"


def _copied(source: Path, partial: Path) -> str:
    digest = hashlib.sha256()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(partial, flags, 0o600)
    try:
        with source.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                rest = memoryview(block)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
