"""Who is who: two keys of one person are one, who approves does not run, and training ends."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from deleatur.cli.wording import gate_in_words
from deleatur.documents.gates import Member, StaffGate
from deleatur.documents.journal import Entry, Passed, line_of
from deleatur.documents.plan import RoleKeys
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import now, read_entries, read_plan
from deleatur.engine.settings import load_settings
from deleatur.engine.setup import add_approver_public, make_settings
from deleatur.errors import Malformed, Refused
from deleatur.judge.history import history
from deleatur.judge.staff import digest_of, objections
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.keys import SigningKey, public_pem
from deleatur.trust.verification import verify

ALICE, BOB = signing_key("alice", 2), signing_key("bob", 3)
SECOND = signing_key("alice-2", 40)  # of alice
OLGA, PETER = signing_key("olga", 41), signing_key("peter", 42)  # operators
NOBODY = signing_key("nobody", 43)
JOB = """
schema = "deleatur/job/v1"
name = "walk"
reason = "other"
authority = "a test"
requested_by = "tester"
[staff]
operator = "trained"
[[target]]
id = "t"
url = "file:../shelf"
"""


def member(name: str, *keys: SigningKey, until: str | None = None) -> Member:
    return Member(name=name, keys=tuple(key.public.spki for key in keys), trained_until=until)


PEOPLE = (
    member("alice", ALICE, SECOND, until="2027-01-31"),
    member("bob", BOB),
    member("olga", OLGA, until="2026-11-22"),  # the day of the bench is the last
    member("peter", PETER, until="2026-11-21"),
)


class House(Workbench):
    """A shelf with one disk, and people."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.disk = folder / "shelf" / "disk"
        self.disk.parent.mkdir()
        self.disk.write_bytes(b"a long enough line about Ottilie Canary")
        self.people = PEOPLE

    def approved(self, text: str = JOB, keys: tuple[SigningKey, ...] = (ALICE, BOB)) -> JobDirectory:
        job = self.job(text)
        self.plan(job)
        self.approve(job, keys)
        return job

    def refusal(self, act: Callable[[], object]) -> str:
        with pytest.raises(Refused) as caught:
            act()
        assert self.disk.exists()
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_certificate_says_who_ran_it_and_until_when_they_are_trained(house: House) -> None:
    job = house.approved()
    house.run(job, OLGA)
    assert not house.disk.exists()
    checked = verify(job.certificate, [OLGA.public], 1, None)
    assert [key.spki for key in checked.operators] == [OLGA.public.spki]  # who validates is another
    (condition,) = checked.certificate.conditions
    told = [sentence.text for sentence in condition.sentences]
    assert f"run by olga ({OLGA.key_id}), who had not approved it" in told[0]
    assert told[1].startswith("At 2026-11-22T")
    assert told[1].endswith(" the training of olga was entered as valid until 2026-11-22.")


# the matrix of roles: each row is a key alone, each column what it may do

ALLOWED = {
    "planner": {"plan", "verify"},
    "approver": {"approve", "verify"},
    "operator": {"run", "verify"},
    "verifier": {"verify"},  # who has no private key at all
}


@pytest.mark.parametrize("role", sorted(ALLOWED))
def test_the_matrix_of_roles(house: House, role: str) -> None:
    mine = {"planner": house.agent, "approver": ALICE, "operator": OLGA, "verifier": NOBODY}[role]
    job = house.job(JOB)
    done = set()

    def tried(name: str, act: Callable[[], object]) -> None:
        try:
            act()
        except Refused:
            assert house.disk.exists()
        else:
            done.add(name)

    if role == "planner":
        tried("plan", lambda: house.plan(job))
    else:
        house.plan(job)  # by the agent, so that there is something to approve
    tried("approve", lambda: house.approve(job, [mine]))
    house.approve(job, [key for key in (ALICE, BOB) if key is not mine])
    tried("run", lambda: house.run(job, *([] if role == "planner" else [mine])))
    if "run" not in done:
        house.run(job, OLGA)
    tried("verify", lambda: verify(job.certificate, [OLGA.public], 1, None))
    assert done == ALLOWED[role]


