"""Show all that a database holds: tables, columns, foreign keys and rows, and change nothing.

Rule kept: what is there and cannot be read is named as not read, never passed over.
"""

from collections.abc import Iterator
from functools import partial

from deleatur.api import Column, Contents, HeldTable, Holding, Identity, NotRead, Target
from deleatur_plugins.postgresql.connecting import Connector, translated
from deleatur_plugins.postgresql.content import Content
from deleatur_plugins.postgresql.schema import Schema, Table, read_schema
from deleatur_plugins.postgresql.selecting import Query

_ACCESS = """
    SELECT rolname || ': ' || concat_ws(', ',
      CASE WHEN rolsuper THEN 'superuser' END,
      CASE WHEN rolreplication THEN 'replication' END,
      CASE WHEN rolbypassrls THEN 'sees hidden rows' END)
    FROM pg_roles WHERE rolcanlogin AND (rolsuper OR rolreplication OR rolbypassrls) ORDER BY rolname"""


# Copies that the server itself feeds: each stands in the map as not read, until a person has said what it is.
_COPIES = """
    SELECT 'replication slot ' || slot_name FROM pg_replication_slots
    UNION SELECT 'standby or copy ' || application_name FROM pg_stat_replication
    UNION SELECT 'archive of the log' WHERE current_setting('archive_mode') <> 'off'
    UNION SELECT 'subscription ' || subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
      WHERE d.datname = current_database()
    ORDER BY 1"""
_COPIED = "rows stand in another store too; declare that as a place with a copy, or say why it holds none"


def contents_of(connector: Connector, target: Target, identity: Identity) -> Contents:
    """Describe the database; its tables are read as they are asked for."""
    with connector.connected() as connection:
        access = tuple(str(row[0]) for row in connection.execute(_ACCESS))
    return Contents(
        identity=identity,
        encrypted="unknown",
        encryption="the server says nothing about its disks",
        access=access,
        holdings=_holdings(connector, target),
    )


def _holdings(connector: Connector, target: Target) -> Iterator[Holding]:
    with connector.looking() as connection:
        schema = read_schema(connection)
        content = Content(connection, schema, Target(id=target.id, url=target.url), {})
        for name, table in sorted(schema.tables.items()):
            may = connection.execute("SELECT has_table_privilege(%s::oid, 'SELECT')", (table.oid,)).fetchone()
            if table.kind in ("partitioned table", "foreign table"):
                if table.kind == "foreign table":
                    yield NotRead(
                        unit=f"table {name}", reason="a foreign table; its rows stand in another store"
                    )
            elif not may or not may[0] or table.hides_rows:
                yield NotRead(unit=f"table {name}", reason="this user may not read all of it")
            else:
                yield _table(content, schema, table)
        for (name,) in connection.execute(_COPIES):
            yield NotRead(unit=name, reason=_COPIED)
        objects = connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()
        if objects and objects[0]:
            yield NotRead(unit=f"{objects[0]} large objects", reason="large objects have no columns to read")


def _table(content: Content, schema: Schema, table: Table) -> HeldTable:
    points = {
        here: f"{key.refers_to}.{there}"
        for key in schema.keys
        if key.table == table.name
        for here, there in zip(key.columns, key.referred, strict=True)
    }
    return HeldTable(
        name=table.name,
        kind=table.kind.replace(" ", "-"),
        columns=tuple(
            Column(name=c.name, stored_as=c.declared, references=points.get(c.name, ""))
            for c in table.columns.values()
        ),
        rows=content.count(table, Query()),
        read=partial(_rows, content, table),
    )


def _rows(content: Content, table: Table) -> Iterator[tuple[object, ...]]:
    with translated("reading a table"):
        yield from content.shown(table, Query())
