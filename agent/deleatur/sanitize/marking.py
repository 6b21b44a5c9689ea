"""Ask a block device to show what was written, a moment ago, through the file system above it.

A scan of a device that is another one, or an old copy, or read from a cache, finds nothing. Rules
kept: one block, in a file without a name, which is given back at once; no other file changes; what
cannot be asked was not shown.
"""

import errno
import mmap
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from deleatur.sanitize.filesystem import NOT_ADDRESSES, Extent, extents
from deleatur.sanitize.free_blocks import nameless

_LEAST = 4096  # bytes: a whole sector of any device, and more than any file system keeps in an inode


def shows_what_is_written(device: str, paths: Iterable[str]) -> bool:
    """Say whether `device` shows a block written beside one of `paths`, where the file system put it."""
    return any(_shows(device, Path(path)) for path in paths)


def _shows(device: str, path: Path) -> bool:
    try:
        below = os.open(device, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISBLK(os.fstat(below).st_mode):
            return False
        above = _open_folder(path)
        try:
            with nameless(above) as fd:
                return _shows_in(below, fd, max(os.fstatvfs(fd).f_frsize, _LEAST))
        finally:
            os.close(above)
    except OSError:
        return False
    finally:
        os.close(below)


def _open_folder(path: Path) -> int:
    """Open the folder itself, or the nearest one above a file, or above what is there no more."""
    for folder in (path, *path.parents):
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _shows_in(device: int, fd: int, length: int) -> bool:
    """Write a block that nobody can know beforehand, and read it where FIEMAP says that it lies."""
    written = secrets.token_bytes(length)
    if os.pwrite(fd, written, 0) < length:
        return False
    os.fsync(fd)
    placed = extents(fd)
    if not placed or placed[0].length < length or placed[0].is_(NOT_ADDRESSES | Extent.UNWRITTEN):
        return False
    with mmap.mmap(-1, length) as buffer:  # page aligned, as direct I/O needs it
        read = os.preadv(device, [buffer], placed[0].physical)
        return read == length and buffer[:] == written
