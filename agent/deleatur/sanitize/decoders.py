"""Find compressed values in raw bytes, whatever lies around them, and expand them for the search.

Pure. Each decoder looks at every offset for the few bytes with which its store introduces such a value, in
live and in dead space, in pages and in logs. Rules kept: a start is taken once; output is bounded for each
value and for each window, and a window that would expand to more is said to be cut, never taken for searched;
what looks like a value and is none yields little or nothing.
"""

import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator

from ahocorasick_rs import BytesAhoCorasick

from deleatur.errors import Unsupported
from deleatur.sanitize.expanding import MAX_TABLE, fsst, lz4, lzf, pglz, snappy, symbols_of
from deleatur.sanitize.full_text import words_of_indexes
from deleatur.sanitize.streams import LONGEST_START, STREAMS, Stream
from deleatur.sanitize.surface import Gap, Piece

REACH = 256 << 10  # bytes behind a start, and before it, that are there to be expanded
MAX_VALUE = 8 << 20  # bytes of one expanded value
MAX_WINDOW = 256 << 20  # bytes of all values that begin in one window
MAX_STREAMS = 8  # that are expanded at the same time
MAX_READ = 256 << 20  # bytes read by all streams that begin in one window, or seem to
_LEAST = 6  # bytes; fewer hold no needle
WORDS = "full-text"  # the decoder that shows words, each framed

# Decoder, where in the stream of bytes a value begins, plain bytes; None for more than may be read.
_Named = tuple[str, int, bytes | None]
Expanded = tuple[int, bytes | None]  # where in the window it begins, plain bytes
# Window, between which offsets a value begins, and where in the stream of bytes the window does.
Carve = Callable[[bytes, int, int, int], Iterator[Expanded]]


class Expander:
    """Runs decoders over one stream of bytes after another, with what a border could cut."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Take the decoders of these names.

        Raises:
            Unsupported: there is none of that name.
        """
        if unknown := next((name for name in names if name not in NAMES), None):
            known = ", ".join(sorted(NAMES))
            raise Unsupported(f"there is no decoder {unknown!r}; a surface may name {known}")
        self._carves = [(name, DECODERS[name]) for name in names if name in DECODERS]
        self._starts = [(name, *STREAMS[name]) for name in names if name in STREAMS]
        self._begin("", 0)

    def feed(self, piece: Piece) -> Iterator[Piece | Gap]:
        """Yield every value that begins so far before the end of this piece that it is whole.

        Of a stream that goes on behind the piece, what this piece holds.
        """
        if not self._carves and not self._starts:
            return
        if (piece.where, piece.offset) != (self._where, self._offset + len(self._pending)):
            yield from self.end()
            self._begin(piece.where, piece.offset)
        yield from self._bounded(self._go_on(piece.content), len(piece.content))
        self._pending += piece.content
        yield from self._expand(max(len(self._pending) - REACH, 0))

    def end(self) -> Iterator[Piece | Gap]:
        """Yield the values that begin in the rest of the stream."""
        yield from self._expand(len(self._pending))

    def _begin(self, where: str, offset: int) -> None:
        self._where, self._offset, self._pending, self._before = where, offset, b"", b""
        self._streams: list[tuple[str, Stream]] = []

    def _expand(self, size: int) -> Iterator[Piece | Gap]:
        """Yield the values that begin in the next bytes of this number, and go on behind them."""
        first = len(self._before)
        window, limit, offset = self._before + self._pending, first + size, self._offset - first
        self._pending, self._offset = window[limit:], self._offset + size
        self._before = window[max(limit - REACH, 0) : limit]
        if size:
            yield from self._bounded(self._values(window, first, limit, offset), size)

    def _values(self, window: bytes, first: int, limit: int, offset: int) -> Iterator[_Named]:
        for name, carve in self._carves:
            for start, plain in carve(window, first, limit, offset):
                yield name, offset + start, plain
        view, read = memoryview(window), 0
        for name, beginning, decompressor in self._starts:
            for found in beginning.finditer(window, first, min(limit + LONGEST_START, len(window))):
                if found.start() < limit:
                    stream = Stream(offset + found.start(), decompressor())
                    self._streams.append((name, stream))
                    for plain in stream.feed(view[found.start() :]):
                        yield name, stream.start, plain
                    if stream.over:
                        self._streams.pop()
                    read += stream.read
                    yield name, stream.start, b"" if read <= MAX_READ else None

    def _go_on(self, content: bytes | memoryview) -> Iterator[_Named]:
        """Yield what the next bytes hold of streams that began before."""
        for name, stream in self._streams:
            for plain in stream.feed(content):
                yield name, stream.start, plain
        self._streams = [(name, stream) for name, stream in self._streams if not stream.over]

    def _bounded(self, values: Iterator[_Named], size: int) -> Iterator[Piece | Gap]:
        """Yield values as pieces, until they are more than may be."""
        left = MAX_WINDOW
        for name, start, plain in values:
            left -= len(plain or b"")
            if plain is None or left < 0 or len(self._streams) > MAX_STREAMS:
                self._streams.clear()
                reason = f"holds more compressed values from byte {self._offset} on than are expanded"
                yield Gap(self._where, size, reason)
                return
            if len(plain) >= _LEAST:
                yield Piece(f"{self._where} (byte {start}, {name})", 0, plain, name)


