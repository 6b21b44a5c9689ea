"""Turn a job and what was seen into a plan, or name every reason why not. Pure.

All randomness comes in as `entropy`, once; what is drawn here is never drawn again.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deleatur.documents.job import Job, Target
from deleatur.documents.place import LIFT, Inspection, Offer, Pattern, Sampling, Step
from deleatur.documents.plan import (
    Plan,
    PlannedHost,
    PlannedTarget,
    PluginPin,
    PublicKey,
    RoleKeys,
    Software,
)
from deleatur.errors import Refused, Unsupported
from deleatur.judge.approvers import unfilled
from deleatur.judge.free_space import SeenSpace, planned_fill, reasons_against
from deleatur.judge.sampling import sample_size
from deleatur.judge.sentences import limit_sentence
from deleatur.sanitize.passes import COMPLEMENT, KEYSTREAM, RANDOM
from deleatur.sanitize.techniques import Action, technique


@dataclass(frozen=True)
class Seen:
    """One target as a read-only look found it."""

    target: Target  # with its URL made absolute
    inspection: Inspection
    plugin: PluginPin
    values_digest: str


@dataclass(frozen=True)
class Authors:
    """Who plans, and whose approvals count."""

    planned_by: PublicKey
    approvers: tuple[PublicKey, ...]
    roles: tuple[RoleKeys, ...] = ()  # that this agent knows


def planning(
    job: Job,
    seen: Sequence[Seen],
    *,
    job_digest: str,
    authors: Authors,
    host: PlannedHost,
    software: Software,
    created_at: str,
    entropy: bytes,
    spaces: Sequence[SeenSpace] = (),
) -> Plan:
    """Return the plan for `job`, to which the engine adds the gates that stand open.

    Raises:
        Refused: the targets, the policy or the approvers do not allow it; all reasons at once. Or a
            backend names a limit without a vetted sentence.
        Unsupported: a technique that no target here allows.
    """
    reasons = [*_too_few_approvers(job, authors), *(r for s in seen for r in _blockers(s)), *_overlaps(seen)]
    reasons += [*reasons_against(spaces), *_memory_out_of_reach(job, seen), *_swap_out_of_reach(job, seen)]
    if reasons:
        raise Refused("; ".join(reasons))
    targets = tuple(_target(job, s, entropy) for s in seen)
    if job.verification.carver and not any(technique(t.technique).stays for t in targets):
        raise Refused(
            "verification.carver asks for a look at a whole device, and no target is one; take it out"
        )
    return Plan(
        schema="deleatur/plan/v1",
        id=_draw(entropy, "plan")[:32],
        job=job.name,
        job_digest=job_digest,
        reason=job.reason,
        authority=job.authority,
        requested_by=job.requested_by,
        created_at=created_at,
        planned_by=authors.planned_by,
        approvers=authors.approvers,
        roles=_roles(job, authors),
        policy=job.policy,
        verification=job.verification,
        custody=job.custody,
        targets=targets,
        steps=_steps(targets, entropy),
        free_space=tuple(planned_fill(s, _draw(entropy, f"fill {s.asked.id}")) for s in spaces),
        gates=(),
        host=host,
        software=software,
    )


def _too_few_approvers(job: Job, authors: Authors) -> list[str]:
    able = {k.spki for k in authors.approvers}
    if len(able) < job.policy.approvals:
        return [f"the policy asks for {job.policy.approvals} approvals and {len(able)} keys may approve"]
    if able == {authors.planned_by.spki}:
        return ["who plans may not be the only approver"]
    if missing := unfilled(_roles(job, authors), able):
        names = ", ".join(missing)
        return [f"the policy asks for an approval as {names}, and no key is left for that: see [roles]"]
    return []


def _roles(job: Job, authors: Authors) -> tuple[RoleKeys, ...]:
    """Return the roles that the policy asks for; nobody has one that this agent does not know."""
    able = {key.spki for key in authors.approvers}
    known = {role.role: tuple(key for key in role.keys if key in able) for role in authors.roles}
    return tuple(RoleKeys(role=name, keys=known.get(name, ())) for name in job.policy.roles)


def _blockers(seen: Seen) -> list[str]:
    look = seen.inspection
    reasons = [f"{seen.target.id}: {b}" for b in look.blockers]
    if not look.units:
        reasons.append(f"{seen.target.id}: nothing there is selected, so there is nothing to erase")
    if not look.offers and not reasons:
        reasons += [f"{seen.target.id}: {d.technique} is not possible: {d.reason}" for d in look.denials]
    return reasons


def _memory_out_of_reach(job: Job, seen: Sequence[Seen]) -> list[str]:
    """Refuse a job that asks for memory, when there is none that can be read or one that cannot."""
    if not job.verification.memory:
        return []
    named = [
        (s.target.id, surface) for s in seen for surface in s.inspection.surfaces if "memory" in surface.name
    ]
    unread = [
        f"{target}: its memory cannot be read as verification.memory asks: {surface.reason}"
        for target, surface in named
        if surface.reach != "scannable"
    ]
    if not any(surface.in_memory for _, surface in named):
        unread.append("verification.memory asks for the memory of a server, and no target has one to read")
    return unread


def _swap_out_of_reach(job: Job, seen: Sequence[Seen]) -> list[str]:
    """Refuse a job that asks for swap areas, when no target is of this host's files."""
    if not job.verification.swap or any(s.is_put_down for one in seen for s in one.inspection.surfaces):
        return []
    return ["verification.swap asks for the swap areas of this host, and no target is of files"]


