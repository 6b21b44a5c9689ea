"""Look at a target before and after: sample values, scan surfaces, read back, and judge nothing.

What is found goes into events; the verdicts are pure functions of `deleatur.judge.evidence`.
"""

import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType

from deleatur.backend import Backend
from deleatur.documents.job import Verification
from deleatur.documents.journal import Carving, Controlled, SurfaceScan, Verified, WordScan
from deleatur.documents.place import Inspection, Locator, Step, Surface
from deleatur.documents.plan import PlannedTarget
from deleatur.engine.below import held, opened_below
from deleatur.engine.opening import Opener
from deleatur.engine.progress import Progress, told
from deleatur.engine.sampled import (
    EXCERPT,
    Sample,
    Words,
    check_literals,
    digest_of,
    draw_sample,
    keep_shared,
    keep_words,
    recall,
    recall_searched,
    recall_words,
    shared,
)
from deleatur.engine.spool import Spool
from deleatur.errors import Failed, Refused, Transient
from deleatur.judge.evidence import may_have_changed, verdict
from deleatur.judge.sentences import limit
from deleatur.sanitize.carving import carve
from deleatur.sanitize.decoders import WORDS
from deleatur.sanitize.device import MEDIUM
from deleatur.sanitize.digest import keyed_digest
from deleatur.sanitize.marking import shows_what_is_written
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.patterns import Laid, laid
from deleatur.sanitize.scan import NO_WORDS, Hits, Place, Scanner
from deleatur.sanitize.techniques import technique


def scanned_surfaces(planned: PlannedTarget, wanted: Verification) -> tuple[Surface, ...]:
    """Return the surfaces that the core reads raw; devices, memory and swap only if the job asks for them."""
    return tuple(
        s
        for s in planned.surfaces
        if s.reach == "scannable"
        and (wanted.device or not s.is_device)
        and (wanted.memory or not s.in_memory)
        and (wanted.swap or not s.is_put_down)
    )


def surfaces_of_storage(planned: PlannedTarget, wanted: Verification) -> tuple[Surface, ...]:
    """Return those that keep what was written: all but memory, which is looked into once and first."""
    return tuple(s for s in scanned_surfaces(planned, wanted) if not s.in_memory)


def check_units(planned: PlannedTarget, look: Inspection) -> None:
    """Compare what is selected now with what was approved.

    Raises:
        Refused: something was added, removed or changed since the plan.
    """
    reasons = []
    for name, now, then in (("selected", look.units, planned.units), ("held", look.held, planned.held)):
        if set(now) != set(then):
            changed = len({u.name for u in set(now) ^ set(then)})
            reasons.append(f"{planned.id}: {changed} {name} units changed since the plan; plan again")
    if set(look.kept) != set(planned.kept):
        reasons.append(f"{planned.id}: others share blocks with it than when it was planned; plan again")
    reasons += _weaker(planned, look)
    if planned.technique not in {o.technique for o in look.offers}:
        reasons.append(f"{planned.id}: {planned.technique} is no longer possible here")
    if reasons:
        raise Refused("; ".join(reasons))


def _weaker(planned: PlannedTarget, look: Inspection) -> list[str]:
    """Name what an erase would not reach now, and would have reached when it was planned."""
    now = {name for offer in look.offers if offer.technique == planned.technique for name in offer.limits}
    lost = sorted(name for name in now - {*planned.limits} if limit(name).effect == "cap")
    return [f"{planned.id}: {name} holds now and did not when it was planned; plan again" for name in lost]


def check_strangers(planned: PlannedTarget, look: Inspection) -> None:
    """Ask of a target whose erase has begun that nothing new is selected: it would be erased unseen.

    Raises:
        Refused: something came into the selection that nobody approved.
    """
    strangers = {u.name for u in look.units} - {u.name for u in planned.units}
    if strangers:
        raise Refused(
            f"{planned.id}: {len(strangers)} units came into the target after the approval; "
            "move them out and resume"
        )
    if lost := _weaker(planned, look):
        raise Refused("; ".join(lost))


