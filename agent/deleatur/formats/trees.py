"""Read JSON: line by line, or one document whose lists of objects are tables.

A key that is data itself, such as an address, never becomes the name of a column.
"""

import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import IO, Any

from deleatur.formats.encodings import encoding_of, lines_of
from deleatur.formats.parsed import IsValue, Parsed, Row, Unreadable

_LOOKED_AT = 1000  # records whose keys become columns
_LARGEST = 64 << 20  # bytes of a document that is read at once
_DEEPEST = 20
_WIDEST = 500  # columns; a document with more uses data as keys
_FURTHER = "(other keys)"


def json_lines(stream: IO[bytes], is_value: IsValue) -> Iterator[Parsed]:
    """Yield the records of a file with one JSON object a line.

    Raises:
        Unreadable: a line is no JSON.
    """
    encoding = encoding_of(stream)
    yield from _table("jsonl", "", _lines(lines_of(stream, encoding)), is_value, encoding)


def json_document(stream: IO[bytes], size: int, is_value: IsValue) -> Iterator[Parsed]:
    """Yield each list of objects of a document as a table, and the rest as one record.

    Raises:
        Unreadable: it is no JSON, or too large to read at once.
    """
    if size > _LARGEST:
        raise Unreadable(f"a JSON document of more than {_LARGEST >> 20} MiB; export it line by line")
    encoding = encoding_of(stream)
    try:
        document = json.loads(stream.read(_LARGEST + 1).decode(encoding, "replace"))
    except (ValueError, RecursionError):
        raise Unreadable("the document is no JSON") from None
    tables: dict[str, list[Any]] = {}
    rest = _without_tables(document, "", tables, is_value, 0)
    for path, records in tables.items():
        yield from _table("json", path, iter(records), is_value, encoding)
    if rest not in ({}, [], None):
        yield from _table("json", "", iter([rest]), is_value, encoding)


def _lines(lines: Iterator[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            raise Unreadable(f"line {number} is no JSON") from None


def _without_tables(node: Any, path: str, tables: dict[str, list[Any]], is_value: IsValue, depth: int) -> Any:
    if depth > _DEEPEST:
        raise Unreadable(f"nested more than {_DEEPEST} deep")
    if isinstance(node, list) and node and all(isinstance(each, dict) for each in node):
        tables.setdefault(path or "list", []).extend(node)
        return {}
    if isinstance(node, dict):
        inner = {
            key: _without_tables(value, _joined(path, key, is_value), tables, is_value, depth + 1)
            for key, value in node.items()
        }
        return {key: value for key, value in inner.items() if value != {}}
    return node


def _table(
    kind: str, part: str, records: Iterator[Any], is_value: IsValue, encoding: str
) -> Iterator[Parsed]:
    some = [_flat(record, is_value) for record in islice(records, _LOOKED_AT)]
    if not some:
        return
    columns = tuple(islice(dict.fromkeys(chain.from_iterable(some)), _WIDEST))
    known = set(columns)
    flat = chain(some, (_flat(record, is_value) for record in records))

    def rows() -> Iterator[Row]:
        for record in flat:
            further = " ".join(str(value) for key, value in record.items() if key not in known)
            yield (*(record.get(column) for column in columns), further)

    yield Parsed(
        kind=kind, part=part, columns=(*columns, _FURTHER), rows=rows(), dialect=encoding, linked=True
    )


def _flat(record: Any, is_value: IsValue) -> dict[str, Any]:
    found: dict[str, Any] = {}
    waiting: list[tuple[str, Any, int]] = [("", record, 0)]
    while waiting:
        path, node, depth = waiting.pop()
        if depth > _DEEPEST:
            raise Unreadable(f"nested more than {_DEEPEST} deep")
        if isinstance(node, dict):
            children = [(_joined(path, key, is_value), value, depth + 1) for key, value in node.items()]
            waiting += reversed(children)
        elif isinstance(node, list):
            waiting += [(path or "list", value, depth + 1) for value in reversed(node)]
        elif node is not None:
            name = path or "value"
            found[name] = f"{found[name]} {node}" if name in found else node
    return found


def _joined(path: str, key: str, is_value: IsValue) -> str:
    data = len(key) > 64 or sum(c.isdigit() for c in key) > 3 or is_value(key)
    return f"{path}.{'*' if data else key}" if path else ("*" if data else key)
