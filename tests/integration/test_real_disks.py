"""Whole jobs on real file systems: what the certificate claims of each file, and what the device then shows.

The claim is one of: overwritten in place, freed, not reached. Where it is the first, no byte of the file
may stand on the device; where it is not, the certificate says so, and the raw device agrees.
"""

import hashlib
import io
import os
import pwd
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deleatur.cli.picture import show_plan
from deleatur.documents import certificate as c
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan
from deleatur.errors import Refused, Residue
from deleatur.sanitize import overwrite
from deleatur.sanitize.filesystem import FileSystem
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.placement import on_device
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.file import backend as file_backend
from deleatur_plugins.file import thumbnails

from .real_disks import RealDisk, over_sftp, overlay, real_disk, run

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("nobody_else")]

VALUES = [f"customer {n:05d} Anna Berg, of the {n * 7919 % 10007}. house".encode() for n in range(400)]
MARK = b" Anna Berg, of the "  # in each
NAME = "customers-of-anna-berg.csv"
ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878 §3.1.1
CONTENT = b"\n".join(VALUES)  # some 17 kB: blocks of its own on every file system
JOB = """
schema = "deleatur/job/v1"
name = "files"
reason = "decommission"
authority = "retention schedule 4.2"
requested_by = "clerk-7"
[verification]
device = {device}
[[target]]
id = "export"
url = "file://{path}"
{more}
"""


@dataclass
class Case:
    """A file system, what is done on it, and what must be said of the file and be found below."""

    kind: str
    made: tuple[str, ...] = ()
    mounted: str = ""
    content: bytes = CONTENT
    act: Callable[[Path], None] = lambda _: None  # with the disk's folder, when the file is there
    leave_shared: bool = False
    claim: tuple[int, int, int, int] = (1, 0, 0, 0)  # in place, freed, not reached, not told
    limits: frozenset[str] = frozenset()  # that cap the claim
    left: bool = False  # values still stand on the device afterwards
    on_device: bool = False  # read back there, beside the file system


def reflink(point: Path) -> None:
    """Copy the file so that both names share its blocks."""
    run("cp", "--reflink=always", point / "target" / NAME, point / "copy")


def snapshot(point: Path) -> None:
    """Keep everything as it is now."""
    run("btrfs", "-q", "subvolume", "snapshot", "-r", point, point / "old")


SHARED = frozenset({"shared-extents", "shared-with"})
COW = frozenset({"copy-on-write", "moved-extents"})
KEPT = Case("", leave_shared=True, claim=(0, 0, 1, 0), limits=SHARED, left=True)
CASES = {
    "ext4": Case("ext4", on_device=True),
    "ext4 of 1 KiB": Case("ext4", ("-b", "1024"), on_device=True),
    "ext4 data=journal": Case("ext4", mounted=",data=journal", on_device=True),
    "ext4 inline": Case("ext4", ("-O", "inline_data", "-I", "256"), content=VALUES[0][:50]),
    "ext4 inline, longer": Case("ext4", ("-O", "inline_data", "-I", "256"), content=(VALUES[0] * 3)[:120]),
    "xfs": Case("xfs", on_device=True),
    "xfs reflink": replace(
        KEPT,
        kind="xfs",
        made=("-m", "rmapbt=1"),
        act=reflink,
        on_device=True,  # what was written, at its new place
    ),
    "btrfs": Case("btrfs", claim=(0, 1, 0, 0), limits=COW, left=True),
    "btrfs nodatacow": Case("btrfs", mounted=",nodatacow"),
    "btrfs snapshot": replace(KEPT, kind="btrfs", act=snapshot, limits=SHARED | {"copy-on-write"}),
    "btrfs reflink": replace(KEPT, kind="btrfs", act=reflink, limits=SHARED | {"copy-on-write"}),
    "btrfs compressed": Case(
        "btrfs",
        mounted=",compress-force=zstd",
        claim=(0, 1, 0, 0),
        limits=COW | {"compressed-extents"},
        left=True,
    ),
}


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs")


def job_text(path: Path, *, device: bool = False, leave_shared: bool = False) -> str:
    more = "leave_shared = true" if leave_shared else ""
    return JOB.format(path=path, device=str(device).lower(), more=more)


