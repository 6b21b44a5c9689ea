"""Kill, starve or break whole jobs at every call that changes storage: enumerated, not sampled.

After each fault the job is resumed once. It must end in a valid certificate that says what it says
of an undisturbed job, or in a named refusal with the data intact; and no file of the job may hold a
value. These are the calls made from Python; SQLite's own: test_crash_campaign.py.
"""

import errno
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from deleatur.api import hookimpl
from deleatur.documents.journal import Entry
from deleatur.engine import key_ring
from deleatur.engine.spool import Spool
from deleatur.errors import Refused
from deleatur.testing.faults import (
    Outcome,
    failing_from,
    kill_points,
    list_calls,
    run_failing_at,
    run_killed_at,
)
from deleatur.testing.flushing import Ledger, watched

from .crash_jobs import NAMED, Scenario, Trials, content_of, memory_folder, quick

__all__ = ["memory_folder", "quick"]
pytestmark = pytest.mark.usefixtures("quick")

ALLOCATING = ("write", "pwrite", "ftruncate", "mkdir", "rename", "link", "setxattr")
Point = TypeVar("Point")


def parts(*normal: str, **numbers: int) -> list[object]:
    """Name the shares of each scenario's matrix; a normal run has the scenarios or shares that are named."""
    shares = [(kind, k, n, f"{kind}-{k}of{n}") for kind, n in numbers.items() for k in range(1, n + 1)]
    return [
        pytest.param(kind, (k, n), id=name, marks=[] if {kind, name} & {*normal} else pytest.mark.campaign)
        for kind, k, n, name in shares
    ]


def share(points: Sequence[Point], part: tuple[int, int]) -> Sequence[Point]:
    """Return every n-th point from the k-th on."""
    return points[part[0] - 1 :: part[1]]


@pytest.fixture
def trials(kind: str, tmp_path: Path, memory_folder: Path) -> Iterator[Trials]:
    """The trials of a scenario: on a disk where the backend asks for one."""
    made = Trials(kind, memory_folder if kind == "memory" else tmp_path)
    yield made
    print(f"{kind}: {dict(made.outcomes)}")


def distinct(calls: Sequence[str]) -> list[tuple[int, str]]:
    """Return where to kill, without the moments between a flush and the next call.

    A killed process leaves the page cache to the kernel, so they are the moments before the flush.
    """
    return [
        (n, m)
        for n, m in kill_points(calls, len(calls))
        if n == 1 or m != "before" or calls[n - 2] != "fsync"
    ]


@pytest.mark.parametrize(
    ("kind", "part"),
    parts("memory", "file", "sqlite", memory=1, file=2, sqlite=4, whole=2, shop=6, duckdb=24),
)
def test_a_kill_at_every_call_is_survived(trials: Trials, part: tuple[int, int]) -> None:
    calls = trials.calls()
    assert calls.count("fsync") > 40
    for n, moment in share(distinct(calls), part):
        with trials.trial() as scenario:
            assert run_killed_at(scenario.run, n, moment).killed, f"call {n} ({calls[n - 1]}) was not reached"
            trials.judge(f"killed {moment} call {n} ({calls[n - 1]})", scenario)
    assert set(trials.outcomes) == {"certified"}


def check_named(outcome: Outcome) -> None:
    """Check that a run ended in an error of ours, in one line."""
    name, _, text = outcome.error.partition(": ")
    assert name in NAMED, outcome.error
    assert text
    assert "\n" not in text


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize(
    ("kind", "part"),
    parts("memory", "file-1of2", "sqlite-1of4", memory=1, file=2, sqlite=4, whole=2, shop=6, duckdb=24),
)
def test_a_failing_call_anywhere_is_survived(trials: Trials, part: tuple[int, int], code: int) -> None:
    calls = trials.calls()
    chosen = [n for n, call in enumerate(calls, 1) if code == errno.EIO or call in ALLOCATING]
    for n in share(chosen, part):
        with trials.trial() as scenario:
            outcome = run_failing_at(scenario.run, n, code)
            if outcome.error:
                check_named(outcome)
            else:
                assert scenario.job.certificate.exists()
            trials.judge(f"call {n} ({calls[n - 1]}) failed: {outcome.error}", scenario)
    assert set(trials.outcomes) == {"certified"}


