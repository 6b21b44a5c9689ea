"""Move all that stays into a new data directory, and shred every file of the old one.

Rules kept: the old directory is the truth until the new one was compared with it, row by row and word by
word, while nobody could write; the two change places in one call, when no server runs; no old file is
overwritten before a server was seen at work on the new ones, nor when one was written to since the change.
What stands on the disk says how far a run came: after a kill the copy is made anew, or the rest is shredded.
"""

import os
import select
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

from deleatur.api import (
    Cursor,
    Denial,
    Failed,
    Keystream,
    LinkShredder,
    Refused,
    Secrets,
    Target,
    Transient,
    exchange,
    nobody_has_open,
)
from deleatur_plugins.mariadb.connecting import Session, option_file
from deleatur_plugins.mariadb.copying import Client, absent_programs, copy, second_server
from deleatur_plugins.mariadb.deleting import delete_rows
from deleatur_plugins.mariadb.ground import REBUILD, RELOAD, Ground
from deleatur_plugins.mariadb.integrity import check_tables
from deleatur_plugins.mariadb.statistics import forget_statistics, take_statistics

_STOPPING = 120  # seconds for the server to end, with all that it still writes
_RETURNING = 60  # seconds for whoever runs the server to start it again, until the run ends and is resumed
_BESIDES = 64 << 20  # bytes of a directory without any table: redo log, system tablespace
_SLOWEST = 2 << 20  # bytes a second through two servers; 4 MB/s were measured on two busy cores
_MARK = ".deleatur-left"  # in the old directory: when the server had ended
_TOGETHER = 32  # flushed pieces of old files to one cursor: a server has some 200 small files of its own
_OLD_NAMES = ".deleatur-held-"
_THERE = ("innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory", "aria_log_dir_path")
_INSIDE = ("log_bin_basename", "general_log_file", "slow_query_log_file")
# What a server makes by itself in its data directory, beside the folders of databases.
_OWN = (
    *("ibdata*", "ib_logfile*", "ib_buffer_pool", "ibtmp*", "undo*", "aria_log*", "ddl_recovery*.log"),
    *("multi-master.info", "mysql_upgrade_info", "mariadb_upgrade_info", "*.pid", "*.sock", "*.err"),
    *("debian-*.flag", "tc.log", ".deleatur-*"),
)


def denials_of(ground: Ground) -> tuple[Denial, ...]:
    """Say why the whole server cannot be moved, if it cannot."""
    reasons = [ground.distance] if ground.distance else []
    if not reasons:
        reasons += [f"{name} is not installed" for name in absent_programs()]
        if os.geteuid():
            reasons.append("only root can make a directory of the server's user; run as root")
        if ground.data.is_mount():
            reasons.append("the data directory is a mount by itself; move it into a folder of that disk")
        if labels := os.listxattr(ground.data):
            reasons.append(f"the data directory has {labels[0]}, which the new one would not have")
        reasons += [
            f"{name} is not the data directory itself; move what is there"
            for name in _THERE
            if os.path.realpath(ground.beside(name)) != str(ground.data)
        ]
        reasons += [
            f"{name} is outside of the data directory; move it there"
            for name in _INSIDE
            if ground.variable(name) and not ground.beside(name).is_relative_to(ground.data)
        ]
        if ground.variable("wsrep_on") == "ON":
            reasons.append("wsrep_on is ON: take the node out of its Galera cluster first")
        if "/" in ground.variable("innodb_data_file_path"):
            reasons.append("innodb_data_file_path names folders; the new directory would not have them")
        if ground.variable("server_audit_logging") == "ON":
            reasons.append("server_audit_logging is ON: its log keeps statements with values; switch it off")
        if ground.variable("init_file"):
            reasons.append("init_file is set, and the second server would execute it; take it off, restart")
        if ground.variable("innodb_encrypt_tables") in ("ON", "FORCE"):
            reasons.append("innodb_encrypt_tables is on, and keys are not handed to a second server")
    return tuple(Denial(technique=RELOAD, reason=reason) for reason in reasons[:1])


