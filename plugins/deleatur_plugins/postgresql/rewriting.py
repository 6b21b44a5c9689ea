"""Let the server rewrite the tables, cycle its log, and overwrite every block that it gives back.

Rules kept: the server's own commands rewrite, so its files are valid at every moment; where the old
content lies is written down before it is given back; each stage can be done again after a kill.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deleatur.api import Cursor, Keystream, Secrets, Target, Transient, blocks_of, reclaim
from deleatur_plugins.postgresql.connecting import Connector, translated
from deleatur_plugins.postgresql.cycling import cycle_log
from deleatur_plugins.postgresql.deleting import delete
from deleatur_plugins.postgresql.pending import Pending, nothing_pending, read_pending
from deleatur_plugins.postgresql.schema import Table, quoted, read_schema
from deleatur_plugins.postgresql.server import Server

if TYPE_CHECKING:
    import psycopg

_STAGES = ("", "deleted", "rewritten", "statistics", "cycled", "reclaimed")
_PATIENCE = 10.0  # seconds that the rewrite waits for transactions that still see the deleted rows
_STATISTICS = ("pg_statistic", "pg_statistic_ext_data")
_STILL_SEEN = """
    SELECT pid FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND NOT pid = ANY (%s)
    AND (datid IS NULL OR datid = (SELECT oid FROM pg_database WHERE datname = current_database()))
    AND age(backend_xmin) > age(CAST(CAST(%s AS xid8) AS xid)) ORDER BY pid"""


class Rewriting:
    """One run of the action `rewrite`."""

    def __init__(
        self, connector: Connector, server: Server, target: Target, secrets: Secrets, keystream: Keystream
    ) -> None:
        self._connector = connector
        self._server = server
        self._target = target
        self._secrets = secrets
        self._keystream = keystream

    def run(self, after: Cursor | None) -> Iterator[Cursor]:
        """Go from the cursor's stage to a server that keeps nothing of the rows."""
        stage, _, count = (after.position if after else "").partition(" ")
        rows = int(count or 0)
        done = _STAGES.index(stage)
        if done < 1:
            self._write_down()
            rows = delete(self._connector, self._target, self._secrets)
            yield Cursor(f"deleted {rows}", rows)
        if done < 2:
            self._rewrite()
            yield Cursor(f"rewritten {rows}", rows)
        if done < 3:
            self._clear_statistics()
            yield Cursor(f"statistics {rows}", rows)
        if done < 4:
            cycle_log(self._connector, self._server, self._keystream)
            yield Cursor(f"cycled {rows}", rows)
        if done < 5:
            self._reclaim()
            yield Cursor(f"reclaimed {rows}", rows)

    def _write_down(self) -> None:
        """Before anything changes: where everything lies that a vacuum may give back any moment."""
        with self._connector.connected() as connection:
            connection.execute("CHECKPOINT")
            pending = read_pending(self._server.data)
            pending.files = {}
            self._note(connection, pending, [t.oid for t in self._tables(connection)])

    def _tables(self, connection: "psycopg.Connection[Any]") -> list[Table]:
        schema = read_schema(connection)
        found = {t.name: t for t in (schema.selectable(s.table) for s in self._target.select)}
        return [found[name] for name in sorted(found)]

    def _note(self, connection: "psycopg.Connection[Any]", pending: Pending, oids: list[int]) -> None:
        """Write down the blocks of the tables' files as they lie now."""
        for oid, paths in self._server.files(connection, oids).items():
            pending.files[str(oid)] = str(paths[0])
            for path in paths:
                self._add(pending, path)
        pending.write(self._server.data)

    def _rewrite(self) -> None:
        """Rewrite every table by its primary key, all in one transaction that lets nobody in.

        CLUSTER and not VACUUM FULL, because it runs inside of a transaction: between the look at
        the old files and the moment they are given back nobody can make them longer.
        """
        with self._connector.connected() as connection, translated("rewriting the tables"):
            self._wait_until_unseen(connection)
            connection.execute("BEGIN")
            tables = self._tables(connection)
            for table in tables:
                connection.execute(f"LOCK TABLE {table.qualified} IN ACCESS EXCLUSIVE MODE".encode(), ())
            pending = read_pending(self._server.data)
            if self._is_rewritten(connection, pending, tables):
                connection.execute("ROLLBACK")
                return
            self._note(connection, pending, [table.oid for table in tables])
            for table in tables:
                _cluster(connection, table)
            connection.execute("COMMIT")
            connection.execute("CHECKPOINT")

    def _is_rewritten(
        self, connection: "psycopg.Connection[Any]", pending: Pending, tables: list[Table]
    ) -> bool:
        """Say whether no table has the file any more that was written down before the deletion."""
        now = self._server.files(connection, [table.oid for table in tables])
        return all(pending.files.get(str(t.oid), "") not in ("", str(now[t.oid][0])) for t in tables)

    def _wait_until_unseen(self, connection: "psycopg.Connection[Any]") -> None:
        """Wait until no transaction is left that may see the deleted rows: a rewrite would copy them.

        Raises:
            Transient: one stays open.
        """
        ((newest,),) = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchall()
        end = time.monotonic() + _PATIENCE
        while pids := connection.execute(
            _STILL_SEEN.encode(), (sorted(self._connector.ours), newest)
        ).fetchall():
            if time.monotonic() > end:
                named = ", ".join(str(pid) for (pid,) in pids[:20])
                raise Transient(
                    f"process {named} still sees the deleted rows; end its transaction and resume"
                )
            time.sleep(0.05)

    def _clear_statistics(self) -> None:
        """Take new samples, and let the server forget the old ones and the texts of statements."""
        with self._connector.connected() as connection, translated("clearing statistics"):
            for table in self._tables(connection):
                connection.execute(f"ANALYZE {table.qualified}".encode(), ())
            pending = read_pending(self._server.data)
            for name in ("pg_stat_tmp/pgss_query_texts.stat", "pg_stat/pg_stat_statements.stat"):
                self._add(pending, self._server.data / name)
            found = connection.execute(
                "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
                "WHERE e.extname = 'pg_stat_statements'"
            ).fetchone()
            oids = connection.execute(
                "SELECT oid::int8 FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace "
                "AND relname = ANY (%s)",
                (list(_STATISTICS),),
            ).fetchall()
            self._note(connection, pending, [int(oid) for (oid,) in oids])
            if found:
                connection.execute(f"SELECT {quoted(str(found[0]))}.pg_stat_statements_reset()".encode(), ())
            for name in _STATISTICS:
                connection.execute(f"VACUUM FULL pg_catalog.{name}".encode(), ())
            connection.execute("CHECKPOINT")

    def _add(self, pending: Pending, path: Path) -> None:
        """Note the blocks of one file, under a folder of its file system that outlives the table."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            device = os.fstat(fd).st_dev
            roots = (self._server.data, *self._server.tablespaces())
            folder = next((root for root in roots if root.stat().st_dev == device), path.parent)
            pending.add_blocks(folder, blocks_of(fd))
        finally:
            os.close(fd)

    def _reclaim(self) -> None:
        """Overwrite every block that was given back."""
        pending = read_pending(self._server.data)
        for folder, runs in sorted(pending.blocks.items()):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                reclaim(fd, runs, self._keystream, "freed blocks")
            finally:
                os.close(fd)
        nothing_pending(self._server.data)


def _cluster(connection: "psycopg.Connection[Any]", table: Table) -> None:
    """Rewrite a table in the order of its key, and leave the mark of its order as it was."""
    row = connection.execute(
        "SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid "
        "WHERE i.indrelid = %s AND i.indisclustered",
        (table.oid,),
    ).fetchone()
    connection.execute(f"CLUSTER {table.qualified} USING {quoted(table.key_index)}".encode(), ())
    mark = f"CLUSTER ON {quoted(str(row[0]))}" if row else "SET WITHOUT CLUSTER"
    connection.execute(f"ALTER TABLE {table.qualified} {mark}".encode(), ())
