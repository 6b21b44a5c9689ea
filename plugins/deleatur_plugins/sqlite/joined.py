"""Kept rows as they are stored: values side by side without anything between them.

Where one kept value ends and the next begins, a searched value of an erased row can stand by chance:
a birthday that ends in 22 before the address 6 Harbor Road reads like 226 Harbor Road. Who searches
raw bytes must have seen that before the erase, or takes it for residue. Layout of records and index
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
        stored = [c for c in table.columns if c not in table.computed]
        for columns in [stored, *self._indexes(table)]:
            listed = ", ".join(f"t0.{quoted(c)}" for c in columns)
            number = f", t0.{table.rowid}" if table.rowid else ""
            for row in self._connection.execute(
                f"SELECT {listed}{number} FROM {table.sql} AS t0 {condition} ORDER BY {table.order}"
            ):
                yield b"".join(map(self._stored, row))

    def _indexes(self, table: Table) -> Iterator[list[str]]:
        """Yield the columns of each index; one on an expression is no more than what stands in the rows."""
        for (name,) in self._connection.execute("SELECT name FROM pragma_index_list(?)", (table.name,)):
            told = self._connection.execute(
                "SELECT name FROM pragma_index_xinfo(?) WHERE key AND cid >= 0", (_text(name),)
            )
            if columns := [_text(column) for (column,) in told]:
                yield columns

    def _stored(self, value: Any) -> bytes:
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


def _text(name: Any) -> str:
    return str(name, "utf-8", "surrogateescape") if isinstance(name, bytes) else str(name)
