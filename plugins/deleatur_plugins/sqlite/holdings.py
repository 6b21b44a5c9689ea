"""Show all that a database holds: tables, columns, foreign keys and rows, and change nothing.

Rule kept: a table of a kind that is not known is named as not read, never passed over.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted

import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Any

from deleatur.api import (
    Column,
    Contents,
    HeldTable,
    Holding,
    Identity,
    NotRead,
    access_to,
    encrypted_below,
    filesystem_of,
)
from deleatur_plugins.sqlite.connecting import Text, looking
from deleatur_plugins.sqlite.files import Files
from deleatur_plugins.sqlite.schema import Table, primary_key, quoted, read_schema


def contents_of(files: Files) -> Contents:
    """Describe the database; its tables are read as they are asked for.

    Raises:
        Gone: it is not there.
    """
    system, status = filesystem_of(files.folder), files.database()
    encrypted, by = encrypted_below(system.source)
    return Contents(
        identity=Identity(
            kind="database",
            fields=(
                ("engine", "sqlite"),
                ("path", str(files.path)),
                ("filesystem", system.uuid),
                # No inode: a rebuild, ours or another's, swaps the file, and it is the same database.
            ),
        ),
        encrypted=encrypted,
        encryption=by,
        access=access_to(status),
        holdings=_holdings(files),
    )


def _holdings(files: Files) -> Iterator[Holding]:
    with looking(files.path) as connection:
        for _, table in sorted(read_schema(connection).tables.items()):
            if table.kind in ("table", "full-text", "spatial") and table.content != "":
                yield _table(connection, table)
            elif table.kind == "unknown" or table.content == "":
                yield NotRead(unit=f"table {table.name}", reason="a virtual table that SQL cannot read here")


def _table(connection: sqlite3.Connection, table: Table) -> HeldTable:
    declared = {
        str(c[1], "utf-8", "surrogateescape"): str(c[2] or b"", "utf-8", "replace")
        for c in connection.execute(f"PRAGMA main.table_xinfo({quoted(table.name)})")
    }
    points: dict[str, str] = {}
    for key in connection.execute(f"PRAGMA main.foreign_key_list({quoted(table.name)})"):
        target, here, there = (str(part or b"", "utf-8", "surrogateescape") for part in key[2:5])
        there = there or primary_key(connection, target, key[1])
        points[here] = f"{target}.{there}" if there else target
    ((rows,),) = connection.execute(f"SELECT count(*) FROM {table.sql}")
    return HeldTable(
        name=table.name,
        kind=table.kind,
        columns=tuple(
            Column(name=c, stored_as=declared.get(c, ""), references=points.get(c, "")) for c in table.columns
        ),
        rows=rows,
        read=partial(_rows, connection, table),
    )


def _rows(connection: sqlite3.Connection, table: Table) -> Iterator[tuple[Any, ...]]:
    columns = ", ".join(map(quoted, table.columns))
    for row in connection.execute(f"SELECT {columns} FROM {table.sql}"):
        yield tuple(str(v, "utf-8", "replace") if isinstance(v, Text) else v for v in row)
