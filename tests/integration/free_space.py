"""A small file system on a loop device, in memory, with the traces of a deleted secret."""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deleatur.sanitize.filesystem import filesystem_of

SIZES = {"ext4": 32, "xfs": 320}  # MB; the least that mkfs.xfs makes is 300


@dataclass
class Disk:
    """A mounted file system, and the image under its loop device."""

    kind: str
    point: Path
    image: Path
    secret: bytes = field(default_factory=lambda: uuid.uuid4().hex.encode())

    def device(self) -> Path:
        """Return the block device that is mounted."""
        return Path(filesystem_of(self.point).source)

    def below(self) -> bytes:
        """Return what stands on the device."""
        subprocess.run(["sync", "--file-system", self.point], check=True)
        return self.image.read_bytes()

    def leave_traces(self, files: int = 60) -> None:
        """Write the secret into many files and remove all but a few, which are given other content."""
        for n in range(files):
            (self.point / f"f{n}").write_bytes(self.secret * (1000 + n % 37 * 200))
        subprocess.run(["sync", "--file-system", self.point], check=True)
        for n in range(files):
            if n % 7:
                (self.point / f"f{n}").unlink()
            else:
                (self.point / f"f{n}").write_bytes(b"stays " * 100)


@contextmanager
def disk(folder: Path, kind: str, *, megabytes: int = 0, point: Path | None = None) -> Iterator[Disk]:
    """Make and mount a file system; it is gone at the end."""
    if point is None:
        point = folder / "mnt"
        point.mkdir()
    image = Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"
    with image.open("wb") as file:
        file.truncate((megabytes or SIZES[kind]) << 20)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, point], check=True)
    try:
        yield Disk(kind, point, image)
    finally:
        subprocess.run(["umount", point], check=True)
        image.unlink()
