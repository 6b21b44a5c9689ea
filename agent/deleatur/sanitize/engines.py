"""The two engines that search bytes for many needles at once, written by different people.

Rules kept: an engine is believed only after it has found each of its own needles, whole, in bytes made
for that; needles are split into parts, so that memory and building time stay bounded; needles lie in
memory only (no compiled set is ever kept on a disk).
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

from ahocorasick_rs import BytesAhoCorasick

from deleatur.errors import Failed

# Both measured with benchmarks/scan.py (ADR 23): building slows down beyond this many needles a part,
# searching slows down with each part more.
_HYPERSCAN_PART = 16_384
_AHO_CORASICK_PART = 262_144
_TRIED_AT_ONCE = 8_192  # needles put side by side when an engine is tried

Match = tuple[int, int]  # number of the needle, offset of its end


class Engine(Protocol):
    """Finds every occurrence of its needles, overlapping ones too."""

    name: str

    def find(self, content: bytes | memoryview) -> list[Match]:
        """Return every occurrence, in any order, each once."""


class Hyperscan:
    """Intel's engine: fast, and slow to build. Its own literal mode cuts at NUL, so every byte is escaped."""

    name = "hyperscan"

    def __init__(self, needles: Sequence[bytes]) -> None:
        import hyperscan

        self._parts = []
        parts = -(-len(needles) // _HYPERSCAN_PART)
        for first in range(parts):  # every n-th one: neighbours begin alike, and that is slow to build
            part = needles[first::parts]
            database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
            database.compile(
                expressions=["".join(f"\\x{byte:02x}" for byte in needle).encode() for needle in part],
                ids=list(range(first, len(needles), parts)),
                elements=len(part),
                flags=[0] * len(part),
            )
            self._parts.append(database)

    def find(self, content: bytes | memoryview) -> list[Match]:
        """Return every occurrence, in any order, each once."""
        found: list[Match] = []
        anything: Any = content  # its types know no view of bytes; it takes every buffer

        def note(needle: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.append((needle, end))

        for database in self._parts:
            database.scan(anything, match_event_handler=note)
        return found


class AhoCorasick:
    """The automaton of Aho and Corasick, in Rust: quick to build, small, on every platform."""

    name = "aho-corasick"

    def __init__(self, needles: Sequence[bytes]) -> None:
        starts = range(0, len(needles), _AHO_CORASICK_PART)
        self._parts = [(at, BytesAhoCorasick(needles[at : at + _AHO_CORASICK_PART])) for at in starts]

    def find(self, content: bytes | memoryview) -> list[Match]:
        """Return every occurrence, in any order, each once."""
        return [
            (first + needle, end)
            for first, automaton in self._parts
            for needle, _, end in automaton.find_matches_as_indexes(content, overlapping=True)
        ]


@lru_cache(maxsize=1)  # a job looks for the same needles before and after
def engines_for(needles: tuple[bytes, ...]) -> tuple[Engine, ...]:
    """Build every engine that runs on this machine, and try each.

    Raises:
        Failed: an engine does not find what it was built for.
    """
    engines: list[Engine] = [AhoCorasick(needles)]
    if hyperscan_is_here():
        engines.append(Hyperscan(needles))
    for engine in engines:
        try_out(engine, needles)
    return tuple(engines)


def hyperscan_is_here() -> bool:
    """Say whether hyperscan is installed: it is not made for every processor."""
    from importlib.util import find_spec

    return find_spec("hyperscan") is not None


def try_out(engine: Engine, needles: Sequence[bytes]) -> None:
    """Let an engine find each of its needles, whole, and nothing else.

    After an erase nothing is there to be found, so that two engines agree on nothing whatever they
    can see: this is what shows that they could.

    Raises:
        Failed: it misses one, or takes something else for one.
    """
    numbered = iter(enumerate(needles))
    while batch := list(islice(numbered, _TRIED_AT_ONCE)):
        expected, ends, end = set(), bytearray(), 0
        for number, needle in batch:
            ends += needle
            end += len(needle)
            expected.add((number, end))
        content = bytes(ends)
        found = set(engine.find(content))
        wrong = (content[max(to - len(needles[n]), 0) : to] != needles[n] for n, to in found - expected)
        if not expected <= found or any(wrong):
            raise Failed(
                f"the search engine {engine.name} does not find what it must; erase nothing, reinstall"
            )
