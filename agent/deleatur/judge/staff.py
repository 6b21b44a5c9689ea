"""Tell people from keys: who approves, who runs, and that these are not the same. Pure.

Rules: what counts is a person, as far as the agent's settings say who holds which key; who approved a
plan does not run it; where a job asks for it, an operator is trained on the very day.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from deleatur.documents.gates import Member, StaffGate
from deleatur.documents.journal import Entry, Passed
from deleatur.documents.plan import Plan, PublicKey
from deleatur.judge.approvers import unfilled
from deleatur.judge.fingerprint import key_id, spki_bytes


def staff_of(plan: Plan) -> StaffGate | None:
    """Return who is who in a plan; None where keys alone count."""
    return next((gate for gate in plan.gates if isinstance(gate, StaffGate)), None)


def people_of(plan: Plan) -> Mapping[str, str]:
    """Return the person of each key (SubjectPublicKeyInfo) of which the plan says whose it is."""
    gate = staff_of(plan)
    return {} if gate is None else _holders(gate.people)


def persons(keys: Iterable[str], people: Mapping[str, str]) -> frozenset[str]:
    """Return who holds these keys; a key that is nobody's stands for itself."""
    return frozenset(people.get(key, key) for key in keys)


def digest_of(key: PublicKey) -> str:
    """Return the SHA-256 (hex) of a key's SubjectPublicKeyInfo: how the journal names an operator."""
    return hashlib.sha256(spki_bytes(key)).hexdigest()


def objections(gate: StaffGate, plan: Plan, custodians: Sequence[PublicKey], day: str) -> Iterator[str]:
    """Yield why these people cannot do this job.

    Args:
        gate: who is who.
        plan: who may approve, and in which roles.
        custodians: whose receipts the job asks for.
        day: today, YYYY-MM-DD.
    """
    keys = [key for member in gate.people for key in member.keys]
    people = _holders(gate.people)
    if len(set(keys)) != len(keys):
        yield "a key stands with two people in [[person]]; it is one person's"
    if nobody := [key_id(key) for key in plan.approvers if key.spki not in people]:
        yield f"nobody in [[person]] holds {', '.join(nobody)}, which may approve"
    able = {key.spki for key in plan.approvers}
    if len(persons(able, people)) < plan.policy.approvals:
        count = len(persons(able, people))
        yield f"the policy asks for {plan.policy.approvals} approvals, and {count} people may approve"
    elif missing := unfilled(plan.roles, able, people):
        yield f"nobody is left to approve as {', '.join(missing)}: each role needs a person of its own"
    held = [people[key.spki] for key in custodians if key.spki in people]
    for name in sorted({name for name in held if held.count(name) > 1}):
        yield f"{name} would be two custodians of one archive; name another person"
    if not any(_may_run(gate, member, day) for member in gate.people):
        yield f"nobody in [[person]] may run a job on {day}: see `trained_until`"


def operator_in(
    gate: StaffGate, known: Sequence[Member], signers: Sequence[PublicKey], approved: Sequence[str], day: str
) -> tuple[PublicKey | None, str]:
    """Return the key of who runs a job, or why none of those who sign its certificate may.

    Args:
        gate: who was who when the plan was made.
        known: who is who in the agent's settings now.
        signers: keys that are here and sign the certificate.
        approved: key ids of those who approved the plan.
        day: today, YYYY-MM-DD.
    """
    if [(m.name, m.keys) for m in known] != [(m.name, m.keys) for m in gate.people]:
        return None, "[[person]] of the settings is not as it was when the plan was made; plan again"
    reasons = []
    for key in signers:
        fault = operator_fault(gate, key, approved, day)
        now = next((m for m in known if key.spki in m.keys), None)
        if not fault and now is not None and not _may_run(gate, now, day):
            fault = f"{now.name} may not run a job on {day}, say the settings"
        if not fault:
            return key, ""
        reasons.append(fault)
    return None, f"no operator runs this job: {'; '.join(reasons)}; run it with `--key` of an operator"


def operator_fault(gate: StaffGate, key: PublicKey, approved: Sequence[str], day: str) -> str:
    """Return why the holder of a key may not run a job that `approved` (key ids) let go; "" if they may."""
    member = next((m for m in gate.people if key.spki in m.keys), None)
    if member is None:
        return f"{key.name} is nobody in [[person]]"
    if member.trained_until is None:
        return f"{member.name} is no operator"
    if not _may_run(gate, member, day):
        return f"the training of {member.name} ended on {member.trained_until}"
    if not set(approved).isdisjoint(key_id(PublicKey(name=member.name, spki=k)) for k in member.keys):
        return f"{member.name} has approved this plan, and who approves does not run it"
    return ""


def keys_of(gate: StaffGate) -> Iterator[PublicKey]:
    """Yield every key of somebody who may run jobs, under its person's name."""
    for member in gate.people:
        if member.trained_until is not None:
            yield from (PublicKey(name=member.name, spki=key) for key in member.keys)


def who_ran(plan: Plan, entries: Sequence[Entry]) -> Iterator[PublicKey]:
    """Yield the key of everybody who ran a job at any time, as far as its plan says who is who."""
    gate = staff_of(plan)
    if gate is None:
        return
    passed = {e.event.digest for e in entries if isinstance(e.event, Passed) and e.event.gate == gate.name}
    yield from (key for key in keys_of(gate) if digest_of(key) in passed)


def _may_run(gate: StaffGate, member: Member, day: str) -> bool:
    if member.trained_until is None:
        return False
    return gate.operator == "named" or day <= member.trained_until


def _holders(people: Sequence[Member]) -> dict[str, str]:
    return {key: member.name for member in people for key in member.keys}
