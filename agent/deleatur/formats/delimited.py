"""Read delimited text: its encoding, delimiter and header are found out, rows are streamed."""

import csv
from collections.abc import Iterator
from itertools import chain, islice
from typing import IO

from deleatur.formats.encodings import encoding_of, lines_of
from deleatur.formats.parsed import IsValue, Parsed, Row, Unreadable, column_names, numbered

_DELIMITERS = ",;\t|"
_LOOKED_AT = 50  # rows that decide on the delimiter
_NAMES = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}


def delimited(stream: IO[bytes], is_value: IsValue) -> Iterator[Parsed]:
    """Yield the table of a CSV file; a column too many is joined to the last one.

    Raises:
        Unreadable: a line is no row, such as one with a cell of more than 128 KiB.
    """
    encoding = encoding_of(stream)
    delimiter = _delimiter(stream, encoding)
    rows = _rows(lines_of(stream, encoding), delimiter)
    first = next(rows, None)
    if first is None:
        return
    names = column_names(first, is_value)
    some = list(islice(rows, _LOOKED_AT))
    width = max(map(len, [first, *some]))
    data = chain(some, rows) if names else chain([first], some, rows)
    columns = (*(names or ()), *numbered(width)[len(names or ()) :])
    dialect = f"{encoding}, {_NAMES[delimiter]}, {'with' if names else 'without'} header"
    yield Parsed(kind="csv", columns=columns, rows=(_fit(r, width) for r in data), dialect=dialect)


def _rows(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    reader = csv.reader((line.replace("\0", "") for line in lines), delimiter=delimiter)
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            raise Unreadable(f"line {reader.line_num} is no row of a delimited text") from None
        if row is None:
            return
        if row:
            yield row


def _delimiter(stream: IO[bytes], encoding: str) -> str:
    """Return the delimiter that splits the first lines into the most columns, evenly."""
    head = stream.read(1 << 16).decode(encoding, "replace")
    stream.seek(0)
    lines = head.splitlines()[:_LOOKED_AT]

    def merit(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            return 0.0, 0
        usual = max(set(widths), key=widths.count, default=1)
        even = widths.count(usual) / len(widths) if widths else 0
        return (even if usual > 1 else 0.0), usual

    return max(_DELIMITERS, key=merit)


def _fit(row: list[str], width: int) -> Row:
    if len(row) > width:
        row = [*row[: width - 1], " ".join(row[width - 1 :])]
    return tuple(row) + ("",) * (width - len(row))
