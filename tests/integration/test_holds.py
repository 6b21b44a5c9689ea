"""What holds in every job: nothing on hold goes, and a hold that arrives stops the very next batch."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deleatur.api import Cursor, Hold, Step, hookimpl
from deleatur.documents.plan import Plan
from deleatur.engine.directory import JobDirectory
from deleatur.engine.holding import HoldSources
from deleatur.engine.hooks import Hooks
from deleatur.engine.jobs import read_plan
from deleatur.engine.register import HoldRegister
from deleatur.errors import Refused
from deleatur.testing.memory import MemoryBackend, Store, memory_url
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.verification import verify
from deleatur_plugins.sqlite import SqliteBackend

from .hold_worlds import HEAD, LEGAL, POLICY, Crm, legal_hold

PEOPLE = [f"Ottilie Canary-{n} ottilie.{n}@example.org".encode() for n in range(4)]
CLERK = signing_key("clerk", 81)


class Shop:
    """A bench with a register, a store, and the text of a job that erases its people."""

    def __init__(self, folder: Path, backend: type[MemoryBackend] = MemoryBackend) -> None:
        self.store = Store.create(
            folder / "store", {"people": PEOPLE, "other": [b"Willibald Stays, for ever"]}
        )
        self.bench = Workbench(folder, {"memory": backend})
        self.register = HoldRegister(folder / "holds.jsonl", (LEGAL.public, CLERK.public))
        self.register.begin(LEGAL, self.bench.clock)
        self.bench.holds = HoldSources(self.register)
        self.url = memory_url(folder / "store")
        self.text = f'{HEAD}[[target]]\nid = "t"\nurl = "{self.url}"\n[[target.select]]\ntable = "people"\n'

    def approved(self, name: str = "job") -> JobDirectory:
        job = self.bench.job(self.text, name)
        self.bench.plan(job)
        self.bench.approve(job)
        return job

    def place(self, name: str, scope: str = "", matter: str = "dispute") -> None:
        self.register.place(legal_hold(name, scope, matter), LEGAL, self.bench.clock)

    def release(self, name: str) -> None:
        self.register.release(name, "settled", LEGAL, self.bench.clock)

    def left(self) -> int:
        return sum(person in self.store.raw() for person in PEOPLE)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def events(job: JobDirectory) -> list[dict[str, Any]]:
    return [json.loads(line)["event"] for line in job.journal.read_bytes().splitlines()]


@pytest.mark.parametrize("scope", ["", 'job = "walk"', 'place = "URL"', 'place = "file:///"'])
def test_a_hold_on_the_whole_refuses_the_plan_until_it_is_released(shop: Shop, scope: str) -> None:
    shop.place("case-7", scope.replace("URL", shop.url))
    with pytest.raises(Refused, match=r"on hold by case-7 \(dispute: legal department, 3 O 17/26\)"):
        shop.approved("held")
    shop.release("case-7")
    assert verify(shop.bench.whole(shop.text).certificate, [shop.bench.agent.public], 1, None).evidence
    assert shop.left() == 0


def test_a_hold_elsewhere_holds_nothing_here(shop: Shop) -> None:
    shop.place("a", 'job = "another"')
    shop.place("b", 'place = "memory:/srv/another"')
    shop.bench.whole(shop.text)
    assert shop.left() == 0


def test_a_hold_on_rows_stands_in_the_plan_that_people_approve_and_the_rest_goes(shop: Shop) -> None:
    where = 'where = [{ column = "number", operator = "in", values = [2, 3] }]'
    shop.place("case-7", f'place = "{shop.url}"\ntable = "PEOPLE"\n{where}')
    job = shop.approved()
    plan = read_plan(job).plan
    assert [(h.id, h.table) for h in plan.targets[0].target.hold] == [("case-7", "people")]
    assert [u.name for u in plan.targets[0].held] == ["box-2", "box-3"]
    shop.bench.run(job)
    assert [person in shop.store.raw() for person in PEOPLE] == [False, True, True, False]
    checked = verify(job.certificate, [shop.bench.agent.public], 1, None)
    conditions = checked.certificate.conditions
    assert [(c.gate, c.digest.sha256) for c in conditions] == [("holds", shop.register.read().head)]
    assert {n.name: n.count for n in conditions[0].counts} == {"entries": 2, "open": 1, "matters": 0}
    assert "gate-holds" in [s.id for s in conditions[0].sentences]


def test_a_hold_after_the_plan_stops_the_run_before_anything_changes(shop: Shop) -> None:
    job = shop.approved()
    shop.place(
        "case-7",
        f'place = "{shop.url}"\ntable = "people"\nwhere = [{{ column = "number", operator = "is-null" }}]',
    )
    with pytest.raises(Refused, match=r"case-7.*placed after the plan; plan again"):
        shop.bench.run(job)
    assert shop.left() == 4
    shop.release("case-7")
    shop.bench.run(job)
    assert shop.left() == 0


class Arrives(MemoryBackend):
    """Calls somebody between two boxes: just before the second batch of a step."""

    call: Callable[[], None] = staticmethod(lambda: None)
    at = 2

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        for number, cursor in enumerate(super().erase(step, after), 1):
            if number == self.at:
                Arrives.call()
            yield cursor


def test_a_hold_that_arrives_within_a_step_stops_the_very_next_batch(
    tmp_path: Path, monkeypatch: Any
) -> None:
    shop = Shop(tmp_path, Arrives)
    job = shop.approved()
    monkeypatch.setattr(Arrives, "call", staticmethod(lambda: shop.place("case-7", f'place = "{shop.url}"')))
    with pytest.raises(Refused, match="case-7"):
        shop.bench.run(job)
    assert [e["kind"] for e in events(job)][-3:] == ["advanced", "advanced", "stopped"]
    assert shop.left() == 2
    monkeypatch.setattr(Arrives, "call", staticmethod(lambda: None))
    with pytest.raises(Refused, match="case-7"):
        shop.bench.run(job)
    assert shop.left() == 2
    shop.release("case-7")
    shop.bench.run(job)
    assert shop.left() == 0
    heads = [e["digest"] for e in events(job) if e["kind"] == "passed"]
    assert len(set(heads)) == 2
    assert heads[-1] == shop.register.read().head


def test_a_hold_elsewhere_that_arrives_within_a_step_is_entered_and_stops_nothing(
    tmp_path: Path, monkeypatch: Any
) -> None:
    shop = Shop(tmp_path, Arrives)
    job = shop.approved()
    heard = iter(range(100))
    place = staticmethod(lambda: shop.place(f"case-{next(heard)}", 'job = "another"'))
    monkeypatch.setattr(Arrives, "call", place)
    shop.bench.run(job)
    kinds = [e["kind"] for e in events(job)]
    assert "passed" in kinds[kinds.index("erasing") : kinds.index("erased")]
    assert shop.left() == 0


@pytest.mark.parametrize("loss", ["missing", "cut", "emptied", "older", "exchanged", "stranger", "key"])
def test_a_register_that_lost_something_holds_everything_at_resume(shop: Shop, loss: str) -> None:
    shop.place("elsewhere", 'job = "another"')
    job = shop.approved()
    lines = shop.register.path.read_bytes().splitlines(keepends=True)
    stranger = signing_key("legal", 99)
    match loss:
        case "missing":
            shop.register.path.unlink()
        case "cut":
            shop.register.path.write_bytes(lines[0])
        case "emptied":
            shop.register.path.write_bytes(b"")
        case "older":
            shop.register.path.write_bytes(lines[0] + lines[1][:-1])
        case "exchanged":
            shop.register.path.unlink()
            shop.register.key_file.unlink()
            shop.register.begin(LEGAL, shop.bench.clock)
        case "stranger":
            other = HoldRegister(shop.register.path, (*shop.register.keys, stranger.public))
            other.release("elsewhere", "settled", stranger, shop.bench.clock)
        case "key":
            shop.bench.holds = HoldSources(HoldRegister(shop.register.path, (CLERK.public,)))
    with pytest.raises(Refused, match="counts as a hold"):
        shop.bench.run(job)
    assert shop.left() == 4


def test_a_hold_that_this_job_has_seen_cannot_be_forgotten_at_resume(
    tmp_path: Path, monkeypatch: Any
) -> None:
    shop = Shop(tmp_path, Arrives)
    job = shop.approved()
    before = shop.register.path.read_bytes()

    def arrive() -> None:
        if not any(s.hold.id == "a" for s in shop.register.read().holds):
            shop.place("a", 'job = "another"')
        elif len(shop.register.read().holds) == 1:
            shop.place("b", f'place = "{shop.url}"')

    monkeypatch.setattr(Arrives, "call", staticmethod(arrive))
    with pytest.raises(Refused, match="on hold by b"):
        shop.bench.run(job)
    monkeypatch.setattr(Arrives, "call", staticmethod(lambda: None))
    shop.register.path.write_bytes(before)
    with pytest.raises(Refused, match="lost lines that this job has seen"):
        shop.bench.run(job)


def test_a_job_planned_with_a_register_does_not_run_without_it_nor_the_other_way_round(shop: Shop) -> None:
    register = shop.bench.holds
    with_it = shop.approved("with")
    shop.bench.holds = HoldSources()
    with pytest.raises(Refused, match="the settings do not name the hold register of the plan"):
        shop.bench.run(with_it)
    without = shop.approved("without")
    shop.bench.holds = register
    with pytest.raises(Refused, match="before the settings said what is on hold"):
        shop.bench.run(without)
    assert shop.left() == 4


class Service:
    """A hold service of which each answer is written down beforehand."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)

    @hookimpl
    def find_holds(self, plan: Plan) -> list[Hold]:
        answer = self.answers.pop(0) if self.answers else []
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, list)
        return answer


