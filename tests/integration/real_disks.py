"""Real file systems on loop devices, and what can be mounted above them, for jobs that erase files."""

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

MEGABYTES = {"ext4": 48, "xfs": 320, "btrfs": 128}  # the least that mkfs.xfs and mkfs.btrfs take is near
SFTP = "/usr/lib/openssh/sftp-server"


def run(*words: str | Path) -> None:
    """Run a program and expect it to end well."""
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{words[0]}: {done.stderr}"


@dataclass
class RealDisk:
    """A mounted file system, what is mounted above it, and the image under its loop device."""

    kind: str
    point: Path  # of the file system on the image
    above: Path  # where the files are seen: `point`, or what is mounted over it
    image: Path

    def below(self) -> bytes:
        """Return what stands on the device."""
        run("sync", "--file-system", self.point)
        parts, at = [], 0
        with self.image.open("rb") as image:
            end = image.seek(0, os.SEEK_END)
            while at < end:
                try:
                    at = os.lseek(image.fileno(), at, os.SEEK_DATA)
                except OSError:  # nothing but a hole up to the end
                    break
                hole = os.lseek(image.fileno(), at, os.SEEK_HOLE)
                parts.append(os.pread(image.fileno(), hole - at, at))
                at = hole
        return b"\0".join(parts)


@contextmanager
def real_disk(
    folder: Path, kind: str, *, made: Sequence[str] = (), mounted: str = "", before: Callable[[Path], None]
) -> Iterator[RealDisk]:
    """Make a file system in memory, `before` what is done in it unmounted and mounted; gone at the end."""
    point, image = folder / "disk", Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"
    point.mkdir()
    with ExitStack() as undo:
        undo.callback(image.unlink)
        with image.open("wb") as file:
            file.truncate(MEGABYTES[kind] << 20)
        run(f"mkfs.{kind}", "-q", *made, image)
        run("mount", "-o", "loop,noatime" + mounted, image, point)
        undo.callback(run, "umount", point)
        before(point)
        yield RealDisk(kind, point, point, image)


@contextmanager
def overlay(disk: RealDisk) -> Iterator[RealDisk]:
    """Mount an overlay whose lower layer is `disk`'s folder `lower`."""
    for name in ("upper", "work", "merged"):
        (disk.point / name).mkdir()
    layers = ",".join(f"{name}dir={disk.point / name}" for name in ("lower", "upper", "work"))
    run("mount", "-t", "overlay", "none", "-o", layers, disk.point / "merged")
    try:
        yield RealDisk("overlay", disk.point, disk.point / "merged", disk.image)
    finally:
        run("umount", disk.point / "merged")


@contextmanager
def over_sftp(disk: RealDisk, folder: Path) -> Iterator[RealDisk]:
    """Mount `disk` once more through SFTP, spoken to the server's program directly: no network is needed."""
    mount, speak = folder / "remote", folder / "speak"
    mount.mkdir()
    speak.write_text(f"#!/bin/sh\nexec {SFTP}\n")
    speak.chmod(0o700)
    run("sshfs", f"here:{disk.point}", mount, "-o", f"ssh_command={speak}")
    try:
        yield RealDisk("fuse", disk.point, mount, disk.image)
    finally:
        run("umount", mount)
