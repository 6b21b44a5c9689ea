"""The played NVMe drive behaves as its mode says, told by nvme-cli and by the bytes that can be read."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from ..direct import failing, read, write
from ..played_drives import nvme_drive

MARKER = b"\xd7" * 4096
NEVER, DONE, RUNNING, FAILED = 0, 1, 2, 3  # sanitize status, NVM Express base specification 2.0 figure 290


def nvme(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["nvme", *words], timeout=60, capture_output=True, text=True)


def sanitize_log(drive: Path) -> tuple[int, int]:
    """Return the state and the progress."""
    (told,) = json.loads(nvme("sanitize-log", drive, "--output-format=json").stdout).values()
    return int(told["sstat"]["status"][1]), told["sprog"]  # "(2) Sanitize in Progress."


def ended(drive: Path) -> int:
    for _ in range(60):
        state, _ = sanitize_log(drive)
        if state != RUNNING:
            return state
        time.sleep(0.2)
    raise AssertionError("it still runs")


def namespace_of(drive: Path) -> Path:
    return drive.with_name(f"{drive.name}n1")


def test_format_erases() -> None:
    with nvme_drive("ok") as drive:
        write(namespace_of(drive), 8000, MARKER)
        assert read(namespace_of(drive), 8000, 8) == MARKER
        done = nvme("format", namespace_of(drive), "--ses=1", "--force")
        assert done.returncode == 0, done.stderr
        assert read(namespace_of(drive), 8000, 8) == bytes(4096)


def test_sanitize_runs_refuses_reads_and_erases() -> None:
    with nvme_drive("ok", seconds=4) as drive:
        write(namespace_of(drive), 8000, MARKER)
        assert sanitize_log(drive)[0] == NEVER
        assert nvme("sanitize", drive, "--sanact=2").returncode == 0
        state, progress = sanitize_log(drive)
        assert (state, 0 < progress < 65535) == (RUNNING, True)
        assert failing(namespace_of(drive), [8000], writing=False) == [8000]
        assert "0x401d" in nvme("sanitize", drive, "--sanact=2").stderr.lower()
        assert ended(drive) == DONE
        assert read(namespace_of(drive), 8000, 8) == bytes(4096)


def test_a_liar_reports_success_and_keeps_everything() -> None:
    with nvme_drive("lie", seconds=0.1) as drive:
        write(namespace_of(drive), 8000, MARKER)
        assert nvme("format", namespace_of(drive), "--ses=1", "--force").returncode == 0
        assert nvme("sanitize", drive, "--sanact=4").returncode == 0
        assert ended(drive) == DONE
        assert read(namespace_of(drive), 8000, 8) == MARKER


@pytest.mark.parametrize("action", [2, 3, 4])
def test_a_failing_drive_says_so_until_it_is_told_to_go_on(action: int) -> None:
    with nvme_drive("fail", seconds=0.1) as drive:
        assert nvme("sanitize", drive, f"--sanact={action}").returncode == 0
        assert ended(drive) == FAILED
        assert failing(namespace_of(drive), [8000], writing=False) == [8000]
        assert nvme("sanitize", drive, "--sanact=1").returncode == 0
        assert failing(namespace_of(drive), [8000], writing=False) == []


def test_a_stuck_drive_stays_at_655() -> None:
    with nvme_drive("stuck", seconds=0.1) as drive:
        assert nvme("sanitize", drive, "--sanact=2").returncode == 0
        time.sleep(0.5)
        assert [sanitize_log(drive) for _ in range(2)] == [(RUNNING, 655)] * 2
