"""The file backend keeps every promise of the contract, on a real ext4 and down to its raw image."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from deleatur.api import Target
from deleatur.testing.contract import BackendContract, MakeTarget, NewTrial, Planted, Raw
from deleatur_plugins.file import FileBackend

from ..nobody import as_nobody
from ..small_disk import SMALL_JOURNAL, flush, small_disk

KEY = {"digest-key": bytes(range(32))}


@pytest.fixture(scope="module")
def disk() -> Iterator[tuple[Path, Path]]:
    with small_disk(12, SMALL_JOURNAL) as made:
        yield made


@pytest.mark.root
class TestFileTree(BackendContract):
    backend = FileBackend
    not_applicable: ClassVar = {"test_records_round_trip": "files have no records"}

    def replace(self, planted: Planted) -> None:
        """Put a copy, equal to the byte, under the same name."""
        tree = Path(planted.target.url.removeprefix("file://"))
        shutil.copytree(tree, tree.with_name("copy"), symlinks=True)
        shutil.rmtree(tree)
        tree.with_name("copy").rename(tree)

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Be a user who may enter nothing here: the folder of the disk is for its owner."""
        with as_nobody():
            yield

    @pytest.mark.usefixtures("nobody_else")
    def test_a_kill_at_any_call_is_survived(self, trial: NewTrial) -> None:
        super().test_a_kill_at_any_call_is_survived(trial)

    @pytest.mark.usefixtures("nobody_else")
    def test_an_io_error_is_not_swallowed(self, trial: NewTrial) -> None:
        super().test_an_io_error_is_not_swallowed(trial)

    @pytest.fixture
    def make_target(self, disk: tuple[Path, Path]) -> Iterator[MakeTarget]:
        mount, _ = disk

        def make() -> Planted:
            for old in mount.glob("job-*"):
                shutil.rmtree(old)
            canaries = tuple(uuid.uuid4().bytes for _ in range(5))
            kept = uuid.uuid4().bytes
            folder = mount / f"job-{uuid.uuid4().hex[:8]}"
            tree = folder / "tree"
            (tree / "a" / "b").mkdir(parents=True)
            (tree / "empty").mkdir()
            (tree / "first").write_bytes(canaries[0] * 20)
            (tree / "a" / "large").write_bytes(bytes(5000) + canaries[1] + bytes(1 << 20) + canaries[2])
            (tree / "a" / "b" / "sparse").write_bytes(b"")
            with (tree / "a" / "b" / "sparse").open("r+b") as file:
                file.seek(1 << 20)
                file.write(canaries[3])
                file.truncate(3 << 20)
            Path(os.fsdecode(bytes(tree) + b"/z\xff")).write_bytes(canaries[4])
            (tree / "nothing").write_bytes(b"")
            (tree / "link").symlink_to(folder / "neighbour")
            (folder / "neighbour").write_bytes(kept * 3)
            flush(mount)
            return Planted(
                target=Target(id="t", url=tree.as_uri()),
                secrets=KEY,
                canaries=canaries,
                kept=(kept,),
                bystanders=(folder / "neighbour").read_bytes,
            )

        yield make
        for old in mount.glob("job-*"):
            shutil.rmtree(old)

    @pytest.fixture
    def raw(self, disk: tuple[Path, Path]) -> Raw:
        mount, image = disk

        def read(_: Planted) -> bytes:
            flush(mount)
            return image.read_bytes()

        return read
