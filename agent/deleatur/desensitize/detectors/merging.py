"""Settle overlapping candidates, so that every character of any candidate is covered exactly once.

What overlaps is joined and not chosen from: the part of a loser that stands outside the winner would
otherwise stay in the text.
"""

from collections.abc import Iterable

from deleatur.documents.detection import Span


def settle(candidates: Iterable[Span]) -> list[Span]:
    """Return spans that do not overlap, in order; each has the type of its best candidate."""
    settled: list[Span] = []
    group: list[Span] = []
    end = 0
    for span in sorted(set(candidates), key=lambda s: (s.start, -s.end, s.type)):
        if group and span.start >= end:
            settled.append(_joined(group, end))
            group = []
        group.append(span)
        end = span.end if len(group) == 1 else max(end, span.end)
    if group:
        settled.append(_joined(group, end))
    return settled


def _joined(group: list[Span], end: int) -> Span:
    best = max(group, key=_rank)
    return best._replace(start=group[0].start, end=end)


def _rank(span: Span) -> tuple[float, int, bool, str]:
    """Order candidates: confidence, with a bonus for what is longer and for what is checked."""
    length = span.end - span.start
    bonus = 0.15 if span.checked else 0.0
    return span.confidence + bonus + min(length, 40) * 0.01, length, span.checked is not False, span.type