# --- PostgreSQL ----------------------------------------------------------------------------------


def _class(low_bits: int) -> bytes:
    """Return the inside of a class of all bytes with these two low bits."""
    return b"".join(b"\\x%02x" % byte for byte in range(low_bits, 256, 4))


# src/include/varatt.h, little-endian: a header with the low bits 10 is a compressed value in its row, and its
# length counts both words; the second word is the plain size, its two high bits the method (0 pglz, 1 lz4).
# Sizes from 16 MiB on are left out (they do not fit REACH), which makes the fourth byte 0x00 or 0x40.
_INLINE = re.compile(b"[%s](?=[\\x00-\\x7f]\\x00\\x00...[\\x00\\x40])" % _class(2), re.DOTALL)
# A chunk is identity, number and a header with the low bits 00; here from the second byte of that on:
_SINGLE = re.compile(b"[\\x01-\\x1f](?<=\\x00{4}[%s].)(?=\\x00\\x00...[\\x00\\x40])" % _class(0), re.DOTALL)
_CHUNK = 1996  # bytes: TOAST_MAX_CHUNK_SIZE of 8 KiB pages, src/include/access/heaptoast.h
_FULL = re.compile(re.escape(((_CHUNK + 4) << 2).to_bytes(4, "little")))
_MOST_CHUNKS = MAX_VALUE // _CHUNK  # of a value: more expand to a larger one
# How many thirds of its size a stream expands to at the least (pglz saves a quarter, PGLZ_strategy_default),
# and how many times its size at the most: eight copies of 273 bytes in 25, or one byte for 255.
_METHODS = ((pglz, 4, 88), (lz4, 3, 255))


def _postgresql(window: bytes, first: int, limit: int, _offset: int) -> Iterator[Expanded]:
    """Yield values compressed in their row, and those in chunks of a TOAST table."""
    for found in _INLINE.finditer(window, first, limit + 7):
        start = found.start()
        end = start + (_word(window[start : start + 4]) >> 2)
        yield from _toasted(start, window[start + 4 : start + 8], window[start + 8 : end])
    for found in _SINGLE.finditer(window, first + 1, limit + 6):
        start = found.start() - 1  # of the header
        end = start + (_word(window[start : start + 4]) >> 2)
        if end - start < _CHUNK + 4:
            yield from _toasted(start, window[start + 4 : start + 8], window[start + 8 : end])
    yield from _chunked(window, first, limit)


def _toasted(start: int, word: bytes, stream: bytes) -> Iterator[Expanded]:
    """Yield what a stream expands to, if its sizes are such as the server writes them."""
    method, size = word[3] >> 6, _word(word) & 0x3FFFFFFF
    if len(word) < 4 or method >= len(_METHODS) or size > MAX_VALUE:
        return
    expand, least, most = _METHODS[method]
    if least * len(stream) <= size * 3 and size <= most * len(stream):
        yield start, expand(stream, size)


