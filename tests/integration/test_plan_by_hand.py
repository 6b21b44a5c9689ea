"""A plan that was written by hand: signed and approved, it still cannot leave out what its job asks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from deleatur.documents.codec import encode_json
from deleatur.documents.job import Selection
from deleatur.documents.plan import Plan
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan
from deleatur.errors import Refused
from deleatur.testing.workbench import Workbench
from deleatur.trust.approval import sign_plan

from .hold_worlds import HEAD
from .map_house import JOB, House
from .test_holds import PEOPLE, Shop

HELD = """
[[target.hold]]
id = "h"
reason = "open"
table = "people"
where = [{ column = "number", operator = "=", value = 1 }]
"""
ASKS = 'without_notice = "nobody can be told"\n'


def rewritten(bench: Workbench, job: JobDirectory, change: Callable[[Plan], Plan]) -> None:
    """Put another plan in place of a job's, with the signatures of the planner and all approvers."""
    plan = change(read_plan(job).plan)
    job.plan.unlink()
    job.plan_signature.unlink()
    content = encode_json(plan)
    job.write_once(job.plan_signature, sign_plan(content, bench.agent, plan.created_at))
    job.write_once(job.plan, content)
    bench.approve(job)


def target(plan: Plan, **changes: object) -> Plan:
    planned = plan.targets[0]
    return replace(plan, targets=(replace(planned, target=replace(planned.target, **changes)),))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda plan: replace(plan, gates=()), "the gate without-notice"),
        (lambda plan: replace(plan, job="another"), "name"),
        (lambda plan: replace(plan, authority="nobody"), "authority"),
        (lambda plan: target(plan, hold=()), "t.hold"),
        (lambda plan: target(plan, select=(Selection(table="other"),)), "t.select"),
        (lambda plan: target(plan, url=plan.targets[0].target.url + "x"), "t.url"),
    ],
)
def test_a_plan_that_leaves_out_what_its_job_asks_does_not_run(
    tmp_path: Path, change: Callable[[Plan], Plan], told: str
) -> None:
    shop = Shop(tmp_path)
    shop.text = shop.text.replace("[[target]]", ASKS + "[[target]]", 1) + HELD
    job = shop.bench.job(shop.text)
    shop.bench.plan(job)
    rewritten(shop.bench, job, change)
    with pytest.raises(Refused, match=rf"does not have what job\.toml asks for: {told}; make a new job"):
        shop.bench.run(job)
    assert shop.left() == len(PEOPLE)


def test_a_plan_that_asks_for_fewer_approvals_than_its_job_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "paper").write_bytes(b"Ottilie Canary")
    bench = Workbench(tmp_path)
    job = bench.job(f'{HEAD}[policy]\napprovals = 2\n[[target]]\nid = "t"\nurl = "file://{tmp_path}/paper"\n')
    bench.plan(job)
    rewritten(bench, job, lambda plan: replace(plan, policy=replace(plan.policy, approvals=1)))
    with pytest.raises(Refused, match=r"does not have what job\.toml asks for: policy; make a new job"):
        bench.run(job)
    assert (tmp_path / "paper").exists()


def test_a_plan_without_the_gate_of_its_map_does_not_run(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.map()
    house.attest()
    job = house.bench.job(JOB)
    house.bench.plan(job)
    rewritten(house.bench, job, lambda plan: replace(plan, gates=()))
    with pytest.raises(Refused, match="the gate datamap"):
        house.bench.run(job)
    assert house.untouched()


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (
            '\ntable = "people"\nwhere = [{ column = "number", operator = "=", value = 2 }]',
            "that case-7 holds",
        ),
        ("", "on hold by case-7"),
    ],
)
def test_a_gate_that_knows_a_hold_is_not_enough_without_its_rows(
    tmp_path: Path, scope: str, told: str
) -> None:
    """The register's hold stands in the gate that people see, and its rows not in the plan."""
    shop = Shop(tmp_path)
    first = 'table = "people"\nwhere = [{ column = "number", operator = "=", value = 3 }]'
    shop.place("case-7", f'place = "{shop.url}"\n{first}')
    job = shop.bench.job(shop.text)
    shop.bench.plan(job)
    shop.place("case-8", f'place = "{shop.url}"{scope}')

    def known(plan: Plan) -> Plan:
        """Let the gate know the newest hold too, as if its rows were kept."""
        (gate,) = plan.gates
        (hold,) = gate.register.holds
        newest = replace(hold, id="case-8")
        return replace(plan, gates=(replace(gate, register=replace(gate.register, holds=(hold, newest))),))

    rewritten(shop.bench, job, known)
    with pytest.raises(Refused, match=told.replace("case-7", "case-8")):
        shop.bench.run(job)
    assert shop.left() == len(PEOPLE)
