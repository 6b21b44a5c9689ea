"""What `deleatur remote show` says of a job is the far end's word, and never that it is certified."""

import pytest

from deleatur.cli.remote import state_of
from deleatur.documents.errand import Standing


@pytest.mark.parametrize(
    ("running", "plan", "files", "state"),
    [
        (False, "", (), "no plan"),
        (False, "a" * 64, (), "planned"),
        (True, "a" * 64, (), "running"),
        (False, "a" * 64, ("certificate/certificate.dsse.json",), "ended"),
    ],
)
def test_a_state_is_told_and_nothing_is_claimed(
    running: bool, plan: str, files: tuple[str, ...], state: str
) -> None:
    standing = Standing(running=running, number="", ending=None, job="", plan=plan, files=files)
    assert state_of(standing) == state
