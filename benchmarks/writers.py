"""Erase rows while others write to those that stay: who waits how long, and whether an update is lost.

    python -m benchmarks.writers [--quick] [--engine NAME]

Writers add one to rows that stay, each time with a connection of their own, from before the run until after
it. Prints how often they did, the longest that one of them waited, the longest wait that the run measured
beside the one that its plan announced, and `RESULT writers FIGURE updates ok|short`: updates that are lost.
Short means more than none, a wait longer than announced, an error of a writer, or a value that is left in a
file or on the device. Needs root and the servers.
"""

import argparse
import itertools
import os
import sys
import threading
import time

import psycopg
import pymysql

from benchmarks import result
from benchmarks._engines import Engine, engines
from benchmarks._halves import customers, search
from benchmarks.residue import ours

QUICK, FULL = 500, 20_000  # customers that go; as many stay
WRITERS = 4
LETTER, TABLE = "D", "way_d"
ADD = "UPDATE {{table}} SET written = written + 1 WHERE id = {}"


class Writer(threading.Thread):
    """One program at work on rows that stay."""

    def __init__(self, engine: Engine, first: int, rows: int, ended: threading.Event) -> None:
        super().__init__()
        self.engine, self.ended = engine, ended
        self.numbers = itertools.cycle(range(2 * first, rows, 2 * WRITERS))  # even: they stay
        self.done, self.longest, self.errors = 0, 0.0, 0

    def run(self) -> None:
        while not self.ended.is_set():
            begin = time.monotonic()
            try:
                self.engine.run(TABLE, ADD.format(next(self.numbers)))
                self.done += 1
            except (psycopg.Error, pymysql.MySQLError) as error:
                self.errors += 1
                print(f"a writer met {type(error).__name__}", flush=True)
            self.longest = max(self.longest, time.monotonic() - begin)


def measure(name: str, engine: Engine, going: int) -> tuple[int, bool]:
    """Return how many updates are lost, and whether all the rest is as it should be."""
    engine.load(TABLE, customers(2 * going, LETTER))
    engine.run(TABLE, "ALTER TABLE {table} ADD written INT NOT NULL DEFAULT 0")
    engine.settle()
    ended = threading.Event()
    writers = [Writer(engine, n, 2 * going, ended) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    begin = time.monotonic()
    try:
        run = ours(engine, TABLE)
    finally:
        ended.set()
        for writer in writers:
            writer.join(300)
    seconds, done = time.monotonic() - begin, sum(writer.done for writer in writers)
    waited = max(writer.longest for writer in writers)
    counted, staying = engine.run(TABLE, "SELECT sum(written), count(*) FROM {table}")[0]
    engine.settle()
    left = search([*engine.files(), engine.image]).of(LETTER)
    lost = done - int(counted)
    waits = (f"{s:.2f} s" for s in (waited, run.measured / 1000, run.planned / 1000))
    print(
        f"{name:<15}" + "".join(f"{cell:>14}" for cell in (done, f"{seconds:.1f}", *waits, lost, left)),
        flush=True,
    )
    errors = sum(writer.errors for writer in writers)
    good = run.measured <= run.planned and waited * 1000 <= run.planned
    return lost, good and staying == going and not left and not errors


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} rows go instead of {FULL:,}")
    parser.add_argument("--engine", choices=("PostgreSQL", "MariaDB"), action="append")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("writers: loop devices need root; run as root")
    going = QUICK if asked.quick else FULL
    print(f"{going:,} customers go, {WRITERS} writers work on the {going:,} that stay")
    heads = ("updates", "seconds", "longest wait", "measured", "announced", "lost", "left")
    print(f"{'':<15}" + "".join(f"{head:>14}" for head in heads))
    lost, good = 0, True
    for name, start in engines().items():
        if name.startswith(tuple(asked.engine or ("PostgreSQL", "MariaDB"))):
            with start("ext4", 240 + going // 1000 * 30) as engine:
                missing, fine = measure(name, engine, going)
            lost, good = lost + missing, good and fine
    return result("writers", str(lost), "updates", good=good and not lost)


if __name__ == "__main__":
    sys.exit(main())
