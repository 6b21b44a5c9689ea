"""Needles: the byte strings by which a value that was erased would be recognised in raw bytes.

Pure, and nothing here shows what it holds: a needle set prints as counts only, so that neither a
traceback nor a log can quote a value.
"""

import re
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from deleatur.sanitize.digest import keyed_digest_of_set
from deleatur.sanitize.encodings import LARGE, digits_of, eight_bytes_of, numbers_of, texts_of
from deleatur.sanitize.full_text import BETWEEN

MIN_LENGTH = 6  # bytes; a needle of 6 bytes meets random bytes once in 2.8e14 places, one of 4 in 4.3e9
MAX_WHOLE = 64  # bytes; a longer value is looked for by windows
WINDOW = 32  # bytes
PIECE = 512  # bytes; the smallest block of a file system: inside one, no fragmentation cuts a window
SHORTEST_WORD = (
    4  # bytes, as an index stores it: with one on either side that frames it, what MIN_LENGTH asks
)
MIN_DISTINCT = 4  # distinct bytes; fewer are padding, rulers, runs of a digit
_STEP = 32  # bytes between the candidates for a window

# Tokens that stand in every database and name nobody: dates and times, numbers of up to six digits.
_COMMON = re.compile(
    rb"""(\d{4}-\d\d-\d\d)? [ T]? (\d\d:\d\d (:\d\d (\.\d+)?)? (Z|[+-]\d\d:?\d\d)?)?
    | [+-]? \d{0,6} ([.,]\d{0,6})?""",
    re.VERBOSE,
)


@dataclass(frozen=True, repr=False, eq=False)
class NeedleSet:
    """What to search for, and which values each needle stands for.

    Values are numbered from 0 in the order in which they first appear; the numbers stay the same
    when others are left out. A value counts as seen when any of its needles is seen.
    """

    needles: tuple[bytes, ...]
    owners: tuple[frozenset[int], ...]  # the values that each needle stands for
    members: frozenset[int]  # the values that are searched for
    short: int  # distinct values left out because they are too short or too plain to mean anything

    @classmethod
    def of(cls, values: Iterable[bytes]) -> "NeedleSet":
        """Make needles of sampled values: UTF-8 text, or bytes that begin on a block of a file.

        Each is looked for in every form of `deleatur.sanitize.encodings`.
        """
        owners: dict[bytes, frozenset[int]] = {}
        short, number = 0, 0
        for value in dict.fromkeys(values):
            needles = set(_needles_of(value))
            if not needles:
                short += 1
                continue
            alone = frozenset({number})  # one for all needles of a value: a set each would take 200 bytes
            for needle in needles:
                others = owners.get(needle)
                owners[needle] = alone if others is None else others | alone
            number += 1
        ordered = sorted(owners)
        return cls(
            needles=tuple(ordered),
            owners=tuple(owners[needle] for needle in ordered),
            members=frozenset(range(number)),
            short=short,
        )

    @classmethod
    def of_words(cls, words: Iterable[bytes]) -> "NeedleSet":
        """Make one needle of each word as an index stores it, framed so that only whole words are found."""
        framed = sorted({BETWEEN + w + BETWEEN for w in words if SHORTEST_WORD <= len(w) <= MAX_WHOLE})
        owners = tuple(frozenset({number}) for number in range(len(framed)))
        return cls(needles=tuple(framed), owners=owners, members=frozenset(range(len(framed))), short=0)

    @property
    def values(self) -> int:
        """The number of distinct values that are searched for."""
        return len(self.members)

    @property
    def longest(self) -> int:
        """The length in bytes of the longest needle; 0 when there is none."""
        return max(map(len, self.needles), default=0)

    def without(self, values: Collection[int]) -> "NeedleSet":
        """Return the set without these values: those that also stand in what must stay."""
        dropped = frozenset(values)
        kept = [
            (needle, owners)
            for needle, owners in zip(self.needles, self.owners, strict=True)
            if not owners & dropped
        ]
        members = self.members - dropped
        reachable = frozenset().union(*(owners for _, owners in kept))
        return NeedleSet(
            needles=tuple(needle for needle, _ in kept),
            owners=tuple(owners for _, owners in kept),
            members=members & reachable,
            short=self.short,
        )

    def digest(self, key: bytes) -> str:
        """Return a keyed digest of the set, by which a later run shows that it searched the same."""
        return keyed_digest_of_set(key, self.needles)

    def __repr__(self) -> str:
        return f"NeedleSet({len(self.needles)} needles of {self.values} values, {self.short} too short)"


def is_large(number: int) -> bool:
    """Say whether a whole number would be recognised in the eight bytes in which a store keeps it."""
    return abs(number) >= LARGE and not any(map(_plain, eight_bytes_of(number)))


def is_fine(number: float) -> bool:
    """Say whether a number would be recognised in the eight bytes of IEEE 754, by six of them or more.

    One that is no more than a common token in digits is none in bytes either; a whole one is stored as such.
    """
    stored = struct.pack(">d", number)
    common = number.is_integer() or _COMMON.fullmatch(repr(number).encode())
    return not common and len(stored.rstrip(b"\0")) >= MIN_LENGTH and not _plain(stored)


def _needles_of(value: bytes) -> Iterator[bytes]:
    """Yield every needle of one value; nothing if its own bytes are too short or too plain.

    A value that could be seen in another encoding only would fail every control.
    """
    raw = [] if _COMMON.fullmatch(value.strip()) else list(_cut(value))
    yield from raw
    for needle in raw:
        yield from digits_of(needle)
    for form in (*texts_of(value), *numbers_of(value)) if raw else ():
        yield from _cut(form)


def _cut(form: bytes) -> Iterator[bytes]:
    """Yield the whole form, or windows of a long one, where that is varied enough."""
    if len(form) > MAX_WHOLE:
        yield from _windows(form)
    elif not _plain(form):
        yield form


def _plain(needle: bytes) -> bool:
    """Say whether a needle is too short, or too monotonous, to be recognised."""
    return len(needle) < MIN_LENGTH or len(set(needle.strip(b"\0 \t\r\n"))) < MIN_DISTINCT


def _windows(value: bytes) -> Iterator[bytes]:
    """Yield a window of the first, the middle and the last piece: the most varied one of each.

    The most varied, because padding and boilerplate say little about whose value it was.
    """
    last = (len(value) - 1) // PIECE
    for piece in sorted({0, last // 2, last}):
        start, end = piece * PIECE, min((piece + 1) * PIECE, len(value))
        if piece == last and last and end - start < WINDOW:  # too small a rest: the piece before has one
            start, end = start - PIECE, start
        candidates = [value[at : at + WINDOW] for at in range(start, end - WINDOW + 1, _STEP)]
        candidates.append(value[end - WINDOW : end])
        window = max(candidates, key=lambda candidate: len(set(candidate)))
        if not _plain(window):
            yield window
