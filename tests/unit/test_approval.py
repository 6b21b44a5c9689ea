"""Dual control: distinct keys over this very plan, and never the planner alone."""

import base64
import json

import pytest

from deleatur.documents.codec import encode_json
from deleatur.documents.job import Policy
from deleatur.errors import Refused
from deleatur.testing.finished import APPROVERS, PLANNER, a_file, finished, known_key
from deleatur.trust.approval import (
    MAX_APPROVALS,
    approvals_that_count,
    approve,
    require_planner,
    sign_plan,
)
from deleatur.trust.dsse import IN_TOTO, seal

AT = "2026-03-01T09:00:00Z"
JOB = finished()
LEGAL, SECURITY = APPROVERS


def refusal(envelopes: list[bytes], job=JOB) -> str:
    with pytest.raises(Refused) as caught:
        approvals_that_count(job.plan, job.plan_bytes, envelopes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_two_distinct_approvers_count_in_the_order_of_the_plan() -> None:
    envelopes = [approve(JOB.plan_bytes, key, AT) for key in (SECURITY, LEGAL)]
    assert approvals_that_count(JOB.plan, JOB.plan_bytes, envelopes) == (LEGAL.public, SECURITY.public)


def test_one_envelope_with_both_signatures_counts_as_two() -> None:
    body = json.loads(approve(JOB.plan_bytes, LEGAL, AT))
    other = json.loads(approve(JOB.plan_bytes, SECURITY, AT))
    body["signatures"] += other["signatures"]
    assert len(approvals_that_count(JOB.plan, JOB.plan_bytes, [json.dumps(body).encode()])) == 2


def test_one_key_twice_is_one_approval_whatever_it_is_called() -> None:
    again = known_key("another-person", 4)
    twice = [approve(JOB.plan_bytes, LEGAL, AT), approve(JOB.plan_bytes, again, "2026-03-01T09:00:01Z")]
    assert "1 of 2" in refusal(twice)
    assert "has approved already" in refusal(twice)
    relabelled = json.loads(twice[1])
    relabelled["signatures"][0]["keyid"] = SECURITY.key_id
    assert "1 of 2" in refusal([twice[0], json.dumps(relabelled).encode()])


def test_one_key_listed_twice_as_approver_is_one_approver() -> None:
    job = finished(approvers=(LEGAL, known_key("legal-again", 4)))
    assert "1 of 2" in refusal(list(job.approvals.values()), job)


def test_an_approval_of_another_plan_does_not_count() -> None:
    other = finished(a_file("other"))
    envelopes = [approve(other.plan_bytes, LEGAL, AT), approve(JOB.plan_bytes, SECURITY, AT)]
    assert "it approves another plan" in refusal(envelopes)


def test_the_bytes_of_the_plan_are_approved_and_not_its_meaning() -> None:
    spaced = JOB.plan_bytes.replace(b'":', b'": ')
    envelopes = [approve(spaced, key, AT) for key in APPROVERS]
    assert "0 of 2" in refusal(envelopes)


def test_a_stranger_does_not_count_and_all_reasons_are_told_at_once() -> None:
    stranger = approve(JOB.plan_bytes, known_key("stranger", 66), AT)
    told = refusal([stranger, b"{}", approve(finished(a_file()).plan_bytes, LEGAL, AT)])
    assert "0 of 2" in told
    assert "approval 1: not signed by an approver" in told
    assert "approval 2: not a DSSE envelope" in told
    assert "approval 3: it approves another plan" in told


def test_a_bad_envelope_beside_enough_good_ones_does_no_harm() -> None:
    envelopes = [b"\0", *JOB.approvals.values()]
    assert len(approvals_that_count(JOB.plan, JOB.plan_bytes, envelopes)) == 2


def test_the_planner_is_never_the_only_approver() -> None:
    job = finished(policy=Policy(approvals=1), approvers=(PLANNER,))
    assert "who planned may not be the only approver" in refusal(list(job.approvals.values()), job)
    both = finished(policy=Policy(approvals=1), approvers=(PLANNER, LEGAL))
    assert len(approvals_that_count(both.plan, both.plan_bytes, list(both.approvals.values()))) == 2
    assert "only approver" in refusal([both.approvals["planner.dsse.json"]], both)
    assert approvals_that_count(both.plan, both.plan_bytes, [both.approvals["legal.dsse.json"]]) == (
        LEGAL.public,
    )


def test_the_planner_under_another_name_is_still_the_planner() -> None:
    alias = known_key("somebody-else", 3)
    job = finished(policy=Policy(approvals=1), approvers=(alias,))
    assert "only approver" in refusal(list(job.approvals.values()), job)


def test_nothing_but_an_approval_is_an_approval() -> None:
    for payload in (b"{}", b"yes", encode_json({"decision": "approve"})):
        assert "not an approval" in refusal([seal(payload, IN_TOTO, [LEGAL])])
    text = json.loads(base64.b64decode(json.loads(approve(JOB.plan_bytes, LEGAL, AT))["payload"]))
    text["predicate"]["decision"] = "reject"
    assert "not an approval" in refusal([seal(encode_json(text), IN_TOTO, [LEGAL])])


def test_too_many_envelopes_are_not_looked_at() -> None:
    assert "more than the" in refusal([b""] * (MAX_APPROVALS + 1))
    assert "0 of 2" in refusal([])


def test_the_planner_stands_by_its_plan_and_approves_nothing_by_it() -> None:
    signature = sign_plan(JOB.plan_bytes, PLANNER, AT)
    require_planner(JOB.plan, JOB.plan_bytes, signature)
    assert "not to approve" in refusal([signature, approve(JOB.plan_bytes, LEGAL, AT)])


@pytest.mark.parametrize("key", [LEGAL, known_key("stranger", 66)])
def test_a_plan_that_names_another_planner_than_who_made_it_is_refused(key) -> None:
    with pytest.raises(Refused, match="not signed by the key that it names as its planner"):
        require_planner(JOB.plan, JOB.plan_bytes, sign_plan(JOB.plan_bytes, key, AT))


def test_an_approval_is_no_signature_of_the_planner() -> None:
    with pytest.raises(Refused, match="does not hold"):
        require_planner(JOB.plan, JOB.plan_bytes, approve(JOB.plan_bytes, PLANNER, AT))
    with pytest.raises(Refused, match="another plan"):
        require_planner(JOB.plan, JOB.plan_bytes, sign_plan(finished(a_file()).plan_bytes, PLANNER, AT))
