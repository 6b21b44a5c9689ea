"""The file backend killed at each call, on a failing disk, and with paths swapped under its hands.

The contract suite does the same for a tree in which every call goes through `os`; here are the
single file, whose name changes on the way, the renames of the kernel, and the races.
"""

import ctypes
import errno
import itertools
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deleatur.api import Cursor, Locator, Pattern, Refused, Step, Target
from deleatur.documents.codec import encode_json
from deleatur.errors import DeleaturError, Gone
from deleatur.sanitize import overwrite
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.overwrite import found_again, neutral_names, overwrite_in_place, remove
from deleatur.testing import faults
from deleatur_plugins.file import FileBackend

from ..small_disk import SMALL_JOURNAL, flush, small_disk

pytestmark = pytest.mark.root

KEY = bytes(range(32))
PATTERN = "cd" * 32
CANARY = b"CANARY-0123456789abcdef-0123456-"


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    with small_disk(24, SMALL_JOURNAL) as (mount, _):
        yield mount


@pytest.fixture
def folder(disk: Path) -> Iterator[Path]:
    made = disk / "folder"
    made.mkdir()
    yield made
    shutil.rmtree(made)


def raw(folder: Path) -> bytes:
    flush(folder)
    return (folder.parents[1] / "image").read_bytes()


def step(action: str) -> Step:
    return Step(
        id="s1",
        target="t",
        technique="overwrite-and-remove",
        action=action,
        compare="absence",
        pattern=Pattern(kind="aes-256-ctr", key=PATTERN),
    )


class Job:
    """The engine's side: approve, run both steps, keep the cursors, go on from them."""

    def __init__(self, path: Path) -> None:
        self.url = path.as_uri()
        self.secrets = {"digest-key": KEY}
        with closing(self.open()) as opened:
            look = opened.inspect()
            self.places = list(opened.sample(None, b""))
        self.identity = look.identity
        self.secrets["approved-units"] = encode_json({"units": look.units, "held": look.held})

    def open(self) -> FileBackend:
        return FileBackend.open(Target(id="t", url=self.url), self.secrets)

    def run(self, journal: tuple[str, ...] = ()) -> Iterator[str]:
        """Do what the journal does not say is done; yield its new lines."""
        for action in ("overwrite", "remove"):
            lines = [line.split()[1:] for line in journal if line.startswith(action)]
            if ["end"] in lines:
                continue
            after = Cursor(position=lines[-1][0], done=int(lines[-1][1])) if lines else None
            with closing(self.open()) as opened:
                for cursor in opened.erase(step(action), after):
                    yield f"{action} {cursor.position} {cursor.done}"
            if action == "overwrite":
                self.compare()
            yield f"{action} end"

    def compare(self) -> None:
        stream = Keystream(PATTERN)
        with closing(self.open()) as opened:
            assert opened.inspect().identity == self.identity
            for place in self.places:
                expected = stream.read(place.unit, place.offset, place.length)
                assert opened.probe(place) == expected, "an overwritten place must read back"

    def until_error(self) -> tuple[list[str], Exception | None]:
        journal: list[str] = []
        try:
            for line in self.run():
                journal.append(line)  # noqa: PERF402 - the lines before the error count
        except (OSError, DeleaturError) as error:
            return journal, error
        return journal, None

    def assert_gone(self, folder: Path) -> None:
        with closing(self.open()) as opened:
            with pytest.raises(Gone):
                opened.inspect()
            assert [opened.probe(place) for place in self.places] == [None] * len(self.places)
        assert [p.name for p in folder.iterdir()] == ["neighbour"]
        assert (folder / "neighbour").read_bytes() == b"stays"
        assert CANARY not in raw(folder)


def plant_file(folder: Path, name: str) -> Path:
    (folder / "neighbour").write_bytes(b"stays")
    file = folder / name
    file.write_bytes(CANARY * 300)
    os.setxattr(file, "user.note", b"0123")
    os.sync()
    return file


