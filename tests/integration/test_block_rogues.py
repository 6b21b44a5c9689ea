"""Each promise of the block backend has a rogue that breaks it, and what catches that rogue.

What the core reads by itself catches most of them. The last three promises concern what no reading afterwards
can show: there the honest backend passes a check that the rogue fails.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deleatur.api import Cursor, Device, Locator, Pattern, Refused, Step, laid, medium_of, overwrite_device
from deleatur.devices import commanding
from deleatur.devices.inventory import device_at, read_table
from deleatur.devices.opening import open_exclusive
from deleatur.documents.place import Offer
from deleatur.engine.directory import JobDirectory
from deleatur.errors import DeleaturError, Residue
from deleatur.sanitize import device as whole
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import BlockBackend, overwriting

from ..fake_drives import as_drives
from ..lab.faulty_device import faulty_device
from ..lab.faulty_file import Faults
from ..lab.jobs import job, predicate
from .loops import MIB, PATIENCE, SECTOR, Loop, attached, loop_over

pytestmark = pytest.mark.root
SIZE = 9 * MIB + SECTOR  # three pieces


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with loop_over(tmp_path / "image", os.urandom(SIZE)) as made:
        yield made


class Rogue(BlockBackend):
    """The backend with one way, which writes what `lets_write` lets it write."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        device = self._look_at_the_approved()[1]
        assert step.pattern is not None
        yield from self.passing(device, step.pattern, after)

    def passing(self, device: Device, pattern: Pattern, after: Cursor | None) -> Iterator[Cursor]:
        """Do one pass."""
        raise AssertionError("a rogue has a pass of its own")


def honest(device: Device, pattern: Pattern, after: Cursor | None) -> Iterator[Cursor]:
    step = Step(id="s1", target="t", technique="t", action="a", compare="pattern", pattern=pattern)
    return overwriting.overwrite(device, "device", step, after)


def spoil(device: Device, offset: int, content: bytes) -> None:
    """Write to a device from `offset` on, beside the honest way."""
    with Path(device.path).open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), content, offset)


class LeavesOutASector(Rogue):
    """Writes every byte but those of the last sector."""

    def passing(self, device: Device, pattern: Pattern, after: Cursor | None) -> Iterator[Cursor]:
        kept = Path(device.path).read_bytes()[-SECTOR:]
        cursors = list(honest(device, pattern, after))
        spoil(device, device.size - SECTOR, kept)
        yield from cursors


class StopsEarly(Rogue):
    """Ends before the end of the device, and says so by no error."""

    def passing(self, device: Device, pattern: Pattern, after: Cursor | None) -> Iterator[Cursor]:
        yield next(iter(honest(device, pattern, after)))


class ResumesTooFar(Rogue):
    """Goes on one piece behind the place that was durable."""

    def passing(self, device: Device, pattern: Pattern, after: Cursor | None) -> Iterator[Cursor]:
        if after is None:
            spoil(device, 0, laid(pattern).read("device", 0, whole.PIECE))
            yield Cursor(position=str(whole.PIECE), done=whole.PIECE)
            raise DeleaturError("pulled")
        far = min(after.done + whole.PIECE, device.size)
        yield from honest(device, pattern, Cursor(position=str(far), done=far))


class ExcusesItself(Rogue):
    """Leaves a range as it was, and calls it bad."""

    def passing(self, device: Device, pattern: Pattern, after: Cursor | None) -> Iterator[Cursor]:
        kept = Path(device.path).read_bytes()[:SECTOR]
        *_, last = honest(device, pattern, after)
        spoil(device, 0, kept)
        yield Cursor(position=last.position, done=last.done, failed=((0, SECTOR),))


class HidesWhatFailed(Rogue):
    """Says of no range that it took no writing."""

    def passing(self, device: Device, pattern: Pattern, after: Cursor | None) -> Iterator[Cursor]:
        for cursor in honest(device, pattern, after):
            yield Cursor(position=cursor.position, done=cursor.done)


class ShowsThePattern(Rogue):
    """Writes nothing, and answers every probe with what should have been written."""

    pattern: Pattern | None = None

    def passing(self, device: Device, pattern: Pattern, _after: Cursor | None) -> Iterator[Cursor]:
        type(self).pattern = pattern
        yield Cursor(position=str(device.size), done=device.size)

    def probe(self, place: Locator) -> bytes | None:
        if self.pattern is None:
            return super().probe(place)
        return laid(self.pattern).read(place.unit, place.offset, place.length)


CAUGHT: dict[type[Rogue], type[DeleaturError]] = {
    LeavesOutASector: Residue,
    StopsEarly: Refused,
    ExcusesItself: Residue,
    ShowsThePattern: Residue,
}


@pytest.mark.campaign
@pytest.mark.parametrize("rogue", CAUGHT, ids=lambda rogue: rogue.__name__)
def test_what_was_not_written_is_seen(
    rogue: type[Rogue], loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "_DURABLE", 0)
    monkeypatch.setattr(whole, "_OFTEN", 0.0)
    with pytest.raises(CAUGHT[rogue]):
        Workbench(tmp_path / "jobs", {"block": rogue}).whole(job(loop.path))
    assert not JobDirectory(tmp_path / "jobs/job").certificate.exists()


