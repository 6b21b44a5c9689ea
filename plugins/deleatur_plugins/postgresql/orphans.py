"""Files in the folders of a database that no table has: a crash while one was made or rewritten leaves them.

Rules kept: nothing is said of a file that a running transaction may have made, so only files that are older
than the server's start count, and none while something is prepared; they are named, and never changed.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deleatur_plugins.postgresql.server import Server

if TYPE_CHECKING:
    import psycopg

_RELATION = re.compile(r"(\d+)(_fsm|_vm|_init)?(\.\d+)?")
_KNOWN = "SELECT pg_relation_filepath(oid) FROM pg_class WHERE pg_relation_filepath(oid) IS NOT NULL"
_STARTED = """
    SELECT extract(epoch FROM pg_postmaster_start_time())::float8, oid::text
    FROM pg_database WHERE datname = current_database()
    AND NOT EXISTS (SELECT FROM pg_prepared_xacts WHERE database = current_database())"""


def orphans(connection: "psycopg.Connection[Any]", server: Server) -> tuple[str, ...]:
    """Return the files of the connection's database that belong to no table, as paths in the data directory.

    None of its files is told while a transaction is prepared there, as that may have made some.
    """
    row = connection.execute(_STARTED).fetchone()
    if row is None:
        return ()
    started, number = float(row[0]), str(row[1])
    found = sorted(_relation_files(server, number, before=started))  # before the catalogs are read
    known = {str(path) for (path,) in connection.execute(_KNOWN)}
    return tuple(
        str(path)
        for path in found
        if str(path.with_name(path.name.partition(".")[0].partition("_")[0])) not in known
    )


def _relation_files(server: Server, database: str, *, before: float) -> Iterator[Path]:
    folders = (server.data / "base" / database, *server.data.glob(f"pg_tblspc/*/PG_*/{database}"))
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if _RELATION.fullmatch(path.name):
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # dropped meanwhile
                if status.st_size and status.st_mtime < before:
                    yield path.relative_to(server.data)
