"""The block backend keeps every promise of the contract, on loop devices and down to the files below them."""

import errno
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from deleatur.api import Target
from deleatur.sanitize import device
from deleatur.testing import faults
from deleatur.testing.contract import BackendContract, MakeTarget, Planted, Raw
from deleatur_plugins.block import BlockBackend

KEY = {"digest-key": bytes(range(32))}
SIZE = 4 * 4096  # bytes: places enough
PATIENCE = 60  # seconds


class ThreePasses(BlockBackend):
    """The same backend with one way only: two passes of bytes and one of keystream are all that there is."""

    ways: ClassVar = {"overwrite-device-dod-short": BlockBackend.ways["overwrite-device-dod-short"]}


def run(*words: str | Path) -> str:
    done = subprocess.run(words, check=True, timeout=PATIENCE, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


@pytest.mark.root
class TestBlockDevice(BackendContract):
    backend = ThreePasses
    not_applicable: ClassVar = {
        "test_records_round_trip": "a device has no records",
        "test_bystanders_are_untouched": "a device goes as a whole",
    }

    def replace(self, planted: Planted) -> None:
        """Attach a copy, equal to the byte, at the same path."""
        path = planted.target.url.removeprefix("block://")
        below = Path(run("losetup", "--noheadings", "--output", "BACK-FILE", path))
        copy = below.with_name("copy")
        copy.write_bytes(below.read_bytes())
        run("losetup", "--detach", path)
        run("losetup", path, copy)

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Be a user who may open no device."""
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    def failing(self, n: int) -> AbstractContextManager[list[str]]:
        """Fail with what says nothing of the sectors: of these, one that fails once is written again."""
        return faults.failing_at(n, errno.ENOSPC)

    @pytest.fixture(autouse=True)
    def _small_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make pieces and flushes so small that there are several cursors."""
        monkeypatch.setattr(device, "_REQUEST", 8192)
        monkeypatch.setattr(device, "_DURABLE", 0)
        monkeypatch.setattr(device, "_OFTEN", 0.0)

    @pytest.fixture
    def make_target(self, tmp_path: Path) -> Iterator[MakeTarget]:
        made: list[str] = []

        def make() -> Planted:
            canaries = tuple(uuid.uuid4().bytes for _ in range(4))
            image = tmp_path / uuid.uuid4().hex
            image.write_bytes(b"".join(canary * 192 for canary in canaries) + canaries[0])
            os.truncate(image, SIZE)
            if len(made) > 3:
                os.chmod(made[0], 0o660)
                run("losetup", "--detach", made.pop(0))
            made.append(run("losetup", "--find", "--show", image))
            os.chmod(made[-1], 0o600)
            return Planted(target=Target(id="t", url=f"block://{made[-1]}"), secrets=KEY, canaries=canaries)

        yield make
        for path in made:
            os.chmod(path, 0o660)
            run("losetup", "--detach", path)

    @pytest.fixture
    def raw(self) -> Raw:
        def read(planted: Planted) -> bytes:
            path = planted.target.url.removeprefix("block://")
            run("blockdev", "--flushbufs", path)
            return Path(run("losetup", "--noheadings", "--output", "BACK-FILE", path)).read_bytes()

        return read
