"""Released holds flow on by themselves: the next job is drafted once, and waits for its approval."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.engine.cycle import Agent, Turn, cycle
from deleatur.engine.directory import JobDirectory
from deleatur.engine.holding import HoldSources
from deleatur.engine.jobs import read_plan
from deleatur.engine.register import HoldRegister
from deleatur.errors import Invalid, Refused
from deleatur.testing.faults import kill_points, list_calls, run_killed_at
from deleatur.trust.following import follow
from deleatur.trust.verification import verify

from .hold_worlds import LEGAL, Crm, legal_hold


class Office(Crm):
    """The CRM of the holds, its jobs in one folder, and a register of legal holds."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.register = HoldRegister(folder / "holds.jsonl", (LEGAL.public,))
        self.register.begin(LEGAL, self.bench.clock)
        self.bench.holds = HoldSources(self.register, (self.policy,))
        self.jobs = folder / "jobs"

    def cycle(self) -> list[Turn]:
        bench = self.bench
        keys = [k.public for k in bench.approvers]
        return list(cycle(self.jobs, Agent(bench.registry, bench.agent, keys, bench.clock, bench.holds)))

    def states(self) -> list[tuple[str, str]]:
        return [(turn.job.name, turn.state) for turn in self.cycle()]

    def place(self, name: str, customer: int) -> None:
        where = f'where = [{{ column = "id", operator = "=", value = {customer} }}]'
        hold = legal_hold(name, f'place = "{self.url}"\ntable = "customer"\n{where}')
        self.register.place(hold, LEGAL, self.bench.clock)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    assert not list(made.jobs.glob(".*"))


def test_open_on_day_0_and_closed_on_day_9_goes_in_the_next_cycle_with_its_events(office: Office) -> None:
    office.place("case-7", 6)
    first = office.bench.whole(office.text, "jobs/shop")
    assert office.ids("customer") == [2, 3, 4, 6]
    assert office.states() == [("shop", "still held")]
    office.change("UPDATE orders SET accepted_on = '2026-03-01' WHERE id = 2")
    office.register.release("case-7", "settled", LEGAL, office.bench.clock)
    (turn,) = office.cycle()
    assert (turn.state, turn.follower) == ("drafted", office.jobs / "shop.2")
    follower = JobDirectory(office.jobs / "shop.2")
    assert read_plan(follower).digest == turn.digest
    assert {u.name: u.size for u in read_plan(follower).plan.targets[0].units} == {
        "table chat": 1,
        "table customer": 2,
    }
    with pytest.raises(Refused, match="0 of 2 approvals"):
        office.bench.run(follower)
    assert office.ids("customer") == [2, 3, 4, 6]
    assert office.states() == [("shop", "goes on"), ("shop.2", "unfinished")]
    office.bench.approve(follower)
    office.bench.run(follower)
    assert office.ids("customer") == [3, 4]
    assert office.ids("chat") == [3]
    told = verify(follower.certificate, [office.bench.agent.public], 1, None).certificate
    assert [c.gate for c in told.conditions] == ["follows", "holds"]
    earlier = verify(first.certificate, [office.bench.agent.public], 1, None)
    assert told.conditions[0].digest.sha256 == earlier.sha256
    assert [(n.name, n.count) for n in told.conditions[0].counts] == [("held", 6)]
    with pytest.raises(Invalid, match="no target of which it can be shown"):  # it is another file since
        follow(earlier, [verify(follower.certificate, [office.bench.agent.public], 1, None)])
    acts = [line.act.__struct_config__.tag for line in office.register.read().lines]
    assert acts == ["begun", "placed", "released"]
    assert told.conditions[1].digest.sha256 == office.register.read().head


def test_a_cycle_of_cycles_ends_when_nothing_is_held(office: Office) -> None:
    office.bench.whole(office.text, "jobs/shop")
    for number, statement in (
        (2, "UPDATE orders SET signed_on = '2026-01-01', accepted_on = '2026-02-01'"),
        (3, "UPDATE invoice SET open_cents = 0"),
    ):
        office.change(statement)
        assert office.states()[-1][1] == "drafted"
        follower = JobDirectory(office.jobs / f"shop.{number}")
        office.bench.approve(follower)
        office.bench.run(follower)
    assert office.ids("customer") == []
    assert office.states() == [("shop", "goes on"), ("shop.2", "goes on"), ("shop.3", "nothing held")]


def test_a_hold_on_the_whole_keeps_the_next_job_from_being_drafted(office: Office) -> None:
    office.bench.whole(office.text, "jobs/shop")
    office.change("UPDATE invoice SET open_cents = 0")
    office.register.place(legal_hold("all", ""), LEGAL, office.bench.clock)
    assert office.states() == [("shop", "still held")]
    office.register.release("all", "settled", LEGAL, office.bench.clock)
    assert office.states() == [("shop", "drafted")]


