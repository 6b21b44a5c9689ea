"""Let the server rewrite the tables, cycle its log, and overwrite every block that it gives back.

Rules kept: the server's own commands rewrite, so its files are valid at every moment; where the old
content lies is written down before it is given back; each stage can be done again after a kill.
"""

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from deleatur.api import Cursor, Keystream, Secrets, Target, Transient, keyed_digest, reclaim
from deleatur_plugins.postgresql.clustering import cluster_tables, lock_tables
from deleatur_plugins.postgresql.connecting import Connector, translated
from deleatur_plugins.postgresql.content import selected_tables
from deleatur_plugins.postgresql.cycling import cycle_log, keep_log
from deleatur_plugins.postgresql.deleting import delete
from deleatur_plugins.postgresql.integrity import check_tables
from deleatur_plugins.postgresql.objects import PAGES, pages_of
from deleatur_plugins.postgresql.pending import note_blocks, nothing_pending, read_pending
from deleatur_plugins.postgresql.schema import Table, quoted, read_schema
from deleatur_plugins.postgresql.server import SWAP, Server
from deleatur_plugins.postgresql.swapping import shred_swapped, swap_tables, transaction_name
from deleatur_plugins.postgresql.waiting import Wait

if TYPE_CHECKING:
    import psycopg

_STAGES = ("", "deleted", "rewritten", "statistics", "cycled", "reclaimed")
_PATIENCE = 10.0  # seconds that the rewrite waits for transactions that still see the deleted rows
_TEXTS = ("pg_stat_tmp/pgss_query_texts.stat", "pg_stat/pg_stat_statements.stat")
_STATISTICS, _COMMENTS = ("pg_statistic", "pg_statistic_ext_data"), ("pg_description",)
_FORGET_SAMPLES = (
    "WITH t AS (SELECT unnest(%s::oid[]) AS oid) DELETE FROM pg_statistic WHERE starelid IN "
    "(SELECT t.oid FROM t UNION SELECT i.indexrelid FROM pg_index i JOIN t ON i.indrelid = t.oid)",
    "DELETE FROM pg_statistic_ext_data WHERE stxoid IN "
    "(SELECT s.oid FROM pg_statistic_ext s WHERE s.stxrelid = ANY (%s::oid[]))",
)
# Whatever makes the server copy deleted rows when it rewrites. A writer does so from any database, because
# every snapshot goes back to the oldest writer of all; a reader only from its own, or from a standby (no
# database). Activity is read first: what is prepared meanwhile is seen here or there. When our own rewrite is
# prepared, nothing is left to copy, and others wait for us.
_STILL_SEEN = """
    WITH newest AS (SELECT age(CAST(CAST(%(newest)s AS xid8) AS xid)) AS age)
    SELECT who, name FROM (
      SELECT 'process {}' AS who, pid::text AS name, backend_xid AS writes,
        CASE WHEN datid IS NULL OR datid = (SELECT oid FROM pg_database WHERE datname = current_database())
        THEN backend_xmin END AS sees
        FROM pg_stat_activity WHERE NOT pid = ANY (%(ours)s)
      UNION ALL SELECT CASE WHEN gid LIKE 'deleatur-%%' THEN 'the swap {!r} of another job, which ends when '
        'that job is resumed' ELSE 'the prepared transaction {!r}' END, gid, transaction, NULL
        FROM pg_prepared_xacts
      UNION ALL SELECT 'the replication slot {!r}', slot_name, catalog_xmin, xmin FROM pg_replication_slots
    ) AS open, newest WHERE greatest(age(writes), age(sees)) > newest.age
    AND NOT EXISTS (SELECT FROM pg_prepared_xacts WHERE gid = %(mine)s)"""


