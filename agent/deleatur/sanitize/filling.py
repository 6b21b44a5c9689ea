"""Overwrite the free blocks of a file system, and read them back on its block device.

Rules kept: every byte is written through a nameless file, so that a kill gives all of it back at once and
nothing has to be removed; the file system being full is the normal end; what is read back is the
block device by the addresses of the blocks, never the file; what could not be had is counted.
"""

import errno
import mmap
import os
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate
from types import TracebackType
from typing import Self

from deleatur.documents.ranges import merged
from deleatur.errors import Unsupported
from deleatur.sanitize.filesystem import NOT_ADDRESSES, extents
from deleatur.sanitize.free_blocks import (
    LARGEST,
    SLACK,
    flush_journal,
    free,
    free_extents,
    nameless,
    reserve_lifted,
    settle,
    suppress_errno,
    take,
)
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.overwrite import overwrite_in_place
from deleatur.sanitize.pace import keep_pace
from deleatur.sanitize.reclaim import Run, punch, reclaim

PLACE = 1 << 20  # bytes of the largest piece that is read back at once
_LEAST_PART = 1 << 30  # bytes taken at once; other programs see the file system full in the last part only
_PARTS = 64  # descriptors at most, but for the rounds at the end
_KEPT = 50  # of 1/n of the space: XFS keeps 0.7 % back; what is more was given back by others meanwhile
_HOLES = 8192  # that are let go at once, at most about so many
_SPREAD = 2  # times as much is let go as is wanted, for each group to have enough
_LISTS = 4 << 20  # bytes at most that the file system's lists of our own files took; more is not ours
_ROUNDS = 4  # attempts to get what others give back while the last blocks are being overwritten
_SECTOR = 4096  # bytes; direct reads are allowed at this length on every device
_CONTROLS = 64  # places read before a part is overwritten


@dataclass(frozen=True)
class Piece:
    """A run of blocks and the part of a stream that must stand there."""

    device: int  # bytes from the start of the block device
    unit: str  # of the keystream
    offset: int  # bytes in the unit's stream
    length: int


@dataclass
class Look:
    """What was read on the block device."""

    population: int = 0  # places that exist
    read: int = 0  # places
    size: int = 0  # bytes read
    differing: int = 0  # places that hold something else than the keystream