def test_a_draft_that_no_longer_fits_is_refused_at_its_run_and_drafted_anew_once_removed(
    office: Office,
) -> None:
    office.bench.whole(office.text, "jobs/shop")
    office.change("UPDATE invoice SET open_cents = 0")
    assert office.states() == [("shop", "drafted")]
    office.change("UPDATE orders SET accepted_on = '2026-03-01' WHERE id = 2")
    follower = JobDirectory(office.jobs / "shop.2")
    office.bench.approve(follower)
    with pytest.raises(Refused, match="plan again"):
        office.bench.run(follower)
    shutil.rmtree(follower.path)
    assert office.states() == [("shop", "drafted")]
    office.bench.approve(follower)
    office.bench.run(follower)
    assert office.ids("customer") == [3]


def test_a_line_cut_off_the_register_between_two_jobs_stops_the_cycle(office: Office) -> None:
    office.place("case-7", 6)
    office.bench.whole(office.text, "jobs/shop")
    lines = office.register.path.read_bytes().splitlines(keepends=True)
    office.register.path.write_bytes(lines[0])
    with pytest.raises(Refused, match=r"lost lines that the job in .* has seen"):
        office.cycle()


def test_another_certificate_than_the_one_it_goes_on_with_stops_the_run(office: Office) -> None:
    first = office.bench.whole(office.text, "jobs/shop")
    office.change("UPDATE invoice SET open_cents = 0")
    office.cycle()
    follower = JobDirectory(office.jobs / "shop.2")
    office.bench.approve(follower)
    envelope = first.certificate / "certificate.dsse.json"
    content = json.loads(envelope.read_bytes())
    envelope.write_text(json.dumps(content))
    with pytest.raises(Refused, match="is another certificate than this job goes on with"):
        office.bench.run(follower)
    envelope.unlink()
    with pytest.raises(Refused, match="there is no certificate at"):
        office.bench.run(follower)


def test_what_cannot_be_looked_at_is_told_and_the_others_go_on(office: Office) -> None:
    office.bench.whole(office.text, "jobs/shop")
    shutil.copytree(office.jobs / "shop", office.jobs / "torn")
    (office.jobs / "torn" / "job.toml").unlink()
    office.change("UPDATE invoice SET open_cents = 0")
    turns = office.cycle()
    assert [(t.job.name, t.state) for t in turns] == [("shop", "drafted"), ("torn", "refused")]
    assert "there is no job.toml" in turns[1].why


def test_a_cycle_killed_anywhere_drafts_the_next_job_once_and_whole(office: Office) -> None:
    office.bench.whole(office.text, "jobs/shop")
    office.change("UPDATE invoice SET open_cents = 0")
    spare = office.jobs.with_name("spare")
    shutil.copytree(office.jobs, spare)
    calls = list_calls(lambda: office.cycle() and None)
    for n, moment in kill_points(calls, 12):
        shutil.rmtree(office.jobs)
        shutil.copytree(spare, office.jobs)
        assert run_killed_at(lambda: office.cycle() and None, n, moment).killed
        assert office.states()[0][1] in ("drafted", "goes on")
        assert sorted(p.name for p in office.jobs.iterdir()) == ["shop", "shop.2"]
        assert read_plan(JobDirectory(office.jobs / "shop.2")).plan.targets[0].units
    assert office.ids("customer") == [2, 3, 4]


def test_the_next_job_finds_the_files_of_the_one_before(office: Office) -> None:
    (office.jobs / "shop").mkdir(parents=True)
    (office.jobs / "shop" / "people.txt").write_text("1\n3\n")
    head = office.text.partition("[[target.select]]")[0].replace(office.url, "sqlite:../../crm.sqlite")
    where = 'where = [{ column = "id", operator = "in", values_from = "people.txt" }]'
    directory = JobDirectory(office.jobs / "shop")
    content = f'{head}[[target.select]]\ntable = "customer"\n{where}\n'
    directory.write_once(directory.job, content.encode())
    office.bench.plan(directory)
    office.bench.approve(directory)
    office.bench.run(directory)
    assert office.ids("customer") == [2, 3, 4, 5, 6]
    office.change("UPDATE orders SET signed_on = '2026-01-01', accepted_on = '2026-02-01'")
    assert office.states() == [("shop", "drafted")]
    follower = JobDirectory(office.jobs / "shop.2")
    office.bench.approve(follower)
    office.bench.run(follower)
    assert office.ids("customer") == [2, 4, 5, 6]
