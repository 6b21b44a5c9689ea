"""Take the free blocks of a file system into files without a name, its reserve included.

Rules kept: a kill gives every block back at once, because no name leads to them; what was changed of
the file system's own settings is set back; nothing is written here.
"""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from deleatur.sanitize.filesystem import FileSystem, filesystem_of

SLACK = 1 << 18  # bytes let go before the rest, for the file system's own use
LARGEST = 1 << 40  # bytes asked for at once; ext4's largest file has 1 << 44
_XFS_IOC_SET_RESBLKS, _XFS_IOC_GET_RESBLKS = 0xC0105872, 0x80105873  # xfs/libxfs/xfs_fs.h
_RESBLKS = struct.Struct("=QQ")  # struct xfs_fsop_resblks: wanted, available
_FS_IOC_GETFSMAP, _FMR_OWN_FREE = 0xC0C0583B, 1  # linux/fsmap.h
_FMR_OF_SPECIAL, _FMR_OF_LAST = 0x10, 0x20
_LAST = (1 << 64) - 1
_EXT4_IOC_CHECKPOINT = 0x4004662B  # linux/ext4.h, since 5.14
_ZEROOUT, _DRY_RUN = 0x2, 0x4
_MAP_HEADER = struct.Struct("=IIII48x")  # struct fsmap_head: iflags, oflags, count, entries, reserved
_MAP_RECORD = struct.Struct("=IIQQQQ24x")  # struct fsmap: device, flags, physical, owner, offset, length
_MAP_BATCH = 1024  # records asked for at once


@contextmanager
def nameless(folder: int) -> Iterator[int]:
    """Open a file without a name: a kill gives its blocks back."""
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def take(fd: int, most: int) -> None:
    """Give the file `most` bytes of free blocks; by halves, when that is more than there is."""
    status = os.fstatvfs(fd)
    size, offset = min(most, max(status.f_bfree, 1) * status.f_frsize), 0
    while size >= status.f_frsize and offset < most:
        try:
            os.posix_fallocate(fd, offset, min(size, most - offset))
            offset += size
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            size = size // 2 - size // 2 % status.f_frsize


def free(folder: int) -> int:
    """Return how many bytes of the file system are free, those kept for root included."""
    status = os.fstatvfs(folder)
    return status.f_bfree * status.f_frsize


def free_extents(folder: int) -> tuple[tuple[int, int], ...]:
    """Return where the free blocks of ext4 or XFS lie (start, end; bytes on the block device), in order.

    Those are in it that the file system keeps for itself and gives to no file. Raises OSError.
    """
    device = os.fstat(folder).st_dev
    return tuple(
        (at, at + length)
        for number, flags, at, owner, length in owners(folder, 0, _LAST)
        if flags & _FMR_OF_SPECIAL and owner == _FMR_OWN_FREE and _same_device(number, device)
    )


def owners(fd: int, start: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield what the file system has on its device from byte `start` to before `end`, in order.

    Each as device, flags, first byte, owner (of linux/fsmap.h where the flags say special; else an
    inode) and bytes. Raises OSError where ext4 or XFS do not tell (GETFSMAP).
    """
    everywhere = start == 0 and end == _LAST
    device = 0 if everywhere else _encoded(os.fstat(fd).st_dev)
    low = _MAP_RECORD.pack(device, 0, start, 0, 0, 0)
    high = _MAP_RECORD.pack((1 << 32) - 1 if everywhere else device, (1 << 32) - 1, end - 1, _LAST, _LAST, 0)
    while True:
        buffer = bytearray(_MAP_HEADER.size + (2 + _MAP_BATCH) * _MAP_RECORD.size)
        _MAP_HEADER.pack_into(buffer, 0, 0, 0, _MAP_BATCH, 0)
        buffer[_MAP_HEADER.size : _MAP_HEADER.size + 2 * _MAP_RECORD.size] = low + high
        fcntl.ioctl(fd, _FS_IOC_GETFSMAP, buffer)
        entries = _MAP_HEADER.unpack_from(buffer)[3]
        for n in range(2, 2 + entries):
            record = _MAP_RECORD.unpack_from(buffer, _MAP_HEADER.size + n * _MAP_RECORD.size)
            yield record[0], record[1], record[2], record[3], record[5]
        if not entries or record[1] & _FMR_OF_LAST:
            return
        low = _MAP_RECORD.pack(*record)  # the next batch begins behind this record


def _same_device(number: int, device: int) -> bool:
    """Compare a device number of the kernel's own form with one of stat(2)."""
    return number == _encoded(device)


def _encoded(device: int) -> int:
    """Return a device number of stat(2) in the kernel's own form (new_encode_dev)."""
    major, minor = os.major(device), os.minor(device)
    return (minor & 0xFF) | major << 8 | (minor & ~0xFF) << 12


def settle(folder: int) -> None:
    """Let the file system write everything down, its own journal included (syncfs(2))."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(fd)


def flush_journal(folder: int) -> None:
    """Let ext4 write what its journal holds to its place, and zero the journal; elsewhere do nothing."""
    if filesystem_of(folder).type == "ext4":
        with suppress_errno(errno.ENODEV):  # it has no journal
            fcntl.ioctl(folder, _EXT4_IOC_CHECKPOINT, struct.pack("=I", _ZEROOUT))


def can_flush_journal(folder: int) -> bool:
    """Say whether `flush_journal` works here: for ext4 from Linux 5.14 on, as root. Changes nothing."""
    if filesystem_of(folder).type != "ext4":
        return True
    try:
        with suppress_errno(errno.ENODEV):
            fcntl.ioctl(folder, _EXT4_IOC_CHECKPOINT, struct.pack("=I", _ZEROOUT | _DRY_RUN))
    except OSError:
        return False
    return True


@contextmanager
def suppress_errno(code: int) -> Iterator[None]:
    """Take one error of the system for none."""
    try:
        yield
    except OSError as error:
        if error.errno != code:
            raise


@contextmanager
def reserve_lifted(folder: int) -> Iterator[None]:
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
