"""Write the zeros that a file system only promises: blocks that files reserved and never wrote.

Such blocks read as zeros and hold on the storage what stood there before; neither a scan of the file
nor a fill of the free space reaches them. Rules kept: no byte of a file's content changes; nothing is
written to a file that anybody else has open; what was not reached is counted.
"""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from deleatur.errors import Failed
from deleatur.sanitize.filesystem import Extent, extents

_PIECE = 1 << 20  # bytes of one write; between two the lease is looked at
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.ETXTBSY, errno.EAGAIN})


@dataclass
class Reserved:
    """What files had reserved and never written."""

    files: int = 0  # that had such blocks, all of which are written now
    size: int = 0  # bytes written, or given back where they lay beyond the end
    files_left: int = 0  # that somebody has open, or that may not be opened for writing
    left: int = 0  # bytes of those


def write_reserved(folder: int) -> Iterator[Reserved]:
    """Write zeros to the reserved blocks of every file below an open folder, on its own file system.

    Yields what was done so far after each file that had some, and the whole at the end. Blocks
    beyond the end of a file are given back instead, for a fill to reach them. Raises OSError.
    """
    told = Reserved()
    device = os.fstat(folder).st_dev
    for _, folders, names, at in os.fwalk(".", dir_fd=folder, follow_symlinks=False, onerror=_unless_gone):
        folders[:] = [name for name in folders if _stat(name, at, device) is not None]
        for name in names:
            status = _stat(name, at, device)
            if status is None or not stat.S_ISREG(status.st_mode) or not status.st_blocks:
                continue
            if size := _reserved_in(name, at, status):
                if _written(name, at, status):
                    told.files, told.size = told.files + 1, told.size + size
                else:
                    told.files_left, told.left = told.files_left + 1, told.left + size
                yield told
    yield told


def _unless_gone(error: OSError) -> None:
    if error.errno != errno.ENOENT:
        raise error


def _stat(name: str, at: int, device: int) -> os.stat_result | None:
    """Return what stands under the name; None if it went, or lies on another file system."""
    try:
        status = os.stat(name, dir_fd=at, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status if status.st_dev == device else None


def _open(name: str, at: int, status: os.stat_result, access: int) -> int | None:
    """Open just the file that `status` describes; None if it went."""
    try:
        fd = os.open(name, access | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    except FileNotFoundError:
        return None
    if os.path.samestat(os.fstat(fd), status):
        return fd
    os.close(fd)
    return None


def _reserved_in(name: str, at: int, status: os.stat_result) -> int:
    """Return how many bytes of a file are reserved and not written."""
    fd = _open(name, at, status, os.O_RDONLY)
    if fd is None:
        return 0
    try:
        return sum(extent.length for extent in reserved_extents(fd))
    finally:
        os.close(fd)


def reserved_extents(fd: int) -> list[Extent]:
    """Return what the open file reserved and never wrote, as its file system says. Raises OSError."""
    return [extent for extent in extents(fd) or () if extent.is_(Extent.UNWRITTEN)]


def _written(name: str, at: int, status: os.stat_result) -> bool:
    """Write the reserved blocks of one file; False if it is not ours alone."""
    try:
        fd = _open(name, at, status, os.O_RDWR)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return False
    if fd is None:
        return True
    try:
        if not _alone(fd):
            return False
        times = os.fstat(fd)
        done = all(_zeroed(fd, extent, times.st_size) for extent in reserved_extents(fd))
        if done:
            os.ftruncate(fd, times.st_size)  # also gives back what lies beyond the end
            os.fsync(fd)
            if reserved_extents(fd):
                raise Failed(f"inode-{times.st_ino} still has blocks that were never written; resume")
        os.utime(fd, ns=(times.st_atime_ns, times.st_mtime_ns))
        return done
    finally:
        os.close(fd)


def _alone(fd: int) -> bool:
    """Take a write lease, which the kernel grants only where nobody else has the file open (fcntl(2)).

    As long as it is held, who opens the file waits until we are done, or until the lease breaks.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # who opens it now would end us by SIGIO
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        return False
    return True


def _zeroed(fd: int, extent: Extent, size: int) -> bool:
    """Write zeros to one extent up to the end of the file; False as soon as somebody wants the file."""
    end = min(extent.logical + extent.length, size)
    for at in range(extent.logical, end, _PIECE):
        if fcntl.fcntl(fd, fcntl.F_GETLEASE) != fcntl.F_WRLCK:
            return False
        length, done = min(_PIECE, end - at), 0
        while done < length:
            done += os.pwrite(fd, bytes(length - done), at + done)
    return True
