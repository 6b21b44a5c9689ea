"""Kept rows as they are stored: values side by side without anything between them.

Where one kept value ends and the next begins, a searched value of an erased row can stand by chance:
a birthday that ends in 22 before the address 6 Harbor Road reads like 226 Harbor Road, and so can the
length of another value in front of the first. Who searches raw bytes must have seen that before the
erase, or takes it for residue. Layout of records and index
entries: https://www.sqlite.org/fileformat2.html §2.1, §2.4, §2.5.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are bound

import sqlite3
import struct
from collections.abc import Iterator
from typing import Any

from deleatur_plugins.sqlite.connecting import Text
from deleatur_plugins.sqlite.schema import Table, quoted

_SIZES = (1, 2, 3, 4, 6, 8)  # bytes of an integer, §2.1; 0 and 1 have none


class Joined:
    """The stored form of the rows of one database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (encoding,) = connection.execute("PRAGMA main.encoding").fetchone()
        self._encoding = bytes(encoding).decode("ascii")

    def rows(self, table: Table, condition: str) -> Iterator[bytes]:
        """Yield the record of each row that meets `condition`, and its entry in each index."""
        number = self.number(table)
        rest = [c for c in table.columns if c not in table.computed and c not in table.key]
        record = [f"t0.{quoted(c)}" if c != number else "NULL" for c in (*table.key, *rest)]
        for asked in (record, *self._indexes(table)):
            for row in self._connection.execute(
                f"SELECT {', '.join(asked)} FROM {table.sql} AS t0 {condition} ORDER BY {table.order}"
            ):
                # before the first value stand the kinds of all values, §2.1
                yield b"".join(self._kind(v) for v in row) + b"".join(map(self.stored, row))
        if number:  # and before them the row's number, §1.6: a value of its column, in no record
            for (value,) in self._connection.execute(
                f"SELECT t0.{table.rowid} FROM {table.sql} AS t0 {condition} ORDER BY {table.order}"
            ):
                yield varint(value)

    def number(self, table: Table) -> str:
        """Return the column that stands for the row's number, which a record does not hold; "" if none."""
        if not table.rowid:
            return ""
        keyed = self._connection.execute(
            "SELECT name, type FROM pragma_table_xinfo(?) WHERE pk", (table.name,)
        ).fetchall()
        return _text(keyed[0][0]) if len(keyed) == 1 and _text(keyed[0][1]).upper() == "INTEGER" else ""

    def _indexes(self, table: Table) -> Iterator[list[str]]:
        """Yield what each index holds of a row; an expression is no more than what stands in the rows."""
        for name, origin in self._connection.execute(
            "SELECT name, origin FROM pragma_index_list(?)", (table.name,)
        ).fetchall():
            told = self._connection.execute(
                "SELECT cid, name FROM pragma_index_xinfo(?) WHERE cid >= -1", (_text(name),)
            ).fetchall()
            if table.rowid or _text(origin) != "pk":  # else it is the table itself
                yield [f"t0.{table.rowid if cid < 0 else quoted(_text(c))}" for cid, c in told]

    def _kind(self, value: Any) -> bytes:
        """Return the number that says of a value what it is and how long, as a varint."""
        if value is None:
            return b"\0"
        if isinstance(value, bytes):  # a text too
            return varint(12 + 2 * len(self.stored(value)) + isinstance(value, Text))
        if isinstance(value, float):
            return b"\7"
        return bytes([8 + value]) if value in (0, 1) else bytes([1 + _SIZES.index(len(self.stored(value)))])

    def stored(self, value: Any) -> bytes:
        """Return a value as a record holds it."""
        if value is None:
            return b""
        if isinstance(value, Text):
            text = bytes(value)
            return text if self._encoding == "UTF-8" else self._wide(text)
        if isinstance(value, bytes):
            return value
        if isinstance(value, float):
            return struct.pack(">d", value)
        if value in (0, 1):
            return b""
        size = next(s for s in _SIZES if -(1 << 8 * s - 1) <= value < 1 << 8 * s - 1)
        return int(value).to_bytes(size, "big", signed=True)

    def _wide(self, text: bytes) -> bytes:
        return text.decode("utf-8", "replace").encode(self._encoding.lower().replace("utf-16", "utf-16-"))


def varint(number: int) -> bytes:
    """Return a number seven bits a byte, high ones first; of 64 bits the ninth byte has eight, §1.6."""
    number %= 1 << 64
    if number >> 56:
        head = [(number >> shift & 0x7F) | 0x80 for shift in range(57, 7, -7)]
        return bytes([*head, number & 0xFF])
    parts = [number & 0x7F]
    while number := number >> 7:
        parts.append(number & 0x7F | 0x80)
    return bytes(reversed(parts))


def _text(name: Any) -> str:
    return str(name, "utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
