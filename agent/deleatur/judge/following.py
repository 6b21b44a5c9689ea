"""Say what a job left on hold, and what is still left after the jobs that went on with it. Pure.

Rules: a later certificate counts only if it names the one before by digest; it takes away no more than
its own plan looked at and found free; what cannot be compared stays as it was left.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deleatur.documents.certificate import Certificate
from deleatur.documents.gates import FollowGate
from deleatur.documents.job import nested
from deleatur.documents.plan import Plan, PlannedTarget
from deleatur.errors import Invalid

_UNTIL = re.compile(r".* until ([0-9]{4}-[0-9]{2}-[0-9]{2})\Z")  # as a backend ends the name of a lock
_BYPASSED = "governance-bypassed"  # a lock that the plan names may go before its day


@dataclass(frozen=True)
class Left:
    """What a target kept because it was on hold."""

    target: str
    name: str  # of the unit, as the plan has it
    size: int  # rows, versions or bytes, as the backend counts what it holds
    until: str  # last day of the lock; "": no day is known


def left_by(plan: Plan) -> tuple[Left, ...]:
    """Return what the plan left on hold."""
    return tuple(one for target in plan.targets for one in _left(target))


def left_after(
    left: tuple[Left, ...], earlier: tuple[Plan, Certificate, str], later: tuple[Plan, Certificate]
) -> tuple[Left, ...]:
    """Return what of `left` still is, by a certificate that goes on with an earlier one.

    Args:
        left: what was left after the earlier certificate.
        earlier: its plan, itself, and the sha256 of its envelope.
        later: plan and certificate of the job that went on.

    Raises:
        Invalid: it goes on with another certificate, is older than it, has nothing to do with what was left,
            or says that a lock was gone before its day.
    """
    first, certificate, digest = earlier
    plan, then = later
    if digest not in {gate.digest for gate in plan.gates if isinstance(gate, FollowGate)}:
        raise Invalid(f"certificate {then.certificate_id} does not go on with {certificate.certificate_id}")
    if plan.created_at < certificate.times.verified:
        raise Invalid(f"certificate {then.certificate_id} was planned before the one that it goes on with")
    before = {target.id: target for target in first.targets}
    now = {
        target.id: target
        for target in plan.targets
        if target.id in before and _same(before[target.id], target)
    }
    concerned = {one.target for one in left} & now.keys()
    if not concerned:
        raise Invalid(
            f"certificate {then.certificate_id} has no target of which it can be shown that it was left"
        )
    for one in left:
        if one.target in concerned:
            _require_ended(one, now[one.target], plan.created_at[:10], then.certificate_id)
    kept = (one for one in left if one.target not in concerned)
    return (*kept, *(one for name in sorted(concerned) for one in _left(now[name])))


def _left(target: PlannedTarget) -> Iterator[Left]:
    for unit in target.held:
        day = _UNTIL.fullmatch(unit.name)
        yield Left(target.id, unit.name, unit.size, day[1] if day else "")


def _same(before: PlannedTarget, now: PlannedTarget) -> bool:
    """Whether both looked at the same things; files of values are in no plan, so nobody can compare them."""
    chosen = (s.where for target in (before, now) for s in target.target.select)
    if any(c.values_from is not None for where in chosen for c in nested(where)):
        return False
    return (before.identity, before.target.url, before.target.select) == (
        now.identity,
        now.target.url,
        now.target.select,
    )


def _require_ended(one: Left, now: PlannedTarget, day: str, certificate: str) -> None:
    """Ask that what is not held any more had a lock that could have ended by then."""
    held = {unit.name for unit in now.held}
    if day < one.until and one.name not in held and _BYPASSED not in now.limits:
        raise Invalid(
            f"certificate {certificate} was planned on {day} and finds {one.target} free, of which a lock "
            f"lasts until {one.until}"
        )
