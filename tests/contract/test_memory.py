"""The memory backend keeps every promise of the contract, and none of them is listed away."""

from deleatur.testing.contract import badge
from deleatur.testing.memory_contract import MemoryContract


class TestMemory(MemoryContract):
    """All promises, with all hooks."""


def test_the_badge_says_that_everything_applies() -> None:
    assert badge(TestMemory) == (
        "deleatur contract 1: MemoryBackend is tested for 29 promises; 0 not applicable"
    )
