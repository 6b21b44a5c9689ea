"""Measure how long `deleatur --help` takes, beside an empty Python in the same run.

Prints one row a command and `RESULT startup FIGURE ms ok|short`; short means over the promised 200 ms
and makes the exit code 1. Commands take turns, so that a busy moment hits both.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import result

PROMISE = 200  # ms, from the issue that founded the project: start-up below 200 ms
AGENT = Path(sys.executable).with_name("deleatur")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "deleatur --help": [str(AGENT), "--help"],
    "deleatur --version": [str(AGENT), "--version"],
}


def once(command: list[str]) -> float:
    """Run a command and return its wall time in milliseconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
    return (time.perf_counter() - start) * 1000


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="11 runs of each instead of 41")
    runs = 11 if parser.parse_args().quick else 41
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for command in COMMANDS.values():
        once(command)  # byte code and file cache
    for _ in range(runs):
        for name, command in COMMANDS.items():
            times[name].append(once(command))
    empty = statistics.median(times["python -c pass"])
    print(f"{'command':<20} {'median ms':>9} {'fastest':>8} {'slowest':>8} {'ratio':>6}   ({runs} runs each)")
    for name, taken in times.items():
        median = statistics.median(taken)
        print(f"{name:<20} {median:>9.0f} {min(taken):>8.0f} {max(taken):>8.0f} {median / empty:>6.1f}")
    figure = statistics.median(times["deleatur --help"])
    return result("startup", f"{figure:.0f}", "ms", good=figure < PROMISE)


if __name__ == "__main__":
    sys.exit(main())
