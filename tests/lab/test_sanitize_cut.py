"""The power goes in the midst of a sanitize, and of the markers before it: no block is skipped."""

import random

import pytest

from deleatur.devices import commanding
from deleatur.devices.waiting import Patience
from deleatur.documents.journal import Advanced
from deleatur.documents.place import Offer
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Residue
from deleatur.judge.markers import MARKERS
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block.backend import BlockBackend

from ..fake_drives import as_drives
from .faulty_device import LONGEST
from .jobs import events, job, predicate
from .powered_host import PoweredHost, powered_host
from .sanitizing import NEVER, SanitizingDrive

pytestmark = pytest.mark.root
TECHNIQUE = "nvme-sanitize-block"
SIZE = 40 << 20
WRITES = (MARKERS << 20) // (LONGEST << 10)  # of the markers, at least
COMMANDS = 14  # of a sanitize that nothing stops, or more


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commanding, "Patience", lambda: Patience(interval=0.05))
    offers = (Offer(technique=TECHNIQUE),)
    as_drives(monkeypatch)
    monkeypatch.setattr(BlockBackend, "_allowed", lambda *_: (offers, ()))


def approved(host: PoweredHost, name: str) -> tuple[Workbench, JobDirectory]:
    bench = Workbench(host.jobs, {"block": BlockBackend})
    directory = bench.approved(job(host.device.path, TECHNIQUE), name)
    return bench, directory


def drive_of(host: PoweredHost, patch: pytest.MonkeyPatch) -> SanitizingDrive:
    drive = SanitizingDrive(host.device.truth, host.device.truth.with_name("controller"))
    drive.attach(patch)
    return drive


def cut_at(moments: int, seed: int) -> None:
    """Cut the power at so many random moments of sanitizes, and of their resumes, until each ends."""
    chance = random.Random(seed)
    sanitizing = 0  # cuts after the drive took the command
    with powered_host(SIZE) as host:
        for number in range(moments):
            with pytest.MonkeyPatch.context() as patch:
                host.device.truth.write_bytes(chance.randbytes(SIZE))
                drive = drive_of(host, patch)
                bench, directory = approved(host, f"job-{number}")
                while True:
                    marking = chance.random() < 0.3
                    drive.after = NEVER if marking else chance.randrange(COMMANDS)
                    drive.deaf = chance.random() < 0.5
                    after = chance.randrange(WRITES) if marking else NEVER
                    if not host.run(lambda: bench.run(directory), after, chance.getrandbits(32)):  # noqa: B023
                        break
                    moments -= 1
                    drive.power_on()
                    sanitizing += any(isinstance(event, Advanced) for event in events(directory))
                    assert not directory.certificate.exists()
                assert not any(host.device.truth.read_bytes())
                assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"
            if moments <= 0:
                break
    assert sanitizing


@pytest.mark.lab
def test_a_sanitize_is_cut_at_a_few_moments() -> None:
    cut_at(3, seed=1)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_sanitize_is_cut_at_five_moments(seed: int) -> None:
    cut_at(5, seed)


@pytest.mark.lab
def test_a_drive_that_takes_the_cut_for_the_end_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    with powered_host(SIZE) as host:
        drive = drive_of(host, monkeypatch)
        drive.lies, drive.takes = True, 60.0
        bench, directory = approved(host, "job")
        drive.after = COMMANDS // 2
        assert host.run(lambda: bench.run(directory), NEVER, chance=1)
        drive.power_on()
        with pytest.raises(Residue):
            bench.run(directory)
        assert not directory.certificate.exists()
        assert any(host.device.truth.read_bytes())
