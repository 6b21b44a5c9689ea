"""Delete the selected rows in a copy of the database, and build a new database without free space.

Rules kept: no temporary file is ever made; nothing but the approved rows may differ between the
copy and the new database, and whoever made a difference is named; the copy's file never shrinks,
because blocks given back to the file system could not be overwritten any more.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are bound

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from deleatur.api import Refused, Secrets, Target, Unit
from deleatur_plugins.sqlite.connecting import RESERVED, connect, header_of, translated
from deleatur_plugins.sqlite.content import Content, refuse_unknown
from deleatur_plugins.sqlite.schema import Schema, Table, primary_key, quoted, read_schema

_FULL, _INCREMENTAL = 1, 2  # PRAGMA auto_vacuum
# Triggers may use full-text tables only in a trusted schema; functions that act outside of the
# database are not there to be called: no extension is loaded, no function of ours is registered.
# Nothing is ever rolled back in the copy: what fails is shredded and copied anew. A journal would hold
# every page of it, in memory.
_WORKING = ("locking_mode=EXCLUSIVE", "journal_mode=OFF", "secure_delete=OFF", "trusted_schema=ON")
_SETTINGS = ("application_id", "user_version", "encoding", "page_size", "auto_vacuum")
Violations = frozenset[tuple[object, ...]]


class Rebuild:
    """The work on one copy. `delete`, then `build`; close it in any case."""

    def __init__(self, copy: Path, target: Target, secrets: Secrets) -> None:
        self._copy = copy
        self._target = target
        self._secrets = secrets
        self._before: dict[str, str] = {}
        self._violations: Violations = frozenset()
        self._settings: tuple[object, ...] = ()
        with translated("opening the copy"):
            self._connection = connect(copy, "mode=rw")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def delete(self) -> int:
        """Delete the selected rows minus the held ones; return how many they were.

        Raises:
            Refused: the database is damaged, the rows are not those of the plan, or the deletion
                would leave dangling references or a selection that still finds rows.
        """
        with translated("deleting in the copy"):
            run = self._connection.execute
            for pragma in _WORKING:
                run(f"PRAGMA {pragma}").fetchall()
            _check_soundness(self._connection)
            schema = read_schema(self._connection)
            refuse_unknown(schema)
            content = Content(self._connection, schema, self._target, self._secrets)
            _compare_with_plan(content, self._secrets)
            self._settings = _settings(self._connection)
            self._violations = _violations(self._connection, schema)
            self._before = content.fingerprint()
            if self._settings[-1] == _FULL:  # it would cut the copy's file at each commit
                run(f"PRAGMA auto_vacuum={_INCREMENTAL}")
            self._triggers = {c.table.name: schema.triggers.get(c.table.name, ()) for c in content.choices}
            run("BEGIN IMMEDIATE")
            for choice in content.choices:
                run(f"DELETE FROM {choice.table.sql} AS t0 WHERE {choice.condition}")
            _refresh_full_text(self._connection, schema, [c.table.name for c in content.choices])
            run("COMMIT")
            if run(
                "SELECT count(*) FROM main.sqlite_schema WHERE name LIKE 'sqlite\\_stat%' ESCAPE '\\'"
            ).fetchone()[0]:
                run("ANALYZE main")  # stored samples hold values of deleted rows
            self._refuse_left_rows(schema)
            self._refuse_new_violations(schema)
            return content.rows

    def build(self, new: Path, descriptor: int) -> None:
        """Write the database anew into the empty file `new`, and compare all that must stay.

        SQLite is told the file by its open descriptor: a path may hold bytes that are no text.

        Raises:
            Refused: something else than the selected rows differs, or a setting was lost.
        """
        with translated("building the new database"):
            self._connection.execute("VACUUM main INTO ?", (f"/proc/self/fd/{descriptor}",))
            if self._settings[-1] == _FULL:
                _set_auto_vacuum(new)
            if header_of(new)[RESERVED] != header_of(self._copy)[RESERVED]:
                raise Refused("the database keeps reserved bytes in each page, which SQLite here does not")
            connection = connect(new, "immutable=1")
            try:
                self._compare(connection)
            finally:
                connection.close()

    def _compare(self, connection: sqlite3.Connection) -> None:
        _check_soundness(connection)
        if _settings(connection) != self._settings:
            raise Refused(f"one of {', '.join(_SETTINGS)} would be lost in the new database")
        content = Content(connection, read_schema(connection), self._target, self._secrets)
        after = content.fingerprint()
        changed = sorted(t for t in self._before.keys() | after.keys() if self._before.get(t) != after.get(t))
        if changed:
            triggers = sorted(
                f"{name} on {table}" for table, names in self._triggers.items() for name in names
            )
            raise Refused(
                f"deleting the rows also changes {', '.join(map(repr, changed[:10]))}"
                f"{' (triggers: ' + ', '.join(triggers[:10]) + ')' if triggers else ''}; "
                "select those rows too, or drop the trigger"
            )

    def _refuse_left_rows(self, schema: Schema) -> None:
        """A selection by other tables may find further rows once theirs are gone."""
        left = Content(self._connection, schema, self._target, self._secrets)
        tables = [repr(c.table.name) for c in left.choices if c.rows]
        if tables:
            raise Refused(
                f"after the deletion the selection still finds rows in {', '.join(tables)}: it depends on "
                "rows that go, or a trigger keeps them; name the rows directly"
            )

    def _refuse_new_violations(self, schema: Schema) -> None:
        worse = sorted({str(v[0]) for v in _violations(self._connection, schema) - self._violations})
        if worse:
            raise Refused(
                f"rows of {', '.join(map(repr, worse))} refer to rows that would go; select those rows too"
            )


def _check_soundness(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA integrity_check(1)").fetchone()[0] != b"ok":
        raise Refused("the database is damaged (PRAGMA integrity_check); repair it first")


def _settings(connection: sqlite3.Connection) -> tuple[object, ...]:
    return tuple(connection.execute(f"PRAGMA main.{name}").fetchone()[0] for name in _SETTINGS)


def _violations(connection: sqlite3.Connection, schema: Schema) -> Violations:
    """Return every foreign key that is broken now; a key that SQLite cannot check stands for itself."""
    found: set[tuple[object, ...]] = set()
    for table in schema.tables.values():
        if table.kind == "table":
            try:
                rows = connection.execute(f"PRAGMA main.foreign_key_check({quoted(table.name)})").fetchall()
            except sqlite3.OperationalError as error:
                if not str(error).startswith("foreign key mismatch"):
                    raise
                found.add((table.name, "mismatch"))
                continue
            if rows and not table.rowid:  # such rows have no name there
                named = _dangling(connection, schema, table)
                found |= named | {(table.name, "more", len(rows) - len(named))}
            else:
                found.update((table.name, *row[1:]) for row in rows)
    return frozenset(found)


def _dangling(connection: sqlite3.Connection, schema: Schema, table: Table) -> set[tuple[object, ...]]:
    """Return the foreign keys that are broken now, each with the primary key of the row."""
    keys: dict[int, tuple[str, list[tuple[str, str]]]] = {}
    for number, place, *names in connection.execute(f"PRAGMA main.foreign_key_list({quoted(table.name)})"):
        parent, here, there = (str(name or b"", "utf-8", "surrogateescape") for name in names[:3])
        there = there or primary_key(connection, parent, place)
        keys.setdefault(number, (parent, []))[1].append((here, there))
    known = {name.lower() for name in schema.tables}
    found: set[tuple[object, ...]] = set()
    for number, (parent, pairs) in keys.items():
        filled = " AND ".join(f"t0.{quoted(here)} IS NOT NULL" for here, _ in pairs)
        same = " AND ".join(f"p.{quoted(there)} = t0.{quoted(here)}" for here, there in pairs)
        meets = f" AND NOT EXISTS (SELECT 1 FROM main.{quoted(parent)} AS p WHERE {same})"
        rows = connection.execute(
            f"SELECT {table.order} FROM {table.sql} AS t0 "
            f"WHERE {filled}{meets if parent.lower() in known else ''}"
        )
        found.update((table.name, number, *row) for row in rows)
    return found


def _refresh_full_text(connection: sqlite3.Connection, schema: Schema, selected: Sequence[str]) -> None:
    """Bring every full-text index into step, and merge away the words of deleted rows."""
    gone = {name.lower() for name in selected}
    plain = {t.name.lower() for t in schema.tables.values() if t.kind == "table"}
    for table in schema.tables.values():
        if table.kind == "full-text":
            source = (table.content or table.name).lower()
            touched = source in gone or (table.content is not None and source not in plain)
            command = "rebuild" if touched else "optimize"
            connection.execute(f"INSERT INTO {table.sql} ({quoted(table.name)}) VALUES (?)", (command,))


def _compare_with_plan(content: Content, secrets: Secrets) -> None:
    """Compare the rows with those that were approved, as far as the engine says which they are."""
    approved = secrets.get("approved-units")
    if approved is None:
        return
    tree = json.loads(approved)
    for key, name, now in (("units", "selected", content.units()), ("held", "held", content.held)):
        if {_triple(u) for u in now} != {(u["name"], u["size"], u["digest"]) for u in tree[key]}:
            raise Refused(f"the {name} rows changed since the plan; plan again")


def _triple(unit: Unit) -> tuple[str, int, str]:
    return unit.name, unit.size, unit.digest


def _set_auto_vacuum(new: Path) -> None:
    """Set back what the copy had to lose; the new database has no free page that could be cut off."""
    connection = connect(new, "mode=rw")
    try:
        connection.execute("PRAGMA journal_mode=MEMORY").fetchall()
        connection.execute(f"PRAGMA auto_vacuum={_FULL}")
    finally:
        connection.close()