def test_a_resume_that_skips_is_seen(loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_DURABLE", 0)
    monkeypatch.setattr(whole, "_OFTEN", 0.0)
    bench = Workbench(tmp_path / "jobs", {"block": ResumesTooFar})
    directory = bench.approved(job(loop.path))
    with pytest.raises(DeleaturError, match="pulled"):
        bench.run(directory)
    with pytest.raises(Residue):
        bench.run(directory)


@pytest.mark.campaign
@pytest.mark.parametrize("readable", [False, True])
def test_what_failed_is_found_without_the_backend(tmp_path: Path, readable: bool) -> None:
    bad = ((2100, 3),)
    faults = Faults(unwritable=bad) if readable else Faults.bad(*bad)
    bench = Workbench(tmp_path / "jobs", {"block": HidesWhatFailed})
    with faulty_device(5 * MIB, faults) as device:
        if readable:
            with pytest.raises(Residue):
                bench.whole(job(device.path))
        else:
            (compared,) = predicate(bench.whole(job(device.path)))["verification"][0]["comparisons"]
            assert compared["notRead"] == [{"start": 2100 * SECTOR, "end": 2103 * SECTOR}]


def test_a_word_without_a_command_is_no_word(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The backend erases the device itself, and says that it was the device's own command."""

    def invents(fd: int, size: int, *_: Any) -> Iterator[Cursor]:
        list(overwrite_device(medium_of(fd), laid(Pattern(kind="bytes", cycle="00")), "device"))
        yield Cursor(position="done", done=size)

    offers = (Offer(technique="nvme-sanitize-crypto"),)
    monkeypatch.setattr(BlockBackend, "_allowed", lambda *_: (offers, ()))
    as_drives(monkeypatch)
    monkeypatch.setitem(commanding.COMMANDS, "nvme-sanitize-crypto", invents)
    bench = Workbench(tmp_path / "jobs")
    with pytest.raises(Refused, match="names no command that the device was sent"):
        bench.whole(job(loop.path, "nvme-sanitize-crypto"))


# --- what no reading afterwards can show ---------------------------------------------------------

Write = Callable[[Device, Pattern, Cursor | None], Iterator[Cursor]]
KEY = Pattern(kind="aes-256-ctr", key="5a" * 32)


def within_its_device(write: Write, image: Path) -> bool:
    """Erase a device that is a part of a file, and say whether the bytes around it are as they were."""
    before = os.urandom(8 * MIB)
    image.write_bytes(before)
    place = ("--offset", str(2 * MIB), "--sizelimit", str(4 * MIB))
    with attached(image, *place) as path:
        table = read_table(path)
        for _ in write(device_at(table, path), KEY, None):
            pass
    after = image.read_bytes()
    assert after[2 * MIB : 6 * MIB] == laid(KEY).read("device", 0, 4 * MIB)
    return after[: 2 * MIB] + after[6 * MIB :] == before[: 2 * MIB] + before[6 * MIB :]


def writes_beside(device: Device, pattern: Pattern, after: Cursor | None) -> Iterator[Cursor]:
    """Write the device, and a sector behind it in what it is made of."""
    yield from honest(device, pattern, after)
    with Path(device.backing).open("r+b") as file:
        os.pwrite(file.fileno(), bytes(SECTOR), device.backing_offset + device.size)


def test_nothing_beside_the_device_is_written(tmp_path: Path) -> None:
    assert within_its_device(honest, tmp_path / "honest")
    assert not within_its_device(writes_beside, tmp_path / "rogue")


def flushed_before_each_cursor(write: Write) -> bool:
    """Say whether a flush reached the medium before every cursor, and after the last write."""
    with faulty_device(3 * whole.PIECE) as below:
        table = read_table(str(below.path))
        flushed, kept = below.counts()["flushed"], True
        for _ in write(device_at(table, str(below.path)), KEY, None):
            now = below.counts()["flushed"]
            flushed, kept = now, kept and now > flushed
    return kept


def test_a_cursor_is_told_when_the_medium_has_flushed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_DURABLE", 0)
    monkeypatch.setattr(whole, "_OFTEN", 0.0)
    assert flushed_before_each_cursor(honest)
    monkeypatch.setattr(whole, "_flush", lambda _medium: None)
    assert not flushed_before_each_cursor(honest)


def let_through_in_use(opening: Callable[[Device], int], path: str, folder: Path) -> bool:
    """Say whether a device that was mounted after the last look is opened for writing all the same."""
    table = read_table(path)
    seen = device_at(table, path)
    subprocess.run(["mkfs.ext4", "-q", path], check=True, timeout=PATIENCE)
    subprocess.run(["mount", path, folder], check=True, timeout=PATIENCE)
    try:
        os.close(opening(seen))
    except Refused:
        return False
    finally:
        subprocess.run(["umount", folder], check=True, timeout=PATIENCE)
    return True


def test_a_device_that_was_mounted_after_the_last_look_is_not_opened(loop: Loop, tmp_path: Path) -> None:
    (tmp_path / "at").mkdir()
    assert not let_through_in_use(open_exclusive, loop.path, tmp_path / "at")
    assert let_through_in_use(lambda seen: os.open(seen.path, os.O_RDWR), loop.path, tmp_path / "at")
