"""Expand the compressed values of databases: pglz, LZ4 and snappy blocks, LZF, FSST.

Pure, written from the formats' definitions, for bytes that anybody may have written: output is bounded by
`size`, and a stream that is damaged or cut short gives what stands before the damage, because a part of a
value is residue too.
"""

_NEAREST = 1  # bytes; a copy reaches back at least so far
_HISTOGRAM = 9  # where a table of FSST symbols says how many there are of each length
_ESCAPE = 255  # the code of FSST that no symbol has: the next byte stands for itself
MAX_TABLE = _HISTOGRAM + 8 + 8 * _ESCAPE  # bytes of a table of FSST symbols


def pglz(stream: bytes, size: int) -> bytes:
    """Expand PostgreSQL's own compression (src/common/pg_lzcompress.c) to at most `size` bytes."""
    out = bytearray()
    at, end = 0, len(stream)
    while at < end and len(out) < size:
        control, at = stream[at], at + 1
        if not control:
            out += stream[at : at + min(8, size - len(out))]
            at += 8
            continue
        for _ in range(8):
            if at >= end or len(out) >= size:
                break
            if not control & 1:
                out.append(stream[at])
                at += 1
            else:
                if at + 2 > end:
                    return bytes(out)
                length = (stream[at] & 0x0F) + 3
                back = (stream[at] & 0xF0) << 4 | stream[at + 1]
                at += 2
                if length == 18:
                    if at >= end:
                        return bytes(out)
                    length += stream[at]
                    at += 1
                if not _copy(out, back, min(length, size - len(out))):
                    return bytes(out)
            control >>= 1
    return bytes(out)


def lz4(stream: bytes, size: int) -> bytes:
    """Expand an LZ4 block (lz4_Block_format.md) to at most `size` bytes."""
    out = bytearray()
    at, end = 0, len(stream)
    while at < end and len(out) < size:
        token, at = stream[at], at + 1
        literal, at = _lengthened(stream, at, token >> 4)
        out += stream[at : at + min(literal, size - len(out))]
        at += literal
        if at + 2 > end:
            break
        back = int.from_bytes(stream[at : at + 2], "little")
        length, at = _lengthened(stream, at + 2, token & 15)
        if not _copy(out, back, min(length + 4, size - len(out))):
            break
    return bytes(out)


def lzf(stream: bytes | memoryview, size: int) -> bytes:
    """Expand LibLZF (lzf_d.c), which Redis writes, to at most `size` bytes."""
    out = bytearray()
    at, end = 0, len(stream)
    while at < end and len(out) < size:
        control, at = stream[at], at + 1
        if control < 32:
            out += stream[at : at + min(control + 1, size - len(out))]
            at += control + 1
            continue
        length = control >> 5
        if length == 7 and at < end:
            length += stream[at]
            at += 1
        if at >= end:
            break
        back = ((control & 31) << 8 | stream[at]) + 1
        at += 1
        if not _copy(out, back, min(length + 2, size - len(out))):
            break
    return bytes(out)


def snappy(stream: bytes, size: int) -> bytes:
    """Expand a raw block of snappy (format_description.txt) behind its length to at most `size` bytes."""
    out = bytearray()
    at, end = 0, len(stream)
    while at < end and len(out) < size:
        tag, at = stream[at], at + 1
        length = (tag >> 2) + 1
        if not tag & 3:
            more = max(length - 60, 0)  # bytes in which a longer length stands
            if more:
                length, at = int.from_bytes(stream[at : at + more], "little") + 1, at + more
            out += stream[at : at + min(length, size - len(out))]
            at += length
            continue
        more = (0, 1, 2, 4)[tag & 3]
        back, at = int.from_bytes(stream[at : at + more], "little"), at + more
        if more == 1:
            length, back = (tag >> 2 & 7) + 4, back | (tag & 0xE0) << 3
        if at > end or not _copy(out, back, min(length, size - len(out))):
            break
    return bytes(out)


def symbols_of(table: bytes) -> tuple[int, list[bytes]] | None:
    """Read an exported table of FSST symbols: its size in bytes and what each code stands for.

    None if its counts do not agree, or if it is cut (DuckDB's third_party/fsst/libfsst.cpp, fsst_import).
    """
    if len(table) < _HISTOGRAM + 8:
        return None
    terminated, counts = table[_HISTOGRAM - 1] & 1, [*table[_HISTOGRAM : _HISTOGRAM + 8]]
    if sum(counts) != table[1] or table[1] > _ESCAPE or counts[0] < terminated:
        return None
    symbols = [b"\0"] * terminated  # not stored
    counts[0] -= terminated
    at = _HISTOGRAM + 8
    for length in (2, 3, 4, 5, 6, 7, 8, 1):
        for _ in range(counts[length - 1]):
            symbols.append(table[at : at + length])
            at += length
    if at > len(table):
        return None
    return at, symbols + [b""] * (256 - len(symbols))


def fsst(stream: bytes, symbols: list[bytes]) -> bytes:
    """Expand codes of FSST (Boncz, Neumann, Leis, VLDB 2020) to at most 8 times their size."""
    symbol = symbols.__getitem__
    first, *others = stream.split(b"\xff")
    out, literal = [b"".join(map(symbol, first))], False
    for part in others:
        literal = not literal
        if literal and part:
            out += part[:1], b"".join(map(symbol, part[1:]))
            literal = False
        elif not literal:
            out += b"\xff", b"".join(map(symbol, part))
    return b"".join(out)


def _lengthened(stream: bytes, at: int, length: int) -> tuple[int, int]:
    """Read the bytes that go on with a length of 15, and return it with the place behind them."""
    if length == 15:
        while at < len(stream):
            more, at = stream[at], at + 1
            length += more
            if more != 255:
                break
    return length, at


def _copy(out: bytearray, back: int, length: int) -> bool:
    """Append what stands `back` bytes before the end, over and over; False if nothing stands there."""
    if not _NEAREST <= back <= len(out):
        return False
    piece = out[len(out) - back : len(out) - back + length]
    while len(piece) < length:
        piece += piece[: length - len(piece)]
    out += piece
    return True
