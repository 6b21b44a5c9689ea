"""The power goes in the midst of an overwrite: what was not flushed is lost, and no block is skipped."""

import random

import pytest

from deleatur.documents.journal import Advanced
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Residue
from deleatur.sanitize import device as whole
from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench

from .faulty_device import LONGEST
from .jobs import events, job, pattern_of, predicate
from .powered_host import PoweredHost, powered_host

pytestmark = pytest.mark.root
SIZE = 48 << 20
WRITES = SIZE // (LONGEST << 10)  # of an overwrite, at least


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flush, and journal how far it is, after every piece."""
    monkeypatch.setattr(whole, "_DURABLE", 0)
    monkeypatch.setattr(whole, "_OFTEN", 0.0)


def approved(host: PoweredHost, name: str) -> tuple[Workbench, JobDirectory]:
    bench = Workbench(host.jobs)
    directory = bench.approved(job(host.device.path), name)
    return bench, directory


def is_overwritten(host: PoweredHost, directory: JobDirectory) -> bool:
    """Compare what the platter holds, not what the agent read."""
    return host.device.truth.read_bytes() == laid(pattern_of(directory)).read("device", 0, SIZE)


def cut_at(moments: int, seed: int) -> None:
    """Cut the power at so many random moments of overwrites, and of their resumes, until each ends."""
    chance = random.Random(seed)
    within = 0  # cuts after which a job goes on in the midst of the device
    with powered_host(SIZE) as host:
        for number in range(moments):
            bench, directory = approved(host, f"job-{number}")
            while host.run(lambda: bench.run(directory), chance.randrange(WRITES), chance.getrandbits(32)):  # noqa: B023
                moments -= 1
                within += any(isinstance(event, Advanced) for event in events(directory))
                assert not directory.certificate.exists()
            assert is_overwritten(host, directory)
            assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"
            if moments <= 0:
                break
        assert within
        assert host.device.counts()["bytes_lost"]


@pytest.mark.lab
def test_an_overwrite_is_cut_at_a_few_moments() -> None:
    cut_at(3, seed=1)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 12))
def test_an_overwrite_is_cut_at_five_moments(seed: int) -> None:
    cut_at(5, seed)


@pytest.mark.lab
def test_blocks_that_were_journalled_before_they_were_flushed_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(whole, "_flush", lambda _: None)
    with powered_host(SIZE) as host:
        bench, directory = approved(host, "job")
        assert host.run(lambda: bench.run(directory), after=2 * WRITES // 3, chance=1)
        with pytest.raises(Residue):
            bench.run(directory)
        assert not is_overwritten(host, directory)
