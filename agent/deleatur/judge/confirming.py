"""What an approver of a plan must type: the end of each disk's serial, and of a bucket's name. Pure.

Rule kept: who approves the erase of a disk has read its serial somewhere, and it ends as the plan says; who
approves that a retention is bypassed names the bucket that has it.
"""

from collections.abc import Mapping

from deleatur.documents.plan import Plan, PlannedTarget

LEAST = 4  # characters; all of a shorter mark
_KINDS = ("block-device", "block-partition")
_BYPASSING = "delete-versions-bypassing-governance"
_MARKS = ("serial", "wwid", "mapping", "backing", "diskseq")  # the first that the device has


def marks(plan: Plan) -> dict[str, tuple[str, str]]:
    """Return for each target of which something must be typed the name of its mark and the mark itself."""
    devices = {one.id: _mark(one) for one in plan.targets if one.identity.kind in _KINDS}
    buckets = {
        one.id: ("bucket whose retention is bypassed", dict(one.identity.fields).get("bucket", one.id))
        for one in plan.targets
        if one.technique == _BYPASSING
    }
    return devices | buckets


def unconfirmed(plan: Plan, typed: Mapping[str, str]) -> tuple[str, ...]:
    """Return the targets that have a mark which does not end with what was typed of it."""
    return tuple(name for name, (_, mark) in marks(plan).items() if not ends_with(mark, typed.get(name, "")))


def ends_with(mark: str, typed: str) -> bool:
    """Say whether enough was typed, and the mark ends with it; letters count in either case."""
    enough = len(typed) >= min(LEAST, len(mark))
    return enough and mark.casefold().endswith(typed.casefold())


def _mark(target: PlannedTarget) -> tuple[str, str]:
    fields = dict(target.identity.fields)
    name = next((name for name in _MARKS if fields.get(name)), "")
    return (name, fields[name]) if name else ("id", target.id)
