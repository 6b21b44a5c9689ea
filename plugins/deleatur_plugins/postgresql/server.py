"""The server as it runs here: where its files lie, and whether this process may touch them.

Rule kept: a directory counts as this server's only if both name the same system identifier.
"""

import os
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deleatur.api import Refused, Unsupported, blocks_of

if TYPE_CHECKING:
    import psycopg

REWRITE, SWAP, DELETE = "rewrite-and-reclaim", "swap-and-shred", "delete-rows"
_SEGMENT = re.compile(r"[0-9A-F]{24}")  # a file of the write-ahead log
_FILES = """
    WITH chosen AS (
      SELECT c.oid, c.reltoastrelid FROM pg_class c WHERE c.oid = ANY (%s)
    ), heaps AS (
      SELECT oid FROM chosen UNION SELECT reltoastrelid FROM chosen WHERE reltoastrelid <> 0
    ), all_of_them AS (
      SELECT oid FROM heaps UNION SELECT i.indexrelid FROM pg_index i JOIN heaps h ON h.oid = i.indrelid
    )
    SELECT oid, pg_relation_filepath(oid) FROM all_of_them WHERE pg_relation_filepath(oid) IS NOT NULL
    ORDER BY oid"""


@dataclass(frozen=True, kw_only=True)
class Server:
    """One server whose files this process can reach."""

    data: Path  # its data directory
    log: Path  # of the write-ahead log
    process: int  # the one that started all others
    messages: Path | None  # where its messages go, when that is a file or folder outside of `data`

    def files(self, connection: "psycopg.Connection[Any]", oids: list[int]) -> dict[int, list[Path]]:
        """Return the files of tables by relation, those of their indexes and long values included."""
        return {
            int(oid): _segments(self.data / str(path)) for oid, path in connection.execute(_FILES, (oids,))
        }

    def log_files(self) -> list[Path]:
        """Return the files of the write-ahead log, those for later use included."""
        return sorted(path for path in self.log.iterdir() if _SEGMENT.fullmatch(path.name))

    def tablespaces(self) -> list[Path]:
        """Return the folders outside of the data directory that hold tables."""
        return sorted(Path(os.path.realpath(link)) for link in (self.data / "pg_tblspc").iterdir())


def server_of(connection: "psycopg.Connection[Any]") -> Server | str:
    """Return the server with its files, or why they cannot be reached."""
    is_superuser = connection.execute("SELECT current_setting('is_superuser')").fetchone()
    if is_superuser != ("on",):
        return "the database user is no superuser, and only one may cycle the log and rewrite statistics"
    row = connection.execute(
        "SELECT current_setting('data_directory'), (SELECT system_identifier FROM pg_control_system())"
    ).fetchone()
    data, identifier = (Path(str(row[0])), int(row[1])) if row else (Path("/"), 0)
    try:
        control = (data / "global" / "pg_control").read_bytes()
    except OSError as error:
        return f"the server's data directory cannot be read on this host ({error.strerror})"
    if len(control) < 8 or struct.unpack_from("=Q", control)[0] != identifier:
        return "the data directory of that path on this host belongs to another server"
    log = Path(os.path.realpath(data / "pg_wal"))
    for folder in (data, data / "base", log):
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
            return "this user may not write to the server's data directory; run as root"
    with (data / "global" / "pg_control").open("rb") as file:
        try:
            blocks_of(file.fileno())
        except Unsupported as error:
            return str(error)
    process = _leader(data)
    return Server(data=data, log=log, process=process, messages=_messages(connection, data, process))


def _leader(data: Path) -> int:
    """Return the process that started all others of a server, as it wrote it down."""
    leader = (data / "postmaster.pid").read_text("ascii").split("\n", 1)[0]
    try:
        return int(leader)
    except ValueError:
        raise Refused("the server's postmaster.pid does not begin with its process id") from None


def _messages(connection: "psycopg.Connection[Any]", data: Path, process: int) -> Path | None:
    """Return where the server writes messages: they quote statements, and values of refused rows."""
    ((collected, folder),) = connection.execute(
        "SELECT current_setting('logging_collector'), current_setting('log_directory')"
    ).fetchall()
    if collected == "on":
        path = Path(os.path.realpath(data / str(folder)))
    else:
        path = Path(os.path.realpath(f"/proc/{process}/fd/2"))
    reached = path.is_dir() or path.is_file()
    return path if reached and not path.is_relative_to(data) else None


def size_of(connection: "psycopg.Connection[Any]", oids: Sequence[int]) -> int:
    """Return how many bytes tables take, with their indexes and long values."""
    row = connection.execute(
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::int8 FROM unnest(%s::oid[]) AS t (oid)",
        (list(oids),),
    ).fetchone()
    return int(row[0]) if row else 0


def no_transaction_can_be_prepared(connection: "psycopg.Connection[Any]") -> bool:
    """Say whether the server takes no prepared transaction, as it does by default."""
    return connection.execute("SELECT current_setting('max_prepared_transactions')").fetchone() == ("0",)


def _segments(first: Path) -> list[Path]:
    """Return all files of a relation's data: one for each gigabyte."""
    found, number = [first], 1
    while (path := first.with_name(f"{first.name}.{number}")).exists():
        found.append(path)
        number += 1
    return found
