"""Find any of millions of values inside texts, knowing only keyed fingerprints of them.

A value is kept once as its first bytes, its length and 64 bits of AES-CMAC: 10 to 30 bytes, however
long it is and however often it comes; the values themselves are not in memory. A wrong find needs equal
first bytes and an equal tag: 1 in 2^64 for each comparison.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deleatur.archive.distinct import Distinct
from deleatur.desensitize.cmac import Cmac, buffers_of, by_length, gather

if TYPE_CHECKING:
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]
    Places = npt.NDArray[np.int64]

SHORTEST = 6  # bytes; shorter values occur everywhere by chance
_LONG = (
    14  # bytes; from here on the first 14 bytes tell values apart, so that a common beginning costs little
)
_MIX = np.uint64(0x9E3779B97F4A7C15)  # an odd constant without structure: 2^64 / golden ratio
_HAY = 1 << 20  # bytes searched at a time
_EXPANDED = 1 << 20  # comparisons at a time
_BIT = np.uint8(1) << np.arange(8, dtype=np.uint8)


@dataclass(frozen=True)
class Hit:
    """Where a value stands: in which row, from which byte to which, and who owns it."""

    row: int
    start: int
    end: int
    owner: int


class Fingerprints:
    """Values that must not be found, and values that may."""

    def __init__(self, key: bytes, allowed: Distinct | None = None) -> None:
        """`allowed` may be shared with others that have the same key."""
        self._mac = Cmac(key)
        self._sought = Distinct(np.uint64, np.uint16)  # tags, owners
        self._heads = {width: Distinct(np.uint64, np.int32, keys=2) for width in (SHORTEST, _LONG)}
        self._allowed = Distinct(np.uint64) if allowed is None else allowed
        self._parts: list[_Heads] = []
        self._tags = np.zeros(0, np.uint64)
        self._owners = np.zeros(0, np.uint16)

    def tags(self, values: Any) -> "Words":
        """Return 64 bits for each value of an Arrow array of text or bytes."""
        return self._mac.tags(values).view(np.uint64)[:, 0].copy()

    def forbid(self, values: Any, tags: "Words", rows: "npt.NDArray[np.bool_]", owner: int) -> None:
        """Remember the values of those rows; each has at least `SHORTEST` bytes."""
        chosen, first = np.unique(tags[rows], return_index=True)
        places = np.flatnonzero(rows)[first]
        content, offsets = buffers_of(values)
        lengths = np.diff(offsets)[places].astype(np.int32)
        self._sought.add(chosen, np.full(places.size, owner, np.uint16))
        for width, some in ((SHORTEST, lengths < _LONG), (_LONG, lengths >= _LONG)):
            if some.any():
                heads = _heads(gather(content, offsets[:-1][places[some]], width), width)
                self._heads[width].add(heads, lengths[some])

    def allow(self, tags: "Words") -> None:
        """Remember that these values stand somewhere by right."""
        self._allowed.add(tags)

    def settle(self) -> tuple[int, int]:
        """Make ready for searching; return how many values are sought and how many are allowed instead."""
        known = len(self._sought)
        tags, owners, end = np.empty(known, np.uint64), np.empty(known, np.uint16), 0
        for (some, whose), (allowed,) in zip(self._sought.drain(), self._allowed.shards(), strict=True):
            sought = ~np.isin(some, allowed, assume_unique=True)
            begin, end = end, end + int(sought.sum())
            tags[begin:end], owners[begin:end] = some[sought], whose[sought]
        self._tags, self._owners = tags[:end], owners[:end]
        self._allowed = Distinct(np.uint64)
        # heads of what is allowed stay: they cost a look at the tag, which decides
        self._parts = [_Heads(heads, width) for width, heads in self._heads.items() if end and len(heads)]
        return end, known - end

    def find(self, values: Any) -> Iterator[Hit]:
        """Yield every place of an Arrow array of text or bytes where a sought value stands."""
        import pyarrow as pa

        content, offsets = buffers_of(values)
        for part in self._parts:
            for starts, lengths in part.candidates(content, offsets):
                for length, rows in by_length(np.concatenate([[0], np.cumsum(lengths)])):
                    bytes_there = gather(content, starts[rows], length)
                    ends = np.arange(rows.size + 1, dtype=np.int64) * length
                    array = pa.LargeBinaryArray.from_buffers(
                        pa.large_binary(), rows.size, [None, pa.py_buffer(ends), pa.py_buffer(bytes_there)]
                    )
                    tags = self.tags(array)
                    at = np.searchsorted(self._tags, tags)
                    at[at == self._tags.size] = 0
                    for hit in np.flatnonzero(self._tags[at] == tags):
                        start = int(starts[rows[hit]])
                        row = int(np.searchsorted(offsets, start, side="right")) - 1
                        begin = start - int(offsets[row])
                        yield Hit(row, begin, begin + length, int(self._owners[at[hit]]))


class _Heads:
    """The first bytes of many values, and the lengths that follow from each."""

    def __init__(self, known: Distinct, width: int) -> None:
        heads, lengths = np.empty(len(known), np.uint64), np.empty(len(known), np.int32)
        end = 0
        for some, long in known.drain():
            begin, end = end, end + some.size
            heads[begin:end], lengths[begin:end] = some, long
        new = np.ones(heads.size, bool)
        new[1:] = heads[1:] != heads[:-1]
        self._lengths = lengths
        self._heads = heads[new]
        self._first = np.append(np.flatnonzero(new), heads.size).astype(np.uint32)
        self._width = width
        self._shift = np.uint64(64 - min(26, max(16, self._heads.size.bit_length() + 4)))
        slots = self._slots(self._heads)
        self._filter = np.zeros(1 << (64 - int(self._shift)) >> 3, np.uint8)  # at most 8 MiB: one bit a slot
        np.bitwise_or.at(self._filter, slots >> 3, _BIT[slots & 7])

    def candidates(
        self, content: "npt.NDArray[np.uint8]", offsets: "Places"
    ) -> Iterator[tuple["Places", "Places"]]:
        """Yield starts and lengths of what may be a value, inside one row each."""
        if not offsets.size or offsets[-1] - offsets[0] < self._width:
            return
        for begin in range(int(offsets[0]), int(offsets[-1]) - self._width + 1, _HAY):
            end = min(begin + _HAY, int(offsets[-1]) - self._width + 1)
            window = content[begin : end + self._width - 1]
            heads = _sliding(window, self._width)
            slots = self._slots(heads)
            near = np.flatnonzero(self._filter[slots >> 3] & _BIT[slots & 7])
            at = np.searchsorted(self._heads, heads[near])
            at[at == self._heads.size] = 0
            sure = self._heads[at] == heads[near]
            yield from self._expanded(near[sure] + begin, at[sure], offsets)

    def _expanded(
        self, starts: "Places", at: "Places", offsets: "Places"
    ) -> Iterator[tuple["Places", "Places"]]:
        room = offsets[np.searchsorted(offsets, starts, side="right")] - starts
        counts = (self._first[at + 1] - self._first[at]).astype(np.int64)
        for some in np.array_split(np.arange(starts.size), int(counts.sum()) // _EXPANDED + 1):
            which = np.repeat(some, counts[some])
            within = np.arange(which.size) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
            lengths = self._lengths[self._first[at[which]] + within]
            fits = lengths <= room[which]
            if fits.any():
                yield starts[which[fits]], lengths[fits]

    def _slots(self, heads: "Words") -> "npt.NDArray[np.intp]":
        return ((heads * _MIX) >> self._shift).astype(np.intp)


def _sliding(content: "npt.NDArray[np.uint8]", width: int) -> "Words":
    return _heads(np.lib.stride_tricks.sliding_window_view(content, width), width)


def _heads(rows: "npt.NDArray[np.uint8]", width: int) -> "Words":
    """Return one word, spread evenly, for the first bytes of each row: of six one each, more are mixed."""
    head = np.zeros(len(rows), np.uint64)
    for column in range(SHORTEST):
        head = head << np.uint64(8) | rows[:, column]
    head *= _MIX
    if width > SHORTEST:
        head ^= head >> np.uint64(29)
    for column in range(SHORTEST, width):
        head = (head ^ rows[:, column]) * _MIX
    return head
