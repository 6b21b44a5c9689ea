"""The scanner on raw block devices: deleted data is found, erased data is not, bad blocks are counted."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deleatur.documents.place import Surface
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner, SurfaceFinding
from deleatur.sanitize.techniques import TECHNIQUES

from ..nobody import as_nobody

pytestmark = pytest.mark.root

VALUES = [f"customer {n:05d} Anna Berg".encode() for n in range(500)]
MIB = 1 << 20


def run(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def loop(image: Path) -> Iterator[Path]:
    device = Path(run("losetup", "--find", "--show", image))
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextmanager
def mounted(device: Path, folder: Path) -> Iterator[Path]:
    folder.mkdir(exist_ok=True)
    run("mount", device, folder)
    try:
        yield folder
    finally:
        run("umount", folder)


def image_of(path: Path, size: int) -> Path:
    with path.open("wb") as out:
        out.truncate(size)
    return path


def scan(*paths: Path, values: list[bytes] = VALUES) -> SurfaceFinding:
    surface = Surface(name="raw", reach="scannable", paths=tuple(map(str, paths)))
    return Scanner(NeedleSet.of(values)).scan_surface(surface, lambda read: None)


def naive(image: Path) -> int:
    """Count in the image file under the device, with a regular expression instead of the scanner."""
    return len(re.findall(rb"customer 00[0-4]\d\d Anna Berg", image.read_bytes()))


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[tuple[Path, Path, Path]]:
    """An image, its loop device, and the mounted ext4 on it."""
    image = image_of(tmp_path / "image", 32 * MIB)
    with loop(image) as device:
        run("mkfs.ext4", "-q", "-E", "nodiscard", device)
        with mounted(device, tmp_path / "mnt") as folder:
            yield image, device, folder


def test_deleted_files_are_seen_on_the_device_until_their_blocks_are_overwritten(
    ext4: tuple[Path, Path, Path],
) -> None:
    image, device, folder = ext4
    file = folder / "customers"
    file.write_bytes(b"\n".join(VALUES))
    before = scan(device)  # still in the page cache: the scanner must write it out and look below
    assert before.scan.seen == len(VALUES)
    assert before.scan.hits == naive(image) >= len(VALUES)
    assert (before.scan.size, before.scan.unreadable) == (32 * MIB, 0)
    assert before.places[0].path == str(device)
    assert image.read_bytes()[before.places[0].offset :].startswith(VALUES[before.places[0].value])

    file.unlink()
    assert scan(folder).scan.hits == 0
    after_rm = scan(device)
    assert after_rm.scan.seen == len(VALUES)

    start = min(place.offset for place in after_rm.places)
    with device.open("r+b", buffering=0) as raw:  # what an overwrite in place would have written
        raw.seek(start // 4096 * 4096)
        raw.write(bytes(len(VALUES) * (len(VALUES[0]) + 1) // 4096 * 4096 + 4096))
    zeroed = scan(device)
    assert (zeroed.scan.hits, zeroed.seen) == (0, frozenset())
    assert zeroed.scan.size == 32 * MIB
    assert naive(image) == 0


def test_a_formatted_device_is_not_an_erased_one(tmp_path: Path) -> None:
    image = image_of(tmp_path / "image", 32 * MIB)
    with loop(image) as device:
        run("mkfs.ext4", "-q", "-E", "nodiscard", device)
        with mounted(device, tmp_path / "mnt") as folder:
            (folder / "customers").write_bytes(b"\n".join(VALUES))
        run("mkfs.ext4", "-q", "-F", "-E", "nodiscard", device)
        with mounted(device, tmp_path / "mnt") as folder:
            assert scan(folder).scan.hits == 0
        assert scan(device).scan.seen > len(VALUES) // 2
    assert not {"format", "mkfs", "quick-format"} & TECHNIQUES.keys()  # no way of ours to erase


def test_a_stale_cache_of_the_device_is_not_believed(ext4: tuple[Path, Path, Path]) -> None:
    """Blocks that were read through the device's cache before they changed on the disk."""
    image, device, folder = ext4
    (folder / "customers").write_bytes(b"\n".join(VALUES))
    os.sync()
    with device.open("rb") as cached:
        assert VALUES[0] in cached.read()
    with (folder / "customers").open("r+b") as file:
        file.write(bytes(len(VALUES) * (len(VALUES[0]) + 1)))
    found = scan(device)
    assert (found.scan.hits, found.scan.size, found.scan.unreadable) == (0, 32 * MIB, 0)
    assert naive(image) == 0


def test_small_files_inside_the_inode_are_seen_on_the_device(tmp_path: Path) -> None:
    with loop(image_of(tmp_path / "image", 8 * MIB)) as device:
        run("mkfs.ext4", "-q", "-I", "256", "-O", "inline_data", device)
        with mounted(device, tmp_path / "mnt") as folder:
            (folder / "small").write_bytes(VALUES[7])
            assert scan(device).seen == {7}
            (folder / "small").unlink()


