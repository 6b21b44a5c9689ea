"""Ranges of bytes: where they are, never what they hold. Pure."""

from collections.abc import Iterable

from deleatur.documents.place import Ranges


def merged(runs: Iterable[tuple[int, int]]) -> Ranges:
    """Return the same bytes as ranges in order, none touching another."""
    whole: list[tuple[int, int]] = []
    for start, end in sorted(runs):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], end)
        else:
            whole.append((start, end))
    return tuple(whole)


def size_of(ranges: Ranges) -> int:
    """Return how many bytes lie in the ranges."""
    return sum(end - start for start, end in ranges)


def in_both(some: Ranges, others: Ranges) -> int:
    """Return how many bytes lie in both; in neither of the two does a range touch another."""
    return size_of(some) + size_of(others) - size_of(merged((*some, *others)))