def test_a_hold_service_stops_the_very_next_batch_too(shop: Shop) -> None:
    late = [Hold(id="late", reason="it arrived")]
    shop.bench.hooks.register(Service([], [], [], late), "service")  # run, step, first cursor, second cursor
    job = shop.approved()
    with pytest.raises(Refused, match="late"):
        shop.bench.run(job)
    assert [e["kind"] for e in events(job)][-3:] == ["advanced", "advanced", "stopped"]
    shop.bench.run(job)
    assert shop.left() == 0


def test_a_service_that_fails_and_then_says_nothing_has_stopped_the_run_by_then(shop: Shop) -> None:
    shop.bench.hooks.register(Service([], [], ConnectionError("reset")), "service")
    job = shop.approved()
    with pytest.raises(Refused, match=r"service could not be asked \(ConnectionError\)"):
        shop.bench.run(job)
    assert [e["kind"] for e in events(job)][-2:] == ["advanced", "stopped"]


def test_a_service_that_answers_too_late_holds_and_its_answer_is_not_looked_at(shop: Shop) -> None:
    let_go = threading.Event()

    class Slow:
        @hookimpl
        def find_holds(self, plan: Plan) -> list[Hold]:
            let_go.wait(30)
            return []

    shop.bench.hooks = Hooks(patience=0.05)
    shop.bench.hooks.register(Slow(), "slow")
    job = shop.approved()
    with pytest.raises(Refused, match=r"slow did not answer within 0\.05 s, which counts as a hold"):
        shop.bench.run(job)
    let_go.set()
    assert shop.left() == 4


