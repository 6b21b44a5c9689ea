"""Read what a file holds: records of CSV, JSON, Parquet, workbooks, mail, contacts and plain text.

Rules kept: a stream is read, nothing is written; memory is bounded; what is not known is named, and
by its first bytes rather than by its name; no message quotes content or a file's name.
"""

from collections.abc import Iterator
from functools import partial
from typing import IO

from deleatur.formats.contacts import contacts
from deleatur.formats.delimited import delimited
from deleatur.formats.encodings import encoding_of, lines_of, looks_binary
from deleatur.formats.mail import mailbox, message
from deleatur.formats.parsed import IsValue, Parsed, Row, Unreadable
from deleatur.formats.trees import json_document, json_lines

__all__ = ["IsValue", "Parsed", "Row", "Unreadable", "tables_of"]

_DATABASE = b"SQLite format 3\0"
_LONGEST = 1 << 16  # characters of a line of text; a longer one is read in pieces
_DEEPEST = 2  # files in files: a workbook in a mail that is in a mail


def tables_of(
    stream: IO[bytes], suffix: str, size: int, is_value: IsValue, depth: int = 0
) -> Iterator[Parsed]:
    """Yield what the stream of `size` bytes holds; each table is read before the next is asked for.

    Raises:
        Unreadable: the format is not known, or the file is damaged.
    """
    if not size:
        return
    if depth > _DEEPEST:
        raise Unreadable(f"files more than {_DEEPEST} deep in each other")
    start = stream.read(16)
    stream.seek(0)
    inner = partial(_inner, is_value=is_value, depth=depth + 1)
    if start.startswith(b"PAR1"):
        from deleatur.formats.columnar import parquet

        yield from parquet(stream, is_value)
    elif start.startswith(b"PK\3\4"):
        yield from _zip(stream, is_value)
    elif start == _DATABASE:
        raise Unreadable("a SQLite database; discover it by its own URL")
    elif looks_binary(stream):
        raise Unreadable("of a format that is not read here")
    elif suffix in (".csv", ".tsv", ".tab"):
        yield from delimited(stream, is_value)
    elif suffix in (".jsonl", ".ndjson"):
        yield from json_lines(stream, is_value)
    elif suffix == ".json":
        yield from json_document(stream, size, is_value)
    elif suffix == ".mbox" or start.startswith(b"From "):
        yield from mailbox(stream, inner)
    elif suffix == ".eml":
        yield from message(stream, inner)
    elif suffix in (".vcf", ".vcard") or start.startswith(b"BEGIN:VCARD"):
        yield from contacts(stream)
    else:
        yield from _text(stream)


def _inner(stream: IO[bytes], suffix: str, size: int, *, is_value: IsValue, depth: int) -> Iterator[Parsed]:
    for table in tables_of(stream, suffix, size, is_value, depth):
        yield Parsed(
            kind=table.kind,
            part="attachment",
            columns=table.columns,
            rows=table.rows,
            dialect=table.dialect,
            linked=table.linked,
            stored_as=table.stored_as,
        )


def _zip(stream: IO[bytes], is_value: IsValue) -> Iterator[Parsed]:
    from deleatur.formats.workbook import is_workbook, workbook

    if not is_workbook(stream):
        raise Unreadable("a zip archive that is no workbook; unpack it")
    yield from workbook(stream, is_value)


def _text(stream: IO[bytes]) -> Iterator[Parsed]:
    encoding = encoding_of(stream)
    rows = ((line.rstrip("\n"),) for line in lines_of(stream, encoding, _LONGEST) if line.strip())
    yield Parsed(kind="text", columns=("text",), rows=rows, dialect=encoding, linked=False)
