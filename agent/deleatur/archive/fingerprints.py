"""Find any of millions of values inside texts, knowing only keyed fingerprints of them.

A value is kept as its first bytes, its length and 64 bits of AES-CMAC: some 30 bytes each, however
long it is, and the values themselves are not in memory. A wrong find needs equal first bytes and an
equal tag: 1 in 2^64 for each comparison.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True)
class Hit:
    """Where a value stands: in which row, from which byte to which, and who owns it."""

    row: int
    start: int
    end: int
    owner: int


class Fingerprints:
    """Values that must not be found, and values that may."""

    def __init__(self, key: bytes) -> None:
        self._mac = Cmac(key)
        self._seen: list[list[npt.NDArray[Any]]] = [[], [], [], []]  # tags, heads, lengths, owners
        self._allowed: list[Words] = []
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
        lengths = np.diff(offsets)[places]
        heads = np.zeros(places.size, np.uint64)
        for width, some in ((SHORTEST, lengths < _LONG), (_LONG, lengths >= _LONG)):
            if some.any():
                heads[some] = _heads(gather(content, offsets[:-1][places[some]], width), width)
        owners = np.full(places.size, owner, np.uint16)
        parts: tuple[npt.NDArray[Any], ...] = (chosen, heads, lengths.astype(np.int32), owners)
        for column, part in zip(self._seen, parts, strict=True):
            column.append(part)

    def allow(self, tags: "Words") -> None:
        """Remember that these values stand somewhere by right."""
        self._allowed.append(np.unique(tags))

    def settle(self) -> tuple[int, int]:
        """Make ready for searching; return how many values are sought and how many are allowed instead."""
        allowed = np.unique(_joined(self._allowed, np.uint64))
        tags = _joined(self._seen[0], np.uint64)
        order = np.argsort(tags)
        tags = tags[order]
        new = np.ones(tags.size, bool)
        new[1:] = tags[1:] != tags[:-1]
        by_right = np.zeros(tags.size, bool)
        if allowed.size:
            at = np.searchsorted(allowed, tags)
            at[at == allowed.size] = 0
            by_right = (allowed[at] == tags) & new
            del at
        sought = new & ~by_right
        self._tags, order = tags[sought], order[sought]
        del tags
        heads = _joined(self._seen[1], np.uint64)[order]
        lengths = _joined(self._seen[2], np.int32)[order]
        self._owners = _joined(self._seen[3], np.uint16)[order]
        del order
        long = lengths >= _LONG
        self._parts = [
            _Heads(heads[rows], lengths[rows], width)
            for rows, width in ((~long, SHORTEST), (long, _LONG))
            if rows.any()
        ]
        return int(sought.sum()), int(by_right.sum())

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

    def __init__(self, heads: "Words", lengths: "npt.NDArray[np.int32]", width: int) -> None:
        order = np.lexsort((lengths, heads))
        heads, lengths = heads[order], lengths[order]
        del order
        new = np.ones(heads.size, bool)
        new[1:] = (heads[1:] != heads[:-1]) | (lengths[1:] != lengths[:-1])
        self._lengths = lengths[new]
        heads = heads[new]
        new = np.ones(heads.size, bool)
        new[1:] = heads[1:] != heads[:-1]
        self._heads = heads[new]
        self._first = np.append(np.flatnonzero(new), heads.size)
        self._width = width
        self._shift = np.uint64(64 - min(26, max(16, self._heads.size.bit_length() + 4)))
        self._filter = np.zeros(1 << (64 - int(self._shift)), bool)
        self._filter[self._slot(self._heads)] = True

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
            near = np.flatnonzero(self._filter[self._slot(heads)])
            at = np.searchsorted(self._heads, heads[near])
            at[at == self._heads.size] = 0
            sure = self._heads[at] == heads[near]
            yield from self._expanded(near[sure] + begin, at[sure], offsets)

    def _expanded(
        self, starts: "Places", at: "Places", offsets: "Places"
    ) -> Iterator[tuple["Places", "Places"]]:
        room = offsets[np.searchsorted(offsets, starts, side="right")] - starts
        counts = self._first[at + 1] - self._first[at]
        for some in np.array_split(np.arange(starts.size), int(counts.sum()) // _EXPANDED + 1):
            which = np.repeat(some, counts[some])
            within = np.arange(which.size) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
            lengths = self._lengths[self._first[at[which]] + within]
            fits = lengths <= room[which]
            if fits.any():
                yield starts[which[fits]], lengths[fits]

    def _slot(self, heads: "Words") -> "npt.NDArray[np.intp]":
        return ((heads * _MIX) >> self._shift).astype(np.intp)


def _sliding(content: "npt.NDArray[np.uint8]", width: int) -> "Words":
    return _heads(np.lib.stride_tricks.sliding_window_view(content, width), width)


def _heads(rows: "npt.NDArray[np.uint8]", width: int) -> "Words":
    """Return one word for the first bytes of each row: six as they are, more of them mixed."""
    head = np.zeros(len(rows), np.uint64)
    for column in range(width):
        if column == SHORTEST:
            head *= _MIX
            head ^= head >> np.uint64(29)
        if column < SHORTEST:
            head = head << np.uint64(8) | rows[:, column]
        else:
            head = (head ^ rows[:, column]) * _MIX
    return head


def _joined(parts: list["npt.NDArray[Any]"], type_: Any) -> "npt.NDArray[Any]":
    """Join the parts and forget them one by one: at this size two copies are one too many."""
    whole = np.empty(sum(part.size for part in parts), type_)
    end = whole.size
    while parts:
        part = parts.pop()
        whole[end - part.size : end] = part
        end -= part.size
    return whole
