"""What the place of the database allows: blockers, limits of the claim, surfaces."""

import os
from pathlib import Path

from deleatur.api import (
    Surface,
    Usage,
    filesystem_of,
    immutable,
    limits_of_files,
    opened_in_turn,
    surfaces_below,
)
from deleatur_plugins.duckdb.connecting import OLD, Session
from deleatur_plugins.duckdb.content import Content
from deleatur_plugins.duckdb.rewriting import half_checkpoint, journal_of, log_of
from deleatur_plugins.duckdb.schema import comments, has_indexes

_COMPRESSED = ("duckdb", "zstd")  # decoders: FSST, alone and in dictionaries; very long texts
_ROOM = 2  # the new file is at most about as large as the old one; the second part is for the file system


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files of the database that are there."""
    return tuple(file for file in (path, log_of(path)) if file.exists())


def blockers_of(path: Path, session: Session, content: Content, now: Usage) -> tuple[str, ...]:
    """Return each reason that alone forbids to erase here and now."""
    status = path.lstat()
    users = now.users.get((status.st_dev, status.st_ino), ())
    found = [f"the database is open in {name} ({pid}); close it there" for pid, name in users[:20]]
    if left_over := half_checkpoint(path):
        found.append(left_over)
    system = filesystem_of(path)
    if system.read_only:
        found.append(f"the {system.type} file system is mounted read-only; mount it for writing")
    if not os.access(path.parent, os.W_OK | os.X_OK, effective_ids=True):
        found.append("this user may not create files beside the database; run as its owner or as root")
    room = os.statvfs(path)
    if room.f_bavail * room.f_frsize < _ROOM * sum(file.stat().st_size for file in files_of(path)):
        found.append("the file system has no room for a second copy of the database; make some")
    begun = journal_of(path).exists()
    for fd in opened_in_turn(files_of(path)):
        status = os.fstat(fd)
        if status.st_nlink > 1 + begun:
            found.append(f"inode-{status.st_ino} has {status.st_nlink} names; remove the others")
        if immutable(fd):
            found.append(f"inode-{status.st_ino} is immutable or append-only; run chattr -i -a on it")
    if number := comments(session, OLD):
        found.append(f"{number} comments would be lost, as DuckDB does not copy them; set them to NULL")
    found += [
        f"table {table.name!r} has a generated column, which cannot be written anew; drop that column"
        for table in content.schema.tables.values()
        if table.generated
    ]
    found += [
        f"rows of {name!r} refer to rows that would go; select those rows too" for name in content.referring()
    ]
    return tuple(found)


def limits_of(path: Path, session: Session, now: Usage) -> tuple[str, ...]:
    """Return the ids of the sentences that lower the claim."""
    found = limits_of_files(filesystem_of(path), opened_in_turn(files_of(path)))
    parts = ("index-parts-not-searched",) if has_indexes(session, OLD) else ()
    dark = ("open-files-unseen",) if now.unseen else ()
    numbers = ("small-numbers-not-searched", "packed-numbers-not-searched")
    return (*found, *dark, "earlier-free-blocks", *numbers, *parts, "engine-check-not-run")


def surfaces_of(path: Path) -> tuple[Surface, ...]:
    """Name every place where bytes of the rows may survive."""
    return (
        Surface(
            name="database files",
            reach="scannable",
            paths=(str(path), str(log_of(path))),
            decoders=_COMPRESSED,
        ),
        *surfaces_below(filesystem_of(path), _COMPRESSED),
        Surface(
            name="temporary files and memory of programs that used it",
            reach="out-of-reach",
            reason="they may lie anywhere, and no list of them exists on this host",
        ),
        Surface(
            name="copies elsewhere (exports, Parquet files, backups)",
            reach="out-of-reach",
            reason="they are no part of the target, and no list of them exists on this host",
        ),
    )
