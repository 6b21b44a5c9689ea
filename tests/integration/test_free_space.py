"""A job that fills the free space, on real file systems: what it reaches, what it says, what stops it."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.documents import certificate as c
from deleatur.documents import journal as j
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_entries, read_plan
from deleatur.errors import Failed, Refused, Residue
from deleatur.sanitize import overwrite
from deleatur.sanitize.filling import Look, SpaceFill
from deleatur.sanitize.keystream import Keystream
from deleatur.testing import faults
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from .free_space import Disk, disk

pytestmark = pytest.mark.root
STREAM = Keystream("7a" * 32)
BLOCK = 4096

JOB = """
schema = "deleatur/job/v1"
name = "fill"
reason = "decommission"
authority = "retention schedule 4.2"
requested_by = "clerk-7"
[verification]
device = {device}
mode = "{mode}"
[[target]]
id = "export"
url = "file://{point}/export"
[[free_space]]
id = "disk"
folder = "{point}"
margin = {margin}
"""


@pytest.fixture(params=["ext4", "xfs"])
def any_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path, request.param) as made:
        yield made


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Disk]:
    with disk(tmp_path, "ext4") as made:
        yield made


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs")


def planned(
    bench: Workbench, made: Disk, *, margin: int = 0, mode: str = "full", device: bool = True
) -> JobDirectory:
    """Write the secret into a file that is the target, and plan and approve the job."""
    (made.point / "export").write_bytes(made.secret * 300)
    os.sync()
    text = JOB.format(point=made.point, margin=margin, mode=mode, device=str(device).lower())
    directory = bench.job(text)
    bench.plan(directory)
    bench.approve(directory)
    return directory


def filled(directory: JobDirectory) -> list[j.Filled]:
    events = (e.event for e in read_entries(directory, read_plan(directory)))
    return [event for event in events if isinstance(event, j.Filled)]


def certificate(bench: Workbench, directory: JobDirectory) -> c.Certificate:
    return verify(directory.certificate, trusted=[bench.agent.public], threshold=1, about=None).certificate


def exceptions(bench: Workbench, directory: JobDirectory) -> set[str]:
    return {e.sentence.id for e in certificate(bench, directory).exceptions if e.target_id == "disk"}


def test_free_blocks_are_overwritten_read_back_and_certified(any_disk: Disk, bench: Workbench) -> None:
    any_disk.leave_traces()
    before = any_disk.below().count(any_disk.secret)
    assert before > 50_000, "removing a file erases nothing: the control of this test"
    free = os.statvfs(any_disk.point).f_bfree
    is_xfs = any_disk.kind == "xfs"
    directory = planned(bench, any_disk, device=not is_xfs)
    bench.run(directory)
    lists = 8 * BLOCK if is_xfs else 0  # XFS: blocks of its own lists, which no file gets
    assert any_disk.below().count(any_disk.secret) * len(any_disk.secret) <= lists
    assert abs(os.statvfs(any_disk.point).f_bfree - free) < 20
    told = filled(directory)[0]
    assert (told.mismatches, told.control_equal, told.left) == (0, 0, 0)
    assert told.read == told.population > 0
    assert told.control > 0
    space = certificate(bench, directory).free_space[0]
    assert (space.file_system, space.written) == (any_disk.kind, told.written)
    assert [s.id for s in space.claims] == ["space-filled"]
    assert exceptions(bench, directory) - {"flash"} == {"layered-device"}
    kept = [p for p in any_disk.point.iterdir() if p.name.startswith("f")]
    assert len(kept) == 9
    assert all(p.read_bytes() == b"stays " * 100 for p in kept)


def test_without_the_fill_the_device_is_not_clean(
    ext4: Disk, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rogue that stops early and says nothing: the raw scan and the free map both see it."""
    ext4.leave_traces()
    directory = planned(bench, ext4)
    monkeypatch.setattr(SpaceFill, "overwrite", lambda _self: iter([1]))
    with pytest.raises(Residue, match="can still be read"):
        bench.run(directory)
    assert filled(directory)[0].left > 20 << 20
    monkeypatch.undo()
    bench.run(directory)
    assert ext4.secret not in ext4.below()
    assert [f.left for f in filled(directory)][1:] == [0]


