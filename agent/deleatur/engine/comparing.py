"""Read back what a step left behind, and compare it with the plan's pattern; judge nothing."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import msgspec

from deleatur.documents.job import Verification
from deleatur.documents.journal import Compared, Lay
from deleatur.documents.place import Inspection, Locator, Pattern, Ranges, Step
from deleatur.documents.plan import PlannedTarget
from deleatur.documents.ranges import merged, size_of
from deleatur.engine.below import held, opened_below
from deleatur.engine.looking import Findings, scan_all, surfaces_of_storage
from deleatur.engine.opening import Opener
from deleatur.engine.progress import Progress
from deleatur.engine.sampled import recall
from deleatur.engine.spool import Spool
from deleatur.errors import Refused
from deleatur.judge.fold import StepProgress
from deleatur.judge.markers import marker_places
from deleatur.judge.sampling import positions, with_spares
from deleatur.sanitize.device import PIECE, compare_device
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.patterns import laid
from deleatur.sanitize.pipeline import Piece
from deleatur.sanitize.placement import read_on_device

MOST_SHOWN = 1000  # ranges that differ: more of them say no more, and a journal line is short


def compare(
    opener: Opener,
    planned: PlannedTarget,
    step: Step,
    state: StepProgress,
    wanted: Verification,
    spool: Spool,
    progress: Progress,
) -> tuple[Compared, Findings]:
    """Read a step back through a fresh handle, and scan what still has a name."""
    if step.pattern is None:
        raise Refused(f"{step.id}: has no pattern to compare with")
    looked = _markers if step.at_markers else _device if step.stays else _units
    compared = looked(opener, planned, step, step.pattern, state, progress)
    found = Findings()
    sample = recall(spool, planned)
    if sample is not None:
        with held(opener, planned, surfaces_of_storage(planned, wanted)) as reached:
            found = scan_all(sample.needles, reached, planned, progress)
    return msgspec.structs.replace(compared, surfaces=found.scans), found


def _units(
    opener: Opener,
    planned: PlannedTarget,
    step: Step,
    pattern: Pattern,
    state: StepProgress,
    progress: Progress,
) -> Compared:
    """Compare the places that the backend names, one after the other."""
    stream = Keystream(pattern.key)
    full = planned.sampling.mode == "full"
    missing = {u.name: u.size for u in planned.units}
    read = size = below = mismatches = 0
    with opener.fresh(planned) as (backend, look), ExitStack() as opened:
        places = [] if look is None else list(backend.sample(None, bytes.fromhex(planned.sampling.seed)))
        device = _device_below(look, opened)
        for place in places if full else _chosen(places, planned, state.seed):
            content = backend.probe(place)
            expected = stream.read(place.unit, place.offset, place.length)
            mismatches += content != expected
            if device is not None and (ranges := backend.below(place)):
                mismatches += content == expected != read_on_device(device, ranges)
                below += place.length
            read += 1
            size += place.length
            progress("compare", planned.id, size, planned.size)
    for place in places:  # a unit that the backend does not list was not read
        missing[place.unit] = missing.get(place.unit, 0) - place.length
    mismatches += sum(left > 0 for left in missing.values())
    compared = _compared(step, planned, len(places), read, size, mismatches)
    return msgspec.structs.replace(compared, lay=lay_of(planned, look, below))


def _device_below(look: Inspection | None, opened: ExitStack) -> int | None:
    """Open the block device below the files, as it is named now; only ours can hold what must stand there.

    None where this user may not, as in a container: then nothing counts as read there.
    """
    surfaces = () if look is None else look.surfaces
    paths = [path for s in surfaces if s.is_device and s.reach == "scannable" for path in s.paths]
    if len(paths) != 1:
        return None
    try:
        fd = os.open(paths[0], os.O_RDONLY | os.O_DIRECT | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        return None
    opened.callback(os.close, fd)
    return fd


def lay_of(planned: PlannedTarget, look: Inspection | None, on_device: int) -> Lay | None:
    """Count where units lie now against where they lay; None when nobody told where any of them lay."""
    if not any(unit.lies for unit in planned.units):
        return None
    now = {} if look is None else {unit.name: unit.lies for unit in look.units}
    kept = {k.unit for k in planned.kept}
    told = [u for u in planned.units if u.size and u.name not in kept and u.lies]
    moved = [u.name for u in told if now.get(u.name) != u.lies]
    return Lay(
        in_place=len(told) - len(moved),
        moved=len(moved),
        kept=len(kept),
        untold=sum(1 for u in planned.units if u.size and u.name not in kept and not u.lies),
        moved_units=tuple(moved[:MOST_SHOWN]),
        on_device=on_device,
    )


def _device(
    opener: Opener,
    planned: PlannedTarget,
    step: Step,
    pattern: Pattern,
    state: StepProgress,
    progress: Progress,
) -> Compared:
    """Compare the whole device, or a sample of it, without the backend: the core reads it itself."""
    unit = planned.units[0]
    places = Places(unit.size)
    chosen: Iterable[int] = range(len(places))
    if planned.sampling.mode == "sample":
        count = with_spares(planned.sampling.count)
        picked = positions(bytes.fromhex(state.seed), len(places), count)
        chosen = sorted({*picked, 0, len(places) - 1, *places.touched(state.failed)})
    read = size = mismatches = 0
    differ: list[tuple[int, int]] = []
    unread: Ranges = ()
    with opener.fresh(planned) as (_, look):
        if look is None:
            raise Refused(f"{planned.id}: is gone, and should hold what it was overwritten with")
        with opened_below(planned, look) as medium:
            pieces = (places[n] for n in chosen)
            for found in compare_device(medium, laid(pattern), unit.name, pieces):
                read += not found.unread
                size += found.length - size_of(found.unread)
                mismatches += bool(found.differ)
                differ += found.differ[: MOST_SHOWN - len(differ)]
                unread = merged((*unread, *found.unread))
                progress("compare", planned.id, size, planned.size)
    compared = _compared(step, planned, len(places), read, size, mismatches)
    unreadable = len(set(places.touched(unread)))
    return msgspec.structs.replace(compared, unreadable=unreadable, differ=tuple(differ), unread=unread)


def _markers(
    opener: Opener,
    planned: PlannedTarget,
    step: Step,
    pattern: Pattern,
    _state: StepProgress,
    progress: Progress,
) -> Compared:
    """Read every marker: before the command each must hold its pattern, after it no sector of any may."""
    unit = planned.units[0]
    places = marker_places(unit.size, pattern.key)
    read = size = mismatches = 0
    differ: list[tuple[int, int]] = []
    unread: Ranges = ()
    with opener.fresh(planned) as (_, look):
        if look is None:
            raise Refused(f"{planned.id}: is gone, and should be there to be read back")
        with opened_below(planned, look) as medium:
            for found in compare_device(medium, laid(pattern), unit.name, places):
                held = (
                    found.length - size_of(found.differ) - size_of(found.unread)
                )  # bytes as they were written
                read += not found.unread
                size += found.length - size_of(found.unread)
                mismatches += bool(found.differ) if step.compare == "marked" else bool(held)
                differ += found.differ[: MOST_SHOWN - len(differ)] if step.compare == "marked" else ()
                unread = merged((*unread, *found.unread))
                progress("compare", planned.id, size, planned.size)
    compared = _compared(step, planned, len(places), read, size, mismatches)
    return msgspec.structs.replace(
        compared, mode="full", unreadable=len(places) - read, differ=tuple(differ), unread=unread
    )


class Places:
    """The places of a device, in order: computed, so that a large one takes no more memory than a small."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return (self._size + PIECE - 1) // PIECE

    def __getitem__(self, number: int) -> Piece:
        start = number * PIECE
        return start, min(PIECE, self._size - start)

    def touched(self, ranges: Ranges) -> Iterator[int]:
        """Yield the number of each place that has a part in one of the ranges."""
        for start, end in ranges:
            yield from range(start // PIECE, -(-end // PIECE))


def _chosen(places: list[Locator], planned: PlannedTarget, seed: str) -> list[Locator]:
    """Return the sample that the seed fixes, with the first and the last place."""
    picked = positions(bytes.fromhex(seed), len(places), planned.sampling.count)
    return [places[i] for i in sorted({*picked, 0, len(places) - 1})] if places else []


def _compared(
    step: Step, planned: PlannedTarget, population: int, read: int, size: int, mismatches: int
) -> Compared:
    return Compared(
        step=step.id,
        mode=planned.sampling.mode,
        population=population,
        read=read,
        size=size,
        mismatches=mismatches,
        unreadable=0,
        surfaces=(),
    )
