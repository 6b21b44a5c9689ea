"""Read a folder as if an enemy had packed it: plain files only, through no link, never without a limit."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deleatur.errors import Failed, Invalid
from deleatur.judge.attesting import FileFact

MAX_FILES = 100_000  # of a folder that is listed
_CHUNK = 1 << 20  # bytes


class UntrustedFolder:
    """A folder of which nothing is believed: no links, no devices, nothing larger than expected."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of a regular file, walking to it without following any link.

        Raises:
            Invalid: it is not there, is no regular file, or is larger than `limit`.
            Failed: it cannot be read.
        """
        with self._opened(name) as file:
            return _content(file, name, limit)

    def measure(self, name: str, *, lines: int | None = None) -> FileFact:
        """Digest a regular file of any size, or its first lines, walking to it as `read` does.

        Raises:
            Invalid, Failed: as `read`.
        """
        digest, size = hashlib.sha256(), 0
        with self._opened(name) as file:
            _require_plain(file, name)
            while lines != 0 and (part := os.read(file, _CHUNK)):
                if lines is not None:
                    part, lines = _first_lines(part, lines)
                digest.update(part)
                size += len(part)
        return FileFact(digest.hexdigest(), size)

    def names(self) -> list[str]:
        """List every file, by its path from the folder, sorted.

        Raises:
            Invalid: there is something else than plain files in plain folders, or far too much.
            Failed: a folder cannot be listed.
        """
        found: list[str] = []
        waiting = [("", self._path)]
        while waiting:
            prefix, folder = waiting.pop()
            for entry in _entries(folder):
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((f"{name}/", folder / entry.name))
                elif entry.is_file(follow_symlinks=False):
                    found.append(name)
                else:
                    raise _not_plain(name)
                if len(found) + len(waiting) > MAX_FILES:
                    raise Invalid(f"more than {MAX_FILES} files; that is no folder of ours")
        return sorted(found)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        descriptors = []
        try:
            directory = _open(self._path, None, os.O_RDONLY | os.O_DIRECTORY, name)
            descriptors.append(directory)
            *folders, last = name.split("/")
            for part in folders:
                directory = _open(part, directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, name)
                descriptors.append(directory)
            file = _open(last, directory, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, name)
            descriptors.append(file)
            yield file
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


_HOSTILE = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.ENAMETOOLONG}


def _open(path: str | Path, directory: int | None, flags: int, name: str) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=directory)
    except FileNotFoundError:
        raise Invalid(f"{name} is missing") from None
    except OSError as error:
        if error.errno in _HOSTILE:
            raise _not_plain(name) from None
        raise Failed(f"{name} cannot be read: {error.strerror}") from None


def _first_lines(part: bytes, lines: int) -> tuple[bytes, int]:
    """Return what of `part` belongs to the first lines, and how many are left."""
    found = part.count(b"\n")
    if found < lines:
        return part, lines - found
    end = 0
    for _ in range(lines):
        end = part.index(b"\n", end) + 1
    return part[:end], 0


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        raise Invalid(f"{folder.name} is missing") from None
    except OSError as error:
        raise Failed(f"{folder.name} cannot be listed: {error.strerror}") from None


def _not_plain(name: str) -> Invalid:
    return Invalid(f"{name} is not a plain file: a certificate has no links and no devices")


def _require_plain(descriptor: int, name: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise _not_plain(name)


def _content(descriptor: int, name: str, limit: int) -> bytes:
    _require_plain(descriptor, name)
    parts, left = [], limit + 1
    while left and (part := os.read(descriptor, min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    if not left:
        raise Invalid(f"{name} is larger than the {limit} bytes that such a file may have")
    return b"".join(parts)


def named_file(path: Path, limit: int) -> bytes:
    """Return the content of a file that the caller named; a link is followed, a device is not read."""
    descriptor = _open(path, None, os.O_RDONLY | os.O_NONBLOCK, str(path))
    try:
        return _content(descriptor, str(path), limit)
    finally:
        os.close(descriptor)
