"""Each command of devices as a whole job on a played drive, and each lie, in a guest of its own."""

from pathlib import Path

import pytest

from deleatur.devices.commanding import COMMANDS

from .guest_run import run_in_guest

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(600)]
FILE = "every_job.py"
LIES = ("format-", "sanitize-", "scsi-sanitize-", "ata-sanitize-", "security-erase-")  # how their names begin


@pytest.mark.parametrize("technique", COMMANDS)
def test_technique(technique: str, tmp_path: Path) -> None:
    run_in_guest([FILE], tmp_path, f"kept[{technique}]").check(FILE)


@pytest.mark.parametrize("begin", LIES)
def test_lies(begin: str, tmp_path: Path) -> None:
    run_in_guest([FILE], tmp_path, f"certified[{begin}").check(FILE)


def test_frozen(tmp_path: Path) -> None:
    run_in_guest([FILE], tmp_path, "frozen").check(FILE)
