"""A small mounted ext4 and the image that it lies in: in memory, as it is read whole so often."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WITHOUT_JOURNAL = ("-O", "^has_journal")  # its content alone changes with what is written
SMALL_JOURNAL = ("-J", "size=1")


@contextmanager
def small_disk(megabytes: int, options: tuple[str, ...]) -> Iterator[tuple[Path, Path]]:
    """Yield the mount point, which only its owner may reach, and the image beside it."""
    folder = Path(tempfile.mkdtemp(prefix="deleatur-", dir="/dev/shm"))
    mount, image = folder / "mount", folder / "image"
    try:
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        _run("mkfs.ext4", "-q", *options, image)
        _run("mount", "-o", "loop,noatime", image, mount)
        try:
            yield mount, image
        finally:
            _run("umount", mount)
    finally:
        shutil.rmtree(folder)


def flush(mount: Path) -> None:
    """Write what the file system still holds back into its image."""
    _run("sync", "--file-system", mount)


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, timeout=120)
