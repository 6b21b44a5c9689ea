"""A chain of lines, each of which carries the SHA-256 of the one before: journal and ledger are such chains.

No line can be changed, dropped or put between two others without breaking it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from deleatur.errors import Malformed


class Link(Protocol):
    """What every line of a chain carries."""

    @property
    def n(self) -> int: ...
    @property
    def previous(self) -> str: ...


L = TypeVar("L", bound=Link)


def digest_of_line(line: bytes) -> str:
    """Return what the entry after `line` carries as `previous`: SHA-256 without the newline."""
    return hashlib.sha256(line.removesuffix(b"\n")).hexdigest()


def links(
    lines: Iterable[bytes], anchor: str, decode: Callable[[bytes], L], *, first: int = 0
) -> Iterator[L]:
    """Yield the entries of a chain; `lines` end with their newline, and `anchor` stands before the first.

    `first` is the number of the first entry, where the chain before it was read already.

    Raises:
        Malformed: `broken-chain`: a line was changed, dropped or put in, or belongs elsewhere.
    """
    previous = anchor
    for number, line in enumerate(lines, first):
        where = f"line {number + 1}"
        try:
            entry = decode(line)
        except Malformed as error:
            raise Malformed(f"the chain breaks: {error}", kind="broken-chain", where=where) from None
        if entry.n != number:
            raise Malformed(
                f"the chain breaks: entry {entry.n} stands there", kind="broken-chain", where=where
            )
        if entry.previous != previous:
            raise Malformed(
                "the chain breaks: not the successor of what stands before", kind="broken-chain", where=where
            )
        yield entry
        previous = digest_of_line(line)