@pytest.mark.parametrize(("name", "most"), [("x", 1000), ("a name of some length", 6)])
def test_a_single_file_survives_a_kill_at_each_call(folder: Path, name: str, most: int) -> None:
    calls = faults.list_calls(Job(plant_file(folder, name)).run)
    assert {"pwrite", "fsync", "ftruncate", "unlink", "setxattr", "removexattr"} <= set(calls)
    for n, moment in faults.kill_points(calls, most):
        job = Job(plant_file(folder, name))
        died = faults.run_killed_at(job.run, n, moment)
        assert died.killed
        assert list(job.run(died.told))[-1:] in (["remove end"], [])
        job.assert_gone(folder)


@pytest.mark.parametrize("stop", [1, 2])
def test_a_renamed_file_is_found_again(folder: Path, stop: int) -> None:
    """The kill between the renames, which are system calls that `faults` does not see."""
    job = Job(plant_file(folder, "name"))
    assert list(job.run())[-1] == "remove end"
    job = Job(plant_file(folder, "name"))
    for line in job.run():
        if line == "overwrite end":
            break
    fd = os.open(folder, os.O_RDONLY)
    for old, new in zip(
        ["name", *neutral_names("name", KEY)], neutral_names("name", KEY)[:stop], strict=False
    ):
        os.rename(old, new, src_dir_fd=fd, dst_dir_fd=fd)
    assert found_again(fd, "name", KEY) == neutral_names("name", KEY)[stop - 1]
    assert found_again(fd, "other", KEY) is None
    os.close(fd)
    with closing(job.open()) as opened:
        assert opened.inspect().identity == job.identity
    assert list(job.run(("overwrite end",)))[-1] == "remove end"
    job.assert_gone(folder)


@pytest.mark.parametrize(("code", "most"), [(errno.EIO, 1000), (errno.ENOSPC, 6)])
def test_a_failing_call_is_told_and_survived(folder: Path, code: int, most: int) -> None:
    calls = faults.list_calls(Job(plant_file(folder, "name")).run)
    for n in faults.spread(len(calls), most):
        job = Job(plant_file(folder, "name"))
        with faults.failing_at(n, code):
            journal, error = job.until_error()
        assert isinstance(error, OSError), f"swallowed at call {n}: {calls[n - 1]}"
        assert error.errno == code
        assert "name" not in str(error).replace("renameat2", "")
        list(job.run(tuple(journal)))
        job.assert_gone(folder)


def fill(file: Path) -> None:
    """Write until there is no room."""
    with pytest.raises(OSError, match="No space left"), file.open("wb", buffering=0) as filler:
        list(map(filler.write, itertools.repeat(bytes(1 << 20))))


def test_a_full_btrfs_is_told(tmp_path: Path) -> None:
    """Copy on write needs room to overwrite: a real ENOSPC, and the run goes on once there is room."""
    mount = tmp_path / "mount"
    mount.mkdir()
    subprocess.run(["truncate", "-s", "120M", tmp_path / "image"], check=True)
    quiet: dict[str, Any] = {"check": True, "stderr": subprocess.DEVNULL}
    subprocess.run(["mkfs.btrfs", "-q", tmp_path / "image"], **quiet)
    subprocess.run(["mount", "-o", "loop", tmp_path / "image", mount], check=True)
    try:
        (mount / "file").write_bytes(CANARY * 600_000)
        job = Job(mount / "file")
        fill(mount / "filler")
        journal, error = job.until_error()
        assert isinstance(error, OSError)
        assert error.errno == errno.ENOSPC
        (mount / "filler").unlink()
        flush(mount)
        assert list(job.run(tuple(journal)))[-1] == "remove end"
    finally:
        subprocess.run(["umount", mount], check=True)


def test_short_writes_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = plant_file(folder, "name")
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, view, offset: write(fd, view[:100], offset))
    fd = os.open(file, os.O_RDWR)
    try:
        assert list(overwrite_in_place(fd, Keystream(PATTERN), "u")) == [9600]
        assert file.read_bytes() == Keystream(PATTERN).read("u", 0, 9600)
        monkeypatch.setattr(os, "pwrite", lambda fd, view, offset: 0)
        with pytest.raises(OSError, match="wrote nothing"):
            next(overwrite_in_place(fd, Keystream(PATTERN), "u"))
    finally:
        os.close(fd)


