"""The rows of one attached database: which are selected, which are held, which must stay.

Rules kept: a row that a condition says NULL about is not selected; a place names a row by a keyed
digest of all that stands in it, because rows have no name that a rewrite keeps.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are typed

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from deleatur.api import (
    Condition,
    Failed,
    Locator,
    Secrets,
    Target,
    Unit,
    chosen_rows,
    keyed_digest,
    keyed_digest_of_set,
)
from deleatur_plugins.duckdb.connecting import Session, literal, quoted
from deleatur_plugins.duckdb.schema import Schema, Table, read_schema
from deleatur_plugins.duckdb.selecting import Selector

_LONGEST = 40  # characters; no number is shown with more
_UNIT = "table "  # how the name of a unit begins


@dataclass(frozen=True)
class Choice:
    """One table from which rows go; `clause` is true for exactly those, and `held` for those kept back."""

    table: Table
    clause: str
    held: tuple[tuple[str, str], ...]  # hold id, clause


class Content:
    """The rows of an attached database, split into those to erase and those to keep."""

    def __init__(self, session: Session, database: str, target: Target, secrets: Secrets) -> None:
        self._session = session
        self.schema: Schema = read_schema(session, database)
        self._target = target
        self._key = secrets["digest-key"]
        self._selector = Selector(self.schema, secrets)
        self.choices = tuple(
            Choice(self.schema.table(name), clause, held)
            for name, clause, held in chosen_rows(target, self._clause)
        )

    def _clause(self, name: str, where: Sequence[Condition]) -> tuple[str, str]:
        table = self.schema.table(name)
        return table.name, self._selector.clause(table, where)

    def rows(self, table: Table, clause: str = "true") -> Iterator[tuple[int, bytes]]:
        """Yield rowid and canonical bytes of rows, in the order in which they are stored."""
        columns = ", ".join(column.text for column in table.columns)
        for rowid, *row in self._session.rows(
            f"SELECT t0.rowid, {columns} FROM {table.sql} AS t0 WHERE {clause} ORDER BY t0.rowid"
        ):
            yield rowid, b"".join(_part(value) for value in row)

    def digest(self, row: bytes) -> str:
        """Return the name that a place has for a row."""
        return keyed_digest(self._key, b"row", row)

    # --- what goes

    def units(self) -> tuple[Unit, ...]:
        """Return one unit for each table that has rows to erase; its digest covers their content."""
        units = (self._unit(f"{_UNIT}{c.table.name}", c.table, c.clause) for c in self.choices)
        return tuple(unit for unit in units if unit.size)

    def held(self) -> tuple[Unit, ...]:
        """Return one unit for each hold that keeps rows back."""
        units = (
            self._unit(f"hold {id_} table {c.table.name}", c.table, clause)
            for c in self.choices
            for id_, clause in c.held
        )
        return tuple(unit for unit in units if unit.size)

    def _unit(self, name: str, table: Table, clause: str) -> Unit:
        found = [row for _, row in self.rows(table, clause)]
        digest = keyed_digest_of_set(self._key, found)
        return Unit(
            name=name, size=len(found), digest=keyed_digest(self._key, name.encode(), digest.encode())
        )

    def referring(self) -> tuple[str, ...]:
        """Return the tables with rows that stay and refer to rows that go."""
        chosen = {c.table.name: c for c in self.choices}
        found = []
        for key in self.schema.keys:
            if key.refers_to not in chosen:
                continue
            goes, own = chosen[key.refers_to], self.schema.table(key.table)
            pairs = zip(key.columns, key.referred, strict=True)
            joined = " AND ".join(f"s.{quoted(here)} = t0.{quoted(there)}" for here, there in pairs)
            stays = "true"
            if own.name in chosen:
                stays = (
                    f"s.rowid NOT IN (SELECT t0.rowid FROM {own.sql} AS t0 WHERE {chosen[own.name].clause})"
                )
            if self._session.value(
                f"SELECT count(*) FROM {own.sql} AS s JOIN {goes.table.sql} AS t0 ON {joined} "
                f"WHERE {goes.clause} AND {stays}"
            ):
                found.append(key.table)
        return tuple(dict.fromkeys(found))

    # --- places

    def places(self) -> Iterator[Locator]:
        """Name every selected text or blob that is not empty, and numbers that say enough.

        A row without any stands for itself.
        """
        for choice in self.choices:
            table = choice.table
            packed = self._packed(table)
            searched = [c for c in table.columns if c.searched or (c.is_number and c.name not in packed)]
            shown = [f"left(CAST(t0.{quoted(c.name)} AS VARCHAR), {_LONGEST})" for c in searched]
            told = ", ".join(["t0.rowid", *shown])
            found = self._session.rows(
                f"SELECT {told} FROM {table.sql} AS t0 WHERE {choice.clause} ORDER BY t0.rowid"
            )
            for (_, row), (_, *values) in zip(self.rows(table, choice.clause), found, strict=True):
                pairs = zip(searched, values, strict=True)
                names = [c.name for c, value in pairs if value and c.says_enough(value)] or [""]
                for name in names:
                    yield Locator(unit=f"{_UNIT}{table.name}", item=f"{self.digest(row)}/{name}")

    def _packed(self, table: Table) -> frozenset[str]:
        """Return the columns of which some block does not hold its values byte by byte."""
        told = self._session.rows(
            f"SELECT DISTINCT column_name FROM pragma_storage_info({literal(table.sql)}) "
            "WHERE segment_type <> 'VALIDITY' AND compression <> 'Uncompressed'"
        )
        return frozenset(name for (name,) in told)

    def known(self, unit: str) -> tuple[Table, dict[bytes, int]]:
        """Return a unit's table, and the rowid of each row that is there now by its name in places."""
        if not unit.startswith(_UNIT):
            raise Failed("the place is none of this backend's")
        table = self.schema.table(unit.removeprefix(_UNIT))
        return table, {bytes.fromhex(self.digest(row)): rowid for rowid, row in self.rows(table)}

    def value(self, table: Table, rowid: int, column: str) -> bytes | None:
        """Return one value, a number in its digits; for the column "" what stands for a row without any."""
        if not column:
            return b""
        value = self._session.value(
            f"SELECT {quoted(table.column(column).name)} FROM {table.sql} WHERE rowid = {rowid}"
        )
        return value if value is None or isinstance(value, bytes) else str(value).encode()

    # --- what stays

    def bystanders(self) -> Iterator[bytes]:
        """Yield the declarations and every row that is not selected, table by table."""
        for statement in self.schema.statements:
            yield b"declared " + statement.encode()
        clauses = {c.table.name: f"NOT {c.clause}" for c in self.choices}
        for name, table in sorted(self.schema.tables.items()):
            yield b"table " + name.encode()
            yield from (row for _, row in self.rows(table, clauses.get(name, "true")))

    # --- what is archived

    def check_archive(self) -> None:
        """Raise Refused when the archive names what is not there, or forgets a column."""
        self._selector.check_archive(self._target)

    def records(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table that the target's archive keeps, as Python values."""
        for table, clause in self._selector.archived(self._target, name):
            for row in typed_rows(self._session, table, clause):
                yield {c.name: v for c, v in zip(table.columns, row, strict=True)}


def typed_rows(session: Session, table: Table, clause: str = "true") -> Iterator[tuple[Any, ...]]:
    """Yield rows as Python values, in the order in which they are stored."""
    columns = ", ".join(f"t0.{quoted(column.name)}" for column in table.columns)
    yield from session.rows(f"SELECT {columns} FROM {table.sql} AS t0 WHERE {clause} ORDER BY t0.rowid")


def _part(value: str | None) -> bytes:
    if value is None:
        return b"n"
    content = value.encode()
    return b"v" + len(content).to_bytes(8, "big") + content
