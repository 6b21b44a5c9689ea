"""The flush ledger: what a power cut at this moment would lose.

A killed process leaves the page cache to the kernel; a power cut does not. So the ledger follows
the calls of `deleatur.testing.faults`: a write makes a file due, a new, changed or removed name
makes its folder due, and only fsync (or fdatasync, sync, O_SYNC) settles it. Overwritten and then
unlinked without fsync stays due: those bytes never reached the medium.
"""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deleatur.testing.faults import intercepted

_Inode = tuple[int, int]  # device, inode number
_CONTENT = {"write", "pwrite", "writev", "pwritev", "sendfile", "ftruncate", "posix_fallocate"}
_NAMES = {"rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "rmdir"}
_REMOVING = {"unlink", "remove", "rmdir"}


class Ledger:
    """What was changed and not flushed yet."""

    def __init__(self) -> None:
        self.changes = 0  # calls seen that change something
        self._due: dict[_Inode, str] = {}
        self._born: set[_Inode] = set()

    def due(self) -> tuple[str, ...]:
        """Say what is not flushed, by call and inode number, never by name."""
        return tuple(sorted(f"{call} of inode {inode}" for (_, inode), call in self._due.items()))

    def wrote(self, call: str, descriptor: int) -> None:
        """Note a change through `descriptor`, unless it was opened to write through."""
        self.changes += 1
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DSYNC:
            self._due[_inode(os.fstat(descriptor))] = call

    def emptied(self, file: Any) -> None:
        """Note a file that was cut by its path or descriptor."""
        self.changes += 1
        self._due[_inode(os.stat(file))] = "truncate"  # noqa: PTH116

    def flushed(self, descriptor: int) -> None:
        """Settle what was changed through any descriptor of the same file or folder."""
        self._due.pop(_inode(os.fstat(descriptor)), None)

    def renamed(self, call: str, folder: Path | str) -> None:
        """Note that a name in `folder` came, went or changed."""
        self.changes += 1
        self._due[_inode(os.stat(folder))] = call  # noqa: PTH116 - os level throughout

    def opened(self, existed: bool, emptied: bool, descriptor: int, path: Any) -> None:
        """Note a name that came by open, or a file that open emptied."""
        if not existed:
            self._born.add(_inode(os.fstat(descriptor)))
            self.renamed("open", _folder(path))
        elif emptied:
            self.wrote("open", descriptor)

    def vanished(self, status: os.stat_result) -> None:
        """Forget a removed folder, and a file that also came while we watched: nobody misses it."""
        born_here = status.st_nlink <= 1 and _inode(status) in self._born
        if born_here or stat.S_ISDIR(status.st_mode):
            self._due.pop(_inode(status), None)


@contextmanager
def watched() -> Iterator[Ledger]:
    """Keep a ledger of this process's calls until the end."""
    ledger = Ledger()

    def around(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], call: Callable[..., Any]) -> Any:
        if name == "open":
            return _open(ledger, args, kwargs, call)
        going = os.lstat(_resolved(args[0], kwargs.get("dir_fd"))) if name in _REMOVING else None
        result = call(*args, **kwargs)
        if going is not None:
            ledger.vanished(going)
        if name in _CONTENT:
            ledger.wrote(name, args[0])
        elif name == "copy_file_range":
            ledger.wrote(name, args[1])
        elif name in ("fsync", "fdatasync"):
            ledger.flushed(args[0])
        elif name == "truncate":
            ledger.emptied(args[0])
        elif name in _NAMES:
            for path, folder in _names(name, args, kwargs):
                ledger.renamed(name, _folder(_resolved(path, folder)))
        return result

    with intercepted(around):
        yield ledger


def _open(ledger: Ledger, args: tuple[Any, ...], kwargs: dict[str, Any], call: Callable[..., Any]) -> Any:
    flags = args[1] if len(args) > 1 else kwargs["flags"]
    path = _resolved(args[0], kwargs.get("dir_fd"))
    existed = not flags & os.O_CREAT or os.path.lexists(path)
    descriptor = call(*args, **kwargs)
    if flags & os.O_TMPFILE != os.O_TMPFILE:
        ledger.opened(existed, bool(flags & os.O_TRUNC), descriptor, path)
    return descriptor


def _names(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[Any, int | None]]:
    """Return the paths whose folder the call changes, each with its `dir_fd`."""
    if name in ("rename", "replace"):
        return [(args[0], kwargs.get("src_dir_fd")), (args[1], kwargs.get("dst_dir_fd"))]
    if name == "link":
        return [(args[1], kwargs.get("dst_dir_fd"))]
    if name == "symlink":
        return [(args[1], kwargs.get("dir_fd"))]
    return [(args[0], kwargs.get("dir_fd"))]


def _resolved(path: Any, folder: int | None) -> str:
    text = os.fsdecode(path)
    return text if folder is None else f"/proc/self/fd/{folder}/{text}"


def _folder(path: str) -> str:
    return os.path.dirname(path) or "."  # noqa: PTH120 - Path would drop the dots of "x/../y"


def _inode(status: os.stat_result) -> _Inode:
    return status.st_dev, status.st_ino
