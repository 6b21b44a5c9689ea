"""Read every byte of a surface as it lies on the storage: files, directory trees, block devices.

Rules kept: a read goes below the page cache; nothing is followed, nothing is changed; only the
directory's own ENOENT means "not there"; everything else that was not read is a Gap, so that
nobody can take it for clean.
"""

import errno
import fcntl
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from deleatur.sanitize.filesystem import filesystem_of
from deleatur.sanitize.overwrite import view_below_cache
from deleatur.sanitize.unwritten import reserved_extents

CHUNK = 8 << 20  # bytes of one read; larger ones gained nothing
_SMALLEST = 4096  # bytes; a range that fails is halved down to one physical sector
_MAX_FAILURES = 4096  # single sectors; a device with more is given up rather than asked for days
_MAX_DEPTH = 200  # directories; each holds a descriptor open, and the usual limit is 1,024
_MAX_PASSES = 10  # listings of one directory, and sizes of one growing file, until it stands still
_BLKFLSBUF = 0x1261  # linux/fs.h
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_ATTRIBUTES = {errno.ENOTSUP, errno.ENODATA}


@dataclass(frozen=True)
class Piece:
    """Bytes of one stream. A piece that begins where the last one of its stream ended goes on with it."""

    where: str  # the stream: a path, in a tree with the inode; never the name of a file in it
    offset: int  # bytes
    content: bytes | memoryview  # valid until the next piece is asked for
    decoder: str = ""  # by which it was made of other bytes


@dataclass(frozen=True)
class Gap:
    """Bytes that could not be read. A gap whose size nobody knows counts as one byte."""

    where: str
    size: int  # bytes, at least 1
    reason: str


@dataclass(frozen=True)
class Unreached(Gap):
    """Blocks that a file reserved and never wrote, whose device cannot be read from here."""


_Read = Callable[[int, int, int], memoryview]  # descriptor, offset, length; valid until the next but one


