"""Memory for direct I/O, and zeros that cost none.

Rule kept: no child gets a buffer, so that a fork during a direct read tears nothing (open(2), NOTES).
"""

import mmap
from contextlib import suppress

_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def buffers_of(count: int, length: int) -> list[memoryview]:
    """Return `count` page-aligned buffers of `length` bytes, in huge pages where the kernel has them.

    For a direct write the kernel takes hold of every page. One huge page is in the place of 512 small
    ones, and the keystream goes out half as fast again (`benchmarks/overwrite.py`).
    """
    step = length + -length % mmap.PAGESIZE
    memory = mmap.mmap(-1, count * step, flags=_PRIVATE)
    memory.madvise(mmap.MADV_DONTFORK)
    with suppress(OSError):  # a kernel that was built without huge pages
        memory.madvise(mmap.MADV_HUGEPAGE)
    return [memoryview(memory)[at : at + length] for at in range(0, count * step, step)]


def zeros_of(length: int) -> memoryview:
    """Return zeros: all are one page of the kernel's, which stays in the cache, until one is written to."""
    return memoryview(mmap.mmap(-1, length, flags=_PRIVATE))
