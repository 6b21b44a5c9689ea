"""The residue scanner: it looks for needles in the raw bytes of a surface.

Rules kept: what cannot be read is counted and named, never taken for clean; the page cache is not
believed; symbolic links are not followed; memory is bounded; a place names an inode and an offset,
never content and never a file's name.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ahocorasick_rs import BytesAhoCorasick

from deleatur.documents.journal import SurfaceScan
from deleatur.documents.place import Surface
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.surface import Gap, read_surface

MAX_PLACES = 100  # places listed for a person; the counts go on
_SLICE = 1 << 20  # bytes searched at once: bounds the list of matches, at most one a needle and byte


@dataclass(frozen=True)
class Hits:
    """What a search saw."""

    count: int  # occurrences of any needle
    seen: frozenset[int]  # values of the needle set that were seen
    first: tuple["Place", ...]  # the first MAX_PLACES


@dataclass(frozen=True)
class Place:
    """Where a needle was found, for the residue report."""

    path: str  # of the surface; inside a tree followed by the inode
    offset: int  # bytes
    value: int  # number of the value in the needle set


@dataclass(frozen=True)
class SurfaceFinding:
    """What a scan of one surface saw, and where."""

    scan: SurfaceScan
    seen: frozenset[int]  # values of the needle set that were seen
    places: tuple[Place, ...]  # the first MAX_PLACES
    unreadable: tuple[str, ...]  # what could not be read and why, the first MAX_PLACES


class Scanner:
    """Searches for all needles of a set at once (Aho-Corasick)."""

    def __init__(self, needles: NeedleSet) -> None:
        self._needles = needles
        self._automaton = BytesAhoCorasick(list(needles.needles)) if needles.needles else None

    def search(self, chunks: Iterable[bytes | memoryview]) -> Hits:
        """Search consecutive pieces of one stream; a needle across their borders is found once."""
        search = _Search(self._needles, self._automaton)
        for chunk in chunks:
            search.feed(chunk)
        return search.hits()

    def search_apart(self, items: Iterable[bytes]) -> Hits:
        """Search items that do not belong together; nothing is found across their borders."""
        search = _Search(self._needles, self._automaton)
        for item in items:
            search.begin("", 0)
            search.feed(item)
        return search.hits()

    def scan_surface(self, surface: Surface, progress: Callable[[int], None]) -> SurfaceFinding:
        """Search every byte, every name and every attribute of a surface's paths.

        `progress` is called with the bytes read since the last call. A path that is not there, as
        its directory says, is a surface of 0 bytes; what may not or cannot be read is unreadable.
        """
        search = _Search(self._needles, self._automaton)
        size = lost = 0
        gaps: list[str] = []
        for path in surface.paths:
            for part in read_surface(path, max(self._needles.longest - 1, 0)):
                if isinstance(part, Gap):
                    lost += part.size
                    if len(gaps) < MAX_PLACES:
                        gaps.append(f"{part.where}: {part.reason}")
                    continue
                if not search.goes_on(part.where, part.offset):
                    search.begin(part.where, part.offset)
                search.feed(part.content)
                size += len(part.content)
                progress(len(part.content))
        hits = search.hits()
        return SurfaceFinding(
            scan=SurfaceScan(
                name=surface.name, size=size, hits=hits.count, seen=len(hits.seen), unreadable=lost
            ),
            seen=hits.seen,
            places=hits.first,
            unreadable=tuple(gaps),
        )


class _Search:
    """A search through one stream after another, carrying over what a border could cut."""

    def __init__(self, needles: NeedleSet, automaton: BytesAhoCorasick | None) -> None:
        self._needles = needles
        self._automaton = automaton
        self._overlap = max(needles.longest - 1, 0)
        self._count = 0
        self._found: set[int] = set()  # needles
        self._first: list[Place] = []
        self.begin("", 0)

    def begin(self, where: str, offset: int) -> None:
        """Turn to another stream, or to another place of this one."""
        self._where, self._position, self._carry = where, offset, b""

    def goes_on(self, where: str, offset: int) -> bool:
        """Say whether a piece follows the last one without a gap, in the same stream."""
        return where == self._where and offset == self._position

    def feed(self, content: bytes | memoryview) -> None:
        """Search the next bytes of the stream."""
        if self._automaton is None:
            return
        view = memoryview(content)
        for at in range(0, len(view), _SLICE):
            piece = view[at : at + _SLICE]
            known = len(self._carry)
            border = self._carry + piece[: self._overlap]
            across = self._automaton.find_matches_as_indexes(border, overlapping=True) if known else ()
            for needle, start, end in across:
                if start < known < end:
                    self._record(needle, self._position - known + start)
            for needle, start, _ in self._automaton.find_matches_as_indexes(piece, overlapping=True):
                self._record(needle, self._position + start)
            self._position += len(piece)
            rest = border if len(piece) < self._overlap else piece
            self._carry = bytes(rest[max(len(rest) - self._overlap, 0) :])

    def _record(self, needle: int, offset: int) -> None:
        self._count += 1
        self._found.add(needle)
        if len(self._first) < MAX_PLACES:
            self._first.append(Place(self._where, offset, min(self._needles.owners[needle])))

    def hits(self) -> Hits:
        """Return what was seen so far."""
        owners = (self._needles.owners[needle] for needle in self._found)
        return Hits(count=self._count, seen=frozenset().union(*owners), first=tuple(self._first))
