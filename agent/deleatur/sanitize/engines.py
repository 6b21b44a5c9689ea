"""The two engines that search bytes for needles at once: one by other people, and our own (windows.py).

Rules kept: an engine is believed only after it has found each of its own needles, whole, in bytes made
for that; needles are split into parts, so that memory and building time stay bounded; needles lie in
memory only (no compiled set is ever kept on a disk).
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, islice
from threading import Lock
from typing import Any, Protocol

from ahocorasick_rs import BytesAhoCorasick, Implementation

from deleatur.errors import Failed

# Measured with benchmarks/scan.py (ADR 38, 44): building takes more memory with more needles a part, and
# searching takes one more pass for each part more.
FEW = 16_384  # needles, that hyperscan searches for faster than Aho and Corasick
_AHO_CORASICK_PART = 1_048_576
_BEGINNING = 16  # bytes of a needle in the automaton; the rest is compared
_TABLED = 131_072  # bytes of beginnings: a table of every step, at most 1 KiB a byte, is quicker
_TRIED_AT_ONCE = 8_192  # needles put side by side when an engine is tried

Match = tuple[int, int]  # number of the needle, offset of its end
Numbers = Mapping[bytes, int]  # of needles


class Part(Protocol):
    """Some needles of an engine, in one automaton."""

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of its needles in the whole set."""

    def find(self, content: bytes | memoryview) -> list[Match]:
        """Return every occurrence of its needles, overlapping ones too, in any order, each once."""


class Engine:
    """Finds every occurrence of its needles: what its parts find, and nothing else."""

    name: str

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts

    def find(self, content: bytes | memoryview) -> list[Match]:
        """Return every occurrence, overlapping ones too, in any order, each once."""
        return [match for part in self.parts for match in part.find(content)]

    def overlooks(self, _needles: Sequence[bytes]) -> bool:
        """Say whether it would overlook a needle in some place, though it found it in another."""
        return False


class Hyperscan(Engine):
    """Intel's engine: the fastest for few needles. Its literal mode cuts at NUL, so every byte is escaped."""

    name = "hyperscan"

    def __init__(self, needles: Sequence[bytes]) -> None:
        super().__init__([_Compiled(needles)] if needles else [])


