"""Cycle the server's write-ahead log until no file of before is left in it, and overwrite those files.

Rules kept: the server itself gives its files up; each one has a second name of ours before, so that
its blocks stay ours to overwrite; from the first change on it gives up none before that; the end is
measured, file by file, never a number of switches.
"""

import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deleatur.api import Failed, Keystream, LinkShredder, Refused
from deleatur_plugins.postgresql.connecting import Connector, translated
from deleatur_plugins.postgresql.pending import read_pending
from deleatur_plugins.postgresql.server import Server, size_of

if TYPE_CHECKING:
    import psycopg

_JOURNAL = ".deleatur-log"  # crash journal of the second names, beside the log
_AT_ONCE = 4  # switches between two checkpoints
_SPARE = 32  # switches more than there are files, before it counts as stuck
_TIMES, _LEAST = 4, 1 << 24  # of log for each byte of the tables, and for what does not grow with them
_PATIENCE = 10.0  # seconds for a setting to reach every process of the server


def keep_log(connector: Connector, server: Server, oids: Sequence[int], job: str) -> None:
    """Let the server keep every file that its log has now or gets while tables are rewritten.

    A file that a checkpoint removed on the way would lie in free space with pages of the tables. `job` is the
    name of this job: what another one noted and left behind says nothing of files that this one needs.
    """
    with connector.connected() as connection, translated("keeping the log"):
        there = sum(path.stat().st_size for path in server.log_files())
        # others write to the log as well, as much as they like: a part of the disk is theirs
        room = max(room_for_log(size_of(connection, oids)), shutil.disk_usage(server.log).free // 2)
        _change(connection, server, "wal_keep_size", f"{(there + room) >> 20}MB")
        _let_checkpoints_follow(connector)
        pending = read_pending(server.data)
        if pending.log and pending.job == job:
            return
        row = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        names = [path.name for path in server.log_files()]
        pending.log, pending.job = min(name for name in (*names, str(row[0]) if row else "") if name), job
        pending.write(server.data)


def _let_checkpoints_follow(connector: Connector) -> None:
    """Return when every checkpoint from now on goes by the settings that our own process sees.

    One that began before keeps the old settings to its end, and who writes them may be told of new ones later
    than our own process. The server tells everybody before it takes another connection, and the checkpoint
    that is asked for then begins after that.
    """
    with connector.connected() as connection:
        connection.execute("CHECKPOINT")


def room_for_log(size: int) -> int:
    """Return how many bytes of log an erase from tables of `size` bytes may write: each page some times."""
    return _TIMES * size + _LEAST


def cycle_log(connector: Connector, server: Server, keystream: Keystream, job: str) -> None:
    """Replace every file of the log by a new one, and overwrite the old ones.

    Raises:
        Failed: the server removed files since the first change, or may have, as another job ran meanwhile.
        Refused: the server keeps a file of before, or a setting does not reach it.
    """
    with connector.connected() as connection, translated("cycling the log"):
        _refuse_lost_files(server, job)
        _change(connection, server, "wal_recycle", "off")
        _let_checkpoints_follow(connector)
        with LinkShredder(server.log / _JOURNAL) as old:
            _refuse_lost_files(server, job)
            old.hold(server.log_files())
            _let_go(server)
            _change_back(connection, server, "wal_keep_size")
            _cycle(connector, old)
            for _ in old.shred(keystream, patience=None):
                continue
            old.finish()
        _change_back(connection, server, "wal_recycle")


def _refuse_lost_files(server: Server, job: str) -> None:
    pending = read_pending(server.data)
    if pending.job != job:
        raise Failed("another job ran on this server since this one began; plan again")
    if pending.log and not (server.log / pending.log).exists():
        raise Failed(
            f"the server removed files of its log since {pending.log}, and they lie in free space as they "
            "were; fill it or wipe it, and plan again"
        )


def _let_go(server: Server) -> None:
    """From now on it is no loss when the server removes a file: each has a second name."""
    pending = read_pending(server.data)
    pending.log = ""
    pending.write(server.data)


def _cycle(connector: Connector, old: LinkShredder) -> None:
    with connector.connected() as connection:  # a new one, which knows the setting of now
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
