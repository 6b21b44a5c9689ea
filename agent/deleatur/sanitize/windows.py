"""The engine of windows: it looks up a few bytes of each needle in tables, then compares the whole.

Rules kept: what it reports was compared byte by byte; a needle has an entry for each way in which it can
lie to the stride of its level, and the trial goes through all of them; tables lie in memory only.

It is the idea of Wu and Manber (A fast algorithm for multi-pattern searching, University of Arizona,
TR-94-17) for vectors of words: in a needle of at least width + stride - 1 bytes, wherever it lies, one window
of `width` bytes begins at a multiple of `stride`. Only those are read; the longer a needle, the fewer.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deleatur.sanitize.engines import FEW, Engine, Match, Numbers, numbered

# Width and stride in bytes, the widest stride first; measured with benchmarks/scan.py (ADR 38, 44).
_LEVELS = ((16, 8), (8, 4), (7, 2), (6, 1))  # of many needles, each at the widest stride that it allows
_LEVELS_OF_FEW = ((7, 4), (7, 2), (6, 1))  # of few needles, all at one stride: a second pass costs more
_SPARE = 32  # marks of a table for each of its keys: one in 32 others gets through
_FEWEST_MARKS = 16  # of a table, as a power of two
_MOST_BYTES = 19  # of a table, as a power of two; a larger one is of bits
_COUNTERS = 22  # of the windows that are alike, as a power of two
_EVERYWHERE = 0xFFFFFFFF  # how often a byte over and over is taken to be met
_AT_ONCE = 8_192  # needles, or places: bounds memory

_Words = NDArray[np.uint64]
_Places = NDArray[np.int64]

_WORD = np.dtype("<u8")
_ODD = tuple(np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93))
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)  # of the first bytes of a word
_SHAPE = np.uint64(0xFFFF)  # the bits of an entry that say which window of how long a needle it is


class Windows(Engine):
    """Finds needles by their windows, each at the widest stride that its length allows."""

    name = "windows"

    def __init__(self, needles: Sequence[bytes], known: Numbers | None = None) -> None:
        known = known or numbered(needles)
        few = len(needles) <= FEW
        shortest = min(map(len, needles), default=0)
        by_level = {level: array("I") for level in (_LEVELS_OF_FEW if few else _LEVELS)}
        for needle, number in known.items():
            level = _level(shortest if few else len(needle), by_level)
            by_level.setdefault(level, array("I")).append(number)
        self.levels: list[Level] = []
        left = array("I")
        for level, own in by_level.items():
            if own or left:
                made = Level(needles, own + left, *level, known)
                left = made.left
                self.levels += [made] if made.numbers else []
        super().__init__(self.levels)

    def find(self, content: bytes | memoryview) -> list[Match]:
        """Return every occurrence, overlapping ones too, in any order, each once."""
        return list(set(super().find(content)))  # a level may see a needle of another one

    def overlooks(self, needles: Sequence[bytes]) -> bool:
        """Say whether some needle would be overlooked where it lies in another way to the stride."""
        return any(level.overlooks(needles) for level in self.levels)


def _level(length: int, levels: Iterable[tuple[int, int]]) -> tuple[int, int]:
    fit = ((width, stride) for width, stride in levels if length >= width + stride - 1)
    return next(fit, (length, 1))


class Level:
    """Needles that are looked for by windows of one width, at one stride.

    An entry is the upper bits of a window's key, and the number of a shape: where in a needle the window
    begins, and how long the needle is.
    """

    def __init__(
        self, needles: Sequence[bytes], numbers: Sequence[int], width: int, stride: int, known: Numbers
    ) -> None:
        self._width, self._stride, self._known = width, stride, known
        by_length: dict[int, list[int]] = defaultdict(list)
        for number in numbers:
            by_length[len(needles[number])].append(number)
        shapes = [(at, length) for length in by_length for at in range(length - width + 1)]
        if len(shapes) > _SHAPE:
            raise ValueError(f"needles of {len(by_length)} lengths have too many shapes")
        self._offsets, self._lengths = np.array(shapes, np.int64).T
        self.numbers, self.left, self._entries = self._chosen(needles, by_length)
        bits = max(len(self._entries).bit_length() - 1, 0)
        self._shift = np.uint64(64 - bits)
        drawers = np.bincount((self._entries >> self._shift).view(np.int64), minlength=1 << bits)
        self._drawers = np.append(0, drawers.cumsum()).astype(np.int32)  # where each begins, where it ends
        ends = [
            _ends(s.words, s.starts, np.full(len(s.starts), s.length)) for s in _sheets(needles, by_length)
        ]
        self._first = _Table(self._entries)
        self._second = _Table(self._entries, _again)
        self._third = _Table(np.concatenate(ends))

    def _chosen(
        self, needles: Sequence[bytes], by_length: Mapping[int, Sequence[int]]
    ) -> tuple["array[int]", "array[int]", _Words]:
        """Return, in order, entries for `stride` windows of each needle, where they are least like others'.

        Before them the numbers of these needles, and of those left to the next level: one of their
        windows would be a byte over and over, of which storage is full.
        """
        counts = np.zeros(1 << _COUNTERS, np.uint32)
        for sheet in _sheets(needles, by_length):
            np.add.at(counts, _counter(sheet.keys(self._width)).ravel(), np.uint32(1))
        same = np.arange(256, dtype=np.uint64) * np.uint64(0x0101010101010101)
        counts[_counter(_keys(same, same, self._width))] = _EVERYWHERE
        entries, shape = [], dict[int, int]()
        own, left = array("I"), array("I")
        for length in by_length:
            shape[length] = sum(before - self._width + 1 for before in shape)
        for sheet in _sheets(needles, by_length):
            keys = sheet.keys(self._width)
            alike = counts[_counter(keys)]
            rooms = keys.shape[1] - self._stride + 1
            worst = np.max([alike[:, way : way + rooms] for way in range(self._stride)], axis=0)
            good = (worst.min(axis=1) < _EVERYWHERE) | (self._stride == 1)
            keys, best = keys[good], worst[good].argmin(axis=1)
            for way in range(self._stride):
                window = keys[np.arange(len(keys)), best + way] & ~_SHAPE
                entries.append(window | (best + way + shape[sheet.length]).astype(np.uint64))
            own.extend(sheet.numbers[good].tolist())
            left.extend(sheet.numbers[~good].tolist())
        ordered = np.concatenate(entries)
        del entries
        ordered.sort()
        return own, left, ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]

    def find(self, content: bytes | memoryview) -> list[Match]:
        """Return every occurrence of its needles, overlapping ones too, in any order, each once."""
        found: set[Match] = set()
        for starts, lengths in self._candidates(content):
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
                number = self._known.get(bytes(content[start : start + length]))
                if number is not None:
                    found.add((number, start + length))
        return list(found)

    def overlooks(self, needles: Sequence[bytes]) -> bool:
        """Say whether some needle is no candidate where it lies in some way to the stride."""
        for way in range(self._stride):
            for at in range(0, len(self.numbers), _AT_ONCE):
                batch = [needles[number] for number in self.numbers[at : at + _AT_ONCE]]
                lengths = np.array([len(needle) for needle in batch])
                starts = way + lengths.cumsum() - lengths
                some = [_pair(*found) for found in self._candidates(bytes(way) + b"".join(batch))]
                seen = np.sort(np.concatenate([[-1], *some]))
                wanted = _pair(starts, lengths)
                if not np.array_equal(seen[np.searchsorted(seen, wanted, side="right") - 1], wanted):
                    return True
        return False

    def _candidates(self, content: bytes | memoryview) -> Iterator[tuple[_Places, _Places]]:
        """Yield where a needle may begin, and how long it would be."""
        size = len(content)
        if size < self._width:
            return
        words = _words(content)
        until = size - self._width + 1
        keys = _keys(words[: until : self._stride], words[8 : until + 8 : self._stride], self._width)
        places = self._first.among(keys)
        if not len(places):
            return
        keys = keys[places]
        again = self._second.among(_again(keys))
        places, keys = places[again] * self._stride, keys[again]
        for at in range(0, len(places), _AT_ONCE):
            starts, lengths = self._shaped(places[at : at + _AT_ONCE], keys[at : at + _AT_ONCE])
            inside = (starts >= 0) & (starts + lengths <= size)
            starts, lengths = starts[inside], lengths[inside]
            ends = self._third.among(_ends(words, starts, lengths))
            yield starts[ends], lengths[ends]

    def _shaped(self, places: _Places, keys: _Words) -> tuple[_Places, _Places]:
        """Return the beginning and the length of each needle of which there may be a window at a place."""
        drawer = (keys >> self._shift).view(np.int64)
        low = self._drawers[drawer].astype(np.int64)
        count = self._drawers[drawer + 1] - low
        entry = np.repeat(low - (count.cumsum() - count), count) + np.arange(count.sum())
        same = (self._entries[entry] ^ np.repeat(keys, count)) <= _SHAPE
        entry, places = entry[same], np.repeat(places, count)[same]
        shape = (self._entries[entry] & _SHAPE).astype(np.int64)
        return places - self._offsets[shape], self._lengths[shape]


class _Table:
    """A mark for each value that keys have in their upper bits: what is not marked is no key.

    The mark of few keys is a byte, which takes half the steps to read; of many a bit, for memory.
    """

    def __init__(self, keys: _Words, view: Callable[[_Words], _Words] = np.positive) -> None:
        size = max((len(keys) * _SPARE).bit_length(), _FEWEST_MARKS)
        self._shift = np.uint64(64 - size)
        self._in_bits = size > _MOST_BYTES
        self._marks = np.zeros(1 << (size - 3 if self._in_bits else size), np.uint8)
        for begin in range(0, len(keys), _AT_ONCE):
            at = view(keys[begin : begin + _AT_ONCE]) >> self._shift
            if self._in_bits:
                np.bitwise_or.at(self._marks, at >> np.uint64(3), _bit(at))
            else:
                self._marks[at.view(np.int64)] = 1

    def among(self, keys: _Words) -> _Places:
        """Return which keys may be in it."""
        at = keys >> self._shift
        if self._in_bits:
            marked = (self._marks.take((at >> np.uint64(3)).view(np.int64)) & _bit(at)) != 0
        else:
            marked = self._marks.view(np.bool_).take(at.view(np.int64))
        places: _Places = marked.nonzero()[0]  # of truth values: up to ten times quicker than of numbers
        return places


@dataclass(frozen=True)
class _Sheet:
    """Needles of one length, side by side."""

    numbers: _Places
    words: _Words
    starts: _Places
    length: int  # bytes

    def keys(self, width: int) -> _Words:
        """Return the key of every window: a line for each needle."""
        at = self.starts[:, None] + np.arange(self.length - width + 1)
        return _keys(self.words[at], self.words[at + 8], width)


def _sheets(needles: Sequence[bytes], by_length: Mapping[int, Sequence[int]]) -> Iterator[_Sheet]:
    for length, numbers in by_length.items():
        for at in range(0, len(numbers), _AT_ONCE):
            batch = np.array(numbers[at : at + _AT_ONCE])
            words = _words(b"".join(needles[number] for number in batch))
            yield _Sheet(batch, words, np.arange(len(batch)) * length, length)


def _words(content: bytes | memoryview) -> _Words:
    """Return the eight bytes that begin at each byte, with zeros behind the end."""
    room = np.zeros(len(content) + 16, np.uint8)
    room[: len(content)] = np.frombuffer(content, np.uint8)
    return np.ndarray((len(room) - 7,), _WORD, room, strides=(1,))


def _keys(words: _Words, following: _Words, width: int) -> _Words:
    """Return the keys of windows, whose upper bits depend on every byte."""
    above = np.uint64(max(8 - width, 0) * 8)  # bits of a word that are no part of the window: shifted out
    keys: _Words = words * (_ODD[0] << above)
    if width == 16:
        keys += following * _ODD[1]
    return keys


def _again(keys: _Words) -> _Words:
    """Return other keys of the same windows, of the bits that are in an entry."""
    keys = keys & ~_SHAPE
    return (keys ^ (keys >> np.uint64(31))) * _ODD[2]


def _ends(words: _Words, starts: _Places, lengths: _Places) -> _Words:
    """Return keys of the first and the last eight bytes of needles, and of their lengths."""
    mask = _MASKS[np.minimum(lengths, 8)]
    first, last = words[starts] & mask, words[starts + np.maximum(lengths - 8, 0)] & mask
    keys: _Words = first * _ODD[0] + last * _ODD[1] + lengths.astype(np.uint64) * _ODD[2]
    return keys


def _counter(keys: _Words) -> _Places:
    return (keys >> np.uint64(64 - _COUNTERS)).view(np.int64)


def _bit(at: _Words) -> NDArray[np.uint8]:
    bit: NDArray[np.uint8] = np.left_shift(np.uint8(1), at.astype(np.uint8) & np.uint8(7))
    return bit


def _pair(starts: _Places, lengths: _Places) -> _Places:
    return starts << 16 | lengths