class _Compiled:
    """A database of hyperscan."""

    def __init__(self, needles: Sequence[bytes]) -> None:
        import hyperscan

        self.numbers = range(len(needles))
        self._one_at_a_time = Lock()  # its scratch space is for one search
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self._database.compile(
            expressions=["".join(f"\\x{byte:02x}" for byte in needle).encode() for needle in needles],
            ids=list(self.numbers),
            elements=len(needles),
            flags=[0] * len(needles),
        )

    def find(self, content: bytes | memoryview) -> list[Match]:
        found: list[Match] = []
        anything: Any = content  # its types know no view of bytes; it takes every buffer

        def note(needle: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.append((needle, end))

        with self._one_at_a_time:
            self._database.scan(anything, match_event_handler=note)
        return found


class AhoCorasick(Engine):
    """The automaton of Aho and Corasick, in Rust: quick to build, small, on every platform."""

    name = "aho-corasick"

    def __init__(self, needles: Sequence[bytes], known: Numbers | None = None) -> None:
        known = known or numbered(needles)
        starts = range(0, len(needles), _AHO_CORASICK_PART)
        ranges = (range(at, min(at + _AHO_CORASICK_PART, len(needles))) for at in starts)
        super().__init__([_Automaton(needles, numbers, known) for numbers in ranges])


class _Automaton:
    """An automaton of ahocorasick-rs for the beginnings of needles; the rest of each is compared."""

    def __init__(self, needles: Sequence[bytes], numbers: range, known: Numbers) -> None:
        self.numbers, self._known = numbers, known
        lengths: dict[bytes, tuple[int, ...]] = {}
        one: dict[tuple[int, ...], tuple[int, ...]] = {}  # a tuple each would take 50 bytes
        for number in numbers:
            needle = needles[number]
            before = lengths.get(needle[:_BEGINNING], ())
            if len(needle) not in before:
                after = (*before, len(needle))
                lengths[needle[:_BEGINNING]] = one.setdefault(after, after)
        beginnings, self._lengths = list(lengths), list(lengths.values())
        del lengths  # memory, for what is built now
        steps = Implementation.DFA if sum(map(len, beginnings)) <= _TABLED else None
        self._automaton = BytesAhoCorasick(beginnings, implementation=steps)

    def find(self, content: bytes | memoryview) -> list[Match]:
        found, size = [], len(content)
        for beginning, start, _ in self._automaton.find_matches_as_indexes(content, overlapping=True):
            for length in self._lengths[beginning]:
                number = self._known.get(bytes(content[start : start + length]), -1)
                if number in self.numbers and start + length <= size:
                    found.append((number, start + length))
        return found


_built: dict[tuple[bytes, ...], tuple[Engine, ...]] = {}  # a job looks for the same before and after


def engines_for(needles: tuple[bytes, ...]) -> tuple[Engine, ...]:
    """Build two engines that run on this machine, and try each; those built last are kept.

    Raises:
        Failed: an engine does not find what it was built for.
    """
    if needles not in _built:
        _built.clear()  # memory is for one set, while another one is built, too
        from deleatur.sanitize.windows import Windows  # numpy is for those who search

        known = numbered(needles)
        engines = _first(needles, known), Windows(needles, known)
        for engine in engines:
            try_out(engine, needles)
        _built[needles] = engines
    return _built[needles]


def one_engine_for(needles: tuple[bytes, ...]) -> Engine:
    """Build the engine that is built fastest, for what need not be seen by two."""
    _built.clear()
    return AhoCorasick(needles)


def numbered(needles: Sequence[bytes]) -> Numbers:
    """Return the number of each needle: engines share it, for memory."""
    return {needle: number for number, needle in enumerate(needles)}


def _first(needles: Sequence[bytes], known: Numbers) -> Engine:
    """Build other people's engine: the one that is faster for so many needles."""
    if len(needles) <= FEW and hyperscan_is_here():
        return Hyperscan(needles)
    return AhoCorasick(needles, known)


def hyperscan_is_here() -> bool:
    """Say whether hyperscan is installed: it is not made for every processor."""
    from importlib.util import find_spec

    return find_spec("hyperscan") is not None


def try_out(engine: Engine, needles: Sequence[bytes]) -> None:
    """Let each part of an engine find each of its needles, whole, and nothing else; then all together.

    After an erase nothing is there to be found, so that two engines agree on nothing whatever they
    can see: this is what shows that they could. A part is tried with its own needles and with the first
    and the last one of every part: all parts search the same bytes, so the others' cost time only.

    Raises:
        Failed: it misses one, or takes something else for one, or has no part for one.
    """
    ends = [number for part in engine.parts for number in (part.numbers[0], part.numbers[-1])]
    for part in engine.parts:
        numbers = iter(part.numbers)
        while batch := list(islice(numbers, _TRIED_AT_ONCE)):
            _try(engine.name, part, needles, batch, ends)
    _try(engine.name, engine, needles, ends, ())
    if engine.overlooks(needles):
        raise Failed(f"the search engine {engine.name} does not find what it must everywhere; erase nothing")
    if sorted(chain(*(part.numbers for part in engine.parts))) != list(range(len(needles))):
        raise Failed(f"the search engine {engine.name} was not built for every value; erase nothing")


def _try(
    name: str, finder: Engine | Part, needles: Sequence[bytes], own: Sequence[int], others: Sequence[int]
) -> None:
    """Ask for its own needles among others'; another one may be found too if its bytes are there."""
    content = b"".join(needles[number] for number in chain(own, others))
    found = set(finder.find(content))
    expected = set(zip(own, accumulate(len(needles[number]) for number in own), strict=True))
    wrong = (content[max(to - len(needles[n]), 0) : to] != needles[n] for n, to in found - expected)
    if not expected <= found or any(wrong):
        raise Failed(f"the search engine {name} does not find what it must; erase nothing, reinstall")
