"""Read and write a device around the page cache."""

import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

SECTOR = 512


@contextmanager
def opened(path: Path, flags: int = os.O_RDWR | os.O_EXCL) -> Iterator[int]:
    """Open a device for direct I/O."""
    descriptor = os.open(path, flags | os.O_DIRECT)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def write(path: Path, sector: int, content: bytes) -> int:
    """Write at a sector and return what the kernel says was written."""
    with opened(path) as descriptor, mmap.mmap(-1, len(content)) as memory:
        memory.write(content)
        return os.pwrite(descriptor, memory, sector * SECTOR)


def read(path: Path, sector: int, count: int) -> bytes:
    """Read that many sectors."""
    with opened(path, os.O_RDONLY) as descriptor, mmap.mmap(-1, count * SECTOR) as memory:
        assert os.preadv(descriptor, [memory], sector * SECTOR) == count * SECTOR
        return memory.read()


def failing(path: Path, sectors: Iterable[int], *, writing: bool) -> list[int]:
    """List those of the sectors that cannot be written, or read, each alone."""
    failed = []
    for sector in sectors:
        try:
            if writing:
                write(path, sector, bytes(SECTOR))
            else:
                read(path, sector, 1)
        except OSError:
            failed.append(sector)
    return failed