def standing_in_the_way(session: Session, ground: Ground) -> Iterator[str]:
    """Yield what a copy through the server would lose, or cannot bring along."""
    yield from (
        f"column {name} is a FLOAT, which is rounded when it is copied as text; make it a DOUBLE"
        for (name,) in session.texts(
            "SELECT CONCAT(table_schema, '.', table_name, '.', column_name) FROM information_schema.columns "
            "WHERE data_type = 'float' AND table_schema NOT IN "
            "('information_schema', 'performance_schema', 'mysql', 'sys') ORDER BY 1"
        )
    )
    yield from (
        f"table {name} is {what}, whose past a copy through the server does not keep; take it away first"
        for name, what in session.texts(
            "SELECT CONCAT(table_schema, '.', table_name), LOWER(table_type) FROM information_schema.tables "
            "WHERE table_type = 'SYSTEM VERSIONED' ORDER BY 1"
        )
    )
    total = 0
    for folder, _, names in os.walk(ground.data):
        for name in names:
            path = Path(folder, name)
            try:
                status = path.lstat()
            except FileNotFoundError:  # the server goes on meanwhile
                continue
            total += status.st_size
            if folder == str(ground.data) and not any(path.match(own) for own in _own(ground)):
                yield f"the server did not make {name!r} in its data directory; move it elsewhere"
            elif stat.S_ISLNK(status.st_mode) or path.suffix == ".isl":
                yield f"{name} leads out of the data directory; bring it in"
            elif stat.S_ISREG(status.st_mode) and status.st_nlink != 1:
                yield f"{name} has {status.st_nlink} names; remove the others"
    free = shutil.disk_usage(ground.data).free
    if free < total + _BESIDES:
        yield f"{total + _BESIDES >> 20} MiB must be free for a second data directory, and {free >> 20} are"