def test_a_rename_never_replaces(folder: Path) -> None:
    (folder / "file").write_bytes(b"one")
    first, second = neutral_names("file", KEY)
    (folder / first).write_bytes(b"stays")
    (folder / second).write_bytes(b"stays")
    fd = os.open(folder, os.O_RDONLY)
    remove(fd, "file", KEY)
    os.close(fd)
    assert sorted(p.name for p in folder.iterdir()) == sorted((first, second))
    assert {p.read_bytes() for p in folder.iterdir()} == {b"stays"}


def test_a_file_system_without_safe_renames_keeps_the_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Old:
        def renameat2(self, *_: Any) -> int:
            ctypes.set_errno(errno.EINVAL)
            return -1

    monkeypatch.setattr(overwrite.ctypes, "CDLL", lambda *_, **__: Old())
    (folder / "file").write_bytes(b"x")
    fd = os.open(folder, os.O_RDONLY)
    remove(fd, "file", KEY)
    os.close(fd)
    assert list(folder.iterdir()) == []


# --- races ---------------------------------------------------------------------------------------

Swap = Callable[[Path, Path], None]


def to_link_to_file(tree: Path, outside: Path) -> None:
    (tree / "b" / "file").unlink()
    (tree / "b" / "file").symlink_to(outside / "file")


def to_link_to_folder(tree: Path, outside: Path) -> None:
    (tree / "b").rename(tree.parent / "aside")
    (tree / "b").symlink_to(outside)


def to_other_folder(tree: Path, outside: Path) -> None:
    (tree / "b").rename(tree.parent / "aside")
    outside.rename(tree / "b")


def to_other_file(tree: Path, outside: Path) -> None:
    (outside / "file").rename(tree / "b" / "file")


@pytest.mark.parametrize(
    ("action", "swap"),
    [
        ("overwrite", to_link_to_folder),
        ("overwrite", to_other_file),
        ("remove", to_link_to_file),
        ("remove", to_other_folder),
    ],
)
def test_a_swap_at_each_open_never_leads_elsewhere(
    disk: Path, monkeypatch: pytest.MonkeyPatch, swap: Swap, action: str
) -> None:
    """Before each open of the run, somebody exchanges a part of the tree for something precious."""
    real = os.open
    n = refused = 0
    while True:
        n += 1
        base = disk / "race"
        tree, outside = base / "tree", base / "outside"
        (tree / "a").mkdir(parents=True)
        (tree / "b").mkdir()
        outside.mkdir()
        (tree / "a" / "file").write_bytes(CANARY * 9)
        (tree / "b" / "file").write_bytes(CANARY * 9)
        (outside / "file").write_bytes(b"precious" * 36)
        job = Job(tree)
        if action == "remove":
            for line in job.run():
                if line == "overwrite end":
                    break
        count = 0

        def swapping(*args: Any, **kwargs: Any) -> int:
            nonlocal count
            count += "dir_fd" in kwargs and args[0] in ("tree", "a", "b", "file")
            if count == n:  # noqa: B023 - used up inside the loop's turn
                swap(tree, outside)  # noqa: B023
            return real(*args, **kwargs)

        monkeypatch.setattr(os, "open", swapping)
        try:
            with closing(job.open()) as opened:
                list(opened.erase(step(action), None))
        except (DeleaturError, OSError):
            refused += 1
        monkeypatch.setattr(os, "open", real)
        found = [p.read_bytes() for p in base.rglob("file") if not p.is_symlink()]
        assert b"precious" * 36 in found, f"a swap before open number {n} led to the wrong file"
        shutil.rmtree(base)
        if count < n:
            break
    assert refused


def test_a_folder_moved_during_the_walk_is_refused(folder: Path) -> None:
    tree = folder / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_bytes(b"x")
    (folder / "neighbour").write_bytes(b"stays")
    with closing(FileBackend.open(Target(id="t", url=tree.as_uri()), {"digest-key": KEY})) as opened:
        places = opened.sample(None, b"")
        assert isinstance(next(places), Locator)
        (tree / "a" / "b").rename(folder / "b")
        with pytest.raises(Refused, match="was moved while it was read"):
            list(places)
