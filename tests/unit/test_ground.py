"""What the ground under files takes from a claim: what the kernel does not say lowers it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from deleatur.sanitize.filesystem import FileSystem, filesystem_of
from deleatur.sanitize.ground import limits_of_files, opened_in_turn, surfaces_below


@pytest.fixture
def system(tmp_path: Path) -> FileSystem:
    """A file system of which everything speaks for a claim."""
    return replace(
        filesystem_of(tmp_path),
        source="",
        in_place=True,
        **dict.fromkeys(("copy_on_write", "network", "memory", "data_journal", "flash", "layered"), False),
    )


@pytest.mark.parametrize(
    ("trait", "limit"),
    [
        ({"copy_on_write": True}, "copy-on-write"),
        ({"network": True}, "network-file-system"),
        ({"memory": True}, "memory-file-system"),
        ({"data_journal": True}, "data-journal"),
        ({"flash": True}, "flash"),
        ({"layered": True}, "layered-device"),
        ({"in_place": False}, "unknown-file-system"),
    ],
)
def test_each_trait_lowers_the_claim(
    system: FileSystem, tmp_path: Path, trait: dict[str, bool], limit: str
) -> None:
    place = tmp_path / "store"
    place.write_bytes(b"kept" * 4096)
    assert limit not in limits_of_files(system, opened_in_turn([place]))
    assert limit in limits_of_files(replace(system, **trait), opened_in_turn([place]))


def test_one_file_is_open_at_a_time_and_none_is_followed(tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.write_bytes(b"")
    seen = []
    for fd in opened_in_turn(places):
        assert all(os.fstat(fd).st_ino != number for number in seen)
        seen.append(os.fstat(fd).st_ino)
        last = fd
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(last)
    (tmp_path / "link").symlink_to(places[0])
    with pytest.raises(OSError, match="symbolic links"):
        list(opened_in_turn([tmp_path / "link"]))


def test_flash_has_a_reserve_that_no_host_reaches(system: FileSystem) -> None:
    (below,) = surfaces_below(system)
    assert (below.name, below.reach) == ("block device under the file system", "out-of-reach")
    _, reserve = surfaces_below(replace(system, flash=True))
    assert (reserve.name, reserve.reach) == ("flash over-provisioning", "out-of-reach")


def test_a_device_that_can_be_read_is_searched_with_the_decoders_of_the_store(
    system: FileSystem, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    device.write_bytes(b"")
    (below,) = surfaces_below(replace(system, source=str(device)), ("zlib",))
    assert (below.reach, below.paths, below.decoders) == ("scannable", (str(device),), ("zlib",))


def test_devices_of_all_file_systems_are_searched_or_none_is(system: FileSystem, tmp_path: Path) -> None:
    on = [replace(system, source=str(tmp_path / name)) for name in "aab"]
    for name in "ab":
        (tmp_path / name).touch()
    (below,) = surfaces_below(on[0], (), on[1:])
    assert (below.reach, below.paths) == ("scannable", (str(tmp_path / "a"), str(tmp_path / "b")))
    (tmp_path / "b").unlink()
    (below,) = surfaces_below(on[0], (), on[1:])
    assert (below.reach, below.paths) == ("out-of-reach", ())
    assert len(surfaces_below(system, (), [replace(system, flash=True)])) == 2