def test_who_verifies_cannot_erase(house: House, tmp_path: Path) -> None:
    """The verifier has public keys, a certificate, and no right to write anywhere."""
    job = house.approved()
    house.run(job, OLGA)
    (tmp_path / "olga.pub").write_bytes(public_pem(OLGA.public))
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    command = [Path(sys.executable).with_name("deleatur"), "verify", job.certificate, "--key", "olga.pub"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before


# two locks: one person with two keys is one person


def test_two_keys_of_one_person_are_one_approval(house: House) -> None:
    house.approvers = (ALICE, SECOND, BOB)
    job = house.approved(keys=(ALICE, SECOND))
    told = house.refusal(lambda: house.run(job, OLGA))
    assert told == "1 of 2 approvals by distinct keys are there: two keys of one person count once"
    house.approve(job, [BOB])
    house.run(job, OLGA)
    assert not house.disk.exists()


def test_two_keys_of_one_person_fill_one_role(house: House) -> None:
    house.approvers = (ALICE, SECOND, BOB)
    house.roles = (
        RoleKeys(role="legal", keys=(ALICE.public.spki,)),
        RoleKeys(role="it", keys=(SECOND.public.spki,)),
    )
    asked = JOB.replace("[staff]", '[policy]\nroles = ["legal", "it"]\n[staff]')
    told = house.refusal(lambda: house.plan(house.job(asked, "one")))
    assert "nobody is left to approve as it: each role needs a person of its own" in told
    house.roles = (house.roles[0], RoleKeys(role="it", keys=(SECOND.public.spki, BOB.public.spki)))
    house.run(house.approved(asked, (ALICE, BOB)), OLGA)
    assert not house.disk.exists()


def test_a_planner_who_approves_with_another_key_is_not_a_second_person(house: House) -> None:
    house.approvers = (SECOND, BOB)
    house.agent = ALICE
    job = house.approved(JOB.replace("[staff]", "[policy]\napprovals = 1\n[staff]"), (SECOND,))
    assert "who planned may not be the only approver" in house.refusal(lambda: house.run(job, OLGA))


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ((), r"nobody in \[\[person\]\] holds SHA256:.*, which may approve"),
        (PEOPLE[:1] + PEOPLE[2:], "nobody in"),
        ((*PEOPLE, member("carol", BOB)), "a key stands with two people"),
        ((member("both", ALICE, BOB), PEOPLE[2]), "asks for 2 approvals, and 1 people may approve"),
        ((member("alice", ALICE), PEOPLE[1], PEOPLE[3]), "nobody in .* may run a job on 2026-11-22"),
    ],
)
def test_people_who_cannot_do_the_job_refuse_its_plan(
    house: House, people: tuple[Member, ...], told: str
) -> None:
    house.people = people
    with pytest.raises(Refused, match=told):
        house.plan(house.job(JOB))


# who runs


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ((), "no operator runs this job: agent is nobody"),
        ((NOBODY,), "nobody is nobody in"),
        ((BOB,), "bob is no operator"),
        ((PETER,), "the training of peter ended on 2026-11-21"),
        ((ALICE,), "alice has approved this plan, and who approves does not run it"),
        ((SECOND,), "alice has approved this plan"),
    ],
)
def test_nobody_else_runs_it(house: House, keys: tuple[SigningKey, ...], told: str) -> None:
    job = house.approved()
    assert told in house.refusal(lambda: house.run(job, *keys))
    house.run(job, OLGA)
    assert not house.disk.exists()


def test_named_asks_for_no_training(house: House) -> None:
    job = house.approved(JOB.replace("trained", "named"))
    house.run(job, PETER)
    (condition,) = verify(job.certificate, [PETER.public], 1, None).certificate.conditions
    assert len(condition.sentences) == 1


