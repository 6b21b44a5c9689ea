"""Where the bytes of a file lie on the block device: told before and after an overwrite, and read there.

Rules kept: an address counts only on file systems whose addresses mean what they say; what the kernel
does not tell has no digest and no range; a read goes to the device, past every cache.
"""

import hashlib
import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from deleatur.sanitize.filesystem import NOT_ADDRESSES, Extent, FileSystem, encrypts, extents, realtime

_ALIGN = 4096  # bytes; enough for direct I/O on every sector size in use
_RUN = struct.Struct("=QQQI")  # logical, physical, length, flags
# Equal addresses mean equal blocks: of ext4 and XFS on the device, of btrfs in its own order (chunk tree).
_TELLS = frozenset({"ext4", "xfs", "btrfs"})
_ON_DEVICE = frozenset({"ext4", "xfs"})  # an address is one of the block device
_NO_PLACE = Extent.UNKNOWN | Extent.DELALLOC | Extent.TAIL


def lies(fd: int, kind: str, mapped: Sequence[Extent]) -> str:
    """Return a digest (32 hex digits) of where the open file's content lies; "" where that is not told.

    `kind` is the type of its file system, `mapped` its extents. What was reserved beyond its end is left out.
    """
    if kind not in _TELLS:
        return ""
    status, block = os.fstat(fd), os.fstatvfs(fd).f_frsize
    runs = list(_runs(mapped, status.st_size + -status.st_size % block))
    untold = any(flags & _NO_PLACE or (flags & Extent.INLINE and kind != "ext4") for *_, flags in runs)
    if untold or not runs:
        return ""
    return hashlib.sha256(b"".join(_RUN.pack(*run) for run in runs)).hexdigest()[:32]


def _runs(mapped: Sequence[Extent], end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the runs up to `end`, neighbours joined: writing may cut one in pieces that lie as before."""
    logical = physical = length = kept = 0
    for extent in mapped:
        flags = extent.flags & (_NO_PLACE | Extent.INLINE | Extent.ENCODED)
        size = min(extent.length, end - extent.logical)
        if size <= 0:
            break
        if length and (extent.logical, extent.physical, flags) == (logical + length, physical + length, kept):
            length += size
            continue
        if length:
            yield logical, physical, length, kept
        logical, physical, length, kept = extent.logical, extent.physical, size, flags
    if length:
        yield logical, physical, length, kept


def on_device(fd: int, system: FileSystem, offset: int, length: int) -> tuple[tuple[int, int], ...]:
    """Return where a part of the open file lies on its block device, in order; () where that is not told.

    Ranges of (first byte, byte after the last), `length` in all. `system` is its file system.
    """
    if system.type not in _ON_DEVICE or not system.source or encrypts(fd):
        return ()
    if Path(system.source).stat().st_rdev != os.fstat(fd).st_dev or realtime(fd):
        return ()
    found, at = [], offset
    for extent in extents(fd, offset, offset + length) or ():
        low = max(at, extent.logical)
        high = min(offset + length, extent.logical + extent.length)
        if low != at or extent.is_(NOT_ADDRESSES | Extent.ENCRYPTED | Extent.UNWRITTEN):
            return ()
        start = extent.physical + low - extent.logical
        found.append((start, start + high - low))
        at = high
    return tuple(found) if at == offset + length else ()


def read_on_device(device: int, ranges: Sequence[tuple[int, int]]) -> bytes:
    """Read ranges of a block device that is open for direct reading, one after the other."""
    return b"".join(_read(device, low, high) for low, high in ranges)


def _read(device: int, low: int, high: int) -> bytes:
    first, last = low - low % _ALIGN, high + -high % _ALIGN
    with mmap.mmap(-1, last - first) as room:  # page aligned, as direct I/O needs it
        done = 0
        while done < high - first:
            with memoryview(room)[done:] as rest:
                count = os.preadv(device, [rest], first + done)
            if count == 0:
                break
            done += count
        return room[low - first : min(done, high - first)]
