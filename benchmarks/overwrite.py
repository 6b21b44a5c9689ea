"""How fast a file is overwritten: our engine beside `dd`, on the same file of the same device.

Run as `python -m benchmarks.overwrite [--quick] [--folder FOLDER]`. Each round measures all ways in
turn, so that a device that drifts drifts for all; the medians are compared. Prints a table of ratios
and `RESULT overwrite FIGURE of-dd ok|short`: the rate of our keystream overwrite by that of
`dd if=/dev/zero conv=fdatasync,notrunc`, ok from 1.0 on. Ours writes AES-256-CTR, dd writes zeros.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import result
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.overwrite import overwrite_in_place

MIB = 1 << 20
STREAM = Keystream("5a" * 32)
PROMISED = 1.0  # of dd


def ours(file: Path) -> None:
    """Overwrite with the keystream, flushing every 64 MiB."""
    fd = os.open(file, os.O_RDWR)
    try:
        for _ in overwrite_in_place(fd, STREAM, "inode-1"):
            pass
    finally:
        os.close(fd)


def dd(file: Path, *options: str) -> None:
    """Overwrite with zeros by dd, block for block as long as the file is."""
    count = file.stat().st_size // (4 * MIB)
    command = ["dd", "if=/dev/zero", f"of={file}", "bs=4M", f"count={count}", *options]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def shred(file: Path) -> None:
    """Overwrite with one pass of random bytes by shred."""
    subprocess.run(["shred", "-n", "1", file], check=True)


WAYS: dict[str, Callable[[Path], None]] = {
    "deleatur, keystream, durable each 64 MiB": ours,
    "dd zeros, conv=fdatasync,notrunc": lambda file: dd(file, "conv=fdatasync,notrunc"),
    "dd zeros, oflag=direct conv=fdatasync,notrunc": lambda file: dd(
        file, "oflag=direct", "conv=fdatasync,notrunc"
    ),
    "shred -n 1, random": shred,
}


def measure(file: Path, rounds: int) -> dict[str, float]:
    """Return the median seconds of each way; every round runs all of them, in turn."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds + 1):
        for name, way in WAYS.items():
            os.sync()
            begin = time.perf_counter()
            way(file)
            if number:  # the first round warms up the device and the files' blocks
                taken[name].append(time.perf_counter() - begin)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="overwrite a file: ours beside dd")
    parser.add_argument("--quick", action="store_true", help="a smaller file and fewer rounds")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on the device to measure")
    wanted = parser.parse_args()
    size, rounds = (256 * MIB, 3) if wanted.quick else (1024 * MIB, 5)
    with tempfile.TemporaryDirectory(dir=wanted.folder) as folder:
        file = Path(folder) / "file"
        with file.open("wb") as made:
            for _ in range(size // MIB):
                made.write(bytes(MIB))
            os.fsync(made.fileno())
        medians = measure(file, rounds)
    base = medians["dd zeros, conv=fdatasync,notrunc"]
    print(f"{'way':<48} {'MiB/s':>8} {'of dd':>6}   {size // MIB} MiB, median of {rounds}")
    for name, seconds in medians.items():
        print(f"{name:<48} {size / MIB / seconds:>8.0f} {base / seconds:>6.2f}")
    figure = base / medians["deleatur, keystream, durable each 64 MiB"]
    return result("overwrite", f"{figure:.2f}", "of-dd", good=figure >= PROMISED)


if __name__ == "__main__":
    sys.exit(main())
