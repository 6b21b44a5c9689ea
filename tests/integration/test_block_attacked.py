"""Attacks on the block backend: no other device is written, nothing is certified that was not shown."""

import contextlib
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deleatur.api import DeviceTable, Target, laid, medium_of, open_exclusive, overwrite_device, read_table
from deleatur.devices import inventory
from deleatur.devices.inventory import device_at
from deleatur.documents.device import Device, Partition
from deleatur.documents.place import Cursor, Inspection, Pattern, Step
from deleatur.errors import DeleaturError, Refused, Transient
from deleatur.judge import sampling
from deleatur.judge.interlocks import interlocks
from deleatur.sanitize import device as whole
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import BlockBackend
from deleatur_plugins.block import backend as plugin

from ..lab.faulty_device import faulty_device
from ..lab.faulty_file import Faults
from ..lab.jobs import job, pattern_of, predicate
from .loops import MIB, PATIENCE, SECTOR, Loop, attached, loop_over

pytestmark = pytest.mark.root
SIZE = 5 * MIB + SECTOR
ZEROS = Pattern(kind="bytes", cycle="00")


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs")


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    with loop_over(tmp_path / "image", os.urandom(SIZE)) as made:
        yield made


def reasons(path: str) -> tuple[str, ...]:
    """Look as often as the backend does: a `losetup` of another test has each loop open for an instant."""
    for _ in range(plugin._GLANCES):
        table = read_table(path)
        found = interlocks(table, device_at(table, path))
        if not any("(losetup)" in reason for reason in found):
            break
        time.sleep(plugin._GLANCE)
    return found


# --- another device ------------------------------------------------------------------------------


def test_a_loop_over_the_device_by_a_node_of_another_name_refuses_it(loop: Loop, tmp_path: Path) -> None:
    """The loop driver opens what is below it beside everybody else, so that no exclusive open would tell."""
    node = tmp_path / "node"
    status = Path(loop.path).stat()
    os.mknod(node, 0o600 | 0o060000, status.st_rdev)
    assert reasons(loop.path) == ()
    with attached(node) as above:
        assert any(f"{Path(above).name} is made of" in reason for reason in reasons(loop.path))


def test_an_extended_partition_is_refused(bench: Workbench, tmp_path: Path) -> None:
    """The kernel shows two sectors of it, the map of the logical partitions, which begin after those."""

    def map_of(*entries: tuple[int, int, int]) -> bytes:
        lines = (struct.pack("<4xB3xII", *entry) for entry in entries)
        return bytes(446) + b"".join(lines).ljust(64, b"\0") + b"\x55\xaa"

    content = bytearray(8 * MIB)
    content[:SECTOR] = map_of((0x05, 2048, 8192))
    content[MIB : MIB + SECTOR] = map_of((0x83, 2048, 4096))
    with loop_over(tmp_path / "disk", bytes(content)) as disk:
        for words in (("1", "2048", "2"), ("5", "4096", "4096")):
            subprocess.run(["addpart", disk.path, *words], check=True, timeout=PATIENCE)
        try:
            with pytest.raises(Refused, match="p1 is an extended partition"):
                bench.approved(job(f"{disk.path}p1"))
            assert reasons(f"{disk.path}p5") == ()
        finally:
            for number in "15":
                subprocess.run(["delpart", disk.path, number], check=True, timeout=PATIENCE)
        assert disk.file.read_bytes() == bytes(content)


