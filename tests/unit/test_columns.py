"""The short road of a column gives what the function for one value gives, whatever stands beside it."""

import datetime
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.desensitize import columns, values

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
ASCII = st.text(st.characters(codec="ascii"), max_size=40)
LOOKALIKES = st.text("x0*#-_ .", max_size=34)
ISO = st.one_of(st.dates().map(str), st.datetimes().map(str), st.just(""), st.just("7.3.2026"))
FLOATS = st.floats(-1e18, 1e18)


@pytest.mark.parametrize(
    ("column", "value"), [(columns.masked, values.mask), (columns.last_4, values.keep_last_4)]
)
@given(texts=st.lists(st.one_of(st.none(), TEXT, ASCII, LOOKALIKES), max_size=12), skipped=st.integers(0, 3))
def test_text(
    column: Callable[[Any], Any], value: Callable[[Any], Any], texts: list[str | None], skipped: int
) -> None:
    array = pa.array(texts, pa.string())[skipped:]  # a slice keeps the buffers of the whole
    assert column(array).to_pylist() == [None if t is None else value(t) for t in texts[skipped:]]
    assert column(array.cast(pa.large_string())).to_pylist() == column(array).to_pylist()


@given(st.lists(st.one_of(st.none(), ASCII, st.from_regex("[A-Z0-9]{0,8}", fullmatch=True)), max_size=12))
def test_first_characters(texts: list[str | None]) -> None:
    for most in (2, 3):
        expected = [values.to_first(most)(t) if t and t.strip() else None for t in texts]
        assert columns.first(pa.array(texts, pa.string()), most).to_pylist() == expected


@given(st.lists(st.one_of(st.none(), FLOATS, st.integers(-(2**53), 2**53).map(float)), max_size=12))
def test_the_text_form_of_floats(numbers: list[float | None]) -> None:
    array = pa.array(numbers, pa.float64())
    assert columns.text_of(array).to_pylist() == [None if n is None else values.plain(n) for n in numbers]


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.dates(),
            st.booleans(),
            st.datetimes(),
            st.decimals(places=2, min_value=-999, max_value=999),
        )
    )
)
def test_the_text_form_of_everything_else(mixed: list[Any]) -> None:
    for kind in (datetime.datetime, datetime.date, bool, decimal.Decimal):
        same = [v for v in mixed if type(v) is kind or v is None]
        if any(v is not None for v in same):
            assert columns.text_of(pa.array(same)).to_pylist() == [
                None if v is None else values.plain(v) for v in same
            ]


@given(st.lists(st.one_of(st.none(), ISO), max_size=12))
def test_dates_in_text(texts: list[str | None]) -> None:
    array = pa.array(texts, pa.string())
    expected = [values.date_of(t) if t else None for t in texts]
    assert columns.dates_of(array).to_pylist() == expected
    assert columns.years(array, 1).to_pylist() == [d and d.year for d in expected]
    assert columns.years(array, 5).to_pylist() == [d and d.year // 5 * 5 for d in expected]
    assert columns.months(array).to_pylist() == [d and d.isoformat()[:7] for d in expected]


@given(st.lists(st.one_of(st.none(), st.datetimes()), max_size=12))
def test_dates_in_timestamps(times: list[datetime.datetime | None]) -> None:
    for unit in ("us", "ms"):
        found = columns.dates_of(pa.array(times, pa.timestamp(unit) if unit == "us" else pa.timestamp("us")))
        assert found.to_pylist() == [t and t.date() for t in times]


def test_a_time_in_another_zone_has_the_day_of_that_zone() -> None:
    late = datetime.datetime(2025, 12, 31, 23, tzinfo=datetime.UTC)
    array = pa.array([late], pa.timestamp("us", "Asia/Shanghai"))
    assert columns.dates_of(array).to_pylist() == [datetime.date(2026, 1, 1)]


@pytest.mark.parametrize("texts", [["2026-02-30"], ["2026-02-30", "王"], ["1999-13-01T10:00"]])
def test_days_that_the_calendar_has_not_are_refused_on_both_roads(texts: list[str]) -> None:
    with pytest.raises(values.UnfitError):
        columns.dates_of(pa.array(texts))


@given(st.lists(st.one_of(st.none(), st.integers(-(2**60), 2**60)), max_size=12))
def test_integers_rounded_down(numbers: list[int | None]) -> None:
    array = pa.array(numbers, pa.int64())
    assert columns.thousands(array).to_pylist() == [None if n is None else n // 1000 for n in numbers]
    assert columns.tens(array).to_pylist() == [None if n is None else n // 10 * 10 for n in numbers]


@given(
    st.lists(
        st.one_of(st.none(), FLOATS, st.integers(-(10**12), 10**12).map(lambda n: n * 1000.0)), max_size=12
    )
)
def test_floats_rounded_down(numbers: list[float | None]) -> None:
    array = pa.array(numbers, pa.float64())
    assert columns.thousands(array).to_pylist() == [
        None if n is None else values.to_thousands(n) for n in numbers
    ]
    assert columns.tens(array).to_pylist() == [None if n is None else values.to_tens(n) for n in numbers]


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.datetimes(datetime.datetime(2, 1, 2), datetime.datetime(9998, 1, 1))),
            st.integers(-365, 365),
        ),
        max_size=12,
    )
)
def test_shifted_dates_keep_their_type_and_their_time_of_day(
    rows: list[tuple[datetime.datetime | None, int]],
) -> None:
    days = np.array([n for _, n in rows], np.int64)
    moved = [None if t is None else t + datetime.timedelta(n) for t, n in rows]
    times = pa.array([t for t, _ in rows], pa.timestamp("us"))
    assert columns.shifted(times, days).to_pylist() == moved
    assert columns.shifted(times, days).type == times.type
    dates = pa.array([t and t.date() for t, _ in rows], pa.date32())
    assert columns.shifted(dates, days).to_pylist() == [t and t.date() for t in moved]
    texts = dates.cast(pa.string())
    assert columns.shifted(texts, days).to_pylist() == [t and str(t.date()) for t in moved]


def test_the_end_of_the_calendar_is_refused() -> None:
    for array in (pa.array(["9999-12-31"]), pa.array([datetime.datetime(9999, 12, 31)])):
        with pytest.raises(values.UnfitError, match="end of the calendar"):
            columns.shifted(array, np.array([1], np.int64))
