"""How fast whole devices are overwritten and read back: our engine beside fio, nwipe, shred and scrub.

    python -m benchmarks.overwrite [--quick] [--folder FOLDER]

Loop devices in memory and over files below FOLDER, one and four of them at once. Each round measures every
way in turn, so that a machine or a disk that drifts does so for all; shown are medians, of the ratios too.
Fio with zeros is taken for the limit, and its rate is as it tells it itself; of the other programs it is
that of the whole run. CPU is what the program itself took: what the kernel's loop threads took for it is
shown below, as far as the machine is idle otherwise. Needs root; where it is not idle, believe CPU only.

Prints a table and `RESULT overwrite FIGURE of-promise ok|short`: the lowest share of its promise that any
figure of ours reaches. Promised are zeros at 0.95 of fio's zeros, keystream at 0.9 of them, a full
verification at 0.6 of fio's read, in less than 150 MB. The other programs overwrite the first part of each
device only, as they are slow.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event

from benchmarks import own_peak, result
from deleatur.documents.place import Pattern
from deleatur.engine.together import perform_together
from deleatur.sanitize.buffers import buffers_of
from deleatur.sanitize.device import compare_device, medium_of, overwrite_device, pieces_of
from deleatur.sanitize.patterns import Laid, laid, same

MIB = 1 << 20
GIB = 1 << 30
PATIENCE = 300  # seconds for one run of another program
PASSES = 2  # of fio and of ours in one round
PART = 4  # of the device: what the other programs overwrite
BUSY = 0.9  # of the processors: more is all that there is
GLANCE = 0.01  # seconds between two looks at another program's memory
ZEROS = laid(Pattern(kind="bytes", cycle="00"))
KEYSTREAM = laid(Pattern(kind="aes-256-ctr", key="5a" * 32))
FIO_ZEROS, FIO_READ = "fio, zeros", "fio, read"
PROMISED = {
    "ours, zeros": (FIO_ZEROS, 0.95),
    "ours, keystream": (FIO_ZEROS, 0.9),
    "ours, verification": (FIO_READ, 0.6),
}
MOST_MEMORY = 150_000_000  # bytes
NWIPE = "nwipe --autonuke --nogui --nousb --nowait --noblank --rounds=1 --verify=off --method={}"
# Program lines of one device, or of all for a program that takes several.
PEERS = {
    "nwipe, zeros": NWIPE.format("zero"),
    "nwipe, random": NWIPE.format("prng"),
    "shred, zeros": "shred -n 0 -z",
    "shred, random": "shred -n 1",
    "scrub, zeros": "scrub -f -S -p fillzero",
    "scrub, random": "scrub -f -S -p random",
}
SEVERAL = ("nwipe",)


@dataclass(frozen=True)
class Run:
    """What one way took for all devices together."""

    rate: float  # bytes a second
    spent: float  # seconds of processor time for each GiB, the program's own
    peak: int  # bytes of memory
    busy: float  # of all processors, by everybody


@dataclass(frozen=True)
class Lent:
    """A loop device, and another one over its first part."""

    path: str
    part: str
    size: int  # bytes


Way = Callable[[Sequence[Lent]], Run]


@contextmanager
def device(folder: Path, size: int) -> Iterator[Lent]:
    """Yield a loop device over a new file whose blocks are all written."""
    with tempfile.NamedTemporaryFile(dir=folder) as file, ExitStack() as attached:
        for _ in range(size // MIB):
            file.write(bytes(MIB))
        file.flush()
        os.fsync(file.fileno())
        whole, part = (attached.enter_context(loop(file.name, limit)) for limit in (size, size // PART))
        yield Lent(whole, part, size)


@contextmanager
def loop(file: str, size: int) -> Iterator[str]:
    """Yield a loop device over the first `size` bytes of a file."""
    command = ["losetup", "--find", "--show", "--direct-io=on", f"--sizelimit={size}", file]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=PATIENCE)
    path = done.stdout.strip()
    try:
        yield path
    finally:
        subprocess.run(["losetup", "--detach", path], check=True, timeout=PATIENCE)


def write(pattern: Laid, path: str) -> None:
    """Overwrite the device."""
    fd = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_EXCL)
    try:
        for _ in overwrite_device(medium_of(fd), pattern, "device"):
            continue
    finally:
        os.close(fd)


def read_back(pattern: Laid, path: str) -> None:
    """Compare the whole device, which holds the pattern."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        medium = medium_of(fd)
        for found in compare_device(medium, pattern, "device", pieces_of(medium.size)):
            if found.differ or found.unread:
                raise SystemExit(f"{path} does not hold what was written at {found.offset}")
    finally:
        os.close(fd)


