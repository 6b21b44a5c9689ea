"""A mapping keeps its name, its UUID and its size, and leads to another drive: that one is not written."""

from pathlib import Path

import pytest

from deleatur.errors import Refused
from deleatur.testing.workbench import Workbench

from ..direct import read
from ..drives import by_serial
from ..jobs import job, predicate
from .uses import SECTORS, sh

TWINS = ("SCSILAB0", "SCSILAB1")  # same maker, same model, same size
NAME = "swapped"


def led_to(drive: str) -> str:
    return f"0 {SECTORS} linear {by_serial(drive)} 0"


@pytest.mark.parametrize("uuid", ["", "--uuid LAB-swapped"])
def test_a_mapping_that_leads_to_another_drive_is_another_device(tmp_path: Path, uuid: str) -> None:
    bench = Workbench(tmp_path / "jobs")
    sh(f"dmsetup create --noudevsync {uuid} {NAME} --table '{led_to(TWINS[0])}'")
    try:
        number = Path(f"/dev/mapper/{NAME}").stat().st_rdev & 0xFF
        directory = bench.approved(job(f"/dev/dm-{number}"))
        before = read(by_serial(TWINS[1]), 0, SECTORS)
        sh(
            f"dmsetup suspend --noudevsync {NAME}; dmsetup load {NAME} --table '{led_to(TWINS[1])}'; "
            f"dmsetup resume --noudevsync {NAME}"
        )
        with pytest.raises(Refused, match="not the target of the plan"):
            bench.run(directory)
        assert read(by_serial(TWINS[1]), 0, SECTORS) == before
        sh(
            f"dmsetup suspend --noudevsync {NAME}; dmsetup load {NAME} --table '{led_to(TWINS[0])}'; "
            f"dmsetup resume --noudevsync {NAME}"
        )
        bench.run(directory)
        assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"
    finally:
        sh(f"dmsetup remove --noudevsync {NAME}")
