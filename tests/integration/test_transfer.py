"""Records go abroad by a record that legal, it and business approve with the plan, and while it holds."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deleatur.documents.gates import CustodyGate
from deleatur.documents.journal import Entry, Passed
from deleatur.engine.bundling import bundle_job
from deleatur.engine.jobs import read_entries, read_plan
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.history import history
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from .custody_world import JOB, CustodyWorld

ROLES = '[policy]\nroles = ["legal", "it", "business"]\n'


def abroad(folder: Path, monkeypatch: pytest.MonkeyPatch, job: str = JOB) -> CustodyWorld:
    return CustodyWorld(folder, monkeypatch, law="CN", mine="DE", transfer=True, job=job)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CustodyWorld:
    return abroad(tmp_path, monkeypatch)


def change(world: CustodyWorld, old: str, new: str) -> None:
    path = world.job.path / "t.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_two_of_three_are_refused(world: CustodyWorld) -> None:
    world.bench.plan(world.job)
    legal, it, business = world.bench.approvers
    world.bench.approve(world.job, [legal, it])
    assert "nobody has approved as business" in world.refusal()
    world.bench.approve(world.job, [business])
    assert world.refusal().startswith("archived-unreceived")  # approved; now it waits for its copies


@pytest.mark.parametrize("roles", ["", ROLES.replace(', "business"', ""), ROLES.replace('"it", ', "")])
def test_a_job_with_a_transfer_asks_for_all_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roles: str
) -> None:
    asks_less = abroad(tmp_path, monkeypatch, JOB.replace("{roles}", roles))
    with pytest.raises(Malformed, match="a transfer abroad is approved as legal, it and business") as caught:
        asks_less.bench.plan(asks_less.job)
    assert caught.value.kind == "approvals"


def test_the_certificate_and_the_bundle_show_the_record(world: CustodyWorld, tmp_path: Path) -> None:
    world.planned()
    world.refusal()
    world.copy()
    world.receive()
    world.bench.run(world.job)
    checked = verify(world.job.certificate, [world.bench.agent.public], 1, None)
    condition = next(c for c in checked.certificate.conditions if c.gate == "custody")
    told = condition.sentences[1].text
    assert "record of a transfer transfer-7" in told
    assert "let records of CN lie under DE until 2027-10-31" in told
    assert [role.role for role in checked.certificate.approvals.roles] == ["legal", "it", "business"]

    def bundled(name: str) -> None:
        bundle_job(world.job, tmp_path / name, added=(), key=world.bench.agent, clock=world.bench.clock)

    bundled("shown")
    assert (tmp_path / "shown" / "transfers" / "t.toml").is_file()
    change(world, "transfer-7", "transfer-8")
    with pytest.raises(Invalid, match="the record of the transfer transfer-7 is not in the bundle"):
        bundled("swapped")
    shutil.copy(tmp_path / "shown" / "transfers" / "t.toml", world.job.path)
    approved = read_plan(world.job)
    entries = read_entries(world.job, approved)[:-1]
    late = [
        Entry(n=e.n, at="2027-11-01T00:00:00.000Z", previous=e.previous, event=e.event)
        if isinstance(e.event, Passed)
        else e
        for e in entries
    ]
    with pytest.raises(Refused, match="the transfer transfer-7 ended on 2027-10-31"):
        history(approved.plan, approved.digest, late)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            'until = "2027-10-31"',
            'until = "2026-11-21"',
            "holds from 2026-11-01 to 2026-11-21; decide it anew",
        ),
        ('decided = "2026-11-01"', 'decided = "2026-11-23"', "holds from 2026-11-23"),
        ('to = "DE"', 'to = "FR"', "lets CN lie under FR, not CN under DE"),
        ('id = "transfer-7"\n', "", "id"),
    ],
)
def test_a_record_that_does_not_hold_refuses_the_plan(
    world: CustodyWorld, old: str, new: str, told: str
) -> None:
    change(world, old, new)
    with pytest.raises((Refused, Malformed), match=told):
        world.bench.plan(world.job)


def test_without_its_record_nothing_is_planned(world: CustodyWorld) -> None:
    (world.job.path / "t.toml").unlink()
    with pytest.raises(Refused, match="is missing; a transfer without one is not approved"):
        world.bench.plan(world.job)


def test_a_transfer_that_ends_while_receipts_are_awaited_stops_the_job(
    world: CustodyWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.planned()
    world.refusal()
    world.copy()
    world.receive()
    gate = next(g for g in read_plan(world.job).plan.gates if isinstance(g, CustodyGate))
    assert gate.transfers[0].until == "2027-10-31"
    monkeypatch.setattr(Workbench, "clock", lambda _: datetime(2027, 11, 1, tzinfo=UTC))
    assert "the transfer transfer-7 ended on 2027-10-31; decide it anew, and plan again" in world.refusal()
