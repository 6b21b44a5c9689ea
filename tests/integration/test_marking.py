"""A device is believed only if it shows what was written, a moment ago, through the file system above it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from deleatur.sanitize.filesystem import filesystem_of
from deleatur.sanitize.marking import shows_what_is_written

from .test_scan_device import MIB, image_of, loop, mounted, run, scan

pytestmark = pytest.mark.root


@pytest.fixture(params=["ext4", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A device, and the folder on which its file system is mounted."""
    image = image_of(tmp_path / "image", (320 if request.param == "xfs" else 8) * MIB)
    with ExitStack() as stack:
        device = stack.enter_context(loop(image))
        run(f"mkfs.{request.param}", "-q", device)
        yield device, stack.enter_context(mounted(device, tmp_path / "mnt"))


def test_the_device_below_shows_it_and_nothing_stays(disk: tuple[Path, Path]) -> None:
    device, folder = disk
    (folder / "file").write_text("here")
    assert shows_what_is_written(str(device), [str(folder / "file")])
    assert shows_what_is_written(str(device), [str(folder / "gone" / "file"), str(folder)])
    assert shows_what_is_written(str(device), ["/proc/self/status", str(folder)]), "one of them is enough"
    (folder / "file").unlink()
    assert sorted(path.name for path in folder.iterdir()) in ([], ["lost+found"])


def test_a_copy_another_disk_a_file_and_nothing_do_not_show_it(
    disk: tuple[Path, Path], tmp_path: Path
) -> None:
    device, folder = disk
    os.sync()
    shutil.copyfile(tmp_path / "image", tmp_path / "copy")
    with loop(tmp_path / "copy") as copy, loop(image_of(tmp_path / "zeros", 8 * MIB)) as zeros:
        assert not shows_what_is_written(str(copy), [str(folder)])
        assert not shows_what_is_written(str(zeros), [str(folder)])
    assert not shows_what_is_written(str(tmp_path / "copy"), [str(folder)])
    assert not shows_what_is_written(str(tmp_path / "none"), [str(folder)])
    assert not shows_what_is_written(str(device), [str(tmp_path)]), "the folder lies on another device"
    assert not shows_what_is_written(str(device), [])


def test_where_nothing_can_be_written_nothing_was_shown(disk: tuple[Path, Path]) -> None:
    device, folder = disk
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True, timeout=30)
    assert not shows_what_is_written(str(device), [str(folder)])


def test_a_device_that_is_mounted_by_a_link_is_read_all_the_same(tmp_path: Path) -> None:
    with loop(image_of(tmp_path / "image", 8 * MIB)) as device:
        run("mkfs.ext4", "-q", device)
        (tmp_path / "vg-data").symlink_to(device)
        folder = tmp_path / "mnt"
        folder.mkdir()
        run("mount", "--no-canonicalize", tmp_path / "vg-data", folder)
        try:
            source = filesystem_of(folder).source
            assert shows_what_is_written(source, [str(folder)])
            found = scan(Path(source))
            assert (found.scan.size, found.unreadable) == (8 * MIB, ())
        finally:
            run("umount", folder)
