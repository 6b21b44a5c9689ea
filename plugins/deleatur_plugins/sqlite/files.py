"""The database's files: where they lie, who uses them, what the project left beside them.

Rules kept: the last component of the path is never a symbolic link; nothing is shredded that has
another name; what is ours is told by exact names, which follow from the database's name alone.
"""

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deleatur.api import (
    Failed,
    Gone,
    Keystream,
    Refused,
    Transient,
    Unsupported,
    Usage,
    lock_bytes,
    opened_here,
    overwrite_in_place,
    usage,
)

SIDECARS = ("-wal", "-shm", "-journal")  # https://www.sqlite.org/tempfiles.html §2
COPY, NEW, OLD = ".deleatur-copy", ".deleatur-new", ".deleatur-old"
LONGEST = 255 - len(".deleatur-journal-18446744073709551615")  # bytes of a name, linux/limits.h NAME_MAX
_OURS = re.compile(r"\.deleatur-(?:old|(?:copy|new)(?:-journal)?|(?:wal|journal)-[0-9]{1,20})")
_CHUNK = 1 << 20  # bytes
_PENDING = 0x40000000  # first lock byte of SQLite; 512 bytes from here are all of its locks
_LOCKS = 512


def path_of(url: str) -> Path:
    """Return the path that a `sqlite:` URL names, with the links of its folders resolved.

    Raises:
        Refused: the URL says more, or less, than an absolute path.
    """
    parts = urlsplit(url)
    path = unquote(parts.path, errors="surrogateescape")
    if parts.netloc or parts.query or parts.fragment or "?" in url or "#" in url:
        raise Refused("write the URL as sqlite:///absolute/path, with ? and # as %3F and %23")
    if not path.startswith("/") or "\0" in path or path.endswith("/") or ".." in path.split("/"):
        raise Refused("the URL needs an absolute path to a file, without ..")
    if any("\ud800" <= c <= "\udfff" for c in path):
        raise Refused("the path is not UTF-8, so no document could name it; rename the database first")
    folder, name = os.path.split(os.path.normpath(path))
    return Path(os.path.realpath(folder)) / name