def _chunked(window: bytes, first: int, limit: int) -> Iterator[Expanded]:
    """Yield values in several chunks: identity, number, length and bytes of each, in any order."""
    chunks: dict[bytes, dict[int, int]] = {}
    for found in _FULL.finditer(window):
        start = found.start() - 8
        if start >= 0:
            number = _word(window[start + 4 : start + 8])
            chunks.setdefault(window[start : start + 4], {}).setdefault(number, found.end())
    lasts: dict[bytes, dict[int, int]] = {}  # identity and number of the last chunk: the chunks before it
    for identity, starts in chunks.items():
        if first <= starts.get(0, limit) < limit:
            whole = next((n for n in range(_MOST_CHUNKS) if n not in starts), _MOST_CHUNKS)
            lasts[identity + whole.to_bytes(4, "little")] = starts
    places = _first_places(window, list(lasts))
    for last, starts in lasts.items():
        stream = b"".join(window[starts[n] : starts[n] + _CHUNK] for n in range(_word(last[4:])))
        stream += _rest(window, places.get(last, -1) + 8)
        yield from _toasted(starts[0], stream[:4], stream[4:])


def _first_places(window: bytes, keys: list[bytes]) -> dict[bytes, int]:
    """Return where each of some keys of one length first stands: in one pass, however many they are."""
    if not keys:
        return {}
    found = BytesAhoCorasick(keys).find_matches_as_indexes(window, overlapping=True)
    return {keys[number]: at for number, at, _ in reversed(found)}


def _rest(window: bytes, at: int) -> bytes:
    """Return the bytes of the last chunk, whose length is in one byte or in four; b"" if there is none."""
    if at < 8 or at >= len(window):
        return b""
    if window[at] & 1:
        return window[at + 1 : at + (window[at] >> 1)]
    return window[at + 4 : at + min(_word(window[at : at + 4]) >> 2, _CHUNK + 4)]


def _word(four: bytes) -> int:
    return int.from_bytes(four, "little")


# --- Redis ---------------------------------------------------------------------------------------

# An RDB file introduces a compressed string with 0xC3, its two lengths follow: 6, 14 or 32 bits each, as
# the two high bits of the first byte say (rdb.h). The plain one is the larger.
_LZF = re.compile(
    rb"(?=\xc3([\x00-\x3f]|[\x40-\x7f].|\x80.{4})([\x00-\x3f]|[\x40-\x7f].|\x80.{4}))", re.DOTALL
)


def _redis(window: bytes, first: int, limit: int, _offset: int) -> Iterator[Expanded]:
    """Yield strings that are compressed in an RDB file."""
    view = memoryview(window)  # a slice of it copies nothing
    for found in _LZF.finditer(window, first, limit + 10):
        compressed, size = _length(found[1]), _length(found[2])
        if compressed < size <= MAX_VALUE and found.start() < limit:
            yield found.start(), lzf(view[found.end(2) : found.end(2) + compressed], size)


def _length(coded: bytes) -> int:
    if coded[0] >> 6 == 2:
        return int.from_bytes(coded[1:], "big")
    return int.from_bytes(coded, "big") & (0x3FFF if len(coded) == 2 else 0x3F)


# --- DuckDB --------------------------------------------------------------------------------------

# A segment of strings holds one table of symbols and, somewhere in the same block, its strings behind one
# another (third_party/fsst/libfsst.cpp, duckdb_fsst_export): one byte for the byte order, the number of
# symbols, two of the encoder, the version 20190218, a flag, and how many symbols there are of each length.
_TABLE = re.compile(rb"\x01(?=[\x01-\xff]..\x0a\x14\x34\x01[\x00\x01])", re.DOTALL)
_ENCODED = (1, 2)  # modes of a dictionary in which strings are encoded (DictFSSTMode)
_BLOCK = 256 << 10  # bytes; the largest that DuckDB has (DEFAULT_BLOCK_ALLOC_SIZE)


