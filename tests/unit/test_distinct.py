"""Distinct rows: what a dictionary would keep, in memory that repeats do not make grow."""

import tracemalloc
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from deleatur.archive import distinct
from deleatur.archive.distinct import Distinct
from deleatur.archive.fingerprints import Fingerprints
from deleatur.sanitize.digest import keyed_digest_of_set

KEY = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 3).map(lambda n: n << 58), st.integers(0, 3))
PARTS = st.lists(st.lists(st.tuples(KEY, st.integers(0, 2)), max_size=9), max_size=9)


@given(PARTS, st.integers(1, 2), st.integers(1, 40))
def test_rows_are_those_of_a_dictionary(parts: list[list[tuple[int, int]]], keys: int, waiting: int) -> None:
    rows = Distinct(np.uint64, np.int32, keys=keys)
    expected: dict[tuple[int, ...], tuple[int, int]] = {}
    with patch.object(distinct, "_WAITING", waiting):
        for part in parts:
            rows.add(np.array([r[0] for r in part], np.uint64), np.array([r[1] for r in part], np.int32))
            for row in part:
                expected.setdefault(row[:keys], row)
        assert len(rows) == len(expected)
        shown = [(int(a), int(b)) for shard in rows.shards() for a, b in zip(*shard, strict=True)]
        drained = [(int(a), int(b)) for shard in rows.drain() for a, b in zip(*shard, strict=True)]
    assert shown == drained == [expected[key] for key in sorted(expected)]
    assert len(rows) == 0


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that Python and numpy held while `work` ran."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_what_is_learnt_ever_again_takes_no_more_memory() -> None:
    values = pa.array([f"person {n} of many" for n in range(8000)] + [f"{n:07}" for n in range(8000)])
    everyone = np.ones(len(values), bool)

    def learn(times: int) -> tuple[int, int]:
        known = Fingerprints(bytes(32))
        for _ in range(times):
            tags = known.tags(values)
            known.forbid(values, tags, everyone, 0)
            known.allow(tags[::2])
        return known.settle()

    with patch.object(distinct, "_WAITING", 1 << 14):
        once = peak(lambda: learn(1))
        assert learn(40) == learn(1) == (8000, 8000)
        assert peak(lambda: learn(40)) < 2 * once + (4 << 20)


def test_a_digest_of_a_set_takes_no_more_memory_for_more_of_it() -> None:
    def rows(count: int) -> Callable[[], str]:
        return lambda: keyed_digest_of_set(bytes(32), (str(n).encode() for n in range(count)))

    assert peak(rows(30_000)) < peak(rows(300)) + (64 << 10)
