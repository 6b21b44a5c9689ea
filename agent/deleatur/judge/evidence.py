"""What was looked at after the erase, judged against the control before it.

Pure. Every absence check needs a positive control: no control, no claim.
"""

from collections.abc import Iterator, Sequence

from msgspec import UNSET, UnsetType

from deleatur.documents.journal import Carving, Controlled, SurfaceScan, Verdict, WordScan
from deleatur.documents.place import Surface
from deleatur.documents.plan import PlannedTarget

SCANNERS = 2  # written by different people: what one of them cannot see, the other may
SEEN_BEFORE = 999  # of 1,000 values: a scanner that saw fewer before the erase does not see well enough


def verdict(
    surfaces: Sequence[Surface],
    controlled: Controlled | None,
    scans: Sequence[SurfaceScan],
    *,
    sampled: bool,
    values: int,
    present: int,
    remaining: int,
    stays: bool = False,
    words: WordScan | UnsetType = UNSET,
    carved: Carving | None = None,
) -> tuple[Verdict, str]:
    """Judge a target after its erase, and give the reason in words without data.

    RESIDUE if anything was found: a value in a surface, a sampled place that can still be read, a
    unit that is still selected. CLEAN only if nothing was found by a scanner that had seen the
    same values before the erase, on each surface that must hold them, with no byte left out, by two
    scanners that agree in every occurrence. Else INCONCLUSIVE.

    Args:
        surfaces: the target's surfaces, as they were approved.
        controlled: the control taken before the erase; None if there was none.
        scans: the scans of the target's surfaces after the erase.
        sampled: whether the values sampled before the erase could be searched for.
        values: how many values were searched for.
        present: sampled places that can still be read.
        remaining: units of the selection that a fresh inspection still finds.
        stays: the target is a device that holds its pattern now: what shows that is the comparison with
            the pattern, and a search for values only adds to it, where the job asks for one.
        words: what the scans after the erase saw of words in indexes of the store; unset: not searched.
        carved: what a carver saw after the erase; None: the job asks for none.
    """
    residue = [*_residue(scans, present, remaining, carved), *_residue_of_words(words)]
    if residue:
        return "RESIDUE", "; ".join(residue)
    if stays and controlled is not None and not (controlled.surfaces or scans):
        return "CLEAN", ""
    doubts = list(_doubts(() if stays else surfaces, controlled, scans, sampled, values))
    doubts += _doubts_of_words(controlled, words) if controlled is not None and sampled else ()
    if doubts:
        return "INCONCLUSIVE", "; ".join(doubts)
    return "CLEAN", ""


def carver_saw(controlled: Controlled, carved: Carving) -> bool:
    """Say whether a carver that sees nothing now showed before the erase, itself, that it sees."""
    before = controlled.carved
    return before is not None and before.files > 0 and before.sha256 == carved.sha256


def _residue(
    scans: Sequence[SurfaceScan], present: int, remaining: int, carved: Carving | None
) -> Iterator[str]:
    for scan in scans:
        if scan.hits:
            yield f"{scan.hits} occurrences of {scan.seen} sampled values in {scan.name}"
    if present:
        yield f"{present} sampled places can still be read"
    if remaining:
        yield f"{remaining} selected units are still there"
    if carved is not None and carved.files:
        yield f"{carved.program} carved at least {carved.files} files"


def _residue_of_words(words: WordScan | UnsetType) -> Iterator[str]:
    if words is not UNSET and words.hits:
        yield f"{words.hits} occurrences of {words.seen} words of sampled values in indexes of words"


