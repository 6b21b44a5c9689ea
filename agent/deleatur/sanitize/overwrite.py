"""Overwrite a file where it lies, read it below the page cache, and remove its name.

Rules kept: every byte of every allocated block is written, the tail of the last block included; a
position is yielded only when everything before it is on stable storage; no randomness, so that any
stage can be done again after a kill; short writes are continued, and no error is swallowed.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from deleatur.errors import Refused
from deleatur.sanitize.digest import keyed_digest
from deleatur.sanitize.filesystem import Extent, allocated, extents
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.pipeline import in_order

DURABLE = 64 << 20  # bytes between two flushes
_CHUNK = 1 << 20  # bytes of one write
_WRITERS = 4  # threads; the device's queue is empty while one of them makes keystream
_ALIGN = 4096  # bytes; enough for direct I/O on every sector size in use
_SECTOR = 512  # bytes; the smallest that direct I/O may allow
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2  # linux/fs.h
_HERE = -100  # AT_FDCWD
_NO_DIRECT = frozenset({errno.EINVAL, errno.EOPNOTSUPP})  # open(2): O_DIRECT not supported
_NEUTRAL_LENGTH = 16  # characters at least, so that no other file has the name by accident


def overwrite_in_place(
    fd: int, keystream: Keystream, unit: str, after: int = 0, *, durable: int = DURABLE
) -> Iterator[int]:
    """Overwrite the open file's allocated blocks with `unit`'s stream, from byte `after` on.

    Yields the offset up to which the file is overwritten and flushed, after each `durable` bytes
    and at the end (then it is the file's size). The rest of the last block is written too;
    afterwards the file has the size that it had. Holes stay holes. `fd` must be open for writing,
    without O_APPEND.

    A kill can leave the file longer by the rest of its last block; doing it again is harmless.
    Raises OSError; what was yielded before stays true.
    """
    size = os.fstat(fd).st_size
    direct = _reopen_direct(fd, os.O_WRONLY)
    try:
        unflushed = 0
        for end, length in _written(fd, direct, keystream, unit, tuple(_pieces(fd, after))):
            unflushed += length
            if unflushed >= durable and end < size:
                os.fdatasync(fd)
                yield end
                unflushed = 0
        os.ftruncate(fd, size)
        os.fsync(fd)
        yield size
    finally:
        if direct is not None:
            os.close(direct)


def covered(fd: int) -> tuple[tuple[int, int], ...]:
    """Return the ranges (start, end; bytes) of the file's content that `overwrite_in_place` writes.

    They end at the file's size: what lies beyond it in the last block is written, not readable.
    """
    size = os.fstat(fd).st_size
    return tuple((start, min(end, size)) for start, end in allocated(fd) if start < size)


def read_below_cache(file: int | str | Path, offset: int, length: int) -> bytes:
    """Read from the storage, not from the page cache; fewer bytes only at the end of the file.

    Dirty pages are written and clean ones dropped first, then the read is direct where the file
    system can do it. On a file system in memory there is nothing below the cache to read.
    """
    if not isinstance(file, int):
        opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return read_below_cache(opened, offset, length)
        finally:
            os.close(opened)
    room = length + 2 * _ALIGN if length else _ALIGN
    return bytes(view_below_cache(file, offset, length, mmap.mmap(-1, room)))


def view_below_cache(fd: int, offset: int, length: int, room: mmap.mmap) -> memoryview:
    """Read like `read_below_cache`, into `room`: whoever reads much saves making new room each time.

    `room` is two pages larger than `length` at least.
    """
    first, last = offset - offset % _ALIGN, offset + length + -(offset + length) % _ALIGN
    direct = _reopen_direct(fd, os.O_RDONLY)
    try:
        if direct is None:
            os.fdatasync(fd)  # a direct read writes dirty pages back by itself, this one does not
        os.posix_fadvise(fd, first, last - first, os.POSIX_FADV_DONTNEED)
        done = _read(fd if direct is None else direct, first, memoryview(room)[: last - first])
        return memoryview(room)[offset - first : done][:length]
    finally:
        if direct is not None:
            os.close(direct)


def remove(dir_fd: int, name: str, key: bytes, *, inode: int | None = None) -> None:
    """Rename a file twice to neutral names, truncate it, unlink it, flush.

    The second rename takes the room that the first one freed in the directory's block. The neutral
    names follow from `key` (secret) and `name`, and are as long as `name` where that is 16 or more:
    after a kill `found_again` finds the file. Never replaces another file. A symbolic link or
    special file is unlinked, not opened. Done twice: raises FileNotFoundError.

    Raises:
        Refused: `inode` is given and something else lies under the name by now; it stays.
    """
    neutral = _rename_twice(dir_fd, name, key)
    status = os.stat(neutral, dir_fd=dir_fd, follow_symlinks=False)
    if inode is not None and status.st_ino != inode:
        rename_without_replacing(dir_fd, neutral, name)
        raise Refused(f"inode-{inode} was replaced by another file at the last moment; plan again")
    if stat.S_ISREG(status.st_mode) and status.st_size:
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(neutral, flags, dir_fd=dir_fd)
        try:
            os.ftruncate(fd, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
    os.unlink(neutral, dir_fd=dir_fd)
    os.fsync(dir_fd)


def remove_directory(dir_fd: int, name: str, key: bytes) -> None:
    """Rename an empty directory twice to neutral names, remove it, flush.

    Raises OSError (ENOTEMPTY) when something is in it: nothing is removed then.
    """
    os.rmdir(_rename_twice(dir_fd, name, key), dir_fd=dir_fd)
    os.fsync(dir_fd)


def neutral_names(name: str, key: bytes) -> tuple[str, str]:
    """Return the two names that `remove` gives to `name` on its way out; hex digits only."""
    raw = os.fsencode(name)
    length = max(len(raw), _NEUTRAL_LENGTH)
    first, second = (keyed_digest(key, b"neutral name", stage, raw) * 4 for stage in (b"1", b"2"))
    return first[:length], second[:length]


def found_again(dir_fd: int, name: str, key: bytes) -> str | None:
    """Return the name under which `name` is in the directory now; None when it is not there.

    Only the storage's ENOENT counts as "not there"; every other error is raised.
    """
    for candidate in (name, *neutral_names(name, key)):
        try:
            os.stat(candidate, dir_fd=dir_fd, follow_symlinks=False)
        except FileNotFoundError:
            continue
        return candidate
    return None


def _rename_twice(dir_fd: int, name: str, key: bytes) -> str:
    """Give the entry its neutral names; where the file system cannot, or one is taken, keep it."""
    for neutral in neutral_names(name, key):
        if rename_without_replacing(dir_fd, name, neutral):
            name = neutral
    return name


def rename_without_replacing(dir_fd: int, old: str, new: str) -> bool:
    """Rename inside one directory; False when `new` exists or the file system cannot promise it.

    Python's os.rename would replace a file that appeared under the new name a moment ago.
    """
    if old == new:
        return True
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(dir_fd, os.fsencode(old), dir_fd, os.fsencode(new), _RENAME_NOREPLACE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.EEXIST, errno.EINVAL, errno.ENOSYS, errno.EXDEV):  # EXDEV: a folder of a lower layer
        return False
    raise OSError(code, os.strerror(code))


def exchange(one: Path, other: Path) -> None:
    """Let two names of one file system change places, at once: at no moment is either of them absent.

    Raises OSError: EXDEV on two file systems, EINVAL where the file system cannot.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _RENAME_EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _pieces(fd: int, after: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of every write, block by block to the end of what is allocated."""
    status = os.fstat(fd)
    block = os.fstatvfs(fd).f_frsize
    inline = any(extent.is_(Extent.INLINE) for extent in extents(fd) or ())
    for start, end in allocated(fd):
        # inline bytes lie in the inode; writing a whole block would move them elsewhere
        stop = min(end, status.st_size) if inline else end + -end % block
        offset = max(start, after - after % _ALIGN)
        while offset < stop:
            length = min(_CHUNK, stop - offset)
            yield offset, length
            offset += length


def _written(
    fd: int, direct: int | None, keystream: Keystream, unit: str, pieces: tuple[tuple[int, int], ...]
) -> Iterator[tuple[int, int]]:
    """Write every piece; yield its (end, length) when all up to `end` is written, not flushed.

    The first piece is written alone: where it is not, nothing is. Then several threads make keystream
    and write at once, which keeps the device's queue filled.
    """
    if not pieces:
        return
    room = max(length for _, length in pieces)

    def write(offset: int, buffer: memoryview) -> None:
        keystream.fill(unit, offset, buffer)
        _write(fd, direct, buffer, offset)

    for first in (pieces[:1], pieces[1:]):  # most files have one piece only: no four buffers for one write
        for (offset, length), _ in in_order(first, write, threads=min(_WRITERS, len(first)), room=room):
            yield offset + length, length


def _write(cached: int, direct: int | None, view: memoryview, offset: int) -> None:
    """Write all of `view`, directly where alignment allows it, going on after a short write."""
    done = 0
    while done < len(view):
        written = _write_once(cached, direct, view[done:], offset + done)
        if written == 0:
            raise OSError(errno.EIO, "the file system wrote nothing and gave no reason")
        done += written


def _write_once(cached: int, direct: int | None, view: memoryview, offset: int) -> int:
    if direct is not None and offset % _SECTOR == 0 and len(view) % _SECTOR == 0:
        try:
            return os.pwrite(direct, view, offset)
        except OSError as error:
            if error.errno != errno.EINVAL:  # sectors or memory pages larger than this piece
                raise
    return os.pwrite(cached, view, offset)


def _read(fd: int, offset: int, room: memoryview) -> int:
    """Fill `room` (page aligned, as direct I/O needs it); fewer bytes only at the end of the file."""
    size = os.fstat(fd).st_size
    done = 0
    while done < len(room) and offset + done < size:
        count = os.preadv(fd, [room[done:]], offset + done)
        if count == 0:
            break
        done += count
    return done


def _reopen_direct(fd: int, access: int) -> int | None:
    """Open the same file again with O_DIRECT; None where the file system has no direct I/O."""
    flags = access | os.O_DIRECT | os.O_CLOEXEC
    flags |= fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NOATIME  # who looks quietly goes on looking quietly
    try:
        return os.open(f"/proc/self/fd/{fd}", flags)
    except OSError as error:
        if error.errno in _NO_DIRECT:
            return None
        raise
