"""Kill, starve or break a whole job at every call that changes storage: enumerated, not sampled.

After each fault the job is resumed by a fresh process. It must end in a valid certificate whose
claims hold, or in a named refusal with the data intact; and no file of the job may hold a value.
"""

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deleatur.engine import key_ring
from deleatur.engine.directory import JobDirectory
from deleatur.engine.spool import Spool
from deleatur.errors import DeleaturError, Refused
from deleatur.testing.faults import kill_points, list_calls, run_failing_at, run_killed_at
from deleatur.testing.memory import Store, memory_url
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

HEAD = """
schema = "deleatur/job/v1"
name = "crash"
reason = "other"
authority = "a test"
requested_by = "tester"
"""
PEOPLE = [f"Ottilie Canary-{n} ottilie.{n}@example.org +49 30 5550{n:03}".encode() for n in range(3)]
STAYING = [f"Willibald Stays-{n} willibald.{n}@example.org".encode() for n in range(3)]


@dataclass
class Scenario:
    """A planned and approved job, and what its target must and must not hold."""

    bench: Workbench
    job: JobDirectory
    target: Path

    def run(self) -> None:
        self.bench.run(self.job)

    def content(self, root: Path) -> bytes:
        files = sorted(p for p in root.rglob("*") if p.is_file()) if root.exists() else []
        return b"\n".join(str(p).encode() + b"\n" + p.read_bytes() for p in files)

    def assert_honest(self, error: DeleaturError | None) -> None:
        """A certificate means gone; a refusal means untouched; nothing in between may stand."""
        job = self.content(self.job.path)
        assert not [c for c in (*PEOPLE, *STAYING) if c in job], "a value lies in a file of the job"
        lying = self.content(self.target)
        if error is None:
            checked = verify(self.job.certificate, [self.bench.agent.public], 1, None)
            assert checked.evidence
            assert not [c for c in PEOPLE if c in lying]
        else:
            assert isinstance(error, Refused)
            assert all(c in lying for c in PEOPLE)
        assert all(c in lying for c in STAYING)


def memory_job(folder: Path) -> Scenario:
    Store.create(folder / "store", {"people": PEOPLE, "other": STAYING})
    bench = Workbench(folder)
    url = memory_url(folder / "store")
    job = bench.job(f'{HEAD}[[target]]\nid = "t"\nurl = "{url}"\n[[target.select]]\ntable = "people"\n')
    return approved(Scenario(bench, job, folder / "store"))


def file_job(folder: Path) -> Scenario:
    tree = folder / "data" / "tree"
    (tree / "inner").mkdir(parents=True)
    for n, content in enumerate(PEOPLE):
        (tree / ("inner" if n else "") / f"{n}.txt").write_bytes(content)
    for n, content in enumerate(STAYING):
        (folder / "data" / f"{n}.txt").write_bytes(content)
    bench = Workbench(folder)
    job = bench.job(f'{HEAD}[[target]]\nid = "t"\nurl = "file://{tree}"\n')
    return approved(Scenario(bench, job, folder / "data"))


def approved(scenario: Scenario) -> Scenario:
    scenario.bench.plan(scenario.job)
    scenario.bench.approve(scenario.job)
    return scenario


BUILDERS: dict[str, Callable[[Path], Scenario]] = {"memory": memory_job, "file": file_job}


def resume(scenario: Scenario) -> DeleaturError | None:
    """Resume once, as a person would; whatever was transient is over."""
    try:
        scenario.run()
    except DeleaturError as error:
        return error
    return None


def each(build: Callable[[Path], Scenario], folder: Path) -> tuple[str, ...]:
    """Return the calls of a whole run, made in a child so that the spool key is the child's."""
    return list_calls(build(folder / "count").run)


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_kill_at_every_call_is_survived(kind: str, tmp_path: Path) -> None:
    calls = each(BUILDERS[kind], tmp_path)
    assert calls.count("fsync") > 20
    for n, moment in kill_points(calls, len(calls)):
        folder = tmp_path / f"{n}-{moment}"
        scenario = BUILDERS[kind](folder)
        assert run_killed_at(scenario.run, n, moment).killed, f"call {n} ({calls[n - 1]}) was not reached"
        error = resume(scenario)
        try:
            scenario.assert_honest(error)
        except AssertionError as failed:
            raise AssertionError(f"killed {moment} call {n} ({calls[n - 1]}): {failed}; {error}") from failed
        shutil.rmtree(folder)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("kind", BUILDERS)
def test_a_failing_call_anywhere_is_survived(kind: str, code: int, tmp_path: Path) -> None:
    calls = each(BUILDERS[kind], tmp_path)
    for n in range(1, len(calls) + 1):
        folder = tmp_path / str(n)
        scenario = BUILDERS[kind](folder)
        outcome = run_failing_at(scenario.run, n, code)
        error = None if scenario.job.certificate.exists() and not outcome.error else resume(scenario)
        try:
            scenario.assert_honest(error)
        except AssertionError as failed:
            raise AssertionError(f"call {n} ({calls[n - 1]}): {failed}; {outcome.error}; {error}") from failed
        shutil.rmtree(folder)


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_power_cut_that_loses_the_spool_key_never_ends_in_a_claim(kind: str, tmp_path: Path) -> None:
    """Kill at every journal entry, forget the key, resume: CLEAN only if sampled again before the erase."""
    calls = each(BUILDERS[kind], tmp_path)
    for n in [i for i, call in enumerate(calls, 1) if call == "fsync"]:
        folder = tmp_path / str(n)
        scenario = BUILDERS[kind](folder)
        run_killed_at(scenario.run, n, "before")
        erasing = (
            b'"kind":"erasing"' in scenario.job.journal.read_bytes()
            if scenario.job.journal.exists()
            else False
        )
        verified = (
            b'"kind":"verified"' in scenario.job.journal.read_bytes()
            if scenario.job.journal.exists()
            else False
        )
        plan_id = __import__("json").loads(scenario.job.plan.read_bytes())["id"]
        key_ring.destroy(f"spool-{plan_id}")
        assert Spool.open(scenario.job.spool, plan_id) is None
        error = resume(scenario)
        scenario.assert_honest(error)
        if error is None and erasing and not verified:
            checked = verify(scenario.job.certificate, [scenario.bench.agent.public], 1, None)
            assert checked.certificate.outcome.overall == "executed-unverified"
        shutil.rmtree(folder)
