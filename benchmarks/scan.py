"""Measure the residue scanner beside grep and ripgrep: same run, same bytes, same needles.

1, 100, 10,000 and 100,000 values of a table of customers, each in all the forms that a job looks for, among
rows of the very same table that stay: half of the bytes are such rows as they are, an eighth in UTF-16, in
hexadecimal digits and in base64, an eighth each random bytes, zeros and lines of JSON. Needles are planted at
known places; every way gets the same ones (but for those that a file of patterns cannot hold: with a line
feed, and, for ripgrep, not UTF-8) and must count the same. Building and trying are inside each way's time.

Prints one line for each way, with its ratios to grep and ripgrep in processor time and by the clock (both
engines together search in two threads, every other way in one; ours read the disk each time, and ahead of the
search, while the others read the cache of files), and
`RESULT scan FIGURE of-the-quicker ok|short`: how fast both engines together were, by the clock and as a ratio
to the quicker of grep and ripgrep, the lowest from 100 values on. Short means: that ratio is below 1, or a
count is wrong, or we needed 512 MB or more. The clock means something only where two processors are free.
"""

import argparse
import base64
import itertools
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

from benchmarks import own_peak, result
from deleatur.documents.place import Surface
from deleatur.sanitize.engines import AhoCorasick, Engine, Hyperscan, engines_for
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.windows import Windows

MIB = 1 << 20
LIMIT = 512_000_000  # bytes of memory, for any number of needles
LONGEST = 900  # seconds for one way
ENDING = 10  # seconds for a process to end after its answer
SYLLABLES = [first + second for first in "bdfgklmnprstvwz" for second in "aeiou"]
ENVIRONMENT = {**os.environ, "LC_ALL": "C"}  # grep compares bytes
COUNTS = (1, 100, 10_000, 100_000)
PLANTED = 500


def customer(number: int) -> list[bytes]:
    """Make the columns of one row of the table; no column of one row is one of another row."""
    code = number * 387_420_489 % 10**9  # odd and no multiple of five: another one for each number
    rest, letters = code, ""
    while len(letters) < 12:
        rest, at = divmod(rest, len(SYLLABLES))
        letters += SYLLABLES[at]
    columns = [
        f"K{code:09d}",
        f"{letters[:6].title()} {letters[6:].title()}",
        f"{letters}.{code % 1000:03d}@mail.example",
        f"+49 30 {code:09d}",
        f"DE{number % 97:02d}50010517{code:010d}",
        f"{letters.title()}straße {number % 200}, 10{number % 1000:03d} Berlin",
    ]
    return [column.encode() for column in columns]


def values_of(count: int) -> list[bytes]:
    """Return `count` values of the rows that go: every column of the rows with an even number."""
    every = (column for number in itertools.count(2, 2) for column in customer(number))
    return list(itertools.islice(every, count))


