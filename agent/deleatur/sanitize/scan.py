"""The residue scanner: it looks for needles in the raw bytes of a surface.

Rules kept: every byte is searched by two engines, and what only one of them sees is a hit and is
counted as disputed; what cannot be read is counted and named, never taken for clean; the page cache is
not believed; symbolic links are not followed; memory is bounded; a place names an inode and an offset,
never content and never a file's name.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from deleatur.documents.journal import SurfaceScan
from deleatur.documents.place import MEMORY_OF, Surface
from deleatur.sanitize.decoders import WORDS, Expander
from deleatur.sanitize.engines import Engine, Match, engines_for, one_engine_for
from deleatur.sanitize.memory import read_memory
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.pace import keep_pace
from deleatur.sanitize.surface import Gap, Piece, Unreached, read_surface

MAX_PLACES = 100  # places listed for a person; the counts go on
NO_WORDS = NeedleSet.of_words(())
_SLICE = 1 << 20  # bytes searched at once: bounds the list of matches, at most one a needle and byte
_AT_ONCE = 2  # slices: as many as engines
_WORTH_A_THREAD = 1 << 16  # bytes; both engines let go of the interpreter while they search


@dataclass(frozen=True)
class Hits:
    """What a search saw."""

    count: int  # occurrences of any needle, seen by any engine
    disputed: int  # of them, those that not every engine saw
    seen: frozenset[int]  # values of the needle set that were seen
    first: tuple["Place", ...]  # the first MAX_PLACES


@dataclass(frozen=True)
class Place:
    """Where a needle was found, for the residue report."""

    path: str  # of the surface; inside a tree followed by the inode
    offset: int  # bytes
    value: int  # number of the value, or of the word, in its set


@dataclass(frozen=True)
class SurfaceFinding:
    """What a scan of one surface saw, and where."""

    scan: SurfaceScan
    seen: frozenset[int]  # values of the needle set that were seen
    places: tuple[Place, ...]  # the first MAX_PLACES, of values and of words
    unreadable: tuple[str, ...]  # what could not be read and why, the first MAX_PLACES
    words: Hits  # those of the second set, which is searched only among words that were put together


class Scanner:
    """Searches for all needles of a set at once, with every engine that there is."""

    def __init__(self, needles: NeedleSet, words: NeedleSet = NO_WORDS) -> None:
        self._needles = needles
        self._words = words

    @cached_property
    def engines(self) -> tuple[Engine, ...]:
        """The engines, built and tried when they are first needed."""
        return engines_for(self._needles.needles)

    @cached_property
    def engines_of_words(self) -> tuple[Engine, ...]:
        """The engines for the second set."""
        return engines_for(self._words.needles)

    def search(self, chunks: Iterable[bytes | memoryview]) -> Hits:
        """Search consecutive pieces of one stream; a needle across their borders is found once."""
        with _Search(self._needles, self.engines) as search:
            for chunk in chunks:
                search.feed(chunk)
            return search.hits()

    def search_apart(self, items: Iterable[bytes]) -> Hits:
        """Search items that do not belong together; nothing is found across their borders.

        One engine is enough: it finds what must not be taken for residue, and claims no absence.
        """
        with _Search(self._needles, (one_engine_for(self._needles.needles),)) as search:
            for item in items:
                search.begin("", 0)
                search.feed(item)
            return search.hits()

    def scan_surface(self, surface: Surface, progress: Callable[[int], None]) -> SurfaceFinding:
        """Search every byte, every name and every attribute of a surface's paths.

        `progress` is called with the bytes read since the last call. A path that is not there, as
        its directory says, is a surface of 0 bytes; what may not or cannot be read is unreadable.
        """
        size = lost = reserved = 0
        gaps: list[str] = []
        expander = Expander(surface.decoders)

        def note(gap: Gap) -> None:
            nonlocal lost, reserved
            if isinstance(gap, Unreached):
                reserved += gap.size
                return
            lost += gap.size
            if len(gaps) < MAX_PLACES:
                gaps.append(f"{gap.where}: {gap.reason}")

        def search_expanded(values: Iterable[Piece | Gap]) -> None:
            for value in values:
                if isinstance(value, Gap):
                    note(value)
                else:
                    search.aside(value.where, value.content)
                    if value.decoder == WORDS:
                        among_words.aside(value.where, value.content)

        has_words = self._words.needles and WORDS in surface.decoders and not surface.is_device
        words, for_words = (self._words, self.engines_of_words) if has_words else (NO_WORDS, self.engines)
        with _Search(self._needles, self.engines) as search, _Search(words, for_words) as among_words:
            for path in surface.paths:
                for part in pieces_of(path, max(self._needles.longest - 1, 0)):
                    if isinstance(part, Gap):
                        note(part)
                        continue
                    keep_pace(len(part.content))
                    if not search.goes_on(part.where, part.offset):
                        search.begin(part.where, part.offset)
                    search.feed(part.content)
                    search_expanded(expander.feed(part))
                    size += len(part.content)
                    progress(len(part.content))
                search_expanded(expander.end())
            hits, of_words = search.hits(), among_words.hits()
        return SurfaceFinding(
            scan=SurfaceScan(
                name=surface.name,
                size=size,
                hits=hits.count,
                seen=len(hits.seen),
                unreadable=lost,
                disputed=hits.disputed,
                scanners=tuple(engine.name for engine in self.engines),
                decoders=surface.decoders,
                reserved=reserved,
            ),
            seen=hits.seen,
            places=(*hits.first, *of_words.first)[:MAX_PLACES],
            unreadable=tuple(gaps),
            words=of_words,
        )


def pieces_of(path: str, margin: int) -> Iterator[Piece | Gap]:
    """Read one path of a surface, be it on a disk or in memory; `margin` as `read_surface` has it."""
    return read_memory(path) if path.startswith(MEMORY_OF) else read_surface(path, margin)


class _Search:
    """A search through one stream after another, carrying over what a border could cut."""

    def __init__(self, needles: NeedleSet, engines: tuple[Engine, ...]) -> None:
        self._needles = needles
        self._engines = engines
        self._threads = ThreadPoolExecutor(len(engines))
        self._overlap = max(needles.longest - 1, 0)
        self._count = 0
        self._disputed = 0
        self._found: set[int] = set()  # needles
        self._first: list[Place] = []
        self.begin("", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown()

    def begin(self, where: str, offset: int) -> None:
        """Turn to another stream, or to another place of this one."""
        self._where, self._position, self._carry = where, offset, b""

    def aside(self, where: str, content: bytes | memoryview) -> None:
        """Search bytes that were made of the stream, and go on with the stream."""
        here = self._where, self._position, self._carry
        self.begin(where, 0)
        self.feed(content)
        self._where, self._position, self._carry = here

    def goes_on(self, where: str, offset: int) -> bool:
        """Say whether a piece follows the last one without a gap, in the same stream."""
        return where == self._where and offset == self._position

    def feed(self, content: bytes | memoryview) -> None:
        """Search the next bytes of the stream."""
        if not self._needles.needles:
            return
        view = memoryview(content)
        for at in range(0, len(view), _AT_ONCE * _SLICE):
            until = min(at + _AT_ONCE * _SLICE, len(view))
            pieces = [view[begin : min(begin + _SLICE, until)] for begin in range(at, until, _SLICE)]
            for piece, sights in zip(pieces, self._sights(pieces), strict=True):
                known = len(self._carry)
                border = self._carry + piece[: self._overlap]
                if known:
                    self._record(self._sights([border])[0], self._position - known, known)
                self._record(sights, self._position, None)
                self._position += len(piece)
                rest = border if len(piece) < self._overlap else piece
                self._carry = bytes(rest[max(len(rest) - self._overlap, 0) :])

    def _record(self, sights: list[list[Match]], offset: int, border: int | None) -> None:
        """Note what each engine has seen in some bytes; with a border, only what lies across it."""
        if any(sights):
            self._note([self._across(found, border) for found in sights], offset)

    def _sights(self, pieces: Sequence[bytes | memoryview]) -> list[list[list[Match]]]:
        """Return what each engine sees in each piece.

        One engine takes the first piece first, the other one the second piece, so that whoever is
        ready sooner helps the other, and both are ready at the same time.
        """
        if sum(map(len, pieces)) < _WORTH_A_THREAD:
            return [[engine.find(piece) for engine in self._engines] for piece in pieces]
        asked: dict[tuple[int, Engine], Future[list[Match]]] = {}
        for number, piece in enumerate(pieces):
            for engine in self._engines if number % 2 else reversed(self._engines):
                asked[number, engine] = self._threads.submit(engine.find, piece)
        return [[asked[number, engine].result() for engine in self._engines] for number in range(len(pieces))]

    def _across(self, found: list[Match], border: int | None) -> set[Match]:
        if border is None:
            return set(found)
        needles = self._needles.needles
        return {(n, end) for n, end in found if end - len(needles[n]) < border < end}

    def _note(self, sights: list[set[Match]], offset: int) -> None:
        anywhere = set[Match]().union(*sights)
        self._count += len(anywhere)
        self._disputed += len(anywhere - sights[0].intersection(*sights[1:]))
        for needle, end in sorted(anywhere, key=_end) if len(self._first) < MAX_PLACES else anywhere:
            self._found.add(needle)
            if len(self._first) < MAX_PLACES:
                start = offset + end - len(self._needles.needles[needle])
                self._first.append(Place(self._where, start, min(self._needles.owners[needle])))

    def hits(self) -> Hits:
        """Return what was seen so far."""
        owners = (self._needles.owners[needle] for needle in self._found)
        return Hits(
            count=self._count,
            disputed=self._disputed,
            seen=frozenset().union(*owners),
            first=tuple(self._first),
        )


def _end(match: Match) -> int:
    return match[1]
