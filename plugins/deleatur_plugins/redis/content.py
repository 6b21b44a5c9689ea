"""The keys of one database: which are selected, which are held, which must stay; and one place in a key.

Rules kept: a key that a hold names is never selected; what is handed out names no key and no member
but sealed, because a key may be somebody's e-mail; the digest of a class of keys is a sum, so that
what is left and what is deleted together are known to be exactly what was approved.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from deleatur.api import (
    Failed,
    Locator,
    Refused,
    Secrets,
    Target,
    Unit,
    is_large,
    keyed_digest,
    refuse_forgotten_columns,
)
from deleatur_plugins.redis.connecting import Session
from deleatur_plugins.redis.keyspace import TYPES, Entry, Pattern, databases, entries, names, refuse_unknown
from deleatur_plugins.redis.rows import columns_of, rows_of
from deleatur_plugins.redis.selecting import Meets, Selector

_NUMBER = re.compile(rb"-?(0|[1-9][0-9]{0,18})")  # stored as a number
_SCHEMA = re.compile(rb"[A-Za-z_-]*")  # a field's name that is one of a schema, and not somebody's
_EVERY = Pattern("*", "", b"*")
_SUM = 1 << 256


@dataclass(frozen=True)
class Choice:
    """One selected key."""

    unit: str
    key: bytes
    digest: int  # of all that it holds
    expires: bool


class Content:
    """The keys of the target's database as they are now."""

    def __init__(self, session: Session, target: Target, secrets: Secrets) -> None:
        self._session = session
        self._target = target
        self._key = secrets["digest-key"]
        self._selector = Selector(secrets)
        self._holds = tuple(
            (hold.id, Pattern.of(hold.table), self._selector.meets(Pattern.of(hold.table), hold.where))
            for hold in target.hold
        )
        self.choices, self._held = self._choose()

    def _choose(self) -> tuple[tuple[Choice, ...], dict[str, list[int]]]:
        """Look at each key that a selection matches; the first selection that means it has it."""
        back = {id_: {e.key for e in self._meant(pattern, meets)} for id_, pattern, meets in self._holds}
        chosen: dict[bytes, Choice] = {}
        held: dict[bytes, tuple[str, int]] = {}
        for selection in self._target.select:
            pattern = Pattern.of(selection.table)
            for entry in self._meant(pattern, self._selector.meets(pattern, selection.where)):
                if entry.key in chosen or entry.key in held:
                    continue
                by = next((id_ for id_, keys in back.items() if entry.key in keys), None)
                if by is not None:
                    held[entry.key] = by, self.digest(entry)
                    continue
                refuse_unknown(entry)
                chosen[entry.key] = Choice(
                    unit_of(pattern), entry.key, self.digest(entry), expires=entry.expires
                )
        kept: dict[str, list[int]] = {}
        for by, digest in held.values():
            kept.setdefault(f"hold {by}", []).append(digest)
        return tuple(chosen[key] for key in sorted(chosen)), kept

    def _meant(self, pattern: Pattern, meets: Meets) -> Iterator[Entry]:
        yield from filter(meets, entries(self._session, names(self._session, pattern)))

    def digest(self, entry: Entry) -> int:
        """Return a number that stands for exactly this key with exactly this content."""
        return int(keyed_digest(self._key, b"key", entry.canonical()), 16)

    # --- what goes

    def units(self) -> tuple[Unit, ...]:
        """Return one unit for each selection with keys to erase; its digest covers their content."""
        sums: dict[str, list[int]] = {}
        for choice in self.choices:
            sums.setdefault(choice.unit, []).append(choice.digest)
        return tuple(self.unit(name, len(each), sum(each)) for name, each in sums.items())

    def held(self) -> tuple[Unit, ...]:
        """Return one unit for each hold that keeps keys back."""
        return tuple(self.unit(name, len(each), sum(each)) for name, each in sorted(self._held.items()))

    def unit(self, name: str, count: int, total: int) -> Unit:
        """Return the unit of so many keys whose digests add up to `total` (a multiset hash by addition)."""
        added = (total % _SUM).to_bytes(32, "big")
        return Unit(name=name, size=count, digest=keyed_digest(self._key, name.encode(), added))

    # --- places

    def places(self) -> Iterator[Locator]:
        """Name each selected key, and each text in it that is not empty and no small number."""
        unit = {choice.key: choice.unit for choice in self.choices}
        for entry in entries(self._session, sorted(unit)):
            sealed = seal(self._key, entry.key)
            for inner in ("", *self._inside(entry)):
                yield Locator(unit=unit[entry.key], item=f"{sealed}{inner}")

    def _inside(self, entry: Entry) -> Iterator[str]:
        """Yield the ways to each value inside of a key."""
        match entry.type:
            case "string":
                yield from ("/s" for (value,) in entry.parts if _searched(value))
            case "hash":
                for field, value in entry.parts:
                    if not _SCHEMA.fullmatch(field) and _searched(field):
                        yield f"/f/{seal(self._key, field)}"
                    if _searched(value):
                        yield f"/h/{seal(self._key, field)}"
            case "list":
                yield from (f"/l/{n}" for n, (value,) in enumerate(entry.parts) if _searched(value))
            case "set" | "zset":
                yield from (f"/m/{seal(self._key, part[0])}" for part in entry.parts if _searched(part[0]))
            case _:
                for id_, *said in entry.parts:
                    yield from (
                        f"/x/{id_.decode()}/{n}" for n, value in enumerate(said) if n % 2 and _searched(value)
                    )

    # --- what stays

    def bystanders(self) -> Iterator[bytes]:
        """Yield every key of every database that is not selected, but those that expire by themselves."""
        own = self._session.address.database
        going = {choice.key for choice in self.choices}
        try:
            for number in databases(self._session):
                self._session.ask("SELECT", number)
                yield b"database %d" % number
                staying = (k for k in names(self._session, _EVERY) if number != own or k not in going)
                for entry in entries(self._session, tuple(staying)):
                    if not entry.expires:
                        yield entry.canonical()
        finally:
            self._session.ask("SELECT", own)

    # --- what is archived

    def check_archive(self) -> None:
        """See that the archive forgets no column.

        Raises:
            Refused: keys of several types, or a column without a rule.
        """
        for wanted in self._target.archive:
            columns = columns_of(self._archived(wanted.table))
            refuse_forgotten_columns(wanted.table, columns, list(wanted.columns))

    def _archived(self, table: str) -> list[Entry]:
        pattern = Pattern.of(table)
        found: list[Entry] = []
        for wanted in self._target.archive:
            if wanted.table == table:
                found += self._meant(pattern, self._selector.meets(pattern, wanted.where))
        kinds = {entry.type for entry in found}
        if len(kinds) > 1 or kinds - set(TYPES):
            told = ", ".join(sorted(kinds))[:80]
            raise Refused(
                f"the archive of {table!r} has keys of the types {told}; write one before the pattern"
            )
        return found

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield what the target's archive keeps of the keys of a class."""
        found = self._archived(table)
        ruled = (c for wanted in self._target.archive if wanted.table == table for c in wanted.columns)
        columns = tuple(dict.fromkeys((*columns_of(found), *ruled)))  # no key may have a field just now
        yield from (dict(zip(columns, row, strict=True)) for row in rows_of(found, columns))


