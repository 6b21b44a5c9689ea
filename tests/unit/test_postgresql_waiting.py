"""How long others wait is announced from the size of the tables, and kept."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from deleatur.api import Transient
from deleatur.cli.picture import outages
from deleatur.documents.journal import Advanced
from deleatur.judge.fold import advance, fold
from deleatur.testing.finished import finished
from deleatur_plugins.postgresql.pending import Run, without
from deleatur_plugins.postgresql.waiting import Wait, planned_outage

RUNS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda p: (p[0], p[0] + p[1])))


def test_more_to_rewrite_is_announced_as_longer() -> None:
    assert planned_outage(0) == 10_000
    assert planned_outage(350 << 20) == 10_000 + 18_350


def test_a_stretch_longer_than_announced_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("deleatur_plugins.postgresql.waiting.time.monotonic", lambda: now[0])
    wait, unbound = Wait({"approved-outage": b"2500"}), Wait({})
    now[0] += 2.5
    wait.check()
    assert wait.milliseconds == 2500
    now[0] += 0.01
    with pytest.raises(Transient, match=r"longer than the 2\.5 s that the plan announced"):
        wait.check()
    unbound.check()


@given(RUNS, RUNS)
def test_runs_without_others_hold_just_the_rest(runs: list[Run], others: list[Run]) -> None:
    assert blocks(without(runs, others)) == blocks(runs) - blocks(others)


def blocks(runs: Sequence[Run]) -> set[int]:
    return {n for start, end in runs for n in range(start, end)}


def test_the_end_tells_what_was_planned_and_what_was_measured() -> None:
    plan, progress = finished().plan, fold(())
    assert list(outages(plan, progress)) == []
    first = plan.targets[0]
    plan = replace(plan, targets=(replace(first, outage=12_300), *plan.targets[1:]))
    (step, *_) = (s for s in plan.steps if s.target == first.id)
    progress.step(step).begun = True
    for waited in (400, 100):
        advance(progress, Advanced(step=step.id, position=f"p{waited}", done=1, outage=waited))
    assert list(outages(plan, progress)) == [
        f"others waited 0.4 s at one stretch on {first.id} (planned: at most 12.3 s)"
    ]