def read_surface(path: str, margin: int) -> Iterator[Piece | Gap]:
    """Read what lies at `path`, with names and attributes; nothing when its directory says ENOENT.

    Holes of files are skipped but for `margin` bytes (zeros) on either side of the data.
    """
    parent, name = os.path.split(path)
    try:
        directory = os.open(parent or "/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        yield Gap(path, 1, f"its directory cannot be opened: {error.strerror}")
        return
    try:
        status = os.stat(name or ".", dir_fd=directory, follow_symlinks=False)
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            yield Gap(path, 1, "is neither a file, a directory nor a block device; name what it stands for")
            return
        fd = _open(name or ".", directory, status)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Gap(path, 1, f"cannot be opened: {error.strerror}")
        return
    finally:
        os.close(directory)
    try:
        yield from kind(fd, path, margin)
    finally:
        os.close(fd)


def _open(name: str, directory: int, status: os.stat_result) -> int:
    """Open what `status` describes and nothing else.

    Raises FileNotFoundError when something else lies under the name by now: list again.
    """
    try:
        fd = os.open(name, _READ | os.O_NOATIME, dir_fd=directory)
    except PermissionError:  # O_NOATIME is for the owner
        fd = os.open(name, _READ, dir_fd=directory)
    now = os.fstat(fd)
    if (now.st_dev, now.st_ino, now.st_rdev) != (status.st_dev, status.st_ino, status.st_rdev):
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return fd


# --- one file or device --------------------------------------------------------------------------


def _device(fd: int, where: str, _margin: int) -> Iterator[Piece | Gap]:
    """Read a whole block device directly, after everything on its way to it has been written."""
    size = os.lseek(fd, 0, os.SEEK_END)
    os.sync()
    try:
        fcntl.ioctl(fd, _BLKFLSBUF, 0)
        direct = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        yield Gap(where, max(size, 1), f"cannot be read below its buffers: {error.strerror}; run as root")
        return
    try:
        yield from _ahead(_range(direct, where, 0, size, _direct_reader()), size)
    finally:
        os.close(direct)


def _direct_reader() -> _Read:
    """Return a read into memory that is page aligned, as direct I/O needs it; fewer bytes at the end."""

    def read(fd: int, offset: int, length: int, room: mmap.mmap) -> memoryview:
        view, done = memoryview(room)[:length], 0
        while done < length:
            count = os.preadv(fd, [view[done:]], offset + done)
            if count == 0:
                break
            done += count
        return view[:done]

    return _in_turns(read)


def _file(fd: int, where: str, margin: int) -> Iterator[Piece | Gap]:
    """Read a file's attributes, its data, and what lies in blocks that it never wrote."""
    yield from _attributes(fd, where)
    yield from data_of(fd, where, margin)
    yield from _reserved(fd, where)


def data_of(fd: int, where: str, margin: int) -> Iterator[Piece | Gap]:
    """Read a file's data, to the end that it has when we get there."""
    at, read = 0, _in_turns(view_below_cache)
    for _ in range(_MAX_PASSES):
        size = os.fstat(fd).st_size
        if size <= at:
            return
        try:
            ranges = list(_data_ranges(fd, at, size, margin))
        except OSError as error:
            yield Gap(where, size - at, f"its extents cannot be read: {error.strerror}")
            return
        for start, end in ranges:
            yield from _ahead(_range(fd, where, start, end, read), end - start)
        at = size
    yield Gap(where, 1, "grows while it is read")


def _reserved(fd: int, where: str) -> Iterator[Piece | Gap]:
    """Read on the device what a file reserved and never wrote: through the file it reads as zeros."""
    try:
        found = reserved_extents(fd)
        device = _open_below(fd) if found else None
    except OSError as error:
        yield Gap(where, 1, f"its extents cannot be read: {error.strerror}")
        return
    if device is None:
        if found:
            size = sum(extent.length for extent in found)
            yield Unreached(where, size, "reserved and never written: needs the right to read its device")
        return
    try:
        read = _direct_reader()
        for extent in found:
            end = extent.physical + extent.length
            parts = _range(device, f"{where} (reserved, on the device)", extent.physical, end, read)
            yield from _ahead(parts, extent.length)
    finally:
        os.close(device)


def _open_below(fd: int) -> int | None:
    """Open the device on which the extents of a file lie; None where that is not known or not allowed."""
    system = filesystem_of(fd)
    if not (system.source and system.in_place):
        return None
    try:
        device = os.open(system.source, _READ | os.O_DIRECT)
    except OSError:
        return None
    if os.fstat(device).st_rdev != os.fstat(fd).st_dev:
        os.close(device)
        return None
    return device


def _data_ranges(fd: int, at: int, size: int, margin: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges that hold data, widened by `margin` into the holes beside them."""
    done, low = at, at
    while low < size:
        try:
            low = os.lseek(fd, low, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # no data from here on
                return
            raise
        high = os.lseek(fd, low, os.SEEK_HOLE)
        start, end = max(done, low - margin), min(size, high + margin)
        if start < end:
            yield start, end
        done, low = max(done, end), high


def _in_turns(read: Callable[[int, int, int, mmap.mmap], memoryview]) -> _Read:
    """Return a read into one of two rooms and then the other; one that fails leaves the last view valid."""
    rooms = [mmap.mmap(-1, CHUNK + 2 * _SMALLEST) for _ in range(2)]

    def reading(fd: int, offset: int, length: int) -> memoryview:
        view = read(fd, offset, length, rooms[0])
        rooms.reverse()
        return view

    return reading


def _ahead(parts: Iterator[Piece | Gap], size: int) -> Iterator[Piece | Gap]:
    """Yield the parts of `size` bytes; the next one is read while the last one is searched."""
    if size <= CHUNK:  # one read, and no thread for it
        yield from parts
        return
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = reader.submit(next, parts, None)
            yield part


def _range(fd: int, where: str, start: int, end: int, read: _Read) -> Iterator[Piece | Gap]:
    """Read a range; what fails is read again in halves, and a sector that still fails is a Gap."""
    pending = [(at, min(at + CHUNK, end)) for at in range(start, end, CHUNK)][::-1]
    failures = 0
    while pending:
        low, high = pending.pop()
        try:
            content = read(fd, low, high - low)
        except OSError as error:
            if high - low > _SMALLEST:
                middle = low + max((high - low) // 2 // _SMALLEST, 1) * _SMALLEST
                pending += [(middle, high), (low, middle)]
                continue
            failures += 1
            if failures > _MAX_FAILURES:
                yield Gap(where, end - low, f"too many sectors fail: {error.strerror}")
                return
            yield Gap(where, high - low, f"cannot be read at byte {low}: {error.strerror}")
            continue
        if content:
            yield Piece(where, low, content)
        if len(content) < high - low:
            yield Gap(where, end - low - len(content), f"ends at byte {low + len(content)}, before its size")
            return


def _attributes(fd: int, where: str) -> Iterator[Piece | Gap]:
    """Read the extended attributes: their names and values are data too."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno not in _NO_ATTRIBUTES:
            yield Gap(where, 1, f"its attributes cannot be read: {error.strerror}")
        return
    for name in names:
        yield Piece(f"{where} (attribute)", 0, os.fsencode(name))
        try:
            yield Piece(f"{where} (attribute)", 0, os.getxattr(fd, name))
        except OSError as error:
            if error.errno != errno.ENODATA:  # it went after it was listed; the others are still there
                yield Gap(where, 1, f"an attribute cannot be read: {error.strerror}")


# --- a tree --------------------------------------------------------------------------------------


class _Tree:
    """One walk by descriptors. Each directory and each hard-linked file is read once."""

    def __init__(self, root: str, margin: int) -> None:
        self._root = root
        self._margin = margin
        self._visited: set[tuple[int, int]] = set()  # (device, inode)

    def directory(self, fd: int, depth: int) -> Iterator[Piece | Gap]:
        """Read a directory, listing it until a listing shows nothing new."""
        where = self._where(os.fstat(fd).st_ino)
        yield from _attributes(fd, where)
        done: set[tuple[str, int]] = set()
        for _ in range(_MAX_PASSES):
            try:
                with os.scandir(fd) as listing:
                    entries = [(entry.name, entry.inode()) for entry in listing]
            except OSError as error:
                yield Gap(where, 1, f"cannot be listed: {error.strerror}")
                return
            new = [entry for entry in entries if entry not in done]
            if not new:
                return
            for name, inode in new:
                yield Piece(f"{self._where(inode)} (name)", 0, os.fsencode(name))
                try:
                    yield from self._entry(fd, name, depth)
                except FileNotFoundError:
                    continue  # it went between listing and opening: the next listing shows what became of it
                done.add((name, inode))
        yield Gap(where, 1, "changes while it is read")

    def _entry(self, directory: int, name: str, depth: int) -> Iterator[Piece | Gap]:
        """Read one entry. Raises FileNotFoundError when it is not there any more."""
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        where = self._where(status.st_ino)
        if stat.S_ISLNK(status.st_mode):
            yield Piece(f"{where} (link)", 0, os.fsencode(os.readlink(name, dir_fd=directory)))
            return
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            return  # sockets, pipes and device nodes hold nothing of their own but the name
        if self._seen_before(status):
            return
        try:
            fd = _open(name, directory, status)
        except FileNotFoundError:
            raise
        except OSError as error:
            yield Gap(where, max(status.st_size, 1), f"cannot be opened: {error.strerror}")
            return
        try:
            if stat.S_ISREG(status.st_mode):
                yield from _file(fd, where, self._margin)
            elif depth < _MAX_DEPTH:
                yield from self.directory(fd, depth + 1)
            else:
                yield Gap(where, 1, f"lies deeper than {_MAX_DEPTH} directories")
        finally:
            os.close(fd)

    def _seen_before(self, status: os.stat_result) -> bool:
        if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
            return False
        inode = (status.st_dev, status.st_ino)
        if inode in self._visited:
            return True
        self._visited.add(inode)
        return False

    def _where(self, inode: int) -> str:
        return f"{self._root} inode-{inode}"


def _tree(fd: int, where: str, margin: int) -> Iterator[Piece | Gap]:
    yield from _Tree(where, margin).directory(fd, 0)


_KINDS = {stat.S_IFREG: _file, stat.S_IFDIR: _tree, stat.S_IFBLK: _device}
