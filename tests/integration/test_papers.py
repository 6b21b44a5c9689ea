"""An authority asks: consents and assessments that a job rested on are in its bundle, or there is none."""

import shutil
from pathlib import Path

import pytest

from deleatur.cli.wording import gate_in_words
from deleatur.engine.bundling import bundle_job
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan
from deleatur.errors import Invalid, Refused
from deleatur.testing.workbench import Workbench
from deleatur.trust.bundle import verify_bundle
from deleatur.trust.verification import verify

JOB = """
schema = "deleatur/job/v1"
name = "walk"
reason = "other"
authority = "a test"
requested_by = "tester"
[[paper]]
id = "impact-2026"
kind = "assessment"
file = "papers/impact.pdf"
[[paper]]
id = "consents"
kind = "consent"
file = "papers/consents.csv"
[[target]]
id = "t"
url = "file:../shelf"
"""


class House(Workbench):
    """A shelf with one disk, and a job that rests on two papers."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.disk = folder / "shelf" / "disk"
        self.disk.parent.mkdir()
        self.disk.write_bytes(b"a long enough line about Ottilie Canary")
        self.asked: JobDirectory = self.job(JOB)
        self.papers = self.asked.path / "papers"
        self.papers.mkdir()
        (self.papers / "impact.pdf").write_bytes(b"%PDF-1.7 an assessment")
        (self.papers / "consents.csv").write_bytes(b"id,until\n17,2026-10-01\n")

    def ended(self) -> JobDirectory:
        self.plan(self.asked)
        self.approve(self.asked)
        self.run(self.asked)
        return self.asked

    def bundle(self, folder: Path) -> Path:
        bundle_job(self.asked, folder, added=(), key=self.agent, clock=self.clock)
        return folder


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_one_bundle_holds_what_the_job_rested_on(house: House, tmp_path: Path) -> None:
    job = house.ended()
    (condition,) = verify(job.certificate, [house.agent.public], 1, None).certificate.conditions
    assert "(papers: 2, digest of their list: " in condition.sentences[0].text
    shown = house.bundle(tmp_path / "shown")
    assert (shown / "papers/impact-2026/impact.pdf").read_bytes() == b"%PDF-1.7 an assessment"
    assert (shown / "papers/consents/consents.csv").is_file()
    assert verify_bundle(shown, [house.agent.public], 1).bundle.certificates
    (gate,) = read_plan(job).plan.gates
    assert "papers, which nobody here reads: assessment impact-2026 (sha256:" in gate_in_words(gate)


@pytest.mark.parametrize("loss", ["gone", "changed", "link"])
def test_a_bundle_without_one_of_them_is_none(house: House, tmp_path: Path, loss: str) -> None:
    house.ended()
    path = house.papers / "impact.pdf"
    path.unlink()
    match loss:
        case "changed":
            path.write_bytes(b"%PDF-1.7 another assessment")
        case "link":
            path.symlink_to(house.papers / "consents.csv")
    with pytest.raises((Refused, Invalid), match="impact"):
        house.bundle(tmp_path / "shown")
    assert not (tmp_path / "shown").exists()


@pytest.mark.parametrize("loss", ["gone", "empty", "link", "folder"])
def test_no_plan_rests_on_a_paper_that_is_none(house: House, loss: str) -> None:
    path = house.papers / "impact.pdf"
    path.unlink()
    match loss:
        case "empty":
            path.write_bytes(b"")
        case "link":
            path.symlink_to(house.papers / "consents.csv")
        case "folder":
            path.mkdir()
    with pytest.raises(Refused, match="the assessment impact-2026 is") as caught:
        house.plan(house.asked)
    assert "\n" not in str(caught.value)


def test_a_paper_that_changed_after_the_approval_stops_the_run(house: House) -> None:
    house.plan(house.asked)
    house.approve(house.asked)
    kept = (house.papers / "consents.csv").read_bytes()
    (house.papers / "consents.csv").write_bytes(kept + b"18,2026-10-01\n")
    with pytest.raises(Refused, match="the consent consents is another than planned; plan again"):
        house.run(house.asked)
    shutil.rmtree(house.papers)
    with pytest.raises(Refused, match="is not there as a plain file; put it back"):
        house.run(house.asked)
    assert house.disk.exists()
    house.papers.mkdir()
    (house.papers / "impact.pdf").write_bytes(b"%PDF-1.7 an assessment")
    (house.papers / "consents.csv").write_bytes(kept)
    house.run(house.asked)
    assert not house.disk.exists()
