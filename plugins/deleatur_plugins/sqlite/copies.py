"""Find what lies beside a database and may hold the same rows: copies, and journals without a database.

Rules kept: files are told by their first bytes, not by their names; a look creates no file; what
begins like a database and cannot be read is named, never taken for something else.
"""

import os
import sqlite3
from collections.abc import Iterable
from contextlib import closing

from deleatur.api import Surface
from deleatur_plugins.sqlite.connecting import MAGIC, connect
from deleatur_plugins.sqlite.files import SIDECARS, Files

_JOURNALS = (  # https://www.sqlite.org/fileformat2.html §3, §4.1
    bytes.fromhex("d9d505f920a163d7"),
    bytes.fromhex("377f0682"),
    bytes.fromhex("377f0683"),
)


def copies_beside(files: Files, tables: Iterable[str]) -> tuple[Surface, ...]:
    """Name every file of the folder that could hold rows of `tables`, if there is any."""
    wanted = frozenset(tables)
    own = {files.name + suffix for suffix in ("", *SIDECARS, *files.ours())}
    with os.scandir(files.folder) as entries:
        others = [e for e in entries if e.name not in own and e.is_file(follow_symlinks=False)]
    found = sorted(f"inode-{e.inode()}" for e in others if _may_hold(files, e.name, wanted))
    if not found:
        return ()
    shown = ", ".join(found[:20]) + (f" and {len(found) - 20} more" if len(found) > 20 else "")
    return (
        Surface(
            name=f"copies in the folder of the database: {shown}",
            reach="out-of-reach",
            reason="they begin like SQLite files, have the same tables or cannot be read, and are no part of "
            "the target; erase each as a target of its own, or remove it",
        ),
    )


def _may_hold(files: Files, name: str, wanted: frozenset[str]) -> bool:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=files.folder)
    except FileNotFoundError:  # gone meanwhile
        return False
    except PermissionError:
        return True
    try:
        head = os.read(fd, len(MAGIC))
    finally:
        os.close(fd)
    if head.startswith(_JOURNALS):
        return True
    if head != MAGIC:
        return False
    try:
        with closing(connect(files.path.with_name(name), "immutable=1")) as database:
            rows = database.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table'").fetchall()
    except sqlite3.Error:
        return True
    return not wanted.isdisjoint(bytes(table).decode("utf-8", "surrogateescape") for (table,) in rows)