@pytest.fixture
def crm(tmp_path: Path) -> Crm:
    return Crm(tmp_path)


def test_an_order_is_closed_only_when_every_department_says_so_and_a_debtor_keeps_their_contact(
    crm: Crm,
) -> None:
    job = crm.bench.whole(crm.text)
    assert crm.ids("customer") == [2, 3, 4]  # signed and not accepted, not signed, owes
    assert crm.ids("chat") == [2, 3]
    assert crm.ids("session") == []
    held = read_plan(job).plan.targets[0].target.hold
    assert [h.id for h in held] == [
        "not-signed.1",
        "not-signed.2",
        "not-accepted.1",
        "not-accepted.2",
        "unpaid.1",
        "unpaid.1.null1",
    ]
    assert held[2].reason == "open-order, as after-sales says"
    sentences = verify(job.certificate, [crm.bench.agent.public], 1, None).certificate.conditions[0].sentences
    assert [s.id for s in sentences] == ["gate-matters"]


def test_an_amount_that_is_not_known_is_not_paid(crm: Crm) -> None:
    crm.change("UPDATE invoice SET open_cents = NULL WHERE customer_id = 5")
    crm.bench.whole(crm.text)
    assert crm.ids("customer") == [2, 3, 4, 5]


def test_a_matter_of_a_place_behind_a_link_holds_in_the_place_itself(tmp_path: Path) -> None:
    (tmp_path / "v2").mkdir()
    crm = Crm(tmp_path / "v2")
    (tmp_path / "current").symlink_to("v2")
    crm.policy.write_text(POLICY.replace("URL", f"sqlite://{tmp_path}/current/crm.sqlite"))
    crm.bench.whole(crm.text)
    assert crm.ids("customer") == [2, 3, 4]


