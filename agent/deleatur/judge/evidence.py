"""What was looked at after the erase, judged against the control before it.

Pure. Every absence check needs a positive control: no control, no claim.
"""

from collections.abc import Iterator, Sequence

from deleatur.documents.journal import Controlled, SurfaceScan, Verdict
from deleatur.documents.plan import PlannedTarget

SCANNERS = 2  # written by different people: what one of them cannot see, the other may
SEEN_BEFORE = 999  # of 1,000 values: a scanner that saw fewer before the erase does not see well enough


def verdict(
    controlled: Controlled | None,
    scans: Sequence[SurfaceScan],
    *,
    sampled: bool,
    values: int,
    present: int,
    remaining: int,
) -> tuple[Verdict, str]:
    """Judge a target after its erase, and give the reason in words without data.

    RESIDUE if anything was found: a value in a surface, a sampled place that can still be read, a
    unit that is still selected. CLEAN only if nothing was found by a scanner that had seen the
    same values before the erase, on the same surfaces, with no byte left out, by two scanners that
    agree in every occurrence. Else INCONCLUSIVE.

    Args:
        controlled: the control taken before the erase; None if there was none.
        scans: the scans of the target's surfaces after the erase.
        sampled: whether the values sampled before the erase could be searched for.
        values: how many values were searched for.
        present: sampled places that can still be read.
        remaining: units of the selection that a fresh inspection still finds.
    """
    residue = list(_residue(scans, present, remaining))
    if residue:
        return "RESIDUE", "; ".join(residue)
    doubts = list(_doubts(controlled, scans, sampled, values))
    if doubts:
        return "INCONCLUSIVE", "; ".join(doubts)
    return "CLEAN", ""


def _residue(scans: Sequence[SurfaceScan], present: int, remaining: int) -> Iterator[str]:
    for scan in scans:
        if scan.hits:
            yield f"{scan.hits} occurrences of {scan.seen} sampled values in {scan.name}"
    if present:
        yield f"{present} sampled places can still be read"
    if remaining:
        yield f"{remaining} selected units are still there"


def _doubts(
    controlled: Controlled | None, scans: Sequence[SurfaceScan], sampled: bool, values: int
) -> Iterator[str]:
    """Yield every reason why "nothing found" proves nothing."""
    if controlled is None:
        yield "no positive control was taken before the erase"
        return
    if not controlled.values:
        yield "no sampled value is long and varied enough to be searched for"
    elif controlled.seen * 1000 < controlled.values * SEEN_BEFORE:
        yield f"the control saw only {controlled.seen} of {controlled.values} values before the erase"
    if not sampled:
        yield "the sampled values were lost with the key of their spool, so nothing was searched for"
    elif values < controlled.values:
        yield f"only {values} of the {controlled.values} values of the control were searched for"
    missing = {scan.name for scan in controlled.surfaces} - {scan.name for scan in scans}
    if sampled and missing:
        yield f"not scanned after the erase: {', '.join(sorted(missing))}"
    expanded = {scan.name: {*scan.decoders} for scan in controlled.surfaces}
    for scan in scans:
        if left := expanded.get(scan.name, set()) - {*scan.decoders}:
            yield f"not expanded again in {scan.name}: values of {', '.join(sorted(left))}"
        if scan.unreadable:
            yield f"{scan.unreadable} bytes of {scan.name} could not be read"
    yield from _doubts_of_scanners((*controlled.surfaces, *scans) if sampled else ())


def _doubts_of_scanners(scans: Sequence[SurfaceScan]) -> Iterator[str]:
    """Yield where fewer than two scanners looked, or where they did not see the same."""
    alone = {scan.name for scan in scans if len({*scan.scanners}) < SCANNERS}
    if alone:
        yield f"not searched by two scanners: {', '.join(sorted(alone))}"
    for scan in scans:
        if scan.disputed:
            yield f"the scanners disagree on {scan.disputed} of {scan.hits} occurrences in {scan.name}"


def may_have_changed(planned: PlannedTarget, before: str, after: str) -> bool:
    """Say whether what had to stay may have the one digest before the erase and the other one after.

    Only where the plan says that others write there; and nothing at all left is never their doing.
    """
    return before == after or (planned.target.others_write and bool(after))