def ours(work: Callable[[str], None], devices: Sequence[Lent]) -> Run:
    """Do it to all devices at the same time, as a job does."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    idle, spent, begin = _idle(), time.process_time(), time.perf_counter()
    for _ in range(PASSES):
        perform_together([partial(work, each.path) for each in devices], Event())
    seconds, spent = time.perf_counter() - begin, time.process_time() - spent
    moved = PASSES * sum(each.size for each in devices)
    return Run(moved / seconds, spent / (moved / GIB), own_peak(), _busy(idle, seconds))


def fio(kind: str, devices: Sequence[Lent]) -> Run:
    """Write zeros, or read, with a thread for each device."""
    command = ["fio", "--thread", f"--rw={kind}", "--direct=1", "--bs=1M", "--iodepth=8", "--ioengine=libaio"]
    command += ["--zero_buffers", "--end_fsync=1", f"--loops={PASSES}", "--output-format=json"]
    for number, each in enumerate(devices):
        command += [f"--name=device-{number}", f"--filename={each.path}"]
    run, printed = started([command], PASSES * sum(each.size for each in devices))
    told = [job[kind] for job in json.loads(printed[printed.index("{") :])["jobs"]]
    seconds = max(job["runtime"] for job in told) / 1000
    return replace(run, rate=sum(job["io_bytes"] for job in told) / seconds)


def peer(line: str, devices: Sequence[Lent]) -> Run:
    """Let another program overwrite the first part of all devices at the same time, once."""
    if not devices:  # a program that is given no device may look for some itself
        raise SystemExit("no device to overwrite")
    program, parts = line.split(), [each.part for each in devices]
    lines = [[*program, *parts]] if program[0] in SEVERAL else [[*program, part] for part in parts]
    return started(lines, sum(each.size // PART for each in devices))[0]


def started(commands: Sequence[Sequence[str]], moved: int) -> tuple[Run, str]:
    """Run the commands at the same time, to their ends; return what they took, and what was printed."""
    peaks, spent, ends = dict[int, int](), 0.0, time.monotonic() + PATIENCE
    with tempfile.TemporaryFile() as printed:
        idle, begin = _idle(), time.perf_counter()
        running = {
            child.pid: child
            for child in (subprocess.Popen(c, stdout=printed, stderr=printed) for c in commands)
        }
        while running:
            for pid in list(running):
                peaks[pid] = max(peaks.get(pid, 0), own_peak(pid))
                done, status, usage = os.wait4(pid, os.WNOHANG)
                if done:
                    running.pop(pid).returncode = os.waitstatus_to_exitcode(status)
                    spent += usage.ru_utime + usage.ru_stime
                    if status:
                        raise SystemExit(f"{commands[0][0]} failed")
            if time.monotonic() > ends:
                raise SystemExit(f"{commands[0][0]} did not end in {PATIENCE} seconds")
            time.sleep(GLANCE)
        seconds = time.perf_counter() - begin
        printed.seek(0)
        shown = printed.read().decode(errors="replace")
    return Run(moved / seconds, spent / (moved / GIB), sum(peaks.values()), _busy(idle, seconds)), shown


def _idle() -> float:
    """Return the seconds for which processors had nothing to do, of all of them together."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def _busy(idle: float, seconds: float) -> float:
    return max(0.0, 1 - (_idle() - idle) / seconds / (os.cpu_count() or 1))


def measure(ways: dict[str, Way], devices: Sequence[Lent], rounds: int, rare: int) -> dict[str, list[Run]]:
    """Run every way in each round, in turn; those of PEERS in the first `rare` rounds only."""
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            if name not in PEERS:
                run = way(devices)
                runs[name] += [run] if number else []  # the first round warms up
            elif 0 < number <= rare:
                runs[name].append(way(devices))
    return runs