def test_training_that_the_settings_have_taken_back_does_not_count(house: House) -> None:
    job = house.approved()
    house.people = tuple(replace(m, trained_until="2026-11-01") if m.name == "olga" else m for m in PEOPLE)
    assert "olga may not run a job on 2026-11-22, say the settings" in house.refusal(
        lambda: house.run(job, OLGA)
    )
    house.people = (*PEOPLE, member("carol", signing_key("carol", 50)))
    assert "not as it was when the plan was made" in house.refusal(lambda: house.run(job, OLGA))


def test_a_plan_without_the_gate_that_its_job_asks_for_does_not_run(house: House) -> None:
    job = house.approved(JOB.replace('[staff]\noperator = "trained"\n', ""))
    job.job.write_text(JOB)
    assert "job.toml changed since the plan" in house.refusal(lambda: house.run(job, OLGA))


def test_no_certificate_rests_on_a_journal_that_names_another(house: House) -> None:
    job = house.approved()
    house.run(job, OLGA)
    approved = read_plan(job)
    entries = read_entries(job, approved)[:-1]
    assert history(approved.plan, approved.digest, entries).reasons == []

    def forged(key: SigningKey, at: str | None = None) -> list[Entry]:
        changed = [
            replace(e, at=at or e.at, event=replace(e.event, digest=digest_of(key.public)))
            if isinstance(e.event, Passed)
            else e
            for e in entries
        ]
        assert [line_of(e) for e in changed] != [line_of(e) for e in entries]
        return changed

    for key, at, told in (
        (NOBODY, None, "somebody ran the job who is no operator"),
        (ALICE, None, "alice has approved this plan"),
        (OLGA, "2026-11-23T12:00:00.000Z", "the training of olga ended on 2026-11-22"),
    ):
        with pytest.raises(Refused, match=told):
            history(approved.plan, approved.digest, forged(key, at))


def test_custodians_are_different_people_too(house: House) -> None:
    gate = StaffGate(operator="named", people=PEOPLE)
    plan = read_plan(house.approved()).plan
    assert [*objections(gate, plan, [ALICE.public, NOBODY.public], "2026-11-22")] == []
    told = [*objections(gate, plan, [ALICE.public, SECOND.public], "2026-11-22")]
    assert told == ["alice would be two custodians of one archive; name another person"]


# settings


def test_settings_say_who_is_who_and_keep_it(tmp_path: Path) -> None:
    make_settings(tmp_path, "ed25519", b"a passphrase")
    for key in (ALICE, SECOND, BOB):
        (tmp_path / f"{key.public.name}.pub").write_bytes(public_pem(key.public))
    text = (tmp_path / "deleatur.toml").read_text()
    own = (
        '[[person]]\nname = "alice"\nkeys = ["alice.pub", "alice-2.pub"]\ntrained_until = "2027-01-31"\n'
        '\n[docket]\nfile = "docket.jsonl"\nkeys = ["bob.pub"]\n'
    )
    (tmp_path / "deleatur.toml").write_text(f"{text}\n{own}")
    before = load_settings(tmp_path / "deleatur.toml")
    assert before.people(now) == (member("alice", ALICE, SECOND, until="2027-01-31"),)
    add_approver_public(tmp_path, tmp_path / "bob.pub")
    after = load_settings(tmp_path / "deleatur.toml")
    assert after.people(now) == before.people(now)
    assert after.agent.docket == before.agent.docket != type(before.agent.docket)()
    (tmp_path / "deleatur.toml").write_text(text + "\n[[person]]\nname = 'x'\nkeys = []\n")
    with pytest.raises(Malformed, match="person"):
        load_settings(tmp_path / "deleatur.toml")


def test_the_plan_shows_approvers_who_is_who(house: House) -> None:
    (gate,) = read_plan(house.approved()).plan.gates
    told = gate_in_words(gate)
    assert "who approves does not run it; who runs it is an operator and is trained on the day" in told
    assert "alice (2 keys, operator until 2027-01-31), bob (1 keys)" in told
