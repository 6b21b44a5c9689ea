"""Measure what a raw scan still finds after each way of getting rid of files, on a real ext4.

Each way gets a file system of its own on a loop device, with the same files. The scan reads the
mounted tree and the whole device. Needs root. Prints a table and
`RESULT file_residue FIGURE values ok|short`: values of the files
that are left after our technique. Short means more than none, or that the scan
did not see every value before.
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import result
from deleatur.documents.place import Surface
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.overwrite import overwrite_in_place, remove
from deleatur.sanitize.scan import Scanner

MIB = 1 << 20


def run(*command: str | Path) -> str:
    """Run a program and return what it prints."""
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def file_system(size: int) -> Iterator[tuple[Path, Path]]:
    """Make an ext4 on a loop device, mount it, and take both away again."""
    with tempfile.TemporaryDirectory() as folder:
        image, mount = Path(folder) / "image", Path(folder) / "mount"
        with image.open("wb") as out:
            out.truncate(size)
        mount.mkdir()
        device = Path(run("losetup", "--find", "--show", image))
        try:
            run("mkfs.ext4", "-q", "-E", "nodiscard", device)
            run("mount", device, mount)
            try:
                yield mount, device
            finally:
                run("umount", mount)
        finally:
            run("losetup", "--detach", device)


def keep(_: Path) -> None:
    """Do nothing: the positive control."""


def unlink(file: Path) -> None:
    """Remove the name, as `rm` does."""
    file.unlink()


def write_zeros(file: Path) -> None:
    """Open the file for writing, write zeros, remove it: the blocks that were freed keep their bytes."""
    size = file.stat().st_size
    with file.open("wb") as out:
        out.write(bytes(size))
        out.flush()
        os.fsync(out.fileno())
    file.unlink()


def save_anew(file: Path) -> None:
    """Save an empty document over it as editors do: a new file, renamed over the old one."""
    fresh = file.with_name("fresh")
    fresh.write_bytes(b"")
    fresh.replace(file)
    file.unlink()


def technique(file: Path) -> None:
    """Do what `overwrite-and-remove` does."""
    fd = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    try:
        for _ in overwrite_in_place(fd, Keystream(secrets.token_hex(32)), file.name):
            continue
    finally:
        os.close(fd)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove(folder, file.name, secrets.token_bytes(32))
    finally:
        os.close(folder)


WAYS: dict[str, Callable[[Path], None]] = {
    "nothing (control)": keep,
    "rm": unlink,
    "save over, rm": save_anew,
    "write zeros, rm": write_zeros,
    "overwrite-and-remove": technique,
}


def left_after(way: Callable[[Path], None], files: int, lines: int) -> tuple[int, int, int]:
    """Return how many values are seen in the tree and on the device, and how many names on the device."""
    values = [[f"customer {n:04d}-{m:04d} Anna Berg".encode() for m in range(lines)] for n in range(files)]
    titles = [f"contract of Berta Tal {n:04d}".encode() for n in range(files)]
    scanner = Scanner(NeedleSet.of(value for content in values for value in content))
    of_names = Scanner(NeedleSet.of(titles))
    with file_system(32 * MIB + files * lines * 64) as (mount, device):
        paths = [mount / os.fsdecode(title) for title in titles]
        for path, content in zip(paths, values, strict=True):
            path.write_bytes(b"\n".join(content))
        os.sync()
        for path in paths:
            way(path)
        tree = Surface(name="tree", reach="scannable", paths=(str(mount),))
        raw = Surface(name="device", reach="scannable", paths=(str(device),))
        found = [
            s.scan_surface(on, lambda _: None) for s, on in ((scanner, tree), (scanner, raw), (of_names, raw))
        ]
        if any(finding.scan.unreadable for finding in found):
            sys.exit(f"file_residue: unreadable: {[finding.unreadable for finding in found]}")
        return tuple(len(finding.seen) for finding in found)


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 files of 500 values instead of 200 of 2,000")
    files, lines = (20, 500) if parser.parse_args().quick else (200, 2_000)
    if os.geteuid() != 0:
        sys.exit("file_residue: loop devices need root; run as root")
    total = files * lines
    print(f"{files} files, {total} values in them")
    print(f"{'after':<24}{'values in tree':>16}{'values on device':>18}{'names on device':>17}")
    left = {}
    for name, way in WAYS.items():
        left[name] = left_after(way, files, lines)
        tree, device, names = left[name]
        print(f"{name:<24}{tree:>16}{device:>18}{names:>17}")
    seen = left["nothing (control)"]
    figure = sum(left["overwrite-and-remove"][:2])
    return result("file_residue", str(figure), "values", good=figure == 0 and seen == (total, total, files))


if __name__ == "__main__":
    sys.exit(main())
