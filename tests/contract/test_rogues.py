"""Every rogue is caught by the promise that it breaks, and every promise has a rogue."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deleatur.testing.contract import BackendContract
from deleatur.testing.memory import MemoryBackend
from deleatur.testing.rogues import BREAKS

SUITE = """
from deleatur.testing.memory_contract import MemoryContract
from deleatur.testing.rogues import BREAKS

class TestMemoryBackend(MemoryContract):
    pass

for rogue in BREAKS:
    name = "Test" + rogue.__name__
    globals()[name] = type(name, (MemoryContract,), {"backend": rogue})
"""

CONTROLS = {"test_the_target_is_worth_testing", "test_the_badge_is_honest"}  # of the suite, not of a backend


@pytest.fixture(scope="module")
def results(run_inside: Callable[..., Any]) -> Any:
    """Run, in this process, each rogue against the promise it breaks, and the honest one against all."""
    chosen = [f"Test{rogue.__name__}::{promise}" for rogue, promise in BREAKS.items()]
    return run_inside(SUITE, "TestMemoryBackend", *chosen)


@pytest.mark.parametrize("rogue", BREAKS, ids=lambda r: r.__name__)
def test_the_rogue_is_caught_by_the_promise_it_breaks(results: Any, rogue: type[MemoryBackend]) -> None:
    name = f"Test{rogue.__name__}::{BREAKS[rogue]}"
    assert results.outcomes[name] == "failed", results.reasons[name]
    assert not [
        word for word in ("NameError", "AttributeError", "TypeError") if word in results.reasons[name]
    ]


def test_the_honest_backend_passes_all(results: Any) -> None:
    honest = {n: o for n, o in results.outcomes.items() if n.startswith("TestMemoryBackend::")}
    assert set(honest.values()) == {"passed"}
    assert len(honest) == 30  # 29 promises, one of them at two moments


def test_every_rogue_was_run(results: Any) -> None:
    assert len(results.outcomes) == 30 + len(BREAKS)
    assert len(BREAKS) >= 12


def test_every_promise_has_a_rogue() -> None:
    promises = {name for name in vars(BackendContract) if name.startswith("test_")}
    broken = {promise.partition("[")[0] for promise in BREAKS.values()}
    assert promises - CONTROLS == broken


def test_every_rogue_says_in_a_line_what_it_does() -> None:
    assert all((rogue.__doc__ or "").strip().endswith(".") for rogue in BREAKS)


def test_rogues_are_not_claimed_as_backends() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    assert "rogues" not in pyproject.read_text(encoding="utf-8")
