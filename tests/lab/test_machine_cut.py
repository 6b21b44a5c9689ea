"""A machine loses its power in an overwrite: QEMU is killed, and its drives forget what was not flushed."""

import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deleatur.engine.directory import JobDirectory
from deleatur.sanitize.patterns import laid

from .faulty_device import LONGEST, FaultyDevice, faulty_device
from .faulty_file import Faults
from .jobs import pattern_of, predicate
from .machine import Silent, machine
from .powered_host import DISK, ON, PATIENCE

pytestmark = [pytest.mark.root, pytest.mark.lab]
SIZE = 24 << 20
WRITES = SIZE // (LONGEST << 10)  # of an overwrite, at least
MODULES = ("virtio_scsi", "sd_mod", "sg", "ext4")
RUN = 240  # seconds for the agent; 40 on a machine that does nothing else


def drives(device: FaultyDevice, disk: FaultyDevice) -> list[str]:
    """Give the guest both, with no cache of the host's between."""
    arguments = ["-device", "virtio-scsi-pci,id=scsi"]
    for name, path in (("CUT0", device.path), ("JOBS0", disk.path)):
        arguments += [
            "-drive", f"file={path},if=none,id={name},format=raw,cache=none",
            "-device", f"scsi-hd,drive={name},bus=scsi.0,serial={name}",
        ]  # fmt: skip
    return arguments


def is_cut(device: FaultyDevice, disk: FaultyDevice, faults: Faults) -> bool:
    """Boot and let the agent run; say whether the power went before it had ended."""
    with machine(drives(device, disk), MODULES) as guest:
        device.set_faults(replace(faults, killed=guest.pid))
        try:
            ended = guest.run("$PYTHON -m tests.lab.cut_agent", RUN)
        except Silent:
            assert not guest.runs
            return True
    assert ended.code == 0, ended.output
    return False


def cut(moments: int, seed: int, folder: Path) -> None:
    """Cut the power in the overwrite and then in its resumes, look at the platter, and at the certificate."""
    chance = random.Random(seed)
    with faulty_device(SIZE, ON) as device, faulty_device(DISK) as disk:
        subprocess.run(["mkfs.ext4", "-q", "-J", "size=1", disk.path], check=True, timeout=PATIENCE)
        disk.set_faults(ON)
        for number in range(moments):
            last = max(WRITES // 2**number, 1)  # of those that a resume still has to do
            faults = replace(ON, off_after=chance.randrange(last), chance=chance.getrandbits(32))
            assert is_cut(device, disk, faults) or number
            disk.set_faults(replace(faults, off=True))
            for drive in (device, disk):
                drive.set_faults(ON)
        assert not is_cut(device, disk, ON)
        subprocess.run(["mount", "-o", "ro", disk.path, folder], check=True, timeout=PATIENCE)
        try:
            directory = JobDirectory(folder / "job")
            assert device.truth.read_bytes() == laid(pattern_of(directory)).read("device", 0, SIZE)
            assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"
        finally:
            subprocess.run(["umount", folder], check=True, timeout=PATIENCE)


def test_a_machine_is_cut_once(tmp_path: Path) -> None:
    cut(1, 1, tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 27))
def test_a_machine_is_cut_and_once_more(tmp_path: Path, seed: int) -> None:
    cut(2, seed, tmp_path)