def test_a_fill_that_says_full_too_early_is_an_exception(
    ext4: Disk, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = planned(bench, ext4, device=False)
    monkeypatch.setattr(SpaceFill, "overwrite", lambda _self: iter([1]))
    bench.run(directory)
    space = certificate(bench, directory).free_space[0]
    assert (space.written, space.sampled) == (0, 0)
    assert space.left > 20 << 20
    assert "space-left" in exceptions(bench, directory)


def test_blocks_that_never_reach_the_device_are_residue(
    ext4: Disk, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = planned(bench, ext4, device=False)
    honest = overwrite._write

    def lying(cached: int, direct: int | None, view: memoryview, offset: int) -> None:
        if offset < 10 << 20:
            honest(cached, direct, view, offset)

    monkeypatch.setattr(overwrite, "_write", lying)
    with pytest.raises(Residue):
        bench.run(directory)
    assert filled(directory)[0].mismatches > 0
    monkeypatch.undo()
    bench.run(directory)
    assert filled(directory)[-1].mismatches == 0


def test_a_comparison_that_calls_everything_equal_is_caught_by_its_control(
    ext4: Disk, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = planned(bench, ext4, device=False)
    honest = SpaceFill._compared

    def blind(self: SpaceFill, pieces: object, places: object, look: Look) -> Iterator[None]:
        for _ in honest(self, pieces, places, look):  # type: ignore[arg-type]
            look.differing = 0
            yield

    monkeypatch.setattr(SpaceFill, "_compared", blind)
    with pytest.raises(Failed, match="reading it back shows nothing"):
        bench.run(directory)
    assert filled(directory) == []


def test_an_error_of_the_device_stops_the_job_and_nothing_stays_taken(
    ext4: Disk, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ext4.leave_traces()
    directory = planned(bench, ext4)
    free = os.statvfs(ext4.point).f_bfree
    honest = Keystream.fill

    def broken(self: Keystream, unit: str, offset: int, buffer: memoryview) -> None:
        if unit.startswith("disk") and offset > 5 << 20:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        honest(self, unit, offset, buffer)

    monkeypatch.setattr(Keystream, "fill", broken)
    with pytest.raises(Failed, match="Input/output error"):
        bench.run(directory)
    assert os.statvfs(ext4.point).f_bfree >= free
    reserve = next(Path("/sys/fs/ext4").glob(f"{ext4.device().name}/reserved_clusters"))
    assert int(reserve.read_text()) > 0, "the reserve is set back"
    monkeypatch.undo()
    bench.run(directory)
    assert ext4.secret not in ext4.below()


def test_a_margin_stays_free_and_is_an_exception(ext4: Disk, bench: Workbench) -> None:
    directory = planned(bench, ext4, margin=16 << 20, device=False)
    bench.run(directory)
    assert "space-margin" in exceptions(bench, directory)
    space = certificate(bench, directory).free_space[0]
    assert space.margin == 16 << 20
    assert space.left < 1 << 20
    assert abs(space.written - space.planned) < 1 << 20


def test_a_sample_is_read_back_and_bound(ext4: Disk, bench: Workbench) -> None:
    directory = planned(bench, ext4, mode="sample", device=False)
    text = directory.job.read_text()
    assert 'mode = "sample"' in text
    bench.run(directory)
    told = filled(directory)[0]
    space = certificate(bench, directory).free_space[0]
    assert told.read <= told.population
    assert (space.bound is None) == (told.read == told.population)


def test_reserved_blocks_of_files_are_written_where_nobody_has_them_open(
    ext4: Disk, bench: Workbench
) -> None:
    ext4.leave_traces()
    closed, opened = ext4.point / "closed.log", ext4.point / "opened.log"
    for path in (closed, opened):
        with path.open("wb") as file:
            file.write(b"begins here")
            os.posix_fallocate(file.fileno(), 0, 4 << 20)
            file.flush()
            os.fsync(file.fileno())
    content, times = closed.read_bytes(), closed.stat().st_mtime_ns
    directory = planned(bench, ext4, device=False)
    with opened.open("rb+"):
        bench.run(directory)
    told = filled(directory)[0]
    assert told.reserved >= 3 << 20
    assert told.files_left == 1
    assert told.reserved_left >= 3 << 20
    assert (closed.read_bytes(), closed.stat().st_mtime_ns) == (content, times)
    assert "reserved-in-use" in exceptions(bench, directory)
    assert "reserved-written" in {s.id for s in certificate(bench, directory).free_space[0].claims}


def test_a_kill_at_any_call_gives_everything_back(tmp_path: Path) -> None:
    with disk(tmp_path, "ext4", megabytes=16) as made:
        free = os.statvfs(made.point).f_bfree
        work = fill_of(made)
        calls = faults.count_calls(work)
        for n in range(1, calls - 3, max(calls // 12, 1)):
            assert faults.run_killed_at(work, n).killed
            assert os.statvfs(made.point).f_bfree == free
            assert sorted(p.name for p in made.point.iterdir()) == ["lost+found"]


@pytest.mark.campaign
def test_a_kill_at_every_call_of_a_fill_gives_everything_back(tmp_path: Path) -> None:
    with disk(tmp_path, "ext4", megabytes=16) as made:
        made.leave_traces(files=20)
        free = os.statvfs(made.point).f_bfree
        work = fill_of(made)
        n = 1
        while faults.run_killed_at(work, n).killed:
            assert os.statvfs(made.point).f_bfree == free
            n += 1
        assert n > 20
        assert made.secret not in made.below()


def fill_of(made: Disk):  # type: ignore[no-untyped-def]
    def work() -> None:
        folder = os.open(made.point, os.O_RDONLY)
        device = os.open(made.device(), os.O_RDONLY | os.O_DIRECT)
        with SpaceFill(folder, device, STREAM, "test", margin=0) as space:
            for _ in space.overwrite():
                continue
            for _ in space.read_back(range):
                continue
            space.give_back()
        os.close(device)
        os.close(folder)

    return work


def test_a_killed_run_is_resumed_and_fills_once_more(ext4: Disk, bench: Workbench) -> None:
    """Between fill and removal: the process dies, the kernel gives the blocks back, resume fills again."""
    ext4.leave_traces()
    directory = planned(bench, ext4)
    free = os.statvfs(ext4.point).f_bfree
    child = os.fork()
    if child == 0:
        SpaceFill.give_back = lambda _self: os.kill(os.getpid(), 9)  # type: ignore[assignment,method-assign,return-value]
        bench.run(directory)
        sys.exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == 9
    assert filled(directory) == []
    assert os.statvfs(ext4.point).f_bfree >= free
    bench.run(directory)
    events = [e.event for e in read_entries(directory, read_plan(directory))]
    assert sum(isinstance(e, j.Filling) for e in events) == 2
    assert sum(isinstance(e, j.Filled) for e in events) == 1
    assert ext4.secret not in ext4.below()


def test_a_copy_on_write_file_system_and_one_in_memory_are_refused(tmp_path: Path, bench: Workbench) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", memory], check=True)
    try:
        (memory / "export").write_bytes(b"some content to go")
        text = JOB.format(point=memory, margin=0, mode="full", device="false")
        with pytest.raises(Refused, match="ext4 and XFS only, and this is tmpfs"):
            bench.plan(bench.job(text))
    finally:
        subprocess.run(["umount", memory], check=True)


def test_one_file_system_is_named_once(ext4: Disk, bench: Workbench) -> None:
    (ext4.point / "export").write_bytes(b"some content to go")
    text = JOB.format(point=ext4.point, margin=0, mode="full", device="false")
    text += f'[[free_space]]\nid = "again"\nfolder = "{ext4.point}/lost+found"\nmargin = 0\n'
    with pytest.raises(Refused, match="one file system"):
        bench.plan(bench.job(text))


def test_another_file_system_than_planned_is_refused_before_anything_changes(
    ext4: Disk, bench: Workbench, tmp_path: Path
) -> None:
    (tmp_path / "export").write_bytes(b"some content to go " * 50)
    text = JOB.format(point=ext4.point, margin=0, mode="full", device="false")
    directory = bench.job(text.replace(f"file://{ext4.point}/export", f"file://{tmp_path}/export"))
    bench.plan(directory)
    bench.approve(directory)
    subprocess.run(["umount", ext4.point], check=True)
    with (
        disk(ext4.point / "..", "ext4", point=ext4.point),
        pytest.raises(Refused, match="not the file system"),
    ):
        bench.run(directory)
    subprocess.run(["mount", "-o", "loop,noatime", ext4.image, ext4.point], check=True)
    assert (tmp_path / "export").exists()
