"""Read where InnoDB keeps old pages beside its tables: the doublewrite buffer and the undo segments.

Rules kept: pages are read from the files, below the page cache, and nothing is changed; what is not
laid out as this module expects is refused, never guessed. Layout: storage/innobase/include/fil0types.h,
trx0sys.h, trx0rseg.h, trx0undo.h of MariaDB 10.6 to 11.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deleatur.api import Refused, read_below_cache

_SYSTEM_PAGE = 5  # FSP_TRX_SYS_PAGE_NO
_NONE = 0xFFFFFFFF  # FIL_NULL
_LSN, _TYPE = 16, 24  # FIL_PAGE_LSN, FIL_PAGE_TYPE
_DATA = 38  # FIL_PAGE_DATA
_TYPE_SYSTEM, _TYPE_UNDO = 7, 2  # FIL_PAGE_TYPE_TRX_SYS, FIL_PAGE_UNDO_LOG
_SEGMENTS = 128  # TRX_SYS_N_RSEGS
_FIRST_SEGMENT = _DATA + 8 + 10  # TRX_SYS_RSEGS: behind the transaction id and a segment header
_SLOTS_AT = _DATA + 4 + 4 + 16 + 10  # TRX_RSEG_UNDO_SLOTS: behind two numbers, a list base, a segment header
_FIRST_LOG = _DATA + 18 + 30  # TRX_UNDO_SEG_HDR and its size: the first log's header, its transaction first
_DOUBLEWRITE = 200  # TRX_SYS_DOUBLEWRITE: from the end of the page
_DOUBLEWRITE_MAGIC = 536853855
_AT_ONCE = 256  # pages of one read


@dataclass(frozen=True)
class Era:
    """A span of the server's life: what was written in it is to be gone."""

    since: int  # log position, when the deletion began
    until: int  # log position, when the last old file was gone
    transaction: int  # the first that began afterwards


@dataclass(frozen=True)
class Leftover:
    """What the files still hold of an era."""

    doublewrite: int  # pages
    segments: int  # undo segments that are kept for reuse
    pages: int  # undo pages, in use or free

    @property
    def nothing(self) -> bool:
        """Say whether every page of that time was written anew."""
        return not (self.doublewrite or self.segments or self.pages)


class Pages:
    """The system tablespace, and the undo tablespaces by their number."""

    def __init__(self, system: Path, undo: dict[int, Path], size: int) -> None:
        self._files = {0: system, **undo}
        self._size = size  # bytes of a page

    def left_of(self, era: Era) -> Leftover:
        """Count what was written in `era` and not since; free undo pages only once the rest is gone.

        Raises:
            Refused: the system tablespace is not laid out as expected.
        """
        system = self._page(0, _SYSTEM_PAGE)
        if _number(system, _TYPE, 2) != _TYPE_SYSTEM:
            raise Refused(
                "the system tablespace is not laid out as MariaDB 10.6 to 11 do; nothing was claimed"
            )
        copies = sum(lsn < era.until for lsn in self._doublewrite(system))
        segments = sum(first < era.transaction for first in self._undo(system))
        pages = 0 if copies or segments else sum(self._old(page, era) for page in self._undo_pages())
        return Leftover(copies, segments, pages)

    def _old(self, page: bytes, era: Era) -> bool:
        """Say whether an undo page was written in the era, or begun before and written in it too."""
        lsn = _number(page, _LSN, 8)
        return era.since <= lsn and (lsn < era.until or _number(page, _FIRST_LOG, 8) < era.transaction)

    def _undo_pages(self) -> Iterator[bytes]:
        """Yield every undo page of all files, those that are free and not written over yet included."""
        for path in self._files.values():
            count = path.stat().st_size // self._size
            for first in range(0, count, _AT_ONCE):
                content = read_below_cache(path, first * self._size, _AT_ONCE * self._size)
                for start in range(0, len(content) - self._size + 1, self._size):
                    if _number(content, start + _TYPE, 2) == _TYPE_UNDO:
                        yield content[start : start + self._size]

    def _doublewrite(self, system: bytes) -> Iterator[int]:
        """Yield the log position of every page in the doublewrite buffer that was ever written."""
        at = self._size - _DOUBLEWRITE + 10
        if _number(system, at, 4) != _DOUBLEWRITE_MAGIC:
            return  # the server has made none: it runs without
        length = (1 << 20) // self._size  # pages of each of the two extents
        for block in (_number(system, at + 4, 4), _number(system, at + 8, 4)):
            content = self._read(0, block, length)
            for start in range(0, len(content), self._size):
                page = content[start : start + self._size]
                if any(page):
                    yield _number(page, _LSN, 8)

    def _undo(self, system: bytes) -> Iterator[int]:
        """Yield, of every undo segment, the transaction that first wrote into its first page."""
        for number in range(_SEGMENTS):
            space, page = struct.unpack_from(">II", system, _FIRST_SEGMENT + 8 * number)
            if page == _NONE:
                continue
            header = self._page(space, page)
            count = self._size // 16  # TRX_RSEG_N_SLOTS
            for slot in struct.unpack_from(f">{count}I", header, _SLOTS_AT):
                if slot != _NONE:
                    first = self._page(space, slot)
                    if _number(first, _TYPE, 2) != _TYPE_UNDO:
                        raise Refused("an undo segment is not laid out as MariaDB 10.6 to 11 do")
                    yield _number(first, _FIRST_LOG, 8)

    def _page(self, space: int, number: int) -> bytes:
        return self._read(space, number, 1)

    def _read(self, space: int, number: int, count: int) -> bytes:
        if space not in self._files:
            raise Refused(f"tablespace {space} holds undo segments and no file of it is known")
        content = read_below_cache(self._files[space], number * self._size, count * self._size)
        if len(content) != count * self._size:
            raise Refused(f"tablespace {space} ends before its page {number}")
        return content


def _number(page: bytes, at: int, size: int) -> int:
    return int.from_bytes(page[at : at + size], "big")