class Rewriting:
    """One run of the action `rewrite`."""

    def __init__(
        self,
        connector: Connector,
        server: Server,
        target: Target,
        secrets: Secrets,
        keystream: Keystream,
    ) -> None:
        self._connector = connector
        self._server = server
        self._target = target
        self._secrets = secrets
        self._keystream = keystream
        self._swaps = target.technique == SWAP

    def run(self, after: Cursor | None) -> Iterator[Cursor]:
        """Go from the cursor's stage to a server that keeps nothing of the rows."""
        stage, _, count = (after.position if after else "").partition(" ")
        rows = int(count or 0)
        done = _STAGES.index(stage)
        if done < 1:
            self._check()
            self._write_down()
            rows, waited = delete(self._connector, self._target, self._secrets, self._note_tables)
            yield Cursor(position=f"deleted {rows}", done=rows, outage=waited)
        if done < 2:
            waited = self._rewrite()
            self._check()
            yield Cursor(position=f"rewritten {rows}", done=rows, outage=waited)
        if done < 3:
            self._clear_statistics()
            yield Cursor(f"statistics {rows}", rows)
        if done < 4:
            cycle_log(self._connector, self._server, self._keystream, self._job())
            yield Cursor(f"cycled {rows}", rows)
        if done < 5:
            self._reclaim()
            yield Cursor(f"reclaimed {rows}", rows)

    def _check(self) -> None:
        """Let the server find damage: what is damaged before would be taken for our doing after."""
        with self._connector.connected() as connection, translated("checking the tables"):
            check_tables(connection, [t for t in self._tables(connection) if t.filled])

    def _write_down(self) -> None:
        """Before anything changes: where everything lies that a vacuum may give back any moment."""
        with self._connector.connected() as connection:
            tables = self._tables(connection)
            statistics = self._statistics(connection)
            keep_log(self._connector, self._server, [t.oid for t in tables] + statistics, self._job())
            connection.execute("CHECKPOINT")
            pending = read_pending(self._server.data)
            pending.files = {}
            pending.write(self._server.data)
            self._note_tables(connection)

    def _note_tables(self, connection: "psycopg.Connection[Any]") -> None:
        """Note the blocks of the tables as they are now: somebody else may have moved them meanwhile."""
        pending = read_pending(self._server.data)
        found = self._server.files(connection, [table.oid for table in self._tables(connection)])
        note_blocks(pending, self._server, (path for paths in found.values() for path in paths))
        pending.write(self._server.data)

    def _job(self) -> str:
        """Return a name for the job: nobody else's, and the same in each run."""
        return keyed_digest(self._secrets["digest-key"], b"rewrite", self._target.id.encode())[:32]

    def _tables(self, connection: "psycopg.Connection[Any]") -> list[Table]:
        chosen = selected_tables(read_schema(connection), self._target)
        return [*chosen, *pages_of(chosen)]

    def _rewrite(self) -> int:
        """Rewrite every table, all in one transaction that lets nobody in; return how long that took."""
        with self._connector.connected() as connection, translated("rewriting the tables"):
            tables = [table for table in self._tables(connection) if table.kind == "table"]
            self._wait_until_unseen(connection)
            wait = Wait(self._secrets)
            if self._swaps:
                name = transaction_name(self._secrets, self._target)
                waited = swap_tables(connection, self._server, tables, name, wait)
                shred_swapped(connection, self._server, tables, name, self._keystream)
                return waited
            connection.execute("BEGIN")
            lock_tables(connection, tables)
            changed = cluster_tables(connection, self._server, tables, wait)
            connection.execute("COMMIT")
            waited = wait.milliseconds if changed else 0
            connection.execute("CHECKPOINT")
            return waited

    def _wait_until_unseen(self, connection: "psycopg.Connection[Any]") -> None:
        """Wait until nothing of before now makes the server keep deleted rows: a rewrite would copy them.

        What begins later is never waited for, so this ends among writers as well.

        Raises:
            Transient: something stays.
        """
        ((newest,),) = connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text").fetchall()
        bound = {"newest": newest, "ours": sorted(self._connector.ours), "mine": self._connector.prepared}
        end = time.monotonic() + _PATIENCE
        # one look goes from process to process: behind its back one may take a snapshot that goes back to a
        # writer who ends before the look comes to it; the second look sees that one, and no more can come
        for _ in range(2):
            while found := connection.execute(_STILL_SEEN.encode(), bound).fetchall():
                if time.monotonic() > end:
                    named = ", ".join(who.format(name) for who, name in found[:20])
                    raise Transient(f"the server keeps the deleted rows for {named}; end that and resume")
                time.sleep(0.05)

    def _clear_statistics(self) -> None:
        """Take new samples, and let the server forget the old ones and the texts of statements."""
        with self._connector.connected() as connection, translated("clearing statistics"):
            self._sample_anew(connection)
            self._wait_until_unseen(connection)
            found = connection.execute(
                "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
                "WHERE e.extname = 'pg_stat_statements' "  # which without its library keeps nothing
                "AND current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'"
            ).fetchone()
            files = self._server.files(connection, self._statistics(connection))
            pending = read_pending(self._server.data)
            note_blocks(pending, self._server, (self._server.data / name for name in _TEXTS))
            note_blocks(pending, self._server, (path for paths in files.values() for path in paths))
            pending.write(self._server.data)
            if found:
                connection.execute(f"SELECT {quoted(str(found[0]))}.pg_stat_statements_reset()".encode(), ())
            for name in self._catalogs(connection):
                connection.execute(f"VACUUM FULL pg_catalog.{name}".encode(), ())
            connection.execute("CHECKPOINT")

    def _catalogs(self, connection: "psycopg.Connection[Any]") -> tuple[str, ...]:
        """Return the catalogs that hold samples of values, and where objects go what was said of them."""
        return (*_STATISTICS, *(_COMMENTS if PAGES in self._tables(connection) else ()))

    def _statistics(self, connection: "psycopg.Connection[Any]") -> list[int]:
        """Return the numbers of those."""
        oids = connection.execute(
            "SELECT oid::int8 FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace "
            "AND relname = ANY (%s)",
            (list(self._catalogs(connection)),),
        ).fetchall()
        return [int(oid) for (oid,) in oids]

    def _sample_anew(self, connection: "psycopg.Connection[Any]") -> None:
        """Forget the samples of the tables and of those above them, then take new ones.

        They are forgotten first: of a table without rows the server takes none, and keeps the old ones.
        """
        schema = read_schema(connection)
        chosen = selected_tables(schema, self._target)
        every = [*chosen, *schema.above(chosen), *pages_of(chosen)]
        for forget in _FORGET_SAMPLES:
            connection.execute(forget.encode(), ([table.oid for table in every],))
        for table in every:
            if table.filled:
                connection.execute(f"ANALYZE {table.qualified}".encode(), ())

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
