"""Let the server rewrite tables by their primary keys, and write down before where the old files lie.

Rules kept: `CLUSTER` and not `VACUUM FULL`, because it runs inside of a transaction: between the look at
the old files and the moment they are given back nobody can make them longer; a table counts as rewritten
only in a file that this rewrite wrote and named, as somebody else's may have copied deleted rows.
"""

from typing import TYPE_CHECKING, Any

from deleatur_plugins.postgresql.pending import note_blocks, read_pending
from deleatur_plugins.postgresql.schema import Table, quoted
from deleatur_plugins.postgresql.server import Server
from deleatur_plugins.postgresql.waiting import Wait

if TYPE_CHECKING:
    import psycopg
_NO_KEY = "deleatur_no_key"  # an index for the length of one transaction


def cluster_tables(
    connection: "psycopg.Connection[Any]", server: Server, tables: list[Table], wait: Wait
) -> bool:
    """Rewrite the locked tables in the open transaction; False when that was done already.

    The blocks of their files are written down before: whoever commits gives them back.
    """
    if are_rewritten(connection, server, tables):
        return False
    pending = read_pending(server.data)
    oids = [table.oid for table in tables]
    for paths in server.files(connection, oids).values():
        note_blocks(pending, server, paths)
    pending.write(server.data)
    for table in tables:
        with wait.bounding(connection):
            _cluster(connection, table)
    # before the commit: after a rollback the tables have other files, and are rewritten again
    pending.files = {str(oid): str(paths[0]) for oid, paths in server.files(connection, oids).items()}
    pending.write(server.data)
    return True


def are_rewritten(connection: "psycopg.Connection[Any]", server: Server, tables: list[Table]) -> bool:
    """Say whether every table has the file that our rewrite gave it."""
    pending = read_pending(server.data)
    now = server.files(connection, [table.oid for table in tables])
    return all(pending.files.get(str(t.oid)) == str(now[t.oid][0]) for t in tables)


def lock_tables(connection: "psycopg.Connection[Any]", tables: list[Table]) -> None:
    """Let nobody else into the tables until the open transaction ends."""
    for table in tables:
        connection.execute(f"LOCK TABLE ONLY {table.qualified} IN ACCESS EXCLUSIVE MODE".encode(), ())


def _cluster(connection: "psycopg.Connection[Any]", table: Table) -> None:
    """Rewrite a table in the order of its key, and leave the mark of its order as it was."""
    row = connection.execute(
        "SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid "
        "WHERE i.indrelid = %s AND i.indisclustered",
        (table.oid,),
    ).fetchone()
    index = table.key_index
    if not index:  # all of its rows are gone; any index will do, one on nothing as well
        index = _NO_KEY
        connection.execute(f"CREATE INDEX {index} ON {table.qualified} ((1))".encode(), ())
    connection.execute(f"CLUSTER {table.qualified} USING {quoted(index)}".encode(), ())
    if not table.key_index:
        connection.execute(f"DROP INDEX {quoted(table.schema)}.{index}".encode(), ())
    if table.schema == "pg_catalog":
        connection.execute("SET LOCAL allow_system_table_mods = on")  # of large objects, for the mark alone
    mark = f"CLUSTER ON {quoted(str(row[0]))}" if row else "SET WITHOUT CLUSTER"
    connection.execute(f"ALTER TABLE {table.qualified} {mark}".encode(), ())
