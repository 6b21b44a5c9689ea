"""Walk a file or a directory tree by open descriptors, never through a symbolic link or a mount.

Rules kept: every component is opened with O_NOFOLLOW relative to the descriptor before it, so a
path that is swapped while we look leads to a refusal, not elsewhere; no error names a file.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes, urlsplit

from deleatur.api import Gone, Refused

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One name in the tree. `parent` is open until the next entry is asked for."""

    parent: int
    name: str
    path: bytes  # relative to the target, b"" for the target itself; data: never shown
    status: os.stat_result

    @property
    def unit(self) -> str:
        """Return the name of the unit: it says which inode, never which file name."""
        return f"inode-{self.status.st_ino}"

    @property
    def regular(self) -> bool:
        """Say whether it is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def directory(self) -> bool:
        """Say whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)


@dataclass
class _Level:
    name: str
    status: os.stat_result
    path: bytes
    names: list[str]


@contextmanager
def nameless(where: str) -> Iterator[None]:
    """Raise every OSError again with `where` in place of the file's name, which is data."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            raise
        raise OSError(error.errno, f"{error.strerror}: {where}") from None


def path_of(url: str) -> str:
    """Return the absolute path that a `file:` URL names; undecodable bytes as surrogates.

    Raises:
        Refused: another host, a query, a relative path, or components that could lead elsewhere.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise Refused("a file URL names a path of this host: write file:///path")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise Refused("a file URL has no query and no fragment; write ? as %3F and # as %23")
    raw = unquote_to_bytes(parts.path)
    components = raw.split(b"/")[1:]
    if not raw.startswith(b"/") or raw == b"/" or b"\0" in raw:
        raise Refused("a file URL names an absolute path below /: write file:///path")
    if components[-1] == b"":
        components.pop()
    if any(c in (b"", b".", b"..") for c in components):
        raise Refused("the target's path holds an empty, . or .. component; name the plain path")
    return os.fsdecode(b"/" + b"/".join(components))


def open_parent(path: str) -> int:
    """Open the directory that holds `path`, component by component.

    Raises:
        Gone: a component is not there.
        Refused: a component is a symbolic link or no directory.
    """
    components = path.split("/")[1:-1]
    fd = os.open("/", _DIRECTORY)
    for number, component in enumerate(components, start=1):
        where = f"component {number} of the target's path"
        try:
            with nameless(where):
                below = open_directory(fd, component, last=number == len(components))
        except FileNotFoundError:
            raise Gone(f"{where} is not there") from None
        except NotADirectoryError:
            raise Refused(f"{where} is a symbolic link or no directory; name the real path") from None
        finally:
            os.close(fd)
        fd = below
    return fd


def open_directory(parent: int, name: str, *, last: bool = True) -> int:
    """Open a directory without following a link; one that is only passed needs no permission to read."""
    return open_quietly(parent, name, _DIRECTORY if last else _DIRECTORY | os.O_PATH)


def open_quietly(parent: int, name: str, flags: int) -> int:
    """Open without touching the access time where the kernel lets us (open(2), O_NOATIME)."""
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=parent)
    except PermissionError:  # not the owner: without it
        return os.open(name, flags, dir_fd=parent)


def open_same(entry: Entry, flags: int) -> int:
    """Open the file that `entry` describes.

    Raises:
        Refused: something else stands there now.
    """
    try:
        with nameless(entry.unit):
            fd = open_quietly(entry.parent, entry.name, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.ENXIO):
            raise Refused(f"{entry.unit} was replaced while the target was read; plan again") from None
        raise
    if not _same(os.fstat(fd), entry.status):
        os.close(fd)
        raise Refused(f"{entry.unit} was replaced while the target was read; plan again")
    return fd


def walk(parent: int, name: str) -> Iterator[Entry]:
    """Yield every entry of the tree at `name`, a directory after what is in it, in a fixed order.

    The caller may remove an entry once it has it. Directories of another device are yielded, not
    entered. One or two descriptors are open at a time, however deep the tree.

    Raises:
        FileNotFoundError: nothing is there. Refused: a directory was swapped during the walk.
    """
    with nameless("the target"):
        root = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(root.st_mode):
        yield Entry(parent=parent, name=name, path=b"", status=root)
        return
    here = _enter(parent, name, root)
    levels = [_Level(name, root, b"", _names(here, root))]
    try:
        while levels:
            level = levels[-1]
            if level.names:
                child = level.names.pop()
                found = _entry(here, child, level.path)
                if found is None:
                    continue
                if found.directory and found.status.st_dev == root.st_dev:
                    below = _enter(here, child, found.status)
                    os.close(here)
                    here = below
                    levels.append(_Level(child, found.status, found.path, _names(here, found.status)))
                else:
                    yield found
                continue
            levels.pop()
            if levels:
                above = os.open("..", _DIRECTORY, dir_fd=here)
                os.close(here)
                here = above
                if not _same(os.fstat(here), levels[-1].status):
                    raise Refused("a directory of the target was moved while it was read; try again")
            yield Entry(
                parent=here if levels else parent, name=level.name, path=level.path, status=level.status
            )
    finally:
        os.close(here)


def _entry(parent: int, name: str, above: bytes) -> Entry | None:
    """Return the entry, or None when it went between listing and looking."""
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    path = above + b"/" + os.fsencode(name)
    return Entry(parent=parent, name=name, path=path, status=status)


def _enter(parent: int, name: str, status: os.stat_result) -> int:
    return open_same(Entry(parent=parent, name=name, path=b"", status=status), _DIRECTORY)


def _names(fd: int, status: os.stat_result) -> list[str]:
    """List a directory so that `pop` gives the names in the order of their bytes."""
    with nameless(f"inode-{status.st_ino}"):
        return sorted(os.listdir(fd), key=os.fsencode, reverse=True)


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino, stat.S_IFMT(one.st_mode)) == (
        other.st_dev,
        other.st_ino,
        stat.S_IFMT(other.st_mode),
    )


def reach(parent: int, name: str, path: bytes, unit: str) -> int | None:
    """Open the file at `path` below the target for reading; None when `unit` is not there (any more).

    Every other reason not to open it is raised.
    """
    names = [name, *(os.fsdecode(part) for part in path.split(b"/")[1:])]
    here = os.dup(parent)
    try:
        for above in names[:-1]:
            with nameless(unit):
                below = open_directory(here, above, last=False)
            os.close(here)
            here = below
        with nameless(unit):
            fd = open_quietly(here, names[-1], os.O_RDONLY)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    finally:
        os.close(here)
    if f"inode-{os.fstat(fd).st_ino}" != unit:
        os.close(fd)
        return None
    return fd
