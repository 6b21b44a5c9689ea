"""Put the words of SQLite's full-text indexes together, which their leaves keep without what they share.

Pure, for bytes that anybody may have written. A leaf is taken for one where the record of its row stands
before it, in live and in dead space; what does not go on as a leaf does ends it. Words come as the index
stores them, and once more in capitals: so does who wrote them. Layout of records, and of the pages in which a
long one goes on: https://www.sqlite.org/fileformat2.html §2.1, §1.5, §1.6; of leaves: the heads of
ext/fts5/fts5_index.c and of ext/fts3/fts3_write.c.
"""

import re
from collections.abc import Callable, Iterator

BETWEEN = b"\x1f"  # around words as they are stored; none of their characters, and no part of one in UTF-16
APART = b"\x1e"  # the same around those in capitals, and around parts of words
LARGEST = 64 << 10  # bytes of a leaf: of a page at the most; longer is only the list of rows of one word
SHORT = 8 << 10  # bytes of a record that is read where it lies, and costs nothing to try
MOST = 1 << 20  # bytes of the words of one leaf: damaged ones could hold each word of a page many times
TIMES = 16  # that a window may be read
_PAGES = tuple(512 << n for n in range(8))  # bytes of a page, §1.3.2
_LONGEST = 9  # bytes of a varint
_HEAD = 4  # bytes before the content of a leaf of FTS5
_SIZES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)  # bytes of numbers, by their kind
_BLOB = 12  # the kind of an empty one; longer ones have larger even kinds
# The record of a block (its number is that of the row) and of a segment, which holds a short one itself: the
# size of the head, then the kind of each column, of which the last is a blob.
_RECORD = re.compile(
    rb"\x03\x00[\x0c-\x7f]|\x04\x00[\x81-\xff][\x00-\x7f]|\x05\x00[\x81-\xff][\x80-\xff][\x00-\x7f]"
    rb"|[\x07-\x0a][\x00-\x09]{4}[\x00-\x09\x0d-\x7f]([\x0c-\x7f]|[\x81-\xff][\x80-\xff]?[\x00-\x7f])"
)


def words_of_indexes(
    window: bytes, first: int, limit: int, offset: int
) -> Iterator[tuple[int, bytes | None]]:
    """Yield where each leaf begins, from `first` to `limit`, and its words, whole; None for too many.

    `offset` is that of the window in its file: pages in which a leaf goes on are named by their numbers. What
    only seems to be a leaf may hide none: each beginning is tried, until that was more work than reading the
    window so many times.
    """
    at, left = first, TIMES * len(window)
    while (found := _RECORD.search(window, at, limit + 10)) and found.start() < limit:
        at, (leaf, long, work) = found.start() + 1, _last_column(window, found.start(), offset)
        left -= work
        if left < 0:
            yield found.start(), None
            return
        for kind in _kinds(leaf, long):
            words, size, read = [], 0, 0
            for word, behind in kind(leaf):
                words.append(word)
                size, read = size + len(word), behind
                if size > MOST or read > left:
                    yield found.start(), None
                    return
            left -= read
            if words:
                around = APART if kind is _of_fts3 and leaf[0] else BETWEEN  # above leaves words are cut off
                plain = around.join((b"", *words, b""))
                yield found.start(), plain + plain.replace(BETWEEN, APART).upper()


def _last_column(window: bytes, start: int, offset: int) -> tuple[bytes, int, int]:
    """Return the last column of the record at `start`, as much of it as is there.

    Then its length in bytes, and how many were read to find it where that is more than its place.
    """
    end = start + window[start]
    at, kinds = start + 1, []
    while at < end:
        kind, at = _number(window, at)
        kinds.append(kind)
    size = (kinds[-1] - _BLOB) // 2
    if at != end or kinds[-1] % 2 or size <= 0:
        return b"", 0, 0
    before = end - start + sum(_SIZES[k] if k < len(_SIZES) else (k - _BLOB) // 2 for k in kinds[:-1])
    payload, work = _payload(window, start, before + size, offset)
    return payload[before : before + min(size, LARGEST)], size, work


def _payload(window: bytes, start: int, size: int, offset: int) -> tuple[bytes, int]:
    """Return a record of this size: of a long one the beginning, and what overflow pages hold that are here.

    Nobody says how large a page is: it is the size at which every page is where the one before says. Then
    how many bytes that took, where it was not only a short record in its place.
    """
    work = 0
    for page in _PAGES:
        least, most = (page - 12) * 32 // 255 - 23, page - 35
        if size <= most:
            break
        local = least + (size - least) % (page - 4)
        whole, pages = _chained(
            window, (start, start + (local if local <= most else least)), size, offset, page
        )
        work += pages * page
        if whole:
            return whole, work
    there = window[start : start + min(size, 2 * LARGEST)]
    return there, work + (len(there) if size > SHORT else 0)


def _chained(window: bytes, local: tuple[int, int], size: int, offset: int, page: int) -> tuple[bytes, int]:
    """Return a record with its overflow pages, and how many: b"" if of another size, or not here."""
    start, at = local
    if (offset + start) // page != (offset + at + 3) // page:
        return b"", 0
    parts, left = [window[start:at]], min(size, 2 * LARGEST) - (at - start)
    while left > 0:
        at = (int.from_bytes(window[at : at + 4], "big") - 1) * page - offset
        if not 0 <= at <= len(window) - page:
            return b"", len(parts) - 1
        parts.append(window[at + 4 : at + 4 + min(left, page - 4)])
        left -= page - 4
    over = size <= 2 * LARGEST and any(window[at : at + 4])
    return b"" if over else b"".join(parts), len(parts) - 1


def _kinds(leaf: bytes, size: int) -> tuple[Callable[[bytes], Iterator[tuple[bytes, int]]], ...]:
    """Return how a leaf, of which some may be missing, can be read; a leaf of FTS5 is no node of FTS3.

    It says where its foot begins, which says where its words do; a node of FTS3 has letters there.
    """
    foot = int.from_bytes(leaf[2:4], "big")
    if _HEAD <= foot <= size and int.from_bytes(leaf[:2], "big") < foot and len(leaf) < size:
        return ()
    if foot == size or _has_foot(leaf, foot):
        return (_of_fts5,)
    return (_of_fts5, _of_fts3)


def _has_foot(leaf: bytes, foot: int) -> bool:
    at, end = 0, foot
    while _HEAD <= foot < len(leaf):
        step, foot = _number(leaf, foot)
        at += step
        if not step or not _HEAD <= at < end:
            return False
    return bool(at) and foot == len(leaf)


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
