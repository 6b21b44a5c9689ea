"""The content of a database as bytes: which rows are selected, which are held, which must stay.

Rules kept: selection and holds are evaluated together, before anything changes; only keyed digests of
a row are handed out.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are bound

import hashlib
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, compress
from typing import Any

from deleatur.api import (
    Refused,
    Secrets,
    Target,
    Unit,
    idle_hold,
    is_fine,
    is_large,
    keyed_digest,
    keyed_digest_of_set,
    refuse_forgotten_columns,
)
from deleatur_plugins.sqlite.connecting import Text
from deleatur_plugins.sqlite.joined import Joined, varint
from deleatur_plugins.sqlite.naming import encoded, seal
from deleatur_plugins.sqlite.schema import Schema, Table, quoted
from deleatur_plugins.sqlite.selecting import Selector
from deleatur_plugins.sqlite.words import indexes_of

# What of a value `_says_enough` is to judge: 1 for a text or blob that is not empty, else the number itself.
_SHOWN = "CASE WHEN typeof({0}) IN ('text', 'blob') THEN length(CAST({0} AS BLOB)) > 0 {1} ELSE 0 END"
_NUMBERS = "WHEN typeof({0}) = 'real' OR abs({0} >> 1) >= 1 << 39 THEN {0}"
_HOUSEKEEPING = ("sqlite_sequence",)  # SQLite's own rows that must stay as they are


@dataclass(frozen=True)
class Choice:
    """One table with selected rows, whose numbers or primary keys stand in a temporary table."""

    table: Table
    numbers: str  # quoted name of the temporary table
    rows: int

    @property
    def condition(self) -> str:
        """The condition that a row, called t0, is one of them."""
        return _among(self.table, self.numbers)


class Content:
    """The rows of one open database, split into those to erase and those to keep."""

    def __init__(
        self, connection: sqlite3.Connection, schema: Schema, target: Target, secrets: Secrets
    ) -> None:
        self._connection = connection
        self.schema = schema
        self._target = target
        self._secrets = secrets
        self._selector = Selector(connection, schema, secrets)
        self._tables = 0
        self._held: list[Unit] = []

    @property
    def held(self) -> tuple[Unit, ...]:
        """The rows that are selected and stay, one unit for each hold that has any."""
        _ = self.choices  # which finds them
        return tuple(self._held)

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """Every selection minus every hold, evaluated together when first asked for."""
        picked: dict[str, tuple[Table, str]] = {}
        for selection in self._target.select:
            table = self.schema.table(selection.table)
            if table.content is not None:
                raise Refused(f"{table.name!r} indexes another table; select the rows there")
            if table.name not in picked:
                picked[table.name] = table, self._numbers(table)
            self._gather(picked[table.name][1], table, selection.where)
        holds = [self._hold(picked, hold.id, hold.table, hold.where) for hold in self._target.hold]
        for table, numbers in holds:
            if table.name in picked:
                self._drop(table, picked[table.name][1], f"IN temp.{numbers}")
        return tuple(Choice(t, n, self._count(n)) for _, (t, n) in sorted(picked.items()))

    def _hold(
        self, picked: dict[str, tuple[Table, str]], name: str, table_name: str, where: Any
    ) -> tuple[Table, str]:
        table = self.schema.table(table_name)
        numbers = self._numbers(table)
        if table.name in picked:
            self._gather(numbers, table, where)
            self._drop(table, numbers, f"NOT IN temp.{picked[table.name][1]}")
            if rows := self._count(numbers):
                unit = f"hold {name} table {table.name}"
                self._held.append(Unit(name=unit, size=rows, digest=self._digest(unit, table, numbers)))
        else:
            raise idle_hold(name, table.name)
        return table, numbers

    def _numbers(self, table: Table) -> str:
        name = quoted(f"deleatur_rows_{self._tables}")
        self._tables += 1
        self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
        columns = _columns(table)
        declared = "id INTEGER PRIMARY KEY" if table.rowid else f"{columns}, PRIMARY KEY ({columns})"
        self._connection.execute(f"CREATE TEMP TABLE {name} ({declared})")
        return name

    def _drop(self, table: Table, numbers: str, which: str) -> None:
        """Take rows out of a temporary table, by whether they stand in another."""
        self._connection.execute(f"DELETE FROM temp.{numbers} WHERE ({_columns(table)}) {which}")

    def _gather(self, numbers: str, table: Table, where: Any) -> None:
        query = self._selector.query(table, where)
        self._connection.execute(
            f"INSERT OR IGNORE INTO temp.{numbers} "
            f"SELECT {table.order} FROM {table.sql} AS t0 WHERE {query.clause}",
            query.bound,
        )

    def _count(self, numbers: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM temp.{numbers}").fetchone()[0])

    def _digest(self, unit: str, table: Table, numbers: str) -> str:
        key = self._secrets["digest-key"]
        rows = keyed_digest_of_set(key, self._rows(table, f"WHERE {_among(table, numbers)}"))
        return keyed_digest(key, unit.encode("utf-8", "surrogateescape"), rows.encode())

    def application_id(self) -> int:
        """Return the number by which a program marks its databases."""
        return int(self._connection.execute("PRAGMA main.application_id").fetchone()[0])

    @property
    def rows(self) -> int:
        """How many rows are to be erased."""
        return sum(choice.rows for choice in self.choices)

    def units(self) -> tuple[Unit, ...]:
        """Return one unit for each table that has rows to erase; its digest covers their content."""
        return tuple(
            Unit(
                name=f"table {c.table.name}",
                size=c.rows,
                digest=self._digest(f"table {c.table.name}", c.table, c.numbers),
            )
            for c in self.choices
            if c.rows
        )

    def places(self) -> Iterator[tuple[Table, int | str, list[str]]]:
        """Yield table, name and columns of every selected row: texts and blobs, and numbers that say enough.

        A row without any stands for itself, with "" for the column.
        """
        for choice in self.choices:
            table = choice.table
            stored = [name for name in table.columns if name not in table.computed]
            numbers = _NUMBERS if table.kind == "table" else ""  # rows of others are not shown as stored
            shown = ", ".join(
                _SHOWN.format(c, numbers.format(c)) for c in (f"t0.{quoted(n)}" for n in stored)
            )
            named = len(table.key) or 1
            for row in self._connection.execute(
                f"SELECT {table.order}, {shown} FROM {table.sql} AS t0 "
                f"WHERE {choice.condition} ORDER BY {table.order}"
            ):
                name = row[0] if table.rowid else seal(self._secrets["digest-key"], table, row[:named])
                yield table, name, list(compress(stored, map(_says_enough, row[named:]))) or [""]

    def records(self, table_name: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table that the target's archive keeps, as Python values.

        Raises:
            Refused: a text is not valid UTF-8.
        """
        for wanted in self._target.archive:
            if wanted.table != table_name:
                continue
            table = self.schema.table(table_name)
            query = self._selector.query(table, wanted.where)
            columns = ", ".join(f"t0.{quoted(c)}" for c in table.columns)
            for row in self._connection.execute(
                f"SELECT {columns} FROM {table.sql} AS t0 WHERE {query.clause} ORDER BY {table.order}",
                query.bound,
            ):
                try:
                    values = [v.decode() if type(v) is Text else v for v in row]
                except UnicodeDecodeError:
                    raise _no_text(table, row) from None
                yield dict(zip(table.columns, values, strict=True))

    def check_archive(self) -> None:
        """See that the archive names only what is there, and that it forgets no column.

        Raises:
            Refused: a name that the schema does not know, or a column without a rule.
        """
        for wanted in self._target.archive:
            table = self.schema.table(wanted.table)
            self._selector.query(table, wanted.where)
            for column in wanted.columns:
                self.schema.column(table, column)
            refuse_forgotten_columns(table.name, table.columns, list(wanted.columns))

    def bystanders(self) -> Iterator[tuple[str, bytes]]:
        """Yield (table, bytes) of everything that must stay: declarations and every other row."""
        for statement in self.schema.statements:
            yield "schema", b"declared " + statement
        for table in self.schema.kept():
            yield table.name, b"table " + table.name.encode("utf-8", "surrogateescape")
            for row in self._rows(table, self._kept(table)):
                yield table.name, row
        for name in _HOUSEKEEPING:
            if name in self.schema.tables:
                for row in self._connection.execute(f"SELECT name, seq FROM main.{name} ORDER BY name"):
                    yield name, encoded(row)

    def joined(self) -> Iterator[bytes]:
        """Yield every kept row once more as it is stored, values side by side, and its index entries."""
        joined = Joined(self._connection)
        for table in self.schema.kept():
            if table.kind == "table":
                yield from joined.rows(table, self._kept(table))

    def folded(self) -> Iterator[bytes]:
        """Yield every kept row in small letters and in capitals, where an index of words shows words so.

        With the signs over letters and without: whether an index keeps them is up to its tokenizer
        (https://www.sqlite.org/fts5.html §4.3.1).
        """
        for _, part in self.bystanders() if self.schema.has_full_text else ():
            text = part.decode("utf-8", "replace").lower()
            for form in {text, _without_signs(text)}:
                yield form.encode()
                yield form.encode().upper()  # letters of ASCII only, as the words of an index are shown

    def words(self, values: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the words of values that full-text indexes hold now, as they are stored."""
        for index in indexes_of(self.schema) or ():
            for word in index.held(self._connection, index.words(values)):
                yield index.stored(word)

    def words_kept(self) -> Iterator[bytes]:
        """Yield the words of the rows that stay, as the indexes of these rows store them."""
        for index in indexes_of(self.schema) or ():
            columns = ", ".join(f"t0.{quoted(name)}" for name in index.columns)
            rows = self._connection.execute(
                f"SELECT {columns} FROM {index.source.sql} AS t0 {self._kept(index.source)}"
            )
            for word in index.words(chain.from_iterable(rows)):
                yield from index.stored_with_prefixes(word)

    def _kept(self, table: Table) -> str:
        condition = next((c.condition for c in self.choices if c.table == table), None)
        return "" if condition is None else f"WHERE NOT {condition}"

    def fingerprint(self) -> dict[str, str]:
        """Return, for each table, a digest of what must stay; kept in memory only."""
        digests: dict[str, Any] = {}
        for table, part in self.bystanders():
            digest = digests.setdefault(table, hashlib.sha256())
            digest.update(len(part).to_bytes(8, "big") + part)
        return {table: digest.hexdigest() for table, digest in digests.items()}

    def _rows(self, table: Table, where: str) -> Iterator[bytes]:
        number = [f"t0.{table.rowid}"] if table.rowid else []
        shown = () if table.content == "" else table.columns  # a contentless index shows no content
        columns = ", ".join([*number, *(f"t0.{quoted(c)}" for c in shown)])
        for row in self._connection.execute(
            f"SELECT {columns} FROM {table.sql} AS t0 {where} ORDER BY {table.order}"
        ):
            yield encoded(row)


def refuse_unknown(schema: Schema) -> None:
    """Refuse what could hold words of the rows without our being able to tell."""
    for table in schema.tables.values():
        if table.kind == "unknown":
            raise Refused(
                f"{table.name!r} is a virtual table of a module that is not known here; drop it first"
            )
        if table.kind == "full-text" and table.content == "":
            raise Refused(
                f"{table.name!r} indexes words without their text; drop it and build it again after"
            )


def _without_signs(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def _says_enough(shown: int | float) -> bool:
    """Say whether a value would be recognised in raw bytes; 1 stands for a text, and is no large number."""
    return is_fine(shown) if isinstance(shown, float) else shown == 1 or is_large(shown)


def stored_value(connection: sqlite3.Connection, table: Table, column: str, value: Any) -> bytes:
    """Return a value as the file holds it, texts in UTF-8."""
    if isinstance(value, bytes):  # a text too
        return bytes(value)
    joined = Joined(connection)
    return varint(value) if column == joined.number(table) else joined.stored(value)


def _columns(table: Table) -> str:
    """Return the columns of a temporary table that holds numbers or primary keys of rows."""
    return "id" if table.rowid else ", ".join(f"k{n}" for n in range(len(table.key)))


def _among(table: Table, numbers: str) -> str:
    return f"(({table.order}) IN (SELECT {_columns(table)} FROM temp.{numbers}))"


def _no_text(table: Table, row: tuple[Any, ...]) -> Refused:
    """Name the column whose text is none."""
    for column, value in zip(table.columns, row, strict=True):
        if isinstance(value, Text) and value.decode(errors="ignore").encode() != value:
            return Refused(f"{table.name}.{column} holds text that is not UTF-8; it cannot be archived")
    return Refused(f"{table.name} holds text that is not UTF-8; it cannot be archived")
