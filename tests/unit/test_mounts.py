"""The kernel's table of mounts is read whatever anybody calls the folders that they mount on."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.archive.media import disks_of
from deleatur.devices.places import Places
from deleatur.devices.uses import Looking
from deleatur.errors import Refused
from deleatur.sanitize.filesystem import filesystem_of, mount_points
from deleatur.sanitize.mounts import mounts
from deleatur_plugins.file.thumbnails import Thumbnails

# Linux 6.1, after `mount -t ext4 -o nosuid /dev/sda "/srv/a b"`; the second with a propagation of its own.
TABLE = b"""\
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 21 8:0 / /srv/a\\040b rw,nosuid - ext4 /dev/disk/by\\040hand ro,data=journal
"""


def test_a_table_is_read() -> None:
    first, second = mounts(TABLE)
    assert (first.identifier, first.number, first.point, first.kind) == ("21", "8:1", "/", "ext4")
    assert (second.point, second.options, second.source) == ("/srv/a b", "rw,nosuid", "/dev/disk/by hand")
    assert second.super_options == "ro,data=journal"
    assert mounts(b"") == ()


@pytest.fixture(params=["a\rb", "a\x0bb", "a\x1cb", "a\u2028b", "a\nb", "a\\b - c"])
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / request.param
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.root
def test_a_mount_point_of_any_name_hides_nothing_and_stops_nobody(mounted: Path) -> None:
    assert mount_points()[str(mounted)] == "tmpfs"
    assert filesystem_of(mounted).mount_point == str(mounted)
    assert Looking(Places(), {}).uses()
    Thumbnails()
    with pytest.raises(Refused, match="lies in memory"):
        disks_of(mounted)
