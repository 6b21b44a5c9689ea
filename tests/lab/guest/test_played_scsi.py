"""The played SCSI and ATA drives behave as their mode says, told by sg3-utils and hdparm and by the bytes."""

import subprocess
import time
from pathlib import Path

import pytest

from ..direct import read, write
from ..played_drives import scsi_drive

MARKER = b"\xd7" * 4096
CLEAN = bytes(4096)


def run(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run(
        words, timeout=60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    return done.returncode, done.stdout


def sense_of(drive: Path) -> str:
    return run("sg_requests", drive)[1]


def until_quiet(drive: Path) -> str:
    for _ in range(60):
        told = sense_of(drive)
        if "anitize in progress" not in told:
            return told
        time.sleep(0.2)
    raise AssertionError("it still runs")


def test_sanitize_runs_and_erases() -> None:
    with scsi_drive("scsi", "ok", seconds=4) as drive:
        write(drive, 8000, MARKER)
        assert read(drive, 8000, 8) == MARKER
        code, told = run("sg_sanitize", "--block", "--quick", "--early", drive)
        assert code == 0, told
        assert "anitize in progress" in sense_of(drive)
        until_quiet(drive)
        assert read(drive, 8000, 8) == CLEAN


def test_format_unit_erases() -> None:
    with scsi_drive("scsi", "ok") as drive:
        write(drive, 8000, MARKER)
        code, told = run("sg_format", "--format", "--quick", "--early", drive)
        assert code == 0, told
        assert read(drive, 8000, 8) == CLEAN


def test_a_liar_reports_success_and_keeps_everything() -> None:
    with scsi_drive("scsi", "lie", seconds=0.1) as drive:
        write(drive, 8000, MARKER)
        assert run("sg_format", "--format", "--quick", "--early", drive)[0] == 0
        assert run("sg_sanitize", "--crypto", "--quick", "--early", drive)[0] == 0
        until_quiet(drive)
        assert read(drive, 8000, 8) == MARKER


def test_a_failing_drive_says_so_until_it_is_told_to_go_on() -> None:
    with scsi_drive("scsi", "fail", seconds=0.1) as drive:
        assert run("sg_sanitize", "--overwrite", "--zero", "--quick", "--early", drive)[0] == 0
        assert "Sanitize command failed" in until_quiet(drive)
        assert run("sg_sanitize", "--fail", "--quick", "--early", drive)[0] == 0
        assert len(read(drive, 8000, 8)) == 4096


def test_a_stuck_drive_stays() -> None:
    with scsi_drive("scsi", "stuck", seconds=0.1) as drive:
        assert run("sg_sanitize", "--block", "--quick", "--early", drive)[0] == 0
        time.sleep(0.5)
        told = sense_of(drive)
        assert "anitize in progress" in told
        assert told == sense_of(drive)


def hdparm(*words: str | Path) -> tuple[int, str]:
    return run("hdparm", "--yes-i-know-what-i-am-doing", *words)


def test_ata_identify_names_what_it_can() -> None:
    with scsi_drive("ata", "ok") as drive:
        told = hdparm("-I", drive)[1]
        for words in (
            "PLAYED ATA DISK",
            "SANITIZE feature set",
            "BLOCK_ERASE_EXT",
            "not\tenabled",
            "not\tfrozen",
        ):
            assert words in told, told


@pytest.mark.parametrize("kind", ["--sanitize-crypto-scramble", "--sanitize-block-erase"])
def test_ata_sanitize_runs_and_erases(kind: str) -> None:
    with scsi_drive("ata", "ok", seconds=3) as drive:
        write(drive, 8000, MARKER)
        code, told = hdparm(kind, drive)
        assert code == 0, told
        assert "progress" in hdparm("--sanitize-status", drive)[1].lower()
        until_quiet(drive)
        assert read(drive, 8000, 8) != MARKER


def test_ata_security_erase() -> None:
    with scsi_drive("ata", "ok", seconds=0.1) as drive:
        write(drive, 8000, MARKER)
        assert hdparm("--user-master", "u", "--security-set-pass", "secret", drive)[0] == 0
        assert "\tenabled" in hdparm("-I", drive)[1].replace("not\tenabled", "")
        code, told = hdparm("--user-master", "u", "--security-erase", "secret", drive)
        assert code == 0, told
        assert read(drive, 8000, 8) == CLEAN
        assert "not\tenabled" in hdparm("-I", drive)[1]


def test_a_frozen_drive_keeps_everything() -> None:
    with scsi_drive("ata", "frozen", seconds=0.1) as drive:
        write(drive, 8000, MARKER)
        assert "not\tfrozen" not in hdparm("-I", drive)[1]
        hdparm("--user-master", "u", "--security-set-pass", "secret", drive)
        hdparm("--user-master", "u", "--security-erase", "secret", drive)
        hdparm("--sanitize-block-erase", drive)
        assert read(drive, 8000, 8) == MARKER


def test_a_locked_drive_gives_nothing_until_its_password_is_given() -> None:
    with scsi_drive("ata", "locked") as drive:
        assert "not\tlocked" not in hdparm("-I", drive)[1]
        with pytest.raises(OSError):
            read(drive, 8000, 8)
        assert hdparm("--user-master", "u", "--security-unlock", "the owner's", drive)[0] == 0
        assert len(read(drive, 8000, 8)) == 4096
