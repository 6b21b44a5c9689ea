"""Measure what stays of deleted rows in each database after each way of deleting them, raw, beside ours.

    python -m benchmarks.residue [--quick] [--engine NAME] [--system ext4|xfs]

Each database stands on a loop device of its own, once with ext4 and once with XFS, with one table for
each way: one half of its customers leaves, the other stays, one by one in turns. Counted are the
customers of whom a value is still read in any file, or in the raw bytes of the device. After ours the
rows that stay are compared, the engine checks the table, restarts, and both are done again. Needs root
and the servers. Prints a table with the time beside the engine's own rewrite, the longest wait of
others beside the one that was announced, and `RESULT residue FIGURE customers ok|short`: customers of
whom ours leaves a value. Short means more than none, a row that changed, a table that is not sound, a
wait longer than announced, or a search that did not see every customer before.
"""

import argparse
import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import msgspec

from benchmarks import result
from benchmarks._engines import ENGINES, Engine
from benchmarks._halves import customers, search
from deleatur.api import Condition, Selection
from deleatur.testing.trial import steps_of

SYSTEMS = ("ext4", "xfs")
QUICK, FULL = 1_000, 100_000  # customers that go; as many stay
OURS = "ours"


@dataclass
class Line:
    """One way of deleting on one engine and file system."""

    way: str
    letter: str
    seconds: float = 0.0
    before: int = 0
    files: int = 0
    device: int = 0
    note: str = ""


def plain(engine: Engine, table: str) -> None:
    """Delete."""
    engine.delete(table)


def vacuumed(engine: Engine, table: str) -> None:
    """Delete and vacuum, where the engine knows that beside its rewrite."""
    engine.delete(table)
    engine.run(table, "VACUUM {table}")


def rewritten(engine: Engine, table: str) -> None:
    """Delete and let the engine write the table anew."""
    engine.delete(table)
    engine.run(table, engine.rewrite[1])


def ours(engine: Engine, table: str) -> tuple[int, int]:
    """Do the technique's step; return the longest wait of others and the announced one, in milliseconds."""
    leaving = (Condition(column="leaves", operator="=", value=1),)
    target = msgspec.structs.replace(
        engine.target(table), select=(Selection(table=table, where=leaving),), technique=engine.technique
    )
    (step,) = steps_of(engine.technique, "t")
    secret = {"digest-key": secrets.token_bytes(32)}
    with closing(engine.backend.open(target, secret)) as backend:
        look = backend.inspect()
        if look.blockers or not look.offers:
            sys.exit(f"residue: refused: {look.blockers or look.denials}")
        measured = max(cursor.outage for cursor in backend.erase(step, None))
    return measured, look.offers[0].outage


class Bench:
    """Everything of one run."""

    def __init__(self, going: int) -> None:
        self.going = going
        self.wrong: list[str] = []
        self.left = 0

    def measure(self, name: str, kind: str) -> None:
        """Load all tables, then go one way after the other, ours last."""
        size = (352 if kind == "xfs" else 176) + self.going // 1000 * 30
        with ENGINES[name](kind, size) as engine:
            ways: dict[str, Callable[[Engine, str], None]] = {"DELETE": plain}
            if name == "PostgreSQL":
                ways["DELETE, VACUUM"] = vacuumed
            ways[f"DELETE, {engine.rewrite[0]}"] = rewritten
            lines = [Line(way, letter) for way, letter in zip([*ways, OURS], "ABCD", strict=False)]
            for line in lines:
                engine.load(f"way_{line.letter}".lower(), customers(2 * self.going, line.letter))
            self._look(engine, lines, "before")
            for line in lines[:-1]:
                begin = time.monotonic()
                ways[line.way](engine, f"way_{line.letter}".lower())
                line.seconds = time.monotonic() - begin
            self._look(engine, lines[:-1])
            self._ours(engine, lines[-1], f"{name}, {kind}")
        for line in lines:
            if line.before != self.going:
                self.wrong.append(f"{name}, {kind}, {line.way}: {line.before} customers were seen before")
            print(
                f"{name:<11}{kind:<5} {line.way:<22}{line.files:>9}{line.device:>9}{line.seconds:>9.1f}  "
                f"{line.note}",
                flush=True,
            )
        ratio = lines[-1].seconds / lines[-2].seconds
        print(f"{name:<11}{kind:<5} ours took {ratio:.1f} times as long as {lines[-2].way}", flush=True)

    def _ours(self, engine: Engine, line: Line, where: str) -> None:
        table = f"way_{line.letter}".lower()
        kept = engine.kept(table)
        begin = time.monotonic()
        measured, planned = ours(engine, table)
        line.seconds = time.monotonic() - begin
        self._look(engine, [line])
        self.left += line.files + line.device
        self.expect(measured <= planned, f"{where}: others waited {measured} ms, announced were {planned} ms")
        self.expect(engine.kept(table) == kept, f"{where}: rows that stay changed")
        self.expect(engine.sound(table), f"{where}: the table is not sound")
        engine.restart()
        self.expect(engine.kept(table) == kept, f"{where}: rows that stay changed with a restart")
        self.expect(engine.sound(table), f"{where}: the table is not sound after a restart")
        line.note = f"others waited {measured / 1000:.2f} s, announced {planned / 1000:.1f} s"

    def _look(self, engine: Engine, lines: list[Line], moment: str = "after") -> None:
        engine.settle()
        files, device = search(engine.files()), search([engine.image])
        for line in lines:
            if moment == "before":
                line.before = min(files.of(line.letter), device.of(line.letter))
            else:
                line.files, line.device = files.of(line.letter), device.of(line.letter)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.wrong.append(otherwise)


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} rows go instead of {FULL:,}")
    parser.add_argument("--engine", choices=ENGINES, action="append")
    parser.add_argument("--system", choices=SYSTEMS, action="append")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("residue: loop devices need root; run as root")
    bench = Bench(QUICK if asked.quick else FULL)
    print(f"{bench.going:,} customers go from each table, {bench.going:,} stay; customers still seen")
    print(f"{'':<17}{'after':<22}{'files':>9}{'device':>9}{'seconds':>9}")
    for name in asked.engine or ENGINES:
        for kind in asked.system or SYSTEMS:
            bench.measure(name, kind)
    for wrong in bench.wrong:
        print(f"does not hold: {wrong}")
    return result("residue", str(bench.left), "customers", good=not bench.left and not bench.wrong)


if __name__ == "__main__":
    sys.exit(main())
