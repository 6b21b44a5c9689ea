"""JSON lines in UTF-8: one object a line, kept by the bytes that it is written in. Pure.

Rules kept: a line that is no object, or has a name twice, is refused with its number; a number is taken
as it is written, never through a binary fraction.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import IO, Any, NoReturn

from deleatur.api import Refused
from deleatur_plugins.s3.inside.delimited import LONGEST, gathered
from deleatur_plugins.s3.inside.row import Row
from deleatur_plugins.s3.inside.rules import GOES, Rule, cells_at, leaves

_BOM = b"\xef\xbb\xbf"
_EMPTY = "empty"


class _Twice(ValueError):
    """A name that stands twice in one object: readers differ in which of the two they take."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found


def _no_number(_: str) -> NoReturn:
    raise ValueError("no number of JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number
)


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Refused(f"line {number} is not UTF-8; no other encoding can be told for certain") from None
    try:
        record = _DECODER.decode(text)
    except _Twice:
        raise Refused(f"line {number} has a name twice in one object") from None
    except (ValueError, RecursionError):
        raise Refused(f"line {number} is no JSON") from None
    if not isinstance(record, dict):
        raise Refused(f"line {number} is no object")
    return record


def _all(stream: IO[bytes], rule: Rule) -> Iterator[Row]:
    number = 0
    while line := stream.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise Refused(f"line {number} has more than {LONGEST >> 20} MiB")
        bare = line.removeprefix(_BOM) if number == 1 else line
        if not bare.strip():
            yield Row(_EMPTY, line, lambda: iter(()))
            continue
        record = _parsed(bare, number)
        verdict = rule.verdict(partial(cells_at, record))
        yield Row(verdict, line, partial(leaves, record))


def rows(stream: IO[bytes], rule: Rule) -> Iterator[Row]:
    """Yield the rows; a row is compared by its bytes."""
    return (row for row in _all(stream, rule) if row.verdict != _EMPTY)


def rewritten(stream: IO[bytes], rule: Rule) -> Iterator[bytes]:
    """Yield the file without the lines that go."""
    yield from gathered([], (row.raw for row in _all(stream, rule) if row.verdict != GOES))