class SpaceFill:
    """The free space of the file system of an open folder, held until it is closed."""

    def __init__(self, folder: int, device: int, keystream: Keystream, unit: str, *, margin: int) -> None:
        """Prepare to fill; `device` is the block device, open for reading with O_DIRECT.

        `margin` bytes stay free for other programs. No two fills of one keystream have the same `unit`.
        """
        self._folder, self._device, self._keystream, self._unit = folder, device, keystream, unit
        self._margin = margin
        self._opened = ExitStack()
        self._units: dict[int, str] = {}  # of the keystream, by descriptor: what is held
        self._parts = 0
        self._early = Look()  # of blocks that were let go since
        self._clean: tuple[Run, ...] = ()  # those blocks: as long as they are free, nobody wrote to them
        self.control = Look()  # of some places before they were overwritten: all of them must differ
        self.written = 0  # bytes overwritten and flushed

    def __enter__(self) -> Self:
        settle(self._folder)  # blocks freed in a transaction that is not committed cannot be given out
        self._opened.enter_context(reserve_lifted(self._folder))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def give_back(self) -> int:
        """Give all blocks back, and overwrite those that held the lists of the files that had them.

        Call it when everything was read back. Returns how many bytes are free that were neither
        overwritten nor belong to the margin.
        """
        for fd in self._units:
            self._clean = merged((*self._clean, *(_run(p) for p in self._pieces(fd))))
            os.ftruncate(fd, 0)
        for n in range(_ROUNDS):
            wanted = self._unwritten()
            if self._margin or not 0 < sum(end - start for start, end in wanted) <= _LISTS:
                break
            with suppress_errno(errno.ENOSPC):
                reclaim(self._folder, wanted, self._keystream, f"{self._unit} lists {n}")
                self._clean = merged((*self._clean, *wanted))
        return self.left()

    def left(self) -> int:
        """Return how many bytes are free that were neither overwritten nor belong to the margin."""
        return max(sum(end - start for start, end in self._unwritten()) - self._margin, 0)

    def _unwritten(self) -> tuple[Run, ...]:
        """Return where free blocks lie that were not overwritten: those that were are known by address."""
        found, known = free_extents(self._folder), self._clean
        n, runs = 0, list[Run]()
        for start, end in found:
            while n < len(known) and known[n][1] <= start:
                n += 1
            at, m = start, n
            while m < len(known) and known[m][0] < end:
                if at < known[m][0]:
                    runs.append((at, known[m][0]))
                at = max(at, known[m][1])
                m += 1
            if at < end:
                runs.append((at, end))
        return tuple(runs)

    def _exchange(self) -> Iterator[int]:
        """Get blocks that the file system keeps back, for others that are overwritten already.

        XFS keeps so many free blocks in each of its groups, whichever: single ones are let go all over
        the device, and what is asked for then is found where more lie together.
        """
        block = os.fstatvfs(self._folder).f_frsize
        wanted = self.left() * _SPREAD
        hole = max(-(-wanted // _HOLES // block) * block, block)
        held = {fd: self._pieces(fd) for fd in self._units}
        size = sum(p.length for pieces in held.values() for p in pieces)
        step, due = max(size * hole // max(wanted, 1) // block * block, 2 * hole), 0
        for fd, pieces in held.items():
            holes = []
            for piece in pieces:
                holes += _cut(piece, range(due, piece.length - hole + 1, step), hole)
                due = (due - piece.length) % step if due < piece.length else due - piece.length
            self._drop(fd, holes)
        with ExitStack() as part:
            fd = self._new(part)
            self._take(fd, self._room(wanted))
            yield from self._overwrite(fd)
            self._opened.enter_context(part.pop_all())

    def _drop(self, fd: int, holes: Sequence[Piece]) -> None:
        """Give back parts of a file that were overwritten, after they were read back."""
        for _ in self._compared(holes, range(_population(holes)), self._early):
            continue
        self._early.population += _population(holes)
        for hole in holes:
            punch(fd, hole.offset, hole.length)
        self._clean = merged((*self._clean, *map(_run, holes)))
        os.fsync(fd)

    def overwrite(self) -> Iterator[int]:
        """Take what is free and overwrite it; yield how many bytes are overwritten and flushed.

        Raises OSError for everything but a full file system; all blocks are given back then.
        """
        most = max(_LEAST_PART, free(self._folder) // _PARTS)
        while self._room(most) == most:
            with ExitStack() as part:
                fd = self._new(part)
                self._take(fd, most)
                yield from self._overwrite(fd)
                self._opened.enter_context(part.pop_all())
        for _ in range(_ROUNDS):
            before = self.written
            try:
                yield from self._last()
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                self.written = before  # what had begun was given back, and counts as left
            if self.written == before or not self.left():
                break
        for _ in range(_ROUNDS):
            if self._margin or not 0 < self.left() <= self.written // _KEPT:
                return
            yield from self._exchange()

    def read_back(self, choose: Callable[[int], Sequence[int]]) -> Iterator[Look]:
        """Compare what stands on the block device with the keystream; yield what was read so far.

        `choose` is given the number of places and returns those to read, in order.
        """
        pieces = [piece for fd in self._units for piece in self._pieces(fd)]
        total, early = _population(pieces), self._early
        look = Look(total + early.population, early.read, early.size, early.differing)
        yield look
        for _ in self._compared(pieces, choose(total), look):
            yield look

    def _last(self) -> Iterator[int]:
        """Take and overwrite all that is left, to the last block where no margin is asked for.

        A little is overwritten first and let go when all else is taken: the file system needs room for
        its own lists while the rest is written.
        """
        with ExitStack() as part:
            spare, body = self._new(part), self._new(part)
            if not self._margin:
                self._take(spare, SLACK)
                yield from self._overwrite(spare)
            self._take(body, self._room(LARGEST))
            self._let_go(spare)
            yield from self._overwrite(body)
            flush_journal(self._folder)  # else what stood in the blocks of their lists stays there
            self._opened.enter_context(part.pop_all())

    def _new(self, part: ExitStack) -> int:
        """Open one more file; its blocks are held as long as it is open."""
        fd = part.enter_context(nameless(self._folder))
        self._parts += 1
        self._units[fd] = f"{self._unit} part {self._parts}"
        part.callback(self._units.pop, fd)
        part.callback(os.ftruncate, fd, 0)  # XFS gives back the blocks of a closed file a while later
        return fd

    def _take(self, fd: int, most: int) -> None:
        """Give the file at most so many free blocks, and the size to read them all."""
        take(fd, most)
        found = extents(fd) or ()
        os.ftruncate(fd, max((extent.logical + extent.length for extent in found), default=0))

    def _let_go(self, fd: int) -> None:
        """Give the blocks of an overwritten file back, after they were read back."""
        pieces = self._pieces(fd)
        self._early.population += _population(pieces)
        for _ in self._compared(pieces, range(_population(pieces)), self._early):
            continue
        self._clean = merged((*self._clean, *map(_run, pieces)))
        os.ftruncate(fd, 0)
        os.fsync(fd)

    def _room(self, most: int) -> int:
        """Return how many bytes to take next: whole blocks."""
        block = os.fstatvfs(self._folder).f_frsize
        room = min(max(free(self._folder) - self._margin, 0), most)
        return room - room % block

    def _overwrite(self, fd: int) -> Iterator[int]:
        """Overwrite all blocks of one file, after a look at what stands in some of them."""
        pieces = self._pieces(fd)
        total = _population(pieces)
        self.control.population += total
        for _ in self._compared(pieces, range(0, total, max(total // _CONTROLS, 1)), self.control):
            continue
        start = self.written
        for offset in overwrite_in_place(fd, self._keystream, self._units[fd]):
            self.written = start + offset
            yield self.written

    def _pieces(self, fd: int) -> list[Piece]:
        """Return where the blocks of a file lie, and what must stand there."""
        found = extents(fd) or ()
        if any(extent.is_(NOT_ADDRESSES) for extent in found):
            raise Unsupported("the file system does not say where its free blocks lie; name another folder")
        size = os.fstat(fd).st_size
        return [
            Piece(e.physical, self._units[fd], e.logical, min(e.length, size - e.logical))
            for e in found
            if e.logical < size
        ]

    def _compared(self, pieces: Sequence[Piece], places: Sequence[int], look: Look) -> Iterator[None]:
        """Read places of the block device into `look`, one at a time."""
        buffer = memoryview(mmap.mmap(-1, PLACE))  # page aligned, as direct reads need it
        firsts = [0, *accumulate(_places(p) for p in pieces)]
        for place in places:
            n = bisect_right(firsts, place) - 1
            piece, at = pieces[n], (place - firsts[n]) * PLACE
            length = min(PLACE, piece.length - at)
            keep_pace(length)
            count = os.preadv(self._device, [buffer[: length + -length % _SECTOR]], piece.device + at)
            look.read += 1
            look.size += min(count, length)
            expected = self._keystream.read(piece.unit, piece.offset + at, length)
            look.differing += buffer[: min(count, length)] != expected
            yield


def _cut(piece: Piece, starts: Iterable[int], length: int) -> list[Piece]:
    return [Piece(piece.device + at, piece.unit, piece.offset + at, length) for at in starts]


def _run(piece: Piece) -> Run:
    return piece.device, piece.device + piece.length


def _places(piece: Piece) -> int:
    return -(-piece.length // PLACE)


def _population(pieces: Sequence[Piece]) -> int:
    return sum(map(_places, pieces))
