"""Every cell of the sabotage table is played: the cheat fails, and never ends in a false certificate."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.api import Backend
from deleatur.errors import DeleaturError, Interrupted, Malformed, Refused
from deleatur.trust.verification import verify

from .sabotage_cheats import UNVERIFIED, Cheat, Ends
from .sabotage_papers import leaves
from .sabotage_table import cells
from .sabotage_worlds import OTHERS, PEOPLE, STAYING, WORLDS, World

CELLS = [
    pytest.param(cheat, backend, ends, id=f"{cheat.name}, {cheat.when}, {backend}")
    for cheat, backend, ends in cells()
    if not cheat.device
]
ON_DEVICE = [
    pytest.param(cheat, backend, ends, id=f"{cheat.name}, {backend}")
    for cheat, backend, ends in cells()
    if cheat.device
]


def watched(world: World, base: type[Backend]) -> type[Backend]:
    """Return the backend with one change: the world hears when it is closed."""

    class Watched(base):  # type: ignore[valid-type,misc]
        def close(self) -> None:
            super().close()
            world.closed()

    return Watched


def interrupt() -> None:
    raise KeyboardInterrupt


def play(world: World, cheat: Cheat) -> None:
    """Run the job with the cheat in it; raise whatever the run raises."""
    base = cheat.act(world) if cheat.when == "as the plugin" else world.base
    world.bench.backends[world.scheme] = watched(world, base)
    world.bench.plan(world.job)
    if cheat.when == "before approving":
        cheat.act(world)
    world.bench.approve(world.job)
    where, _, kind = cheat.when.partition("at ")
    if cheat.when == "before running":
        cheat.act(world)
    elif cheat.when == "while verifying":
        world.acts["verifying"] = lambda: cheat.act(world)
    elif where == "killed ":
        world.acts[kind] = interrupt
        with pytest.raises(Interrupted):
            world.bench.run(world.job)
        lines = world.job.journal.read_bytes().splitlines(keepends=True)
        world.job.journal.write_bytes(b"".join(lines[:-1]))  # a killed run notes no end
        cheat.act(world)
    elif kind:
        world.acts[kind] = lambda: cheat.act(world)
    world.bench.run(world.job)


def assert_caught(world: World, cheat: Cheat, ends: Ends) -> None:
    """Play the cheat and look at the end: the exit code, the data, the certificate."""
    if isinstance(ends, str):
        play(world, cheat)
        checked = verify(world.job.certificate, [world.bench.agent.public], 1, None)
        exceptions = checked.certificate.outcome.overall
        assert checked.evidence
        assert (exceptions == UNVERIFIED) == (ends == UNVERIFIED)
        if ends != UNVERIFIED:
            assert not world.holds_any(PEOPLE)
    else:
        with pytest.raises(DeleaturError) as caught:
            play(world, cheat)
        assert type(caught.value) is ends, f"{type(caught.value).__name__}: {caught.value}"
        assert "\n" not in str(caught.value)
        assert "Ottilie" not in str(caught.value)
        if "certificate" not in cheat.name:
            assert not world.job.certificate.exists()
    assert world.bench.hooks.failures == []
    assert not world.acts, "the cheat was never played"
    if cheat.intact and not isinstance(ends, str):
        assert world.holds(PEOPLE)
        assert world.holds(STAYING)
    if "another target" in cheat.name:
        assert world.holds(OTHERS)
    if "nobody approved" in cheat.name:
        assert world.holds(OTHERS[:1])


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where nothing waits for a disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


@pytest.mark.parametrize(("cheat", "backend", "ends"), CELLS)
def test_the_cheat_is_caught(folder: Path, cheat: Cheat, backend: str, ends: Ends) -> None:
    assert_caught(WORLDS[backend](folder), cheat, ends)


@pytest.mark.parametrize("backend", WORLDS)
def test_without_a_cheat_the_job_ends_in_a_certificate(folder: Path, backend: str) -> None:
    """The control of this table: the worlds themselves are sound."""
    world = WORLDS[backend](folder)
    assert world.holds(PEOPLE)
    honest = Cheat("none", "before running", lambda world: None, {}, "")
    assert_caught(world, honest, "verified")
    assert world.holds(STAYING) or backend == "database"


@pytest.mark.parametrize("backend", WORLDS)
def test_no_field_of_an_approved_plan_can_be_changed(folder: Path, backend: str) -> None:
    world = WORLDS[backend](folder)
    world.bench.plan(world.job)
    world.bench.approve(world.job)
    approved = world.job.plan.read_bytes()
    paths = [path for path, _ in leaves(json.loads(approved))]
    assert len(paths) > 60
    for path in paths:
        plan = json.loads(approved)
        dict(leaves(plan))[path]()
        world.job.plan.write_text(json.dumps(plan, separators=(",", ":"), ensure_ascii=False) + "\n")
        with pytest.raises((Refused, Malformed)):
            world.bench.run(world.job)
        assert not world.job.journal.exists(), path
    assert world.holds(PEOPLE)
    world.job.plan.write_bytes(approved)
    world.bench.run(world.job)
    assert not world.holds_any(PEOPLE)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small ext4 on a loop device."""
    image, point = tmp_path / "disk.img", tmp_path / "mnt"
    with image.open("wb") as file:
        file.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    loop = subprocess.run(
        ["losetup", "--find", "--show", image], check=True, capture_output=True, text=True
    ).stdout.strip()
    point.mkdir()
    try:
        subprocess.run(["mount", loop, point], check=True)
        yield point
    finally:
        subprocess.run(["umount", point], check=False)
        subprocess.run(["losetup", "--detach", loop], check=True)


@pytest.mark.root
@pytest.mark.parametrize(("cheat", "backend", "ends"), ON_DEVICE)
def test_the_cheat_is_caught_on_the_device(mounted: Path, cheat: Cheat, backend: str, ends: Ends) -> None:
    world = WORLDS[backend](mounted / "w", device=True)
    assert_caught(world, cheat, ends)
    shutil.rmtree(mounted / "w")
