"""Several devices are worked on at the same time, with one journal; memory stores play the devices."""

import json
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from threading import Barrier, BrokenBarrierError, main_thread
from typing import ClassVar

import pytest
from msgspec.structs import replace

from deleatur.api import Cursor, Hold, Locator, Step, hookimpl
from deleatur.documents.plan import Plan
from deleatur.engine import walk
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Failed, Interrupted, Refused
from deleatur.sanitize.techniques import TECHNIQUES
from deleatur.testing.memory import MemoryBackend, Store, memory_url
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

DISKS = 3
PATIENCE = 20.0  # seconds; a run that takes the disks one after the other never meets the others
HEAD = """
schema = "deleatur/job/v1"
name = "shelf"
reason = "other"
authority = "a test"
requested_by = "tester"
"""


class Disk(MemoryBackend):
    """A memory store that waits at its first cursor, and at its read-back, until all others are there."""

    erasing: ClassVar[Barrier]
    reading: ClassVar[Barrier]
    broken: ClassVar[frozenset[str]] = frozenset()  # steps that fail at their first cursor
    stopping: ClassVar[bool] = False  # a person presses Ctrl-C at the first cursor

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Meet the others at the first cursor; then break, stop or go on."""
        for number, cursor in enumerate(super().erase(step, after)):
            if number == 0 and step.action == "overwrite":
                self.erasing.wait(PATIENCE)
                if step.id in self.broken:
                    raise OSError(5, "Input/output error")
                if self.stopping and step.target == "disk-1":
                    signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
            yield cursor

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Meet the others when everything is to be read back."""
        if count is None:
            self.reading.wait(PATIENCE)
        return super().sample(count, seed)


class Shelf:
    """A bench with three stores, and the text of the job that erases them all."""

    def __init__(self, folder: Path) -> None:
        self.bench = Workbench(folder, {"memory": Disk})
        self.stores, text = [], [HEAD]
        for number in range(1, DISKS + 1):
            boxes = [f"Ottilie Canary-{number}-{n} o.{n}@example.org".encode() for n in range(4)]
            self.stores.append(Store.create(folder / f"disk-{number}", {"people": boxes}))
            url = memory_url(folder / f"disk-{number}")
            text.append(f'[[target]]\nid = "disk-{number}"\nurl = "{url}"\n')
        self.text = "".join(text)

    def approved(self) -> JobDirectory:
        job = self.bench.job(self.text)
        self.bench.plan(job)
        self.bench.approve(job)
        return job

    def remaining(self) -> list[int]:
        """Return which disks still hold what was to be erased."""
        return [n for n, store in enumerate(self.stores, start=1) if b"Canary" in store.raw()]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    name = "overwrite-and-remove"
    monkeypatch.setitem(TECHNIQUES, name, replace(TECHNIQUES[name], own_device=True))
    monkeypatch.setattr(Disk, "erasing", Barrier(DISKS), raising=False)
    monkeypatch.setattr(Disk, "reading", Barrier(DISKS), raising=False)
    return Shelf(tmp_path)


def kinds(job: JobDirectory) -> list[str]:
    return [json.loads(line)["event"]["kind"] for line in job.journal.read_text().splitlines()]


def certified(shelf: Shelf, job: JobDirectory) -> list[str]:
    checked = verify(job.certificate, [shelf.bench.agent.public], 1, None)
    return [outcome.assurance for outcome in checked.certificate.outcome.per_target]


def test_all_disks_are_erased_and_read_back_at_the_same_time(shelf: Shelf) -> None:
    job = shelf.approved()
    shelf.bench.run(job)
    assert certified(shelf, job) == ["A3/addressable"] * DISKS
    assert shelf.remaining() == []
    told = kinds(job)
    assert told[: told.index("erased")].count("erasing") == DISKS


def test_disks_that_share_a_technique_of_no_device_of_their_own_go_one_after_the_other(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "overwrite-and-remove"
    monkeypatch.setitem(TECHNIQUES, name, replace(TECHNIQUES[name], own_device=False))
    monkeypatch.setattr(Disk, "erasing", Barrier(DISKS, timeout=0.1))
    monkeypatch.setattr(f"{__name__}.PATIENCE", 0.1)
    with pytest.raises(Failed, match=BrokenBarrierError.__name__):
        shelf.bench.run(shelf.approved())


def test_an_error_on_one_disk_lets_the_others_come_to_their_end(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = shelf.approved()
    monkeypatch.setattr(Disk, "broken", frozenset({"s3"}))  # the first step of the second disk
    with pytest.raises(Failed, match=r"^disk-2: input or output failed: Input/output error"):
        shelf.bench.run(job)
    assert kinds(job).count("erased") == DISKS - 1
    assert shelf.remaining() == [2]
    monkeypatch.setattr(Disk, "broken", frozenset[str]())
    monkeypatch.setattr(Disk, "erasing", Barrier(1))
    monkeypatch.setattr(Disk, "reading", Barrier(1))
    shelf.bench.run(job)
    assert certified(shelf, job) == ["A3/addressable"] * DISKS


def test_errors_on_several_disks_are_all_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    job = shelf.approved()
    monkeypatch.setattr(Disk, "broken", frozenset({"s1", "s5"}))
    with pytest.raises(Failed, match=r"disk-1: .*; disk-3: "):
        shelf.bench.run(job)
    assert shelf.remaining() == [1, 3]


def test_ctrl_c_stops_every_disk_at_its_next_cursor_and_the_job_resumes(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = shelf.approved()
    monkeypatch.setattr(Disk, "stopping", True)
    with pytest.raises(Interrupted):
        shelf.bench.run(job)
    assert kinds(job)[-1] == "stopped"
    monkeypatch.setattr(Disk, "stopping", False)
    monkeypatch.setattr(Disk, "erasing", Barrier(1))
    monkeypatch.setattr(Disk, "reading", Barrier(1))
    shelf.bench.run(job)
    assert certified(shelf, job) == ["A3/addressable"] * DISKS
    assert shelf.remaining() == []


@pytest.mark.timeout(60)
def test_ctrl_c_ends_the_waiting_for_a_rate_on_every_disk(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = shelf.approved()
    monkeypatch.setattr(Disk, "stopping", True)
    monkeypatch.setattr(walk, "kept", lambda _: nullcontext())  # what comes before the erase need not wait
    with pytest.raises(Interrupted):
        shelf.bench.run(job, bytes_per_second=1e-9)
    assert kinds(job)[-1] == "stopped"


def test_a_hold_that_arrives_stops_every_disk(shelf: Shelf) -> None:
    class Late:
        """Says nothing until the erase has begun."""

        asked = 0

        @hookimpl
        def find_holds(self, plan: Plan) -> list[Hold]:
            """Object from the fifth question on."""
            Late.asked += 1
            held = Hold(id="matter-7", target=plan.targets[0].id, reason="a court asks")
            return [held] if Late.asked > 4 else []

    shelf.bench.hooks.register(Late(), "late")
    job = shelf.approved()
    with pytest.raises(Refused, match="matter-7"):
        shelf.bench.run(job)
    assert "certified" not in kinds(job)
    assert shelf.remaining()
