"""What the file system under a path is, where the bytes of a file lie on it, and what that means.

Rules kept: everything is asked of the kernel through an open descriptor, nothing is changed, and
"cannot know" is an error or a named weaker answer, never a stronger one.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deleatur.errors import Failed
from deleatur.sanitize.mounts import Mount, mounts

# linux/magic.h, and the file systems' own headers for those that are not in it
_MAGIC = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0x858458F6: "ramfs",
    0x794C7630: "overlay",
    0x6969: "nfs",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x01021997: "9p",
    0x00C36400: "ceph",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
    0xCA451A4E: "bcachefs",
    0x3434: "nilfs2",
    0x24051905: "ubifs",
    0x72B6: "jffs2",
    0x65735546: "fuse",
    0x4D44: "vfat",
    0x2011BAB0: "exfat",
    0x5346544E: "ntfs",
    0x7366746E: "ntfs3",
    0xF15F: "ecryptfs",
    0x73717368: "squashfs",
    0x9660: "iso9660",
}
_COPY_ON_WRITE = frozenset({"btrfs", "zfs", "f2fs", "overlay", "bcachefs", "nilfs2", "ubifs", "jffs2"})
_NETWORK = frozenset({"nfs", "cifs", "smb2", "9p", "ceph", "fuse"})  # fuse: what is behind it is unknown
_IN_PLACE = frozenset({"ext4", "xfs", "vfat", "exfat", "ntfs", "ntfs3"})
_MEMORY = frozenset({"tmpfs", "ramfs"})

_FS_IOC_GETFSUUID = 0x80111500  # linux/fs.h, since 6.9: u8 length, u8 uuid[16]
_FS_IOC_GETFLAGS = 0x80086601  # linux/fs.h
_FS_IOC_GETVERSION = 0x80087601  # linux/fs.h
_FS_IOC_FIEMAP = 0xC020660B  # linux/fiemap.h
_FS_APPEND_FL, _FS_IMMUTABLE_FL = 0x20, 0x10  # linux/fs.h
_FS_JOURNAL_DATA_FL, _FS_NOCOW_FL, _FS_ENCRYPT_FL = 0x4000, 0x00800000, 0x800  # linux/fs.h
_FS_IOC_FSGETXATTR = 0x801C581F  # linux/fs.h
_FIEMAP_HEADER = struct.Struct("=QQIIII")  # start, length, flags, mapped, count, reserved
_FIEMAP_EXTENT = struct.Struct("=QQQQQIIII")  # logical, physical, length, 2 reserved, flags, 3 reserved
_FIEMAP_FLAG_SYNC = 0x1
_FIEMAP_LAST = 0x1
# Names by kernel drivers: device mapper, md, loop, network, Ceph, ZFS volume, DRBD, virtio, Xen
# (Documentation/admin-guide/devices.txt).
_LAYERED = ("dm-", "md", "loop", "nbd", "rbd", "zd", "drbd", "vd", "xvd")
_BATCH = 256  # extents asked for at once
_MOUNTS = Path("/proc/self/mountinfo")
_UNKNOWN_TO_FILE_SYSTEM = frozenset({errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})


@dataclass(frozen=True, kw_only=True)
class FileSystem:
    """A mounted file system, and every property that raises or lowers what an overwrite means."""

    type: str  # "ext4", "xfs", …; "magic-0x…" when the project does not know it
    mount_point: str
    source: str  # the block device's path, or ""
    uuid: str  # RFC 4122 text; "fsid-…" from statfs when the file system has none; "" when neither
    read_only: bool
    copy_on_write: bool  # an overwrite in place does not reach the old blocks
    in_place: bool  # known to overwrite in place; neither of the two: unknown, so claim nothing
    network: bool
    memory: bool
    data_journal: bool  # file data also passes through the journal
    flash: bool  # the block device says that it does not rotate
    layered: bool  # the block device is made by software of something below it
    block: int  # bytes, the unit of allocation


@dataclass(frozen=True, kw_only=True)
class Extent:
    """A run of a file's bytes and where the file system keeps it (linux/fiemap.h)."""

    logical: int  # bytes from the start of the file
    physical: int  # bytes; on btrfs an address of its own, meaningful only for comparison
    length: int
    flags: int

    LAST = 0x1
    UNKNOWN = 0x2
    DELALLOC = 0x4
    ENCODED = 0x8
    ENCRYPTED = 0x80
    INLINE = 0x200
    TAIL = 0x400
    UNWRITTEN = 0x800
    SHARED = 0x2000

    def is_(self, flag: int) -> bool:
        """Say whether `flag` (one of the constants of this class) is set."""
        return bool(self.flags & flag)


