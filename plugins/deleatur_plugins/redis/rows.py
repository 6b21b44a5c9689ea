"""Show keys of one type as rows with columns: for an archive and for a data map. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

from deleatur_plugins.redis.keyspace import Entry
from deleatur_plugins.redis.selecting import KEY, column_of

_OF_TYPE = {"string": ("value",), "list": ("value",), "set": ("value",), "zset": ("value", "score")}
_ID = "@id"  # of an entry of a stream


def columns_of(found: Sequence[Entry]) -> tuple[str, ...]:
    """Return the columns of keys of one type: the key, then fields by name, or the parts of the type."""
    if not found:
        return (KEY,)
    kind = found[0].type
    if kind in _OF_TYPE:
        return (KEY, *_OF_TYPE[kind])
    fields = {column_of(f) for entry in found for part in entry.parts for f in _fields(kind, part)}
    return (KEY, *((_ID,) if kind == "stream" else ()), *sorted(fields))


def _fields(kind: str, part: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return part[:1] if kind == "hash" else part[1::2]


def rows_of(found: Sequence[Entry], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield a row for each string and hash, for each element of a list or set, each entry of a stream."""
    for entry in found:
        for row in _rows(entry):
            yield tuple(row.get(column) for column in columns)


def _rows(entry: Entry) -> Iterator[dict[str, Any]]:
    key = {KEY: _text(entry.key)}
    if entry.type == "hash":
        yield key | {column_of(field): _text(value) for field, value in entry.parts}
    elif entry.type == "stream":
        for id_, *said in entry.parts:
            fields = zip(said[::2], said[1::2], strict=True)
            yield key | {_ID: _text(id_)} | {column_of(field): _text(value) for field, value in fields}
    else:
        names = _OF_TYPE[entry.type]
        for part in entry.parts:
            yield key | dict(zip(names, map(_text, part), strict=True))


def _text(value: bytes) -> str | bytes:
    """Return a value as text where it is one."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value
