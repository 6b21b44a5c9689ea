"""Cycle the server's write-ahead log until no file of before is left in it, and overwrite those files.

Rules kept: the server itself gives its files up; each one has a second name of ours before, so that
its blocks stay ours to overwrite; the end is measured, file by file, never a number of switches.
"""

import time
from typing import TYPE_CHECKING, Any

from deleatur.api import Keystream, LinkShredder, Refused
from deleatur_plugins.postgresql.connecting import Connector, translated
from deleatur_plugins.postgresql.pending import read_pending
from deleatur_plugins.postgresql.server import Server

if TYPE_CHECKING:
    import psycopg

_JOURNAL = ".deleatur-log"  # crash journal of the second names, beside the log
_AT_ONCE = 4  # switches between two checkpoints
_SPARE = 32  # switches more than there are files, before it counts as stuck
_PATIENCE = 10.0  # seconds for a setting to reach every process of the server


def cycle_log(connector: Connector, server: Server, keystream: Keystream) -> None:
    """Replace every file of the log by a new one, and overwrite the old ones.

    Raises:
        Refused: the server keeps a file of before, or the setting does not reach it.
    """
    with connector.connected() as connection, translated("cycling the log"):
        _stop_recycling(connection, server)
        with LinkShredder(server.log / _JOURNAL) as old:
            old.hold(server.log_files())
            _cycle(connection, old)
            for _ in old.shred(keystream, patience=None):
                continue
            old.finish()
        _set_back(connection, server)


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


def _stop_recycling(connection: "psycopg.Connection[Any]", server: Server) -> None:
    """Let the server remove files of its log instead of using them again under new names."""
    pending = read_pending(server.data)
    if "wal_recycle" not in pending.settings:
        row = connection.execute(
            "SELECT setting FROM pg_file_settings WHERE name = 'wal_recycle' "
            "AND sourcefile LIKE '%%postgresql.auto.conf' ORDER BY seqno DESC LIMIT 1",
            (),
        ).fetchone()
        pending.settings["wal_recycle"] = str(row[0]) if row else None
        pending.write(server.data)
    _alter(connection, "off")
    end = time.monotonic() + _PATIENCE
    while connection.execute("SELECT current_setting('wal_recycle')").fetchone() != ("off",):
        if time.monotonic() > end:
            raise Refused(
                "wal_recycle stays on, set on the server's command line; start it without and resume"
            )
        time.sleep(0.02)
    connection.execute("CHECKPOINT")  # who writes checkpoints reads the setting at the latest now


def _set_back(connection: "psycopg.Connection[Any]", server: Server) -> None:
    pending = read_pending(server.data)
    if "wal_recycle" in pending.settings:
        _alter(connection, pending.settings.pop("wal_recycle"))
        pending.write(server.data)


def _alter(connection: "psycopg.Connection[Any]", value: str | None) -> None:
    change = (
        "RESET wal_recycle" if value is None else f"SET wal_recycle = '{'off' if value == 'off' else 'on'}'"
    )
    connection.execute(f"ALTER SYSTEM {change}".encode(), ())
    connection.execute("SELECT pg_reload_conf()")
