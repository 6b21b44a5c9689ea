"""CSV as RFC 4180 has it, in UTF-8: rows by the bytes that they are written in. Pure.

Rules kept: every byte of a row that stays is written as it was, its line end included; a record that can
be read in two ways is refused with its number, and so is every other encoding.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import IO

from deleatur.api import Refused
from deleatur_plugins.s3.inside.row import Row
from deleatur_plugins.s3.inside.rules import GOES, Rule

LONGEST = 16 << 20  # bytes of one record, which lies in memory
_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 16  # bytes handed on at least, so that compression has something to work on


def records(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield each record with its line end; one goes on as long as a quote is open.

    Raises:
        Refused: a quote is never closed, or a record is too long.
    """
    parts: list[bytes] = []
    size = quotes = number = 0
    while line := stream.readline(LONGEST + 1):
        size, quotes = size + len(line), quotes + line.count(b'"')
        if size > LONGEST:
            raise Refused(f"record {number + 1} has more than {LONGEST >> 20} MiB, or a quote is not closed")
        parts.append(line)
        if quotes % 2 == 0:
            number += 1
            yield b"".join(parts) if len(parts) > 1 else line
            parts, size, quotes = [], 0, 0
    if parts:
        raise Refused(f"a quote that is opened in record {number + 1} is not closed")


class _Reader:
    """Takes records apart."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        bare = b'[^"\r\n' + re.escape(delimiter) + b"]*"
        self._field = re.compile(b'(?:"((?:[^"]|"")*)"|(' + bare + b"))(" + re.escape(delimiter) + rb"|\Z)")

    def fields(self, record: bytes, number: int) -> list[str]:
        """Return the fields of one record."""
        body = record.removesuffix(b"\n").removesuffix(b"\r")
        try:
            if b'"' in body:
                return [field.decode() for field in self._quoted(body, number)]
            if b"\r" in body or b"\0" in body:
                raise Refused(f"record {number} has a lone carriage return or a null byte in it")
            return body.decode().split(self._delimiter.decode())
        except UnicodeDecodeError:
            raise Refused(
                f"record {number} is not UTF-8; no other encoding can be told for certain"
            ) from None

    def _quoted(self, body: bytes, number: int) -> Iterator[bytes]:
        place, more = 0, True
        while more:
            found = self._field.match(body, place)
            if found is None:
                raise Refused(f"record {number} has quotes that can be read in two ways (RFC 4180 §2)")
            quoted, bare, end = found.groups()
            yield bare if quoted is None else quoted.replace(b'""', b'"')
            place, more = found.end(), bool(end)


class _Table:
    """The head of a file, and a way to each of its rows."""

    def __init__(self, stream: IO[bytes], rule: Rule, delimiter: bytes) -> None:
        self._rule = rule
        self._reader = _Reader(delimiter)
        self._records = records(stream)
        self.head = next(self._records, b"")
        if self.head[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise Refused("it is UTF-16; no encoding but UTF-8 can be rewritten")
        names = self._reader.fields(self.head.removeprefix(_BOM), 1) if self.head else []
        self._width = len(names)
        self._places = {}
        for column in rule.columns:
            if self.head and names.count(column) != 1:
                raise Refused(
                    f"its first record names {names.count(column)} columns {column[:40]!r}, of {self._width} "
                    "columns in all; it must have one (delimiter= in the URL says what divides them)"
                )
            self._places[column] = names.index(column) if self.head else 0

    def __iter__(self) -> Iterator[Row]:
        for number, record in enumerate(self._records, start=2):
            if not record.strip(b"\r\n") and self._width > 1:
                yield Row("empty", record, lambda: iter(()))
                continue
            fields = self._reader.fields(record, number)
            if len(fields) != self._width:
                raise Refused(f"record {number} has {len(fields)} columns, the first one {self._width}")
            yield Row(self._verdict(fields), record, partial(_values, fields))

    def _verdict(self, fields: list[str]) -> str:
        return self._rule.verdict(lambda column: _cell(fields[self._places[column]]))


def _cell(text: str) -> list[str]:
    return [text] if text else []  # there is no other way to write that nothing stands there


def _values(fields: list[str]) -> Iterator[bytes]:
    return (field.encode() for field in fields if field)


def rows(stream: IO[bytes], rule: Rule, delimiter: bytes) -> Iterator[Row]:
    """Yield the rows; a row is compared by its bytes."""
    return (row for row in _Table(stream, rule, delimiter) if row.verdict != "empty")


def rewritten(stream: IO[bytes], rule: Rule, delimiter: bytes) -> Iterator[bytes]:
    """Yield the file without the rows that go; empty lines and the first record stay."""
    table = _Table(stream, rule, delimiter)
    yield from gathered([table.head], (row.raw for row in table if row.verdict != GOES))


def gathered(first: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in larger pieces."""
    some, size = first, sum(map(len, first))
    for one in rest:
        some.append(one)
        size += len(one)
        if size >= _CHUNK:
            yield b"".join(some)
            some, size = [], 0
    if some:
        yield b"".join(some)