def corpus(size: int, chance: random.Random) -> bytearray:
    """Return `size` bytes that do not hold any needle, half of them rows that stay: with an odd number."""
    part = size // 8
    rows = [
        b"\t".join([b"%d" % number, *customer(number), b"2024-05-17", b"active\n"])
        for number in range(1, 2 * min(part // 128, 300_000), 2)
    ]
    forms = [
        form(row)
        for row in rows[: len(rows) // 8]
        for form in (lambda row: row.decode().encode("utf-16-le"), bytes.hex, base64.b64encode)
    ]
    other = b"\n".join(form if isinstance(form, bytes) else form.encode() for form in forms)
    lines = b"".join(b'{"id": %d, "city": "Berlin", "total": %d.90}\n' % (n, n % 977) for n in range(30_000))
    content = bytearray()
    for kind, parts in ((b"".join(rows), 4), (other, 1), (lines, 1)):
        content += (kind * (parts * part // len(kind) + 1))[: parts * part]
    for _ in range(part // MIB):
        content += chance.randbytes(MIB)
    return content + bytes(size - len(content))


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
            done = subprocess.run(words, check=False, env=ENVIRONMENT, stdout=found, timeout=LONGEST)
            if done.returncode > 1:  # 1: nothing was found
                raise SystemExit(f"{command[0]} ended with {done.returncode}")
            times.append((spent() - before, time.perf_counter() - begin))
        found.seek(0)
        return sum(1 for _ in found), *times[0]


Way = Callable[[Path, NeedleSet], tuple[int, float, float]]
ENGINES: dict[str, Way] = {
    "aho-corasick": lambda file, needles: scanned(file, needles, lambda n: (AhoCorasick(n),)),
    "windows": lambda file, needles: scanned(file, needles, lambda n: (Windows(n),)),
    "hyperscan": lambda file, needles: scanned(file, needles, lambda n: (Hyperscan(n),)),
}
HYPERSCAN_UP_TO = 10_000  # values; with 100,000 it needs five minutes for a GiB of such rows
PEERS: dict[str, Way] = {
    "grep -aoF -f": lambda file, needles: counted(["grep", "-aoF"], needles, file),
    "ripgrep -aoF -f": lambda file, needles: counted(["rg", "-aoF", "-j1", "-I", "-N"], needles, file),
}
BOTH = "both, as a job does"
WAYS: dict[str, Way] = {
    BOTH: lambda file, needles: scanned(file, needles, engines_for),
    **ENGINES,
    **PEERS,
}


def measured(way: str, file: Path, needles: NeedleSet, answers: "Connection[list[float], None]") -> None:
    """Measure one way in a process of its own: found; wall, processor, building seconds; bytes of memory."""
    start, before = time.perf_counter(), spent()
    count, built, aside = WAYS[way](file, needles)
    wall, processor = time.perf_counter() - start - aside, spent() - before
    if way in PEERS:  # it was started twice
        processor -= built
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    else:
        peak = own_peak()
    answers.send([count, wall, processor, built, peak])


def spent() -> float:
    """Return the processor time of this process and its children so far, in seconds."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


def needles_of(values: list[bytes]) -> NeedleSet:
    """Make the needles of a job, without those that a file of patterns cannot hold."""
    found = NeedleSet.of(values)
    fit = [(n, o) for n, o in zip(found.needles, found.owners, strict=True) if b"\n" not in n and is_utf_8(n)]
    needles, owners = zip(*fit, strict=True)
    return NeedleSet(needles=needles, owners=owners, members=found.members, short=0)


def is_utf_8(needle: bytes) -> bool:
    """Say whether ripgrep takes it."""
    try:
        needle.decode()
    except UnicodeDecodeError:
        return False
    return True


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
    print(f"{size // MIB} MiB; CPU s with building; MB/s: searching alone, in processor time; MB of memory")
    heads = ["values", "needles", "found", "wall s", "CPU s", "build", "MB/s", "MB"]
    heads += ["CPU:grep", "CPU:rg", "wall:grep", "wall:rg"]
    print(f"{'way':<20}" + "".join(f"{head:>10}" for head in heads))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus"
        for count in COUNTS[:-1] if quick else COUNTS:
            needles = needles_of(values_of(count))
            content = bytearray(clean)
            expected = plant(content, needles, random.Random(count))
            file.write_bytes(content)
            os.sync()  # no way pays for the writing, and the first one reads it back into the cache of files
            del content
            ways = [way for way in WAYS if way != "hyperscan" or count <= HYPERSCAN_UP_TO]
            rows = {way: run(way, file, needles) for way in ways}
            for way, (found, wall, processor, built, peak) in rows.items():
                ratios = [rows[peer][2] / processor for peer in PEERS]
                ratios += [rows[peer][1] / wall for peer in PEERS]
                wrong += found != expected
                high = max(high, 0.0 if way in PEERS else peak)
                rate = size / 1e6 / max(processor - built, 0.001)
                figures = f"{wall:10.2f}{processor:10.2f}{built:10.2f}{rate:10.0f}{peak / 1e6:10.0f}"
                shown = "".join(f"{ratio:10.2f}" for ratio in ratios)
                print(
                    f"{way:<20}{count:>10}{len(needles.needles):>10}{found:>10.0f}{figures}{shown}",
                    flush=True,
                )
            if count >= 100:
                low.append(min(rows[peer][1] for peer in PEERS) / rows[BOTH][1])
    print(f"{wrong} wrong counts; our memory {high / 1e6:.0f} MB at the most")
    good = min(low) >= 1 and not wrong and high < LIMIT
    return result("scan", f"{min(low):.2f}", "of-the-quicker", good=good)


def run(way: str, file: Path, needles: NeedleSet) -> list[float]:
    """Measure in a fresh process, so that no way pays for another's memory."""
    context = multiprocessing.get_context("spawn")
    answers, sender = context.Pipe(duplex=False)
    process = context.Process(target=measured, args=(way, file, needles, sender))
    process.start()
    sender.close()
    try:
        if not answers.poll(LONGEST):
            raise SystemExit(f"{way}: not ready after {LONGEST} seconds")
        return answers.recv()
    except EOFError:
        raise SystemExit(f"{way}: its process ended without an answer") from None
    finally:
        process.join(ENDING)
        process.kill()  # where it has not ended by itself


if __name__ == "__main__":
    sys.exit(main())