class Files:
    """One database in its folder. `folder` is open while the object is used; close it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        try:
            self.folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Gone("the folder of the database is not there") from None

    def __enter__(self) -> "Files":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.folder)

    def status(self, suffix: str = "") -> os.stat_result | None:
        """Return what stands under the name with `suffix`; None when nothing does.

        Raises:
            Refused: it is not a regular file.
        """
        try:
            status = os.stat(self.name + suffix, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            raise Refused(f"inode-{status.st_ino} is a symbolic link or no file; name the file itself")
        return status

    def database(self) -> os.stat_result:
        """Return the database's status.

        Raises:
            Gone: it is not there.
        """
        status = self.status()
        if status is None:
            raise Gone("the database is not there")
        return status

    def ours(self) -> tuple[str, ...]:
        """Return the suffixes of what an unfinished erase left beside the database, in one order."""
        length = len(self.name)
        names = [n[length:] for n in os.listdir(self.folder) if n.startswith(self.name)]  # noqa: PTH208 - a descriptor
        return tuple(sorted((n for n in names if _OURS.fullmatch(n)), key=lambda n: (n != OLD, n)))

    def users(self, now: Usage) -> tuple[str, ...]:
        """Name every process that has the database or a file of it open, this one included.

        What a cut-off erase left belongs to it: who has the old database open writes to it.
        """
        here = opened_here()
        names: dict[str, None] = {}
        for suffix in ("", *SIDECARS, *self.ours()):
            status = self.status(suffix)
            if status is not None:
                key = (status.st_dev, status.st_ino)
                for pid, command in now.users.get(key, ()):
                    names[f"process {pid} ({command})" if pid else command] = None
                if key in here:
                    names[f"this process ({os.getpid()})"] = None
        return tuple(names)

    def refuse_users(self) -> None:
        """Raise Refused when anybody has the database open; it looks at every process."""
        users = self.users(usage())
        if users:
            raise Refused(f"the database is open in {', '.join(users[:20])}; stop it and resume")

    def hot(self) -> bool:
        """Say whether a crashed transaction waits to be rolled back (fileformat2 §3: header not zeroed)."""
        if not self.size("-journal"):
            return False
        with self.opened("-journal", os.O_RDONLY) as fd:
            return os.pread(fd, 1, 0) != b"\0"

    def size(self, suffix: str) -> int:
        """Return the bytes of a file, 0 when there is none."""
        status = self.status(suffix)
        return 0 if status is None else status.st_size

    @contextmanager
    def opened(self, suffix: str, flags: int) -> Iterator[int]:
        """Open a file of the database; a new one is readable by its owner alone."""
        fd = os.open(self.name + suffix, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.folder)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def exclusively(self) -> Iterator[int]:
        """Hold all of SQLite's locks on the database and yield its descriptor.

        An open-file-description lock: unlike SQLite's own it does not fall when another
        descriptor of this process is closed. No reader and no writer gets in, in any journal mode;
        call `refuse_users` before, for those that have it open and do not use it.

        Raises:
            Transient: somebody holds a lock on it.
        """
        with self.opened("", os.O_RDWR) as fd:
            busy = "the database is locked; stop the programs that use it and try again"
            lock_bytes(fd, fcntl.F_WRLCK, _PENDING, _LOCKS, busy)
            if not os.path.samestat(os.fstat(fd), self.database()):
                raise Transient("the database was replaced while it was opened; try again")
            yield fd

    def link(self, suffix: str, ours: str) -> None:
        """Give a file a second name of ours, durably; nothing to do when it has it already."""
        try:
            os.link(
                self.name + suffix,
                self.name + ours,
                src_dir_fd=self.folder,
                dst_dir_fd=self.folder,
                follow_symlinks=False,
            )
        except FileExistsError:
            first, second = self.status(suffix), self.status(ours)
            if first is None or second is None or not os.path.samestat(first, second):
                raise Refused(f"the name with {ours} is taken by another file; remove it") from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                raise
            raise Unsupported("the file system does not allow a second name for a file") from None
        os.fsync(self.folder)

    def unlink(self, suffix: str) -> None:
        """Remove a name, durably."""
        os.unlink(self.name + suffix, dir_fd=self.folder)
        os.fsync(self.folder)

    def rename(self, suffix: str, to: str) -> None:
        """Move a file of the database to another of its names, durably and at once."""
        os.rename(self.name + suffix, self.name + to, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        os.fsync(self.folder)

    def shred(self, suffix: str, keystream: Keystream) -> Iterator[int]:
        """Overwrite a file of ours where it lies, then remove it; yield each flushed offset.

        Raises:
            Refused: the file has another name, under which its content would be missed.
        """
        status = self.status(suffix)
        if status is None:
            raise Failed(f"the file with {suffix} vanished before it was overwritten")
        if status.st_nlink != 1:
            raise Refused(f"inode-{status.st_ino} has {status.st_nlink} names; remove the others and resume")
        with self.opened(suffix, os.O_RDWR) as fd:
            if not os.path.samestat(os.fstat(fd), status):
                raise Refused(f"inode-{status.st_ino} was replaced before it was overwritten")
            yield from overwrite_in_place(fd, keystream, f"inode-{status.st_ino}")
        self.unlink(suffix)


def digest_of(fd: int) -> bytes:
    """Return the SHA-256 of an open file."""
    digest = hashlib.sha256()
    for chunk in chunks_of(fd):
        digest.update(chunk)
    return digest.digest()


def chunks_of(fd: int) -> Iterator[bytes]:
    """Yield an open file's bytes from its start."""
    offset = 0
    while chunk := os.pread(fd, _CHUNK, offset):
        yield chunk
        offset += len(chunk)


def write_all(fd: int, content: bytes, offset: int) -> None:
    """Write all of `content` at `offset`, going on after a short write."""
    view = memoryview(content)
    while view:
        written = os.pwrite(fd, view, offset)
        if not written:
            raise OSError(errno.EIO, "the file system wrote nothing and gave no reason")
        view, offset = view[written:], offset + written