def show(runs: dict[str, list[Run]]) -> list[float]:
    """Print one table; return the share of its promise that each figure of ours reached."""
    reached = []
    print(f"  {'':<20} {'MB/s':>6} {'of fio':>6} {'CPU s/GiB':>9} {'peak MB':>7}")
    for name, each in runs.items():
        if not each:
            continue
        base, promised = PROMISED.get(name, (FIO_READ if name == FIO_READ else FIO_ZEROS, 0.0))
        share = statistics.median(run.rate / limit.rate for run, limit in zip(each, runs[base], strict=False))
        if promised:
            reached.append(share / promised)
        rate, spent = (statistics.median(getattr(run, field) for run in each) for field in ("rate", "spent"))
        peak = max(run.peak for run in each)
        print(f"  {name:<20} {rate / 1e6:>6.0f} {share:>6.2f} {spent:>9.2f} {peak / 1e6:>7.0f}", flush=True)
    return reached


def limit_of(name: str, runs: dict[str, list[Run]]) -> str:
    """Say what keeps a way from being faster, and what the processors allow beside what fio needs of them.

    That is the rate at which all of them do what all did for fio, and make and compare the keystream too.
    """
    cores, base = os.cpu_count() or 1, PROMISED[name][0]
    making, comparing = seconds_each()
    own = making + (comparing if base == FIO_READ else 0)
    spent, floor = (statistics.median(r.busy * cores * GIB / r.rate for r in runs[n]) for n in (name, base))
    busy, rate = (statistics.median(getattr(r, field) for r in runs[name]) for field in ("busy", "rate"))
    allowed = min(1.0, cores / (floor + own) * GIB / statistics.median(r.rate for r in runs[base]))
    limit = "the processors" if busy > BUSY else "the device and the way to it"
    return (
        f"  {name}: limited by {limit}, {cores} processors {busy:.0%} busy, {spent:.2f} s each GiB; {base}"
        f" {floor:.2f}\n    and keystream {own:.2f}; the processors allow {allowed:.2f} of fio at most,"
        f" {cores / (floor + own) * GIB / 1e6:.0f} MB/s; reached {rate / 1e6:.0f}"
    )


def seconds_each() -> tuple[float, float]:
    """Return the processor seconds that a GiB of keystream takes, and a GiB compared, in memory."""
    one, other = buffers_of(2, MIB)
    KEYSTREAM.lay("device", 0, other)
    begin = time.thread_time()
    for _ in range(GIB // MIB):
        KEYSTREAM.lay("device", 0, one)
    middle = time.thread_time()
    for _ in range(GIB // MIB):
        same(one, other)
    return middle - begin, time.thread_time() - middle


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller devices, fewer rounds; peers once")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="for the devices over files")
    wanted = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("fio"):
        sys.exit("overwrite: needs root, for loop devices, and fio, which is the limit")
    size, rounds = (192 * MIB, 3) if wanted.quick else (512 * MIB, 5)
    ways: dict[str, Way] = {
        FIO_ZEROS: partial(fio, "write"),
        "ours, zeros": partial(ours, partial(write, ZEROS)),
        "ours, keystream": partial(ours, partial(write, KEYSTREAM)),
        "ours, verification": partial(ours, partial(read_back, KEYSTREAM)),
        FIO_READ: partial(fio, "read"),
    }
    missing = {line.split()[0] for line in PEERS.values() if not shutil.which(line.split()[0])}
    ways |= {name: partial(peer, line) for name, line in PEERS.items() if line.split()[0] not in missing}
    if missing:
        print(f"not installed, so not measured: {', '.join(sorted(missing))}")
    print(f"devices of {size // MIB} MiB, median of {rounds}; load of the machine {os.getloadavg()[0]:.1f}")
    reached, memory = [], 0
    for place, folder in (("memory", Path("/dev/shm")), ("file", wanted.folder)):
        for count in (1, 4):
            rare = rounds if not wanted.quick else int(count == 1 and place == "memory")
            with ExitStack() as stack:
                devices = [stack.enter_context(device(folder, size)) for _ in range(count)]
                runs = measure(ways, devices, rounds, rare)
            print(f"{place}, {count} at once")
            reached += show(runs)
            for name in ("ours, keystream", "ours, verification"):
                print(limit_of(name, runs))
            memory = max(memory, *(run.peak for name in PROMISED for run in runs[name]))
    figure = min(reached)
    return result("overwrite", f"{figure:.2f}", "of-promise", good=figure >= 1 and memory < MOST_MEMORY)


if __name__ == "__main__":
    sys.exit(main())