def _duckdb(window: bytes, first: int, limit: int, _offset: int) -> Iterator[Expanded]:
    """Yield the strings of each table of symbols; they lie between the table before and the one behind.

    A table whose segment has lost its header shows all that lies around it: each code stands for itself.
    """
    tables = [
        (found.start(), found.start() + table[0])
        for found in _TABLE.finditer(window)
        if (table := symbols_of(window[found.start() : found.start() + MAX_TABLE]))
    ]
    starts = [*(start for start, _ in tables), len(window)]
    ends = sorted((0, *(end for _, end in tables)))  # what looks like a table may begin inside another one
    for start, end in tables:
        table = symbols_of(window[start:end]) if first <= start < limit else None
        if table:
            low = max(ends[bisect_right(ends, start) - 1], start - _BLOCK)
            high = min(starts[bisect_left(starts, end)], start + _BLOCK)
            for begin, until in _strings(window, low, start, table[0]) or ((low, start), (end, high)):
                yield start, fsst(window[begin : min(until, high)], table[1])


def _strings(window: bytes, low: int, table: int, size: int) -> tuple[tuple[int, int], ...]:
    """Return where the strings of a table lie, as the header of its segment says; nothing without a header.

    Its four words are, for FSST, a size that may be missing, where the strings end, a width and where the
    table is; for dictionaries the strings' size, their number, the mode and two widths, the table's size.
    """
    low += (table - low) % 4
    words = struct.unpack(f"<{(table - low) // 4}I", window[low:table])
    for n in [n for n, word in enumerate(words) if word == size or word == table - low + 12 - 4 * n]:
        begin = low + 4 * n - 12
        if n < 3:
            continue
        if words[n] == size and words[n - 1] & 0xFF in _ENCODED and begin + 16 + _up(words[n - 3]) == table:
            return ((begin + 16, begin + 16 + words[n - 3]),)
        if words[n] == table - begin and table + size < begin + words[n - 2] <= begin + _BLOCK:
            return ((table + size, begin + words[n - 2]),)
    return ()


def _up(size: int) -> int:
    """Return a size rounded up to words of eight bytes."""
    return size + 7 & ~7


# --- InnoDB --------------------------------------------------------------------------------------

# A compressed page of MariaDB (fil0pagecompress.cc, fil_page_compress_for_full_crc32): behind its number,
# neighbours and sequence number its type has the highest bit set and says the size in units of 256 bytes; the
# whole page follows, compressed: so its head stands there twice. Of snappy it begins with its size.
_PAGE = re.compile(rb"\x80(?=[\x01-\xff])")
_TYPE, _COMPRESSED = 24, 26  # bytes from the beginning of the page
_PAGE_SIZE = 64 << 10  # bytes, at the most
_SIZES = (b"\x80\x20", b"\x80\x40", b"\x80\x80\x01", b"\x80\x80\x02", b"\x80\x80\x04")


def _innodb(window: bytes, first: int, limit: int, _offset: int) -> Iterator[Expanded]:
    """Yield pages of InnoDB that are compressed with LZ4 or snappy; other methods make streams."""
    for found in _PAGE.finditer(window, first + _TYPE, limit + _TYPE + 1):
        start = found.start() - _TYPE
        if start >= limit:
            break
        coded = window[start + _COMPRESSED : start + (window[start + _TYPE + 1] << 8)]
        size = next((size for size in _SIZES if coded.startswith(size)), b"")
        for expand, stream in ((lz4, coded), *(((snappy, coded[len(size) :]),) if size else ())):
            if expand(stream[: _TYPE + 16], _TYPE)[4:] == window[start + 4 : start + _TYPE]:
                yield start, expand(stream, _PAGE_SIZE)


DECODERS: dict[str, Carve] = {
    "duckdb": _duckdb,
    "innodb": _innodb,
    "postgresql": _postgresql,
    "redis": _redis,
    WORDS: words_of_indexes,
}
NAMES = {*DECODERS, *STREAMS}  # of all decoders
