"""Kept rows as InnoDB stores them: values side by side without anything between them.

Where one kept value ends and the next begins, a searched value of an erased row can stand by chance:
the number 50 is stored as a byte that reads 2, and before the address 6 Harbor Road it reads like
26 Harbor Road. Who searches raw bytes must have seen that before the erase, or takes it for residue.
Layout: storage/innobase/rem/rem0rec.cc of MariaDB 10.6 to 11; of values: sql/field.h, strings/decimal.c.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted

import calendar
import itertools
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence

from deleatur.api import is_fine, is_large
from deleatur_plugins.mariadb.connecting import Session, quoted
from deleatur_plugins.mariadb.schema import BLOBS, TEXTS, Column, Table

_SIZES = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}  # bytes
_DIGITS = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)  # bytes of so many decimal digits, strings/decimal.c dig2bytes
_FRACTION = re.compile(r"\((\d+)(?:,(\d+))?\)")
_OUTSIDE = 700  # bytes; a longer value may lie on pages of its own, its length in its place
_COARSE = 2  # digits of a second; with so many a TIMESTAMP has five bytes
_SHORT = 128  # bytes; the length of a shorter value is one byte, in undo and binary log too
_WIDE = frozenset({"ucs2", "utf16", "utf16le", "utf32"})  # filled up with more than one byte
_VARIABLE = frozenset({"varchar", "varbinary"}) | (TEXTS | BLOBS) - {"char", "binary"}
Piece = bytes | None  # None: something stands there that is not known, such as a transaction's number


def joined_rows(session: Session, table: Table, clause: str) -> Iterator[bytes]:
    """Yield what stands side by side of the rows that meet `clause`, and of their entries in each index."""
    stored = [c for c in table.columns if c.stored]
    key = list(table.key)
    rest = [c for c in stored if c not in key]
    clustered = _Layout([*map(_whole, key), None, *map(_whole, rest)])
    yield from _records(session, table, clause, clustered, table.order)
    for index in table.indexes:
        own = [_part(c, length) for c, length in index.columns]
        entry = [*own, *(_whole(c) for c in key if (c, 0) not in index.columns)]
        order = ", ".join([*(f.asked for f in entry), table.order])
        yield from _records(session, table, clause, _Layout([*entry, None]), order)


class _Field:
    """One value of a record: what to ask for, and how what comes is stored."""

    def __init__(self, column: Column, asked: str) -> None:
        self.asked = asked
        self.column = column
        self.store = storing(column)


def _whole(column: Column) -> _Field:
    name = f"t0.{quoted(column.name)}"
    shown = {"enum": f"{name}+0", "set": f"{name}+0", "float": f"CAST({name} AS DOUBLE)"}  # exactly
    return _Field(column, shown.get(column.type, name))


def _part(column: Column, length: int) -> _Field:
    """Return a column of an index, or so many characters of it."""
    return _Field(column, f"LEFT(t0.{quoted(column.name)}, {length})") if length else _whole(column)


class _Layout:
    """The fields of a record in their order; None stands for what the server puts between."""

    def __init__(self, fields: Sequence[_Field | None]) -> None:
        self.fields = [f for f in fields if f is not None]
        self._order = fields

    def pieces(self, row: Sequence[bytes | None]) -> list[Piece]:
        """Return the stored form of each value; a NULL takes no room."""
        values = iter(row)
        found: list[Piece] = []
        for field in self._order:
            value = None if field is None else next(values)
            if field is None:
                found.append(None)
            elif value is not None:
                found.append(field.store(value))
        return found

    def first_byte(self, row: Sequence[bytes | None]) -> bytes:
        """Return what stands before a record, lowest byte: the length of the last value that varies."""
        for field, value in zip(reversed(self.fields), reversed(row), strict=True):
            if value is not None and _varies(field.column):
                kept = field.store(value)
                return b"" if kept is None or len(kept) > _OUTSIDE else bytes([len(kept) & 0xFF])
        return b""


def _records(session: Session, table: Table, clause: str, layout: _Layout, order: str) -> Iterator[bytes]:
    """Yield each record with the byte behind it: a table that was just written anew has them in order."""
    asked = ", ".join(f.asked for f in layout.fields)
    before: list[Piece] = []
    for row in session.stream(f"SELECT {asked} FROM {table.sql} AS t0 WHERE {clause} ORDER BY {order}"):
        yield from _runs([*before, layout.first_byte(row)] if before else [])
        before = layout.pieces(row)
        yield from _apart(before)
        yield b"".join(bytes([len(p)]) + p for p in before if p and len(p) < _SHORT)  # in undo, binary log
    yield from _runs(before)


def _runs(pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Yield what stands together without a gap of unknown bytes."""
    run = b""
    for piece in pieces:
        if piece is None:
            if run:
                yield run
            run = b""
        else:
            run += piece
    if run:
        yield run


def _apart(pieces: Sequence[Piece]) -> Iterator[bytes]:
    """Yield what stands behind the pointer to a long value, whose last eight bytes are its length."""
    for here, behind in itertools.pairwise(pieces):
        if here is not None and len(here) > _OUTSIDE and behind is not None:
            yield len(here).to_bytes(8, "big") + behind


