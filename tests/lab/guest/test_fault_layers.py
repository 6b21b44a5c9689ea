"""The kernel's own fault devices do what the laboratory relies on."""

from pathlib import Path

from ..direct import failing, read, write
from .uses import mapping, sh


def test_null_blk_has_nine_bad_sectors(null_blk: Path) -> None:
    around = [*range(5998, 6010), *range(9999, 10002)]
    nine = [*range(6000, 6008), 10000]
    assert failing(null_blk, around, writing=False) == nine
    assert failing(null_blk, around, writing=True) == nine


def test_scsi_debug_cannot_read_three_sectors(scsi_debug: Path) -> None:
    assert failing(scsi_debug, range(4998, 5005), writing=False) == [5000, 5001, 5002]


def test_dm_error_fails_where_its_table_says(ram_disk: Path) -> None:
    broken = mapping("broken", "0 2000 linear /dev/ram0 0\n2000 16 error\n2016 14368 linear /dev/ram0 2016\n")
    assert failing(broken, range(1998, 2018), writing=True) == [*range(2000, 2016)]
    sh("dmsetup remove --noudevsync broken")


def test_dm_flakey_drops_writes_and_says_they_are_done(ram_disk: Path) -> None:
    write(ram_disk, 0, b"\x5a" * 4096)
    sh("modprobe dm-flakey")
    lying = mapping("lying", "0 16384 flakey /dev/ram0 0 0 3600 1 drop_writes\n")
    assert write(lying, 0, bytes(4096)) == 4096
    assert read(lying, 0, 8) == b"\x5a" * 4096
    sh("dmsetup remove --noudevsync lying")