def outage_of(ground: Ground) -> int:
    """Return how long nobody can write, at most, until the server may be started again, in milliseconds."""
    size = sum(p.stat().st_size for p in ground.data.glob("*/*.ibd"))
    return (_RETURNING + _STOPPING + size // _SLOWEST) * 1000


class Reloading:
    """One run of the action `reload`."""

    def __init__(
        self, session: Session, ground: Ground, target: Target, secrets: Secrets, keystream: Keystream
    ) -> None:
        self._session = session
        self._ground = ground
        self._target = target
        self._secrets = secrets
        self._keystream = keystream
        self._data = ground.data
        self._other = ground.other_directory(secrets, target)
        self._links = ground.data.with_name(ground.journal(secrets, target).name)
        self._tables = sorted({selection.table for selection in target.select})

    def run(self, after: Cursor | None) -> Iterator[Cursor]:
        """Go the whole way, whatever an earlier run did of it."""
        if others := self._ground.unfinished(self._ground.journal(self._secrets, self._target)):
            raise Refused("; ".join(others))
        rows = after.done if after else 0
        if not self._have_changed_places():
            self._throw_away()
            self._try_the_change()
            rows = self._delete() or rows
            yield Cursor("deleted", rows)
            begin = time.monotonic()
            self._move()
            self._wait_for_the_server()
            yield Cursor("moved", rows, outage=int((time.monotonic() - begin) * 1000))
        with LinkShredder(self._links) as links:
            for number, (unit, offset) in enumerate(self._shred(links), start=1):
                if not number % _TOGETHER:
                    yield Cursor(f"shredded {unit} {offset}", rows)
            links.finish()
        shutil.rmtree(self._other)
        _flush(self._other.parent)
        yield Cursor("reloaded", rows)

    def _have_changed_places(self) -> bool:
        """Say whether what stands beside the data directory is the old one."""
        if not self._other.exists():
            return False
        return self._other.stat().st_ino == int(self._other.name.rpartition("-")[2])

    def _throw_away(self) -> None:
        """Remove a copy that took no place: it holds nothing but what stays."""
        if self._other.exists():
            shutil.rmtree(self._other)
        (self._data / _MARK).unlink(missing_ok=True)
        _flush(self._data)

    def _try_the_change(self) -> None:
        """Learn from two empty folders whether the file system can do it, before anything is deleted."""
        folders = [self._links.with_name(f"{self._links.name}-trial-{n}") for n in range(2)]
        for folder in folders:
            folder.mkdir(exist_ok=True)  # left by a run that was killed just here
        try:
            exchange(*folders)
        except OSError as error:
            raise Refused(
                f"the file system lets no two directories change places ({error.strerror}); use {REBUILD}"
            ) from None
        finally:
            for folder in folders:
                folder.rmdir()
            _flush(self._data.parent)

    def _delete(self) -> int:
        self._session.run("SET SESSION sql_log_bin=OFF")
        check_tables(self._session, self._tables)
        rows = delete_rows(self._session, self._target, self._secrets)
        take_statistics(self._session, forget_statistics(self._session, self._tables))
        return rows

    def _move(self) -> None:
        """Copy while nobody writes, stop the server, and let the two directories change places."""
        whole = outage_of(self._ground) / 1000 - _RETURNING
        command, owner = command_of(self._session.peer), self._data.stat()
        tablespace = self._other / self._ground.system_tablespace.relative_to(self._data)
        self._session.run("SET SESSION wait_timeout=86400")  # seconds; the lock ends with the connection
        self._session.alter("FLUSH TABLES WITH READ LOCK")
        if self._session.texts("XA RECOVER FORMAT='SQL'"):
            raise Transient("a prepared transaction came in between; commit it or roll it back, and resume")
        options = option_file()
        old = Client(
            (
                *(f"--defaults-file={options}" if options else "--no-defaults", "--protocol=SOCKET"),
                f"--socket={self._session.address.socket}",
            ),
            self._data.parent,
        )
        with ExitStack() as undo:
            undo.callback(self._throw_away)
            with second_server(command, self._other, owner) as new:
                copy(old, new, whole)
            self._other.chmod(stat.S_IMODE(owner.st_mode))
            _flush_tree(self._other)
            undo.pop_all()
        mark = self._data / _MARK
        mark.touch()
        _flush(self._data)
        server = os.pidfd_open(self._session.peer)
        try:
            self._session.run("SHUTDOWN")  # from the connection that has the lock: nobody wrote since
            _wait_until_ended(server)
        finally:
            os.close(server)
        os.utime(mark)
        _flush(mark)
        exchange(self._data, self._other)
        if not nobody_has_open(tablespace, "the old system tablespace"):
            exchange(self._data, self._other)
            _flush(self._data.parent)
            raise Transient(
                "the server was started again before its new directory was in place, and goes on with the "
                "old one; see that nothing starts it by itself, and resume"
            )
        _flush(self._data.parent)

    def _wait_for_the_server(self) -> None:
        """Return when a server works with the new files; starting it is left to whoever runs it."""
        end = time.monotonic() + _RETURNING
        while True:
            try:
                with closing(Session(self._session.address)) as session:
                    if distance := Ground(session).distance:
                        raise Refused(distance)
                    return
            except Transient:
                if time.monotonic() >= end:
                    raise Transient(
                        "the server was stopped and its new data directory is in place: start it as it is "
                        "always started, and resume"
                    ) from None
                time.sleep(0.2)

    def _shred(self, links: LinkShredder) -> Iterator[tuple[str, int]]:
        """Overwrite and remove every file of the old directory."""
        files = [
            path
            for folder, _, names in os.walk(self._other)
            for path in (Path(folder, name) for name in sorted(names))
            if not path.name.startswith(_OLD_NAMES) and stat.S_ISREG(path.lstat().st_mode)
        ]
        mark = self._other / _MARK
        if mark.exists() and any(p.stat().st_mtime_ns > mark.stat().st_mtime_ns for p in files):
            raise Failed(
                f"a server wrote to the old directory after it was copied ({self._other}); nothing was "
                "overwritten: stop the server, see which of the two is right, and put it in place"
            )
        held = links.hold(p for p in files if p != mark)
        for name in held:
            name.path.unlink()
        for folder in {name.path.parent for name in held}:
            _flush(folder)
        yield from links.shred(self._keystream)
        mark.unlink(missing_ok=True)  # last: a later run asks it again


def command_of(process: int) -> list[str]:
    """Return with what the server was started, its program by the kernel's word."""
    words = Path(f"/proc/{process}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    return [str(Path(f"/proc/{process}/exe").readlink()), *map(os.fsdecode, words[1:])]


def _own(ground: Ground) -> tuple[str, ...]:
    names = ("log_bin_basename", "general_log_file", "slow_query_log_file")
    return (*_OWN, *(f"{ground.beside(name).name}*" for name in names if ground.variable(name)))


def _wait_until_ended(server: int) -> None:
    ended = select.poll()
    ended.register(server, select.POLLIN)
    if not ended.poll(_STOPPING * 1000):
        raise Transient(f"the server did not end within {_STOPPING} s; see its error log, and try again")


def _flush_tree(top: Path) -> None:
    for folder, _, names in os.walk(top):
        for name in names:
            _flush(Path(folder, name))
        _flush(Path(folder))


def _flush(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
