"""Blocks that a file gave back are overwritten, and nothing else is, on real file systems."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.api import Keystream, blocks_of, reclaim
from deleatur.testing import faults

STREAM = Keystream("7a" * 32)


@contextmanager
def disk(folder: Path, kind: str, megabytes: int) -> Iterator[tuple[Path, Path]]:
    point = folder / "mnt"
    point.mkdir()
    image = Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, point], check=True)
    try:
        yield point, image
    finally:
        subprocess.run(["umount", point], check=True)
        image.unlink()


@pytest.fixture(params=[("ext4", 24), ("xfs", 320)], ids=lambda p: p[0])
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    with disk(tmp_path, *request.param) as both:
        yield both


def written(path: Path, content: bytes) -> tuple[tuple[int, int], ...]:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        return blocks_of(file.fileno())


def below(point: Path, image: Path) -> bytes:
    subprocess.run(["sync", "--file-system", point], check=True)
    return image.read_bytes()


def run(point: Path, blocks: tuple[tuple[int, int], ...]) -> int:
    folder = os.open(point, os.O_RDONLY)
    try:
        return reclaim(folder, blocks, STREAM, "test")
    finally:
        os.close(folder)


@pytest.mark.root
def test_blocks_of_a_cut_file_are_overwritten_and_a_neighbour_stays(mounted: tuple[Path, Path]) -> None:
    point, image = mounted
    secret, kept = uuid.uuid4().hex.encode(), uuid.uuid4().hex.encode()
    neighbour = written(point / "neighbour", kept * 8000)
    blocks = written(point / "old", secret * 60_000)
    os.truncate(point / "old", 0)
    assert secret in below(point, image), "cutting a file erases nothing: the control of this test"
    free = os.statvfs(point).f_bfree
    assert run(point, blocks) == 0
    assert secret not in below(point, image)
    assert (point / "neighbour").read_bytes() == kept * 8000
    with (point / "neighbour").open("rb") as file:
        assert blocks_of(file.fileno()) == neighbour
    assert os.statvfs(point).f_bfree == free
    assert sorted(p.name for p in point.iterdir() if p.name != "lost+found") == ["neighbour", "old"]


@pytest.mark.root
def test_blocks_that_another_file_has_are_left_alone_and_counted(mounted: tuple[Path, Path]) -> None:
    point, _ = mounted
    content = uuid.uuid4().hex.encode() * 4000
    blocks = written(point / "alive", content)
    assert run(point, blocks) == sum(end - start for start, end in blocks)
    assert (point / "alive").read_bytes() == content


@pytest.mark.root
def test_a_kill_at_any_call_leaves_nothing_taken(tmp_path: Path) -> None:
    with disk(tmp_path, "ext4", 24) as (point, image):
        secret = uuid.uuid4().hex.encode()
        blocks = written(point / "old", secret * 1000)
        os.truncate(point / "old", 0)
        subprocess.run(["sync", "--file-system", point], check=True)
        free = os.statvfs(point).f_bfree

        def work() -> None:
            run(point, blocks)

        for n in range(1, faults.count_calls(work) + 1):
            assert faults.run_killed_at(work, n).killed
            assert os.statvfs(point).f_bfree == free
        assert run(point, blocks) == 0
        assert secret not in below(point, image)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20))))
def test_merged_runs_hold_the_same_blocks_once(pairs: list[tuple[int, int]]) -> None:
    from deleatur.documents.ranges import merged

    runs = [(start, start + length) for start, length in pairs]
    result = merged(runs)
    assert [b for s, e in result for b in range(s, e)] == sorted({b for s, e in runs for b in range(s, e)})
    assert all(before[1] < after[0] for before, after in pairwise(result))
