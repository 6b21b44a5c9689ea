"""Measure the residue scanner beside grep and ripgrep: same run, same bytes, same needles.

A quarter each of random bytes, text, zeros and JSON-like lines, with needles planted at known places; 1,
100, 10,000 and 100,000 values, each in all the forms that a job looks for. Every way gets the same needles
(but for those with a line feed, which a file of patterns cannot hold) and must count the same. Building is
inside each way's time. Prints one line for each way, with its ratios to grep and ripgrep in processor time
and by the clock (both engines together search in two threads, every other way in one), and
`RESULT scan FIGURE of-grep ok|short`: the rate of our quicker engine as a ratio to grep's, in processor time,
the lowest from 100 values on. Short means: that ratio is below 1, or ripgrep was quicker, or a count is
wrong, or we needed 512 MiB or more.
"""

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import result
from deleatur.documents.place import Surface
from deleatur.sanitize.engines import AhoCorasick, Engine, Hyperscan, engines_for
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner

MIB = 1 << 20
LIMIT = 512  # MiB of memory, for any number of needles
ENVIRONMENT = {**os.environ, "LC_ALL": "C"}  # grep compares bytes
COUNTS = (1, 100, 10_000, 100_000)
PLANTED = 500


def names(count: int, chance: random.Random) -> list[bytes]:
    """Make `count` different values such as stand in a customer table."""
    first = ["Anna", "Berta", "Carl", "Dora", "Emil", "Frida", "Gustav", "Hanna"]
    return [
        f"{chance.choice(first)}.{n:06d}@{chance.randrange(10**6):06d}.example".encode() for n in range(count)
    ]


