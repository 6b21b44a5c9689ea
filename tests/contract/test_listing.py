"""What a vendor lists as not applicable is shown, is not counted, and cannot hide what applies."""

from collections.abc import Callable
from typing import Any

import pytest

from deleatur.testing.contract import BackendContract, badge
from deleatur.testing.memory_contract import MemoryContract

BADGE = "TestListed::test_the_badge_is_honest"


def listing(*names: str, reason: str = "because") -> str:
    """Return a test module whose class lists `names`."""
    return f"""
from deleatur.testing.memory_contract import MemoryContract
class TestListed(MemoryContract):
    not_applicable = {dict.fromkeys(names, reason)!r}
"""


def test_a_listed_test_is_not_collected_and_stands_in_the_badge(run_inside: Callable[..., Any]) -> None:
    results = run_inside(listing("test_not_knowing_is_not_gone"))
    assert set(results.outcomes.values()) == {"passed"}
    assert "TestListed::test_not_knowing_is_not_gone" not in results.outcomes
    assert len(results.outcomes) == 29  # 28 promises, one of them at two moments

    class Listed(MemoryContract):
        not_applicable = {"test_not_knowing_is_not_gone": "because"}  # noqa: RUF012

    assert badge(Listed).splitlines() == [
        "deleatur contract 1: MemoryBackend is tested for 28 promises; 1 not applicable",
        "  not applicable: test_not_knowing_is_not_gone: because",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "test_bystanders_are_untouched",
        "test_records_round_trip",
        "test_keystream_reads_back",
        "test_a_missing_key_is_an_error",
        "test_canaries_are_gone_below_the_interface",
    ],
)
def test_what_can_be_seen_to_apply_cannot_be_listed(run_inside: Callable[..., Any], name: str) -> None:
    results = run_inside(listing(name), BADGE)
    assert results.outcomes == {BADGE: "failed"}
    assert f"listed although they apply: ['{name}']" in results.reasons[BADGE]


@pytest.mark.parametrize("name", ["test_erase_is_lazy", "test_identity_is_stable", "test_of_my_own"])
def test_a_promise_of_every_storage_cannot_be_listed(run_inside: Callable[..., Any], name: str) -> None:
    results = run_inside(listing(name), BADGE)
    assert results.outcomes == {BADGE: "failed"}
    assert f"cannot be listed: ['{name}']" in results.reasons[BADGE]


def test_a_reason_is_needed(run_inside: Callable[..., Any]) -> None:
    results = run_inside(listing("test_not_knowing_is_not_gone", reason=" "), BADGE)
    assert "each one needs a reason" in results.reasons[BADGE]


@pytest.mark.parametrize(
    ("hook", "test"),
    [
        ("replace", "test_a_replaced_target_is_another"),
        ("denied", "test_not_knowing_is_not_gone"),
    ],
)
def test_a_hook_that_is_not_written_fails_its_test(
    run_inside: Callable[..., Any], hook: str, test: str
) -> None:
    text = f"""
from deleatur.testing.contract import BackendContract
from deleatur.testing.memory_contract import MemoryContract
class TestBare(MemoryContract):
    {hook} = BackendContract.{hook}
"""
    results = run_inside(text, f"TestBare::{test}")
    assert results.outcomes == {f"TestBare::{test}": "failed"}
    assert f"write the hook `{hook}`, or list {test}" in results.reasons[f"TestBare::{test}"]


def test_what_may_be_listed_exists() -> None:
    assert {n for n in BackendContract.MAY_NOT_APPLY if not hasattr(BackendContract, n)} == set()
