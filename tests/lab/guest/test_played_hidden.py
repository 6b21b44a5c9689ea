"""Whole jobs on drives that hide half of their sectors, through the kernel's own SCSI layer."""

from pathlib import Path

import pytest

from deleatur.engine.jobs import read_plan
from deleatur.errors import Failed
from deleatur.sanitize.device import medium_of
from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench

from ..direct import read
from ..drives import SIZE
from ..jobs import job, pattern_of, predicate
from ..played_drives import scsi_drive
from ..played_jobs import answers


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def lifts(drive: Path) -> str:
    return job(drive, "overwrite-device") + "lift_hidden = true\n"


@pytest.mark.parametrize(("way", "commands"), [("hpa", ["27", "37", "c6"]), ("dco", ["b1", "c6"])])
def test_hidden_sectors_are_lifted_overwritten_and_read_back(
    bench: Workbench, way: str, commands: list[str]
) -> None:
    with scsi_drive(way, "ok") as drive:
        directory = bench.whole(lifts(drive))
        with drive.open("rb") as opened:
            assert medium_of(opened.fileno()).size == SIZE
        for sector in (0, SIZE // 2 // 512, SIZE // 512 - 8):
            assert read(drive, sector, 8) == laid(pattern_of(directory)).read("device", sector * 512, 4096)
    planned = read_plan(directory).plan.targets[0]
    assert (planned.shown, planned.size) == (SIZE // 2, SIZE)
    assert [block[28:30] for block, _ in answers(directory)] == commands
    outcome = predicate(directory)["outcome"]["perTarget"][0]
    assert outcome["assurance"] == "A3/addressable"
    assert outcome["claims"][0]["id"] == "hidden-lifted"


def test_a_drive_that_says_so_and_shows_no_more_gets_no_certificate(bench: Workbench) -> None:
    with scsi_drive("amac", "lie") as drive:
        before = read(drive, 0, 8)
        directory = bench.approved(lifts(drive))
        with pytest.raises(Failed, match="were planned, whatever it answered"):
            bench.run(directory)
        assert read(drive, 0, 8) == before
    assert not directory.certificate.exists()
    assert [block[28:30] for block, _ in answers(directory)] == ["78", "78"]
