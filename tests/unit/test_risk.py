"""Re-identification risk: counted as by hand, and suppressed until k holds without touching a sum."""

from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.desensitize.risk import measure, suppress
from deleatur.errors import Refused

CELL = st.one_of(st.none(), st.integers(0, 3))
ROWS = st.lists(st.tuples(CELL, CELL, st.integers(0, 4)), min_size=1, max_size=40)
QUASI = ("zip", "born")


def table_of(rows: list[tuple[Any, Any, int]]) -> pa.Table:
    return pa.table(
        {
            "zip": pa.chunked_array([pa.array([z for z, _, _ in rows], pa.int64())]),
            "born": pa.array([None if b is None else f"19{b}0" for _, b, _ in rows], pa.string()),
            "cents": pa.array([c for _, _, c in rows], pa.int64()),
        }
    )


@given(ROWS, st.integers(1, 6))
def test_counts_are_those_of_counting_by_hand(rows: list[tuple[Any, Any, int]], k: int) -> None:
    risk = measure(table_of(rows), QUASI, sensitive=["cents"], wanted_k=k)
    sizes = Counter((z, b) for z, b, _ in rows)
    inside = defaultdict(set)
    for z, b, c in rows:
        inside[z, b].add(c)
    assert (risk.rows, risk.classes, risk.k) == (len(rows), len(sizes), min(sizes.values()))
    assert risk.rows_below == sum(n for n in sizes.values() if n < k)
    assert risk.unique == sum(n == 1 for n in sizes.values())
    assert risk.worst == tuple(sorted(sizes.values())[:10])
    assert risk.l == (("cents", min(map(len, inside.values()))),)
    assert dict(risk.distinct) == {"zip": len({z for z, _, _ in rows}), "born": len({b for _, b, _ in rows})}
    assert dict(risk.alone)["zip"] == sum(n == 1 for n in Counter(z for z, _, _ in rows).values())


@given(ROWS, st.integers(1, 6))
def test_suppression_reaches_k_and_keeps_rows_and_sums(rows: list[tuple[Any, Any, int]], k: int) -> None:
    table = table_of(rows)
    if len(rows) < k:
        with pytest.raises(Refused, match="fewer than"):
            suppress(table, QUASI, k=k)
        return
    result = suppress(table, QUASI, k=k)
    assert measure(result, QUASI, wanted_k=k).rows_below == 0
    assert result.schema == table.schema
    assert result.column("cents").equals(table.column("cents"))
    assert suppress(result, QUASI, k=k).equals(result)
    if measure(table, QUASI, wanted_k=k).k >= k:
        assert result.equals(table)
    changed = [
        (old, new) for old, new in zip(table.to_pylist(), result.to_pylist(), strict=True) if old != new
    ]
    assert all(new["zip"] is None and new["born"] is None for _, new in changed)


def test_what_cannot_be_measured_is_refused() -> None:
    table = table_of([(1, 1, 1)])
    for bad, names in ((table, ["no"]), (table, []), (table.slice(0, 0), ["zip"])):
        with pytest.raises(Refused, match=r"quasi-identifier"):
            measure(bad, names, wanted_k=5)
