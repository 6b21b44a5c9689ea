"""Every lie of a device that the research found, as a whole job: a report or a failure, never a certificate.

The drives answer behind the ioctl boundary (tests/fake_drives.py) and keep their bytes in a loop device,
so that the core reads back what really lies there. The same drives behind a real kernel: tests/lab.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deleatur.devices import commanding, inventory, sending
from deleatur.devices.erase_nvme import NVME_IOCTL_ID
from deleatur.documents.device import Device
from deleatur.documents.journal import Advanced, Compared, Reported
from deleatur.documents.place import Cursor, Offer, Step
from deleatur.engine.directory import JobDirectory
from deleatur.engine.walk import Walk
from deleatur.errors import DeleaturError, Failed, Interrupted, Refused, Residue
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import BlockBackend

from ..fake_drives import AtaDrive, Drive, NvmeDrive, ScsiDrive, as_drives
from ..lab.faulty_device import faulty_device
from ..lab.faulty_file import Faults
from ..lab.jobs import events, job
from .loops import MIB, Loop, loop_over

pytestmark = pytest.mark.root
SIZE = 4 * MIB
SMALL = 'confidence = "0.5"\nmax_bad_fraction = "0.5"'
BUSES = {"nvme": NvmeDrive, "scsi": ScsiDrive, "ata": AtaDrive}
COMMANDS = (sending.NVME_IOCTL_ADMIN_CMD, sending.SG_IO, NVME_IOCTL_ID)

# Lie: technique, mode of the drive, error, its words.
TOLD: dict[str, tuple[str, str, type[DeleaturError], str]] = {
    "FORMAT UNIT: GOOD at once, nothing erased": ("scsi-format", "instant", Residue, "can still be read"),
    "FORMAT UNIT: runs, ends, nothing erased": ("scsi-format", "lie", Residue, "can still be read"),
    "SCSI SANITIZE: success, data present": ("scsi-sanitize-block", "lie", Residue, "can still be read"),
    "SCSI SANITIZE: stays at 655": ("scsi-sanitize-crypto", "stuck", Failed, "it stands at 655 of 65536"),
    "NVMe Format: success, data present": ("nvme-format", "lie", Residue, "can still be read"),
    "NVMe Sanitize: success, data present": ("nvme-sanitize-block", "lie", Residue, "can still be read"),
    "NVMe Sanitize: stays at 655": ("nvme-sanitize-crypto", "stuck", Failed, "it stands at 655 of 65536"),
    "NVMe Sanitize: no trace of it": ("nvme-sanitize-overwrite", "forget", Failed, "another command"),
    "NVMe Sanitize: fails": ("nvme-sanitize-crypto", "fail", Failed, "says that it failed"),
    "NVMe Sanitize: data present where it can be verified": (
        "nvme-sanitize-block-verified",
        "lie",
        Residue,
        "can still be read",
    ),
    "NVMe Sanitize: cannot be verified": ("nvme-sanitize-crypto-verified", "skip", Failed, "did not enter"),
    "NVMe Sanitize: verified for ever": ("nvme-sanitize-crypto-verified", "stay", Failed, "not finished"),
    "NVMe Sanitize: no end of verification": (
        "nvme-sanitize-block-verified",
        "refuse-to-leave",
        Failed,
        "did not leave",
    ),
    "ATA Sanitize: success, data present": ("ata-sanitize-crypto", "lie", Residue, "can still be read"),
    "SECURITY ERASE: aborted": ("ata-security-erase", "refuse", Failed, "did not erase"),
    "SECURITY ERASE: good, data present": ("ata-security-erase", "lie", Residue, "can still be read"),
    "SECURITY ERASE: good, password left": ("ata-security-erase", "forget", Failed, "still had its password"),
    "host status 7": ("scsi-sanitize-block", "deaf", Failed, "unknown"),
}


class OnLoop:
    """The medium of a played drive, kept in the file of a loop device."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __setitem__(self, _all: slice, _content: bytes) -> None:
        with self._file.open("r+b") as file:
            file.write(bytes(SIZE))


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with loop_over(tmp_path / "image", os.urandom(SIZE)) as made:
        yield made


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs", {"block": BlockBackend})


