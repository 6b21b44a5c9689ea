"""The crash journal of a rewrite: blocks to overwrite once they are free, and settings to set back.

It lies in the server's data directory until nothing is pending. Rules kept: it holds numbers and names
of settings only; it is written whole, flushed and renamed, so that a torn one never counts.
"""

import os
from pathlib import Path

import msgspec

from deleatur.api import Failed, merged

NAME = ".deleatur-pending"
_VERSION = "deleatur/postgresql-pending/v1"


class Pending(msgspec.Struct, forbid_unknown_fields=True):
    """What a kill would leave undone."""

    schema: str = _VERSION
    blocks: dict[str, list[tuple[int, int]]] = {}  # by folder on their file system: runs of bytes
    files: dict[str, str] = {}  # by number of a table: its file before the rewrite
    settings: dict[str, str | None] = {}  # of ALTER SYSTEM: what stood there before; None: nothing

    def add_blocks(self, folder: Path, runs: tuple[tuple[int, int], ...]) -> None:
        """Note blocks that are to be overwritten; nothing noted before is lost."""
        self.blocks[str(folder)] = list(merged([*self.blocks.get(str(folder), ()), *runs]))

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
