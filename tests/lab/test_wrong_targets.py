"""All trials of wrong targets, in shares; a few of them are run with the other files of guest/."""

from pathlib import Path

import pytest

from .guest_run import run_in_guest

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.campaign]
SHARES = 16


@pytest.mark.parametrize("share", range(1, SHARES + 1))
def test_no_device_is_written_that_was_not_approved(tmp_path: Path, share: int) -> None:
    file = "test_wrong_targets.py"
    run_in_guest([file], tmp_path, share=f"{share}/{SHARES}").check(file)