def _doubts_of_words(controlled: Controlled, words: WordScan | UnsetType) -> Iterator[str]:
    """Yield why no word found proves nothing: an index whose words nobody could see before the erase too."""
    before = controlled.words
    if before is UNSET or not before.count:
        return
    if not before.seen:
        yield f"the control saw none of {before.count} words in indexes of words before the erase"
    if words is UNSET or (words.count, words.set_digest) != (before.count, before.set_digest):
        yield "the words of indexes were not searched again"
        return
    if min(len({*before.scanners}), len({*words.scanners})) < SCANNERS:
        yield "the words of indexes were not searched by two scanners"
    if disputed := before.disputed + words.disputed:
        yield f"the scanners disagree on {disputed} occurrences of words in indexes of words"


def saw_enough(seen: int, values: int) -> bool:
    """Say whether a scan that saw `seen` of `values` values sees well enough to find none of them."""
    return seen * 1000 >= values * SEEN_BEFORE


def _doubts(
    surfaces: Sequence[Surface],
    controlled: Controlled | None,
    scans: Sequence[SurfaceScan],
    sampled: bool,
    values: int,
) -> Iterator[str]:
    """Yield every reason why "nothing found" proves nothing."""
    if controlled is None:
        yield "no positive control was taken before the erase"
        return
    if not controlled.values:
        yield "no sampled value is long and varied enough to be searched for"
    elif not saw_enough(controlled.seen, controlled.values):
        yield f"the control saw only {controlled.seen} of {controlled.values} values before the erase"
    else:
        yield from _doubts_of_control(surfaces, controlled, scans)
    if not sampled:
        yield "the sampled values were lost with the key of their spool, so nothing was searched for"
    elif values < controlled.values:
        yield f"only {values} of the {controlled.values} values of the control were searched for"
    missing = {scan.name for scan in controlled.surfaces} - {scan.name for scan in scans}
    if sampled and missing:
        yield f"not scanned after the erase: {', '.join(sorted(missing))}"
    if sampled:
        yield from _doubts_of_devices(surfaces, controlled, scans)
    expanded = {scan.name: {*scan.decoders} for scan in controlled.surfaces}
    for scan in scans:
        if left := expanded.get(scan.name, set()) - {*scan.decoders}:
            yield f"not expanded again in {scan.name}: values of {', '.join(sorted(left))}"
        if scan.unreadable:
            yield f"{scan.unreadable} bytes of {scan.name} could not be read"
    yield from _doubts_of_scanners((*controlled.surfaces, *scans) if sampled else ())


def _doubts_of_control(
    surfaces: Sequence[Surface], controlled: Controlled, scans: Sequence[SurfaceScan]
) -> Iterator[str]:
    """Yield every surface on which the search did not show that it can see: none speaks for another.

    A surface that the plan does not know, or that was not scanned before, must show the values too.
    """
    seen = {scan.name: scan.seen for scan in controlled.surfaces}
    enough = {name for name, count in seen.items() if saw_enough(count, controlled.values)}
    exempt = {surface.name for surface in surfaces if surface.control == "none"}
    for name in dict.fromkeys((*seen, *(scan.name for scan in scans))):
        if name not in enough and name not in exempt:
            yield (
                f"the control saw only {seen.get(name, 0)} of {controlled.values} values in {name} "
                "before the erase"
            )
    if not enough and seen.keys() <= exempt:
        yield "no surface showed the values before the erase"


def _doubts_of_devices(
    surfaces: Sequence[Surface], controlled: Controlled, scans: Sequence[SurfaceScan]
) -> Iterator[str]:
    """Yield every block device that is another one, an old copy, or was not read to its end."""
    devices = {surface.name: len(surface.paths) for surface in surfaces if surface.is_device}
    before = {scan.name: scan.size for scan in controlled.surfaces}
    for scan in scans:
        if scan.name in devices and scan.size != before.get(scan.name, scan.size):
            yield f"{scan.name} had {before[scan.name]} bytes before the erase and {scan.size} after it"
    for when, looks in (("before", controlled.surfaces), ("after", scans)):
        for scan in looks:
            if scan.live < devices.get(scan.name, 0):
                yield (
                    f"{scan.name} did not show, {when} the erase, what had just been written to the file "
                    "system above it"
                )


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
