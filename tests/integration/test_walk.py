"""The walk refuses, resumes and stays silent as it must; on the memory backend, whole jobs."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deleatur.api import Cursor, Hold, Inspection, Locator, Step, hookimpl
from deleatur.documents.journal import Entry
from deleatur.documents.plan import Plan
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan, state_of
from deleatur.errors import (
    DeleaturError,
    Failed,
    Interrupted,
    Invalid,
    Malformed,
    Refused,
    Residue,
    Transient,
    Unsupported,
)
from deleatur.testing.memory import MemoryBackend, Store, memory_url
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.verification import verify

PEOPLE = [f"Ottilie Canary-{n} ottilie.{n}@example.org".encode() for n in range(4)]
STAYING = [f"Willibald Stays-{n} willibald.{n}@example.org".encode() for n in range(2)]
HEAD = """
schema = "deleatur/job/v1"
name = "walk"
reason = "other"
authority = "a test"
requested_by = "tester"
"""


class Shop:
    """A bench, a store and the text of a job that erases its people."""

    def __init__(self, folder: Path, backend: type[MemoryBackend] = MemoryBackend) -> None:
        self.store = Store.create(folder / "store", {"people": PEOPLE, "other": STAYING})
        self.bench = Workbench(folder, {"memory": backend})
        url = memory_url(folder / "store")
        self.text = f'{HEAD}[[target]]\nid = "t"\nurl = "{url}"\n[[target.select]]\ntable = "people"\n'

    def planned(self) -> JobDirectory:
        job = self.bench.job(self.text)
        self.bench.plan(job)
        return job

    def approved(self) -> JobDirectory:
        job = self.planned()
        self.bench.approve(job)
        return job

    def untouched(self) -> bool:
        return all(p in self.store.raw() for p in (*PEOPLE, *STAYING))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def events(job: JobDirectory) -> list[dict[str, Any]]:
    return [json.loads(line)["event"] for line in job.journal.read_text().splitlines()]


def test_a_whole_job_ends_in_a_certificate_and_leaves_no_secret(shop: Shop) -> None:
    job = shop.bench.whole(shop.text)
    checked = verify(job.certificate, [shop.bench.agent.public], 1, None)
    assert checked.certificate.outcome.per_target[0].assurance.startswith("A3")
    assert not job.spool.exists()
    assert not job.digest_key.exists()
    assert not any(p in shop.store.raw() for p in PEOPLE)
    assert all(p in shop.store.raw() for p in STAYING)


def test_running_a_finished_job_again_changes_nothing(shop: Shop) -> None:
    job = shop.bench.whole(shop.text)
    before = job.journal.read_bytes(), (job.certificate / "certificate.dsse.json").read_bytes()
    shop.bench.run(job)
    assert (job.journal.read_bytes(), (job.certificate / "certificate.dsse.json").read_bytes()) == before


@pytest.mark.parametrize("signers", [[], [2], [1], [1, 2], [4]])
def test_too_few_or_wrong_approvals_stop_before_anything(shop: Shop, signers: list[int]) -> None:
    job = shop.planned()
    keys = {1: shop.bench.agent, 2: shop.bench.approvers[0], 4: signing_key("mallory", 4)}
    for number in signers:
        if number == 2:
            shop.bench.approve(job, [keys[number]])
        else:
            with pytest.raises(Refused, match="not among the approvers"):
                shop.bench.approve(job, [keys[number]])
    with pytest.raises(Refused, match="of 2 approvals"):
        shop.bench.run(job)
    assert not job.journal.exists()
    assert shop.untouched()


def test_one_approver_cannot_approve_twice(shop: Shop) -> None:
    job = shop.planned()
    shop.bench.approve(job, [shop.bench.approvers[0]])
    with pytest.raises(Refused, match="counts once"):
        shop.bench.approve(job, [shop.bench.approvers[0]])
    shutil.copy(next(job.approvals.iterdir()), job.approvals / "another.dsse.json")
    with pytest.raises(Refused, match="1 of 2 approvals"):
        shop.bench.run(job)


def test_a_changed_plan_is_not_the_approved_one(shop: Shop) -> None:
    job = shop.approved()
    content = job.plan.read_bytes()
    job.plan.write_bytes(content.replace(b'"authority":"a test"', b'"authority":"no test"'))
    with pytest.raises(Refused, match="another plan"):
        shop.bench.run(job)
    assert shop.untouched()


def test_a_plan_is_written_once(shop: Shop) -> None:
    job = shop.planned()
    with pytest.raises(Refused, match="has a plan already"):
        shop.bench.plan(job)


class Court:
    """A register with one legal hold."""

    @hookimpl
    def find_holds(self, plan: Plan) -> list[Hold]:
        return [Hold(id="case-7", reason="a court wants it", target=plan.targets[0].id)]


class Broken:
    """A hold service that cannot be asked."""

    @hookimpl
    def find_holds(self, plan: Plan) -> list[Hold]:
        raise ConnectionError("Ottilie Canary-0 cannot be looked up")


class Quiet:
    """A register without holds."""

    @hookimpl
    def find_holds(self, plan: Plan) -> list[Hold]:
        return []


def test_holds_and_broken_hold_services_stop_the_job_and_are_all_named(shop: Shop) -> None:
    for name, plugin in (("broken", Broken()), ("court", Court()), ("quiet", Quiet())):
        shop.bench.hooks.register(plugin, name)
    job = shop.approved()
    with pytest.raises(Refused) as refused:
        shop.bench.run(job)
    assert "case-7 (a court wants it)" in str(refused.value)
    assert "broken could not be asked (ConnectionError)" in str(refused.value)
    assert "Ottilie" not in str(refused.value)
    assert shop.untouched()
    assert events(job)[-1] == {"kind": "stopped", "exit_code": 4, "error": "Refused"}


class LateHold:
    """A hold that arrives after the first step: asked in the run, before the step, at each of its cursors."""

    asked = 0

    @hookimpl
    def find_holds(self, plan: Plan) -> list[Hold]:
        self.asked += 1
        return [Hold(id="late", reason="it arrived mid-run")] if self.asked == 3 + len(PEOPLE) else []


def test_a_hold_that_arrives_mid_run_stops_the_next_step_and_a_released_one_lets_it_go_on(shop: Shop) -> None:
    late = LateHold()
    shop.bench.hooks.register(late, "late")
    job = shop.approved()
    with pytest.raises(Refused, match="late"):
        shop.bench.run(job)
    assert [e["step"] for e in events(job) if e["kind"] == "erased"] == ["s1"]
    shop.bench.run(job)
    assert verify(job.certificate, [shop.bench.agent.public], 1, None).evidence


def test_a_misspelt_hook_is_refused_at_registration(shop: Shop) -> None:
    class Misspelt:
        @hookimpl
        def find_hold(self, plan: Plan) -> list[Hold]:
            return []

    with pytest.raises(Exception, match="find_hold"):
        shop.bench.hooks.register(Misspelt(), "misspelt")


def test_an_observer_sees_every_entry_and_its_failure_stops_nothing(shop: Shop) -> None:
    seen: list[int] = []

    class Observer:
        @hookimpl
        def on_event(self, entry: Entry) -> None:
            seen.append(entry.n)
            raise RuntimeError("the SIEM is down")

    shop.bench.hooks.register(Observer(), "siem")
    job = shop.bench.whole(shop.text)
    assert seen == list(range(len(events(job))))
    assert shop.bench.hooks.failures[0] == "siem: RuntimeError"


def test_other_code_than_planned_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    job = shop.approved()
    from deleatur.testing import workbench

    other = workbench.PluginPin(
        distribution="deleatur", version="0", record_digest="11" * 32, entry_point="test"
    )
    monkeypatch.setattr(workbench, "PIN", other)
    with pytest.raises(Refused, match="other code is installed"):
        shop.bench.run(job)
    assert shop.untouched()


def test_another_store_at_the_same_place_is_refused(shop: Shop) -> None:
    job = shop.approved()
    shutil.rmtree(shop.store.folder)
    Store.create(shop.store.folder, {"people": PEOPLE, "other": STAYING})
    with pytest.raises(Refused, match="not the target of the plan"):
        shop.bench.run(job)
    assert shop.untouched()


def test_a_store_that_is_gone_before_the_erase_is_refused(shop: Shop) -> None:
    job = shop.approved()
    shutil.rmtree(shop.store.folder)
    with pytest.raises(Refused):
        shop.bench.run(job)


def test_something_changed_since_the_plan_is_refused(shop: Shop) -> None:
    job = shop.approved()
    shop.store.drop(shop.store.index().boxes[0])
    with pytest.raises(Refused, match="changed since the plan"):
        shop.bench.run(job)


def test_two_runs_at_once_are_refused(shop: Shop) -> None:
    job = shop.approved()
    with job.locked(), pytest.raises(Refused, match="another process works"):
        shop.bench.run(job)


@pytest.mark.parametrize("lost", ["missing", "cut"])
def test_without_the_digest_key_nothing_can_be_compared(shop: Shop, lost: str) -> None:
    job = shop.approved()
    if lost == "missing":
        job.digest_key.unlink()
    else:
        job.digest_key.write_bytes(b"short")
    with pytest.raises(Refused, match="missing or damaged"):
        shop.bench.run(job)
    assert shop.untouched()


def test_a_journal_with_a_changed_line_stops_everything(shop: Shop) -> None:
    shop.bench.hooks.register(LateHold(), "late")
    job = shop.approved()
    with pytest.raises(Refused):
        shop.bench.run(job)
    lines = job.journal.read_bytes().splitlines(keepends=True)
    job.journal.write_bytes(b"".join([lines[0], *lines[2:]]))
    raw = shop.store.raw()
    with pytest.raises(Malformed) as malformed:
        shop.bench.run(job)
    assert malformed.value.kind == "broken-chain"
    assert shop.store.raw() == raw


def test_a_torn_last_line_never_happened(shop: Shop) -> None:
    shop.bench.hooks.register(LateHold(), "late")
    job = shop.approved()
    with pytest.raises(Refused):
        shop.bench.run(job)
    with job.journal.open("ab") as journal:
        journal.write(b'{"n":99,"at":"2026-')
    shop.bench.run(job)
    assert b'"n":99,"at":"2026-{' not in job.journal.read_bytes()
    assert verify(job.certificate, [shop.bench.agent.public], 1, None).evidence


class Forgetful(MemoryBackend):
    """Says that it overwrote, and did nothing."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        yield Cursor(position="all", done=1)


