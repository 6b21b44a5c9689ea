"""The keys of a server: found by pattern, read type by type, and put into one canonical form.

Rules kept: one form for one content, whatever encoding the server keeps it in; a key that expires
by itself is told apart; a type that is not known here is never taken for something else.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deleatur.api import Refused
from deleatur_plugins.redis.connecting import Command, Session

MARKER = b"deleatur:erasing"  # a key of ours, there while an erase deletes keys
TYPES = ("string", "hash", "list", "set", "zset", "stream")
_BATCHES = (64, 1024)  # keys whose content is in memory at a time: at first, and at most
_ROOM = 4 << 20  # bytes of one batch: below it the next one may be twice as large, above it is half of it
_SCAN = 1000  # keys that the server looks at in one call
_DATABASE = re.compile(r"db([0-9]+)")
_WILD = re.compile(r"(?<!\\)[*?\[]")

Part = tuple[bytes, ...]


@dataclass(frozen=True, repr=False)
class Entry:
    """One key and all that it holds."""

    key: bytes
    type: str
    parts: tuple[Part, ...]  # of a hash (field, value), of a sorted set (member, score) …; in fixed order
    expires: bool

    def canonical(self) -> bytes:
        """Return the key with its content as bytes that say exactly this."""
        head = (self.key, self.type.encode())
        return b"".join(b"(" + b"".join(_sized(one) for one in part) + b")" for part in (head, *self.parts))

    def fields(self) -> dict[bytes, bytes]:
        """Return field and value of a hash."""
        return {part[0]: part[1] for part in self.parts} if self.type == "hash" else {}


def _sized(content: bytes) -> bytes:
    return len(content).to_bytes(8, "big") + content


@dataclass(frozen=True)
class Pattern:
    """What a job's `table` says: keys of one type, or of all, whose names match."""

    text: str
    type: str  # "" for all
    glob: bytes

    @classmethod
    def of(cls, text: str) -> "Pattern":
        """Read `[TYPE ]GLOB`.

        Raises:
            Refused: it names one key and no class of keys; a key may name a person.
        """
        first, space, rest = text.partition(" ")
        type_, glob = (first, rest) if space and first in TYPES else ("", text)
        if not _WILD.search(glob):
            raise Refused(
                "a pattern of keys needs a * or another wildcard; name single keys in a values_from file, "
                "with a condition on the column @key"
            )
        return cls(text, type_, glob.encode())


def databases(session: Session) -> tuple[int, ...]:
    """Return the numbers of the databases that hold keys."""
    names = (_DATABASE.fullmatch(name) for name in session.refresh())
    return tuple(sorted(int(name.group(1)) for name in names if name))


def names(session: Session, pattern: Pattern) -> list[bytes]:
    """Return the names of the keys that match, in the order of their bytes."""
    found: set[bytes] = set()
    cursor = b"0"
    only = ("TYPE", pattern.type) if pattern.type else ()
    while True:
        cursor, some = session.ask("SCAN", cursor, "MATCH", pattern.glob, "COUNT", _SCAN, *only)
        found.update(some)
        if cursor == b"0":
            return sorted(found - {MARKER})


def entries(session: Session, keys: Sequence[bytes]) -> Iterator[Entry]:
    """Yield keys with their content, in the given order; one that is gone is left out."""
    first, batch = 0, _BATCHES[0]
    while first < len(keys):
        some, size = keys[first : first + batch], 0
        told = session.ask_all([command for key in some for command in (("TYPE", key), ("PTTL", key))])
        kinds = [bytes(type_).decode("ascii", "replace") for type_ in told[::2]]
        there = [n for n, kind in enumerate(kinds) if kind != "none"]
        asked = [_reading(kinds[n], some[n]) for n in there]
        answers = session.ask_all(asked) if asked else []
        for n, answer in zip(there, answers, strict=True):
            if answer or kinds[n] == "stream" or answer == b"":  # else it went between the two questions
                entry = Entry(some[n], kinds[n], _parts(kinds[n], answer), expires=told[2 * n + 1] >= 0)
                size += sum(len(one) for part in entry.parts for one in part)
                yield entry
        first += len(some)
        if size > _ROOM:
            batch = max(batch // 2, 1)
        elif size < _ROOM // 2:
            batch = min(2 * batch, _BATCHES[1])


def _reading(kind: str, key: bytes) -> Command:
    match kind:
        case "string":
            return ("GET", key)
        case "hash":
            return ("HGETALL", key)
        case "list":
            return ("LRANGE", key, 0, -1)
        case "set":
            return ("SMEMBERS", key)
        case "zset":
            return ("ZRANGE", key, 0, -1, "WITHSCORES")
        case "stream":
            return ("XRANGE", key, "-", "+")
        case _:  # of a module: it can be compared, and it cannot be selected
            return ("DUMP", key)


def _parts(kind: str, answer: Any) -> tuple[Part, ...]:
    match kind:
        case "hash" | "zset":
            return tuple(sorted(zip(answer[::2], answer[1::2], strict=True)))
        case "list":
            return tuple((one,) for one in answer)
        case "set":
            return tuple((one,) for one in sorted(answer))
        case "stream":
            return tuple((id_, *(fields or ())) for id_, fields in answer)
        case _:
            return ((answer,),)


def refuse_unknown(entry: Entry) -> None:
    """Refuse to erase a key of a module's type, whose values cannot be looked for.

    Raises:
        Refused: the type is not known here.
    """
    if entry.type not in TYPES:
        raise Refused(
            f"a selected key is of the type {entry.type[:40]!r}, which is not known here; leave it out"
        )
