"""Replace the database by one without the selected rows, crash-safe, and shred everything old.

Rules kept: the database's path is a valid database at every moment, the old one or the new one; a
kill at any call leaves a state that is told from what lies in the folder; before the swap nothing
is kept of an earlier attempt, after it nothing old is kept at all.
"""

import os
from collections.abc import Iterator
from contextlib import closing

from deleatur.api import (
    Cursor,
    Failed,
    Keystream,
    Refused,
    Secrets,
    Target,
    Transient,
    Unsupported,
    filesystem_of,
    usage,
)
from deleatur_plugins.sqlite.connecting import VERSIONS, connect, translated
from deleatur_plugins.sqlite.files import (
    COPY,
    NEW,
    OLD,
    Files,
    chunks_of,
    digest_of,
    write_all,
)
from deleatur_plugins.sqlite.ground import blockers_of
from deleatur_plugins.sqlite.rebuild import Rebuild

_ROLLBACK, _WAL = b"\1\1", b"\2\2"  # write and read version, fileformat2 §1.3.3


class Rewriting:
    """One run of the action `rewrite`."""

    def __init__(self, files: Files, target: Target, secrets: Secrets, keystream: Keystream) -> None:
        self._files = files
        self._target = target
        self._secrets = secrets
        self._keystream = keystream
        self._copied = b""

    def run(self, after: Cursor | None) -> Iterator[Cursor]:
        """Go from whatever lies in the folder to a database without the rows and nothing old."""
        stage = after.position.partition(" ")[0] if after else ""
        rows = _rows(after)
        self._files.database()
        # without a cursor of ours, an old database beside this one was left by another job
        if not (stage and self._swapped()) and stage not in ("swapped", "shredding", "shredded"):
            for cursor in self._replace():
                rows = _rows(cursor)
                yield cursor
        yield from self._shred_all(rows)

    def _swapped(self) -> bool:
        """Say whether the new database stands at the path while the old one waits to be shredded."""
        old = self._files.status(OLD)
        return old is not None and not os.path.samestat(old, self._files.database())

    def _replace(self) -> Iterator[Cursor]:
        """Copy, delete, rebuild, swap. Whatever refuses on the way leaves the database as it was."""
        try:
            self._discard()
            self._settle()
            wal = self._take_copy()
            yield Cursor("copied", 0)
            with Rebuild(
                self._files.path.with_name(self._files.name + COPY), self._target, self._secrets
            ) as rebuild:
                rows = rebuild.delete()
                self._flush(COPY)
                yield Cursor("deleted", 0)
                self._make_new(rebuild, wal=wal)
            yield Cursor(f"rebuilt {rows}", 0)
            yield from self._swap(rows)
        except (Failed, Refused, Transient, Unsupported, OSError):
            if not self._swapped():
                self._discard()
            raise

    def _discard(self) -> None:
        """Shred what an unfinished attempt left; a second name of a living file is only removed."""
        files = self._files
        living = [s for s in map(files.status, ("", "-wal", "-journal")) if s is not None]
        for suffix in files.ours():
            status = files.status(suffix)
            if status is not None and any(os.path.samestat(status, other) for other in living):
                files.unlink(suffix)
            else:
                for _ in files.shred(suffix, self._keystream):
                    continue

    def _settle(self) -> None:
        """Let SQLite bring the WAL's content into the database, and keep the WAL's blocks for us.

        SQLite removes the WAL when its last connection closes; the second name keeps the inode.
        """
        files = self._files
        blockers = blockers_of(files, filesystem_of(files.folder), usage())
        if blockers:
            raise Refused("; ".join(blockers))
        if files.hot():
            raise Refused(
                "a program crashed in a transaction; open the database once with it to roll it back"
            )
        wal = files.status("-wal")
        if wal is None or not wal.st_size:
            return
        files.link("-wal", f".deleatur-wal-{wal.st_ino}")
        with (
            translated("bringing the WAL into the database"),
            closing(connect(files.path, "mode=rw")) as connection,
        ):
            connection.execute("SELECT count(*) FROM main.sqlite_schema").fetchone()
            connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
        os.fsync(files.folder)

    def _take_copy(self) -> bool:
        """Copy the database byte by byte under its lock; return whether it is in WAL mode."""
        files = self._files
        with files.exclusively() as database:
            self._clear_sidecars()
            with files.opened(COPY, os.O_RDWR | os.O_CREAT | os.O_EXCL) as copy:
                offset = 0
                for chunk in chunks_of(database):
                    write_all(copy, chunk, offset)
                    offset += len(chunk)
                wal = os.pread(copy, 2, VERSIONS) == _WAL
                if wal:  # the copy is worked on without a WAL of its own
                    write_all(copy, _ROLLBACK, VERSIONS)
                os.fsync(copy)
            os.fsync(files.folder)
            self._copied = digest_of(database)
            return wal

    def _clear_sidecars(self) -> None:
        """Under the lock: no journal may lie beside a database that is going to be another one.

        Raises:
            Transient: a program wrote in the meantime.
        """
        files = self._files
        if files.size("-wal") or files.hot():
            raise Transient(
                "a program wrote to the database meanwhile, or its WAL could not be emptied; stop it, resume"
            )
        journal = files.status("-journal")
        if journal is not None:  # left by journal_mode PERSIST or TRUNCATE; it may hold old pages
            files.rename("-journal", f".deleatur-journal-{journal.st_ino}")
        for suffix in ("-wal", "-shm"):  # an empty WAL, and an index of pages without content
            if files.status(suffix) is not None:
                files.unlink(suffix)

    def _make_new(self, rebuild: Rebuild, *, wal: bool) -> None:
        """Write the new database and give it everything that the old one has beside its content."""
        files = self._files
        with files.opened(NEW, os.O_RDWR | os.O_CREAT | os.O_EXCL) as new:
            rebuild.build(files.path.with_name(files.name + NEW), new)
            if wal:
                write_all(new, _WAL, VERSIONS)
            with files.opened("", os.O_RDONLY) as old:
                _dress(new, old)
            os.fsync(new)
        os.fsync(files.folder)

    def _swap(self, rows: int) -> Iterator[Cursor]:
        """Put the new database in the place of the old one, at once, if that is still what was copied.

        The old file's lock is held until nothing can be read from it: a program that opened it and
        waits for the lock would else write what nobody reads any more.
        """
        files = self._files
        files.refuse_users()
        with files.exclusively() as database:
            self._clear_sidecars()
            if digest_of(database) != self._copied:
                raise Transient("a program wrote to the database meanwhile; stop it and resume")
            files.link("", OLD)
            files.rename(NEW, "")
            yield Cursor(f"swapped {rows}", rows)
            yield from self._shred(OLD, rows)

    def _shred_all(self, rows: int) -> Iterator[Cursor]:
        """Overwrite and remove every old file; each one is gone before the next begins."""
        os.fsync(self._files.folder)  # the swap is on stable storage before the old content goes
        for suffix in self._files.ours():
            yield from self._shred(suffix, rows)

    def _shred(self, suffix: str, rows: int) -> Iterator[Cursor]:
        files = self._files
        role = suffix.removeprefix(".deleatur-")
        status = files.status(suffix)
        if status is None:
            raise Failed(f"the file with {suffix} vanished before it was overwritten")
        for offset in files.shred(suffix, self._keystream):
            if offset < status.st_size:
                yield Cursor(f"shredding {rows} {role} {offset}", rows)
        yield Cursor(f"shredded {rows} {role}", rows)

    def _flush(self, suffix: str) -> None:
        with self._files.opened(suffix, os.O_RDONLY) as fd:
            os.fsync(fd)


def _rows(after: Cursor | None) -> int:
    """Return the number of rows that a cursor carries from "rebuilt" on."""
    words = after.position.split(" ") if after else []
    return int(words[1]) if len(words) > 1 else 0


def _dress(new: int, old: int) -> None:
    """Give the new file the old one's owner, permissions and extended attributes.

    Raises:
        Refused: one of them cannot be given by this user.
    """
    status = os.fstat(old)
    try:
        os.fchown(new, status.st_uid, status.st_gid)
        os.fchmod(new, status.st_mode & 0o7777)
        for name in os.listxattr(old):
            value = os.getxattr(old, name)
            if name not in os.listxattr(new) or os.getxattr(new, name) != value:
                os.setxattr(new, name, value)
    except PermissionError:
        raise Refused("owner, permissions or extended attributes cannot be kept by this user") from None
