"""Measure what stays of deleted rows in each database after each way of deleting them, raw, beside ours.

    python -m benchmarks.residue [--quick] [--engine NAME] [--system ext4|xfs] [--postgresql FOLDER]

Each database stands on a loop device of its own, once with ext4 and once with XFS, with one table for
each way: one half of its customers leaves, the other stays, one by one in turns. Counted are the
customers of whom a value is still read in any file, or in the raw bytes of the device. Where our claim
is lowered because of blocks that nobody can name (PostgreSQL on XFS), the free space is filled after,
as a job does with `[[free_space]]`: a row of its own. Before and after ours the engine checks the
table; after it the rows that stay are compared, the server restarts, and all is searched, compared and
checked again. Both engines of the residue scan read the device for one value of every customer, as it
was stored, and for all values of a few in all forms; programs of other people look for the rows.
`--postgresql` names the programs of another major version, such as /usr/lib/postgresql/17/bin. Needs
root and the servers.

Prints a table with the time beside the engine's own rewrite, where ours took its time, the longest wait
of others beside the one that was announced, and `RESULT residue FIGURE customers ok|short`: customers of
whom ours leaves a value. Short means more than none, a row that changed, a table that is not sound, a
wait longer than announced, scanners that disagree, a customer whom somebody else finds, or a search that
did not see every customer before.
"""

import argparse
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import result
from benchmarks._engines import Engine, engines
from benchmarks._halves import Found, customers, search, values_of
from benchmarks._opinions import OPINIONS
from deleatur.api import Condition, Selection, filesystem_of
from deleatur.documents.place import Surface
from deleatur.sanitize.filling import SpaceFill
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.unwritten import write_reserved
from deleatur.testing.trial import steps_of

SYSTEMS = ("ext4", "xfs")
QUICK, FULL = 1_000, 100_000  # customers that go; as many stay
OURS, FILLED = "ours", "ours, free space filled"
Start = Callable[[str, int], AbstractContextManager[Engine]]
DRAWN = 50  # customers whose values both engines of the residue scan look for in all their forms


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

    @property
    def table(self) -> str:
        """The table that goes this way."""
        return f"way_{self.letter}".lower()


def plain(engine: Engine, table: str) -> None:
    """Delete."""
    engine.delete(table)


def vacuumed(engine: Engine, table: str) -> None:
    """Delete and vacuum, where the engine knows that beside its rewrite."""
    engine.delete(table)
    engine.run(table, "VACUUM {table}")


def optimized(engine: Engine, table: str) -> None:
    """Delete and optimize, where the engine has that beside its rewrite."""
    engine.delete(table)
    engine.run(table, "OPTIMIZE TABLE {table}")


def rewritten(engine: Engine, table: str) -> None:
    """Delete and let the engine write the table anew."""
    engine.delete(table)
    engine.renew(table)


@dataclass
class Run:
    """What ours told: milliseconds that others waited, those announced, limits, seconds of each stage."""

    measured: int
    planned: int
    limits: tuple[str, ...]
    stages: dict[str, float]


def ours(engine: Engine, table: str) -> Run:
    """Do the technique's step."""
    leaving = (Condition(column="leaves", operator="=", value=engine.leaving),)
    chosen = Selection(table=engine.named.format(table=table), where=leaving)
    target = msgspec.structs.replace(engine.target(table), select=(chosen,), technique=engine.technique)
    (step,) = steps_of(engine.technique, "t")
    secret = {"digest-key": secrets.token_bytes(32)}
    with closing(engine.backend.open(target, secret)) as backend:
        begin = time.monotonic()
        look = backend.inspect()
        if look.blockers or not look.offers:
            sys.exit(f"residue: refused: {look.blockers or look.denials}")
        stages, measured = {"inspect": time.monotonic() - begin}, 0
        begin = time.monotonic()
        for cursor in backend.erase(step, None):
            stages[cursor.position.split()[0]] = time.monotonic() - begin
            begin, measured = time.monotonic(), max(measured, cursor.outage)
    return Run(measured, look.offers[0].outage, look.offers[0].limits, stages)


