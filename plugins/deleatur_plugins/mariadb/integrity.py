"""Let the server check tables with their indexes, before anything is deleted and after each was rebuilt."""

from collections.abc import Iterable

from deleatur.api import Failed
from deleatur_plugins.mariadb.connecting import Session, quoted


def check_tables(session: Session, tables: Iterable[str]) -> None:
    """Let the server read every row of the tables and compare each index with them.

    Raises:
        Failed: a table is damaged.
    """
    for table in tables:
        *_, (_, _, kind, text) = session.texts(f"CHECK TABLE {quoted(table)} EXTENDED")
        if (kind, text) != ("status", "OK"):
            raise Failed(
                f"CHECK TABLE … EXTENDED finds table {table!r} damaged: see it there, and restore the table "
                "before going on"
            )
