"""Let one run at a time work on something that several jobs could reach.

Rule kept: a lock is the kernel's and ends with the process, so that a kill leaves none behind.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deleatur.errors import Transient, Unsupported

_RANGE = struct.Struct("hh4xqqi4x")  # struct flock of 64-bit Linux: type, whence, start, length, pid


def lock(fd: int, refusal: str) -> None:
    """Lock an open file or folder until it is closed.

    Raises:
        Transient: another run has it locked; `refusal` is what to say.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Transient(refusal) from None


def lock_bytes(fd: int, kind: int, start: int, length: int, refusal: str) -> None:
    """Lock bytes of an open file against programs that lock with fcntl, until it is closed.

    `kind` is F_RDLCK or F_WRLCK; `length` 0 is to the end. Unlike such a program's own lock it does not
    fall when another descriptor of this process is closed (fcntl(2), open file description locks).

    Raises:
        Transient: another process has them locked; `refusal` is what to say.
        Unsupported: the file system has no locks.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _RANGE.pack(kind, os.SEEK_SET, start, length, 0))
    except BlockingIOError:
        raise Transient(refusal) from None
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        raise Unsupported("the file system has no locks; copy the database to a local one") from None


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Keep every other run away from a server's data directory: jobs of all databases share it.

    Raises:
        Transient: another run is under way.
    """
    fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock(fd, "another run erases on this server; resume when it has ended")
        yield
    finally:
        os.close(fd)
