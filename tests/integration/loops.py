"""Loop devices over files, for jobs that erase a whole device."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20
SECTOR = 512
PATIENCE = 60  # seconds for a program of the system


@contextmanager
def attached(below: Path, *options: str) -> Iterator[str]:
    """Attach a file, or a device, and yield the node; take it off at the end."""
    path = _attach("--find", "--show", *options, below)
    try:
        yield path
    finally:
        subprocess.run(["losetup", "--detach", path], check=True, timeout=PATIENCE)


class Loop:
    """A loop device over a file, that a test may take off and attach again."""

    def __init__(self, file: Path, content: bytes) -> None:
        file.write_bytes(content)
        self.file = self._below = file
        self.path = _attach("--find", "--show", "--direct-io=on", file)

    def detach(self) -> None:
        """Take it off now, or, if somebody has it open, when nobody does any more."""
        subprocess.run(["losetup", "--detach", self.path], check=True, timeout=PATIENCE)

    def is_attached(self) -> bool:
        """Say whether our file lies behind the node: another test may have got it since."""
        words = ("losetup", "--noheadings", "--output", "BACK-FILE", self.path)
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout.strip().removesuffix(" (deleted)") == str(self._below)

    def wait_until_free(self) -> None:
        """Wait for whoever else on this host looks at it just now, as each look at all devices does."""
        for _ in range(10 * PATIENCE):
            if not self.is_attached():
                return
            time.sleep(0.1)
        raise AssertionError(f"{self.path} is still attached")

    def attach(self, file: Path, *options: str) -> None:
        """Attach a file to the same node."""
        self.wait_until_free()
        _attach(*options, self.path, file)
        self._below = file


@contextmanager
def loop_over(file: Path, content: bytes) -> Iterator[Loop]:
    """Write a file and attach it; at the end it is not attached there, whatever the test did."""
    made = Loop(file, content)
    try:
        yield made
    finally:
        if made.is_attached():
            made.detach()


def _attach(*words: str | Path) -> str:
    done = subprocess.run(
        ["losetup", *words], check=True, timeout=PATIENCE, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()
