"""Take blocks that a program gave back out of the free space again, and overwrite them.

A database server that rewrites a table cuts its old file: the content then lies in free blocks. Rules
kept: nothing is ever written to a block by its address, only through a nameless file of our own that
the file system gave the block to; all other free space is let go within the same moment; doing it
again is harmless, so a list of blocks that was written down before is all that a crash needs.
"""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from deleatur.errors import Unsupported
from deleatur.sanitize.filesystem import Extent, FileSystem, extents, filesystem_of
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.overwrite import overwrite_in_place

Run = tuple[int, int]  # start and end of neighbouring blocks, bytes from the start of the file system
_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2  # linux/falloc.h
_NOT_ADDRESSES = Extent.UNKNOWN | Extent.DELALLOC | Extent.INLINE | Extent.TAIL | Extent.ENCODED
_XFS_IOC_SET_RESBLKS, _XFS_IOC_GET_RESBLKS = 0xC0105872, 0x80105873  # xfs/libxfs/xfs_fs.h
_RESBLKS = struct.Struct("=QQ")  # struct xfs_fsop_resblks: wanted, available
_SLACK = 1 << 18  # bytes let go before the rest, for the file system's own use
_LARGEST = 1 << 40  # bytes asked for at once; ext4's largest file has 1 << 44


def blocks_of(fd: int) -> tuple[Run, ...]:
    """Return where the open file's blocks lie, those reserved beyond its end included, in order.

    Raises:
        Unsupported: the file system does not say.
    """
    found = extents(fd)
    if found is None or any(extent.is_(_NOT_ADDRESSES) for extent in found):
        raise Unsupported("the file system does not say where the blocks of a file lie")
    return merged((extent.physical, extent.physical + extent.length) for extent in found)


def merged(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Return the same blocks as runs in order, none touching another."""
    whole: list[Run] = []
    for start, end in sorted(runs):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], end)
        else:
            whole.append((start, end))
    return tuple(whole)


def reclaim(folder: int, wanted: Sequence[Run], keystream: Keystream, unit: str) -> int:
    """Overwrite those of the `wanted` blocks that are free now; `folder` lies on their file system.

    For the moment of the choice all free space of the file system is taken, the part kept for root
    included where this user may have it; what is not wanted is let go before anything is written.
    Returns how many bytes were not free: other files have them by now, and have written them anew.

    Raises OSError; nothing of ours stays in the file system then.
    """
    wanted = merged(wanted)
    got = 0
    with _nameless(folder) as fd:
        _settle(folder)  # blocks freed in a transaction that is not committed cannot be given out
        with _reserve_lifted(folder):
            with _nameless(folder) as slack:
                _take(slack, _SLACK)
                for _ in overwrite_in_place(slack, keystream, f"{unit} slack"):
                    continue
                _take(fd, _LARGEST)
                got += sum(_shared(extent, wanted) for extent in extents(slack) or ())
            _settle(folder)  # to let go of a part, the file system needs a block for its own list
            for extent in extents(fd) or ():
                got += _shared(extent, wanted)
                _let_go_unwanted(fd, extent, wanted)
        for _ in overwrite_in_place(fd, keystream, unit):
            continue
    return sum(end - start for start, end in wanted) - got


@contextmanager
def _nameless(folder: int) -> Iterator[int]:
    """Open a file without a name: a kill gives its blocks back."""
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def _take(fd: int, most: int) -> None:
    """Give the file `most` bytes of free blocks; by halves, when that is more than there is."""
    status = os.fstatvfs(fd)
    size, offset = min(most, max(status.f_bfree, 1) * status.f_frsize), 0
    while size >= status.f_frsize and offset < most:
        try:
            os.posix_fallocate(fd, offset, size)
            offset += size
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            size = size // 2 - size // 2 % status.f_frsize


def _shared(extent: Extent, wanted: Sequence[Run]) -> int:
    """Return how many bytes of the extent are wanted."""
    first, last = extent.physical, extent.physical + extent.length
    return sum(max(0, min(end, last) - max(start, first)) for start, end in wanted)


def _let_go_unwanted(fd: int, extent: Extent, wanted: Sequence[Run]) -> None:
    """Give back the parts of the extent that are not wanted."""
    at, last = extent.physical, extent.physical + extent.length
    for start, end in wanted:
        low, high = max(start, extent.physical), min(end, last)
        if low < high:
            _punch(fd, extent.logical + at - extent.physical, low - at)
            at = high
    _punch(fd, extent.logical + at - extent.physical, last - at)


def _punch(fd: int, offset: int, length: int) -> None:
    if length:
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_long(offset), ctypes.c_long(length))
        if done != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def _settle(folder: int) -> None:
    """Let the file system write everything down, its own journal included (syncfs(2))."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(fd)


@contextmanager
def _reserve_lifted(folder: int) -> Iterator[None]:
    """Let the last blocks be given out too, where this user may say so.

    ext4 keeps min(2 %, 4096 clusters) back even from root, XFS min(5 %, 8192 blocks); a killed run
    leaves nothing reserved until the next mount, which sets both anew.
    """
    system = filesystem_of(folder)
    with _ext4_lifted(system) if system.type == "ext4" else _xfs_lifted(system, folder):
        yield


@contextmanager
def _ext4_lifted(system: FileSystem) -> Iterator[None]:
    """Set `reserved_clusters` to 0 for a while (Documentation/ABI/testing/sysfs-fs-ext4)."""
    reserve = Path("/sys/fs/ext4") / Path(os.path.realpath(system.source or "/")).name / "reserved_clusters"
    before = ""
    with suppress(FileNotFoundError, PermissionError):
        before = reserve.read_text("ascii").strip()
        _set(reserve, "0")
    try:
        yield
    finally:
        if before:
            with suppress(PermissionError):
                _set(reserve, before)


def _set(setting: Path, value: str) -> None:
    fd = os.open(setting, os.O_WRONLY | os.O_DSYNC | os.O_CLOEXEC)
    try:
        os.write(fd, f"{value}\n".encode("ascii"))
    finally:
        os.close(fd)


@contextmanager
def _xfs_lifted(system: FileSystem, folder: int) -> Iterator[None]:
    """Set the pool of reserved blocks to 0 for a while (xfs_io's `resblks`); elsewhere do nothing."""
    with ExitStack() as undo:
        if system.type == "xfs":
            before = bytearray(_RESBLKS.size)
            with suppress(PermissionError):
                fcntl.ioctl(folder, _XFS_IOC_GET_RESBLKS, before)
                fcntl.ioctl(folder, _XFS_IOC_SET_RESBLKS, bytearray(_RESBLKS.size))
                undo.callback(fcntl.ioctl, folder, _XFS_IOC_SET_RESBLKS, before)
        yield