def keep_digest(backend: Backend, key: bytes) -> str:
    """Return a keyed digest of everything inside the target that must stay; "" if nothing can."""
    parts = 0
    digest = keyed_digest(key, b"keep")
    for part in backend.bystanders():
        digest = keyed_digest(key, digest.encode(), part)
        parts += 1
    return digest if parts else ""


@dataclass(frozen=True)
class Findings:
    """What the scans of all surfaces of a target saw."""

    scans: tuple[SurfaceScan, ...] = ()
    seen: frozenset[int] = frozenset()  # distinct values seen anywhere
    places: tuple[Place, ...] = ()  # where the first hits lie
    words: WordScan | UnsetType = UNSET  # of the second set, if there is one

    def and_those(self, more: "Findings") -> "Findings":
        """Return both together; the words are of those only."""
        return Findings(self.scans + more.scans, self.seen | more.seen, self.places + more.places, more.words)


def size_of(surfaces: tuple[Surface, ...]) -> int:
    """Return how many bytes there are to scan, 0 if that cannot be told beforehand."""
    total = 0
    for path in (path for surface in surfaces for path in surface.paths):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            return 0
        total += status.st_size
    return total


def scan_all(
    needles: NeedleSet,
    surfaces: tuple[Surface, ...],
    planned: PlannedTarget,
    progress: Progress,
    words: Words | None = None,
) -> Findings:
    """Scan every surface, in order; for words too, where such a set is given."""
    scanner = Scanner(needles, words.needles if words else NO_WORDS)
    read, total = 0, size_of(surfaces)

    def advance(size: int) -> None:
        nonlocal read
        read += size
        progress("scan", planned.id, read, total)

    found = [scanner.scan_surface(surface, advance) for surface in surfaces]
    return Findings(
        scans=tuple(_with_mark(f.scan, s, planned) for f, s in zip(found, surfaces, strict=True)),
        seen=frozenset().union(*(f.seen for f in found)),
        places=tuple(p for f in found for p in f.places),
        words=_of_words(words, scanner, [f.words for f in found]) if words else UNSET,
    )


def _of_words(words: Words, scanner: Scanner, found: Sequence[Hits]) -> WordScan:
    return WordScan(
        count=words.needles.values,
        set_digest=words.digest,
        hits=sum(hits.count for hits in found),
        seen=len(frozenset().union(*(hits.seen for hits in found))),
        disputed=sum(hits.disputed for hits in found),
        scanners=tuple(e.name for e in scanner.engines_of_words) if words.needles.needles else (),
    )


def _with_mark(scan: SurfaceScan, surface: Surface, planned: PlannedTarget) -> SurfaceScan:
    """Note how many devices of a surface show what is written to the target's file system now."""
    if not surface.is_device:
        return scan
    files = [p for s in planned.surfaces if s.reach == "scannable" and not s.is_device for p in s.paths]
    live = sum(shows_what_is_written(device, files) for device in surface.paths)
    return msgspec.structs.replace(scan, live=live)


def control(
    opener: Opener, planned: PlannedTarget, wanted: Verification, spool: Spool, progress: Progress
) -> Controlled:
    """Sample values, keep them in the spool, and prove that the scanner sees them."""
    with opener.fresh(planned) as (backend, look):
        if look is None:
            raise Refused(f"{planned.id}: is gone before the erase began")
        check_units(planned, look)
        kept = keep_digest(backend, opener.key)
        count = wanted.needles
        if technique(planned.technique).stays and not wanted.device:  # nothing is searched, only seen again
            count = min(count, planned.sampling.count)
        places = draw_sample(backend, planned, count)
        drawn = list(told(places, progress, "sample", planned.id, count))
        check_literals(planned, drawn)
        spool.append(planned.id, drawn)
        spool.seal(planned.id)
        sample = recall(spool, planned)
        if sample is None:
            raise Failed(f"{planned.id}: the sample just taken cannot be read back from the spool")
        numbers = shared(sample, backend, planned)
        keep_shared(spool, planned, numbers)
        if _has_words(planned):
            keep_words(spool, planned, backend)
    words = recall_words(spool, planned, opener.key)
    needles = sample.needles.without(numbers)
    with held(opener, planned, scanned_surfaces(planned, wanted)) as reached:
        found = scan_all(needles, reached, planned, progress, words)
    return Controlled(
        target=planned.id,
        places=len(sample.places),
        values=needles.values,
        shared=len(numbers),
        short=sample.needles.short,
        seen=len(found.seen),
        set_digest=needles.digest(opener.key),
        surfaces=found.scans,
        keep_digest=kept,
        carved=_carved(opener, planned, wanted),
        words=found.words,
    )