def test_an_erase_that_did_nothing_ends_in_a_report_and_never_removes(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Forgetful)
    job = shop.approved()
    with pytest.raises(Residue) as residue:
        shop.bench.run(job)
    assert residue.value.exit_code == 7
    assert not job.certificate.exists()
    report = json.loads(next(job.path.glob("residue-*.json")).read_text())
    assert report["findings"][0]["mismatches"] == len(PEOPLE)
    assert report["places"]
    assert "Ottilie" not in json.dumps(report)
    assert [e["step"] for e in events(job) if e["kind"] == "erasing"] == ["s1"]


def test_after_residue_an_honest_backend_finishes_the_job(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Forgetful)
    job = shop.approved()
    with pytest.raises(Residue):
        shop.bench.run(job)
    shop.bench.backends["memory"] = MemoryBackend
    shop.bench.run(job)
    assert verify(job.certificate, [shop.bench.agent.public], 1, None).evidence
    assert not any(p in shop.store.raw() for p in PEOPLE)


class Restoring(MemoryBackend):
    """Puts a copy into the heap as soon as somebody has looked once after the erase."""

    looks = 0

    def inspect(self) -> Inspection:
        found = super().inspect()
        if not found.units:
            type(self).looks += 1
            if self.looks == 2:
                with (self.store.folder / "heap").open("ab") as heap:
                    heap.write(PEOPLE[0])
        return found