@pytest.fixture(params=["ext4", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A device that held the values everywhere before its file system was made, and the mounted folder."""
    size = (320 if request.param == "xfs" else 24) * MIB
    block = (b"\n".join(VALUES) + b"\n").ljust(16384, b".")
    with (tmp_path / "disk").open("wb") as image:
        for _ in range(0, 24 * MIB, len(block)):
            image.write(block)
        image.truncate(size)
    with loop(tmp_path / "disk") as device:
        without_trim = ("-E", "nodiscard") if request.param == "ext4" else ("-K",)
        run(f"mkfs.{request.param}", "-q", "-f" if request.param == "xfs" else "-F", *without_trim, device)
        with mounted(device, tmp_path / "mnt") as folder:
            yield device, folder


def test_what_lies_in_blocks_that_a_file_only_reserved_is_seen(disk: tuple[Path, Path]) -> None:
    """As InnoDB does: pages are written at the front, and room for more is asked for with posix_fallocate."""
    _, folder = disk
    table = folder / "person.ibd"
    with table.open("wb") as file:
        file.write(b"page" * 4096)
        assert scan(folder).scan.hits == 0
        os.posix_fallocate(file.fileno(), 0, MIB)
    found = scan(table)
    assert found.seen == frozenset(range(len(VALUES)))
    assert found.scan.size >= MIB
    assert (found.scan.reserved, found.scan.unreadable) == (0, 0)
    assert "reserved" in found.places[0].path
    assert not any(value in table.read_bytes() for value in VALUES), "through the file they are zeros"
    with table.open("r+b") as file:
        file.seek(16384)
        file.write(bytes(MIB - 16384))
    assert scan(table).scan.hits == 0


def test_what_is_reserved_beyond_the_end_of_a_file_is_seen_too(disk: tuple[Path, Path]) -> None:
    _, folder = disk
    table = folder / "person.ibd"
    table.write_bytes(b"page" * 4096)
    run("fallocate", "--keep-size", "--length", str(MIB), table)
    assert scan(table).scan.seen == len(VALUES)


def test_what_is_reserved_on_a_device_that_may_not_be_read_is_counted(disk: tuple[Path, Path]) -> None:
    device, folder = disk
    table = folder / "person.ibd"
    with table.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, MIB)
    for above in (folder, *folder.parents):
        if above.stat().st_mode & 0o005 != 0o005:
            above.chmod(0o755)
    device.chmod(0o600)
    with as_nobody():  # who may read the file
        found = scan(table)
    assert (found.scan.hits, found.scan.reserved, found.scan.unreadable) == (0, MIB, 0)


def test_names_of_deleted_files_are_seen_on_the_device(ext4: tuple[Path, Path, Path]) -> None:
    _, device, folder = ext4
    (folder / VALUES[3].decode()).touch()
    assert scan(folder).seen == scan(device).seen == {3}
    (folder / VALUES[3].decode()).unlink()
    assert scan(folder).seen == set()
    assert scan(device).seen == {3}


def test_a_device_whose_size_is_no_multiple_of_a_page_is_read_to_its_end(tmp_path: Path) -> None:
    image = image_of(tmp_path / "image", 9 * MIB + 512)
    with image.open("r+b") as out:
        os.pwrite(out.fileno(), VALUES[0], 9 * MIB + 512 - len(VALUES[0]))
        os.pwrite(out.fileno(), VALUES[1], 8 * MIB - 10)
    with loop(image) as device:
        found = scan(device)
    assert (found.seen, found.scan.size, found.scan.unreadable) == ({0, 1}, 9 * MIB + 512, 0)


def test_without_the_right_to_flush_it_a_device_is_unreadable(tmp_path: Path) -> None:
    with loop(image_of(tmp_path / "image", MIB)) as device:
        device.chmod(0o644)
        try:
            with as_nobody():  # on a device that everybody may read
                found = scan(device)
        finally:
            device.chmod(0o660)
    assert (found.scan.size, found.scan.unreadable) == (0, MIB)
    assert found.unreadable == (
        f"{device}: cannot be read below its buffers: Permission denied; run as root",
    )


def test_a_block_that_fails_its_checksum_is_counted_and_the_rest_is_searched(tmp_path: Path) -> None:
    """btrfs answers EIO for a data block that was changed under it: a real unreadable range."""
    image = image_of(tmp_path / "image", 120 * MIB)
    content = bytearray(b"%07d\n" % 0) * (MIB // 8)
    content[0 : len(VALUES[0])], content[-len(VALUES[1]) :] = VALUES[0], VALUES[1]
    content[MIB // 2 : MIB // 2 + len(VALUES[2])] = VALUES[2]
    run("mkfs.btrfs", "-q", "--data", "single", "--metadata", "single", image)
    with loop(image) as device, mounted(device, tmp_path / "mnt") as folder:
        (folder / "f").write_bytes(content)
    with image.open("r+b") as out:
        at = naive_find(image, VALUES[2])
        os.pwrite(out.fileno(), b"X", at)
    with loop(image) as device, mounted(device, tmp_path / "mnt") as folder:
        found = scan(folder / "f")
    assert found.seen == {0, 1}
    assert (found.scan.unreadable, found.scan.size) == (4096, MIB - 4096)
    assert found.unreadable == (
        f"{tmp_path / 'mnt' / 'f'}: cannot be read at byte {MIB // 2}: Input/output error",
    )


def naive_find(image: Path, value: bytes) -> int:
    """Return where a value lies in a sparse image, reading only its data."""
    with image.open("rb") as file:
        at, end = 0, image.stat().st_size
        while at < end:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            found = os.pread(file.fileno(), hole - at, at).find(value)
            if found >= 0:
                return at + found
            at = hole
    raise AssertionError("the value is not in the image")
