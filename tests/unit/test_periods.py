"""When a retention ends: a golden table, leap days, and what suspensions may and may not do."""

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.documents.policy import Retention
from deleatur.judge.periods import Suspension, add_years, merged, retention_end

DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))
CAUSES = st.sampled_from(["assessment", "lawsuit", "other"])


@st.composite
def suspensions(draw: st.DrawFn) -> Suspension:
    start = draw(DAYS)
    length = draw(st.none() | st.integers(-3, 2000))
    return Suspension(draw(CAUSES), start, None if length is None else start + timedelta(days=length))


@st.composite
def retentions(draw: st.DrawFn) -> Retention:
    return Retention(
        start="issued",
        years=draw(st.integers(1, 40)),
        begins=draw(st.sampled_from(["event", "end-of-calendar-year"])),
        suspended_by=tuple(draw(st.sets(CAUSES))),
        suspension=draw(st.sampled_from(["defers-end", "stops-clock"])),
    )


@pytest.mark.parametrize(
    ("started", "years", "begins", "end"),
    [
        ("2025-03-01", 8, "end-of-calendar-year", "2033-12-31"),  # a German voucher
        ("2025-12-31", 8, "end-of-calendar-year", "2033-12-31"),
        ("2026-01-01", 8, "end-of-calendar-year", "2034-12-31"),
        ("2024-02-29", 10, "end-of-calendar-year", "2034-12-31"),
        ("2024-02-29", 1, "event", "2025-02-28"),
        ("2024-02-29", 4, "event", "2028-02-29"),
        ("2000-02-29", 100, "event", "2100-02-28"),  # 2100 is no leap year
        ("2023-02-28", 1, "event", "2024-02-28"),
        ("2026-11-22", 3, "event", "2029-11-22"),
    ],
)
def test_a_period_ends_on_its_day(started: str, years: int, begins: str, end: str) -> None:
    retention = Retention(start="issued", years=years, begins=begins)  # type: ignore[arg-type]
    assert retention_end(retention, date.fromisoformat(started), ()) == date.fromisoformat(end)


TEN = Retention(start="issued", years=10, suspended_by=("lawsuit",))
STOPS = Retention(start="issued", years=10, suspended_by=("lawsuit",), suspension="stops-clock")


@pytest.mark.parametrize(
    ("retention", "days", "end"),
    [
        (TEN, [("2012-01-01", "2014-12-31")], "2020-06-01"),  # over before the end: it defers nothing
        (TEN, [("2019-01-01", "2023-05-05")], "2023-05-05"),
        (TEN, [("2019-01-01", "2023-05-05"), ("2023-05-05", "2025-01-01")], "2025-01-01"),
        (TEN, [("2020-06-01", "2025-01-01")], "2025-01-01"),  # it began on the last day
        (TEN, [("2020-06-02", "2025-01-01")], "2020-06-01"),  # it began when all was over
        (TEN, [("2019-01-01", None)], None),
        (STOPS, [("2012-01-01", "2012-01-10")], "2020-06-11"),  # ten days later
        (STOPS, [("2012-01-01", "2012-01-10"), ("2012-01-05", "2012-01-10")], "2020-06-11"),  # counted once
        (STOPS, [("2010-05-01", "2010-06-11")], "2020-06-11"),  # days before the period do not count
        (STOPS, [("2020-06-01", "2020-06-30")], "2020-07-01"),  # the last day is still to come
        (STOPS, [("2020-06-02", "2020-06-30")], "2020-06-01"),
        (STOPS, [("2012-01-01", None)], None),
        (STOPS, [("2012-01-10", "2012-01-01")], "2020-06-01"),  # ends before it starts: no days
    ],
)
def test_a_suspension_moves_the_end(
    retention: Retention, days: list[tuple[str, str | None]], end: str | None
) -> None:
    paused = [
        Suspension("lawsuit", date.fromisoformat(a), date.fromisoformat(b) if b else None) for a, b in days
    ]
    found = retention_end(retention, date(2010, 6, 1), paused)
    assert found == (date.fromisoformat(end) if end else None)
    assert retention_end(retention, date(2010, 6, 1), [Suspension("other", date(2011, 1, 1), None)]) == date(
        2020, 6, 1
    )


def test_what_is_permanent_has_no_end() -> None:
    assert retention_end(Retention(start="issued", years="permanent"), date(2000, 1, 1), ()) is None


def test_an_end_beyond_the_calendar_is_an_error_and_no_early_day() -> None:
    with pytest.raises(OverflowError):
        add_years(date(9990, 1, 1), 10)


@given(retentions(), DAYS, st.lists(suspensions(), max_size=5), suspensions())
def test_one_suspension_more_never_ends_it_earlier(
    retention: Retention, started: date, some: list[Suspension], more: Suspension
) -> None:
    before = retention_end(retention, started, some)
    after = retention_end(retention, started, [*some, more])
    assert after is None or (before is not None and after >= before)


def test_days_of_a_stopped_clock_are_added_to_years_at_the_end() -> None:
    stopped = Retention(
        start="issued",
        years=1,
        begins="event",
        suspended_by=("lawsuit",),
        suspension="stops-clock",
    )
    lawsuit = [Suspension("lawsuit", date(1999, 11, 1), date(2000, 2, 29))]  # 120 of its days count
    assert retention_end(stopped, date(1999, 11, 1), lawsuit) == date(2001, 3, 1)
    # The year of this one holds no 29 February: it ends a day before the earlier record does.
    assert retention_end(stopped, date(2000, 2, 29), lawsuit) == date(2001, 2, 28)


@settings(max_examples=1000)
@given(retentions(), DAYS, st.integers(0, 4000), st.lists(suspensions(), max_size=3))
def test_a_later_start_never_ends_earlier(
    retention: Retention, started: date, later: int, some: list[Suspension]
) -> None:
    first = retention_end(retention, started, some)
    second = retention_end(retention, started + timedelta(days=later), some)
    # A stopped clock counts days, and the years of the earlier start may hold one leap day more.
    leap = timedelta(days=1 if retention.suspension == "stops-clock" and some else 0)
    assert first is None or second is None or second >= first - leap


@given(st.lists(suspensions(), max_size=6), DAYS)
def test_merging_changes_no_day(some: list[Suspension], day: date) -> None:
    def within(first: date, last: date | None) -> bool:
        return first <= day and (last is None or day <= last)

    assert any(within(*i) for i in merged(some)) == any(within(s.start, s.end) for s in some)


@given(retentions(), DAYS, st.lists(suspensions(), max_size=4))
def test_the_clock_that_stops_runs_as_many_days_in_all(
    retention: Retention, started: date, some: list[Suspension]
) -> None:
    plain = Retention(start="issued", years=retention.years, begins=retention.begins)
    stops = Retention(
        start="issued",
        years=retention.years,
        begins=retention.begins,
        suspended_by=("assessment", "lawsuit", "other"),
        suspension="stops-clock",
    )
    unpaused, end = retention_end(plain, started, ()), retention_end(stops, started, some)
    if end is None or unpaused is None:
        assert any(s.end is None for s in some)
        return
    begin = date(started.year, 12, 31) if retention.begins == "end-of-calendar-year" else started
    paused = {
        d
        for first, last in merged(some)
        if last is not None
        for d in range(max(first, begin + timedelta(1)).toordinal(), min(last, end).toordinal() + 1)
    }
    assert (end - begin).days - len(paused) == (unpaused - begin).days