def fill(folder: Path) -> None:
    """Overwrite the free space of the file system under a folder, as a job does with [[free_space]]."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    device = os.open(filesystem_of(folder).source, os.O_RDONLY | os.O_DIRECT)
    try:
        for _ in write_reserved(fd):
            continue
        with SpaceFill(fd, device, Keystream(secrets.token_hex(32)), "fill", margin=0) as space:
            for _ in space.overwrite():
                continue
            for look in space.read_back(range):
                if look.differing:
                    sys.exit("residue: the device does not hold what the fill wrote")
            space.give_back()
    finally:
        os.close(device)
        os.close(fd)


class Bench:
    """Everything of one run."""

    def __init__(self, going: int) -> None:
        self.going = going
        self.wrong: list[str] = []
        self.left = 0
        self.where = ""

    def measure(self, name: str, kind: str, start: Start) -> None:
        """Go one way after the other, ours last."""
        size = (352 if kind == "xfs" else 176) + self.going // 1000 * 30
        with start(kind, size) as engine:
            self.where = f"{name}, {kind}"
            print(f"{name}, {kind}: version {engine.version}, a device of {size} MiB", flush=True)
            ways: dict[str, Callable[[Engine, str], None]] = {"DELETE": plain}
            if name.startswith("PostgreSQL"):
                ways["DELETE, VACUUM"] = vacuumed
            if name == "MariaDB":
                ways["DELETE, OPTIMIZE TABLE"] = optimized
            ways[f"DELETE, {engine.rewrite[0]}"] = rewritten
            lines = [Line(way, letter) for way, letter in zip([*ways, OURS], "ABCD", strict=False)]
            self._load(engine, lines[:-1])
            for line in lines[:-1]:
                begin = time.monotonic()
                ways[line.way](engine, line.table)
                line.seconds = time.monotonic() - begin
                if engine.together:  # the next way changes the files of this one too
                    self._look(engine, [line])
            if not engine.together:
                self._look(engine, lines[:-1])
            self._load(engine, lines[-1:])  # only now: no block that the others gave back holds its rows
            own, anew = lines[-1], lines[-2]
            lines += self._ours(engine, own)
            for line in lines:
                cells = f"{line.files:>9}{line.device:>9}{line.seconds:>9.1f}"
                print(f"  {line.way:<28}{cells}  {line.note}", flush=True)
                self.expect(line.before == self.going, f"{line.way}: {line.before} seen before")
            ratio = own.seconds / anew.seconds
            print(f"  ours took {ratio:.1f} times as long as {anew.way}", flush=True)
            self._second(engine, own.table, own.letter)

    def _load(self, engine: Engine, lines: list[Line]) -> None:
        for line in lines:
            engine.load(line.table, customers(2 * self.going, line.letter))
        self._look(engine, lines, "before")

    def _ours(self, engine: Engine, line: Line) -> list[Line]:
        kept = engine.kept(line.table)
        sound = engine.sound(line.table)
        self.expect(sound is not False, "the table is not sound before")
        begin = time.monotonic()
        run = ours(engine, line.table)
        line.seconds = time.monotonic() - begin
        line.note = f"others waited {run.measured / 1000:.2f} s, announced {run.planned / 1000:.1f} s"
        self._look(engine, [line])
        self.expect(run.measured <= run.planned, f"others waited {run.measured} of {run.planned} ms")
        filled = self._filled(engine, line) if "freed-blocks" in run.limits else []
        last = [line, *filled][-1]
        self.left += last.files + last.device
        for when in ("", " after a restart"):
            if when:
                engine.restart()
                self._look_again(engine, last)
            self.expect(engine.kept(line.table) == kept, f"rows that stay changed{when}")
            self.expect(engine.sound(line.table) == sound, f"the table is not sound{when}")
        took = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in run.stages.items())
        line.note += f"; seconds: {took}"
        if sound is None:
            line.note += "; the engine here has no check of a table, so none was made"
        return filled

    def _look_again(self, engine: Engine, last: Line) -> None:
        """Search once more: what a server writes when it ends and begins may be what it still knew."""
        again = Line(last.way, last.letter)
        self._look(engine, [again])
        print(f"  after a restart: files {again.files}, device {again.device}", flush=True)
        same = (again.files, again.device) == (last.files, last.device)
        self.expect(same, f"{again.files} and {again.device} seen after a restart")

    def _filled(self, engine: Engine, line: Line) -> list[Line]:
        begin = time.monotonic()
        fill(engine.folder)
        filled = Line(FILLED, line.letter, time.monotonic() - begin, line.before, note="the fill alone")
        self._look(engine, [filled])
        return [filled]

    def _second(self, engine: Engine, table: str, letter: str) -> None:
        """Let others look, and both engines of the scan; what was only deleted is the control."""
        engine.settle()
        found = {name: look(engine.image) for name, look in OPINIONS.items() if shutil.which(name)}
        brought = Found()
        if name := engine.carved("way_a", brought):
            engine.carved(table, brought)
            found[name] = brought
        for name, seen in found.items():
            self._tell(name, seen.of("A"), seen.of(letter))
        self._both(engine, letter)

    def _both(self, engine: Engine, letter: str) -> None:
        """Let both engines of the scan read the device: for all names, and for every value of some."""
        drawn = range(1, 2 * self.going, 2 * max(1, self.going // DRAWN))
        some = ([v for n in drawn for v in values_of(one, n)] for one in ("A", letter))
        names = ([values_of(one, n)[0] for n in range(1, 2 * self.going, 2)] for one in ("A", letter))
        for what, (deleted, erased), form in (
            ("values in all forms", some, NeedleSet.of),
            ("names as they were stored", names, _as_stored),
        ):
            begin = time.process_time()
            surface = Surface(name="device", reach="scannable", paths=(str(engine.image),))
            finding = Scanner(form([*deleted, *erased])).scan_surface(surface, lambda _: None)
            self.expect(len(finding.scan.scanners) == 2, "the residue scan ran with one engine")
            self.expect(not finding.scan.disputed, f"the engines dispute {finding.scan.disputed} hits")
            control = sum(number < len(deleted) for number in finding.seen)
            took = f"{time.process_time() - begin:.1f} s of processor time"
            self._tell(f"both engines, of {len(erased)} {what}, {took}", control, len(finding.seen) - control)

    def _tell(self, name: str, control: int, after: int) -> None:
        """Print what somebody else finds."""
        said = f"{control} after DELETE, {after} after ours" if control else "blind here"
        print(f"  found by {name}: {said}", flush=True)
        self.expect(not after, f"{name} finds {after} after ours")

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
            self.wrong.append(f"{self.where}: {otherwise}")


def _as_stored(values: list[bytes]) -> NeedleSet:
    """Return a set in which each value stands in the one form in which the server stored it."""
    ordered = sorted(range(len(values)), key=values.__getitem__)
    return NeedleSet(
        needles=tuple(values[n] for n in ordered),
        owners=tuple(frozenset({n}) for n in ordered),
        members=frozenset(ordered),
        short=0,
    )


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} rows instead of {FULL:,}; ext4")
    parser.add_argument("--engine", action="append", help="such as PostgreSQL, or one major of it")
    parser.add_argument("--system", choices=SYSTEMS, action="append")
    parser.add_argument("--postgresql", type=Path, action="append", default=[], metavar="FOLDER")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("residue: loop devices need root; run as root")
    bench = Bench(QUICK if asked.quick else FULL)
    load = ", ".join(f"{n:.1f}" for n in os.getloadavg())
    print(f"{bench.going:,} customers go from each table, {bench.going:,} stay; load of the machine {load}")
    print("customers still seen:")
    print(f"  {'after':<28}{'files':>9}{'device':>9}{'seconds':>9}")
    for name, start in engines(asked.postgresql).items():
        if not asked.engine or any(name.startswith(wanted) for wanted in asked.engine):
            for kind in asked.system or (SYSTEMS[:1] if asked.quick else SYSTEMS):
                bench.measure(name, kind, start)
    for wrong in bench.wrong:
        print(f"does not hold: {wrong}")
    return result("residue", str(bench.left), "customers", good=not bench.left and not bench.wrong)


if __name__ == "__main__":
    sys.exit(main())
