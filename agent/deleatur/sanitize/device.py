"""Overwrite a whole block device, and read it back: directly, several pieces at once, past bad sectors.

Rules kept: a position is yielded only when everything before it is on stable storage, but for the
ranges that are named with it; a range that could not be written or read is named, to the sector, and
never passed over in silence; a device that went away ends the run. No randomness.
"""

import errno
import fcntl
import mmap
import os
import stat
import struct
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deleatur.documents.place import Ranges
from deleatur.documents.ranges import merged
from deleatur.errors import Failed, Transient
from deleatur.sanitize.abreast import threads_for_one
from deleatur.sanitize.patterns import ROOM, Laid, Pair, same
from deleatur.sanitize.pipeline import Piece, in_order

PIECE = ROOM
_REQUEST = 2 << 20  # bytes of one write or read: what is under way stays in the processor's cache
MOST_RANGES = 1024  # bad ranges of one run; a medium with more is to be destroyed
_THREADS = 4  # for a device at most (benchmarks/overwrite.py)
_DURABLE = 64 << 20  # bytes between two flushes at least,
_CURSORS = 1 << 14  # of one pass at most: the journal of a large device stays as short as that of a small one
_OFTEN = 2.0  # and seconds: a flush stops a fast device for as long as it writes some megabytes
_ATTEMPTS = 3  # at one sector before it counts as bad
_PATIENCE = 60.0  # seconds for one piece; then what still fails of it is named without being divided further
# What the kernel says of a sector, not of the device (linux/blk-core.c, blk_errors).
MEDIUM = frozenset({errno.EIO, errno.ENODATA, errno.EILSEQ, errno.EREMOTEIO, errno.ETIMEDOUT})
_BLKGETSIZE64 = 0x80081272  # linux/fs.h
_BLKSSZGET = 0x1268
_SPREAD = 8  # sectors over the whole device that are read to see whether it answers at all
_ALIVE = frozenset({"running", "live"})  # SCSI and NVMe; another state takes no I/O


@dataclass(frozen=True)
class Medium:
    """An open block device."""

    fd: int  # opened with O_DIRECT
    size: int  # bytes
    sector: int  # bytes, logical
    begin: Callable[[], None] = lambda: None  # called before each piece; returns when it may begin


@dataclass(frozen=True)
class Written:
    """Everything up to `position` is durable, but for the `failed` ranges since the position before."""

    position: int  # bytes
    failed: Ranges


@dataclass(frozen=True)
class Compared:
    """What one piece showed."""

    offset: int
    length: int
    differ: Ranges  # hold something else
    unread: Ranges  # could not be read


def medium_of(fd: int) -> Medium:
    """Return the size and the sector of an open block device. Raises OSError."""
    size = struct.unpack("Q", fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8)))[0]
    sector = struct.unpack("i", fcntl.ioctl(fd, _BLKSSZGET, bytes(4)))[0]
    return Medium(fd, size, sector)


def pieces_of(size: int, after: int = 0, length: int = PIECE) -> Iterator[Piece]:
    """Yield offset and length of every piece from the one that holds `after` on."""
    return ((at, min(length, size - at)) for at in range(after - after % length, size, length))


