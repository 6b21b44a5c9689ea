"""The kernel's own fault devices do what the laboratory relies on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..direct import failing, read, write

NULL_BLK = Path("/sys/kernel/config/nullb/lab")


def sh(line: str) -> None:
    subprocess.run(["bash", "-ec", line], check=True, timeout=60)


@pytest.fixture
def null_blk() -> Iterator[Path]:
    sh("modprobe null_blk nr_devices=0")
    sh("mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config")
    NULL_BLK.mkdir()
    settings = {"size": "16", "blocksize": "512", "memory_backed": "1"}
    for name, value in settings.items():
        (NULL_BLK / name).write_text(value)
    for bad in ("+4096-4103", "+10000-10000"):
        (NULL_BLK / "badblocks").write_text(bad)
    (NULL_BLK / "power").write_text("1")
    yield Path("/dev") / NULL_BLK.name
    NULL_BLK.rmdir()


def test_null_blk_has_nine_bad_sectors(null_blk: Path) -> None:
    around = [*range(4094, 4106), *range(9999, 10002)]
    nine = [*range(4096, 4104), 10000]
    assert failing(null_blk, around, writing=False) == nine
    assert failing(null_blk, around, writing=True) == nine


@pytest.fixture
def scsi_debug() -> Iterator[Path]:
    sh("modprobe scsi_debug dev_size_mb=8 opts=2 medium_error_start=5000 medium_error_count=3 ndelay=1000")
    adapter = Path("/sys/bus/pseudo/drivers/scsi_debug/adapter0")
    (found,) = adapter.glob("host*/target*/*/block/*")
    yield Path("/dev") / found.name
    sh("modprobe -r scsi_debug")


def test_scsi_debug_cannot_read_three_sectors(scsi_debug: Path) -> None:
    assert failing(scsi_debug, range(4998, 5005), writing=False) == [5000, 5001, 5002]


@pytest.fixture
def ram_disk() -> Iterator[Path]:
    sh("modprobe brd rd_nr=1 rd_size=8192")
    yield Path("/dev/ram0")
    sh("modprobe -r brd")


def mapped(name: str, table: str) -> Path:
    subprocess.run(
        ["dmsetup", "create", "--noudevsync", name], input=table, check=True, timeout=60, text=True
    )
    return Path("/dev/mapper") / name


def test_dm_error_fails_where_its_table_says(ram_disk: Path) -> None:
    broken = mapped("broken", "0 2000 linear /dev/ram0 0\n2000 16 error\n2016 14368 linear /dev/ram0 2016\n")
    assert failing(broken, range(1998, 2018), writing=True) == [*range(2000, 2016)]
    sh("dmsetup remove --noudevsync broken")


def test_dm_flakey_drops_writes_and_says_they_are_done(ram_disk: Path) -> None:
    write(ram_disk, 0, b"\x5a" * 4096)
    sh("modprobe dm-flakey")
    lying = mapped("lying", "0 16384 flakey /dev/ram0 0 0 3600 1 drop_writes\n")
    assert write(lying, 0, bytes(4096)) == 4096
    assert read(lying, 0, 8) == b"\x5a" * 4096
    sh("dmsetup remove --noudevsync lying")