def unit_of(pattern: Pattern) -> str:
    """Return the name of the unit of a selection."""
    return f"keys {pattern.text}"


def _searched(value: bytes) -> bool:
    """Say whether a value would be recognised in raw bytes: a small number has too few of them.

    A large one is in digits in the log, in eight bytes in snapshot and memory: who searches looks for both.
    """
    return bool(value) and (not _NUMBER.fullmatch(value) or is_large(int(value)))


def value_at(session: Session, key: bytes, item: str) -> bytes | None:
    """Return what stands at one place; None when there is no such key, or nothing there in it."""
    sealed, _, inner = item.partition("/")
    name = unseal(key, sealed)
    kind, _, where = inner.partition("/")
    if not kind:
        return name if session.ask("EXISTS", name) else None
    if session.ask("TYPE", name) == b"none":
        return None
    match kind:
        case "s":
            found: bytes | None = session.ask("GET", name)
        case "h":
            found = session.ask("HGET", name, unseal(key, where))
        case "f":
            found = unseal(key, where) if session.ask("HEXISTS", name, unseal(key, where)) else None
        case "l":
            found = session.ask("LINDEX", name, int(where))
        case "m":
            found = _member(session, name, unseal(key, where))
        case "x":
            found = _said(session, name, where)
        case _:
            raise Failed("the place is none of this backend's")
    return found


def _member(session: Session, name: bytes, member: bytes) -> bytes | None:
    command = "ZSCORE" if session.ask("TYPE", name) == b"zset" else "SISMEMBER"
    return member if session.ask(command, name, member) not in (None, 0) else None


def _said(session: Session, name: bytes, where: str) -> bytes | None:
    id_, _, number = where.partition("/")
    found: Iterable[Any] = session.ask("XRANGE", name, id_, id_)
    return next((said[int(number)] for _, said in found), None)


def seal(key: bytes, content: bytes) -> str:
    """Encrypt a name, the same one always alike (AES-SIV, RFC 5297)."""
    return base64.urlsafe_b64encode(_siv(key).encrypt(b"\x01" + content, None)).decode()


def unseal(key: bytes, sealed: str) -> bytes:
    """Decrypt a name. Raises Failed when the place is none of this job's."""
    try:
        return _siv(key).decrypt(base64.urlsafe_b64decode(sealed), None)[1:]
    except (InvalidTag, ValueError):
        raise Failed("the place is none of this backend's") from None


def _siv(key: bytes) -> AESSIV:
    return AESSIV(hashlib.blake2b(b"names of keys", key=key).digest())