def test_a_table_that_no_matter_speaks_of_is_refused_and_so_is_the_whole_database(crm: Crm) -> None:
    text = crm.text + '[[target.select]]\ntable = "dispute"\n'
    with pytest.raises(Refused, match="the matter unpaid does not say how it reaches dispute"):
        crm.bench.whole(text, "silent")
    whole = crm.text.partition("[[target.select]]")[0]
    with pytest.raises(Refused, match="goes as a whole, and unpaid could not hold a row of it"):
        crm.bench.whole(whole, "whole")
    with pytest.raises(Refused, match="goes as a whole"):
        crm.bench.whole(whole.replace("sqlite:", "file:"), "as-a-file")
    assert crm.ids("customer") == [1, 2, 3, 4, 5, 6]


def test_policies_that_changed_or_vanished_after_the_plan_stop_the_run(crm: Crm) -> None:
    job = crm.bench.job(crm.text)
    crm.bench.plan(job)
    crm.bench.approve(job)
    policy = crm.policy.read_text()
    crm.policy.write_text(policy.replace('operator = ">", value = 0', 'operator = ">", value = 9'))
    with pytest.raises(Refused, match="which matters hold changed since the plan"):
        crm.bench.run(job)
    crm.policy.unlink()
    with pytest.raises(Refused, match="is missing, and the settings say that its matters hold"):
        crm.bench.run(job)
    assert crm.ids("customer") == [1, 2, 3, 4, 5, 6]


class Meanwhile(SqliteBackend):
    """Something happens to the database after the last inspection and before the erase."""

    call: Callable[[], None] = staticmethod(lambda: None)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        Meanwhile.call()
        yield from super().erase(step, after)


def test_a_row_that_becomes_held_between_inspection_and_erase_is_not_erased(
    tmp_path: Path, monkeypatch: Any
) -> None:
    crm = Crm(tmp_path, Meanwhile)
    job = crm.bench.job(crm.text)
    crm.bench.plan(job)
    crm.bench.approve(job)
    debt = "UPDATE invoice SET open_cents = 1 WHERE customer_id = 1"
    monkeypatch.setattr(Meanwhile, "call", staticmethod(lambda: crm.change(debt)))
    with pytest.raises(Refused, match="rows changed since the plan; plan again"):
        crm.bench.run(job)
    assert crm.ids("customer") == [1, 2, 3, 4, 5, 6]
    assert [p.name for p in tmp_path.iterdir() if "deleatur-" in p.name] == []
    monkeypatch.setattr(Meanwhile, "call", staticmethod(lambda: None))
    crm.bench.whole(crm.text, "again")
    assert crm.ids("customer") == [1, 2, 3, 4]


