"""Take blocks that a program gave back out of the free space again, and overwrite them.

A database server that rewrites a table cuts its old file: the content then lies in free blocks. Rules
kept: nothing is ever written to a block by its address, only through a nameless file of our own that
the file system gave the block to; all other free space is let go within the same moment; doing it
again is harmless, so a list of blocks that was written down before is all that a crash needs.
"""

import ctypes
import os
from collections.abc import Sequence

from deleatur.documents.ranges import merged
from deleatur.errors import Unsupported
from deleatur.sanitize.filesystem import NOT_ADDRESSES, Extent, extents
from deleatur.sanitize.free_blocks import LARGEST, SLACK, nameless, reserve_lifted, settle, take
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.overwrite import overwrite_in_place

Run = tuple[int, int]  # start and end of neighbouring blocks, bytes from the start of the file system
_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2  # linux/falloc.h


def blocks_of(fd: int) -> tuple[Run, ...]:
    """Return where the open file's blocks lie, those reserved beyond its end included, in order.

    Raises:
        Unsupported: the file system does not say.
    """
    found = extents(fd)
    if found is None or any(extent.is_(NOT_ADDRESSES) for extent in found):
        raise Unsupported("the file system does not say where the blocks of a file lie")
    return merged((extent.physical, extent.physical + extent.length) for extent in found)


def reclaim(folder: int, wanted: Sequence[Run], keystream: Keystream, unit: str) -> int:
    """Overwrite those of the `wanted` blocks that are free now; `folder` lies on their file system.

    For the moment of the choice all free space of the file system is taken, the part kept for root
    included where this user may have it; what is not wanted is let go before anything is written.
    Returns how many bytes were not free: other files have them by now, and have written them anew.

    Raises OSError; nothing of ours stays in the file system then.
    """
    wanted = merged(wanted)
    got = 0
    with nameless(folder) as fd:
        settle(folder)  # blocks freed in a transaction that is not committed cannot be given out
        with reserve_lifted(folder):
            with nameless(folder) as slack:
                take(slack, SLACK)
                for _ in overwrite_in_place(slack, keystream, f"{unit} slack"):
                    continue
                take(fd, LARGEST)
                got += sum(_shared(extent, wanted) for extent in extents(slack) or ())
            settle(folder)  # to let go of a part, the file system needs a block for its own list
            for extent in extents(fd) or ():
                got += _shared(extent, wanted)
                _let_go_unwanted(fd, extent, wanted)
        for _ in overwrite_in_place(fd, keystream, unit):
            continue
    return sum(end - start for start, end in wanted) - got


def _shared(extent: Extent, wanted: Sequence[Run]) -> int:
    """Return how many bytes of the extent are wanted."""
    first, last = extent.physical, extent.physical + extent.length
    return sum(max(0, min(end, last) - max(start, first)) for start, end in wanted)


def _let_go_unwanted(fd: int, extent: Extent, wanted: Sequence[Run]) -> None:
    """Give back the parts of the extent that are not wanted."""
    at, last = extent.physical, extent.physical + extent.length
    for start, end in wanted:
        low, high = max(start, extent.physical), min(end, last)
        if low < high:
            punch(fd, extent.logical + at - extent.physical, low - at)
            at = high
    punch(fd, extent.logical + at - extent.physical, last - at)


def punch(fd: int, offset: int, length: int) -> None:
    if length:
        libc = ctypes.CDLL(None, use_errno=True)
        done = libc.fallocate(fd, _KEEP_SIZE | _PUNCH_HOLE, ctypes.c_long(offset), ctypes.c_long(length))
        if done != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
