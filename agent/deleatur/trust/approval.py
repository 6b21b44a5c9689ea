"""Approve a plan, and count the approvals that a job needs.

Rules: an approval is a signature over the plan's digest; what counts is distinct public keys, never
key ids, names or envelopes; who planned may not be the only approver; every reason is told at once.
"""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from deleatur.documents.certificate import (
    APPROVAL_TYPE,
    STATEMENT_TYPE,
    ApprovalType,
    Digest,
    Part,
    Subject,
    Time,
)
from deleatur.documents.codec import decode_canonical, encode_json
from deleatur.documents.place import Name, Text
from deleatur.documents.plan import Plan, PublicKey
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.approvers import unfilled
from deleatur.judge.confirming import unconfirmed
from deleatur.judge.fingerprint import key_id, spki_bytes
from deleatur.judge.staff import people_of, persons
from deleatur.trust.dsse import IN_TOTO, seal, unseal
from deleatur.trust.keys import SigningKey

Decision = Literal["approve", "plan"]
MAX_APPROVALS = 100  # envelopes looked at; a policy asks for nine at most


class ConfirmedDevice(Part, frozen=True):
    """A disk of the plan, and how its serial number ends, as the approver typed it."""

    target: Name
    ending: Text


class Approval(Part, frozen=True, omit_defaults=True):
    """The predicate of an approval: one person's yes to one plan, or its planner's word for it."""

    schema_version: Literal["deleatur/approval/v1"]
    plan: Digest
    decision: Decision
    at: Time
    devices: tuple[ConfirmedDevice, ...] = ()  # one for each target that is a block device


class ApprovalStatement(Part, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The in-toto Statement that carries an approval; its subject is the plan."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: ApprovalType
    predicate: Approval


def approve(
    plan_bytes: bytes, key: SigningKey, at: str, typed: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """Return a DSSE envelope in which `key` approves exactly these bytes of a plan.

    `at` is RFC 3339 in UTC with `Z`, to the second; `typed` says of each disk how its serial ends.
    """
    return _signed(plan_bytes, key, at, "approve", typed)


def sign_plan(plan_bytes: bytes, key: SigningKey, at: str) -> bytes:
    """Return a DSSE envelope in which the planner stands by a plan; it approves nothing.

    Without it, a plan could name somebody else as its planner, and be approved by who made it.
    """
    return _signed(plan_bytes, key, at, "plan", {})


def require_planner(plan: Plan, plan_bytes: bytes, envelope: bytes) -> None:
    """Ask that the key which a plan names as its planner has signed it.

    Raises:
        Refused: it has not.
    """
    digest = hashlib.sha256(plan_bytes).hexdigest()
    try:
        signed = _signers(envelope, [plan.planned_by], digest, "plan", plan)
    except Invalid as error:
        raise Refused(f"the planner's signature does not hold: {error}; plan again") from None
    if not signed:
        raise Refused("the plan is not signed by the key that it names as its planner; plan again")


def _signed(
    plan_bytes: bytes, key: SigningKey, at: str, decision: Decision, typed: Mapping[str, str]
) -> bytes:
    digest = Digest(sha256=hashlib.sha256(plan_bytes).hexdigest())
    statement = ApprovalStatement(
        type_=STATEMENT_TYPE,
        subject=(Subject(name="plan.json", digest=digest),),
        predicate_type=APPROVAL_TYPE,
        predicate=Approval(
            schema_version="deleatur/approval/v1",
            plan=digest,
            decision=decision,
            at=at,
            devices=tuple(ConfirmedDevice(target=name, ending=ending) for name, ending in typed.items()),
        ),
    )
    return seal(encode_json(statement), IN_TOTO, [key])


def approvals_that_count(plan: Plan, plan_bytes: bytes, envelopes: Sequence[bytes]) -> tuple[PublicKey, ...]:
    """Return the distinct approvers of `plan`, in the plan's order.

    Raises:
        Refused: fewer keys (or people, where the plan says who is who) than its policy asks, only the
            planner's, or a role without a key of its own; all reasons in one line.
    """
    digest = hashlib.sha256(plan_bytes).hexdigest()
    found: dict[bytes, PublicKey] = {}
    reasons: list[str] = []
    if len(envelopes) > MAX_APPROVALS:
        raise Refused(f"{len(envelopes)} approvals are more than the {MAX_APPROVALS} that are looked at")
    for number, envelope in enumerate(envelopes, 1):
        try:
            signers = _signers(envelope, plan.approvers, digest, "approve", plan)
        except Invalid as error:
            reasons.append(f"approval {number}: {error}")
            continue
        if not signers:
            reasons.append(f"approval {number}: not signed by an approver of this plan")
        for key in signers:
            if spki_bytes(key) in found:
                reasons.append(f"approval {number}: the key {key_id(key)} has approved already")
            found.setdefault(spki_bytes(key), key)
    counted = tuple(key for key in _distinct(plan.approvers) if spki_bytes(key) in found)
    people = people_of(plan)
    who = persons((key.spki for key in counted), people)
    if counted and who == persons([plan.planned_by.spki], people):
        reasons.append("who planned may not be the only approver")
        counted_for_threshold = 0
    else:
        counted_for_threshold = len(who)
    if counted_for_threshold < plan.policy.approvals:
        if len(who) < len(counted):
            reasons.append("two keys of one person count once")
        why = "; ".join(reasons) or "approve with `deleatur approve`"
        raise Refused(f"{len(who)} of {plan.policy.approvals} approvals by distinct keys are there: {why}")
    if missing := unfilled(plan.roles, (key.spki for key in counted), people):
        raise Refused(
            f"nobody has approved as {', '.join(missing)}: each role needs a key of its own; "
            "approve with `deleatur approve`"
        )
    return counted


def approvers_in(plan: Plan, plan_bytes: bytes, envelope: bytes) -> tuple[PublicKey, ...]:
    """Return the approvers whose approval of this plan one envelope holds; none if it holds no such."""
    try:
        digest = hashlib.sha256(plan_bytes).hexdigest()
        return _signers(envelope, plan.approvers, digest, "approve", plan)
    except Invalid:
        return ()


def _signers(
    envelope: bytes, trusted: Sequence[PublicKey], digest: str, decision: Decision, plan: Plan
) -> tuple[PublicKey, ...]:
    payload, signers = unseal(envelope, IN_TOTO, _distinct(trusted))
    try:
        statement = decode_canonical(payload, ApprovalStatement)
    except Malformed as error:
        raise Invalid(f"not an approval: {error}") from None
    subjects = [(subject.name, subject.digest.sha256) for subject in statement.subject]
    if subjects != [("plan.json", digest)] or statement.predicate.plan.sha256 != digest:
        raise Invalid("it approves another plan")
    if statement.predicate.decision != decision:
        raise Invalid(f"its decision is to {statement.predicate.decision}, not to {decision}")
    typed = {one.target: one.ending for one in statement.predicate.devices}
    if decision == "approve" and (missing := unconfirmed(plan, typed)):
        raise Invalid(f"it does not say how the serial of {', '.join(missing)} ends")
    return signers


def _distinct(keys: Sequence[PublicKey]) -> tuple[PublicKey, ...]:
    return tuple({spki_bytes(key): key for key in reversed(keys)}.values())[::-1]