def test_a_dispute_that_arrives_during_the_run_keeps_its_chat_and_the_rest_goes(tmp_path: Path) -> None:
    crm = Crm(tmp_path)
    register = HoldRegister(tmp_path / "holds.jsonl", (LEGAL.public,))
    register.begin(LEGAL, crm.bench.clock)
    crm.bench.holds = HoldSources(register, (crm.policy,))
    job = crm.bench.job(crm.text)
    crm.bench.plan(job)
    crm.bench.approve(job)
    where = 'where = [{ column = "customer_id", operator = "=", value = 5 }]'
    register.place(
        legal_hold("case-9", f'place = "{crm.url}"\ntable = "chat"\n{where}'), LEGAL, crm.bench.clock
    )
    with pytest.raises(Refused, match=r"case-9.*placed after the plan"):
        crm.bench.run(job)
    crm.bench.whole(crm.text, "again")
    assert crm.ids("chat") == [2, 3, 5]
    assert crm.ids("customer") == [2, 3, 4]


def test_a_hold_on_a_table_that_is_not_there_would_hold_nothing_and_is_refused(tmp_path: Path) -> None:
    crm = Crm(tmp_path)
    register = HoldRegister(tmp_path / "holds.jsonl", (LEGAL.public,))
    register.begin(LEGAL, crm.bench.clock)
    crm.bench.holds = HoldSources(register)
    register.place(legal_hold("a", f'place = "{crm.url}"\ntable = "orders"'), LEGAL, crm.bench.clock)
    register.place(legal_hold("b", f'place = "{crm.url}"\ntable = "costumer"'), LEGAL, crm.bench.clock)
    with pytest.raises(Refused, match="the hold b names the table costumer, which is not there") as caught:
        crm.bench.whole(crm.text, "misspelt")
    assert "hold a" not in str(caught.value)
    register.release("b", "misspelt", LEGAL, crm.bench.clock)
    crm.bench.whole(crm.text, "right")
    assert crm.ids("customer") == []


@pytest.mark.parametrize(
    ("stored", "operand"),
    [
        ("id", 'operator = "=", value = "5"'),
        ("CAST(id AS TEXT)", 'operator = "=", value = 5'),
        ("CAST(id AS TEXT)", 'operator = "in", values = [5]'),
        ("CAST(id AS BLOB)", 'operator = "=", value = "5"'),
        ("CAST(id AS BLOB)", 'operator = "in", values_from = "five.txt"'),
        ("CASE id WHEN 5 THEN 5 ELSE '7' END", 'operator = "!=", value = 7'),
    ],
)
def test_a_column_that_stores_a_value_in_another_form_does_not_lose_its_hold(
    tmp_path: Path, stored: str, operand: str
) -> None:
    crm = Crm(tmp_path)
    crm.change("ALTER TABLE customer ADD COLUMN ref")
    crm.change(f"UPDATE customer SET ref = {stored}")
    (tmp_path / "five.txt").write_text("5\n")
    register = HoldRegister(tmp_path / "holds.jsonl", (LEGAL.public,))
    register.begin(LEGAL, crm.bench.clock)
    crm.bench.holds = HoldSources(register)
    scope = f'place = "{crm.url}"\ntable = "customer"\nwhere = [{{ column = "ref", {operand} }}]'
    register.place(legal_hold("p", scope), LEGAL, crm.bench.clock)
    crm.bench.whole(crm.text)
    assert crm.ids("customer") == [5]


def test_people_on_hold_by_a_values_file_stay(tmp_path: Path) -> None:
    crm = Crm(tmp_path)
    (tmp_path / "people.txt").write_text("Ottilie Canary-5\n")
    register = HoldRegister(tmp_path / "holds.jsonl", (LEGAL.public,))
    register.begin(LEGAL, crm.bench.clock)
    crm.bench.holds = HoldSources(register)
    where = 'where = [{ column = "name", operator = "in", values_from = "people.txt" }]'
    register.place(
        legal_hold("p", f'place = "{crm.url}"\ntable = "customer"\n{where}'), LEGAL, crm.bench.clock
    )
    job = crm.bench.whole(crm.text)
    assert crm.ids("customer") == [5]
    for document in (register.path, job.plan, job.journal):
        assert b"Canary-5" not in document.read_bytes()
