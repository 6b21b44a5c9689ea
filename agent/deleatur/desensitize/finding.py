"""Find in every text of a column a word of its own row, all rows at once. Pure.

UTF-8 all through, in which a word stands where its bytes stand. A word has three to 64 bytes.
"""

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from deleatur.desensitize.arrow import arrow, validity
from deleatur.desensitize.cmac import buffers_of, gather

if TYPE_CHECKING:
    import numpy.typing as npt

    Bytes = npt.NDArray[np.uint8]
    Places = npt.NDArray[np.int64]
    Truth = npt.NDArray[np.bool_]

SHORTEST, LONGEST = 3, 64  # bytes of a word
_FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FFF  # of the block that names are written in
_STEP = 8  # bytes that are compared at a time
_NEVER = np.uint16(0xFFFF)  # two bytes that are in no UTF-8
_MASKS = (
    np.array([[0xFF] * n + [0] * (_STEP - n) for n in range(_STEP + 1)], np.uint8).view(np.uint64).ravel()
)


class Words(NamedTuple):
    """One word a row: where it begins in the bytes and how long it is; 0 where there is none."""

    content: "Bytes"
    starts: "Places"
    lengths: "Places"

    def only(self, rows: "Truth") -> "Words":
        """Return the words of some rows."""
        return self._replace(lengths=np.where(rows, self.lengths, 0))

    def fit(self) -> "Truth":
        """Say which words are long enough and not too long."""
        return (self.lengths >= SHORTEST) & (self.lengths <= LONGEST)

    def chinese(self, most: int) -> "Places":
        """Return the code points of the Chinese characters with which each word begins; 0 of others."""
        one, two, three = gather(self.content, self.starts, 3 * most).reshape(-1, most, 3).astype(int).T
        points = (one & 15) << 12 | (two & 63) << 6 | three & 63  # of three bytes in UTF-8
        chinese = (one >> 4 == 14) & (points >= _FIRST_HAN) & (points <= _LAST_HAN)
        chinese &= np.arange(most)[:, None] * 3 < self.lengths
        return np.where(np.logical_and.accumulate(chinese), points, 0).T


def words_of(array: Any) -> Words:
    """Return an Arrow array of strings as words; NULL is none."""
    content, offsets = buffers_of(array)
    lengths = np.where(array.is_valid().to_numpy(zero_copy_only=False), np.diff(offsets), 0)
    return Words(_padded(content[offsets[0] : offsets[-1]]), offsets[:-1] - offsets[0], lengths)


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

    def find(self, words: Words) -> Found:
        """Return every place where the word of its row stands; words that do not fit stand nowhere."""
        fit = words.fit()
        starts, lengths = np.where(fit, words.starts, 0), np.where(fit, words.lengths, 0)
        first, second = (words.content[starts + step].astype(np.uint16) for step in (1, 2))
        probe = np.where(fit, first << 8 | second, _NEVER)
        pairs = self._content[1 : self._size + 1].astype(np.uint16)
        pairs <<= 8
        pairs |= self._content[2 : self._size + 2]
        begins = np.zeros(whole_steps(self._size), bool)
        np.equal(pairs, np.repeat(probe, self._lengths), out=begins[: self._size])
        places = where(begins)
        rows = np.searchsorted(self._offsets, places, side="right") - 1
        inside = places + lengths[rows] <= self._offsets[1:][rows]
        places, rows = places[inside], rows[inside]
        here, there = _windows(self._content), _windows(words.content)
        for step in range(0, int(lengths.max(initial=0)), _STEP):
            mask = _MASKS[np.clip(lengths[rows] - step, 0, _STEP)]
            same = (here[places + step] ^ there[starts[rows] + step]) & mask == 0
            places, rows = places[same], rows[same]
        return Found(places, rows)

    def count(self, found: Found) -> "Places":
        """Return how many places each text has."""
        return np.bincount(found.rows, minlength=self._lengths.size)

    def overlapping(self, found: Found, words: Words) -> "Truth":
        """Say in which texts a word begins before the one before it has ended."""
        answer = np.zeros(self._lengths.size, bool)
        again = (np.diff(found.rows) == 0) & (np.diff(found.places) < words.lengths[found.rows[1:]])
        answer[found.rows[1:][again]] = True
        return answer

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


def where(truth: "Truth") -> "Places":
    """Return where it is true, of eight times so many places; quick where it rarely is."""
    words = np.flatnonzero(truth.view(np.uint64) != 0)
    near = np.flatnonzero(truth.view(f"V{_STEP}")[words].view(bool))
    places: Places = (words * _STEP)[near >> 3] + (near & 7)
    return places


def whole_steps(size: int) -> int:
    """Return the next multiple of eight."""
    return -(-size // _STEP) * _STEP


def _padded(content: "Bytes") -> "Bytes":
    padded = np.zeros(content.size + LONGEST + _STEP, np.uint8)
    padded[: content.size] = content
    return padded


def _windows(content: "Bytes") -> "npt.NDArray[np.uint64]":
    """Return the eight bytes from each place on as one number."""
    return np.ndarray((content.size - _STEP + 1,), np.uint64, content, strides=(1,))
