"""The crash journal of a rewrite: blocks to overwrite once they are free, and settings to set back.

It lies in the server's data directory until nothing is pending. Rules kept: it holds numbers and names
of settings only; it is written whole, flushed and renamed, so that a torn one never counts.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from deleatur.api import Failed, blocks_of, merged
from deleatur_plugins.postgresql.server import Server

NAME = ".deleatur-pending"
_VERSION = "deleatur/postgresql-pending/v1"
Run = tuple[int, int]  # start and end of neighbouring blocks, in bytes


class Pending(msgspec.Struct, forbid_unknown_fields=True):
    """What a kill would leave undone."""

    schema: str = _VERSION
    blocks: dict[str, list[Run]] = {}  # by folder on their file system: runs of bytes
    files: dict[str, str] = {}  # by number of a table: its file since our rewrite
    log: str = ""  # the oldest file of the log when the first change came
    job: str = ""  # the job whose first change that was
    settings: dict[str, str | None] = {}  # of ALTER SYSTEM: what stood there before; None: nothing

    def add_blocks(self, folder: Path, runs: Sequence[Run]) -> None:
        """Note blocks that are to be overwritten; nothing noted before is lost."""
        self.blocks[str(folder)] = list(merged([*self.blocks.get(str(folder), ()), *runs]))

    def drop_blocks(self, folder: Path, runs: Sequence[Run]) -> None:
        """Take blocks off the list: they are overwritten where they lie."""
        self.blocks[str(folder)] = list(without(self.blocks.get(str(folder), ()), runs))

    def write(self, data: Path) -> None:
        """Write it down, durably, before what it says can become necessary."""
        new, owner = data / f"{NAME}.new", data.stat()
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.fchown(fd, owner.st_uid, owner.st_gid)  # the server's own backups read every file here
            content = memoryview(msgspec.json.encode(self))
            while content:
                content = content[os.write(fd, content) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        new.rename(data / NAME)
        flush(data)


def read_pending(data: Path) -> Pending:
    """Return what is pending; nothing, when nothing was written down.

    Raises:
        Failed: the file is none of ours, or damaged.
    """
    try:
        content = (data / NAME).read_bytes()
    except FileNotFoundError:
        return Pending()
    try:
        found = msgspec.json.decode(content, type=Pending)
    except msgspec.MsgspecError:
        found = Pending(schema="")
    if found.schema != _VERSION:
        raise Failed(
            f"{NAME} in the server's data directory is damaged or of another version; ask before going on"
        )
    return found


def note_blocks(pending: Pending, server: Server, paths: Iterable[Path]) -> None:
    """Note the blocks of files, under folders of their file systems that outlive the tables.

    A file that is not there is left out.
    """
    for path in paths:
        found = _folder_and_blocks(server, path)
        if found is not None:
            pending.add_blocks(*found)


def forget_blocks(server: Server, paths: Iterable[Path]) -> None:
    """Take the blocks of files off the list: they are overwritten where they lie."""
    pending = read_pending(server.data)
    for path in paths:
        found = _folder_and_blocks(server, path)
        if found is not None:
            pending.drop_blocks(*found)
    pending.write(server.data)


def _folder_and_blocks(server: Server, path: Path) -> tuple[Path, tuple[Run, ...]] | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        device = os.fstat(fd).st_dev
        roots = (server.data, *server.tablespaces())
        return next((root for root in roots if root.stat().st_dev == device), path.parent), blocks_of(fd)
    finally:
        os.close(fd)


def without(runs: Sequence[Run], others: Sequence[Run]) -> tuple[Run, ...]:
    """Return the blocks of `runs` that are in none of `others`."""
    left = []
    for start, end in merged(runs):
        at = start
        for low, high in merged(others):
            if low < end and high > at:
                left.append((at, low))
                at = high
        left.append((at, end))
    return tuple((start, end) for start, end in left if start < end)


def nothing_pending(data: Path) -> None:
    """Remove the crash journal; harmless when it is not there."""
    for name in (f"{NAME}.new", NAME):
        (data / name).unlink(missing_ok=True)
    flush(data)


def flush(folder: Path) -> None:
    """Make what happened in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
