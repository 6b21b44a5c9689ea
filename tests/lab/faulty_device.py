"""A loop device on the host whose faults change while it is in use: a FUSE file below, no virtual machine."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .faulty_file import Faults

PATIENCE = 60  # seconds for one tool to end
WHOLE = 1 << 20  # bytes: a request of the loop device is one request of the file, so that its error is told
SPLIT = 1 << 17  # bytes: a request of the loop device is many of the file, and the driver hides some failures
LONGEST = (
    WHOLE >> 11
)  # KiB of a request of the loop device: half, as memory that is not aligned takes a page more


@dataclasses.dataclass(frozen=True)
class FaultyDevice:
    """A device under test, and what lies below it."""

    path: Path  # /dev/loopN
    truth: Path  # the bytes that a platter would hold
    _server: subprocess.Popen[str]

    def set_faults(self, faults: Faults) -> None:
        """Change what goes wrong, from the next request on."""
        self._tell(json.dumps(dataclasses.asdict(faults)))

    def counts(self) -> dict[str, int]:
        """Return the requests seen so far, by kind, and the bytes written and lost."""
        return self._tell("")

    def _tell(self, line: str) -> dict[str, int]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        counts: dict[str, int] = json.loads(self._server.stdout.readline())
        return counts


@contextmanager
def faulty_device(size: int, faults: Faults = Faults(), piece: int = WHOLE) -> Iterator[FaultyDevice]:  # noqa: B008
    """Yield a loop device of `size` bytes that starts with random content and these faults; needs root.

    `piece` is the longest request in bytes that reaches the file. With `WHOLE` every failure is told to who
    writes; with `SPLIT` the kernel's loop driver reports a write that failed in its middle as done.
    """
    folder = Path(tempfile.mkdtemp(prefix="faulty-", dir="/dev/shm"))
    try:
        truth, mounted = folder / "truth", folder / "disk"
        mounted.touch()
        with truth.open("wb") as file:
            for offset in range(0, size, WHOLE):
                file.write(os.urandom(min(WHOLE, size - offset)))
        with _served(mounted, truth, piece) as server, _attached(mounted) as path:
            device = FaultyDevice(path, truth, server)
            device.set_faults(faults)
            yield device
    finally:
        shutil.rmtree(folder)


@contextmanager
def _served(mounted: Path, truth: Path, piece: int) -> Iterator[subprocess.Popen[str]]:
    program = Path(__file__).with_name("faulty_file.py")
    with subprocess.Popen(
        [sys.executable, "-S", program, mounted, truth, str(piece)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            server.stdin.write("\n")
            server.stdin.flush()
            assert server.stdout.readline(), "the faulty file was not mounted"
            try:
                yield server
            finally:
                _run("umount", mounted)
                server.wait(timeout=PATIENCE)
        finally:
            server.kill()


@contextmanager
def _attached(mounted: Path) -> Iterator[Path]:
    path = Path(_run("losetup", "--find", "--show", "--direct-io=on", mounted))
    try:
        Path(f"/sys/block/{path.name}/queue/max_sectors_kb").write_text(str(LONGEST))
        yield path
    finally:
        _run("losetup", "--detach", path)
        _wait_until_free(path)


def _wait_until_free(path: Path) -> None:
    """Wait until nobody has the device open: whoever lists all devices of the host delays a detach."""
    ends = time.monotonic() + PATIENCE
    while Path(f"/sys/block/{path.name}/loop").exists():
        assert time.monotonic() < ends, f"{path} is still in use"
        time.sleep(0.02)


def _run(*words: str | Path) -> str:
    return subprocess.run(
        words, check=True, timeout=PATIENCE, stdout=subprocess.PIPE, text=True
    ).stdout.strip()
