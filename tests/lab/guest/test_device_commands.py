"""Devices of QEMU are sent their own commands: what they do, what they refuse, and the one that lies."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deleatur.devices import nvme
from deleatur.devices.commanding import erase_by_command
from deleatur.devices.sending import send_nvme
from deleatur.documents.place import Cursor, Pattern
from deleatur.documents.ranges import size_of
from deleatur.errors import Failed, Refused
from deleatur.judge.markers import marker_places
from deleatur.sanitize.device import compare_device, medium_of
from deleatur.sanitize.patterns import laid
from deleatur_plugins.block.commanding import mark

from ..direct import read, write
from ..drives import SIZE, by_serial

MARKER = b"\xd9" * 4096
AT = 9000  # sector of 512 bytes
KEY = Pattern(kind="aes-256-ctr", key="5e" * 32)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_EXCL | os.O_DIRECT)
    try:
        yield fd
    finally:
        os.close(fd)


def erase(path: Path, technique: str) -> list[Cursor]:
    with opened(path) as fd:
        return list(erase_by_command(technique, fd, SIZE, None))


def kept(path: Path) -> int:
    """Return how many bytes of the markers are as they were written."""
    with opened(path) as fd:
        places = marker_places(SIZE, KEY.key)
        seen = list(compare_device(medium_of(fd), laid(KEY), "device", places))
    assert not any(found.unread for found in seen)
    return sum(found.length - size_of(found.differ) for found in seen)


def marked(path: Path) -> None:
    with opened(path) as fd:
        mark(fd, SIZE, "device", KEY)
    assert kept(path) == SIZE  # a small device is marked from end to end


@pytest.mark.parametrize("technique", ["nvme-format", "nvme-format-crypto"])
@pytest.mark.parametrize(("name", "block"), [("nvme0n1", 512), ("nvme0n2", 4096)])
def test_a_namespace_is_formatted_and_keeps_its_layout(technique: str, name: str, block: int) -> None:
    path = Path("/dev") / name
    marked(path)
    offered = nvme.SecureErase.crypto if technique.endswith("crypto") else nvme.SecureErase.user_data
    (cursor,) = erase(path, technique)
    (exchange,) = cursor.exchanges
    assert exchange.answered.startswith("0000 ")
    assert nvme.command_of(bytes.fromhex(exchange.sent)).cdw10 >> 9 & 7 == offered
    assert kept(path) == 0
    assert Path(f"/sys/block/{name}/queue/logical_block_size").read_text() == f"{block}\n"


def test_a_controller_says_who_it_is_and_that_it_has_no_sanitize() -> None:
    with opened(Path("/dev/nvme0n1")) as fd:
        seen = nvme.IdentifyController.decode(send_nvme(fd, nvme.identify_controller()).content)
        refused = send_nvme(fd, nvme.sanitize(nvme.SanitizeAction.block_erase, keep_blocks=True))
        log = send_nvme(fd, nvme.sanitize_log())
    assert (seen.serial, seen.sanitizes, seen.can_format) == ("NVMELAB0", (), True)
    assert refused.words() == "invalid command opcode (0x4001)"
    assert not log.good
    with pytest.raises(Refused, match="there are 2 of them: 1, 2"):
        erase(Path("/dev/nvme0n1"), "nvme-sanitize-block")


def test_a_disk_says_good_to_format_unit_and_erases_nothing() -> None:
    drive = by_serial("SCSILAB0")
    marked(drive)
    assert erase(drive, "scsi-format")[-1].position == "done"  # its word, and nothing more
    assert kept(drive) == SIZE  # which is residue: see tests/integration/test_block_commands.py


@pytest.mark.parametrize("serial", ["SCSILAB0", "UASLAB0"])
def test_a_disk_without_sanitize_is_not_erased(serial: str) -> None:
    drive = by_serial(serial)
    write(drive, AT, MARKER)
    with pytest.raises(Failed, match="did not take"):
        erase(drive, "scsi-sanitize-block")
    assert read(drive, AT, 8) == MARKER
