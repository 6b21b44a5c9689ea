"""Where the guest's tests begin: no conftest above this one is read there. Devices with faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .uses import NULL_BLK, sh


@pytest.fixture
def null_blk() -> Iterator[Path]:
    sh("modprobe null_blk nr_devices=0")
    sh("mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config")
    NULL_BLK.mkdir()
    settings = {"size": "16", "blocksize": "512", "memory_backed": "1"}
    for name, value in settings.items():
        (NULL_BLK / name).write_text(value)
    for bad in ("+6000-6007", "+10000-10000"):
        (NULL_BLK / "badblocks").write_text(bad)
    (NULL_BLK / "power").write_text("1")
    yield Path("/dev") / NULL_BLK.name
    NULL_BLK.rmdir()


@pytest.fixture
def scsi_debug() -> Iterator[Path]:
    sh("modprobe scsi_debug dev_size_mb=8 opts=2 medium_error_start=5000 medium_error_count=3 ndelay=1000")
    adapter = Path("/sys/bus/pseudo/drivers/scsi_debug/adapter0")
    (found,) = adapter.glob("host*/target*/*/block/*")
    yield Path("/dev") / found.name
    sh("modprobe -r scsi_debug")


@pytest.fixture
def ram_disk() -> Iterator[Path]:
    sh("modprobe brd rd_nr=1 rd_size=8192")
    yield Path("/dev/ram0")
    sh("modprobe -r brd")