# An extent with one of these has no address on the block device, or other bytes there than the file has.
NOT_ADDRESSES = Extent.UNKNOWN | Extent.DELALLOC | Extent.INLINE | Extent.TAIL | Extent.ENCODED


def filesystem_of(path: str | Path | int) -> FileSystem:
    """Describe the file system that holds `path` (a path, or an open descriptor).

    A last component that is a symbolic link is not followed. Raises OSError as `open` does, and
    Failed when the mount table does not name the mount.
    """
    if isinstance(path, int):
        return _describe(path)
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _describe(fd)
    finally:
        os.close(fd)


def extents(fd: int, start: int = 0, end: int = (1 << 64) - 1) -> tuple[Extent, ...] | None:
    """Return the extents of the open file, in order, after its dirty pages were written (FIEMAP).

    Of a part of the file (bytes), those that have a byte in it, not cut.

    None when the file system does not answer FIEMAP, as tmpfs and most network file systems.
    Raises OSError for every other failure.
    """
    found: list[Extent] = []
    while True:
        buffer = bytearray(_FIEMAP_HEADER.size + _BATCH * _FIEMAP_EXTENT.size)
        _FIEMAP_HEADER.pack_into(buffer, 0, start, end - start, _FIEMAP_FLAG_SYNC, 0, _BATCH, 0)
        try:
            fcntl.ioctl(fd, _FS_IOC_FIEMAP, buffer)
        except OSError as error:
            if error.errno in _UNKNOWN_TO_FILE_SYSTEM:
                return None
            raise
        mapped = _FIEMAP_HEADER.unpack_from(buffer)[3]
        for i in range(mapped):
            fields = _FIEMAP_EXTENT.unpack_from(buffer, _FIEMAP_HEADER.size + i * _FIEMAP_EXTENT.size)
            found.append(Extent(logical=fields[0], physical=fields[1], length=fields[2], flags=fields[5]))
        if not mapped or found[-1].is_(_FIEMAP_LAST):
            return tuple(found)
        start = found[-1].logical + found[-1].length
        if start >= end:
            return tuple(found)


def allocated(fd: int) -> tuple[tuple[int, int], ...]:
    """Return the ranges (start, end; bytes) of the open file that have storage, in order.

    Ranges come from FIEMAP, which also shows what was reserved beyond the end of the file; where
    it is not answered, from SEEK_DATA, which never calls data a hole. Holes hold no bytes: they
    have nothing to erase, and writing them could fill the disk.
    """
    mapped = extents(fd)
    if mapped is None:
        return tuple(_seek_ranges(fd))
    merged: list[tuple[int, int]] = []
    for extent in mapped:
        end = extent.logical + extent.length
        if merged and merged[-1][1] == extent.logical:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((extent.logical, end))
    return tuple(merged)


def immutable(fd: int) -> bool:
    """Say whether the open file carries the immutable or the append-only flag (`chattr +i`, `+a`).

    A file system that has no such flags cannot set them: False.
    """
    return bool(_flags(fd) & (_FS_IMMUTABLE_FL | _FS_APPEND_FL))


def journals_data(fd: int) -> bool:
    """Say whether this one file's data pass through the journal (`chattr +j` on ext4)."""
    return bool(_flags(fd) & _FS_JOURNAL_DATA_FL) and _magic(fd)[0] == "ext4"


def overwrites_in_place(fd: int) -> bool:
    """Say whether this one file is exempt from copy on write (`chattr +C` on btrfs)."""
    return bool(_flags(fd) & _FS_NOCOW_FL) and _magic(fd)[0] == "btrfs"