def certificate(bench: Workbench, directory: JobDirectory) -> c.Certificate:
    return verify(directory.certificate, trusted=[bench.agent.public], threshold=1, about=None).certificate


def comparison(told: c.Certificate) -> c.Comparison:
    return told.verification[0].comparisons[0]


SELDOM = {"ext4 of 1 KiB", "ext4 inline, longer", "xfs reflink", "btrfs reflink", "btrfs compressed"}


@pytest.fixture(params=[pytest.param(n, marks=pytest.mark.campaign) if n in SELDOM else n for n in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def fill(point: Path, content: bytes) -> None:
    (point / "target").mkdir()
    (point / "target" / NAME).write_bytes(content)
    run("sync", "--file-system", point)


def mark_of(disk: RealDisk, case: Case) -> bytes:
    """Return what tells the content on the device: compressed, the first bytes of what was made of it."""
    if "compress" not in case.mounted:
        return MARK
    below = disk.below()
    start = below.index(ZSTD)
    return below[start : start + 64]


def test_the_claim_of_each_file_is_what_the_device_shows(
    tmp_path: Path, bench: Workbench, case: Case
) -> None:
    def prepare(point: Path) -> None:
        fill(point, case.content)
        case.act(point)

    with real_disk(tmp_path, case.kind, made=case.made, mounted=case.mounted, before=prepare) as disk:
        mark = mark_of(disk, case)
        assert mark in disk.below(), "the control of this test"
        directory = bench.whole(job_text(disk.point / "target", leave_shared=case.leave_shared))
        told = certificate(bench, directory)
        placed = comparison(told).placement
        assert placed is not None
        assert (placed.in_place, placed.freed, placed.not_reached, placed.not_told) == case.claim
        assert (mark in disk.below()) == case.left
        assert "directory-names" in {e.sentence.id for e in told.exceptions}, "whether or not it is found"
        assert {*told.outcome.per_target[0].limited_by} == case.limits
        assert told.outcome.overall == ("executed-unverified" if case.limits else "verified-with-exceptions")
        assert placed.bytes_on_device == (len(case.content) if case.on_device else 0)
        limits = {s.id for s in told.known_limits}
        assert ("device-not-searched" in limits) == case.on_device
        assert ("device-not-scanned" in limits) != case.on_device


# --- who holds what is left ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "made", "act", "who"),
    [
        pytest.param(
            *("btrfs", (), snapshot, r"inode-258 of subvolume or snapshot 256"), marks=pytest.mark.campaign
        ),
        ("btrfs", (), reflink, r"inode-259 of subvolume or snapshot 5"),
        ("xfs", ("-m", "rmapbt=1"), reflink, r"inode-\d+"),
        pytest.param(
            *("xfs", ("-m", "rmapbt=0"), reflink, r"others that could not be found out"),
            marks=pytest.mark.campaign,
        ),
    ],
)
def test_who_holds_shared_blocks_is_named_in_the_refusal_and_in_the_certificate(
    tmp_path: Path,
    bench: Workbench,
    kind: str,
    made: tuple[str, ...],
    act: Callable[[Path], None],
    who: str,
) -> None:
    def prepare(point: Path) -> None:
        fill(point, CONTENT)
        act(point)

    with real_disk(tmp_path, kind, made=made, before=prepare) as disk:
        path = disk.point / "target"
        inode = (path / NAME).stat().st_ino
        other = disk.point / "copy"
        if kind == "xfs" and "rmapbt=1" in made:
            who = f"inode-{other.stat().st_ino}"
        with pytest.raises(Refused, match=f"inode-{inode} shares blocks with .*: {who}\\)"):
            bench.whole(job_text(path), "refused")
        assert MARK in disk.below()
        assert (path / NAME).read_bytes() == CONTENT
        directory = bench.whole(job_text(path, leave_shared=True), "left")
        to = io.StringIO()
        show_plan(read_plan(directory), to)
        assert re.search(f"inode-{inode}: {who}", to.getvalue()), "who approves sees who keeps it"
        told = certificate(bench, directory)
        named = [e.sentence.text for e in told.exceptions if e.sentence.id == "shared-with"]
        assert len(named) == 1
        assert re.search(f"Blocks of inode-{inode} are also held by {who}, ", named[0])
        placed = comparison(told).placement
        assert placed is not None
        assert placed.not_reached_units == (f"inode-{inode}",)


def test_files_that_share_with_each_other_only_are_freed_together(tmp_path: Path, bench: Workbench) -> None:
    def prepare(point: Path) -> None:
        fill(point, CONTENT)
        run("cp", "--reflink=always", point / "target" / NAME, point / "target" / "copy")

    with real_disk(tmp_path, "xfs", made=("-m", "rmapbt=1"), before=prepare) as disk:
        told = certificate(bench, bench.whole(job_text(disk.point / "target", leave_shared=True)))
        placed = comparison(told).placement
        assert placed is not None
        # the first is written elsewhere; the second has the old blocks for itself by then, and is overwritten
        assert (placed.in_place, placed.freed, placed.not_reached) == (1, 1, 0)
        assert MARK not in disk.below()


def test_a_snapshot_after_the_approval_is_refused(tmp_path: Path, bench: Workbench) -> None:
    with real_disk(tmp_path, "btrfs", before=lambda point: fill(point, CONTENT)) as disk:
        directory = bench.approved(job_text(disk.point / "target", leave_shared=True))
        snapshot(disk.point)
        with pytest.raises(Refused, match="others share blocks with it than when it was planned"):
            bench.run(directory)
        assert (disk.point / "target" / NAME).read_bytes() == CONTENT


# --- what the map of the file system is compared with ----------------------------------------------


def test_blocks_that_moved_under_the_overwrite_are_said(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rogue lets go of the old blocks before it writes, as an editor does."""
    honest = overwrite.overwrite_in_place

    def elsewhere(fd: int, stream: Keystream, unit: str, after: int = 0) -> Iterator[int]:
        size = os.fstat(fd).st_size
        os.ftruncate(fd, 0)
        os.posix_fallocate(fd, 0, size)
        yield from honest(fd, stream, unit, after)

    monkeypatch.setattr(file_backend, "overwrite_in_place", elsewhere)
    with real_disk(tmp_path, "ext4", before=lambda point: fill(point, CONTENT)) as disk:
        told = certificate(bench, bench.whole(job_text(disk.point / "target")))
        placed = comparison(told).placement
        assert placed is not None
        assert (placed.in_place, placed.freed) == (0, 1)
        assert told.outcome.per_target[0].limited_by == ("moved-extents",)
        assert MARK in disk.below()


def test_a_device_that_shows_something_else_is_residue(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rogue reads well through the file, and the device holds other bytes where it is said to lie."""

    def beside(fd: int, system: FileSystem, offset: int, length: int) -> tuple[tuple[int, int], ...]:
        return tuple((low + 4096, high + 4096) for low, high in on_device(fd, system, offset, length))

    monkeypatch.setattr(file_backend, "on_device", beside)
    with real_disk(tmp_path, "ext4", before=lambda point: fill(point, CONTENT)) as disk:
        with pytest.raises(Residue):
            bench.whole(job_text(disk.point / "target"))
        assert (disk.point / "target" / NAME).exists(), "nothing is removed before it reads back"


def test_a_journal_that_says_nothing_of_where_files_lie_gets_no_certificate(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur.engine.comparing.lay_of", lambda *_: None)
    with (
        real_disk(tmp_path, "ext4", before=lambda point: fill(point, CONTENT)) as disk,
        pytest.raises(Refused, match="does not say where the files lie now"),
    ):
        bench.whole(job_text(disk.point / "target"))


def test_a_journal_that_can_no_longer_be_erased_stops_the_job(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(point: Path) -> None:
        fill(point, CONTENT)

    with real_disk(tmp_path, "ext4", mounted=",data=journal", before=prepare) as disk:
        directory = bench.approved(job_text(disk.point / "target"))
        monkeypatch.setattr("deleatur_plugins.file.survey.can_flush_journal", lambda _: False)
        with pytest.raises(Refused, match="data-journal holds now and did not when it was planned"):
            bench.run(directory)
        assert (disk.point / "target" / NAME).read_bytes() == CONTENT


# --- above and beside a device ---------------------------------------------------------------------


def test_the_lower_layer_of_an_overlay_is_not_reached_and_that_is_said(
    tmp_path: Path, bench: Workbench
) -> None:
    def prepare(point: Path) -> None:
        (point / "lower").mkdir()
        fill(point / "lower", CONTENT)

    with real_disk(tmp_path, "ext4", before=prepare) as disk, overlay(disk) as merged:
        told = certificate(bench, bench.whole(job_text(merged.above / "target")))
        assert told.outcome.overall == "executed-unverified"
        assert "copy-on-write" in told.outcome.per_target[0].limited_by
        assert comparison(told).placement is None
        assert MARK in disk.below()
        assert (disk.point / "lower" / "target" / NAME).read_bytes() == CONTENT


@pytest.mark.campaign
def test_the_upper_layer_of_an_overlay_is_not_claimed_either(tmp_path: Path, bench: Workbench) -> None:
    with (
        real_disk(tmp_path, "ext4", before=lambda point: (point / "lower").mkdir()) as disk,
        overlay(disk) as merged,
    ):
        fill(merged.above, CONTENT)
        told = certificate(bench, bench.whole(job_text(merged.above / "target")))
        assert "copy-on-write" in told.outcome.per_target[0].limited_by
        assert MARK not in disk.below(), "the limit is more modest than it had to be"


def test_what_a_server_keeps_is_not_claimed(tmp_path: Path, bench: Workbench) -> None:
    with (
        real_disk(tmp_path, "btrfs", before=lambda point: fill(point, CONTENT)) as disk,
        over_sftp(disk, tmp_path) as remote,
    ):
        told = certificate(bench, bench.whole(job_text(remote.above / "target")))
        assert told.outcome.overall == "executed-unverified"
        assert told.outcome.per_target[0].limited_by == ("network-file-system",)
        assert comparison(told).placement is None
        assert MARK in disk.below()


def test_memory_has_no_device_and_that_is_said(tmp_path: Path, bench: Workbench) -> None:
    mount = tmp_path / "memory"
    mount.mkdir()
    run("mount", "-t", "tmpfs", "none", mount)
    try:
        fill(mount, CONTENT)
        told = certificate(bench, bench.whole(job_text(mount / "target")))
        assert told.outcome.overall == "verified-with-exceptions"
        assert "memory-file-system" in {e.sentence.id for e in told.exceptions}
        assert comparison(told).placement is None
    finally:
        run("umount", mount)


def test_thumbnails_are_named_by_user_and_left(
    tmp_path: Path, bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the example in the standard, and a name with a blank and a letter beyond ASCII."""
    home = tmp_path / "home"
    cache = home / ".cache" / "thumbnails" / "large"
    cache.mkdir(parents=True)
    (cache / "c6ee772d9e49320e97ec29a7eb5b1697.png").write_bytes(b"picture")
    person = pwd.struct_passwd(("anna", "x", 4711, 4711, "", str(home), "/bin/sh"))
    monkeypatch.setattr("pwd.getpwall", lambda: [person])
    monkeypatch.setattr(thumbnails, "mount_points", lambda: {"/": "ext4"})
    known = thumbnails.Thumbnails()
    known.look("/".join(("", "home", "jens", "photos", "me.png")))
    assert known.in_words().endswith("of the users with the numbers 4711 (files: 1)")
    with real_disk(tmp_path, "ext4", before=lambda point: fill(point, CONTENT)) as disk:
        file = disk.point / "target" / "zwölf Fotos.png"
        file.write_bytes(CONTENT)
        name = hashlib.md5(file.as_uri().encode(), usedforsecurity=False).hexdigest()
        (cache / f"{name}.png").write_bytes(b"picture")
        told = certificate(bench, bench.whole(job_text(disk.point / "target")))
        assert "thumbnails-left" in {e.sentence.id for e in told.exceptions}
        assert any("4711 (files: 1)" in s.text for s in told.known_limits)
        assert (cache / f"{name}.png").exists()
