"""A job whose host dies while a played drive erases itself: resumed, it asks the drive and goes on."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from deleatur.devices import commanding
from deleatur.devices.waiting import Patience
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Failed, Refused
from deleatur.testing.workbench import Workbench

from ..direct import read
from ..jobs import job, predicate
from ..played_drives import detached_nvme_drive, nvme_drive, scsi_drive
from ..played_jobs import SANITIZE, answers, impatient, namespace_of, prepared


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    monkeypatch.setattr(commanding, "Patience", impatient)
    return Workbench(tmp_path)


def run_until(bench: Workbench, directory: JobDirectory, mark: bytes) -> None:
    """Run a job in a process of its own and kill that when its journal says `mark`."""
    child = os.fork()
    if not child:
        try:
            bench.run(directory)
        finally:
            os._exit(0)
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        if directory.journal.exists() and mark in directory.journal.read_bytes():
            break
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_sanitize_outlives_the_job_and_its_host_and_is_not_sent_twice(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commanding, "Patience", lambda: Patience(interval=0.2))
    with detached_nvme_drive("stuck", seconds=0.1) as drive:
        first = drive.attach()
        directory = prepared(bench, namespace_of(first), "nvme-sanitize-crypto")
        run_until(bench, directory, b'"position":"accepted ')
        drive.detach(first)  # as a host without power does
        again = drive.attach()
        with pytest.raises(Refused, match="is erasing itself"):  # of a new job: this one is not its own
            bench.plan(bench.job(job(namespace_of(again), "nvme-sanitize-crypto"), "other"))
        power_cycle = threading.Timer(5, drive.cure)
        power_cycle.start()
        bench.run(directory)
        power_cycle.join(30)
        drive.detach(again)
    kept = answers(directory)
    assert [block[:2] for block, _ in kept].count(SANITIZE) == 1
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"
    running = [reply for block, reply in kept if block[:2] == "02" and reply.split()[2][4:6] == "02"]
    assert len(running) >= 2, "asked in both runs while it worked"


def test_a_drive_that_is_verified_waits_for_the_job_that_told_it_to(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    technique = "nvme-sanitize-block-verified"
    with nvme_drive("ok", seconds=0.1) as drive:
        node = namespace_of(drive)
        directory = prepared(bench, node, technique)
        run_until(bench, directory, b'"kind":"erased","step":"s2"')
        with pytest.raises(Refused, match="waits to be read"):  # by a new job: this one is not its own
            bench.plan(bench.job(job(node, technique), "other"))
        bench.run(directory)
    assert [block[:2] for block, _ in answers(directory)].count(SANITIZE) == 2  # begun, and left
    told = predicate(directory)
    assert told["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"
    assert [each["step"] for each in told["verification"][0]["comparisons"]]


def test_a_security_erase_that_was_cut_off_leaves_a_locked_drive_that_resume_opens(bench: Workbench) -> None:
    with scsi_drive("ata", "cut", 0.2) as drive:
        directory = prepared(bench, drive, "ata-security-erase")
        with pytest.raises(Failed, match="keeps the password 'deleatur'"):
            bench.run(directory)
        with pytest.raises(OSError):
            read(drive, 8000, 8)
        with pytest.raises(Refused, match="is locked by a password"):
            bench.plan(bench.job(job(drive, "ata-security-erase"), "other"))
        bench.run(directory)
        assert read(drive, 8000, 8) == bytes(4096)
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A1/device-all"