def encrypts(fd: int) -> bool:
    """Say whether the file system encrypts this one file: the device holds other bytes than the file."""
    return bool(_flags(fd) & _FS_ENCRYPT_FL)


def realtime(fd: int) -> bool:
    """Say whether this one file of XFS lies on its realtime device, which no mount table names."""
    buffer = bytearray(28)  # struct fsxattr of linux/fs.h; its flags stand first
    if _magic(fd)[0] == "xfs":
        fcntl.ioctl(fd, _FS_IOC_FSGETXATTR, buffer)
    return bool(int.from_bytes(buffer[:4], sys.byteorder) & 0x1)


def generation(fd: int) -> int:
    """Return the inode's generation, which tells a file from an older one with the same number.

    0 where the file system keeps none. Needs a descriptor opened for reading.
    """
    buffer = bytearray(8)
    try:
        fcntl.ioctl(fd, _FS_IOC_GETVERSION, buffer)
    except OSError as error:
        if error.errno in _UNKNOWN_TO_FILE_SYSTEM:
            return 0
        raise
    return int.from_bytes(buffer[:4], sys.byteorder)


def _flags(fd: int) -> int:
    buffer = bytearray(8)
    try:
        fcntl.ioctl(fd, _FS_IOC_GETFLAGS, buffer)
    except OSError as error:
        if error.errno in _UNKNOWN_TO_FILE_SYSTEM:
            return 0
        raise
    return struct.unpack_from("=I", buffer)[0]  # type: ignore[no-any-return]


def _describe(fd: int) -> FileSystem:
    kind, fsid = _magic(fd)
    mount = _mount_of(fd)
    source = mount.source
    device = _device_number(source, fd)
    status = os.fstatvfs(fd)
    return FileSystem(
        type=kind,
        mount_point=mount.point,
        source=_followed(source) if device else "",
        uuid=_uuid(fd, source) or (f"fsid-{fsid:016x}" if fsid else ""),
        read_only=bool(status.f_flag & os.ST_RDONLY) or "ro" in mount.options.split(","),
        copy_on_write=kind in _COPY_ON_WRITE,
        in_place=kind in _IN_PLACE,
        network=kind in _NETWORK,
        memory=kind in _MEMORY,
        data_journal=kind == "ext4" and _ext4_journals_data(source, mount.super_options.split(",")),
        flash=device is not None and _flash(device),
        layered=device is not None and _layered(device),
        block=status.f_frsize,
    )


def _followed(source: str) -> str:
    """Return the block device itself: LVM's volumes are mounted by a link, and no scan follows links."""
    return os.path.realpath(source) if source.startswith("/") else source