def overwrite_device(
    medium: Medium, pattern: Laid, unit: str, after: int = 0
) -> Generator[Written, None, None]:
    """Overwrite the device with `unit`'s pattern from byte `after` on; yield what is durable, at last all.

    Raises:
        Transient: the device went away. Failed: too many of its sectors are bad; it stays too hot. OSError.
    """
    failed: Ranges = ()
    count = unflushed = 0
    flushed_at = time.monotonic()
    enough = max(_DURABLE, medium.size // _CURSORS)

    def write(offset: int, room: memoryview) -> Ranges:
        view = pattern.lay(unit, offset, room)
        return _bad(medium, offset, len(view), partial(_write, medium.fd, view, offset))

    pieces = _begun(medium, pieces_of(medium.size, after, _REQUEST))
    for (offset, length), bad in in_order(pieces, write, threads=threads_for_one(_THREADS), room=_REQUEST):
        end, failed, count = offset + length, merged((*failed, *bad)), count + len(bad)
        unflushed += length
        _refuse_many(count)
        if end < medium.size and unflushed >= enough and time.monotonic() - flushed_at >= _OFTEN:
            _flush(medium)
            yield Written(end, failed)
            failed, unflushed, flushed_at = (), 0, time.monotonic()
    _flush(medium)
    yield Written(medium.size, failed)


def compare_device(medium: Medium, pattern: Laid, unit: str, places: Iterable[Piece]) -> Iterator[Compared]:
    """Read each place and compare it with what `unit` must hold there; what failed is narrowed to sectors.

    Raises:
        Transient: the device went away. Failed: too many of its sectors are bad; it stays too hot. OSError.
    """
    count = 0

    def compare(offset: int, room: memoryview) -> Compared:
        differ, unread = list[tuple[int, int]](), list[tuple[int, int]]()
        for at in range(offset, offset + len(room), _REQUEST):
            # The same memory for every part of the place: it is in the cache already.
            view = room[: min(_REQUEST, offset + len(room) - at)]
            bad = _bad(medium, at, len(view), partial(_read, medium.fd, view, at))
            pair = pattern.beside(unit, at, view)
            if bad or not same(*pair):
                differ += _differing(medium.sector, at, pair, bad)
            unread += bad
        return Compared(offset, len(room), merged(differ), merged(unread))

    for _, found in in_order(_begun(medium, places), compare, threads=threads_for_one(_THREADS), room=PIECE):
        count += len(found.unread)
        _refuse_many(count)
        yield found


def _begun(medium: Medium, pieces: Iterable[Piece]) -> Iterator[Piece]:
    for piece in pieces:  # in the caller's thread, which Ctrl-C reaches
        medium.begin()
        yield piece


def _differing(step: int, offset: int, pair: Pair, unread: Ranges) -> Ranges:
    """Return the sectors, of `step` bytes, that could be read and in which the two are not alike."""
    one, other = pair
    found = []
    for at in range(0, len(one), step):
        skipped = any(low < offset + at + step and offset + at < high for low, high in unread)
        if not skipped and not same(one[at : at + step], other[at : at + step]):
            found.append((offset + at, offset + min(at + step, len(one))))
    return merged(found)


def _bad(medium: Medium, offset: int, length: int, act: Callable[[int, int], None]) -> Ranges:
    """Do `act(low, high)` for the whole range; where it fails, for its halves, down to the sector.

    Returns the ranges for which it failed in the end.
    """
    pending, bad, spent = [(offset, offset + length)], [], 0.0
    while pending:
        low, high = pending.pop()
        smallest = high - low <= medium.sector
        began = time.monotonic()
        error = _tried(medium, act, low, high, _ATTEMPTS if smallest else 1)
        spent += min(time.monotonic() - began, _PATIENCE / 2)  # the process may have stood still meanwhile
        if error is None:
            continue
        _require_there(medium, low)
        if smallest or spent > _PATIENCE:
            bad.append((low, high))
            continue
        middle = low + max((high - low) // 2 // medium.sector, 1) * medium.sector
        pending += [(middle, high), (low, middle)]
    return merged(bad)


def _tried(
    medium: Medium, act: Callable[[int, int], None], low: int, high: int, attempts: int
) -> OSError | None:
    """Act, again after an error of the medium; return that of the last attempt, None when one went well.

    Raises OSError for everything that says nothing about the sectors, Transient for a device that is gone
    or has another end now.
    """
    last: OSError | None = None
    for _ in range(attempts):
        try:
            act(low, high)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO):
                raise _gone(low) from None
            if error.errno not in MEDIUM:
                _require_size(medium)
                raise
            last = error
        else:
            return None
    return last


def _write(fd: int, view: memoryview, base: int, low: int, high: int) -> None:
    while low < high:
        written = os.pwrite(fd, view[low - base : high - base], low)
        if written == 0:
            raise OSError(errno.EIO, "the device wrote nothing and gave no reason")
        low += written


def _read(fd: int, view: memoryview, base: int, low: int, high: int) -> None:
    while low < high:
        count = os.preadv(fd, [view[low - base : high - base]], low)
        if count == 0:
            raise OSError(errno.EIO, "the device ended before its size")
        low += count


def _flush(medium: Medium) -> None:
    try:
        os.fdatasync(medium.fd)
    except OSError as error:
        _require_there(medium, medium.size)
        raise Failed(
            f"the device did not confirm that it wrote: {error.strerror}; look at it, then resume"
        ) from None


def _refuse_many(ranges: int) -> None:
    if ranges > MOST_RANGES:
        raise Failed(f"the device has more than {MOST_RANGES} ranges that fail: destroy the medium")


def _require_there(medium: Medium, at: int) -> None:
    """Tell bad sectors from a device that is gone: of that one every sector fails.

    Raises:
        Transient: it went away.
    """
    status = os.fstat(medium.fd)
    if not stat.S_ISBLK(status.st_mode):
        return
    seen = Path(f"/sys/dev/block/{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}")
    try:
        state = (seen / "device" / "state").read_text().strip()
    except OSError:
        state = "running"  # a device without a state, such as a partition
    if not seen.exists() or state not in _ALIVE:
        raise _gone(at)
    _require_size(medium)
    if not any(_answers(medium, medium.size * part // _SPREAD) for part in range(_SPREAD)):
        raise _gone(at)


def _require_size(medium: Medium) -> None:
    """Raise Transient if the device ends before what is worked on does; files have an end of their own."""
    if not stat.S_ISBLK(os.fstat(medium.fd).st_mode):
        return
    if (now := medium_of(medium.fd).size) < medium.size:
        raise Transient(f"the device had {medium.size} bytes and has {now} now; look at it, then resume")


def _answers(medium: Medium, at: int) -> bool:
    """Say whether one sector can be read: of a device that hangs or was pulled, none can."""
    try:
        return bool(os.preadv(medium.fd, [mmap.mmap(-1, medium.sector)], at - at % medium.sector))
    except OSError as error:
        if error.errno not in MEDIUM:
            raise
        return False


def _gone(at: int) -> Transient:
    return Transient(f"the device went away near byte {at}; attach it again and resume")
