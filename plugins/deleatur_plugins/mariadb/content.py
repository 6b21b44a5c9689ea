"""The rows of a database: which are selected, which are held, which must stay; and one row by its key.

Rules kept: selections and holds are evaluated together, in one transaction; a row that a condition
says NULL about is not selected; keys are handed out sealed, because a key may be somebody's e-mail.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are typed

import base64
import datetime
import decimal
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from deleatur.api import (
    Condition,
    Failed,
    Refused,
    Secrets,
    Target,
    Unit,
    chosen_rows,
    keyed_digest,
    keyed_digest_of_set,
)
from deleatur_plugins.mariadb.connecting import Session, quoted
from deleatur_plugins.mariadb.joined import joined_rows, says_enough, storing
from deleatur_plugins.mariadb.schema import FLOATS, INTEGERS, TEXTS, WORDS, Column, Schema, Table
from deleatur_plugins.mariadb.selecting import Selector

_BATCH = 500  # keys in one statement
_BY_KEY = "FORCE INDEX (PRIMARY)"  # a scan of a small table would wait for every row of it
Key = tuple[bytes, ...]


@dataclass(frozen=True)
class Choice:
    """One table from which rows go; `clause` is true for exactly those, and `held` for those kept back."""

    table: Table
    clause: str
    held: tuple[tuple[str, str], ...]  # hold id, clause


@dataclass(frozen=True)
class Locked:
    """The rows of one table that go, locked by this session."""

    unit: Unit
    keys: list[Key]
    referred: dict[tuple[str, ...], set[Key]]  # by columns: what foreign keys could point to


class Content:
    """The rows of one session's snapshot, split into those to erase and those to keep."""

    def __init__(self, session: Session, schema: Schema, target: Target, secrets: Secrets) -> None:
        self._session = session
        self.schema = schema
        self._target = target
        self._key = secrets["digest-key"]
        self._selector = Selector(session, schema, secrets)
        self.choices = tuple(
            Choice(self.schema.table(name), clause, held)
            for name, clause, held in chosen_rows(target, self._clause)
        )

    def _clause(self, name: str, where: Sequence[Condition]) -> tuple[str, str]:
        table = self.schema.table(name)
        if hindrance := table.hindrance():
            raise Refused(hindrance)
        return table.name, self._selector.clause(table, where)

    # --- what goes

    def units(self) -> tuple[Unit, ...]:
        """Return one unit for each table that has rows to erase; its digest covers their content."""
        units = (self._unit(f"table {c.table.name}", self._rows(c.table, c.clause)) for c in self.choices)
        return tuple(unit for unit in units if unit.size)

    def locked(self) -> dict[str, Locked]:
        """Lock the rows to erase, and say of each table that has any which they are.

        They are looked for without a lock and then locked by their keys, so that in a transaction that is
        READ COMMITTED no other row is locked or waited for.
        """
        found = {c.table.name: self._lock(c) for c in self.choices}
        return {name: rows for name, rows in found.items() if rows.keys}

    def _lock(self, choice: Choice) -> Locked:
        table = choice.table
        key = [table.columns.index(column) for column in table.key]
        wanted = {
            names: [[c.name for c in table.columns].index(n) for n in names]
            for names in self._referred(table)
        }
        names_of_key = ", ".join(f"t0.{quoted(c.name)}" for c in table.key)
        found = list(
            self._session.stream(f"SELECT {names_of_key} FROM {table.sql} AS t0 WHERE {choice.clause}")
        )
        keys: list[Key] = []
        referred: dict[tuple[str, ...], set[Key]] = {names: set() for names in wanted}

        def noted() -> Iterator[bytes]:
            for part in _parts(found):
                for row in self._raw(table, f"{matching(table, part)} FOR UPDATE", by=_BY_KEY):
                    keys.append(tuple(row[n] for n in key))
                    for names, places in wanted.items():
                        referred[names].add(tuple(row[n] for n in places))
                    yield _encoded(row)

        return Locked(self._unit(f"table {table.name}", noted()), keys, referred)

    def _referred(self, table: Table) -> set[tuple[str, ...]]:
        """Return the columns of a table to which foreign keys point, key by key."""
        return {key.referred for key in self.schema.keys if key.refers_to == table.name}

    def held(self) -> tuple[Unit, ...]:
        """Return one unit for each hold that keeps rows back."""
        units = (
            self._unit(f"hold {id_} table {c.table.name}", self._rows(c.table, clause))
            for c in self.choices
            for id_, clause in c.held
        )
        return tuple(unit for unit in units if unit.size)

    def _unit(self, name: str, content: Iterator[bytes]) -> Unit:
        rows = 0

        def counted() -> Iterator[bytes]:
            nonlocal rows
            for row in content:
                rows += 1
                yield row

        digest = keyed_digest_of_set(self._key, counted())
        return Unit(name=name, size=rows, digest=keyed_digest(self._key, name.encode(), digest.encode()))

    def delete(self, table: Table, keys: Sequence[Key]) -> int:
        """Delete rows by their keys; return how many there were."""
        deleted = 0
        for part in _parts(keys):
            deleted += self._session.run(
                f"DELETE t0 FROM {table.sql} AS t0 {_BY_KEY} WHERE {matching(table, part)}"
            )
        return deleted

    def referring_to(self, going: Mapping[str, Locked]) -> tuple[str, ...]:
        """Return the tables with rows that stay and refer to locked rows.

        No more can come: who wants to refer to a locked row must lock it too, and who did so before has
        committed, or the row could not have been locked.
        """
        found = []
        for key in self.schema.keys:
            if key.refers_to not in going:
                continue
            columns = [self.schema.table(key.refers_to).column(name) for name in key.referred]
            own = going.get(key.table)
            gone = frozenset(own.keys if own else ())
            kept = self.schema.table(key.table).key if own else ()
            asked = ", ".join(quoted(c.name) for c in kept) or "1"
            for part in _parts([v for v in going[key.refers_to].referred[key.referred] if None not in v]):
                condition = _matching(key.columns, columns, part)
                rows = self._session.rows(f"SELECT {asked} FROM {self._source(key.table)} WHERE {condition}")
                if any(row not in gone for row in rows):
                    found.append(key.table)
                    break
        return tuple(dict.fromkeys(found))

    def _source(self, table: str) -> str:
        """Return a table of a foreign key for an SQL text; one of another database has that in front."""
        return quoted(table) if table in self.schema.tables else ".".join(map(quoted, table.split(".", 1)))

    def referring(self) -> tuple[str, ...]:
        """Return the tables with rows that stay and refer to rows that go.

        With foreign keys from another database it is that database's tables that are named.
        """
        chosen = {c.table.name: c for c in self.choices}
        found = []
        for key in self.schema.keys:
            if key.refers_to not in chosen:
                continue
            goes = chosen[key.refers_to]
            joined = " AND ".join(
                f"s.{quoted(here)} = t0.{quoted(there)}"
                for here, there in zip(key.columns, key.referred, strict=True)
            )
            stays = "1"
            if key.table in chosen:
                own = chosen[key.table].table
                same = " AND ".join(f"t0.{quoted(c.name)} = s.{quoted(c.name)}" for c in own.key)
                stays = (
                    f"NOT EXISTS (SELECT 1 FROM {own.sql} AS t0 WHERE {same} AND {chosen[own.name].clause})"
                )
            if self._session.rows(
                f"SELECT 1 FROM {self._source(key.table)} AS s JOIN {goes.table.sql} AS t0 ON {joined} "
                f"WHERE {goes.clause} AND {stays} LIMIT 1"
            ):
                found.append(key.table)
        return tuple(dict.fromkeys(found))

    # --- places

    def places(self) -> Iterator[tuple[Table, str, str]]:
        """Yield table, sealed key and column of every selected text, blob and number that says enough.

        A row without any stands for itself, with "" for the column.
        """
        for choice in self.choices:
            table = choice.table
            searched = [c for c in table.columns if c.searched or c.is_number]
            columns = [
                *(f"t0.{quoted(c.name)}" for c in table.key),
                *(
                    f"t0.{quoted(c.name)}" if c.is_number else f"OCTET_LENGTH(t0.{quoted(c.name)})"
                    for c in searched
                ),
            ]
            for row in self._session.stream(
                f"SELECT {', '.join(columns)} FROM {table.sql} AS t0 WHERE {choice.clause} "
                f"ORDER BY {table.order}"
            ):
                sealed = seal(self._key, table, tuple(row[: len(table.key)]))
                shown = zip(searched, row[len(table.key) :], strict=True)
                told = [c.name for c, v in shown if v and (says_enough(c, v) if c.is_number else int(v))]
                for name in told or [""]:
                    yield table, sealed, name

    # --- what stays

    def bystanders(self) -> Iterator[bytes]:
        """Yield the declarations and every row that is not selected, then those rows as they are stored."""
        for statement in self.schema.statements:
            yield b"declared " + statement
        clauses = {c.table.name: f"NOT {c.clause}" for c in self.choices}
        for table in self.schema.kept():
            yield b"table " + table.name.encode()
            yield from self._rows(table, clauses.get(table.name, "1"))
        for table in self.schema.kept():
            if table.engine == "InnoDB":
                yield from joined_rows(self._session, table, clauses.get(table.name, "1"))

    def _rows(self, table: Table, clause: str) -> Iterator[bytes]:
        yield from map(_encoded, self._raw(table, f"{clause} ORDER BY {table.order}"))

    def _raw(self, table: Table, clause: str, by: str = "") -> Iterator[tuple[Any, ...]]:
        columns = ", ".join(f"t0.{quoted(c.name)}" for c in table.columns)
        return self._session.stream(f"SELECT {columns} FROM {table.sql} AS t0 {by} WHERE {clause}")

    # --- what is archived

    def check_archive(self) -> None:
        """Raise Refused when the archive names what is not there, or forgets a column."""
        self._selector.check_archive(self._target)

    def records(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table that the target's archive keeps, as Python values."""
        for table, clause in self._selector.archived(self._target, name):
            for row in typed_rows(self._session, table, clause):
                yield {c.name: v for c, v in zip(table.columns, row, strict=True)}


def typed_rows(session: Session, table: Table, clause: str = "1") -> Iterator[tuple[Any, ...]]:
    """Yield rows as Python values, texts converted to Unicode by the server."""
    columns = ", ".join(
        f"CONVERT(t0.{quoted(c.name)} USING utf8mb4)" if c.type in TEXTS | WORDS else f"t0.{quoted(c.name)}"
        for c in table.columns
    )
    order = f" ORDER BY {table.order}" if table.key else ""
    for row in session.stream(f"SELECT {columns} FROM {table.sql} AS t0 WHERE {clause}{order}"):
        yield tuple(None if v is None else _python(c, v) for c, v in zip(table.columns, row, strict=True))


def _python(column: Column, value: bytes) -> Any:
    if column.type in INTEGERS:
        return int(value)
    if column.type in FLOATS:
        return float(value)
    if column.type == "decimal":
        return decimal.Decimal(value.decode())
    if column.type in TEXTS | WORDS | {"time"}:
        return value.decode()
    try:
        if column.type == "date":
            return datetime.date.fromisoformat(value.decode())
        if column.type in ("datetime", "timestamp"):
            return datetime.datetime.fromisoformat(value.decode())
    except ValueError:  # 0000-00-00 and 2026-02-00, which MariaDB can store and no calendar has
        return value.decode()
    return value


def value_at(session: Session, key: bytes, table: Table, sealed: str, column: str) -> bytes | None:
    """Return the stored bytes of one column of one row; None when there is no such row, or a NULL in it.

    A whole number and a UUID are returned as they are shown: who searches knows what they are in bytes.
    """
    found = table.column(column) if column else None
    value = quoted(found.name) if found else "''"
    where = matching(table, [unseal(key, table, sealed)])
    rows = session.rows(f"SELECT {value} FROM {table.sql} WHERE {where}")
    if not rows or rows[0][0] is None:
        return None
    if found and found.is_number and found.type not in ("bigint", "uuid"):
        return storing(found)(rows[0][0])
    return bytes(rows[0][0])


def matching(table: Table, keys: Sequence[Key]) -> str:
    """Return the condition that a row's primary key is one of `keys`."""
    return _matching([c.name for c in table.key], table.key, keys)


def _matching(names: Sequence[str], columns: Sequence[Column], values: Sequence[Key]) -> str:
    """Return the condition that the columns `names` hold one of `values`, which are values of `columns`."""
    literals = [[_literal(c, v) for c, v in zip(columns, value, strict=True)] for value in values]
    if len(names) == 1:
        return f"{quoted(names[0])} IN ({', '.join(one for (one,) in literals)})"
    each = (" AND ".join(f"{quoted(n)} = {v}" for n, v in zip(names, one, strict=True)) for one in literals)
    return " OR ".join(f"({condition})" for condition in each)


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """Yield so many keys at a time as one statement takes."""
    yield from (keys[first : first + _BATCH] for first in range(0, len(keys), _BATCH))


def _encoded(row: Key) -> bytes:
    return b"".join(b"n" if v is None else b"v" + len(v).to_bytes(8, "big") + v for v in row)


def _literal(column: Column, value: bytes) -> str:
    """Return a value that the server gave as SQL text of the same type, character set and collation."""
    if column.type in INTEGERS | {"decimal"}:
        return value.decode("ascii")
    if not value:
        return "''"
    if column.charset:
        return f"_{column.charset} x'{value.hex()}' COLLATE {column.collation}"
    if column.type in ("date", "time", "datetime", "timestamp", *WORDS):
        return "'" + value.decode("ascii").replace("'", "''") + "'"
    return f"x'{value.hex()}'"


def seal(key: bytes, table: Table, row: Key) -> str:
    """Encrypt a primary key, the same one always alike (AES-SIV, RFC 5297)."""
    content = b"".join(len(part).to_bytes(4, "big") + part for part in row)
    return base64.urlsafe_b64encode(_siv(key).encrypt(content, [table.name.encode()])).decode()


def unseal(key: bytes, table: Table, sealed: str) -> Key:
    """Decrypt a primary key. Raises Failed when the place is none of this job's."""
    try:
        content = _siv(key).decrypt(base64.urlsafe_b64decode(sealed), [table.name.encode()])
    except (InvalidTag, ValueError):
        raise Failed("the place is none of this backend's") from None
    parts = []
    while content:
        length = int.from_bytes(content[:4], "big")
        parts.append(content[4 : 4 + length])
        content = content[4 + length :]
    return tuple(parts)


def _siv(key: bytes) -> AESSIV:
    return AESSIV(hashlib.blake2b(b"primary keys", key=key).digest())