def _varies(column: Column) -> bool:
    wide = column.type == "char" and column.charset.startswith(("utf", "ucs", "gb", "big5", "sjis"))
    return column.type in _VARIABLE or wide


# --- values


def says_enough(column: Column, shown: bytes) -> bool:
    """Say whether a number or time, as the server shows it, would be recognised as it is stored."""
    match column.type:
        case "double":
            return is_fine(float(shown))
        case "bigint" | "decimal":
            return is_large(int(shown.replace(b".", b"")))
        case "datetime" | "timestamp":  # in whole seconds many rows share them
            fraction = shown.partition(b".")[2]
            return bool(fraction.strip(b"0")) and len(fraction) > _COARSE
        case _:
            return True


def storing(column: Column) -> Callable[[bytes], Piece]:
    """Return how a value of this column is stored, given as the server shows it."""
    kind = column.type
    signed = "unsigned" not in column.declared
    if kind in _SIZES:
        return lambda v: _signed(int(v), _SIZES[kind], signed=signed)
    if kind in ("enum", "set"):
        size = _size_of_words(column)
        return lambda v: int(v).to_bytes(size, "big")
    simple: dict[str, Callable[[bytes], Piece]] = {
        "year": lambda v: bytes([int(v) - 1900 if int(v) else 0]),
        "float": lambda v: struct.pack("<f", float(v)),
        "double": lambda v: struct.pack("<d", float(v)),
        "date": _date,
        "time": _time,
        "datetime": _datetime,
        "timestamp": _timestamp,
        "uuid": lambda _: None,
        "inet4": lambda v: bytes(map(int, v.split(b"."))),
        "inet6": lambda _: None,
    }
    if kind == "decimal":
        return lambda v: _decimal(v.decode("ascii"), column.declared)
    if kind == "char":
        found = _FRACTION.search(column.declared)
        width = int(found[1]) if found and column.charset not in _WIDE else 0
        return lambda v: v.ljust(width)
    return simple.get(kind, bytes)


def _signed(number: int, size: int, *, signed: bool) -> bytes:
    """Return a whole number as it is stored: so that the bytes sort as the numbers do."""
    return (number + ((1 << 8 * size - 1) if signed else 0)).to_bytes(size, "big")


def _size_of_words(column: Column) -> int:
    count = len(re.findall(r"'(?:[^']|'')*'", column.declared))
    if column.type == "enum":
        return 1 if count < 256 else 2
    return next(size for size in (1, 2, 3, 4, 8) if count <= 8 * size)


def _numbers(value: bytes) -> tuple[list[int], bytes]:
    """Return the numbers of a date or time, and the stored form of what stands behind the point."""
    whole, _, fraction = value.decode("ascii").partition(".")
    size = (len(fraction) + 1) // 2
    kept = int(fraction.ljust(2 * size, "0") or 0).to_bytes(size, "big")
    return [int(n) for n in re.findall(r"\d+", whole)], kept


def _date(value: bytes) -> Piece:
    (year, month, day), _ = _numbers(value)
    return _signed(year << 9 | month << 5 | day, 3, signed=True)


def _time(value: bytes) -> Piece:
    (hours, minutes, seconds), fraction = _numbers(value)
    if value.startswith(b"-"):
        return None
    return _signed(hours << 12 | minutes << 6 | seconds, 3, signed=True) + fraction


def _datetime(value: bytes) -> Piece:
    (year, month, day, hours, minutes, seconds), fraction = _numbers(value)
    days = (year * 13 + month) << 5 | day
    return _signed(days << 17 | hours << 12 | minutes << 6 | seconds, 5, signed=True) + fraction


def _timestamp(value: bytes) -> Piece:
    numbers, fraction = _numbers(value)
    seconds = calendar.timegm((*numbers, 0, 0, 0)) if any(numbers) else 0
    return seconds.to_bytes(4, "big") + fraction


def _decimal(text: str, declared: str) -> Piece:
    """Return a decimal number: nine digits in four bytes, the point nowhere, negative ones turned over."""
    found = _FRACTION.search(declared)
    digits, scale = (int(found[1]), int(found[2] or 0)) if found else (10, 0)
    whole, _, fraction = text.removeprefix("-").partition(".")
    whole = whole.zfill(digits - scale) if digits > scale else ""
    fraction = fraction.ljust(scale, "0")
    head, tail = len(whole) % 9, len(fraction) - len(fraction) % 9
    groups = [whole[:head], *(whole[i : i + 9] for i in range(head, len(whole), 9))]
    groups += [*(fraction[i : i + 9] for i in range(0, tail, 9)), fraction[tail:]]
    kept = b"".join(int(g).to_bytes(_DIGITS[len(g)], "big") for g in groups if g)
    if text.startswith("-"):
        kept = bytes(b ^ 0xFF for b in kept)
    return bytes([kept[0] ^ 0x80]) + kept[1:]
