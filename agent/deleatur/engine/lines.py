"""A file of lines that only grows: each line is on disk before the next one is written."""

import os
from pathlib import Path

from deleatur.engine.directory import sync_directory, write_all
from deleatur.errors import Failed


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
