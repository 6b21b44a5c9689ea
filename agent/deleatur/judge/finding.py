"""Judge one target for its certificate: its letter, its limits, and the claims that it may carry.

Pure. What is said of a target comes from its history; what may be said, from the vetted sentences.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import UNSET, UnsetType

from deleatur.documents import certificate as c
from deleatur.documents.gates import MapGate
from deleatur.documents.journal import Carving, Compared, Controlled, Lay, SurfaceScan, Verified
from deleatur.documents.place import Ranges, Step, Surface
from deleatur.documents.plan import Plan, PlannedTarget
from deleatur.documents.ranges import in_both, merged, size_of
from deleatur.errors import Refused
from deleatur.judge.assurance import Assessment, Facts, Reach, assess, exceptional
from deleatur.judge.evidence import carver_saw, saw_enough
from deleatur.judge.free_space import LIFTED
from deleatur.judge.history import StepHistory, TargetHistory
from deleatur.judge.placement import limits_of_placement, placement
from deleatur.judge.sampling import proven, proven_of_many, with_spares
from deleatur.judge.sentences import claim, limit, limit_sentence
from deleatur.sanitize.techniques import technique


class Finding:
    """One target, judged by rule."""

    def __init__(self, plan: Plan, told: TargetHistory, *, filled: bool) -> None:
        """Judge a target; `filled`: the free space of all its file systems was reached afterwards."""
        if told.controlled is None or told.verified is None:
            raise Refused(f"no certificate: {told.planned.id} was not looked at")
        self.planned = told.planned
        self.filled = filled
        self.told = told
        self.stays = technique(told.planned.technique).stays
        self.wanted = plan.verification
        self.gates = [gate for gate in plan.gates if isinstance(gate, MapGate)]
        self.controlled: Controlled = told.controlled
        self.verified: Verified = told.verified
        self.limits = tuple(dict.fromkeys(self._limits()))
        self.assessment: Assessment = assess(
            Facts(
                overwritten=self._overwritten(),
                absent=self._absent(),
                searched=None if self._overwritten() is not None else self._searched(),
                verdict="CLEAN" if self.verified.verdict == "CLEAN" else "INCONCLUSIVE",
                limits=[sentence.id for sentence in self.limits],
                attested=technique(told.planned.technique).attested,
            )
        )

    def _limits(self) -> Iterator[c.Sentence]:
        """Yield everything that the evidence of this target does not reach."""
        for name in self.planned.limits:
            if not (self.filled and name in LIFTED):
                yield limit_sentence(name)
        if self.verified.verdict != "CLEAN":
            yield limit_sentence("not-conclusive", reason=plain(self.verified.reason) or "no reason given")
        if technique(self.planned.technique).attested:
            yield limit_sentence("device-word")
        yield from self._limits_of_medium()
        yield from limits_of_placement(self.planned, self._lay())
        if self._searches and self.controlled.values and not self.verified.values:
            yield limit_sentence("needles-lost")
        if self._searches and self.controlled.short:
            yield limit_sentence("values-too-short", count=self.controlled.short)
        if self.controlled.shared:
            yield limit_sentence("values-shared", count=self.controlled.shared)
        yield from self._limits_of_words()
        if self.verified.keep_digest != self.controlled.keep_digest:
            yield limit_sentence("others-wrote")
        if (carved := self.verified.carved) is not None and not carver_saw(self.controlled, carved):
            yield limit_sentence("carver-saw-nothing", program=carved.program)
        if self.told.earlier_finding:
            yield limit_sentence("earlier-finding")
        for kept in (copy for gate in self.gates for copy in gate.left if copy.target == self.planned.id):
            yield limit_sentence("known-copy-left", place=kept.place, kind=kept.kind)
        if self.planned.held:
            yield limit_sentence("held-units", count=len(self.planned.held))
        yield from self._limits_of_surfaces()
        yield limit_sentence(self._limit_of_memory())
        yield limit_sentence("copies-elsewhere")

    def _limit_of_memory(self) -> str:
        """Return the sentence for what was not looked at of memory."""
        scans = {scan.name for scan in self.verified.surfaces}
        searched = [surface for surface in self.planned.surfaces if surface.name in scans]
        if any(surface.in_memory for surface in searched):
            return "memory-elsewhere"
        return "process-memory-now" if any(s.is_put_down for s in searched) else "process-memory"

    def _limits_of_words(self) -> Iterator[c.Sentence]:
        """Yield what the search in indexes of words does not reach."""
        before = self.controlled.words
        if before is UNSET:
            return
        if not before.count:
            yield limit_sentence("no-words-searched")
        elif before.seen < before.count:
            yield limit_sentence("words-seen-in-part", count=before.count, seen=before.seen)

    @property
    def _searches(self) -> bool:
        """Whether values were searched for: on a device only where the job asks for it."""
        return not self.stays or self.wanted.device

    def _lay(self) -> Lay | None:
        """Return where files lie after they were overwritten; None: nobody told."""
        found = (s.compared.lay for s in self.told.steps.values() if s.compared is not None)
        return next((lay for lay in found if lay is not None), None)

    def _limits_of_medium(self) -> Iterator[c.Sentence]:
        """Yield what the medium did not let us write or read, to the byte."""
        steps = self.told.steps.values()
        unread = merged(r for s in steps if s.compared is not None for r in s.compared.unread)
        if unread:
            refused = merged(r for s in steps for r in s.failed)
            yield limit_sentence(
                "ranges-not-read", ranges=len(unread), count=size_of(unread), refused=in_both(unread, refused)
            )

    def _limits_of_surfaces(self) -> Iterator[c.Sentence]:
        scans = {scan.name: scan for scan in self.verified.surfaces}
        for surface in self.planned.surfaces:
            name, reason = plain(surface.name), plain(surface.reason) or "no reason given"
            if surface.reach == "out-of-reach":
                yield limit_sentence("surface-out-of-reach", name=name, reason=reason)
            elif surface.reach == "attested":
                yield limit_sentence("surface-attested", name=name, reason=reason)
            elif surface.name not in scans:
                if self.stays and not self.wanted.device:
                    continue  # it was compared, which says more than a search
                if surface.is_device and not self.wanted.device:
                    lay = self._lay()
                    read = lay is not None and lay.on_device
                    yield limit_sentence("device-not-searched" if read else "device-not-scanned")
                elif self._asked_for(surface):
                    yield limit_sentence("surface-not-read", name=name)
            elif scans[surface.name].unreadable:
                yield limit_sentence("surface-unreadable", name=name, count=scans[surface.name].unreadable)
            elif surface.control == "none" and not self._saw_enough(surface):
                yield limit_sentence("surface-without-control", name=name)

        left = sum(scan.reserved for scan in self.verified.surfaces)
        if left and not any(s.is_device and s.name in scans for s in self.planned.surfaces):
            yield limit_sentence("reserved-not-read", count=left)

    def _asked_for(self, surface: Surface) -> bool:
        if surface.is_put_down:
            return self.wanted.swap
        return not surface.in_memory or self.wanted.memory

    def _saw_enough(self, surface: Surface) -> bool:
        return saw_enough(_scan_of(surface, self.controlled.surfaces).seen, self.controlled.values)

    def _overwritten(self) -> Reach | None:
        found = [s.compared for s in self.told.steps.values() if s.step.reads_back]
        if not found:
            return None
        if any(f is None or not f.size for f in found):
            return "none"
        if technique(self.planned.technique).attested and any(f is not None and f.unreadable for f in found):
            return "none"  # a marker that cannot be read has not been seen to change
        if any(f is not None and f.unreadable and self._falls_short(f) for f in found):
            return "none"
        return "complete" if all(f is not None and f.read >= f.population for f in found) else "sampled"

    def _falls_short(self, found: Compared) -> bool:
        """Say whether a medium showed too little of a sample for the bound that was planned."""
        drawn_all = found.read + found.unreadable >= found.population
        return not drawn_all and _random_of(found, self.planned) < self.planned.sampling.count

    def _absent(self) -> Reach:
        if self.stays:  # what is not there any more is what the comparison found overwritten
            return self._overwritten() or "none"
        if not self.verified.absent or self.verified.absent < self.controlled.places:
            return "none"
        return "complete" if self.planned.sampling.mode == "full" else "sampled"

    def _searched(self) -> Reach:
        if self.verified.verdict != "CLEAN":
            return "none"
        return "sampled" if self.controlled.places >= self.wanted.needles else "complete"

    def _bound_of_search(self) -> c.Bound | None:
        """Return what the values searched say about those that were not sampled."""
        if self._searched() != "sampled" or not (self._searches and self.verified.values):
            return None
        confidence = self.planned.sampling.confidence
        shown = proven_of_many(self.verified.values, confidence)
        return c.Bound(confidence=confidence, max_bad_fraction=shown.fraction, formula=shown.formula)

    def inventory(self) -> c.Inventory:
        """Return what was there before and after."""
        return c.Inventory(
            target_id=self.planned.id,
            units_before=len(self.planned.units),
            units_after=self.verified.remaining,
            places_sampled=self.controlled.places,
            places_absent=self.verified.absent,
            places_present=self.verified.present,
        )

    def verification(self) -> c.TargetVerification:
        """Return what was looked at, with its numbers."""
        return c.TargetVerification(
            target_id=self.planned.id,
            verdict="CLEAN" if self.verified.verdict == "CLEAN" else "INCONCLUSIVE",
            reason=plain(self.verified.reason),
            comparisons=tuple(self._comparisons()),
            needles=c.Needles(
                set_digest=self.controlled.set_digest,
                count=self.controlled.values,
                left_out_shared=self.controlled.shared,
                left_out_short=self.controlled.short,
                positive_control=self.controlled.seen,
                searched=self.verified.values,
                hits=sum(scan.hits for scan in self.verified.surfaces),
                bound=self._bound_of_search(),
            ),
            surfaces=tuple(self._surface(surface) for surface in self.planned.surfaces),
            kept=c.Kept(before=self.controlled.keep_digest, after=self.verified.keep_digest),
            as_at=self.told.verified_at,
            words=self._words(),
        )

    def _words(self) -> c.Words | UnsetType:
        before, after = self.controlled.words, self.verified.words
        if before is UNSET:
            return UNSET
        return c.Words(
            set_digest=before.set_digest,
            count=before.count,
            positive_control=before.seen,
            searched=0 if after is UNSET else after.count,
            hits=0 if after is UNSET else after.hits,
            disputed=before.disputed + (0 if after is UNSET else after.disputed),
            scanners=before.scanners,
        )

    def _comparisons(self) -> Iterator[c.Comparison]:
        for told in self.told.steps.values():
            if told.step.reads_back and told.compared is not None:
                yield _comparison(told, told.compared, self.planned)

    def _surface(self, surface: Surface) -> c.ScannedSurface:
        before = _scan_of(surface, self.controlled.surfaces)
        after = _scan_of(surface, self.verified.surfaces)
        compared = [s.compared for s in self.told.steps.values() if s.compared is not None]
        between = [_scan_of(surface, found.surfaces) for found in compared]
        return c.ScannedSurface(
            name=plain(surface.name),
            reach=surface.reach,
            reason=plain(surface.reason),
            control=surface.control,
            bytes_before=before.size,
            values_seen_before=before.seen,
            bytes_at_compare=sum(scan.size for scan in between),
            hits_at_compare=sum(scan.hits for scan in between),
            bytes_after=after.size,
            hits_after=after.hits,
            unreadable_after=after.unreadable,
            scanners=tuple(name for name in after.scanners if name in before.scanners),
            decoders=tuple(name for name in after.decoders if name in before.decoders),
            disputed=sum(scan.disputed for scan in (before, *between, after)),
        )

    def exceptions(self) -> Iterator[c.TargetException]:
        """Yield what the evidence should have reached and did not."""
        for sentence in self.limits:
            found = limit(sentence.id)
            if found.effect != "boundary":
                yield c.TargetException(
                    target_id=self.planned.id, type=found.type, sentence=sentence, disposition="accepted"
                )

    def boundaries(self) -> Iterator[c.Sentence]:
        """Yield the limits that hold for every erase of this kind."""
        return (s for s in self.limits if limit(s.id).effect == "boundary" and s.id != "copies-elsewhere")

    def outcome(self) -> c.Outcome:
        """Return what may be said."""
        level = self.assessment.level
        state: c.State = "verified"
        if exceptional([sentence.id for sentence in self.limits]):
            state = "verified-with-exceptions"
        if level == "A0":
            state = "executed-unverified"
        return c.Outcome(
            target_id=self.planned.id,
            state=state,
            assurance=f"{level}/{technique(self.planned.technique).scope}",
            limited_by=self.assessment.limited_by,
            claims=tuple(self._claims()),
        )

    def _claims(self) -> Iterator[c.Sentence]:
        """Yield only what this level may say."""
        at = self.told.verified_at
        if self.assessment.level == "A0":
            yield claim("executed", at=max(step.ended_at for step in self.told.steps.values()))
        else:
            if technique(self.planned.technique).attested:
                yield claim("device-reported", at=max(step.ended_at for step in self.told.steps.values()))
            if self.planned.shown is not None:
                yield claim(
                    "hidden-lifted",
                    at=max(s.ended_at for s in self.told.steps.values() if s.step.of_each_run),
                    hidden=self.planned.size - self.planned.shown,
                    size=self.planned.size,
                )
            for found in self._comparisons():
                yield _overwritten_claim(found)
            if not self.stays:
                yield claim(
                    "absent-complete" if self._absent() == "complete" else "absent-sampled",
                    at=at,
                    units=len(self.planned.units),
                    places=self.verified.absent,
                )
            if self._searches and self.verified.values:
                yield claim(
                    "searched",
                    at=at,
                    values=self.verified.values,
                    size=sum(scan.size for scan in self._scans_after()),
                    surfaces=len(self.verified.surfaces),
                    seen=self.controlled.seen,
                )
            if (bound := self._bound_of_search()) is not None:
                yield claim(
                    "searched-sampled", at=at, confidence=bound.confidence, fraction=bound.max_bad_fraction
                )
            if (carved := self.verified.carved) is not None and carver_saw(self.controlled, carved):
                yield self._carved_claim(carved)
        if self.verified.keep_digest and self.verified.keep_digest == self.controlled.keep_digest:
            yield claim("kept", at=at)

    def _carved_claim(self, carved: Carving) -> c.Sentence:
        before = self.controlled.carved
        return claim(
            "carved",
            at=self.told.verified_at,
            program=carved.program,
            version=plain(carved.version) or "unknown",
            sha256=carved.sha256,
            seen=before.files if before is not None else 0,
            kinds=", ".join(kind for kind, _ in before.kinds) if before is not None else "",
        )

    def _scans_after(self) -> list[SurfaceScan]:
        compared = [s.compared for s in self.told.steps.values() if s.compared is not None]
        return [*self.verified.surfaces, *(scan for found in compared for scan in found.surfaces)]


def _scan_of(surface: Surface, scans: Sequence[SurfaceScan]) -> SurfaceScan:
    nothing = SurfaceScan(name=surface.name, size=0, hits=0, seen=0)
    return next((scan for scan in scans if scan.name == surface.name), nothing)


def _comparison(told: StepHistory, found: Compared, planned: PlannedTarget) -> c.Comparison:
    bound = None
    random = _random_of(found, planned)
    if found.read + found.unreadable < found.population and random:
        confidence = planned.sampling.confidence
        shown = (
            proven_of_many(random, confidence)  # of those that can be read, and nobody knows how many can
            if found.unreadable
            else proven(found.population, random, confidence)
        )
        bound = c.Bound(confidence=confidence, max_bad_fraction=shown.fraction, formula=shown.formula)
    return c.Comparison(
        step=told.step.id,
        compare=_compared_with(told.step),
        mode=found.mode,
        population=found.population,
        sampled=found.read,
        bytes_read=found.size,
        mismatches=found.mismatches,
        unreadable=found.unreadable,
        seed=told.seed,
        not_written=_listed(merged(told.failed)),
        not_read=_listed(found.unread),
        bound=bound,
        placement=None if found.lay is None else placement(planned, found.lay),
        at=told.compared_at,
    )


def _random_of(found: Compared, planned: PlannedTarget) -> int:
    """Return how many places, drawn at random, were read at least: the first and the last are no chance.

    Where the medium did not show some of them, nobody knows whether these were drawn: all of them count so.
    """
    count = planned.sampling.count
    if not found.unreadable:
        return min(found.read, count)
    return max(min(min(with_spares(count), found.population) - found.unreadable, count), 0)


def _compared_with(step: Step) -> Literal["keystream", "pattern", "marked", "changed"]:
    match step.compare:
        case "pattern" | "marked" | "changed":
            return step.compare
    return "keystream"


def _listed(ranges: Ranges) -> tuple[c.Range, ...]:
    return tuple(c.Range(start=start, end=end) for start, end in ranges)


def _overwritten_claim(found: c.Comparison) -> c.Sentence:
    if found.compare in ("marked", "changed"):
        name = "markers-written" if found.compare == "marked" else "markers-changed"
        return claim(name, at=found.at, read=found.sampled, size=found.bytes_read)
    if found.unreadable and found.bound is not None:
        return claim(
            "overwritten-sampled-readable",
            at=found.at,
            read=found.sampled,
            population=found.population,
            left=found.unreadable,
            confidence=found.bound.confidence,
            fraction=found.bound.max_bad_fraction,
        )
    if found.unreadable:
        return claim(
            "overwritten-readable",
            at=found.at,
            read=found.sampled,
            size=found.bytes_read,
            left=found.unreadable,
        )
    if found.bound is None:
        return claim("overwritten-complete", at=found.at, read=found.sampled, size=found.bytes_read)
    return claim(
        "overwritten-sampled",
        at=found.at,
        read=found.sampled,
        population=found.population,
        confidence=found.bound.confidence,
        fraction=found.bound.max_bad_fraction,
    )


def plain(text: str) -> str:
    """Show every character that could hide or turn what stands there, in NFC."""
    shown = (char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in text)
    return unicodedata.normalize("NFC", "".join(shown))