def test_a_value_restored_after_the_first_look_is_found(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Restoring)
    job = shop.approved()
    with pytest.raises(Residue):
        shop.bench.run(job)
    assert not job.certificate.exists()


class Neighbour(MemoryBackend):
    """Erases what it must, and something of the other shelf too."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        yield from super().erase(step, after)
        box = next((b for b in self.store.index().boxes if b.shelf == "other"), None)
        if box is not None:
            self.store.write(box, b"\0" * box.length)


def test_an_erased_neighbour_gets_no_certificate(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Neighbour)
    job = shop.approved()
    with pytest.raises(Failed, match="what must stay"):
        shop.bench.run(job)
    assert not job.certificate.exists()


class Talkative(MemoryBackend):
    """Breaks with content in the text of its error."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        raise KeyError("Ottilie Canary-0")
        yield Cursor(position="", done=0)


class Leaking(MemoryBackend):
    """Puts content that is not ASCII into a cursor."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        yield Cursor(position="王小明", done=1)


@pytest.mark.parametrize("backend", [Talkative, Leaking])
def test_a_defect_of_a_backend_never_shows_content(tmp_path: Path, backend: type[MemoryBackend]) -> None:
    shop = Shop(tmp_path, backend)
    job = shop.approved()
    with pytest.raises(Failed) as failed:
        shop.bench.run(job)
    assert not re.search("Ottilie|王小明", str(failed.value))
    assert not re.search("Ottilie|王小明".encode(), job.journal.read_bytes())


class Unplugged(MemoryBackend):
    """Loses its disk in the middle of the first step, once."""

    lost = False

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        for cursor in super().erase(step, after):
            yield cursor
            if not type(self).lost:
                type(self).lost = True
                raise OSError(5, "Input/output error", "/home/ottilie-canary/letters")


def test_an_io_error_names_no_file_and_the_job_goes_on_from_its_cursor(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Unplugged)
    job = shop.approved()
    with pytest.raises(Failed) as failed:
        shop.bench.run(job)
    assert "ottilie" not in str(failed.value)
    assert "Input/output error" in str(failed.value)
    shop.bench.run(job)
    positions = [e["position"] for e in events(job) if e["kind"] == "advanced" and e["step"] == "s1"]
    assert len(positions) == len(set(positions)) == len(PEOPLE)


class Impatient(MemoryBackend):
    """Somebody presses Ctrl-C in the middle of the first step, once."""

    pressed = False

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        for cursor in super().erase(step, after):
            yield cursor
            if not type(self).pressed:
                type(self).pressed = True
                raise KeyboardInterrupt


def test_ctrl_c_leaves_a_resumable_job(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Impatient)
    job = shop.approved()
    with pytest.raises(Interrupted) as interrupted:
        shop.bench.run(job)
    assert interrupted.value.exit_code == 130
    assert events(job)[-1]["kind"] == "stopped"
    shop.bench.run(job)
    assert state_of(job, read_plan(job)).certified is not None


def test_a_technique_that_the_target_does_not_offer_is_never_replaced(shop: Shop) -> None:
    text = shop.text.replace('id = "t"', 'id = "t"\ntechnique = "rewrite-and-shred"')
    with pytest.raises(Unsupported, match="rewrite-and-shred is not possible here"):
        shop.bench.plan(shop.bench.job(text))


def test_forget_leaves_bytes_below_the_interface_and_gets_no_certificate(shop: Shop) -> None:
    job = shop.bench.job(shop.text.replace('id = "t"', 'id = "t"\ntechnique = "forget"'))
    shop.bench.plan(job)
    shop.bench.approve(job)
    with pytest.raises(Residue):
        shop.bench.run(job)


class Blind(MemoryBackend):
    """Names a place that cannot be read before the erase."""

    def probe(self, place: Locator) -> bytes | None:
        return None


def test_a_probe_that_sees_nothing_before_the_erase_is_no_control(tmp_path: Path) -> None:
    shop = Shop(tmp_path, Blind)
    job = shop.approved()
    with pytest.raises(Refused, match="cannot be read before the erase"):
        shop.bench.run(job)
    assert shop.untouched()


def test_a_literal_that_stands_in_one_place_only_is_refused(tmp_path: Path) -> None:
    from deleatur.documents.job import Condition, Selection, Target
    from deleatur.engine.sampled import check_literals

    condition = Condition(column="name", operator="=", value="Ottilie Canary")
    target = Target(id="t", url="memory:/x", select=(Selection(table="people", where=(condition,)),))
    seen = read_plan(Shop(tmp_path).planned()).plan.targets[0]
    planned = msgspec.structs.replace(seen, target=target)
    one, other = Locator(unit="table people"), Locator(unit="table orders")
    check_literals(planned, [(one, b"Ottilie Canary"), (one, b"Ottilie Canary"), (one, b"x")])
    for drawn in (
        [(one, b"Ottilie Canary"), (one, b"x")],
        [(one, b"Ottilie Canary"), (other, b"Ottilie Canary")],
        [(one, b"OTTILIE CANARY "), (one, b"x")],
    ):
        with pytest.raises(Refused, match="values_from"):
            check_literals(planned, drawn)


def test_a_tampered_certificate_left_by_a_killed_run_is_not_adopted(shop: Shop) -> None:
    job = shop.bench.whole(shop.text)
    lines = job.journal.read_bytes().splitlines(keepends=True)
    job.journal.write_bytes(b"".join(lines[:-1]))
    job.digest_key.write_bytes(os.urandom(32))
    body = job.certificate / "certificate.dsse.json"
    body.write_bytes(body.read_bytes().replace(b'"sig":"', b'"sig":"A', 1))
    with pytest.raises(Invalid):
        shop.bench.run(job)


def test_every_error_of_the_walk_is_one_of_ours(shop: Shop) -> None:
    with pytest.raises(DeleaturError):
        shop.bench.run(shop.bench.job(shop.text))


class Busy(MemoryBackend):
    """Is locked the first two times that it is asked to erase, and in the middle once more."""

    refusals = 0

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        for cursor in super().erase(step, after):
            if type(self).refusals < 3:
                type(self).refusals += 1
                raise Transient("locked by somebody")
            yield cursor


def test_what_is_transient_is_tried_again_without_a_new_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur.engine.opening.DELAY", 0.0)
    shop = Shop(tmp_path, Busy)
    job = shop.approved()
    shop.bench.run(job)
    assert Busy.refusals == 3
    assert not [e for e in events(job) if e["kind"] == "stopped"]


class Stuck(MemoryBackend):
    """Stays locked."""

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        raise Transient("locked by somebody")
        yield Cursor(position="", done=0)


def test_what_stays_locked_ends_the_run_with_its_own_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur.engine.opening.DELAY", 0.0)
    shop = Shop(tmp_path, Stuck)
    job = shop.approved()
    with pytest.raises(Transient) as transient:
        shop.bench.run(job)
    assert transient.value.exit_code == 6
    assert shop.untouched()
