"""Measure the residue scanner beside grep and bytes.find, in the same run, on the same bytes.

A quarter each of random bytes, text, zeros and JSON-like lines; needles planted at known places.
Prints one table for each way of searching and `RESULT scan FIGURE of-grep ok|short`: the ratio of our rate
at 10,000 needles to grep's. Short means that a count differs from the planted one, or that we are
slower than a quarter of grep.
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import result
from deleatur.documents.place import Surface
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner

MIB = 1 << 20
FLOOR = 0.25  # of grep's rate: half of the 0.48 that was measured when the engine was chosen (ADR 11)
ROUNDS = 3  # the best counts: the machine may be busy with something else
ENVIRONMENT = {**os.environ, "LC_ALL": "C"}  # grep compares bytes


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


def timed(action: Callable[[], int]) -> tuple[int, float, float]:
    """Return what an action counted, its wall time and its processor time (children's too), in seconds."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)

    def spent() -> float:
        usage = [resource.getrusage(each) for each in who]
        return sum(part.ru_utime + part.ru_stime for part in usage)

    start, before = time.perf_counter(), spent()
    count = action()
    return count, time.perf_counter() - start, spent() - before


def with_scanner(file: Path, needles: list[bytes]) -> int:
    """Count with the scanner, building it included."""
    found = NeedleSet.of(needles)
    raw = NeedleSet(  # grep gets the raw bytes only, so the scanner gets no more
        needles=tuple(needles),
        owners=tuple(frozenset({n}) for n in range(len(needles))),
        members=found.members,
        short=0,
    )
    surface = Surface(name="corpus", reach="scannable", paths=(str(file),))
    return Scanner(raw).scan_surface(surface, lambda _: None).scan.hits


def with_all_encodings(file: Path, needles: list[bytes]) -> int:
    """Count with the scanner as a job uses it: raw and both orders of UTF-16."""
    surface = Surface(name="corpus", reach="scannable", paths=(str(file),))
    return Scanner(NeedleSet.of(needles)).scan_surface(surface, lambda _: None).scan.hits


def with_grep(file: Path, needles: list[bytes]) -> int:
    """Count with `grep -aoF -f`."""
    with tempfile.NamedTemporaryFile() as patterns:
        patterns.write(b"\n".join(needles) + b"\n")
        patterns.flush()
        command = ["grep", "-aoF", "-f", patterns.name, str(file)]
        return subprocess.run(command, check=True, env=ENVIRONMENT, stdout=subprocess.PIPE).stdout.count(
            b"\n"
        )


def with_find(file: Path, needles: list[bytes]) -> int:
    """Count with bytes.find, one needle after another."""
    content, count = file.read_bytes(), 0
    for needle in needles:
        at = content.find(needle)
        while at >= 0:
            count, at = count + 1, content.find(needle, at + 1)
    return count


WAYS = {
    "deleatur": with_scanner,
    "deleatur, 3 encodings": with_all_encodings,
    "grep -aoF -f": with_grep,
    "bytes.find": with_find,
}
TOO_SLOW = 100  # needles; one pass each: beyond it bytes.find would take minutes


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="64 MiB instead of 512 MiB")
    size = 64 * MIB if parser.parse_args().quick else 512 * MIB
    chance = random.Random(4711)
    content, values = corpus(size, chance), names(10_000, chance)
    planted = list(range(0, len(values), 50))
    for n in planted:  # 200 needles; the first is among them
        at = chance.randrange(0, len(content) - 64)
        content[at : at + len(values[n])] = values[n]
    wrong, rates = 0, {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus"
        file.write_bytes(content)
        del content
        print(f"{size // MIB} MiB, {len(planted)} needles planted")
        print(f"{'way':<24}{'needles':>8}{'found':>7}{'MB/s wall':>11}{'MB/CPU-s':>10}{'ratio to grep':>15}")
        for count in (1, 100, 10_000):
            expected = sum(n < count for n in planted)
            rows = []
            for name, way in WAYS.items():
                if name == "bytes.find" and count > TOO_SLOW:
                    continue
                rounds = [
                    timed(lambda way=way, count=count: way(file, values[:count])) for _ in range(ROUNDS)
                ]
                wrong += sum(found != expected for found, _, _ in rounds)
                wall, cpu = (min(taken) for taken in list(zip(*rounds, strict=True))[1:])
                rates[name, count] = size / cpu
                rows.append((name, rounds[0][0], size / wall / 1e6, size / cpu / 1e6))
            for name, found, wall_rate, cpu_rate in rows:
                ratio = rates[name, count] / rates["grep -aoF -f", count]
                print(f"{name:<24}{count:>8}{found:>7}{wall_rate:>11.0f}{cpu_rate:>10.0f}{ratio:>15.2f}")
    figure = rates["deleatur", 10_000] / rates["grep -aoF -f", 10_000]
    print(f"{wrong} wrong counts")
    return result("scan", f"{figure:.2f}", "of-grep", good=figure >= FLOOR and not wrong)


if __name__ == "__main__":
    sys.exit(main())