def _has_words(planned: PlannedTarget) -> bool:
    return any(WORDS in surface.decoders and not surface.is_device for surface in planned.surfaces)


def _carved(opener: Opener, planned: PlannedTarget, wanted: Verification) -> Carving | None:
    """Have the carver that the job asks for look at a target that is a whole device; None elsewhere."""
    if wanted.carver is None or not technique(planned.technique).stays:
        return None
    with opener.fresh(planned) as (_, look):
        if look is None:
            raise Refused(f"{planned.id}: is gone, and should be there to be searched")
        with opened_below(planned, look) as medium:
            return carve(wanted.carver, f"/proc/{os.getpid()}/fd/{medium.fd}")


def look_into_memory(
    planned: PlannedTarget,
    controlled: Controlled,
    wanted: Verification,
    spool: Spool,
    progress: Progress,
    key: bytes,
) -> Findings:
    """Search the memory of a target's server, if the job asks for it, without a word to the server.

    A server keeps what it is asked: conditions of a job have values in them, and a probe the key of its row.

    Raises:
        Failed: the values of the spool are not those of the control.
        Transient: there was nothing to read, because the server does not run.
    """
    memory = tuple(s for s in scanned_surfaces(planned, wanted) if s.in_memory)
    needles = recall_searched(spool, planned) if memory else None
    if needles is None:
        return Findings()
    found = scan_all(_as_controlled(planned, controlled, needles, key), memory, planned, progress)
    if not all(scan.size for scan in found.scans):
        raise Transient(f"{planned.id}: its server does not run, or not where it did; start it, and resume")
    return found


def verify(
    opener: Opener,
    planned: PlannedTarget,
    controlled: Controlled,
    wanted: Verification,
    spool: Spool,
    progress: Progress,
    left: Step | None,
    in_memory: Findings,
) -> tuple[Verified, Findings]:
    """Look at everything once more, through fresh handles, twice: before and after the scan.

    `left` is the step whose pattern the target still holds; None: nothing of the target may be left.
    `in_memory` is what `look_into_memory` found, before any of this.
    """
    sample = recall(spool, planned)
    first = _read_through(opener, planned, sample, progress, left)
    _check_kept(planned, controlled, first)
    found = Findings()
    values = 0
    if sample is not None:
        needles = _searched(opener, planned, controlled, sample)
        values = needles.values
        with held(opener, planned, surfaces_of_storage(planned, wanted)) as reached:
            unchanged = first.kept == controlled.keep_digest  # else they may be words of rows that came
            words = _words_as_controlled(planned, controlled, spool, opener.key) if unchanged else None
            found = in_memory.and_those(scan_all(needles, reached, planned, progress, words))
    carved = _carved(opener, planned, wanted)
    second = _read_through(opener, planned, sample, progress, left)
    _check_kept(planned, controlled, second)
    present = max(first.present, second.present)
    remaining = max(first.remaining, second.remaining)
    ruling, reason = verdict(
        planned.surfaces,
        controlled,
        found.scans,
        sampled=sample is not None,
        values=values,
        present=present,
        remaining=remaining,
        stays=left is not None,
        words=found.words,
        carved=carved,
    )
    verified = Verified(
        target=planned.id,
        verdict=ruling,
        reason=reason,
        absent=min(first.absent, second.absent),
        present=present,
        remaining=remaining,
        values=values,
        surfaces=found.scans,
        keep_digest=second.kept,
        words=found.words,
        carved=carved,
    )
    return verified, found


