"""A self-encrypting drive is reverted by its label, in whole jobs: honest, lying, cut; no file has its PSID.

The drive answers behind the ioctl boundary (tests/lab/tper_played.py) and keeps its bytes in a loop device.
Behind a real SCSI layer: tests/lab/guest/test_played_opal.py.
"""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deleatur.devices import erase_opal, inventory, sending
from deleatur.devices.erase_nvme import NVME_IOCTL_ID
from deleatur.documents.device import Device, Opal
from deleatur.engine.directory import JobDirectory
from deleatur.errors import DeleaturError, Failed, Refused, Residue
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import BlockBackend, psid

from ..fake_drives import OpalNvme, OpalScsi
from ..lab.jobs import job, predicate
from ..lab.played_jobs import answers
from ..lab.tper_played import PSID, Tper
from .test_block_backend import MIB, Loop

pytestmark = pytest.mark.root
SIZE = 4 * MIB
SERIAL = "OPALTEST1"
SMALL = 'confidence = "0.5"\nmax_bad_fraction = "0.5"'
COMMANDS = (sending.NVME_IOCTL_ADMIN_CMD, sending.SG_IO, NVME_IOCTL_ID)
OPAL = Opal(supported=True, ssc="opal-2", encrypts=True, locking_enabled=True)


class Bay:
    """A loop device with a self-encrypting drive behind it."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.loop = Loop(folder / "image", os.urandom(SIZE))
        self.opal, self.bus = OPAL, "scsi"
        self.behave("ok")
        kernel = fcntl.ioctl

        def ioctl(fd: int, request: int, *rest: Any) -> Any:
            return self.drive.ioctl(fd, request, *rest) if request in COMMANDS else kernel(fd, request, *rest)

        def asked(device: Device) -> Device:
            if device.path != self.loop.path:
                return device
            told = Device(**{f: getattr(device, f) for f in device.__struct_fields__} | {"bus": self.bus})
            return replace(told, kind="disk", serial=SERIAL, opal=self.opal)

        patch.setattr(fcntl, "ioctl", ioctl)
        patch.setattr(inventory, "asked", asked)
        patch.setattr(erase_opal, "Patience", lambda: self.drive.patience)

    def behave(self, way: str) -> None:
        self.tper = Tper(self._erase, way)
        kind = OpalNvme if self.bus == "nvme" else OpalScsi
        self.drive = kind(tper=self.tper)

    def _erase(self) -> None:
        with self.loop.file.open("r+b") as file:
            file.write(os.urandom(SIZE))


@pytest.fixture
def bay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bay]:
    file = tmp_path / "psids"
    file.write_bytes(SERIAL.encode() + b" " + PSID + b"\n")
    file.chmod(0o600)
    monkeypatch.setenv(psid.FILE, str(file))
    made = Bay(tmp_path, monkeypatch)
    try:
        yield made
    finally:
        made.loop.detach()


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs", {"block": BlockBackend})


def asks(bay: Bay) -> str:
    return job(bay.loop.path, psid.TECHNIQUE, "sample", SMALL)


@pytest.mark.parametrize("bus", ["scsi", "nvme"])
def test_an_honest_drive_is_attested_and_the_psid_is_in_no_file(
    bench: Workbench, bay: Bay, bus: str, tmp_path: Path
) -> None:
    bay.bus = bus
    bay.behave("ok")
    directory = bench.whole(asks(bay))
    outcome = predicate(directory)["outcome"]["perTarget"][0]
    assert outcome["assurance"] == "A1/device-all"
    (mark, command) = predicate(directory)["method"]
    assert (mark["category"], command["technique"]) == ("clear", psid.TECHNIQUE)
    assert len(answers(directory)) == len(command["commands"]) == 4
    assert bay.tper.reverts == 1
    for file in (
        path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("psids", "image")
    ):
        content = file.read_bytes()
        assert PSID not in content
        assert PSID.hex().encode() not in content


LIES: dict[str, tuple[type[DeleaturError], str]] = {
    "lie": (Residue, "can still be read"),
    "keep": (Failed, "its locking is enabled still"),
    "fail": (Failed, "did not revert"),
    "stuck": (Failed, "gave no answer"),
    "torn": (Failed, "nobody can read"),
}


@pytest.mark.parametrize("way", LIES)
def test_a_drive_that_lies_gets_no_certificate(bench: Workbench, bay: Bay, way: str) -> None:
    bay.behave(way)
    error, words = LIES[way]
    with pytest.raises(error, match=words):
        bench.whole(asks(bay))
    directory = JobDirectory(bench.folder / "job")
    assert not directory.certificate.exists()
    assert answers(directory), "what it answered is evidence"


def test_a_wrong_psid_ends_the_run_and_changes_nothing(
    bench: Workbench, bay: Bay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "others"
    other.write_text(f"{SERIAL} {'0' * 32}\n")
    other.chmod(0o600)
    with monkeypatch.context() as patch:
        patch.setenv(psid.FILE, str(other))
        with pytest.raises(Failed, match="does not know this PSID"):
            bench.whole(asks(bay))
    directory = JobDirectory(bench.folder / "job")
    assert (bay.tper.reverts, directory.certificate.exists()) == (0, False)
    bench.run(directory)  # with the right one
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"


def test_a_power_cut_in_the_revert_is_resumed(bench: Workbench, bay: Bay) -> None:
    bay.behave("cut")
    with pytest.raises(Failed, match="did not take a command"):
        bench.whole(asks(bay))
    directory = JobDirectory(bench.folder / "job")
    bench.run(directory)
    assert bay.tper.reverts == 1
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"


def test_without_the_psid_there_is_no_plan(
    bench: Workbench, bay: Bay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(psid.FILE)
    with pytest.raises(Refused, match="needs the PSID of each label"):
        bench.plan(bench.job(asks(bay)))


def test_a_locked_drive_is_refused_since_no_marker_could_be_written(bench: Workbench, bay: Bay) -> None:
    bay.opal = replace(OPAL, locked=True)
    with pytest.raises(DeleaturError, match="its data are locked"):
        bench.plan(bench.job(asks(bay)))
