"""The faulty device does what its faults say, sector by sector, and its truth is what was written."""

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .direct import SECTOR, failing, read, write
from .faulty_device import SPLIT, FaultyDevice, faulty_device
from .faulty_file import Faults

pytestmark = pytest.mark.root
SIZE = 2 << 20


@pytest.fixture(scope="module")
def device() -> Iterator[FaultyDevice]:
    with faulty_device(SIZE) as device:
        yield device


def truth(device: FaultyDevice, sector: int, count: int) -> bytes:
    return device.truth.read_bytes()[sector * SECTOR : (sector + count) * SECTOR]


def test_without_faults_it_is_a_disk(device: FaultyDevice) -> None:
    device.set_faults(Faults())
    before = device.counts()
    content = os.urandom(SIZE)
    assert write(device.path, 0, content) == SIZE
    assert device.truth.read_bytes() == content
    assert read(device.path, 0, SIZE // SECTOR) == content
    after = device.counts()
    assert after["bytes_written"] - before["bytes_written"] == SIZE
    assert after["read"] > before["read"]


def test_bad_sectors_are_bad_to_the_sector(device: FaultyDevice) -> None:
    device.set_faults(Faults.bad((1001, 3), (1010, 1)))
    bad = [1001, 1002, 1003, 1010]
    assert failing(device.path, range(995, 1015), writing=True) == bad
    assert failing(device.path, range(995, 1015), writing=False) == bad


def test_a_failed_write_is_told_and_kept_up_to_the_bad_sector(device: FaultyDevice) -> None:
    device.set_faults(Faults(unwritable=((100, 1),)))
    before = truth(device, 64, 72)
    with pytest.raises(OSError) as told:
        write(device.path, 64, b"\x11" * 72 * SECTOR)
    assert told.value.errno == errno.EIO
    assert truth(device, 64, 36) == b"\x11" * 36 * SECTOR
    assert truth(device, 100, 36) == before[36 * SECTOR :]


@pytest.mark.parametrize("sector", [0, 255, 256, 1023, 1024, 2047, 3333, SIZE // SECTOR - 1])
def test_no_failure_of_a_long_write_is_hidden(device: FaultyDevice, sector: int) -> None:
    device.set_faults(Faults(unwritable=((sector, 1),)))
    with pytest.raises(OSError):
        write(device.path, 0, bytes(SIZE))


def test_dropped_writes_are_told_as_done(device: FaultyDevice) -> None:
    device.set_faults(Faults(dropped=((200, 2),)))
    before = truth(device, 200, 2)
    write(device.path, 192, b"\x22" * 16 * SECTOR)
    assert read(device.path, 200, 2) == before
    assert read(device.path, 192, 8) == b"\x22" * 8 * SECTOR
    assert read(device.path, 202, 6) == b"\x22" * 6 * SECTOR


@pytest.mark.parametrize("request_to_zero", [(), ("--zeroout",)], ids=["discard", "zeroout"])
def test_a_discard_may_be_answered_and_not_done(
    device: FaultyDevice, request_to_zero: tuple[str, ...]
) -> None:
    write(device.path, 256, b"\x33" * 64 * SECTOR)
    device.set_faults(Faults(dropped=((264, 8),)))
    place = ("--offset", str(256 * SECTOR), "--length", str(64 * SECTOR))
    subprocess.run(["blkdiscard", *request_to_zero, *place, device.path], check=True, timeout=60)
    assert truth(device, 264, 8) == b"\x33" * 8 * SECTOR
    assert truth(device, 256, 8) + truth(device, 272, 48) == bytes(56 * SECTOR)


def written_as_told(path: Path, sector: int, content: bytes) -> int:
    """Return how many bytes the kernel says were written: Linux 6.18 says all, a later one may say none."""
    try:
        return write(path, sector, content)
    except OSError:
        return 0


def test_a_short_write_ends_at_its_sector(device: FaultyDevice) -> None:
    device.set_faults(Faults(short=((400, 1),)))
    before = truth(device, 384, 32)
    assert written_as_told(device.path, 384, b"\x44" * 32 * SECTOR) in (0, 32 * SECTOR)
    assert truth(device, 384, 32) == b"\x44" * 16 * SECTOR + before[16 * SECTOR :]


def test_a_flipped_bit_is_read_and_the_truth_is_whole(device: FaultyDevice) -> None:
    device.set_faults(Faults())
    write(device.path, 500, b"\x55" * 4 * SECTOR)
    device.set_faults(Faults(flipped=((502, 1),)))
    got = read(device.path, 500, 4)
    assert [number for number, byte in enumerate(got) if byte != 0x55] == [2 * SECTOR]
    assert truth(device, 500, 4) == b"\x55" * 4 * SECTOR


def test_a_sector_may_work_at_the_third_try(device: FaultyDevice) -> None:
    device.set_faults(Faults(unreadable=((600, 1),), attempts=2))
    assert [failing(device.path, range(600, 601), writing=False) for _ in range(4)] == [[600], [600], [], []]


def test_a_written_sector_may_heal(device: FaultyDevice) -> None:
    device.set_faults(Faults(unreadable=((700, 2),), healing=True))
    assert failing(device.path, range(699, 703), writing=False) == [700, 701]
    write(device.path, 700, bytes(SECTOR))
    assert failing(device.path, range(699, 703), writing=False) == [701]


def test_a_pulled_drive_answers_nothing_and_may_come_back(device: FaultyDevice) -> None:
    device.set_faults(Faults(gone_after=2))
    assert failing(device.path, range(800, 805), writing=True) == [802, 803, 804]
    with pytest.raises(OSError):
        read(device.path, 0, 1)
    device.set_faults(Faults())
    assert failing(device.path, range(800, 805), writing=False) == []


def test_a_slow_drive_is_slow(device: FaultyDevice) -> None:
    device.set_faults(Faults(slow=0.1))
    began = time.monotonic()
    write(device.path, 900, bytes(SECTOR))
    assert time.monotonic() - began >= 0.1


def test_what_was_not_flushed_may_be_lost_when_the_power_goes(device: FaultyDevice) -> None:
    device.set_faults(Faults(volatile=True))
    for number in range(64):
        write(device.path, number, b"\x77" * SECTOR)
    with device.path.open("rb") as opened:
        os.fsync(opened.fileno())
    for number in range(64, 128):
        write(device.path, number, b"\x88" * SECTOR)
    assert read(device.path, 64, 64) == b"\x88" * 64 * SECTOR
    device.set_faults(Faults(volatile=True, off=True))
    assert failing(device.path, [0, 200], writing=False) == [0, 200]
    assert truth(device, 0, 64) == b"\x77" * 64 * SECTOR
    assert 0 < truth(device, 64, 64).count(b"\x88" * SECTOR) < 64
    device.set_faults(Faults(volatile=True))
    assert read(device.path, 64, 64) == truth(device, 64, 64)


def test_the_power_may_go_in_the_midst_of_a_flush(device: FaultyDevice) -> None:
    device.set_faults(Faults(volatile=True, off_after=64))
    for number in range(64):
        write(device.path, number, os.urandom(SECTOR))
    with device.path.open("rb") as opened, pytest.raises(OSError):
        os.fsync(opened.fileno())
    assert device.counts()["bytes_lost"]
    assert failing(device.path, [0], writing=True) == [0]


def test_a_split_request_is_written_in_part() -> None:
    """The loop driver reports it as done (Linux 6.18); read-back alone can see it."""
    with faulty_device(SIZE, Faults(unwritable=((600, 1),)), piece=SPLIT) as device:
        assert written_as_told(device.path, 0, b"\x66" * (SIZE // 2)) in (0, SIZE // 2)
        assert read(device.path, 599, 1) == b"\x66" * SECTOR
        assert read(device.path, 600, 1) != b"\x66" * SECTOR


def test_it_waits_for_another_reader_to_let_go() -> None:
    with faulty_device(SIZE) as device, device.path.open("rb") as opened:
        reader = subprocess.Popen(["sleep", "1"], stdin=opened)
    assert not device.truth.exists()
    assert reader.wait(timeout=60) == 0


def test_it_leaves_nothing_attached() -> None:
    with faulty_device(SIZE) as device:
        folder = device.truth.parent
        assert str(folder) in Path("/proc/self/mountinfo").read_text()
    assert not folder.exists()
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()
    assert str(folder) not in subprocess.run(["losetup", "--all"], capture_output=True, text=True).stdout
