"""Compute when a retention ends: start event, whole years, end of the calendar year, suspension. Pure.

All days are calendar days; the end is the last day on which the record must still be there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from deleatur.documents.policy import Retention

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Suspension:
    """A time in which a period does not run out: a tax assessment that is open, a lawsuit."""

    cause: str
    start: date  # first day
    end: date | None  # last day; None: not over yet


def retention_end(retention: Retention, started: date, suspensions: Iterable[Suspension]) -> date | None:
    """Return the last day of a retention; None: it has none, because it is permanent or suspended still.

    Only suspensions for a cause that the retention names count.

    Raises:
        OverflowError: the end lies beyond the year 9999.
    """
    if retention.years == "permanent":
        return None
    begin = date(started.year, 12, 31) if retention.begins == "end-of-calendar-year" else started
    end = add_years(begin, retention.years)
    counted = merged([s for s in suspensions if s.cause in retention.suspended_by])
    if retention.suspension == "defers-end":
        return _deferred(end, counted)
    return _stopped(begin, end, counted)


def add_years(day: date, years: int) -> date:
    """Return the same day `years` later; 29 February becomes 28 February where there is none.

    Raises:
        OverflowError: beyond the year 9999.
    """
    if day.year + years > date.max.year:
        raise OverflowError(f"{day.year} + {years} years is beyond the calendar")
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February of a year that has none: its month's last day
        return day.replace(year=day.year + years, day=28)


def merged(suspensions: Iterable[Suspension]) -> list[tuple[date, date | None]]:
    """Return the days of all suspensions as separate intervals, in order.

    One that ends before it starts has no days.
    """
    intervals: list[tuple[date, date | None]] = []
    real = [s for s in suspensions if s.end is None or s.end >= s.start]
    for one in sorted(real, key=lambda s: s.start):
        if not intervals:
            intervals.append((one.start, one.end))
            continue
        first, last = intervals[-1]
        if last is None:
            return intervals
        if one.start > last + _DAY:
            intervals.append((one.start, one.end))
        elif one.end is None or one.end > last:
            intervals[-1] = (first, one.end)
    return intervals


def _deferred(end: date, intervals: Sequence[tuple[date, date | None]]) -> date | None:
    """The period runs, and does not end before a suspension does that began within it."""
    for first, last in intervals:
        if first > end:
            break
        if last is None:
            return None
        end = max(end, last)
    return end


def _stopped(begin: date, end: date, intervals: Sequence[tuple[date, date | None]]) -> date | None:
    """The days of a suspension do not count: as many come after it."""
    for first, last in intervals:
        if first > end:
            break
        if last is None:
            return None
        end += max((last - max(first, begin + _DAY) + _DAY), timedelta(0))
    return end
