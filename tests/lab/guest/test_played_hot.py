"""A drive that grows hot is waited for, by its own word; else it loses what is written."""

from pathlib import Path

import pytest

from deleatur.engine.walk import Walk
from deleatur.errors import Residue
from deleatur.sanitize import device, heat
from deleatur.testing.workbench import Workbench
from deleatur_plugins.block import overwriting

from ..jobs import job, predicate
from ..played_jobs import played


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Yield the phases that are told, of runs that ask before each piece, one piece after the other."""
    phases: list[str] = []
    tell = Walk._tell

    def spy(self: Walk, phase: str, target: str, done: int, total: int) -> None:
        phases.append(phase)
        tell(self, phase, target, done, total)

    monkeypatch.setattr(Walk, "_tell", spy)
    monkeypatch.setattr(heat, "INTERVAL", 0.0)
    monkeypatch.setattr(device, "_THREADS", 1)
    return phases


@pytest.mark.parametrize("bus", ["nvme", "scsi", "ata"])
def test_a_drive_that_grows_hot_is_waited_for(bus: str, tmp_path: Path, told: list[str]) -> None:
    with played(bus, "hot") as drive:
        directory = Workbench(tmp_path).whole(job(drive))
    (compared,) = predicate(directory)["verification"][0]["comparisons"]
    assert compared["sampled"] == compared["population"]
    erasing, comparing = told[: told.index("compare")], told[told.index("compare") :]
    assert "cool" in erasing
    assert "cool" in comparing


def test_the_control_a_job_that_does_not_wait_finds_what_was_lost(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overwriting, "cooled", lambda medium, _device: medium)
    bench = Workbench(tmp_path)
    with played("nvme", "hot") as drive:
        directory = bench.approved(job(drive))
        with pytest.raises(Residue):
            bench.run(directory)
    assert not directory.certificate.exists()