def corpus(size: int, chance: random.Random) -> bytearray:
    """Return `size` bytes of four kinds that do not hold any needle."""
    part = size // 4
    text = b"".join(b"%d;Street of the %d linden trees;Berlin\n" % (n, n % 97) for n in range(30_000))
    lines = b"".join(b'{"id": %d, "city": "Berlin", "total": %d.90}\n' % (n, n % 977) for n in range(30_000))
    kinds = [
        b"".join(chance.randbytes(MIB) for _ in range(part // MIB)),
        text * (part // len(text) + 1),
        bytes(part),
        lines * (part // len(lines) + 1),
    ]
    return bytearray(b"".join(kind[:part] for kind in kinds))


class Chosen(Scanner):
    """The scanner with the engines that the benchmark chooses."""

    def __init__(self, needles: NeedleSet, build: Callable[[tuple[bytes, ...]], tuple[Engine, ...]]) -> None:
        super().__init__(needles)
        self.__dict__["engines"] = build(needles.needles)


def scanned(
    file: Path, needles: NeedleSet, build: Callable[[tuple[bytes, ...]], tuple[Engine, ...]]
) -> tuple[int, float, float]:
    """Count with these engines; return with it the processor time of building."""
    before = time.process_time()
    scanner = Chosen(needles, build)
    built = time.process_time() - before
    surface = Surface(name="corpus", reach="scannable", paths=(str(file),))
    return scanner.scan_surface(surface, lambda _: None).scan.hits, built, 0.0


def counted(command: list[str], needles: NeedleSet, file: Path) -> tuple[int, float, float]:
    """Count with a program that reads its patterns from a file and prints a line for each match.

    What it needs for no bytes at all is taken for building; returned too is how long that took by the clock,
    because it is started once more for it.
    """
    with tempfile.NamedTemporaryFile() as patterns, tempfile.TemporaryFile() as found:
        patterns.write(b"\n".join(needles.needles) + b"\n")
        patterns.flush()
        before, begin, times = spent(), time.perf_counter(), []
        for searched in ("/dev/null", str(file)):
            words = [*command, "-f", patterns.name, searched]
            done = subprocess.run(words, check=False, env=ENVIRONMENT, stdout=found)
            if done.returncode > 1:  # 1: nothing was found
                raise SystemExit(f"{command[0]} ended with {done.returncode}")
            times.append((spent() - before, time.perf_counter() - begin))
        found.seek(0)
        return sum(1 for _ in found), *times[0]


Way = Callable[[Path, NeedleSet], tuple[int, float, float]]
ENGINES: dict[str, Way] = {
    "aho-corasick": lambda file, needles: scanned(file, needles, lambda n: (AhoCorasick(n),)),
    "hyperscan": lambda file, needles: scanned(file, needles, lambda n: (Hyperscan(n),)),
}
PEERS: dict[str, Way] = {
    "grep -aoF -f": lambda file, needles: counted(["grep", "-aoF"], needles, file),
    "ripgrep -aoF -f": lambda file, needles: counted(["rg", "-aoF", "-j1", "-I", "-N"], needles, file),
}
WAYS: dict[str, Way] = {
    "both, as a job does": lambda file, needles: scanned(file, needles, engines_for),
    **ENGINES,
    **PEERS,
}


def measured(way: str, file: Path, needles: NeedleSet, answers: "Connection[list[float], None]") -> None:
    """Measure one way in a process of its own: found, wall, processor and building seconds, memory in MiB."""
    start, before = time.perf_counter(), spent()
    count, built, aside = WAYS[way](file, needles)
    wall, processor = time.perf_counter() - start - aside, spent() - before
    if way in PEERS:  # it was started twice
        processor -= built
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    else:
        peak = own_peak()
    answers.send([count, wall, processor, built, peak])


def spent() -> float:
    """Return the processor time of this process and its children so far, in seconds."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


def own_peak() -> float:
    """Return the largest memory of this process, in MiB; getrusage would show its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def needles_of(values: list[bytes]) -> NeedleSet:
    """Make the needles of a job, without those that a file of patterns cannot hold."""
    found = NeedleSet.of(values)
    fit = [(n, o) for n, o in zip(found.needles, found.owners, strict=True) if b"\n" not in n]
    needles, owners = zip(*fit, strict=True)
    return NeedleSet(needles=needles, owners=owners, members=found.members, short=0)


def plant(content: bytearray, needles: NeedleSet, chance: random.Random) -> int:
    """Write needles into a copy of the corpus, apart from each other; return how many."""
    chosen = needles.needles[:: max(len(needles.needles) // PLANTED, 1)]
    room = len(content) // len(chosen)
    for number, needle in enumerate(chosen):
        at = number * room + chance.randrange(room - len(needle))
        content[at : at + len(needle)] = needle
    return len(chosen)


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="128 MiB and no 100,000, instead of 1 GiB")
    quick = parser.parse_args().quick
    missing = [program for program in ("grep", "rg") if shutil.which(program) is None]
    if missing:
        print(f"install {', '.join(missing)} first", file=sys.stderr)
        return 1
    size = (128 if quick else 1024) * MIB
    clean = corpus(size, random.Random(4711))
    wrong, low, high = 0, [], 0.0
    print(f"{size // MIB} MiB; CPU s with building; MB/s: searching alone, in processor time; MiB of memory")
    heads = ["values", "needles", "found", "wall s", "CPU s", "build", "MB/s", "MiB"]
    heads += ["CPU:grep", "CPU:rg", "wall:grep", "wall:rg"]
    print(f"{'way':<20}" + "".join(f"{head:>10}" for head in heads))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus"
        for count in COUNTS[:-1] if quick else COUNTS:
            needles = needles_of(names(count, random.Random(count)))
            content = bytearray(clean)
            expected = plant(content, needles, random.Random(count))
            file.write_bytes(content)
            del content
            rows = {way: run(way, file, needles) for way in WAYS}
            for way, (found, wall, processor, built, peak) in rows.items():
                ratios = [rows[peer][2] / processor for peer in PEERS]
                ratios += [rows[peer][1] / wall for peer in PEERS]
                wrong += found != expected
                high = max(high, 0.0 if way in PEERS else peak)
                rate = size / 1e6 / max(processor - built, 0.001)
                figures = f"{wall:10.2f}{processor:10.2f}{built:10.2f}{rate:10.0f}{peak:10.0f}"
                shown = "".join(f"{ratio:10.2f}" for ratio in ratios)
                print(
                    f"{way:<20}{count:>10}{len(needles.needles):>10}{found:>10.0f}{figures}{shown}",
                    flush=True,
                )
            if count >= 100:
                best = min(rows[engine][2] for engine in ENGINES)
                low.append(tuple(rows[peer][2] / best for peer in PEERS))
    figure, to_ripgrep = (min(ratios) for ratios in zip(*low, strict=True))
    print(f"{wrong} wrong counts; our memory {high:.0f} MiB at the most; lowest ratio to rg {to_ripgrep:.2f}")
    good = figure >= 1 and to_ripgrep >= 1 and not wrong and high < LIMIT
    return result("scan", f"{figure:.2f}", "of-grep", good=good)


def run(way: str, file: Path, needles: NeedleSet) -> list[float]:
    """Measure in a fresh process, so that no way pays for another's memory."""
    context = multiprocessing.get_context("spawn")
    answers, sender = context.Pipe(duplex=False)
    process = context.Process(target=measured, args=(way, file, needles, sender))
    process.start()
    sender.close()
    try:
        return answers.recv()
    except EOFError:
        raise SystemExit(f"{way}: its process ended without an answer") from None
    finally:
        process.join()


if __name__ == "__main__":
    sys.exit(main())
