"""Let the server write every file anew that held the rows, and shred what it gives up.

Rules kept: each file has a second name of ours before the server may unlink it; whatever is not a
file of its own (undo, doublewrite, redo) is churned until it is measured that nothing old is left;
all of it may be done again from the start after a kill, of this process or of the server.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are typed

import errno
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from deleatur.api import Cursor, Failed, Keystream, LinkShredder, Refused, Secrets, Target, Transient
from deleatur_plugins.mariadb.connecting import Session, quoted
from deleatur_plugins.mariadb.deleting import delete_rows
from deleatur_plugins.mariadb.ground import Ground
from deleatur_plugins.mariadb.innodb import Era, Leftover
from deleatur_plugins.mariadb.integrity import check_tables
from deleatur_plugins.mariadb.rights import WORK
from deleatur_plugins.mariadb.statistics import forget_statistics, take_statistics
from deleatur_plugins.mariadb.waiting import Watch

_FILLER = f"{quoted(WORK)}.`filler`"
_ROWS, _WIDTH = 512, 7000  # of the filler: 256 pages, twice what the doublewrite buffer holds
_SMALL = 4  # rows whose undo fills more than one page: such a segment is freed, not kept for reuse
_SEGMENTS = 128  # rollback segments, which transactions take in turn
_LARGE = 16 << 20  # bytes of redo log; so many more are filled faster
_PATIENCE = 60  # seconds without any progress
_CATCHING_UP = 10  # seconds that the purge of a round's undo is waited for; it took 1 on two busy cores
_ROOM = 24 << 20  # bytes that stay free on the server's disk: a round takes 8 MiB of undo
_ATTEMPTS = 20  # to be rid of a binary log that still holds an unfinished group of transactions
_SETTINGS = {
    "innodb_immediate_scrub_data_uncompressed": "ON",  # freed pages are written as zeros
    "innodb_purge_rseg_truncate_frequency": "1",  # freed undo is given back at once
}


class Rebuilding:
    """One run of the action `rebuild`."""

    def __init__(
        self, session: Session, ground: Ground, target: Target, secrets: Secrets, keystream: Keystream
    ) -> None:
        self._session = session
        self._ground = ground
        self._target = target
        self._secrets = secrets
        self._keystream = keystream
        self._journal = ground.journal(secrets, target)
        self._tables = sorted({selection.table for selection in target.select})

    def run(self, after: Cursor | None) -> Iterator[Cursor]:
        """Go the whole way, whatever an earlier run did of it.

        Every position carries the log position at which the first run began to delete.
        """
        if others := self._ground.unfinished(self._journal):
            raise Refused("; ".join(others))
        self._session.run("SET SESSION sql_log_bin=OFF")  # the deletion itself would be one more copy
        since = int(after.position.rpartition("@")[2]) if after else self._log_position()
        if after is None:
            yield Cursor(f"begin @{since}", 0)
        with self._scrubbing(), Watch(self._session.address, self._tables) as watch:
            check_tables(self._session, self._tables)
            with self._unpurged():
                rows = delete_rows(self._session, self._target, self._secrets) or (after.done if after else 0)
                self._checkpoint()
            for stage in self._stages(since):
                yield Cursor(f"{stage} @{since}", rows, outage=watch.milliseconds())

    def _stages(self, since: int) -> Iterator[str]:
        """Do what follows the deletion; yield the name of each stage that is done."""
        yield "deleted"
        with LinkShredder(self._journal) as links:
            for number, table in enumerate(self._tables, start=1):
                self._rebuild(links, table)
                check_tables(self._session, [table])  # while the old file is still there
                yield f"rebuilt {number}"
            self._renew_statistics(links)
            yield "statistics"
            self._give_up_binary_logs(links)
            self._give_up_statement_logs(links)
            yield "logs"
            for unit, offset in links.shred(self._keystream):
                yield f"shredded {unit} {offset}"
            links.release(links.in_use())
            links.finish()
        self._churn(since)
        yield "churned"

    @contextmanager
    def _unpurged(self) -> Iterator[None]:
        """Keep undo pages from being freed, so that none is freed while it is being written.

        The server writes a freed page as zeros, and may write its content after that if it was still
        on the way.
        """
        with closing(Session(self._session.address)) as other:
            other.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            yield

    @contextmanager
    def _scrubbing(self) -> Iterator[None]:
        """Change what the server does with freed pages, and change it back."""
        before = {name: self._ground.variable(name) for name in _SETTINGS}
        for name, value in _SETTINGS.items():
            self._session.run(f"SET GLOBAL {name}={value}")
        try:
            yield
        finally:
            for name, value in before.items() if self._session.connection.open else ():
                self._session.run(f"SET GLOBAL {name}={value}")

    def _rebuild(self, links: LinkShredder, table: str) -> None:
        own = f"{self._ground.file_name(self._session.address.database)}/{self._ground.file_name(table)}"
        paths = [
            self._ground.data / path
            for name, path in self._session.texts(
                "SELECT name, filename FROM information_schema.innodb_sys_tablespaces"
            )
            if name == own or name.lower().startswith(f"{own}#p#".lower())  # its partitions
        ]
        if not paths:
            raise Failed(f"the server names no file of table {table!r}")
        held = links.hold(paths)
        self._session.alter(f"ALTER TABLE {quoted(table)} FORCE, ALGORITHM=INPLACE, LOCK=NONE")
        if set(held) & set(links.in_use()):
            raise Failed(f"the server kept the old file of table {table!r}")

    def _renew_statistics(self, links: LinkShredder) -> None:
        """Take the rows' lowest, highest and frequent values out of the engine-independent statistics."""
        folder = self._ground.data / "mysql"
        links.hold([folder / "column_stats.MAD", folder / "column_stats.MAI"])
        columns = forget_statistics(self._session, self._tables)
        self._session.alter("ALTER TABLE mysql.column_stats FORCE, ALGORITHM=COPY")
        take_statistics(self._session, columns)

    def _give_up_binary_logs(self, links: LinkShredder) -> None:
        """Purge every binary log but a new one; a log with unfinished transactions is kept silently."""
        if self._ground.variable("log_bin") != "ON":
            return
        folder = self._ground.beside("log_bin_basename").parent
        old = [row[0] for row in self._session.texts("SHOW BINARY LOGS")]
        links.hold(folder / name for name in old)
        self._session.run("FLUSH BINARY LOGS")
        for _ in range(_ATTEMPTS):
            newest = self._session.texts("SHOW BINARY LOGS")[-1][0]
            self._session.run(f"PURGE BINARY LOGS TO {self._session.literal(newest)}")
            if not {row[0] for row in self._session.texts("SHOW BINARY LOGS")} & set(old):
                return
            time.sleep(0.1)
        raise Transient("the server keeps binary logs with unfinished transactions; try again")

    def _give_up_statement_logs(self, links: LinkShredder) -> None:
        """Take the names of the logs of statements away and let the server begin new ones."""
        for name in ("general_log_file", "slow_query_log_file"):
            path = self._ground.beside(name)
            if links.hold([path]):
                path.unlink()
                _flush(path.parent)
        self._session.run("FLUSH GENERAL LOGS")
        self._session.run("FLUSH SLOW LOGS")

    def _churn(self, since: int) -> None:
        """Write filler until redo, doublewrite buffer and undo hold nothing from before, as measured.

        Raises:
            Transient: something old stays; the message says what keeps it.
        """
        transaction = self._prepare_filler()
        era = Era(since, self._log_position(), transaction)
        redo = int(self._ground.variable("innodb_log_file_size"))  # a ring: so many bytes overwrite all of it
        pages = self._ground.pages()
        best, end, number = (redo, *[1 << 30] * 3), time.monotonic() + _PATIENCE, 0
        while True:
            self._keep_room()
            with (
                self._unpurged()
            ):  # so undo takes pages that were free before, and does not go round in a few
                for _ in range(_SEGMENTS):
                    self._fill(number := number + 1, f" WHERE id <= {_SMALL}")
                for _ in range(1 + redo // _LARGE):
                    self._fill(number := number + 1, f" WHERE id <= {_SEGMENTS}")
                self._checkpoint()
            self._session.run(
                f"UPDATE {_FILLER} SET touched = {number}"
            )  # every page, and little redo: so one
            self._checkpoint()  # flush writes them all, and fills the doublewrite buffer up
            left = max(redo - (self._log_position() - era.until), 0)
            old = pages.left_of(era)
            if not left and old.nothing:
                break
            now = (left, old.doublewrite, old.segments, old.pages or best[3])
            if now < best:
                best, end = now, time.monotonic() + _PATIENCE
            elif time.monotonic() >= end:
                raise Transient(_told(old))
            self._let_purge_catch_up()
        self._session.run(f"DROP DATABASE {quoted(WORK)}")

    def _keep_room(self) -> None:
        """Stop before the server's disk is full: it would keep every writer waiting until there is room."""
        disk = os.statvfs(self._ground.system_tablespace.parent)
        if disk.f_bavail * disk.f_frsize < _ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _let_purge_catch_up(self) -> None:
        """Wait until the undo of a round is freed, or the next takes new pages of a file that never shrinks.

        What waits to be purged goes in the order in which it came: when it is no more than the
        transactions since, nothing of the round is among it. Each takes two numbers, the second to commit.
        """
        end, first = time.monotonic() + _CATCHING_UP, self._session.number("Innodb_max_trx_id")
        while time.monotonic() < end:
            since = (self._session.number("Innodb_max_trx_id") - first) // 2
            if self._session.number("Innodb_history_list_length") <= since:
                return
            time.sleep(0.1)

    def _log_position(self) -> int:
        return self._session.number("Innodb_lsn_current")

    def _checkpoint(self) -> None:
        """Have every changed page written out."""
        self._session.run("SET GLOBAL innodb_log_checkpoint_now=ON")

    def _fill(self, number: int, where: str) -> None:
        """Change the filler; each call writes other bytes than the last, or nothing would be written."""
        self._session.run(f"UPDATE {_FILLER} SET a = REPEAT(CHAR({97 + number % 26}), {_WIDTH}){where}")

    def _prepare_filler(self) -> int:
        """Make the filler table anew; return a transaction's number that is higher than the deletion's."""
        name = self._session.literal(WORK)
        foreign = self._session.texts(
            "SELECT table_name FROM information_schema.tables "
            f"WHERE table_schema = {name} AND table_name <> 'filler'"
        )
        if foreign:
            raise Refused(
                f"the database {WORK} is for the length of an erase and holds other tables; move them"
            )
        run = self._session.run
        run(f"DROP DATABASE IF EXISTS {quoted(WORK)}")
        self._keep_room()
        run(f"CREATE DATABASE {quoted(WORK)}")
        run(
            f"CREATE TABLE {_FILLER} (id INT PRIMARY KEY, touched INT NOT NULL, "
            f"a VARBINARY({_WIDTH}) NOT NULL) ENGINE=InnoDB"
        )
        run("START TRANSACTION")
        rows = ", ".join(f"({n}, 0, REPEAT('f', {_WIDTH}))" for n in range(1, _ROWS + 1))
        run(f"INSERT INTO {_FILLER} VALUES {rows}")
        for _ in range(_ATTEMPTS):
            found = self._session.texts(
                "SELECT trx_id FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
            )
            if found:
                run("COMMIT")
                return int(found[0][0])
            time.sleep(0.1)  # the table is a snapshot, taken at most every tenth of a second
        raise Transient("the server does not show this connection's own transaction; try again")


def _told(old: Leftover) -> str:
    if old.segments:
        return f"{old.segments} undo segments of the deletion stay in use: a transaction is open; end it"
    if old.doublewrite:
        return f"{old.doublewrite} pages of the doublewrite buffer were not written anew; try again"
    if old.pages:
        return (
            f"{old.pages} undo pages of the deletion are kept, or were not written anew: end the "
            "transactions that are open, and try again"
        )
    return "the redo log was not written anew within a minute; try again when the server is less busy"


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
