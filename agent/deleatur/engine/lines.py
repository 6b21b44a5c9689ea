"""A file of lines that only grows: each line is on disk before the next one is written."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deleatur.engine.directory import sync_directory, write_all
from deleatur.errors import Failed, Transient

_PATIENCE = 30.0  # seconds for another writer; one line takes some milliseconds
_POLL = 0.02  # seconds


class DurableLines:
    """An open file of lines; after a failed write nothing more is written to it."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._failed = False
        self._descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            sync_directory(path.parent)
        except OSError:
            self.close()
            raise

    def cut(self, length: int) -> None:
        """Cut off what a crash tore: whatever stands after `length` bytes."""
        if os.fstat(self._descriptor).st_size != length:
            os.ftruncate(self._descriptor, length)
            os.fsync(self._descriptor)

    def append(self, line: bytes) -> None:
        """Write one line, newline included, and return when it is on disk.

        Raises:
            Failed: an earlier write failed, so what the disk holds is not known.
            OSError: the disk is full or broken; the torn line is cut off at the next opening.
        """
        if self._failed:
            raise Failed(f"{self._name} could not be written; resume when the disk is well again")
        self._failed = True
        write_all(self._descriptor, line)
        os.fsync(self._descriptor)
        self._failed = False

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time work with a file that is there.

    Raises:
        Transient: another one has not ended within half a minute.
        FileNotFoundError: there is no such file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        end = time.monotonic() + _PATIENCE
        while not _locked(descriptor):
            if time.monotonic() >= end:
                raise Transient(f"another process works with {path}; wait until it ends, or end it")
            time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