def test_what_a_device_is_made_of_is_asked_too(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of devices that are never erased may name it by what only the drive itself says."""
    honest, asked = inventory.asked, set[str]()

    def ask(device: Device) -> Device:
        asked.add(device.path)
        return honest(device)

    monkeypatch.setattr(inventory, "asked", ask)
    with attached(Path(loop.path)) as above:
        read_table(above)
    assert asked == {above, loop.path}


def test_two_loops_that_share_bytes_of_one_file_refuse_each_other(loop: Loop) -> None:
    with attached(loop.file, "--offset", str(4 * MIB)) as other:
        for one in (loop.path, other):
            assert any("shares its bytes" in reason for reason in reasons(one)), one
    loop.detach()
    loop.wait_until_free()
    with (
        attached(loop.file, "--offset", "0", "--sizelimit", str(MIB)) as low,
        attached(loop.file, "--offset", str(2 * MIB), "--sizelimit", str(MIB)) as high,
    ):
        assert reasons(low) == reasons(high) == ()


def test_a_loop_whose_file_somebody_has_open_is_refused(loop: Loop) -> None:
    """As a virtual machine has its image: nobody has the device itself open, and it is in use."""
    with (
        loop.file.open("rb") as image,
        subprocess.Popen(["sleep", "60"], stdin=image) as machine,
    ):
        try:
            assert f"{Path(loop.path).name} is open in process {machine.pid} (sleep)" in reasons(loop.path)
        finally:
            machine.kill()
    assert reasons(loop.path) == ()


@pytest.mark.parametrize("below", [False, True])
def test_a_device_in_the_memory_of_a_process_is_in_use(loop: Loop, below: bool) -> None:
    """It closed what it had opened: no open file tells of it, and an exclusive open succeeds."""
    program = """
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
memory = mmap.mmap(fd, 4096)
os.closerange(3, 64)  # also the one that mmap keeps
print("ready", flush=True)
sys.stdin.read()
"""
    words = (sys.executable, "-c", program, loop.file if below else loop.path)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            assert any(f"is open in process {process.pid} " in reason for reason in reasons(loop.path))
        finally:
            process.kill()
    assert reasons(loop.path) == ()


@pytest.mark.parametrize("how", ["another file of that name", "other bytes of that file"])
def test_a_loop_at_the_same_path_over_the_same_name_may_be_another_device(
    bench: Workbench, loop: Loop, how: str
) -> None:
    os.truncate(loop.file, 2 * SIZE)
    loop.detach()
    limit = ("--sizelimit", str(SIZE))
    loop.attach(loop.file, *limit)
    directory = bench.approved(job(loop.path))
    loop.detach()
    before = loop.file.read_bytes()
    offset: tuple[str, ...] = ()
    if how == "another file of that name":
        copy = loop.file.with_name("copy")
        copy.write_bytes(before)
        copy.replace(loop.file)
    else:
        offset = ("--offset", str(SIZE - SECTOR))
    loop.attach(loop.file, *limit, *offset)
    with pytest.raises(Refused, match="not the target of the plan"):
        bench.run(directory)
    assert loop.file.read_bytes() == before


def test_a_device_that_was_refused_is_not_read_by_the_next_probe(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another device came to the path between the look and the opening; what was opened stays closed."""
    backend = BlockBackend.open(Target(id="t", url=f"block://{loop.path}"), {"digest-key": bytes(32)})
    place = next(backend.sample(1, b"seed"))

    def refuse(_fd: int, _device: object) -> None:
        raise Refused("another one")

    monkeypatch.setattr(plugin, "require_same", refuse)
    for _ in range(2):
        with pytest.raises(Refused, match="another one"):
            backend.probe(place)
    monkeypatch.undo()
    assert backend.probe(place) == loop.file.read_bytes()[place.offset : place.offset + place.length]
    backend.close()


def test_a_partition_that_begins_elsewhere_by_now_is_not_opened(loop: Loop) -> None:
    subprocess.run(["addpart", loop.path, "1", "2048", "2048"], check=True, timeout=PATIENCE)
    try:
        table = read_table(f"{loop.path}p1")
        seen = device_at(table, f"{loop.path}p1")
        os.close(open_exclusive(seen))
        elsewhere = msgspec.structs.replace(seen, partition=Partition(index=1, start=512))
        with pytest.raises(Refused, match="begins at byte 1048576 now, and 512 was seen"):
            open_exclusive(elsewhere)
    finally:
        subprocess.run(["delpart", loop.path, "1"], check=True, timeout=PATIENCE)


# --- what was not erased -------------------------------------------------------------------------


class WritesATwin(BlockBackend):
    """Erases another device of the same size, and names that one as what is to be read back."""

    twin = ""

    def inspect(self) -> Inspection:
        found = super().inspect()
        surfaces = (msgspec.structs.replace(found.surfaces[0], paths=(self.twin,)), *found.surfaces[1:])
        return msgspec.structs.replace(found, surfaces=surfaces)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        assert step.pattern is not None
        fd = os.open(self.twin, os.O_RDWR | os.O_DIRECT)
        try:
            for written in overwrite_device(medium_of(fd), laid(step.pattern), "device"):
                yield Cursor(position=str(written.position), done=written.position)
        finally:
            os.close(fd)


@pytest.mark.parametrize("more", [pytest.param("", marks=pytest.mark.campaign), "device = true"])
def test_another_device_that_holds_the_pattern_is_not_read_instead(
    loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    bench = Workbench(tmp_path / "jobs", {"block": WritesATwin})
    with loop_over(tmp_path / "twin", loop.file.read_bytes()) as twin:
        monkeypatch.setattr(WritesATwin, "twin", twin.path)
        with pytest.raises(Refused, match="not the device of the plan"):
            bench.whole(job(loop.path, more=more))
    assert not (bench.folder / "job" / "certificate").exists()


class SkipsAPass(BlockBackend):
    """Says of every pass but the last that it is done, and writes nothing."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        if step.action == "pass-3":
            yield from super().erase(step, after)


def test_a_pass_that_did_not_reach_the_end_of_the_device_is_not_certified(loop: Loop, tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "jobs", {"block": SkipsAPass})
    with pytest.raises(Refused, match="s1 did not reach the end of the device"):
        bench.whole(job(loop.path, "overwrite-device-dod-short"))


@pytest.mark.campaign
def test_a_device_that_grows_while_it_is_erased_is_not_certified(
    bench: Workbench, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = whole._flush

    def grow(medium: whole.Medium) -> None:
        honest(medium)
        os.truncate(loop.file, SIZE + MIB)
        subprocess.run(["losetup", "--set-capacity", loop.path], check=True, timeout=PATIENCE)

    monkeypatch.setattr(whole, "_flush", grow)
    with pytest.raises(DeleaturError, match="not the target of the plan"):
        bench.whole(job(loop.path))


def test_a_device_that_shrinks_while_it_is_erased_is_told_from_a_full_disk(
    bench: Workbench, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = bench.approved(job(loop.path))
    honest = whole._write

    def shrink(fd: int, view: memoryview, base: int, low: int, high: int) -> None:
        if base:
            os.truncate(loop.file, MIB)
            subprocess.run(["losetup", "--set-capacity", loop.path], check=True, timeout=PATIENCE)
        honest(fd, view, base, low, high)

    monkeypatch.setattr(whole, "_write", shrink)
    with pytest.raises(DeleaturError, match=f"has {MIB} now|not the device of the plan|not the target"):
        bench.run(directory)
    assert not directory.certificate.exists()


def test_a_sample_that_the_medium_does_not_show_is_no_sample(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first and the last place can be read, and nobody drew those."""
    monkeypatch.setattr(sampling, "SPARES", 0)
    hidden = tuple((n * whole.PIECE // SECTOR + 5, 1) for n in range(1, 11))
    with faulty_device(12 * whole.PIECE, Faults(unreadable=hidden)) as device:
        asked = job(
            device.path, "overwrite-device-zeros", "sample", 'confidence = "0.9"\nmax_bad_fraction = "0.4"'
        )
        found = predicate(bench.whole(asked))
    (compared,) = found["verification"][0]["comparisons"]
    assert compared["sampled"] == 2
    assert 3 <= compared["unreadable"] <= 5
    assert found["outcome"]["perTarget"][0]["assurance"] == "A0/addressable"
    assert found["outcome"]["overall"] == "executed-unverified"


@pytest.mark.campaign
def test_a_place_or_two_that_the_medium_does_not_show_are_no_chance_lost(bench: Workbench) -> None:
    with faulty_device(40 * whole.PIECE, Faults.bad((whole.PIECE // SECTOR, 2))) as device:
        asked = job(
            device.path, "overwrite-device-zeros", "sample", 'confidence = "0.9"\nmax_bad_fraction = "0.3"'
        )
        found = predicate(bench.whole(asked))
    (compared,) = found["verification"][0]["comparisons"]
    outcome = found["outcome"]["perTarget"][0]
    assert (outcome["assurance"], outcome["state"]) == ("A2/addressable", "verified-with-exceptions")
    assert compared["bound"]["maxBadFraction"] < "0.3"
    assert [c["id"] for c in outcome["claims"]] == ["overwritten-sampled-readable"]


# --- what ends a run -----------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [pytest.param("before the run", marks=pytest.mark.campaign), "in the run"])
def test_a_pulled_device_is_tried_again_when_it_is_back(
    bench: Workbench, loop: Loop, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = bench.approved(job(loop.path))
    monkeypatch.setattr("deleatur.engine.opening.DELAY", 0.01)
    honest = whole._flush

    def pull(medium: whole.Medium) -> None:
        honest(medium)
        loop.detach()  # lazily: it goes when whoever has it open lets go

    if moment == "in the run":
        monkeypatch.setattr(whole, "_flush", pull)
    else:
        loop.detach()
    with pytest.raises(Transient) as told:
        bench.run(directory)
    assert told.value.exit_code == 6
    assert "attach it again" in str(told.value)
    monkeypatch.setattr(whole, "_flush", honest)
    loop.attach(loop.file)
    bench.run(directory)
    assert loop.file.read_bytes() == laid(pattern_of(directory)).read("device", 0, SIZE)


@pytest.mark.campaign
def test_a_journal_without_room_ends_the_run_and_it_goes_on_later(tmp_path: Path, loop: Loop) -> None:
    jobs = tmp_path / "small"
    jobs.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", jobs], check=True, timeout=PATIENCE)
    try:
        bench = Workbench(jobs)
        directory = bench.approved(job(loop.path))
        full = jobs / "full"
        with contextlib.suppress(OSError), full.open("wb", buffering=0) as file:
            while file.write(bytes(512)):
                pass
        with pytest.raises(DeleaturError):
            bench.run(directory)
        assert not directory.certificate.exists()
        full.unlink()
        bench.run(directory)
        assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"
    finally:
        subprocess.run(["umount", jobs], check=True, timeout=PATIENCE)


def test_a_process_that_stood_still_goes_on_to_the_sector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP, or a host that slept: an hour within one attempt is no reason to give a range up whole."""
    now = [0.0]
    monkeypatch.setattr(whole.time, "monotonic", lambda: now[0])
    stopped = [3600.0]
    bad = 77 * SECTOR

    def act(low: int, high: int) -> None:
        now[0] += stopped.pop() if stopped else 0.01
        if low <= bad < high:
            raise OSError(5, "bad")

    with (tmp_path / "file").open("wb") as file:
        medium = whole.Medium(file.fileno(), MIB, SECTOR)
        assert whole._bad(medium, 0, MIB, act) == ((bad, bad + SECTOR),)


@pytest.mark.parametrize("block", [pytest.param(1024, marks=pytest.mark.campaign), 4096])
def test_a_device_of_larger_blocks_is_erased_to_its_last_one(
    bench: Workbench, tmp_path: Path, block: int
) -> None:
    image = tmp_path / "large"
    image.write_bytes(os.urandom(4 * MIB + 3 * block))
    with attached(image, "--sector-size", str(block)) as path:
        directory = bench.whole(job(path))
    expected = laid(pattern_of(directory)).read("device", 0, 4 * MIB + 3 * block)
    assert image.read_bytes() == expected


def test_places_are_never_smaller_than_a_block(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since Linux 6.15 a device may have blocks of up to 64 KiB; direct reads of less fail."""

    def large(path: str | None) -> DeviceTable:
        table = read_table(path)
        return msgspec.structs.replace(
            table,
            devices=tuple(msgspec.structs.replace(d, logical_block=65536) for d in table.devices),
        )

    monkeypatch.setattr(plugin, "read_table", large)
    target = Target(id="t", url=f"block://{loop.path}")
    backend = BlockBackend.open(target, {"digest-key": bytes(32)})
    places = list(backend.sample(None, b""))
    assert {place.length for place in places[:-1]} == {65536}
    assert sum(place.length for place in places) == SIZE


def test_a_device_whose_end_is_half_a_block_is_refused_when_it_is_planned(
    bench: Workbench, tmp_path: Path
) -> None:
    image = tmp_path / "odd"
    image.write_bytes(bytes(MIB + SECTOR))
    with attached(image, "--sector-size", "4096") as path, pytest.raises(DeleaturError, match="no multiple"):
        bench.plan(bench.job(job(path)))


# --- what the certificate says -------------------------------------------------------------------


def limits(found: dict[str, Any]) -> set[str]:
    return {e["sentence"]["id"] for e in found["exceptions"]} | {s["id"] for s in found["knownLimits"]}


def test_processes_that_cannot_be_looked_into_are_named(
    bench: Workbench, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(path: str | None) -> DeviceTable:
        return msgspec.structs.replace(read_table(path), closed=("process 1",))

    monkeypatch.setattr(plugin, "read_table", hidden)
    found = predicate(bench.whole(job(loop.path)))
    assert "openers-unseen" in limits(found)
    assert found["outcome"]["overall"] == "verified-with-exceptions"
    assert found["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"


@pytest.mark.campaign
def test_a_pattern_that_repeats_says_less_than_a_keystream(bench: Workbench, loop: Loop) -> None:
    directory = bench.whole(job(loop.path, "overwrite-device-zeros"))
    assert "repeating-pattern" in limits(predicate(directory))
    assert "repeating-pattern" not in limits(predicate(bench.whole(job(loop.path), "keystream")))


# --- large devices -------------------------------------------------------------------------------


def test_a_device_of_twenty_terabytes_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    """Sparse, on a file system in memory: planned, sampled, certified in a process of its own."""
    size = 20 * 10**12
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        image = Path(folder) / "image"
        with image.open("wb") as file:
            file.truncate(size)
        with attached(image) as node:
            done = subprocess.run(
                [sys.executable, "-m", "tests.integration.large_device", node, tmp_path / "jobs"],
                check=True, timeout=4 * PATIENCE, stdout=subprocess.PIPE, text=True,
                cwd=Path(__file__).parents[2],
            )  # fmt: skip
        assert image.stat().st_blocks == 0
    population, sampled, stored, peak = map(float, done.stdout.split())
    assert population == -(-size // whole.PIECE)
    assert 22 <= sampled <= 40
    assert stored < MIB
    assert peak < 150


def test_a_large_device_has_no_more_cursors_than_a_journal_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_REQUEST", 512 * MIB)
    monkeypatch.setattr(whole, "_OFTEN", 0.0)
    monkeypatch.setattr(whole, "_flush", lambda _medium: None)
    monkeypatch.setattr(whole, "in_order", lambda pieces, *_, **__: ((piece, ()) for piece in pieces))
    for size in (1 << 36, 20 * 10**12, 1 << 52):
        medium = whole.Medium(-1, size, 512)
        if size > 1 << 50:
            monkeypatch.setattr(whole, "_REQUEST", 1 << 37)
        reached = [w.position for w in whole.overwrite_device(medium, laid(ZEROS), "device")]
        assert reached == sorted(set(reached))
        assert reached[-1] == size
        assert len(reached) <= whole._CURSORS + 1


def test_the_keystream_goes_on_beyond_what_32_bits_count() -> None:
    stream = laid(Pattern(kind="aes-256-ctr", key="5a" * 32))
    far = 1 << 52
    assert stream.read("device", far - 16, 48) == b"".join(
        stream.read("device", far + at, 16) for at in (-16, 0, 16)
    )
    seen = {stream.read("device", 1 << shift, 32) for shift in range(9, 53)}
    assert len(seen) == 44
