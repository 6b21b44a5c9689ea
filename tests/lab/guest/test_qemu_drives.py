"""What QEMU's drives play and what they only claim, told by stock tools; a QEMU that differs is seen here."""

import json
import os
import subprocess
from pathlib import Path

from ..direct import read, write
from ..drives import SIZE, by_serial

MARKER = b"\xd7" * 4096
INVALID_OPCODE = 1  # NVM Express base specification 2.0, figure 94: what nvme-cli exits with
ILLEGAL_REQUEST_OPCODE = 9  # sg_sanitize(8): the command is not supported


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, timeout=60, capture_output=True, text=True, errors="replace")


def test_each_bus_has_its_drive() -> None:
    columns = "path,tran,size,log-sec"
    table = json.loads(run("lsblk", "--json", "--nodeps", "--bytes", "--output", columns).stdout)
    told = {(Path(row["path"]), row["tran"], row["size"], row["log-sec"]) for row in table["blockdevices"]}
    assert told >= {
        (Path("/dev/nvme0n1"), "nvme", SIZE, 512),
        (Path("/dev/nvme0n2"), "nvme", SIZE, 4096),
        (by_serial("ATALAB0"), "sata", SIZE, 512),
        (by_serial("SCSILAB0"), None, SIZE, 512),
        (by_serial("UASLAB0"), "usb", SIZE, 512),
    }


def test_nvme_format_erases_and_sanitize_is_refused() -> None:
    namespace = Path("/dev/nvme0n1")
    write(namespace, 8000, MARKER)
    assert run("nvme", "format", namespace, "--ses=1", "--force").returncode == 0
    assert read(namespace, 8000, 8) == bytes(4096)
    refused = run("nvme", "sanitize", "/dev/nvme0", "--sanact=2")
    assert (refused.returncode, "0x4001" in refused.stderr + refused.stdout) == (INVALID_OPCODE, True)


def test_scsi_format_unit_says_good_and_erases_nothing() -> None:
    drive = by_serial("SCSILAB0")
    write(drive, 8000, MARKER)
    done = run("sg_format", "--format", "--quick", "--early", drive)
    assert done.returncode == 0, done.stdout + done.stderr
    assert read(drive, 8000, 8) == MARKER


def test_scsi_sanitize_is_refused() -> None:
    for serial in ("SCSILAB0", "UASLAB0", "ATALAB0"):
        assert (
            run("sg_sanitize", "--block", "--quick", by_serial(serial)).returncode == ILLEGAL_REQUEST_OPCODE
        )


def test_hdparm_exits_with_zero_where_the_drive_aborted_the_erase() -> None:
    drive = by_serial("ATALAB0")
    write(drive, 8000, MARKER)
    done = run("hdparm", "--user-master", "u", "--security-erase", "secret", drive)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bad/missing sense" in done.stderr
    assert read(drive, 8000, 8) == MARKER


def test_a_mounted_or_swapping_drive_does_not_open_exclusively() -> None:
    drive = by_serial("UASLAB0")
    assert run("mkswap", drive).returncode == 0
    assert run("swapon", drive).returncode == 0
    try:
        descriptor = os.open(drive, os.O_RDWR | os.O_EXCL)
    except OSError as refused:
        told = refused.strerror
    else:
        os.close(descriptor)
        told = "opened"
    finally:
        run("swapoff", drive)
    assert told == "Device or resource busy"
