"""Find in every text of a column a word of its own row, all rows at once. Pure.

UTF-8 all through, in which a word stands where its bytes stand. A word has three to 64 bytes.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from deleatur.desensitize.arrow import arrow, validity
from deleatur.desensitize.cmac import buffers_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Places = npt.NDArray[np.int64]
    Truth = npt.NDArray[np.bool_]

SHORTEST, LONGEST = 3, 64  # bytes of a word
_STEP = 8  # bytes that are compared at a time
_NEVER = np.uint16(0xFFFF)  # two bytes that are in no UTF-8
_MASKS = (
    np.array([[0xFF] * n + [0] * (_STEP - n) for n in range(_STEP + 1)], np.uint8).view(np.uint64).ravel()
)
_CAPITAL, _CAPITALS, _SMALLER = 65, 26, 32  # A, how many follow it, and how far its small letter is
_LATIN_1, _TIMES = 0xC3, 0x97  # first byte of À to ÿ; second byte of ×, which has no small form
_LAST_CAPITAL = 0x9E  # second byte of Þ
_FURTHER = 0xC4  # this or the next is the first byte of Ā to ƿ
_ASCII, _SPACE, _LATIN_SPACES, _WIDE_SPACE = 0x7F, 0x20, 0xC2, "\u3000".encode()


class Words(NamedTuple):
    """One word a row: where it begins in the bytes and how long it is; 0 where there is none."""

    content: "Bytes"
    starts: "Places"
    lengths: "Places"

    def only(self, rows: "Truth") -> "Words":
        """Return the words of some rows."""
        return self._replace(lengths=np.where(rows, self.lengths, 0))

    def without(self, count: int) -> "Words":
        """Return the words without their first bytes."""
        return self._replace(starts=self.starts + count, lengths=np.maximum(self.lengths - count, 0))

    def begin(self, with_one_of: list[bytes]) -> "Truth":
        """Say which words begin with one of some that are equally long, at most eight bytes."""
        (count,) = set(map(len, with_one_of))
        starts = np.where(self.lengths >= count, self.starts, self.content.size - _STEP)
        first = _windows(self.content)[starts] & _MASKS[count]
        return np.isin(first, np.array([_number(word) for word in with_one_of], np.uint64))

    def fit(self) -> "Truth":
        """Say which words are long enough and not too long."""
        return (self.lengths >= SHORTEST) & (self.lengths <= LONGEST)


def words_of(array: Any) -> Words:
    """Return an Arrow array of strings as words; NULL is none."""
    content, offsets = buffers_of(array)
    lengths = np.where(array.is_valid().to_numpy(zero_copy_only=False), np.diff(offsets), 0)
    return Words(_padded(content[offsets[0] : offsets[-1]]), offsets[:-1] - offsets[0], lengths)


def of_bytes(words: list[bytes], rows: "Places") -> Words:
    """Return for each row the word with the number that `rows` says."""
    lengths = np.array([len(word) for word in words], np.int64)
    starts = np.cumsum(lengths) - lengths
    return Words(_padded(np.frombuffer(b"".join(words), np.uint8)), starts[rows], lengths[rows])


class Found(NamedTuple):
    """Places in the bytes of the texts, in order, and the row of each."""

    places: "Places"
    rows: "Places"

    def only(self, some: "Truth") -> "Found":
        """Return some of the places."""
        return Found(self.places[some], self.rows[some])


class Texts:
    """The bytes of a column of texts, one after the other."""

    def __init__(self, content: "Bytes", offsets: "Places", valid: Any = None) -> None:
        first, last = int(offsets[0]), int(offsets[-1])
        self._offsets = offsets - first
        self._content = _padded(content[first:last])
        self._valid = valid  # as Arrow says which are not NULL
        self._size = last - first
        self._lengths = np.diff(offsets)

    @classmethod
    def of(cls, array: Any) -> Self:
        """Return the texts of an Arrow array of strings."""
        return cls(*buffers_of(array), validity(array))

    @cached_property
    def _rows(self) -> "npt.NDArray[np.int32]":
        """Say of each byte in which text it is."""
        return np.repeat(np.arange(self._lengths.size, dtype=np.int32), self._lengths)

    @cached_property
    def _pairs(self) -> "npt.NDArray[np.uint16]":
        """Return the two bytes from each place on as one number."""
        pairs = self._content[:-1].astype(np.uint16)
        pairs <<= 8
        pairs |= self._content[1:]
        return pairs

    def only(self, rows: "Truth") -> "Texts":
        """Return some of the texts."""
        content = self._content[: self._size][np.repeat(rows, self._lengths)]
        return Texts(content, np.append(0, np.cumsum(self._lengths[rows])))

    def lowered(self) -> "Texts":
        """Return the same in small letters, as far as U+00FF; rows that go `beyond` keep their others."""
        content = self._content[: self._size].copy()
        capital = (content - np.uint8(_CAPITAL)) < _CAPITALS
        content += capital.view(np.uint8) * np.uint8(_SMALLER)
        second = np.flatnonzero(content == _LATIN_1) + 1
        letters = content[second]
        small = (letters <= _LAST_CAPITAL) & (letters != _TIMES)
        content[second[small]] += np.uint8(_SMALLER)
        return Texts(content, self._offsets)

    def beyond(self) -> "Truth":
        """Say which texts have letters of Latin Extended, which `lowered` does not know."""
        return self._marked(np.flatnonzero((self._content[: self._size] & 0xFE) == _FURTHER))

    def find(self, words: Words) -> Found:
        """Return every place where the word of its row stands; words that do not fit stand nowhere."""
        fit = words.fit()
        starts, lengths = np.where(fit, words.starts, 0), np.where(fit, words.lengths, 0)
        first, second = (words.content[starts + step].astype(np.uint16) for step in (1, 2))
        probe = np.where(fit, first << 8 | second, _NEVER)
        places = np.flatnonzero(self._pairs[1 : self._size + 1] == np.repeat(probe, self._lengths))
        rows = self._rows[places]
        inside = places + lengths[rows] <= self._offsets[1:][rows]
        places, rows = places[inside], rows[inside]
        here, there = _windows(self._content), _windows(words.content)
        for step in range(0, int(lengths.max(initial=0)), _STEP):
            mask = _MASKS[np.clip(lengths[rows] - step, 0, _STEP)]
            same = (here[places + step] ^ there[starts[rows] + step]) & mask == 0
            places, rows = places[same], rows[same]
        return Found(places, rows.astype(np.int64))

    def count(self, found: Found) -> "Places":
        """Return how many places each text has."""
        return np.bincount(found.rows, minlength=self._lengths.size)

    def overlapping(self, found: Found, words: Words) -> "Truth":
        """Say in which texts a word begins before the one before it has ended."""
        answer = np.zeros(self._lengths.size, bool)
        again = (np.diff(found.rows) == 0) & (np.diff(found.places) < words.lengths[found.rows[1:]])
        answer[found.rows[1:][again]] = True
        return answer

    def before_space(self, words: Words) -> "Truth":
        """Say in which texts the first three bytes of a word may stand before white space."""
        content = self._content[: self._size + SHORTEST]
        space = (content <= _SPACE) | (content == _LATIN_SPACES) | (content == _WIDE_SPACE[0])
        places = np.flatnonzero(space[SHORTEST:] & (content[SHORTEST - 1 : -1] > _ASCII))
        here, rows = _windows(self._content), self._rows[places]
        wide = here[places + SHORTEST] & _MASKS[len(_WIDE_SPACE)] == _number(_WIDE_SPACE)
        good = wide | (content[places + SHORTEST] != _WIDE_SPACE[0])
        same = (here[places] ^ _windows(words.content)[words.starts[rows]]) & _MASKS[SHORTEST] == 0
        return self._marked(places[good & same]) & words.fit()

    def same(self, other: "Texts", found: Found, words: Words) -> "Truth":
        """Say at which places the other texts have the same word as these."""
        same = np.ones(found.places.size, bool)
        lengths = words.lengths[found.rows]
        for step in range(0, int(lengths.max(initial=0)), _STEP):
            mask = _MASKS[np.clip(lengths - step, 0, _STEP)]
            here, there = (_windows(texts._content)[found.places + step] for texts in (self, other))
            same &= (here ^ there) & mask == 0
        return same

    def cut(self, found: Found, words: Words, mark: bytes) -> Any:
        """Return an Arrow array of the texts with a mark in place of words, which are as long or longer."""
        pa = arrow()
        less = words.lengths[found.rows] - len(mark)
        content, kept = self._content[: self._size].copy(), np.ones(self._size, bool)
        content[found.places[:, None] + np.arange(len(mark))] = np.frombuffer(mark, np.uint8)
        before = np.cumsum(less) - less
        kept[np.repeat(found.places + len(mark) - before, less) + np.arange(less.sum())] = False
        shorter = np.bincount(found.rows, less, self._lengths.size).astype(np.int64)
        offsets = pa.py_buffer((self._offsets - np.append(0, np.cumsum(shorter))).astype(np.int32))
        return pa.StringArray.from_buffers(
            self._lengths.size, offsets, pa.py_buffer(content[kept]), self._valid
        )

    def _marked(self, places: "Places") -> "Truth":
        """Say which texts have at least one of the places."""
        answer = np.zeros(self._lengths.size, bool)
        answer[self._rows[places]] = True
        return answer


def _padded(content: "Bytes") -> "Bytes":
    padded = np.zeros(content.size + LONGEST + _STEP, np.uint8)
    padded[: content.size] = content
    return padded


def _number(few: bytes) -> np.uint64:
    return np.uint64(np.frombuffer(few.ljust(_STEP, b"\0"), np.uint64)[0])


def _windows(content: "Bytes") -> "npt.NDArray[np.uint64]":
    """Return the eight bytes from each place on as one number."""
    return np.ndarray((content.size - _STEP + 1,), np.uint64, content, strides=(1,))
