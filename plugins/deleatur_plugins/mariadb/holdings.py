"""Show all that a database holds: tables, columns, foreign keys and rows, and change nothing."""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted

from collections.abc import Iterator
from functools import partial

from deleatur.api import Column, Contents, HeldTable, Holding, Identity, NotRead
from deleatur_plugins.mariadb.connecting import Session
from deleatur_plugins.mariadb.content import typed_rows
from deleatur_plugins.mariadb.ground import REBUILD, Ground
from deleatur_plugins.mariadb.schema import Schema, Table, read_schema

_SHOWN = ("BASE TABLE", "SYSTEM VERSIONED")


def contents_of(session: Session, ground: Ground) -> Contents:
    """Describe the database; its tables are read as they are asked for."""
    encrypted, by = ground.encryption()
    return Contents(
        identity=Identity(kind="database", fields=ground.identity(REBUILD)),
        encrypted=encrypted,
        encryption=by,
        access=_access(session),
        holdings=_holdings(session, read_schema(session)),
    )


def _access(session: Session) -> tuple[str, ...]:
    """Say who may read the database, as far as this user may know."""
    name = session.literal(session.address.database)
    rows = session.texts(
        "SELECT grantee, GROUP_CONCAT(privilege_type ORDER BY 1 SEPARATOR ', ') FROM "
        "(SELECT grantee, privilege_type FROM information_schema.schema_privileges "
        f"WHERE table_schema = {name} "
        "UNION SELECT grantee, privilege_type FROM information_schema.user_privileges "
        "WHERE privilege_type IN ('SELECT', 'DELETE', 'UPDATE', 'INSERT')) AS g "
        "GROUP BY grantee ORDER BY grantee"
    )
    return tuple(f"{grantee}: {privileges.lower()}" for grantee, privileges in rows)


def _holdings(session: Session, schema: Schema) -> Iterator[Holding]:
    for _, table in sorted(schema.tables.items()):
        if table.kind in _SHOWN:
            yield _table(session, schema, table)
        elif table.kind != "VIEW":  # a view shows what other tables hold
            yield NotRead(unit=f"table {table.name}", reason=f"a {table.kind.lower()}, which holds no rows")


def _table(session: Session, schema: Schema, table: Table) -> HeldTable:
    points = {
        here: f"{key.refers_to}.{there}"
        for key in schema.keys
        if key.table == table.name
        for here, there in zip(key.columns, key.referred, strict=True)
    }
    return HeldTable(
        name=table.name,
        kind="table",
        columns=tuple(
            Column(name=c.name, stored_as=c.declared, references=points.get(c.name, ""))
            for c in table.columns
        ),
        rows=int(session.text(f"SELECT COUNT(*) FROM {table.sql}")),
        read=partial(typed_rows, session, table),
    )
