"""Approvals by role: three of four are refused, and one key with two roles counts once."""

import json
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.documents.plan import RoleKeys
from deleatur.errors import Refused
from deleatur.judge.approvers import filled, unfilled
from deleatur.judge.planning import Authors
from deleatur.judge.statement import statement
from deleatur.testing.finished import AGENT, finished, known_key
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.approval import approvals_that_count, approve

NAMES = ("finance", "it", "legal", "support")
GROUP = tuple(known_key(name, 30 + number) for number, name in enumerate(NAMES))
ROLES = tuple(RoleKeys(role=key.public.name, keys=(key.public.spki,)) for key in GROUP)
AT = "2026-03-01T09:00:00Z"


def test_three_of_four_are_refused_and_four_of_four_are_not() -> None:
    job = finished(approvers=GROUP, roles=ROLES)
    envelopes = [approve(job.plan_bytes, key, AT) for key in GROUP]
    assert len(approvals_that_count(job.plan, job.plan_bytes, envelopes)) == 4
    for absent, name in enumerate(NAMES):
        three = envelopes[:absent] + envelopes[absent + 1 :]
        with pytest.raises(Refused, match=f"nobody has approved as {name}"):
            approvals_that_count(job.plan, job.plan_bytes, three)


def test_one_key_with_two_roles_counts_once() -> None:
    both = RoleKeys(role="legal", keys=(GROUP[0].public.spki,))
    job = finished(approvers=GROUP[:2], roles=(ROLES[0], both))
    with pytest.raises(Refused, match="nobody has approved as legal: each role needs a key of its own"):
        approvals_that_count(job.plan, job.plan_bytes, [approve(job.plan_bytes, k, AT) for k in GROUP[:2]])


def test_a_key_with_two_roles_fills_the_one_that_nobody_else_can() -> None:
    able = (RoleKeys(role="legal", keys=("a", "b")), RoleKeys(role="it", keys=("a",)))
    assert dict(filled(able, ["a", "b"])) == {"legal": "b", "it": "a"}
    assert unfilled(able, ["a"]) == ["it"]


@given(st.lists(st.frozensets(st.sampled_from("abcd")), max_size=4), st.frozensets(st.sampled_from("abcd")))
def test_as_many_roles_are_filled_as_can_be_and_each_by_a_key_of_its_own(
    able: list[frozenset[str]], keys: frozenset[str]
) -> None:
    roles = [RoleKeys(role=f"r{n}", keys=tuple(sorted(allowed))) for n, allowed in enumerate(able)]
    found = filled(roles, keys)
    assert len(set(found.values())) == len(found)
    assert all(
        found[role.role] in role.keys and found[role.role] in keys for role in roles if role.role in found
    )
    padded = [*sorted(keys), *("-" for _ in roles)]
    most = max(
        sum(k in r.keys for k, r in zip(order, roles, strict=False))
        for order in permutations(padded, len(roles))
    )
    assert len(found) == most


def test_the_certificate_says_who_approved_as_what_and_there_is_none_without() -> None:
    from deleatur.judge.statement import Issue

    job = finished(approvers=GROUP, roles=ROLES)

    def issued(approvals: tuple[int, ...]) -> bytes:
        issue = Issue(
            certificate_id="0" * 32,
            issued_at="2026-03-02T00:00:00Z",
            issuers=(AGENT.public,),
            approvals=tuple(GROUP[n].public for n in approvals),
            journal_digest="1" * 64,
            evidence_digest="2" * 64,
        )
        return statement(job.plan, job.plan_bytes, job.entries, issue)

    told = json.loads(issued((0, 1, 2, 3)))["predicate"]["approvals"]["roles"]
    assert told == [{"role": key.public.name, "keyId": key.key_id} for key in GROUP]
    with pytest.raises(Refused, match="nobody approved as support"):
        issued((0, 1, 2))


JOB = """
schema = "deleatur/job/v1"
name = "walk"
reason = "other"
authority = "a test"
requested_by = "tester"
[policy]
roles = ["finance", "legal"]
[[target]]
id = "t"
url = "file:../shelf"
"""


@pytest.fixture
def bench(tmp_path) -> Workbench:
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "disk").write_bytes(b"a long enough line about Ottilie Canary")
    made = Workbench(tmp_path)
    alice, bob = made.approvers
    made.roles = (
        RoleKeys(role="finance", keys=(alice.public.spki,)),
        RoleKeys(role="legal", keys=(alice.public.spki, bob.public.spki)),
    )
    return made


def test_a_whole_job_with_roles(bench: Workbench) -> None:
    job = bench.job(JOB)
    bench.plan(job)
    bench.approve(job)
    bench.run(job)
    assert job.certificate.exists()


def test_a_role_that_no_key_is_left_for_refuses_the_plan(bench: Workbench) -> None:
    bench.roles = bench.roles[:1]
    with pytest.raises(Refused, match="asks for an approval as legal, and no key is left for that"):
        bench.plan(bench.job(JOB, "nobody"))
    stranger = signing_key("carol", 55).public.spki
    bench.roles = (bench.roles[0], RoleKeys(role="legal", keys=(stranger,)))
    with pytest.raises(Refused, match="as legal"):
        bench.plan(bench.job(JOB, "no-approver"))


def test_a_plan_that_gives_a_role_to_a_key_which_has_none_here_does_not_run(bench: Workbench) -> None:
    job = bench.job(JOB)
    bench.plan(job)
    bench.approve(job)
    bench.roles = (bench.roles[0], RoleKeys(role="legal", keys=bench.roles[0].keys))
    with pytest.raises(Refused, match="lets keys approve as legal that do not have that role here"):
        bench.run(job)
    assert (bench.folder / "shelf" / "disk").exists()


def test_authors_have_no_roles_unless_they_are_given() -> None:
    assert Authors(AGENT.public, ()).roles == ()
