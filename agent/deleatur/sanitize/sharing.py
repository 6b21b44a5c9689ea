"""Who else holds the blocks of a file: other files, subvolumes and snapshots, by number.

Rules kept: asked of the kernel, nothing is changed; numbers of inodes and subvolumes, never names; who
cannot be found out is said to be unknown, never left out.
"""

import ctypes
import fcntl
import os
import struct
from collections.abc import Sequence

from deleatur.sanitize.filesystem import Extent
from deleatur.sanitize.free_blocks import owners

UNKNOWN = "others that could not be found out"
_MOST = 64  # shared extents of one file that are asked about: reflinks and snapshots share many at once
_BTRFS_IOC_INO_LOOKUP = 0xD0009412  # linux/btrfs.h: tree id, inode, 4080 bytes of name
_BTRFS_IOC_LOGICAL_INO_V2 = 0xC038943B
_INO_ARGS = struct.Struct("=QQ24xQQ")  # logical, size of the answer, flags, address of the answer
_IGNORE_OFFSET = 1  # whoever has any part of the extent
_ANSWER = 1 << 16  # bytes: 2,700 names of one extent
_FIRST_FREE = 256  # BTRFS_FIRST_FREE_OBJECTID: the root folder of a subvolume
_SPECIAL = 0x10  # FMR_OF_SPECIAL_OWNER of linux/fsmap.h: no inode

Holder = tuple[int, int]  # subvolume (0 where there are none) and inode


def subvolume(fd: int, kind: str) -> int:
    """Return the number of the subvolume in which the open file lies; 0 on file systems without."""
    if kind != "btrfs":
        return 0
    buffer = bytearray(4096)
    struct.pack_into("=QQ", buffer, 0, 0, _FIRST_FREE)
    fcntl.ioctl(fd, _BTRFS_IOC_INO_LOOKUP, buffer)
    return int(struct.unpack_from("=Q", buffer)[0])


def holders(fd: int, kind: str, mapped: Sequence[Extent]) -> frozenset[Holder] | None:
    """Return who else holds shared extents of the open file; None when not all could be found out."""
    shared = [extent for extent in mapped if extent.is_(Extent.SHARED)]
    found: set[Holder] = set()
    try:
        for extent in shared[:_MOST]:
            holding = _btrfs(fd, extent) if kind == "btrfs" else _mapped(fd, extent)
            if holding is None:
                return None
            found |= holding
        found.discard((subvolume(fd, kind), os.fstat(fd).st_ino))
    except OSError:  # not allowed, or the file system does not tell
        return None
    return frozenset(found) if found and len(shared) <= _MOST else None


def _btrfs(fd: int, extent: Extent) -> set[Holder] | None:
    """Ask btrfs for every file that refers to the extent, in any subvolume or snapshot."""
    answer = ctypes.create_string_buffer(_ANSWER)
    asked = bytearray(_INO_ARGS.pack(extent.physical, _ANSWER, _IGNORE_OFFSET, ctypes.addressof(answer)))
    fcntl.ioctl(fd, _BTRFS_IOC_LOGICAL_INO_V2, asked)
    _, missing, count, missed = struct.unpack_from("=IIII", answer)
    if missing or missed:
        return None
    numbers = struct.unpack_from(f"={count}Q", answer, 16)
    return {(numbers[n + 2], numbers[n]) for n in range(0, count, 3)}


def _mapped(fd: int, extent: Extent) -> set[Holder] | None:
    """Ask XFS who owns the blocks; without its reverse map (rmapbt) it does not know."""
    found: set[Holder] = set()
    for _, flags, _, owner, _ in owners(fd, extent.physical, extent.physical + extent.length):
        if flags & _SPECIAL:
            return None
        found.add((0, owner))
    return found


def in_words(holding: frozenset[Holder] | None, most: int = 8) -> str:
    """Name holders by their numbers, `most` of them."""
    if holding is None:
        return UNKNOWN
    named = [
        f"inode-{inode} of subvolume or snapshot {volume}" if volume else f"inode-{inode}"
        for volume, inode in sorted(holding)
    ]
    more = len(named) - most
    return ", ".join(named[:most]) + (f" and {more} more" if more > 0 else "")
