"""Show every file of a tree to a reader, and change nothing but what the kernel must.

Rules kept: walked by open descriptors, symbolic links are named and never followed, another file
system below the target is named and not entered; what cannot be read is shown with its reason.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import PurePosixPath
from typing import IO

from deleatur.api import HeldFile, Holding, NotRead, Refused
from deleatur_plugins.file.tree import Entry, nameless, open_same

_DEEPEST = 200  # directories below each other: one descriptor each
_MARKS = {
    stat.S_ISLNK: "a symbolic link, which is not followed",
    stat.S_ISFIFO: "a fifo",
    stat.S_ISSOCK: "a socket",
    stat.S_ISBLK: "a block device; discover it by its own URL",
    stat.S_ISCHR: "a character device",
}


def holdings(parent: int, name: str) -> Iterator[Holding]:
    """Yield what is at `name` in the open directory `parent`, each inode once, in a fixed order."""
    with nameless("the target"):
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    seen: set[int] = set()
    yield from _entry(Entry(parent=parent, name=name, path=b"", status=status), status.st_dev, 0, seen)


def _entry(entry: Entry, device: int, depth: int, seen: set[int]) -> Iterator[Holding]:
    if entry.status.st_ino in seen and not entry.directory:
        return
    seen.add(entry.status.st_ino)
    if entry.directory:
        yield from _directory(entry, device, depth, seen)
    elif entry.regular:
        suffix = PurePosixPath(entry.name).suffix.lower()
        plain = suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 10 else ""
        yield HeldFile(unit=entry.unit, suffix=plain, size=entry.status.st_size, open=partial(_open, entry))
    else:
        reason = next(
            (words for mark, words in _MARKS.items() if mark(entry.status.st_mode)), "of no known kind"
        )
        yield NotRead(unit=entry.unit, reason=reason)


def _directory(entry: Entry, device: int, depth: int, seen: set[int]) -> Iterator[Holding]:
    if entry.status.st_dev != device:
        yield NotRead(unit=entry.unit, reason="another file system; discover it by its own URL")
        return
    if depth > _DEEPEST:
        yield NotRead(unit=entry.unit, reason=f"more than {_DEEPEST} folders below each other")
        return
    with ExitStack() as opened:
        try:
            fd = open_same(entry, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, fd)
            with nameless(entry.unit):
                names = sorted(os.listdir(fd), key=os.fsencode)  # noqa: PTH208 - a descriptor
        except (OSError, Refused) as error:
            yield NotRead(unit=entry.unit, reason=_reason(error))
            return
        for name in names:
            try:
                status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except OSError as error:
                yield NotRead(unit=f"a name in {entry.unit}", reason=_reason(error))
                continue
            child = Entry(parent=fd, name=name, path=b"", status=status)
            yield from _entry(child, device, depth + 1, seen)


def _open(entry: Entry) -> IO[bytes]:
    return os.fdopen(open_same(entry, os.O_RDONLY), "rb")


def _reason(error: OSError | Refused) -> str:
    return (error.strerror or "cannot be read").lower() if isinstance(error, OSError) else str(error)
