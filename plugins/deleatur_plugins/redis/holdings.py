"""Show all that a database holds: classes of keys by pattern and type, and change nothing."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from deleatur.api import Column, Contents, HeldTable, Holding, Identity, NotRead
from deleatur_plugins.redis.connecting import Session
from deleatur_plugins.redis.ground import Ground
from deleatur_plugins.redis.keyspace import TYPES, Entry, Pattern, entries, names
from deleatur_plugins.redis.rows import columns_of, rows_of

_WORD = re.compile(rb"[A-Za-z][A-Za-z_-]{0,31}")  # a part of a name that may be one of a schema
_MOST = 16  # different words at one place; with more of them they name people or things, not classes
_FEWEST = 3  # keys that begin with a word, if it is to be the name of a class
_LARGEST = 4096  # keys read at a time
_EVERY = Pattern("*", "", b"*")


def contents_of(session: Session, ground: Ground) -> Contents:
    """Describe the database; its keys are read as they are asked for."""
    encrypted, by = ground.encryption()
    return Contents(
        identity=Identity(kind="database", fields=ground.identity()),
        encrypted=encrypted,
        encryption=by,
        access=(),
        holdings=_holdings(session),
    )


def patterns_of(keys: list[bytes]) -> dict[bytes, str]:
    """Say of which class each key is: parts between colons that differ from key to key become `*`.

    A word stays only beside few others: the first one where several keys begin with it, a later one
    where it stands behind different parts (`customer:17:cart`, `customer:18:cart`). Behind one and the
    same it may name a person (`user:anna:cart`).
    """
    found: dict[bytes, str] = {}
    _split([(key, key.split(b":")) for key in keys], 0, "", found)
    return found


def _split(keys: list[tuple[bytes, list[bytes]]], depth: int, before: str, found: dict[bytes, str]) -> None:
    """Give the keys that have the same `before` their classes, from the part number `depth` on."""
    words: dict[bytes, list[tuple[bytes, list[bytes]]]] = {}
    for key, parts in keys:
        word = parts[depth] if _WORD.fullmatch(parts[depth]) else b""
        words.setdefault(word, []).append((key, parts))
    rest = words.pop(b"", [])
    shared = {word for word, some in words.items() if _shared(some, depth)}
    if len(shared) > _MOST:
        shared = set()
    rest += [one for word, some in words.items() if word not in shared for one in some]
    for word, some in [*((word, words[word]) for word in shared), (b"*", rest)]:
        named = f"{before}{word.decode()}"
        deeper = [(key, parts) for key, parts in some if len(parts) > depth + 1]
        found.update((key, named) for key, parts in some if len(parts) == depth + 1)
        if deeper:
            _split(deeper, depth + 1, f"{named}:", found)


def _shared(some: list[tuple[bytes, list[bytes]]], depth: int) -> bool:
    """Say whether a word at this place may be that of a class."""
    if not depth:
        return len(some) >= _FEWEST
    return len({tuple(parts[:depth]) for _, parts in some}) > 1


def _holdings(session: Session) -> Iterator[Holding]:
    keys = names(session, _EVERY)
    kinds: dict[bytes, str] = {}
    for first in range(0, len(keys), _LARGEST):
        some = keys[first : first + _LARGEST]
        told = session.ask_all([("TYPE", key) for key in some])
        kinds |= {key: bytes(kind).decode("ascii", "replace") for key, kind in zip(some, told, strict=True)}
    classes: dict[tuple[str, str], list[bytes]] = {}
    for key, pattern in patterns_of(keys).items():
        classes.setdefault((pattern, kinds[key]), []).append(key)
    for (pattern, kind), some in sorted(classes.items()):
        name = f"{kind} {pattern if '*' in pattern else f'{pattern}*'}"
        if kind in TYPES:
            yield _table(session, name, kind, some)
        elif kind != "none":
            yield NotRead(
                unit=f"keys {pattern}", reason=f"{len(some)} keys of the type {kind[:40]!r} of a module"
            )


def _table(session: Session, name: str, kind: str, keys: list[bytes]) -> HeldTable:
    rows = 0
    columns: dict[str, None] = {}
    for entry in entries(session, keys):
        rows += len(list(rows_of([entry], ())))
        columns |= dict.fromkeys(columns_of([entry]))
    ordered = tuple(columns)
    return HeldTable(
        name=name,
        kind=kind,
        columns=tuple(Column(name=column, stored_as="bytes") for column in ordered),
        rows=rows,
        read=partial(_read, session, keys, ordered),
    )


def _read(session: Session, keys: list[bytes], columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    found: Iterator[Entry] = entries(session, keys)
    for entry in found:
        yield from rows_of([entry], columns)
