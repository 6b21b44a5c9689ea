"""How fast a whole device is overwritten and read back: our engine beside `fio`, on the same loop device.

Run as `python -m benchmarks.devices [--quick]`, as root, with fio. Two devices, one in memory and one over a
file below `--folder`. Each round measures all ways in turn, so that a machine that others use slows all
of them; the medians are compared. Run it under `chrt -f 1` where others load the machine. Prints a table
and `RESULT devices FIGURE of-fio ok|short`: the lowest share of its promise that any figure reaches, ok from
1.0 on. Promised are zeros at 0.95 of fio's zeros, keystream at 0.9 of them, read-back at 0.6 of fio's read.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import own_peak, result
from deleatur.documents.place import Pattern
from deleatur.sanitize.device import compare_device, medium_of, overwrite_device, pieces_of
from deleatur.sanitize.patterns import Laid, laid

MIB = 1 << 20
PATIENCE = 300  # seconds for one run of another program
ZEROS = laid(Pattern(kind="bytes", cycle="00"))
KEYSTREAM = laid(Pattern(kind="aes-256-ctr", key="5a" * 32))
PROMISED = {
    "zeros": ("fio, zeros", 0.95),
    "keystream": ("fio, zeros", 0.9),
    "read back, keystream": ("fio, read", 0.6),
}
MOST_MEMORY = 150  # MiB


@contextmanager
def device(folder: Path, size: int) -> Iterator[str]:
    """Yield a loop device over a new file whose blocks are all written."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
        file.flush()
        command = ["losetup", "--find", "--show", "--direct-io=on", file.name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
        path = done.stdout.strip()
        try:
            yield path
        finally:
            subprocess.run(["losetup", "--detach", path], check=True, timeout=PATIENCE)


def write(path: str, pattern: Laid) -> float:
    """Overwrite the device; return bytes a second."""
    fd = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_EXCL)
    try:
        medium, begin = medium_of(fd), time.perf_counter()
        for _ in overwrite_device(medium, pattern, "device"):
            continue
        return medium.size / (time.perf_counter() - begin)
    finally:
        os.close(fd)


def read_back(path: str, pattern: Laid) -> float:
    """Compare the whole device, which holds the pattern; return bytes a second."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        medium, begin = medium_of(fd), time.perf_counter()
        for found in compare_device(medium, pattern, "device", pieces_of(medium.size)):
            if found.differ or found.unread:
                raise SystemExit(f"{path} does not hold what was written at {found.offset}")
        return medium.size / (time.perf_counter() - begin)
    finally:
        os.close(fd)


def fio(path: str, kind: str) -> float:
    """Write zeros to the device, or read it, by fio; return bytes a second."""
    command = ["fio", "--name=limit", f"--filename={path}", f"--rw={kind}", "--direct=1", "--bs=1M"]
    command += ["--iodepth=8", "--ioengine=libaio", "--zero_buffers", "--end_fsync=1", "--output-format=json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
    told = json.loads(done.stdout[done.stdout.index("{") :])["jobs"][0][kind]
    return float(told["bw_bytes"])


def measure(path: str, rounds: int) -> dict[str, float]:
    """Return the median bytes a second of each way; every round runs all of them, in turn."""
    ways: dict[str, Callable[[], float]] = {
        "fio, zeros": partial(fio, path, "write"),
        "zeros": partial(write, path, ZEROS),
        "keystream": partial(write, path, KEYSTREAM),
        "read back, keystream": partial(read_back, path, KEYSTREAM),
        "fio, read": partial(fio, path, "read"),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            rate = way()
            if number:  # the first round warms up
                taken[name].append(rate)
    return {name: statistics.median(rates) for name, rates in taken.items()}


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="overwrite a device: ours beside fio")
    parser.add_argument("--quick", action="store_true", help="smaller devices and fewer rounds")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="for the device over a file")
    wanted = parser.parse_args()
    size, rounds = (256 * MIB, 3) if wanted.quick else (1024 * MIB, 5)
    reached = []
    for place, folder in (("memory", Path("/dev/shm")), ("file", wanted.folder)):
        with device(folder, size) as path:
            medians = measure(path, rounds)
        print(f"{place}: {size // MIB} MiB, median of {rounds}")
        for name, rate in medians.items():
            base, promised = PROMISED.get(name, (name, 1.0))
            share = rate / medians[base]
            print(f"  {name:<22} {rate / 1e6:>7.0f} MB/s  {share:>5.2f} of {base}")
            reached.append(share / promised)
    memory = own_peak() // MIB
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    print(f"peak memory {memory} MiB; {spent:.1f} s of processor time of its own")
    figure = min(reached)
    return result("devices", f"{figure:.2f}", "of-fio", good=figure >= 1 and memory < MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
