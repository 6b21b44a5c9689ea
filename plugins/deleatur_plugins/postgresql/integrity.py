"""Let the server check tables and indexes against each other, before anything changes and after the rewrite.

Rules kept: nothing is installed into a database for that; where it has no `amcheck`, the certificate says so.
"""

# ruff: noqa: S608 - the names in an SQL text come from the catalogs and are quoted, values are bound

from typing import TYPE_CHECKING, Any

from deleatur.api import Failed
from deleatur_plugins.postgresql.schema import Table, quoted

if TYPE_CHECKING:
    import psycopg

NOT_CHECKED = "no-integrity-check"  # the sentence of certificates
_INDEXES = """
    SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am a ON a.oid = c.relam
    WHERE a.amname = 'btree' AND i.indisvalid AND i.indrelid IN (
      SELECT unnest(%s::oid[]) UNION SELECT reltoastrelid FROM pg_class WHERE oid = ANY (%s::oid[]))
    ORDER BY i.indexrelid"""


def has_checks(connection: "psycopg.Connection[Any]") -> bool:
    """Say whether the database has the extension amcheck."""
    return bool(_schema(connection))


def check_tables(connection: "psycopg.Connection[Any]", tables: list[Table]) -> None:
    """Let the server check every page of the tables, and that each row stands in each index.

    Raises:
        Failed: a table is damaged. (A damaged index is an error of the server's own.)
    """
    schema = _schema(connection)
    if not schema:
        return
    oids = [table.oid for table in tables]
    for table in tables:
        found = connection.execute(
            f"SELECT count(*) FROM {schema}.verify_heapam(%s::oid::regclass, check_toast => true)".encode(),
            (table.oid,),
        ).fetchone()
        if found and found[0]:
            raise Failed(
                f"amcheck finds {found[0]} faults in {table.name!r}: see them with verify_heapam, and "
                "restore the table before going on"
            )
    for (index,) in connection.execute(_INDEXES.encode(), (oids, oids)).fetchall():
        connection.execute(f"SELECT {schema}.bt_index_check(%s::oid::regclass, true)".encode(), (index,))


def _schema(connection: "psycopg.Connection[Any]") -> str:
    """Return the schema of the extension, quoted; "" when it is not there, or older than PostgreSQL 14's."""
    row = connection.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = 'verify_heapam' WHERE e.extname = 'amcheck'"
    ).fetchone()
    return quoted(str(row[0])) if row else ""
