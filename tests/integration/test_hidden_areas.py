"""A drive hides sectors: a job that says so has them lifted, overwritten, read back; no lie is certified.

The drive answers behind the ioctl boundary (tests/fake_drives.py); its bytes are a loop device, which
grows and shrinks with what the drive shows. Behind a real SCSI layer: tests/lab/guest/test_played_hidden.py.
"""

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deleatur.devices import inventory, lifting, sending
from deleatur.devices.waiting import Patience
from deleatur.documents.device import Device
from deleatur.documents.journal import Advanced
from deleatur.documents.place import LIFT, Cursor, Step
from deleatur.documents.plan import PlannedTarget
from deleatur.engine import walk
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan
from deleatur.errors import Failed, Refused, Residue, Transient, Unsupported
from deleatur.judge import fold
from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import BlockBackend, overwriting

from ..fake_drives import SIZE, HidingDrive
from ..lab.jobs import events, job, pattern_of, predicate
from .loops import PATIENCE, Loop

pytestmark = pytest.mark.root
WHOLE = 2 * SIZE
LIFTS = "lift_hidden = true\n"
OLD = os.urandom(WHOLE)
READ_LOG = 0x2F  # READ LOG EXT, ACS-3 §7.24


class Shelf:
    """A loop device that shows as much as a drive does, and keeps the rest."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._behind = b""
        self.loop = Loop(folder / "image", OLD)
        self.notices = True
        kernel, asks = fcntl.ioctl, inventory.asked

        def ioctl(fd: int, request: int, *rest: Any) -> Any:
            return (
                self.drive.ioctl(fd, request, *rest)
                if request == sending.SG_IO
                else kernel(fd, request, *rest)
            )

        def asked(device: Device) -> Device:
            if device.path != self.loop.path:
                return device
            return asks(replace(device, kind="disk", bus="ata", vendor="ATA"))

        patch.setattr(fcntl, "ioctl", ioctl)
        patch.setattr(inventory, "asked", asked)
        patch.setattr(lifting, "_NOTICES", Patience(interval=0.05, still=0.5))
        self.attach(HidingDrive())

    def attach(self, drive: HidingDrive) -> None:
        """Put a drive behind the device."""
        self.drive = drive
        drive.resized = self._resize
        self._resize(drive.shown)

    def _resize(self, sectors: int) -> None:
        whole = self.content()
        self.loop.file.write_bytes(whole[: sectors * 512])
        self._behind = whole[sectors * 512 :]
        if self.notices:
            subprocess.run(["losetup", "--set-capacity", self.loop.path], check=True, timeout=PATIENCE)

    def content(self) -> bytes:
        """Return every sector, also those that are hidden."""
        return self.loop.file.read_bytes() + self._behind

    @property
    def job(self) -> str:
        """A job on it, with what it hides."""
        return job(self.loop.path) + LIFTS


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    made = Shelf(tmp_path, monkeypatch)
    try:
        yield made
    finally:
        made.loop.detach()


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs", {"block": BlockBackend})


def planned(directory: JobDirectory) -> PlannedTarget:
    return read_plan(directory).plan.targets[0]


def codes(directory: JobDirectory) -> list[str]:
    """Return the ATA commands of the journal, in their order."""
    told = (event for event in events(directory) if isinstance(event, Advanced))
    return [exchange.sent[28:30] for event in told for exchange in event.exchanges]


def certified(shelf: Shelf, directory: JobDirectory) -> dict[str, Any]:
    """Return the outcome of a job that must have reached every sector."""
    assert shelf.content() == laid(pattern_of(directory)).read("device", 0, WHOLE)
    outcome: dict[str, Any] = predicate(directory)["outcome"]["perTarget"][0]
    assert outcome["assurance"] == "A3/addressable"
    lifted = next(claim["text"] for claim in outcome["claims"] if claim["id"] == "hidden-lifted")
    assert f"had hidden {SIZE} of its {WHOLE} bytes" in lifted
    named = {e["sentence"]["id"] for e in predicate(directory)["exceptions"]}
    assert not {"hidden-area", "hidden-area-unknown"} & named
    return outcome


@pytest.mark.parametrize(
    ("drive", "commands"),
    [
        (HidingDrive(way="hpa"), ["27", "37"]),
        (HidingDrive(way="amac"), ["78", "78"]),
        (HidingDrive(way="hpa", native=3 * SIZE // 1024), ["27", "37", "b1", "27"]),
    ],
    ids=["protected area", "lowered address", "area and overlay"],
)
def test_what_is_hidden_is_lifted_overwritten_and_read_back(
    bench: Workbench, shelf: Shelf, drive: HidingDrive, commands: list[str]
) -> None:
    shelf.attach(drive)
    directory = bench.whole(shelf.job)
    assert (planned(directory).shown, planned(directory).size) == (SIZE, WHOLE)
    first = read_plan(directory).plan.steps[0]
    assert (first.id, first.action, first.compare) == ("s1", LIFT, "size")
    certified(shelf, directory)
    assert codes(directory) == commands
    method = predicate(directory)["method"]
    assert [(m["action"], len(m["commands"])) for m in method] == [(LIFT, len(commands)), ("pass-1", 0)]


def test_without_the_word_it_stays_and_is_an_exception(bench: Workbench, shelf: Shelf) -> None:
    directory = bench.whole(job(shelf.loop.path))
    assert (planned(directory).shown, planned(directory).size) == (None, SIZE)
    assert shelf.content()[SIZE:] == OLD[SIZE:]
    outcome = predicate(directory)["outcome"]["perTarget"][0]
    assert outcome["state"] == "verified-with-exceptions"
    assert "hidden-area" in {e["sentence"]["id"] for e in predicate(directory)["exceptions"]}
    assert "hidden-lifted" not in {claim["id"] for claim in outcome["claims"]}


def test_a_drive_that_hides_nothing_has_nothing_lifted(bench: Workbench, shelf: Shelf) -> None:
    shelf.attach(HidingDrive(shown=WHOLE // 512, lasting=WHOLE // 512))
    directory = bench.whole(shelf.job)
    assert planned(directory).shown is None
    assert [step.action for step in read_plan(directory).plan.steps] == ["pass-1"]
    assert {*shelf.drive.sent} <= {READ_LOG}  # of its temperature


def refused_to_certify(bench: Workbench, shelf: Shelf, error: type[Exception], words: str) -> JobDirectory:
    with pytest.raises(error, match=words):
        bench.whole(shelf.job)
    directory = JobDirectory(bench.folder / "job")
    assert not directory.certificate.exists()
    return directory


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("lie", "shows 2048 sectors and 4096 were planned"),
        ("half", "shows 3072 sectors and 4096 were planned"),
        ("refuse", "did not give up its host protected area"),
    ],
)
def test_a_drive_that_does_not_lift_ends_the_run_before_a_byte_is_written(
    bench: Workbench, shelf: Shelf, mode: str, words: str
) -> None:
    shelf.attach(HidingDrive(mode=mode))
    directory = refused_to_certify(bench, shelf, Failed, words)
    assert shelf.content() == OLD
    assert codes(directory) == ["27", "37"], "also what was aborted is evidence"


def test_a_kernel_that_still_shows_the_old_size_ends_the_run(bench: Workbench, shelf: Shelf) -> None:
    directory = bench.job(shelf.job)
    bench.plan(directory)
    bench.approve(directory)
    shelf.notices = False
    with pytest.raises(Failed, match=f"shows {WHOLE} bytes and the kernel {SIZE}"):
        bench.run(directory)
    assert shelf.content() == OLD


@pytest.mark.parametrize(
    ("drive", "words"),
    [
        (HidingDrive(overlay_frozen=True), "configuration overlay is frozen"),
        (HidingDrive(way="hpa", native=0x1000), "technique is no"),
    ],
    ids=["frozen overlay", "own command"],
)
def test_what_cannot_be_lifted_is_refused_at_the_plan(
    bench: Workbench, shelf: Shelf, drive: HidingDrive, words: str
) -> None:
    shelf.attach(drive)
    text = shelf.job
    if words == "technique is no":
        text, words = text.replace('"overwrite-device"', '"ata-sanitize-crypto"'), "goes with an overwrite"
    with pytest.raises(Unsupported if "goes" in words else Refused, match=words):
        bench.plan(bench.job(text))


def test_a_third_size_after_the_plan_is_another_drive(bench: Workbench, shelf: Shelf) -> None:
    directory = bench.job(shelf.job)
    bench.plan(directory)
    bench.approve(directory)
    shelf.drive._show(SIZE // 1024)
    with pytest.raises(Refused, match=f"shows {SIZE // 2} bytes now, and {SIZE} or {WHOLE} were planned"):
        bench.run(directory)
    assert shelf.content() == OLD


def test_a_drive_that_was_lifted_by_hand_after_the_plan_is_the_one_of_the_plan(
    bench: Workbench, shelf: Shelf
) -> None:
    directory = bench.job(shelf.job)
    bench.plan(directory)
    bench.approve(directory)
    shelf.drive._show(WHOLE // 512)
    bench.run(directory)
    certified(shelf, directory)
    assert codes(directory) == []


Cut = Callable[[Shelf, pytest.MonkeyPatch], None]


class PowerCutError(Exception):
    """The power is gone."""


def before_the_overwrite(shelf: Shelf, patch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any) -> Iterator[Cursor]:
        shelf.drive.power_cycle()
        raise PowerCutError

    patch.setattr(BlockBackend, "ways", {**BlockBackend.ways, "overwrite-device": cut})


def in_the_overwrite(shelf: Shelf, patch: pytest.MonkeyPatch) -> None:
    def cut(device: Device, unit: str, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        for _ in overwriting.overwrite(device, unit, step, after):
            yield Cursor(position=str(SIZE // 2), done=SIZE // 2)
            break
        shelf.drive.power_cycle()
        raise PowerCutError

    patch.setattr(BlockBackend, "ways", {**BlockBackend.ways, "overwrite-device": cut})


def before_it_is_read_back(shelf: Shelf, patch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any) -> Any:
        shelf.drive.power_cycle()
        raise PowerCutError

    patch.setattr(walk, "compare", cut)


def before_the_certificate(shelf: Shelf, patch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any) -> Any:
        shelf.drive.power_cycle()
        raise PowerCutError

    patch.setattr(walk, "issue_certificate", cut)


@pytest.mark.parametrize(
    "cut", [before_the_overwrite, in_the_overwrite, before_it_is_read_back, before_the_certificate]
)
def test_after_a_power_cut_it_hides_them_again_and_resume_lifts_them_again(
    bench: Workbench, shelf: Shelf, cut: Cut
) -> None:
    directory = bench.job(shelf.job)
    bench.plan(directory)
    bench.approve(directory)
    with pytest.MonkeyPatch.context() as patch:
        cut(shelf, patch)
        with pytest.raises(Failed, match="PowerCutError"):
            bench.run(directory)
    assert shelf.drive.shown * 512 == SIZE
    bench.run(directory)
    certified(shelf, directory)
    assert codes(directory) == ["27", "37"] * 2


class LiftsNothing(BlockBackend):
    """Says that it lifted and that it overwrote all; it did what the drive showed."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        if step.action == LIFT:
            yield Cursor(position="done", done=WHOLE)
            return
        _, device = self._look()
        yield from overwriting.overwrite(device, "device", step, after)
        yield Cursor(position=str(WHOLE), done=WHOLE)


