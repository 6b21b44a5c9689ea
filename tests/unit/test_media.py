"""Which disks a folder lies on: by real mounts, and by invented machines in a sysfs of their own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.archive import media
from deleatur.archive.media import disks_of
from deleatur.errors import Refused


class Machine:
    """A sysfs and a mount table in which every folder lies on `device`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.sysfs = folder / "sys"
        (self.sysfs / "dev" / "block").mkdir(parents=True)
        self.mounts = folder / "mountinfo"
        self.mounts.write_text("")
        monkeypatch.setattr(media, "SYSFS", self.sysfs)
        monkeypatch.setattr(media, "MOUNTS", self.mounts)

    @property
    def number(self) -> str:
        device = self.folder.stat().st_dev
        return f"{os.major(device)}:{os.minor(device)}"

    def disk(self, path: str, serial: str = "", number: str = "") -> Path:
        node = self.sysfs / "devices" / path
        node.mkdir(parents=True)
        if serial:
            (node / "serial").write_text(f"{serial}\n")
        if number:
            (self.sysfs / "dev" / "block" / number).symlink_to(node)
        return node


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_partition_is_its_disk(machine: Machine) -> None:
    machine.disk("sda", "WD-1")
    (machine.disk("sda/sda1", number=machine.number) / "partition").write_text("1")
    assert disks_of(machine.folder) == ("WD-1",)


def test_a_mapping_on_an_array_is_all_its_disks(machine: Machine) -> None:
    for name in ("sda", "sdb"):
        machine.disk(name, f"WD-{name}")
    array = machine.disk("md0")
    crypt = machine.disk("dm-0", number=machine.number)
    for over, under in ((array, "sda"), (array, "sdb"), (crypt, "md0")):
        (over / "slaves").mkdir(exist_ok=True)
        (over / "slaves" / under).symlink_to(machine.sysfs / "devices" / under)
    assert disks_of(machine.folder) == ("WD-sda", "WD-sdb")


def test_a_disk_without_a_serial_number_is_its_name(machine: Machine) -> None:
    machine.disk("sdc", number=machine.number)
    assert disks_of(machine.folder) == ("sdc",)


def test_a_server_is_one_medium_whatever_it_exports(machine: Machine) -> None:
    machine.mounts.write_text(f"1 2 {machine.number} / /mnt rw - nfs4 nas.example:/exports/one rw\n")
    assert disks_of(machine.folder) == ("nfs nas.example",)


@pytest.mark.parametrize("kind", ["tmpfs tmpfs", "overlay overlay", "fuse.thing thing"])
def test_memory_and_what_cannot_be_told_are_refused(machine: Machine, kind: str) -> None:
    machine.mounts.write_text(f"1 2 {machine.number} / /mnt rw - {kind} rw\n")
    with pytest.raises(Refused, match=r"in memory|does not tell"):
        disks_of(machine.folder)


def test_a_loop_of_layers_ends(machine: Machine) -> None:
    node = machine.disk("dm-1", number=machine.number)
    (node / "slaves").mkdir()
    (node / "slaves" / "dm-1").symlink_to(node)
    with pytest.raises(Refused, match="more layers"):
        disks_of(machine.folder)


def test_the_real_memory_file_system_is_refused() -> None:
    with pytest.raises(Refused, match="lies in memory"):
        disks_of(Path("/dev/shm"))


@pytest.fixture
def images(tmp_path: Path) -> Iterator[list[Path]]:
    """Two file systems in two images on the disk of this machine."""
    mounts = []
    for name in ("one", "two"):
        image, mount = tmp_path / f"{name}.img", tmp_path / name
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(4 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
        mounts.append(mount)
    yield mounts
    for mount in mounts:
        subprocess.run(["umount", mount], check=True)


@pytest.mark.root
def test_two_images_on_one_disk_are_one_medium(images: list[Path], tmp_path: Path) -> None:
    one, two = images
    assert one.stat().st_dev != two.stat().st_dev
    try:
        below = disks_of(tmp_path)
    except Refused:  # in a container that hides its disks, nothing on it counts either
        for image in images:
            with pytest.raises(Refused):
                disks_of(image)
        return
    assert disks_of(one) == disks_of(two) == below
