"""Jobs are led to devices that are in use, or that nobody approved: none of these is written.

Each trial is a whole job on a real device of the guest: planned anew, or approved before and run now, or
begun before and resumed. The forbidden devices are compared from the first byte to the last.
`DELEATUR_SHARE=K/N` says which trials; where it is not set, a few.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import NamedTuple

import pytest

from deleatur.engine.directory import JobDirectory
from deleatur.errors import DeleaturError, Refused, Transient
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import backend
from deleatur_plugins.block.backend import BlockBackend

from ..direct import read
from ..jobs import job
from .swaps import (
    LOOP,
    Interrupted,
    at_the_last_moment,
    hot_swapped,
    image_swapped,
    lead,
    link,
    link_led_elsewhere,
    meanwhile,
    node,
    renamed_node,
)
from .uses import USES, Use, sh

DRIVES = ("ram0", "SCSILAB0", "ATALAB0", "UASLAB0", "nvme0n1", "nvme0n2")
TWINS = ("SCSILAB0", "SCSILAB1")  # same maker, same model, same size
IMAGES = ("/tmp/first", "/tmp/second")
SHARE = os.environ.get("DELEATUR_SHARE")
A_FEW = (
    "mounted-run",
    "mounted_by_uuid_elsewhere-run",
    "swapping-planned",
    "mapped-run",
    "mounted_partition-run",
    "of_a_volume_group-run",
    "of_an_array_that_stands_still-planned",
    "renamed_node-nvme0n2",
    "led-elsewhere-meanwhile-nvme0n2",
    "hot_swapped-run",
)
Arranged = Callable[[], contextlib.AbstractContextManager[tuple[Path, ...]]]  # yields what must stay


class Trial(NamedTuple):
    """What is tried."""

    approved: str  # the drive of the job
    moment: str  # planned, run, or resumed
    arranged: Arranged


def in_use(drive: str, use: Use) -> Arranged:
    """Return how to put a drive to a use; which node it has is looked up then."""

    @contextlib.contextmanager
    def arranged() -> Iterator[tuple[Path, ...]]:
        with use(device := node(drive)):
            yield (device,)

    return arranged


def every_use() -> Iterator[tuple[str, Trial]]:
    for drive, use, moment in product(DRIVES, USES, ("planned", "run")):
        yield f"{drive}-{use.__name__}-{moment}", Trial(drive, moment, in_use(drive, use))


def every_swap() -> Iterator[tuple[str, Trial]]:
    for number, drive in enumerate(DRIVES):
        for other in (DRIVES[number - 1], DRIVES[number - 2]):
            for swap in (link_led_elsewhere, renamed_node):
                yield f"{drive}-{swap.__name__}-{other}", Trial(drive, "run", partial(swap, drive, other))
            late = partial(meanwhile, link_led_elsewhere, drive, other)
            yield f"{drive}-led-elsewhere-meanwhile-{other}", Trial(drive, "run", late)
    for swap, drive, other in (
        (hot_swapped, *TWINS),
        (hot_swapped, *TWINS[::-1]),
        (image_swapped, LOOP, IMAGES[1]),
    ):
        name = f"{drive}-{swap.__name__}"
        yield f"{name}-run", Trial(drive, "run", partial(swap, drive, other))
        yield f"{name}-resumed", Trial(drive, "resumed", partial(swap, drive, other))
        yield f"{name}-meanwhile", Trial(drive, "run", partial(meanwhile, swap, drive, other))


TRIALS = dict((*every_use(), *every_swap()))


def share() -> list[str]:
    """Name the trials of this run; those of one drive lie side by side, as each drive needs a plan."""
    if SHARE is None:
        return [f"SCSILAB0-{name}" for name in A_FEW]
    names = sorted(TRIALS)
    part, parts = map(int, SHARE.split("/"))
    return names[len(names) * (part - 1) // parts : len(names) * part // parts]


class Company:
    """Jobs that were approved, one for each drive."""

    def __init__(self, folder: Path) -> None:
        self.bench = Workbench(folder, {"block": Interrupted})
        self._numbers = count()
        self._approved: dict[str, JobDirectory] = {}

    def planned(self, drive: str) -> JobDirectory:
        """Plan a new job."""
        directory = self.bench.job(job(link(drive)), f"job-{next(self._numbers)}")
        self.bench.plan(directory)
        return directory

    def approved(self, drive: str) -> JobDirectory:
        """Return the job of a drive, made at the first call."""
        if drive not in self._approved:
            lead(drive, node(drive))
            self._approved[drive] = self.planned(drive)
            self.bench.approve(self._approved[drive])
        return self._approved[drive]

    def run_all(self) -> list[JobDirectory]:
        """Run every job that was approved, to its end."""
        for drive, directory in self._approved.items():
            lead(drive, node(drive))
            self.bench.run(directory)
        return [*self._approved.values()]

    def begun(self, drive: str) -> JobDirectory:
        """Return the job of a drive, stopped when it was to write for the first time."""
        directory = self.approved(drive)
        with pytest.raises(Transient), at_the_last_moment(stopped):
            self.bench.run(directory)
        return directory


def stopped() -> None:
    raise Transient("stopped by the trial")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    sh("modprobe -a loop dm_mod dm_crypt ext4 raid1; modprobe brd rd_nr=1 rd_size=8192")
    for image in IMAGES:
        Path(image).write_bytes(os.urandom(4 << 20))
    sh(f"losetup /dev/{LOOP} {IMAGES[0]}")
    yield Company(tmp_path_factory.mktemp("jobs"))
    sh(f"losetup -d /dev/{LOOP}; modprobe -r brd; rm {' '.join(IMAGES)}")


def content(path: Path) -> bytes:
    os.sync()
    if path.is_file():  # behind a loop device
        return path.read_bytes()
    number = path.stat().st_rdev
    size = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/size")
    return read(path, 0, int(size.read_text()))


def outcome(
    act: Callable[[], object], forbidden: tuple[Path, ...]
) -> tuple[type[DeleaturError] | None, bool]:
    """Return the error with which `act` ended, and whether it wrote to one of the forbidden devices."""
    before = [content(path) for path in forbidden]
    error = None
    try:
        act()
    except DeleaturError as raised:
        error = type(raised)
    return error, [content(path) for path in forbidden] != before


@pytest.mark.parametrize("name", share())
def test_nothing_is_written_to_a_device_that_was_not_approved(company: Company, name: str) -> None:
    drive, moment, arranged = TRIALS[name]
    directory = (company.begun if moment == "resumed" else company.approved)(drive)
    with arranged() as forbidden:
        act = (
            partial(company.planned, drive) if moment == "planned" else partial(company.bench.run, directory)
        )
        error, written = outcome(act, forbidden)
        assert error in (Refused, Transient)  # Transient: what lies at the path does not answer as planned
        assert not written


@pytest.mark.timeout(400)  # several whole jobs
def test_the_jobs_of_the_trials_run_when_nothing_is_in_the_way(company: Company) -> None:
    """The control: none of them was refused for what an earlier trial had left."""
    assert all(directory.certificate.exists() for directory in company.run_all())


def test_there_are_two_hundred_trials() -> None:
    assert len(TRIALS) >= 200
    assert set(share()) <= set(TRIALS)


def nothing(*_: object, **__: object) -> Iterator[str]:
    return iter(())


SABOTAGES: tuple[tuple[str, object, str], ...] = (
    ("deleatur.judge.interlocks._of_content", nothing, "ram0-of_a_volume_group-run"),
    ("deleatur.judge.interlocks._uses", nothing, "ram0-held_open-run"),
    (
        "deleatur_plugins.block.backend.BlockBackend._look_at_the_approved",
        BlockBackend._look,
        "ram0-led-elsewhere-meanwhile-nvme0n2",
    ),
)


def sabotage() -> tuple[str, object, str]:
    """Return one for each share, in turns."""
    return SABOTAGES[0 if SHARE is None else int(SHARE.split("/")[0]) % len(SABOTAGES)]


@pytest.mark.parametrize(("interlock", "without", "name"), [sabotage()])
def test_without_an_interlock_a_trial_reports_a_write(
    tmp_path: Path,
    company: Company,
    monkeypatch: pytest.MonkeyPatch,
    interlock: str,
    without: object,
    name: str,
) -> None:
    own = Company(tmp_path)
    directory = own.approved("ram0")
    monkeypatch.setattr(interlock, without)
    monkeypatch.setattr(backend, "_GLANCES", 1)  # else each look waits for whoever has it open
    with TRIALS[name].arranged() as forbidden:
        _, written = outcome(partial(own.bench.run, directory), forbidden)
    assert written