@pytest.mark.parametrize(
    ("kind", "part"), parts("memory", "file", memory=1, file=1, sqlite=2, whole=1, shop=2)
)
def test_a_power_cut_that_loses_the_spool_key_never_ends_in_a_claim(
    trials: Trials, part: tuple[int, int]
) -> None:
    """What was erased unsampled is said to be unverified; what can be sampled again, is."""
    calls = trials.calls()
    unsearched = 0
    for n in share([n for n, call in enumerate(calls, 1) if call == "fsync"], part):
        with trials.trial() as scenario:
            assert run_killed_at(scenario.run, n).killed
            lost = set() if scenario.job.certificate.exists() else scenario.begun()
            key_ring.destroy(scenario.key_name())
            assert Spool.open(scenario.job.spool, scenario.plan().id) is None
            trials.judge(f"cut off before call {n}, begun: {sorted(lost)}", scenario, lost)
            unsearched += bool(lost)
    assert 0 < unsearched < sum(trials.outcomes.values()), "the control: some were sampled again, some not"
    assert set(trials.outcomes) == {"certified"}


@pytest.mark.parametrize(
    ("kind", "part"), parts("memory", "file", memory=1, file=1, sqlite=4, whole=2, shop=4, duckdb=2)
)
def test_two_kills_are_survived_as_one_is(trials: Trials, part: tuple[int, int]) -> None:
    """Pairs, drawn: killed in the run, and killed again in the resume."""
    draw = random.Random(f"{trials.kind} {part}")
    calls = trials.calls()
    seconds = 0
    for first in sorted(draw.sample(range(1, len(calls) + 1), 24)):
        second = draw.randint(1, len(calls) - first + 12)
        with trials.trial() as scenario:
            assert run_killed_at(scenario.run, first, "torn").killed
            seconds += run_killed_at(scenario.run, second, "torn").killed
            trials.judge(f"killed at calls {first} and then {second}", scenario)
    assert seconds > 8
    assert set(trials.outcomes) == {"certified"}


@pytest.mark.parametrize("code", [None, errno.EIO, errno.ENOSPC], ids=["kill", "EIO", "ENOSPC"])
@pytest.mark.parametrize(("kind", "part"), parts("memory", memory=1, file=1, sqlite=1, shop=1))
def test_what_was_half_planned_or_half_approved_does_not_count(
    trials: Trials, part: tuple[int, int], code: int | None
) -> None:
    with trials.draft() as scenario:
        calls = list_calls(scenario.plan_and_approve)
    assert calls.count("fsync") > 6
    for n, moment in share(
        distinct(calls) if code is None else [(n, "") for n in range(1, len(calls) + 1)], part
    ):
        with trials.draft() as scenario:
            if code is None:
                assert run_killed_at(scenario.plan_and_approve, n, moment).killed
            else:
                failed = bool(run_failing_at(scenario.plan_and_approve, n, code).error)
                assert failed or calls[n - 1] == "mkdir", "a folder that is there already"
            approvals = len(scenario.approved_by()) if scenario.job.plan.exists() else 0
            if approvals < 2:
                with pytest.raises(Refused):
                    scenario.run()
                assert content_of(scenario.root) == scenario.before
            scenario.plan_and_approve()
            trials.judge(f"planning stopped {moment} call {n} ({calls[n - 1]})", scenario)
    assert set(trials.outcomes) == {"certified"}


class Watching:
    """An observer that notes what a power cut would lose, each time an entry was made durable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.seen: list[tuple[str, tuple[str, ...]]] = []

    @hookimpl
    def on_event(self, entry: Entry) -> None:
        self.seen.append((type(entry.event).__name__, self._ledger.due()))


@pytest.mark.parametrize(
    ("kind", "part"), parts("memory", "file", "sqlite", memory=1, file=1, sqlite=1, whole=1, shop=1)
)
def test_a_power_cut_after_an_entry_loses_nothing_that_the_entry_says(
    trials: Trials, part: tuple[int, int]
) -> None:
    with trials.trial() as scenario, watched() as ledger:
        watching = Watching(ledger)
        scenario.bench.hooks.register(watching, "watching")
        scenario.run()
        assert ledger.changes > 60
        assert ledger.due() == ()
    assert len(watching.seen) > 10
    assert [(kind, due) for kind, due in watching.seen if due] == [], part


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize(("kind", "part"), parts("memory", memory=1, file=1, sqlite=3, whole=1, shop=4))
def test_a_disk_that_dies_or_fills_up_for_good_is_survived_when_it_is_well_again(
    trials: Trials, part: tuple[int, int], code: int
) -> None:
    calls = trials.calls()
    for n in share(range(1, len(calls) + 1), part):
        with trials.trial() as scenario:

            def run(scenario: Scenario = scenario, n: int = n) -> None:
                with failing_from(n, code):
                    scenario.run()

            outcome = run_failing_at(run, sys.maxsize, code)
            check_named(outcome)
            trials.judge(f"all calls failed from {n} ({calls[n - 1]}) on: {outcome.error}", scenario)
    assert set(trials.outcomes) == {"certified"}
