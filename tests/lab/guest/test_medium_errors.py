"""Whole jobs on media with errors: listed to the sector, all else erased, and never plainly "verified"."""

from pathlib import Path
from typing import Any

import pytest

from deleatur.engine.directory import JobDirectory
from deleatur.errors import Refused, Transient
from deleatur.sanitize import device as whole
from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench

from ..direct import SECTOR, read
from ..drives import SIZE
from ..jobs import job, pattern_of, predicate
from .swaps import address, lead, link, node, put_back, take_off
from .uses import NULL_BLK, mapping, sh


def erased(bench: Workbench, path: Path) -> tuple[dict[str, Any], JobDirectory]:
    """Run a whole job and return its certificate."""
    directory = bench.whole(job(path))
    return predicate(directory), directory


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


def in_bytes(*sectors: tuple[int, int]) -> list[dict[str, int]]:
    return [{"start": first * SECTOR, "end": (first + count) * SECTOR} for first, count in sectors]


def has_exceptions(certificate: dict[str, Any], unwritten: list[Any], unread: list[Any]) -> bool:
    """Say whether exactly these ranges are exceptions, and the outcome says so."""
    (compared,) = certificate["verification"][0]["comparisons"]
    target = certificate["outcome"]["perTarget"][0]
    told = (compared["notWritten"], compared["notRead"], compared["mismatches"])
    named = {exception["sentence"]["id"] for exception in certificate["exceptions"]}
    return (
        told == (unwritten, unread, 0)
        and certificate["outcome"]["overall"] == "verified-with-exceptions"
        and target["assurance"] == "A2/addressable"
        and "ranges-not-read" in named
    )


def kept(directory: JobDirectory, path: Path, *parts: tuple[int, int]) -> list[int]:
    """List the sectors of these parts that do not hold the pattern of the plan."""
    pattern = laid(pattern_of(directory))
    found = []
    for first, end in parts:
        seen = read(path, first, end - first)
        expected = pattern.read("device", first * SECTOR, len(seen))
        found += [
            first + at // SECTOR
            for at in range(0, len(seen), SECTOR)
            if seen[at : at + SECTOR] != expected[at : at + SECTOR]
        ]
    return found


def test_exactly_the_nine_bad_sectors_of_null_blk_are_listed(bench: Workbench, null_blk: Path) -> None:
    certificate, directory = erased(bench, null_blk)
    nine = in_bytes((6000, 8), (10000, 1))
    assert has_exceptions(certificate, unwritten=nine, unread=nine)
    assert kept(directory, null_blk, (0, 6000), (6008, 10000), (10001, SIZE // SECTOR)) == []


def test_a_bad_sector_where_a_member_of_a_set_is_told_by_is_refused(bench: Workbench, null_blk: Path) -> None:
    (NULL_BLK / "badblocks").write_text("+4096-4096")  # VMFS, at 2 MiB
    with pytest.raises(Refused, match="could not be read"):
        bench.plan(bench.job(job(null_blk)))


def test_sectors_that_the_device_mapper_refuses_are_listed(bench: Workbench, ram_disk: Path) -> None:
    sh("modprobe dm_mod")
    table = f"0 2000 linear {ram_disk} 0\n2000 16 error\n2016 14368 linear {ram_disk} 2016\n"
    mapping("broken", table)
    (name,) = (
        path.parts[3] for path in Path("/sys/block").glob("dm-*/dm/name") if path.read_text() == "broken\n"
    )
    broken = Path("/dev") / name
    try:
        certificate, directory = erased(bench, broken)
        refused = in_bytes((2000, 16))
        assert has_exceptions(certificate, unwritten=refused, unread=refused)
        assert kept(directory, broken, (0, 2000), (2016, 16384)) == []
    finally:
        sh("dmsetup remove --noudevsync broken")


def test_sectors_that_a_scsi_disk_cannot_read_are_listed(bench: Workbench, scsi_debug: Path) -> None:
    certificate, directory = erased(bench, scsi_debug)
    assert has_exceptions(certificate, unwritten=[], unread=in_bytes((5000, 3)))
    assert kept(directory, scsi_debug, (0, 5000), (5003, 16384)) == []


def test_a_drive_that_is_taken_off_gets_no_certificate_until_it_is_back(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = node("SCSILAB1")
    lead("SCSILAB1", drive)
    place = address("SCSILAB1")
    directory = bench.approved(job(link("SCSILAB1")))
    write = whole._write

    def taken_off(fd: int, view: memoryview, base: int, low: int, high: int) -> None:
        if base and drive.exists():
            take_off("SCSILAB1")
        write(fd, view, base, low, high)

    monkeypatch.setattr(whole, "_write", taken_off)
    try:
        with pytest.raises((Transient, Refused), match=r"went away|no block device is called"):
            bench.run(directory)
        assert not drive.exists()
        assert not directory.certificate.exists()
        monkeypatch.undo()
    finally:
        put_back("SCSILAB1", place)
    bench.run(directory)
    assert kept(directory, node("SCSILAB1"), (0, SIZE // SECTOR)) == []
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"
