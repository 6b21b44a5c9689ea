"""Put the old files of rewritten tables aside before the server gives them up, and overwrite them there.

A server cuts an old file when the rewrite is committed, so that its content lies in free blocks. Here the
rewrite stands in a prepared transaction first: it is on disk, keeps everybody out of the tables, and outlives
a crash. Behind it each old file gets a second name, its first name goes to a file of one unreadable page,
and that one is what the commit cuts. Rules kept: no old byte comes into free space before it is overwritten;
nothing is overwritten before the commit is on disk; a table is never readable in a state that is not whole;
the files of one job are nobody else's, as nobody else knows whether its transaction is committed.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deleatur.api import HeldName, Keystream, LinkShredder, Refused, Secrets, Target, keyed_digest
from deleatur_plugins.postgresql.clustering import cluster_tables, lock_tables
from deleatur_plugins.postgresql.pending import flush, forget_blocks
from deleatur_plugins.postgresql.schema import Table
from deleatur_plugins.postgresql.server import Server
from deleatur_plugins.postgresql.waiting import Wait

if TYPE_CHECKING:
    import psycopg

# The server's own tools, and the backups made by them, leave out what begins like this: no backup carries an
# old file away, and none ends at a name whose pages it would check.
_ASIDE = "pgsql_tmp.deleatur"
_JOURNAL = f"{_ASIDE}-swap"  # crash journal of one job's second names, in the data directory
_HELD, _DECOY = f"{_ASIDE}-held-", f"{_ASIDE}-decoy"
_PAGE = b"\xff" * 8192  # no page that a server takes for one: reading it is an error, never an empty table


def transaction_name(secrets: Secrets, target: Target) -> str:
    """Return the name of the prepared transaction of one job: nobody else's, and the same in each run."""
    return f"deleatur-{keyed_digest(secrets['digest-key'], b'swap', target.id.encode())[:32]}"


def is_swapping(server: Server, name: str) -> bool:
    """Say whether the swap of that name was begun and not finished: the tables may be locked by it."""
    return _journal(server, name).exists()


def other_swaps(server: Server, name: str) -> list[str]:
    """Return the names of the swaps of other jobs that put files aside and did not overwrite them yet."""
    return [
        f"deleatur-{found.name.rpartition('-')[2]}"
        for found in sorted(server.data.glob(f"{_JOURNAL}-*"))
        if found != _journal(server, name) and _size(found)
    ]


def _size(journal: Path) -> int:
    """Return its bytes; 0 if its job ended meanwhile."""
    try:
        return journal.stat().st_size
    except FileNotFoundError:
        return 0


def swap_tables(
    connection: "psycopg.Connection[Any]", server: Server, tables: list[Table], name: str, wait: Wait
) -> int:
    """Rewrite the tables and put their old files aside; return for how many milliseconds others waited.

    `name` is that of the prepared transaction, the same in each run of the step.
    """
    with _old_files(server, name) as old:
        if not _is_prepared(connection, name):
            if old.pending:
                connection.execute("CHECKPOINT")  # what was written to a table meanwhile shows in its file
                _put_back(old, _files_now(connection, server, tables))
            connection.execute("BEGIN")
            lock_tables(connection, tables)
            if not cluster_tables(connection, server, tables, wait):
                connection.execute("ROLLBACK")
                return 0
            connection.execute(f"PREPARE TRANSACTION '{name}'".encode(), ())
        # others still see the catalogs of before, so these are the old files
        used = _files_now(connection, server, tables)
        try:
            held = old.hold(used)
            connection.execute(
                "CHECKPOINT"
            )  # what is still in the server's memory belongs into the old files
            _put_aside(held)
        except OSError:  # nobody shall wait for a job that cannot go on; where this fails too, the lock stays
            _give_first_names_back(old, used)
            connection.execute(f"ROLLBACK PREPARED '{name}'".encode(), ())
            raise
        connection.execute(f"COMMIT PREPARED '{name}'".encode(), ())
        return wait.milliseconds


def shred_swapped(
    connection: "psycopg.Connection[Any]",
    server: Server,
    tables: list[Table],
    name: str,
    keystream: Keystream,
) -> None:
    """Overwrite the files that the swap of that name put aside.

    Raises:
        Refused: the rewrite of the tables is not committed.
    """
    if not is_swapping(server, name):
        return
    connection.execute("CHECKPOINT")  # the server forgets the files that it cut
    with _old_files(server, name) as old:
        used = _files_now(connection, server, tables)
        if any(held.path in used for held in old.pending):
            raise Refused("the tables have their old files again; resume from the plan, or restore a backup")
        forget_blocks(server, [held.second for held in old.pending])
        for _ in old.shred(keystream, patience=None):  # a server drops its pages of what it gave up
            continue
        old.finish()


def _old_files(server: Server, name: str) -> LinkShredder:
    return LinkShredder(_journal(server, name), prefix=_HELD)


def _journal(server: Server, name: str) -> Path:
    return server.data / f"{_JOURNAL}-{name.rpartition('-')[2]}"


def _is_prepared(connection: "psycopg.Connection[Any]", name: str) -> bool:
    found = connection.execute("SELECT FROM pg_prepared_xacts WHERE gid = %s", (name,)).fetchone()
    return found is not None


def _files_now(connection: "psycopg.Connection[Any]", server: Server, tables: list[Table]) -> list[Path]:
    found = server.files(connection, [table.oid for table in tables])
    return [path for paths in found.values() for path in paths]


def _put_aside(held: Iterable[HeldName]) -> None:
    """Give the first name of each file to a page that nobody can read."""
    for name in held:
        decoy = name.path.with_name(f"{_DECOY}-{name.inode}")
        owner = name.second.stat()
        fd = os.open(decoy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchown(fd, owner.st_uid, owner.st_gid)
            os.write(fd, _PAGE)
            os.fsync(fd)
        finally:
            os.close(fd)
        decoy.rename(name.path)
    for folder in {name.path.parent for name in held}:
        flush(folder)


def _put_back(old: LinkShredder, used: list[Path]) -> None:
    """Undo a swap whose transaction was rolled back by another hand: the tables use their old files again.

    Raises:
        Refused: as `_give_first_names_back`.
    """
    _give_first_names_back(old, used)
    old.release(name for name in old.pending if name.path in used)


def _give_first_names_back(old: LinkShredder, used: list[Path]) -> None:
    """Let the old files stand again where the tables have them, as far as they were put aside.

    Raises:
        Refused: somebody wrote to a table meanwhile; going back would lose it.
    """
    given = {name.path for name in old.in_use()}
    aside = [n for n in old.pending if n.path in used and n.path not in given and n.second.exists()]
    for name in aside:
        if name.path.read_bytes() != _PAGE:
            raise Refused(
                f"the prepared transaction was rolled back by another hand, and {name.unit} was written to "
                f"since; its content of before is {name.second}: ask before going on"
            )
    for name in aside:
        new = name.path.with_name(f"{_DECOY}-{name.inode}")
        new.unlink(missing_ok=True)
        os.link(name.second, new)
        new.rename(name.path)
        flush(name.path.parent)