def _magic(fd: int) -> tuple[str, int]:
    """Return the type's name and the file system's id, from fstatfs(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    words = (ctypes.c_long * 64)()  # struct statfs of every Linux ABI is shorter than this
    if libc.fstatfs(fd, ctypes.byref(words)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    magic = words[0] & 0xFFFFFFFF
    return _MAGIC.get(magic, f"magic-{magic:#x}"), os.fstatvfs(fd).f_fsid


def _mount_of(fd: int) -> Mount:
    """Return the mount of an open file, by its id: on btrfs the file has another device number."""
    identifier = ""
    for line in Path(f"/proc/self/fdinfo/{fd}").read_text("ascii").splitlines():
        if line.startswith("mnt_id:"):
            identifier = line.split()[1]
    for mount in mounts(_MOUNTS.read_bytes()):
        if mount.identifier == identifier:
            return mount
    raise Failed("the mount table does not list the mount of the target; mount it in this namespace")


def mount_points() -> dict[str, str]:
    """Return every mount point that this process sees, with the type of what is mounted there."""
    return {mount.point: mount.kind for mount in mounts(_MOUNTS.read_bytes())}


def _device_number(source: str, fd: int) -> tuple[int, int] | None:
    """Return major and minor of the block device under the file system, or None without one."""
    number = os.fstat(fd).st_dev
    if source.startswith("/"):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            status = Path(source).stat()
            if stat.S_ISBLK(status.st_mode):
                number = status.st_rdev
    major, minor = os.major(number), os.minor(number)
    return (major, minor) if major else None  # major 0: no device (Documentation/admin-guide/devices)


def _layered(device: tuple[int, int]) -> bool:
    """Say whether the disk is a mapping, an array, a loop, a network or a virtual machine's device.

    Such a layer may keep old blocks: a snapshot, a thin pool, an image that is copied on write.
    """
    disk = Path(f"/sys/dev/block/{device[0]}:{device[1]}").resolve()
    if (disk / "partition").exists():
        disk = disk.parent
    made = any((disk / kind).is_dir() for kind in ("dm", "md", "loop"))
    return made or disk.name.startswith(_LAYERED)


def _flash(device: tuple[int, int]) -> bool:
    """Read `rotational` of the disk; of a partition, from the disk that it is part of."""
    base = Path(f"/sys/dev/block/{device[0]}:{device[1]}")
    for queue in (base / "queue", base / ".." / "queue"):
        with contextlib.suppress(FileNotFoundError):
            return (queue / "rotational").read_text("ascii").strip() == "0"
    return False


def _uuid(fd: int, source: str) -> str:
    buffer = bytearray(17)
    if stat.S_IFMT(os.fstat(fd).st_mode) in (stat.S_IFREG, stat.S_IFDIR):  # opening others may act
        with contextlib.suppress(OSError):  # before 6.9, without permission or UUID: ask below
            opened = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.ioctl(opened, _FS_IOC_GETFSUUID, buffer)
            finally:
                os.close(opened)
        if buffer[0] == 16:
            text = buffer[1:].hex()
            return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    with contextlib.suppress(FileNotFoundError):
        for link in sorted(Path("/dev/disk/by-uuid").iterdir()):
            if source.startswith("/") and link.resolve() == Path(source).resolve():
                return link.name.lower()
    return ""


def _ext4_journals_data(source: str, super_options: list[str]) -> bool:
    """Look in the mount options and, for a default set in the super block, in /proc/fs/ext4."""
    if "data=journal" in super_options:
        return True
    with contextlib.suppress(FileNotFoundError):
        shown = Path("/proc/fs/ext4") / Path(source).resolve().name / "options"
        return "data=journal" in shown.read_text("utf-8", "replace").splitlines()
    return False


def _seek_ranges(fd: int) -> Iterator[tuple[int, int]]:
    offset, size = 0, os.fstat(fd).st_size
    while offset < size:
        try:
            start = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end (lseek(2))
                return
            raise
        offset = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, offset


def encrypted_below(source: str) -> tuple[Literal["yes", "unknown"], str]:
    """Say whether a layer of the device mapper encrypts the block device `source`, and by what.

    "unknown" without such a layer: the device itself, or a host below this one, may encrypt.
    """
    if not source:
        return "unknown", "the file system has no block device on this host"
    waiting = [Path(os.path.realpath(source)).name]
    while waiting:
        block = Path("/sys/class/block") / waiting.pop()
        with contextlib.suppress(FileNotFoundError):
            if (block / "dm" / "uuid").read_text().startswith("CRYPT-"):  # linux: dm-crypt's own prefix
                return "yes", "dm-crypt"
        with contextlib.suppress(FileNotFoundError):
            waiting += os.listdir(block / "slaves")  # noqa: PTH208 - names only
    return "unknown", "no dm-crypt on this host; the device itself may encrypt"


def access_to(status: os.stat_result) -> tuple[str, ...]:
    """Say in words who may read or write by the mode bits; access lists come on top of them."""
    who = ((f"user {status.st_uid}", 6), (f"group {status.st_gid}", 3), ("everybody", 0))
    words = ((4, "read"), (2, "write"))
    told = []
    for name, shift in who:
        allowed = [word for bit, word in words if status.st_mode >> shift & bit]
        if allowed:
            told.append(f"{name}: {', '.join(allowed)}")
    return tuple(told)