def put_behind(drive: Drive, technique: str, patch: pytest.MonkeyPatch) -> None:
    """Have `drive` answer what is sent to any device, and the backend offer the technique."""
    kernel = fcntl.ioctl

    def ioctl(fd: int, request: int, *rest: Any) -> Any:
        return drive.ioctl(fd, request, *rest) if request in COMMANDS else kernel(fd, request, *rest)

    as_drives(patch)
    patch.setattr(fcntl, "ioctl", ioctl)
    patch.setattr(BlockBackend, "_allowed", lambda *_: ((Offer(technique=technique),), ()))
    patch.setattr(commanding, "Patience", lambda: drive.patience)


def no_certificate(bench: Workbench, text: str, error: type[DeleaturError], words: str) -> list[Any]:
    """Run a job that must end so, with a report of residue where there is some; return its journal."""
    with pytest.raises(error, match=words) as caught:
        bench.whole(text)
    assert type(caught.value) is error
    directory = JobDirectory(bench.folder / "job")
    assert not directory.certificate.exists()
    told = events(directory)
    assert any(isinstance(event, Reported) for event in told) == (error is Residue)
    assert len([*directory.path.glob("residue-*.json")]) == (error is Residue)
    return told


@pytest.mark.parametrize("lie", TOLD)
def test_a_drive_that_lies_is_never_certified(
    bench: Workbench, loop: Loop, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    technique, mode, error, words = TOLD[lie]
    drive = BUSES[technique.split("-")[0]](mode=mode, medium=OnLoop(loop.file))
    put_behind(drive, technique, monkeypatch)
    told = no_certificate(bench, job(loop.path, technique, "sample", SMALL), error, words)
    answers = [exchange for event in told if isinstance(event, Advanced) for exchange in event.exchanges]
    assert answers, "what it answered is evidence"
    if "655" in lie:
        assert "8f02" in answers[-1].answered or "028f" in answers[-1].answered


class ShowsItLater(NvmeDrive):
    """Shows an erased medium as long as it is verified, and what was there before as soon as it is left."""

    def keep(self, file: Path) -> "ShowsItLater":
        self.file, self.before = file, b""
        return self

    def _sanitize(self, ten: int) -> int:
        self.before = self.before or self.file.read_bytes()
        return super()._sanitize(ten)

    def _leave(self) -> int:
        self.file.write_bytes(self.before)
        self.mode = "lie"  # what it deallocates now stays as it is
        return super()._leave()


def test_what_comes_back_after_the_verification_is_residue(
    bench: Workbench, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    technique = "nvme-sanitize-block-verified"
    put_behind(ShowsItLater(medium=OnLoop(loop.file)).keep(loop.file), technique, monkeypatch)
    told = no_certificate(bench, job(loop.path, technique, "sample", SMALL), Residue, "can still be read")
    judged = [event.mismatches for event in told if isinstance(event, Compared)]
    assert judged[:2] == [0, 0]  # the markers stood, and were gone as long as it was verified
    assert judged[2] > 0


@pytest.mark.parametrize("step", ["command", "leave"])
def test_a_run_that_stops_where_it_is_verified_goes_on_there(
    bench: Workbench, loop: Loop, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    technique = "nvme-sanitize-crypto-verified"
    drive = NvmeDrive(medium=OnLoop(loop.file))
    put_behind(drive, technique, monkeypatch)
    directory = bench.approved(job(loop.path, technique, "sample", SMALL))
    with monkeypatch.context() as patch:

        def stop(_walk: Walk, comparing: Step) -> None:
            if comparing.action == step:
                raise KeyboardInterrupt
            compare(_walk, comparing)

        compare = Walk._compare
        patch.setattr(Walk, "_compare", stop)
        with pytest.raises(Interrupted):
            bench.run(directory)
    assert drive.verifying == (step == "command")
    bench.run(directory)
    assert directory.certificate.exists()
    assert drive.sent == [0x84, 0x8400]  # each command once


def test_a_drive_that_lost_its_power_before_it_was_left_was_not_verified(
    bench: Workbench, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    technique = "nvme-sanitize-crypto-verified"
    drive = NvmeDrive(medium=OnLoop(loop.file))
    put_behind(drive, technique, monkeypatch)
    compare = Walk._compare

    def lose(_walk: Walk, comparing: Step) -> None:
        compare(_walk, comparing)
        drive.lose_power()

    monkeypatch.setattr(Walk, "_compare", lose)
    no_certificate(bench, job(loop.path, technique, "sample", SMALL), Failed, "left its media verification")


HONEST = ("nvme-sanitize-crypto", "nvme-sanitize-block-verified", "scsi-format", "ata-security-erase")
OTHERS = [
    pytest.param(name, marks=pytest.mark.campaign) for name in commanding.COMMANDS if name not in HONEST
]


@pytest.mark.parametrize("technique", [*HONEST, *OTHERS])
def test_an_honest_one_is_attested(
    bench: Workbench, loop: Loop, technique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = BUSES[technique.split("-")[0]](medium=OnLoop(loop.file))
    put_behind(drive, technique, monkeypatch)
    directory = bench.whole(job(loop.path, technique, "sample", SMALL))
    assert directory.certificate.exists()
    assert loop.file.read_bytes() == bytes(SIZE)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Loop]:
    made = Loop(tmp_path / "other", os.urandom(SIZE))
    try:
        yield made
    finally:
        made.detach()


def one_subsystem(patch: pytest.MonkeyPatch, *loops: Loop) -> None:
    """Have the kernel show loop devices as namespaces of one subsystem."""
    attached = inventory.attached_to

    def namespace(device: Device) -> Device:
        if device.path not in {loop.path for loop in loops}:
            return attached(device)
        return replace(attached(device), kind="disk", subsystem="nqn.2026-11.lab:two")

    patch.setattr(inventory, "attached_to", namespace)


@pytest.mark.parametrize("when", ["plan", "run"])
def test_a_controller_that_forgets_a_namespace_is_not_believed_against_the_kernel(
    bench: Workbench, loop: Loop, other: Loop, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = NvmeDrive(medium=OnLoop(loop.file), namespaces=(1,))
    put_behind(drive, "nvme-sanitize-crypto", monkeypatch)
    one_subsystem(monkeypatch, loop, *([other] if when == "plan" else []))
    before = loop.file.read_bytes()
    directory = bench.job(job(loop.path, "nvme-sanitize-crypto", "sample", SMALL))
    if when == "run":
        bench.plan(directory)
        bench.approve(directory)
        one_subsystem(monkeypatch, loop, other)
    with pytest.raises(Refused, match="shares its bytes; take it down first"):
        bench.plan(directory) if when == "plan" else bench.run(directory)
    assert (drive.sent, loop.file.read_bytes() == before) == ([], True)


def test_a_format_of_one_namespace_leaves_the_others(
    bench: Workbench, loop: Loop, other: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive = NvmeDrive(medium=OnLoop(loop.file), namespaces=(1, 2), fna=0)
    put_behind(drive, "nvme-format", monkeypatch)
    one_subsystem(monkeypatch, loop, other)
    before = other.file.read_bytes()
    directory = bench.whole(job(loop.path, "nvme-format", "sample", SMALL))
    assert directory.certificate.exists()
    assert other.file.read_bytes() == before


def nothing(device: Device, unit: str, step: Step, after: Cursor | None) -> Iterator[Cursor]:
    """Do as BLKDISCARD and BLKZEROOUT do on some devices: return 0, and leave everything as it is."""
    yield Cursor(position=str(device.size), done=device.size)


# A plugin that believed the kernel: what it says is done, is not.
@pytest.mark.parametrize("technique", ["overwrite-device", "overwrite-device-zeros"])
def test_a_discard_or_zeroing_that_returns_0_and_does_nothing(
    bench: Workbench, loop: Loop, technique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BlockBackend, "ways", {technique: nothing})
    told = no_certificate(bench, job(loop.path, technique), Residue, "can still be read")
    (compared,) = (event for event in told if isinstance(event, Compared))
    assert compared.differ == ((0, SIZE),)


def test_dropped_writes(bench: Workbench) -> None:
    with faulty_device(SIZE, Faults(dropped=((0, SIZE // 512),))) as device:
        no_certificate(bench, job(device.path), Residue, "can still be read")
