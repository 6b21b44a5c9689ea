"""What happens to a device between the run that read it back and the run that certifies."""

import os
from pathlib import Path

import pytest

from deleatur.documents.journal import Compared
from deleatur.engine import walk
from deleatur.engine.jobs import read_plan
from deleatur.errors import Failed, Residue
from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench

from ..fake_drives import NvmeDrive
from ..lab.jobs import events, job, pattern_of, predicate
from .loops import MIB, SECTOR, loop_over
from .test_device_lies import SMALL, OnLoop, put_behind

pytestmark = pytest.mark.root
SIZE = 64 * MIB
SAMPLE = 'confidence = "0.9"\nmax_bad_fraction = "0.3"'


@pytest.mark.parametrize(("mode", "more"), [("full", ""), ("sample", SAMPLE)])
def test_a_device_is_read_back_by_the_run_that_certifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, more: str
) -> None:
    """A drive that confirmed a flush and did not do it, or an image put back, after the first look."""
    bench = Workbench(tmp_path / "jobs")
    with loop_over(tmp_path / "image", os.urandom(SIZE)) as loop:
        directory = bench.approved(job(loop.path, mode=mode, more=more))
        old = loop.file.read_bytes()

        def cut(*_looked: object, **_more: object) -> None:
            raise Failed("the power went")

        with monkeypatch.context() as before:
            before.setattr(walk.looking, "verify", cut)
            with pytest.raises(Failed, match="the power went"):
                bench.run(directory)
        lost = range(0, SIZE, MIB) if mode == "sample" else [33 * MIB]
        with loop.file.open("r+b") as image:
            for at in lost:
                image.seek(at)
                image.write(old[at : at + SECTOR])
        with pytest.raises(Residue):
            bench.run(directory)
        assert not directory.certificate.exists()
        bench.run(directory)  # erases it again
        assert loop.file.read_bytes() == laid(pattern_of(directory)).read("device", 0, SIZE)
    told = [event for event in events(directory) if isinstance(event, Compared)]
    assert [bool(found.mismatches) for found in told] == [False, True, False]
    assert "earlier-finding" in str(predicate(directory))


def test_what_was_read_where_the_medium_was_seen_is_not_read_again_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controller has left its media verification state: a comparison made now would say less."""
    technique = "nvme-sanitize-crypto-verified"
    bench = Workbench(tmp_path / "jobs")
    with loop_over(tmp_path / "image", os.urandom(2 * MIB)) as loop:
        put_behind(NvmeDrive(medium=OnLoop(loop.file)), technique, monkeypatch)
        directory = bench.approved(job(loop.path, technique, "sample", SMALL))

        def cut(*_looked: object, **_more: object) -> None:
            raise Failed("the power went")

        with monkeypatch.context() as before:
            before.setattr(walk.looking, "verify", cut)
            with pytest.raises(Failed, match="the power went"):
                bench.run(directory)
        bench.run(directory)
    steps = {step.id: step.action for step in read_plan(directory).plan.steps}
    told = [steps[event.step] for event in events(directory) if isinstance(event, Compared)]
    assert told == ["mark", "command", "leave", "leave"]
