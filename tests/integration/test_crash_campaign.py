"""Kill or fail whole jobs at every system call that changes storage, SQLite's own and age's included.

strace counts and injects, so nothing of ours chooses what is seen. What must come of it is as in
test_crash_matrix.py. The normal run takes the last call of each kind; the campaign takes all.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .crash_jobs import NAMED, Trials, memory_folder, quick
from .traced import counted, injected

__all__ = ["memory_folder", "quick"]
pytestmark = [pytest.mark.usefixtures("quick"), pytest.mark.root]

SHARES = {"memory": 2, "file": 3, "sqlite": 8, "whole": 3, "shop": 10}
FAULTS = {"kill": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}


@pytest.fixture
def trials(kind: str, tmp_path: Path, memory_folder: Path) -> Iterator[Trials]:
    """The trials of a scenario: on a disk where the backend asks for one."""
    made = Trials(kind, memory_folder if kind == "memory" else tmp_path)
    yield made
    print(f"{kind}: {dict(made.outcomes)}")


def calls_of(trials: Trials, folder: Path) -> list[tuple[str, int]]:
    """Return the system calls of a whole run."""
    with trials.trial() as scenario:
        calls = counted(scenario.run, folder / "trace")
    assert len(calls) > 100
    assert {"fsync", "write"} <= {call for call, _ in calls}
    return calls


def try_out(trials: Trials, call: str, number: int, fault: str) -> None:
    """Run with a fault, resume, and judge."""
    with trials.trial() as scenario:
        ended = injected(scenario.run, call, number, FAULTS[fault])
        name = ended.error.partition(": ")[0]
        assert name in NAMED or not ended.error, ended.error
        assert ended.killed or ended.error or scenario.job.certificate.exists()
        trials.faults += ended.killed or bool(ended.error)
        trials.judge(f"{fault} at {call} {number}: {ended.error}", scenario)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", ["sqlite"])
def test_the_last_call_of_each_kind_is_survived(trials: Trials, fault: str, tmp_path: Path) -> None:
    last = dict(calls_of(trials, tmp_path))
    assert len(last) > 8
    for call, number in last.items():
        try_out(trials, call, number, fault)
    assert trials.faults > len(last) // 2
    assert set(trials.outcomes) == {"certified"}


@pytest.mark.campaign
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("kind", "part"),
    [pytest.param(k, n, id=f"{k}-{n}of{count}") for k, count in SHARES.items() for n in range(1, count + 1)],
)
def test_a_fault_at_every_system_call_is_survived(
    trials: Trials, part: int, fault: str, tmp_path: Path
) -> None:
    mine = calls_of(trials, tmp_path)[part - 1 :: SHARES[trials.kind]]
    for call, number in mine:
        try_out(trials, call, number, fault)
    assert trials.faults > len(mine) // 2, "the control: the faults did arrive"
    assert set(trials.outcomes) == {"certified"}