def _searched(opener: Opener, planned: PlannedTarget, controlled: Controlled, sample: Sample) -> NeedleSet:
    """Return the values to search for.

    Raises:
        Failed: they are not those of the control.
    """
    with opener.fresh(planned) as (backend, look):
        numbers = frozenset[int]() if look is None else shared(sample, backend, planned)
    return _as_controlled(planned, controlled, sample.needles.without(numbers), opener.key)


def _as_controlled(
    planned: PlannedTarget, controlled: Controlled, needles: NeedleSet, key: bytes
) -> NeedleSet:
    if needles.digest(key) != controlled.set_digest:
        raise Failed(f"{planned.id}: the sampled values are not those of the control; there is no proof")
    return needles


def _words_as_controlled(
    planned: PlannedTarget, controlled: Controlled, spool: Spool, key: bytes
) -> Words | None:
    """Return the words that the control searched; None where it knew of none, as in older journals."""
    if controlled.words is UNSET:
        return None
    words = recall_words(spool, planned, key)
    if words is None or words.digest != controlled.words.set_digest:
        raise Failed(f"{planned.id}: the words are not those of the control; there is no proof")
    return words


@dataclass
class Reading:
    """What one fresh handle saw."""

    absent: int
    present: int
    remaining: int
    kept: str


def _check_kept(planned: PlannedTarget, controlled: Controlled, reading: Reading) -> None:
    """Refuse to go on when something that must stay has changed, by whomever, unless the plan lets others.

    Raises:
        Failed: it is not what it was at the control.
    """
    if not may_have_changed(planned, controlled.keep_digest, reading.kept):
        raise Failed(
            f"{planned.id}: what must stay is not what it was before the erase, so there is no "
            "certificate; compare it with a backup (a job in which others write says `others_write`)"
        )


def _read_through(
    opener: Opener, planned: PlannedTarget, sample: Sample | None, progress: Progress, left: Step | None
) -> Reading:
    places = sample.places if sample is not None else []
    with opener.fresh(planned) as (backend, look):
        if look is None:
            if left is not None:
                raise Refused(f"{planned.id}: is gone, and should hold what it was overwritten with")
            return Reading(absent=len(places), present=0, remaining=0, kept="")
        each = told(places, progress, "verify", planned.id, len(places))
        kept = keep_digest(backend, opener.key)
        if left is not None and left.at_markers:
            before = sample.digests if sample is not None else []
            seen = Counter(_changed(backend, place, was) for place, was in zip(each, before, strict=True))
            return Reading(absent=seen[True], present=seen[False], remaining=0, kept=kept)
        if left is not None and left.pattern is not None:
            pattern = laid(left.pattern)
            seen = Counter(_holds(backend, place, pattern) for place in each)
            return Reading(absent=seen[True], present=seen[False], remaining=0, kept=kept)
        present = sum(backend.probe(p) is not None for p in each)
        units = len(look.units) + sum(1 for _ in backend.sample(1, b""))
        return Reading(len(places) - present, present, units, kept)


def _holds(backend: Backend, place: Locator, pattern: Laid) -> bool | None:
    """Say whether a place holds the pattern; None where a bad medium does not show it."""
    content = _shown(backend, place)
    return None if content is None else content == pattern.read(place.unit, place.offset, place.length)


def _changed(backend: Backend, place: Locator, before: bytes) -> bool | None:
    """Say whether a place holds something else than before; None where that cannot be told.

    A place that held one byte only, as an empty one does, may hold the same after any erase.
    """
    content = _shown(backend, place)
    return None if content is None or not before else digest_of(content[:EXCERPT]) != before


def _shown(backend: Backend, place: Locator) -> bytes | None:
    """Return what a place holds; None where a bad medium does not show it."""
    try:
        return backend.probe(place)
    except OSError as error:
        if error.errno not in MEDIUM:
            raise
        return None
