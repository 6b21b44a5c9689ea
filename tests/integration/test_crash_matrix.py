"""Kill, starve or break whole jobs at every call that changes storage: enumerated, not sampled.

After each fault the job is resumed once. It must end in a valid certificate that says what it says
of an undisturbed job, or in a named refusal with the data intact; and no file of the job may hold a
value. These are the calls made from Python; SQLite's own: test_crash_campaign.py.
"""

import errno
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from deleatur import errors
from deleatur.errors import DeleaturError
from deleatur.testing.faults import Outcome, kill_points, run_failing_at, run_killed_at

from .crash_jobs import Trials, memory_folder, quick

__all__ = ["memory_folder", "quick"]
pytestmark = pytest.mark.usefixtures("quick")

ALLOCATING = ("open", "write", "pwrite", "ftruncate", "mkdir", "rename", "link", "setxattr", "fsync")
NAMED = {n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, DeleaturError)}
Point = TypeVar("Point")


def parts(**numbers: int) -> list[object]:
    """Name the shares of each scenario's matrix; those not in a normal run are marked."""
    normal = ("memory", "file", "sqlite")
    return [
        pytest.param(
            kind, (k, n), id=f"{kind}-{k}of{n}", marks=[] if kind in normal else pytest.mark.campaign
        )
        for kind, n in numbers.items()
        for k in range(1, n + 1)
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


@pytest.mark.parametrize(("kind", "part"), parts(memory=1, file=2, sqlite=4, whole=2, shop=6))
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
@pytest.mark.parametrize(("kind", "part"), parts(memory=1, file=2, sqlite=4, whole=2, shop=6))
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