class LeavesTheHidden(BlockBackend):
    """Lifts, and overwrites only what the drive had shown before."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        if step.action == LIFT:
            yield from super().erase(step, after)
            return
        _, device = self._look()
        yield from overwriting.overwrite(device, "device", step, after, size=SIZE)
        yield Cursor(position=str(WHOLE), done=WHOLE)


@pytest.mark.parametrize(
    ("rogue", "error", "words"),
    [
        (LiftsNothing, Refused, "no block device of 2097152 bytes"),
        (LeavesTheHidden, Residue, "can still be read"),
    ],
)
def test_the_core_sees_a_backend_that_lifts_or_overwrites_less(
    tmp_path: Path, shelf: Shelf, rogue: type[BlockBackend], error: type[Exception], words: str
) -> None:
    refused_to_certify(Workbench(tmp_path / "jobs", {"block": rogue}), shelf, error, words)


def test_a_step_that_is_not_done_again_after_a_cut_gets_no_certificate(
    bench: Workbench, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = bench.job(shelf.job)
    bench.plan(directory)
    bench.approve(directory)
    with pytest.MonkeyPatch.context() as patch:
        before_the_overwrite(shelf, patch)
        with pytest.raises(Failed):
            bench.run(directory)
    begin = fold._begin

    def trusting(progress: fold.Progress) -> None:
        begin(progress)
        for step in progress.steps.values():
            step.in_this_run = step.erased is not None

    monkeypatch.setattr(fold, "_begin", trusting)
    with pytest.raises(Transient, match="hides sectors again"):
        bench.run(directory)
    assert not directory.certificate.exists()
