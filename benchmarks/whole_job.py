"""Measure a whole job, from the plan to the certificate, beside the engine's own rewrite.

    python -m benchmarks.whole_job [--quick] [--engine NAME]

Each database stands on a loop device of its own with ext4, with two tables: of each one half of the
customers leaves, the other stays, in turns. The first table goes by DELETE and the engine's own rewrite;
the second one by a job as an operator runs it, with two approvals, its device searched too. Where its time
goes is told by the entries of the journal and by the progress of the run. Needs root and the servers.

Prints, for each engine, seconds of the rewrite and of each phase, and `RESULT whole_job FIGURE
times-the-rewrite ok|short`: the highest ratio of a whole job to the rewrite. Short means: a certificate that
is not CLEAN, a customer of whom a value is left in a file or on the device, or a row that stays and changed.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from benchmarks import result
from benchmarks._engines import Engine, engines
from benchmarks._halves import customers, search
from deleatur.api import hookimpl
from deleatur.documents.journal import Entry
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import run_job
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

QUICK, FULL = 1_000, 100_000  # customers that go; as many stay
REWRITE, JOB = "A", "B"  # the tables, and the letters of their customers' values
# What a run tells while it does something, and which entry ends what it does, by what a reader looks for.
PHASES = {
    "preflighted": "inspect",
    "sample": "control",
    "controlled": "control",
    "erasing": "erase",
    "advanced": "erase",
    "erased": "erase",
    "compare": "read back",
    "compared": "read back",
    "verify": "read back",
    "scan": "scan",
    "verified": "scan",
}
ORDER = ("plan", "inspect", "control", "erase", "read back", "scan", "other")


class Watch:
    """Adds the time since it was last told of anything to the phase of which it is told."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._last = time.monotonic()
        self._controlled = False

    def took(self, told: str) -> None:
        """Note that the time until now went by in this phase."""
        now = time.monotonic()
        phase = PHASES.get(told, told if told == "plan" else "other")
        if phase == "scan" and not self._controlled:
            phase = "control"  # the search before
        self._controlled |= told == "controlled"
        self.seconds[phase] += now - self._last
        self._last = now

    @hookimpl
    def on_event(self, entry: Entry) -> None:
        """Be told of an entry of the journal."""
        self.took(str(type(entry.event).__struct_config__.tag))

    def progress(self, phase: str, _target: str, _done: int, _total: int) -> None:
        """Be told how far a run is."""
        self.took(phase)


def job_text(engine: Engine) -> str:
    """Write the job: everybody who leaves."""
    value = f'"{engine.leaving}"' if isinstance(engine.leaving, str) else engine.leaving
    return f"""
schema = "deleatur/job/v1"
name = "leavers"
reason = "contract-end"
authority = "board decision 7 of 2026"
requested_by = "legal"

[verification]
device = true

[[target]]
id = "people"
url = "{engine.target(table(JOB)).url}"
technique = "{engine.technique}"

[[target.select]]
table = "{engine.named.format(table=table(JOB))}"
where = [{{ column = "leaves", operator = "=", value = {value} }}]
"""


def table(letter: str) -> str:
    """Name the table that goes this way."""
    return f"way_{letter}".lower()


def whole(engine: Engine, folder: Path) -> tuple[dict[str, float], str]:
    """Plan, approve, run and verify; return the seconds of each phase, and the verdict."""
    bench = Workbench(folder)
    directory = bench.job(job_text(engine))
    watch = Watch()
    bench.hooks.register(watch, "watch")
    bench.plan(directory)
    bench.approve(directory)
    watch.took("plan")
    run(bench, directory, watch)
    watch.took("certified")
    verified = verify(directory.certificate, [bench.agent.public], 1, None).certificate
    if bench.hooks.failures:
        sys.exit(f"whole_job: the watch failed: {bench.hooks.failures}")
    return watch.seconds, verified.verification[0].verdict


def run(bench: Workbench, directory: JobDirectory, watch: Watch) -> None:
    """Run as `Workbench.run` does, and be told of the progress."""
    run_job(
        directory,
        registry=bench.registry,
        hooks=bench.hooks,
        keys=[bench.agent],
        approvers=[key.public for key in bench.approvers],
        clock=bench.clock,
        progress=watch.progress,
        holds=bench.holds,
    )


def measure(name: str, engine: Engine, going: int) -> tuple[float, list[str]]:
    """Print one engine; return the ratio to its rewrite, and what does not hold."""
    engine.load(table(REWRITE), customers(2 * going, REWRITE))
    engine.settle()
    begin = time.monotonic()
    engine.delete(table(REWRITE))
    engine.renew(table(REWRITE))
    rewrite = time.monotonic() - begin
    engine.load(table(JOB), customers(2 * going, JOB))
    engine.settle()
    kept = engine.kept(table(JOB))
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        seconds, verdict = whole(engine, Path(folder))
    after = os.times()
    engine.settle()
    left = search(engine.files()).of(JOB) + search([engine.image]).of(JOB)
    total, own = sum(seconds.values()), after.user + after.system - before.user - before.system
    shown = ", ".join(f"{phase} {seconds[phase]:.1f}" for phase in ORDER if phase in seconds)
    print(f"{name} {engine.version}: rewrite {rewrite:.2f}; {total:.1f} whole, {own:.1f} of processor time")
    print(f"  {shown}; {verdict}, {left} customers left", flush=True)
    wrong = []
    if verdict != "CLEAN" or left:
        wrong.append(f"{name}: {verdict}, {left} customers left")
    if engine.kept(table(JOB)) != kept:
        wrong.append(f"{name}: rows that stay changed")
    return total / rewrite, wrong


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK:,} rows instead of {FULL:,}")
    parser.add_argument("--engine", action="append", help="such as PostgreSQL")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("whole_job: loop devices need root; run as root")
    going = QUICK if asked.quick else FULL
    print(f"{going:,} customers go, {going:,} stay; load of the machine {os.getloadavg()[0]:.1f}; seconds")
    ratios, wrong = [], list[str]()
    for name, start in engines().items():
        if not asked.engine or any(name.startswith(wanted) for wanted in asked.engine):
            with start("ext4", 176 + going // 1000 * 30) as engine:
                ratio, found = measure(name, engine, going)
                ratios.append(ratio)
                wrong += found
    for line in wrong:
        print(f"does not hold: {line}")
    return result("whole_job", f"{max(ratios):.1f}", "times-the-rewrite", good=not wrong)


if __name__ == "__main__":
    sys.exit(main())
