"""Put the words of SQLite's full-text indexes together, which their leaves keep without what they share.

Pure, for bytes that anybody may have written. A leaf is taken for one where the record of its row stands
before it, in live and in dead space; what does not go on as a leaf does ends it. Words come as the index
folded them, in small letters, and once more in capitals: so does who wrote them. Layout of records:
https://www.sqlite.org/fileformat2.html §2.1; of leaves: the heads of ext/fts5/fts5_index.c and of
ext/fts3/fts3_write.c.
"""

import re
from collections.abc import Iterator

BETWEEN = b"\x1f"  # words; no character that a word has, and no part of one in UTF-16
LARGEST = 64 << 10  # bytes of a leaf: of a page at the most
MOST = 1 << 20  # bytes of the words of one leaf: damaged ones could hold each word of a page many times
TIMES = 16  # that a window may be read
_LONGEST = 9  # bytes of a varint
_HEAD = 4  # bytes before the content of a leaf of FTS5
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)  # bytes of numbers, by their kind
_BLOB = 12  # the kind of an empty one; longer ones have larger even kinds
# The record of a block (its number is that of the row) and of a segment, which holds a short one itself: the
# size of the head, then the kind of each column, of which the last is a blob.
_RECORD = re.compile(
    rb"\x03\x00[\x0c-\x7f]|\x04\x00[\x81-\xff][\x00-\x7f]"
    rb"|[\x07-\x0a][\x00-\x09]{4}[\x00-\x09\x0d-\x7f]([\x0c-\x7f]|[\x81-\xff][\x00-\x7f])"
)


def words_of_indexes(window: bytes, first: int, limit: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield where each leaf begins, from offset `first` to `limit`, and its words, whole; None for too many.

    What only seems to be a leaf may hide none: each beginning is tried, until that was more work than
    reading the window so many times.
    """
    at, left = first, TIMES * len(window)
    while (found := _RECORD.search(window, at, limit + 10)) and found.start() < limit:
        at, leaf = found.start() + 1, _last_column(window, found.start())
        for kind in (_of_fts5, _of_fts3):
            words, size, read = [], 0, 0
            for word, behind in kind(leaf):
                words.append(word)
                size, read = size + len(word), behind
                if size > MOST or read > left:
                    yield found.start(), None
                    return
            left -= read
            if words:
                plain = BETWEEN.join(words)
                yield found.start(), plain + BETWEEN + plain.upper()


def _last_column(window: bytes, start: int) -> bytes:
    """Return the last column of the record at `start`, as much of it as is in its place."""
    end = start + window[start]
    at, kinds = start + 1, []
    while at < end:
        kind, at = _number(window, at)
        kinds.append(kind)
    size = (kinds[-1] - _BLOB) // 2
    if at != end or kinds[-1] % 2 or not 0 < size <= LARGEST:
        return b""
    begin = end + sum(_SIZES[k] if k < len(_SIZES) else (k - _BLOB) // 2 for k in kinds[:-1])
    return window[begin : begin + size]


def _of_fts5(leaf: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the words of a leaf of FTS5, and where each ends; its foot says where each begins."""
    content = int.from_bytes(leaf[2:4], "big")
    word, at, foot = b"", 0, content
    while content <= foot < len(leaf):
        step, foot = _number(leaf, foot)
        at += step
        if at < _HEAD or not step or at >= content:
            return
        kept, begin = _number(leaf, at) if word else (0, at)
        size, begin = _number(leaf, begin)
        if kept > len(word) or not size or begin + size > content:
            return
        word = word[:kept] + leaf[begin : begin + size]
        yield word, begin + size


def _of_fts3(leaf: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the words of a node of FTS3 or FTS4, and where each ends; in leaves a list of rows follows."""
    word, at = b"", 1
    if leaf and leaf[0]:
        _, at = _little(leaf, at)  # the number of the first node below
    while at < len(leaf):
        kept, at = _little(leaf, at) if word else (0, at)
        size, at = _little(leaf, at)
        if kept > len(word) or not size or at + size > len(leaf):
            return
        word = word[:kept] + leaf[at : at + size]
        at += size
        yield word, at
        if not leaf[0]:
            rows, at = _little(leaf, at)
            at += rows


def _number(content: bytes, at: int) -> tuple[int, int]:
    """Read a varint of SQLite, high bits first, and return it with the place behind it."""
    number = 0
    for place in range(at, min(at + _LONGEST, len(content))):
        number = number << 7 | content[place] & 0x7F
        if content[place] < 0x80:
            return number, place + 1
    return number, at + _LONGEST


def _little(content: bytes, at: int) -> tuple[int, int]:
    """Read a varint of FTS3, low bits first, and return it with the place behind it."""
    number = 0
    for shift, place in enumerate(range(at, min(at + _LONGEST, len(content)))):
        number |= (content[place] & 0x7F) << 7 * shift
        if content[place] < 0x80:
            return number, place + 1
    return number, at + _LONGEST