def _overlaps(seen: Sequence[Seen]) -> list[str]:
    """Refuse targets that share a place: one would be changed by the erase of the other, and never verify.

    Identities name places with the links resolved, so two URLs that lead to one place are seen.
    """
    places = [(s.target.id, dict(s.inspection.identity.fields).get("path", "")) for s in seen]
    return [
        f"{inner} and {outer} overlap; make two jobs, one after the other, or name the larger one alone"
        for n, (outer, above) in enumerate(places)
        for m, (inner, below) in enumerate(places)
        if above and (below.startswith(above.rstrip("/") + "/") or (below == above and n < m))
    ] + _overlaps_of_devices(seen)


def _overlaps_of_devices(seen: Sequence[Seen]) -> list[str]:
    """Refuse a device that stands in the job twice, or beside a partition of it, which is named by it."""
    devices = [
        (s.target.id, s.inspection.identity)
        for s in seen
        if s.inspection.identity.kind in ("block-device", "block-partition")
    ]
    return [
        f"{inner} and {outer} are the same device, or a part of it; name the larger one alone"
        for n, (outer, above) in enumerate(devices)
        for m, (inner, below) in enumerate(devices)
        if n != m
        and below.fields[: len(above.fields)] == above.fields
        and (above.kind != below.kind or (above == below and n < m))
    ]


def _offer(seen: Seen) -> Offer:
    """Return the offer to use: the one asked for, or the strongest. Never another instead."""
    offers: Mapping[str, Offer] = {o.technique: o for o in seen.inspection.offers}
    wanted = seen.target.technique
    if wanted is None:
        return seen.inspection.offers[0]
    if wanted in offers:
        return offers[wanted]
    denied = {d.technique: d.reason for d in seen.inspection.denials}
    why = denied.get(wanted, "this kind of target does not know it")
    raise Unsupported(
        f"{seen.target.id}: {wanted} is not possible here: {why}; possible: {', '.join(offers)}"
    )


def _target(job: Job, seen: Seen, entropy: bytes) -> PlannedTarget:
    offer = _offer(seen)
    for name in offer.limits:  # what no vetted sentence names could not be certified after the erase
        limit_sentence(name)
    look = seen.inspection
    wanted = job.verification
    return PlannedTarget(
        id=seen.target.id,
        target=seen.target,
        identity=look.identity,
        size=look.size,
        units=look.units,
        held=look.held,
        kept=look.kept,
        technique=technique(offer.technique).id,
        limits=offer.limits,
        surfaces=look.surfaces,
        sampling=Sampling(
            mode=wanted.mode,
            count=sample_size(wanted.confidence, wanted.max_bad_fraction),
            seed=_draw(entropy, f"seed {seen.target.id}"),
            confidence=wanted.confidence,
            max_bad_fraction=wanted.max_bad_fraction,
        ),
        plugin=seen.plugin,
        values_digest=seen.values_digest,
        outage=offer.outage,
        shown=None if look.shown == look.size else look.shown,
    )


def _steps(targets: Sequence[PlannedTarget], entropy: bytes) -> tuple[Step, ...]:
    lift: tuple[Action, Pattern | None] = Action(name=LIFT, compare="size"), None
    pairs = [
        (target, action)
        for target in targets
        for action in (
            *(() if target.shown is None else (lift,)),
            *patterned(target.technique, target.id, entropy),
        )
    ]
    return tuple(
        Step(
            id=f"s{number}",
            target=target.id,
            technique=target.technique,
            action=action.name,
            compare=action.compare,
            pattern=pattern,
        )
        for number, (target, (action, pattern)) in enumerate(pairs, start=1)
    )


def patterned(name: str, target: str, entropy: bytes) -> Iterator[tuple[Action, Pattern]]:
    """Yield each action of the technique called `name` with the pattern that it lays, or finds laid.

    The actions of a store share one keystream: what removes must know what was overwritten. The passes
    over a device have one each.
    """
    byte = 0
    for action in technique(name).actions:
        label = f"pattern {target}"
        if action.compare in ("pattern", "none"):
            label += f" {action.name}"
        if action.lays == KEYSTREAM:
            yield action, Pattern(kind="aes-256-ctr", key=_draw(entropy, label))
            continue
        if action.lays == RANDOM:
            byte = int(_draw(entropy, label)[:2], 16)
        elif action.lays == COMPLEMENT:
            byte ^= 0xFF
        drawn = action.lays in (RANDOM, COMPLEMENT)
        yield action, Pattern(kind="bytes", cycle=f"{byte:02x}" if drawn else action.lays)


def _draw(entropy: bytes, label: str) -> str:
    """Derive 64 hex digits for one purpose."""
    return hashlib.sha256(entropy + b"\0" + label.encode()).hexdigest()
