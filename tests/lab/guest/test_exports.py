"""Uses that no exclusive open tells of: what the guest's kernel serves to others, what is open otherwise."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deleatur.devices.inventory import device_at, read_table
from deleatur.judge.interlocks import interlocks

from ..drives import SIZE, by_serial

CONFIG = Path("/sys/kernel/config")


def run(*words: str) -> None:
    subprocess.run(words, check=True, timeout=60)


@pytest.fixture(scope="module", autouse=True)
def configfs() -> None:
    for module in ("configfs", "nvmet", "target_core_mod", "target_core_file", "target_core_iblock"):
        run("modprobe", module)
    if not (CONFIG / "nvmet").exists():
        run("mount", "-t", "configfs", "none", str(CONFIG))


@contextmanager
def made(*folders: Path) -> Iterator[None]:
    """Make folders of configfs one after the other, and take them away in the other order."""
    for folder in folders:
        folder.mkdir()
    try:
        yield
    finally:
        for folder in reversed(folders):
            folder.rmdir()


@contextmanager
def over_nvme(device: Path) -> Iterator[None]:
    system = CONFIG / "nvmet/subsystems/nqn.lab"
    namespace = system / "namespaces/1"
    with made(system, namespace):
        (namespace / "device_path").write_text(str(device))
        (namespace / "enable").write_text("1")
        try:
            yield
        finally:
            (namespace / "enable").write_text("0")


@contextmanager
def over_scsi(adapter: str, control: str) -> Iterator[None]:
    folder = CONFIG / "target/core" / adapter
    with made(folder, folder / "lab"):
        (folder / "lab/control").write_text(control)
        (folder / "lab/enable").write_text("1")
        yield


def exported(device: Path) -> bool:
    table = read_table(str(device))
    return any("is exported" in reason for reason in interlocks(table, device_at(table, str(device))))


def opens_alone(device: Path) -> bool:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_EXCL))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("way", ["nvme", "fileio", "iblock"])
def test_an_exported_device_is_refused(way: str) -> None:
    device = by_serial("SCSILAB0")
    assert not exported(device)
    ways = {
        "nvme": over_nvme(device),
        "fileio": over_scsi("fileio_7", f"fd_dev_name={device},fd_dev_size={SIZE}"),
        "iblock": over_scsi("iblock_7", f"udev_path={device}"),
    }
    with ways[way]:
        assert exported(device)
        assert opens_alone(device) is (way != "iblock")
    assert not exported(device)


def test_a_drive_whose_character_device_somebody_has_open_is_in_use() -> None:
    """As a virtual machine has it: the block device itself is free, and its kernel would let us in."""
    run("modprobe", "sg")
    drive = by_serial("SCSILAB0")
    (generic,) = Path(f"/sys/class/block/{drive.name}/device/scsi_generic").iterdir()
    with (
        Path("/dev", generic.name).open("rb", buffering=0) as held,
        subprocess.Popen(["sleep", "60"], stdin=held) as machine,
    ):
        try:
            table = read_table(str(drive))
            reasons = interlocks(table, device_at(table, str(drive)))
        finally:
            machine.kill()
    assert reasons == (f"{drive.name} is open in process {machine.pid} (sleep)",)
