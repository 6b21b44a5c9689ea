"""Re-identification risk: counted as by hand, and suppressed until k and l hold without touching a sum."""

from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.desensitize.risk import Classes, suppress
from deleatur.documents.job import RiskLimit
from deleatur.documents.journal import ArchivedRows, ReachedRisk
from deleatur.errors import Refused
from deleatur.judge.risk import holds

CELL = st.one_of(st.none(), st.integers(0, 3))
ROWS = st.lists(st.tuples(CELL, CELL, st.integers(0, 4)), min_size=1, max_size=40)
QUASI = ("zip", "born")
Rows = list[tuple[Any, Any, int]]


def table_of(rows: Rows) -> pa.Table:
    return pa.table(
        {
            "zip": pa.chunked_array([pa.array([z for z, _, _ in rows], pa.int64())]),
            "born": pa.array([None if b is None else f"19{b}0" for _, b, _ in rows], pa.string()),
            "cents": pa.array([c for _, _, c in rows], pa.int64()),
        }
    )


def counted(table: pa.Table, part: int = 7) -> Classes:
    classes = Classes(QUASI, "cents")
    for start in range(0, table.num_rows, part):
        classes.add(table.slice(start, part))
    return classes


def by_hand(rows: Rows) -> tuple[dict[tuple[Any, Any], int], dict[tuple[Any, Any], set[int]]]:
    inside: dict[tuple[Any, Any], set[int]] = defaultdict(set)
    for z, b, c in rows:
        inside[z, b].add(c)
    return Counter((z, b) for z, b, _ in rows), inside


@given(ROWS, st.integers(1, 6))
def test_counts_are_those_of_counting_by_hand(rows: Rows, k: int) -> None:
    risk = counted(table_of(rows)).risk(k)
    sizes, inside = by_hand(rows)
    assert (risk.rows, risk.groups, risk.k) == (len(rows), len(sizes), min(sizes.values()))
    assert risk.l == min(map(len, inside.values()))
    assert risk.rows_below == sum(n for n in sizes.values() if n < k)
    assert risk.unique == sum(n == 1 for n in sizes.values())
    assert [(g.rows, g.groups) for g in risk.worst] == sorted(Counter(sizes.values()).items())[:10]
    assert sum(bar.groups for bar in risk.histogram) == len(sizes)
    assert [s.columns for s in risk.sets] == [("zip",), ("born",), QUASI]
    alone = Counter(z for z, _, _ in rows)
    assert (risk.sets[0].groups, risk.sets[0].smallest) == (len(alone), min(alone.values()))
    assert risk.sets[0].unique == sum(n == 1 for n in alone.values())


@given(ROWS, st.integers(1, 6), st.one_of(st.none(), st.integers(2, 4)))
def test_suppression_reaches_k_and_l_and_keeps_rows_and_sums(rows: Rows, k: int, l: int | None) -> None:  # noqa: E741
    table = table_of(rows)
    failing = counted(table).failing(k, l)
    if failing is None:
        assert len(rows) < k or (l is not None and len({c for _, _, c in rows}) < l)
        return
    result, suppressed = suppress(table, failing)
    after = counted(result).risk(k)
    assert after.k >= k
    assert l is None or (after.l or 0) >= l
    assert result.schema == table.schema
    assert result.column("cents").equals(table.column("cents"))
    changed = [(o, n) for o, n in zip(table.to_pylist(), result.to_pylist(), strict=True) if o != n]
    assert len(changed) == suppressed == failing.rows
    assert all(new["zip"] is None and new["born"] is None for _, new in changed)
    sizes, inside = by_hand(rows)
    if min(sizes.values()) >= k and (l is None or min(map(len, inside.values())) >= l):
        assert suppressed == 0


def test_floats_are_refused_by_column() -> None:
    with pytest.raises(Refused, match="column zip: floats"):
        Classes(["zip"]).add(pa.table({"zip": [1.5]}))


def test_a_column_of_nothing_but_null_is_one_value() -> None:
    table = pa.table({"zip": pa.nulls(3), "born": pa.array(["a", "a", "b"]), "cents": [1, 2, 3]})
    assert counted(table).risk(2).k == 1


LIMIT = RiskLimit(quasi=("zip",), k=5, sensitive="cents", l=2, suppress="0.1")


@pytest.mark.parametrize(
    ("reached", "kept"),
    [
        (ReachedRisk(k=5, l=2, suppressed=10, rungs=0), True),
        (ReachedRisk(k=4, l=2, suppressed=10, rungs=0), False),
        (ReachedRisk(k=5, l=1, suppressed=10, rungs=0), False),
        (ReachedRisk(k=5, l=None, suppressed=10, rungs=0), False),
        (ReachedRisk(k=5, l=2, suppressed=11, rungs=0), False),
        (ReachedRisk(k=5, l=2, suppressed=10, rungs=1), False),
        (None, False),
    ],
)
def test_a_journal_beyond_the_limit_is_judged_so(reached: ReachedRisk | None, kept: bool) -> None:
    rows = ArchivedRows(table="t", rows=100, sha256="0" * 64, risk=reached)
    assert holds(LIMIT, rows) is kept
    assert holds(None, rows) is (reached is None)
