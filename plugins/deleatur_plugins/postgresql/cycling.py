"""Cycle the server's write-ahead log until no file of before is left in it, and overwrite those files.

Rules kept: the server itself gives its files up; each one has a second name of ours before, so that
its blocks stay ours to overwrite; from the first change on it gives up none before that; the end is
measured, file by file, never a number of switches.
"""

import time
from typing import TYPE_CHECKING, Any

from deleatur.api import Failed, Keystream, LinkShredder, Refused
from deleatur_plugins.postgresql.connecting import Connector, translated
from deleatur_plugins.postgresql.pending import read_pending
from deleatur_plugins.postgresql.server import Server

if TYPE_CHECKING:
    import psycopg

_JOURNAL = ".deleatur-log"  # crash journal of the second names, beside the log
_AT_ONCE = 4  # switches between two checkpoints
_SPARE = 32  # switches more than there are files, before it counts as stuck
_TIMES, _LEAST = 4, 1 << 24  # of log for each byte of the tables, and for what does not grow with them
_PATIENCE = 10.0  # seconds for a setting to reach every process of the server


def keep_log(connection: "psycopg.Connection[Any]", server: Server, size: int) -> None:
    """Let the server keep every file that its log has now or gets while tables of `size` bytes are rewritten.

    A file that a checkpoint removed on the way would lie in free space with pages of the tables.
    """
    pending = read_pending(server.data)
    if not pending.log:
        row = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        names = [path.name for path in server.log_files()]
        pending.log = min(name for name in (*names, str(row[0]) if row else "") if name)
        pending.write(server.data)
    there = sum(path.stat().st_size for path in server.log_files())
    _change(connection, server, "wal_keep_size", f"{(there + room_for_log(size)) >> 20}MB")


def room_for_log(size: int) -> int:
    """Return how many bytes of log an erase from tables of `size` bytes may write: each page some times."""
    return _TIMES * size + _LEAST


def cycle_log(connector: Connector, server: Server, keystream: Keystream) -> None:
    """Replace every file of the log by a new one, and overwrite the old ones.

    Raises:
        Failed: the server removed files since the first change.
        Refused: the server keeps a file of before, or a setting does not reach it.
    """
    with connector.connected() as connection, translated("cycling the log"):
        _change(connection, server, "wal_recycle", "off")
        connection.execute("CHECKPOINT")  # who writes checkpoints reads the setting at the latest now
        with LinkShredder(server.log / _JOURNAL) as old:
            first = read_pending(server.data).log
            if not old.pending and first and not (server.log / first).exists():
                raise Failed(
                    f"the server removed files of its log since {first}, and they lie in free space as they "
                    "were; fill it or wipe it, and plan again"
                )
            old.hold(server.log_files())
            _let_go(server)
            _change_back(connection, server, "wal_keep_size")
            _cycle(connection, old)
            for _ in old.shred(keystream, patience=None):
                continue
            old.finish()
        _change_back(connection, server, "wal_recycle")


def _let_go(server: Server) -> None:
    """From now on it is no loss when the server removes a file: each has a second name."""
    pending = read_pending(server.data)
    pending.log = ""
    pending.write(server.data)


def _cycle(connection: "psycopg.Connection[Any]", old: LinkShredder) -> None:
    ((keep,),) = connection.execute(
        "SELECT ceil(pg_size_bytes(current_setting('wal_keep_size'))::numeric "
        "/ pg_size_bytes(current_setting('wal_segment_size')))::int"
    ).fetchall()
    for _ in range(0, len(old.pending) + int(keep) + _SPARE, _AT_ONCE):
        for _ in range(_AT_ONCE):
            connection.execute("SELECT pg_logical_emit_message(true, 'deleatur', '')")
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")
        if not old.in_use():
            return
    raise Refused(
        f"the server keeps {len(old.in_use())} old files of its log; see what holds them and resume"
    )


def _change(connection: "psycopg.Connection[Any]", server: Server, name: str, value: str) -> None:
    """Change a setting of the server for a while; what stood there is written down before."""
    pending = read_pending(server.data)
    if name not in pending.settings:
        row = connection.execute(
            "SELECT setting FROM pg_file_settings WHERE name = %s "
            "AND sourcefile LIKE '%%postgresql.auto.conf' ORDER BY seqno DESC LIMIT 1",
            (name,),
        ).fetchone()
        pending.settings[name] = str(row[0]) if row else None
        pending.write(server.data)
    _alter(connection, name, value)
    end = time.monotonic() + _PATIENCE
    while not _is_set(connection, name, value):
        if time.monotonic() > end:
            raise Refused(
                f"{name} stays as it is, set on the server's command line; start it without and resume"
            )
        time.sleep(0.02)


def _is_set(connection: "psycopg.Connection[Any]", name: str, value: str) -> bool:
    same = (
        "pg_size_bytes(current_setting(%s)) = pg_size_bytes(%s)"
        if value != "off"
        else "current_setting(%s) = %s"
    )
    return connection.execute(f"SELECT {same}".encode(), (name, value)).fetchone() == (True,)


def _change_back(connection: "psycopg.Connection[Any]", server: Server, name: str) -> None:
    pending = read_pending(server.data)
    if name in pending.settings:
        _alter(connection, name, pending.settings.pop(name))
        pending.write(server.data)


def _alter(connection: "psycopg.Connection[Any]", name: str, value: str | None) -> None:
    change = f"RESET {name}" if value is None else f"SET {name} = '{value.replace(chr(39), chr(39) * 2)}'"
    connection.execute(f"ALTER SYSTEM {change}".replace("%", "%%").encode(), ())
    connection.execute("SELECT pg_reload_conf()")
