"""Judge the free space that a job overwrites: what is planned, which places are read back, what may be said.

Pure. A limit of a target is lifted only by fills that reached all of the file systems on which it lies.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deleatur.documents import certificate as c
from deleatur.documents.job import FreeSpace, Verification
from deleatur.documents.journal import Filled
from deleatur.documents.place import Identity, Pattern
from deleatur.documents.plan import Plan, PlannedFill
from deleatur.judge.sampling import positions, proven, sample_size
from deleatur.judge.sentences import claim, limit, limit_sentence

LIFTED = frozenset({"freed-blocks", "earlier-free-blocks", "reserved-blocks"})
_KEPT_BY_XFS = 50  # of 1/n of the free space: measured on 320 MB, XFS gives 0.7 % of it to no file


@dataclass(frozen=True)
class SeenSpace:
    """A file system as a read-only look found it."""

    asked: FreeSpace  # with an absolute folder
    identity: Identity
    size: int  # bytes that are free, the reserve included
    limits: tuple[str, ...]
    blockers: tuple[str, ...]
    targets: tuple[str, ...]  # that lie on file systems of the job only


def reasons_against(spaces: Sequence[SeenSpace]) -> Iterator[str]:
    """Yield why these file systems cannot be filled."""
    for n, space in enumerate(spaces):
        yield from (f"{space.asked.id}: {blocker}" for blocker in space.blockers)
        for other in spaces[:n]:
            if other.identity == space.identity:
                yield f"{other.asked.id} and {space.asked.id} are one file system; name it once"


def planned_fill(space: SeenSpace, key: str) -> PlannedFill:
    """Return the fill of one file system."""
    return PlannedFill(
        id=space.asked.id,
        asked=space.asked,
        identity=space.identity,
        size=max(space.size - space.asked.margin, 0),
        limits=space.limits,
        targets=space.targets,
        pattern=Pattern(kind="aes-256-ctr", key=key),
    )


def chosen_places(fill: PlannedFill, wanted: Verification, population: int) -> Sequence[int]:
    """Return the places to read back, in order: all, or a sample with the first and the last."""
    if wanted.mode == "full" or not population:
        return range(population)
    seed = hashlib.sha256(f"read back {fill.pattern.key}".encode()).digest()
    picked = positions(seed, population, _count(wanted))
    return sorted({*picked, 0, population - 1})


def doubts(fill: PlannedFill, filled: Filled | None, wanted: Verification) -> Iterator[str]:
    """Yield why no certificate may speak of this fill."""
    if filled is None:
        yield f"{fill.id}: the free space was not overwritten after the last change"
        return
    least = filled.population if wanted.mode == "full" else min(filled.population, _count(wanted))
    if filled.read < least:
        yield f"{fill.id}: was read back at fewer places than planned"
    if filled.population and not filled.control:
        yield f"{fill.id}: nothing was looked at before it was overwritten"
    if filled.control_equal:
        yield f"{fill.id}: the comparison took for written what was not"


def lifted(plan: Plan, filled: Mapping[str, Filled]) -> frozenset[str]:
    """Return the targets whose free blocks were all reached, but for what XFS gives to no file."""
    named = {target for fill in plan.free_space for target in fill.targets}
    open_ = {
        target
        for fill in plan.free_space
        for target in fill.targets
        if (found := filled.get(fill.id)) is None or not _reached(fill, found)
    }
    return frozenset(named - open_)


def _reached(fill: PlannedFill, filled: Filled) -> bool:
    kept = filled.written // _KEPT_BY_XFS if _type(fill) == "xfs" else 0
    return not fill.asked.margin and not filled.mismatches and filled.left <= kept


def filled_space(fill: PlannedFill, filled: Filled, wanted: Verification, at: str) -> c.FilledSpace:
    """Return what the certificate says of one fill."""
    bound = None
    if filled.read < filled.population:
        shown = proven(filled.population, min(filled.read, _count(wanted)), wanted.confidence)
        bound = c.Bound(confidence=wanted.confidence, max_bad_fraction=shown.fraction, formula=shown.formula)
    return c.FilledSpace(
        id=fill.id,
        file_system=_type(fill),
        identity_digest=c.Digest(sha256=hashlib.sha256(fill.identity.text().encode()).hexdigest()),
        target_ids=fill.targets,
        planned=fill.size,
        margin=fill.asked.margin,
        written=filled.written,
        left=filled.left,
        control=filled.control - filled.control_equal,
        population=filled.population,
        sampled=filled.read,
        bytes_read=filled.size,
        mismatches=filled.mismatches,
        bound=bound,
        reserved_written=filled.reserved,
        reserved_left=filled.reserved_left,
        claims=tuple(_claims(filled, bound, at)),
        at=at,
    )


def _claims(filled: Filled, bound: c.Bound | None, at: str) -> Iterator[c.Sentence]:
    if bound is None:
        yield claim(
            "space-filled",
            at=at,
            written=filled.written,
            read=filled.read,
            size=filled.size,
            control=filled.control,
        )
    else:
        yield claim(
            "space-filled-sampled",
            at=at,
            written=filled.written,
            read=filled.read,
            population=filled.population,
            confidence=bound.confidence,
            fraction=bound.max_bad_fraction,
            control=filled.control,
        )
    if filled.reserved:
        yield claim("reserved-written", at=at, size=filled.reserved)


def exceptions_of_fill(fill: PlannedFill, filled: Filled) -> Iterator[c.TargetException]:
    """Yield what a fill should have reached and did not."""
    found = [limit_sentence(name) for name in fill.limits if limit(name).effect == "exception"]
    if filled.left:
        found.append(limit_sentence("space-left", count=filled.left))
    if fill.asked.margin:
        found.append(limit_sentence("space-margin", count=fill.asked.margin))
    if filled.reserved_left:
        found.append(limit_sentence("reserved-in-use", count=filled.reserved_left, files=filled.files_left))
    for sentence in found:
        yield c.TargetException(
            target_id=fill.id, type=limit(sentence.id).type, sentence=sentence, disposition="accepted"
        )


def boundaries_of_fill(fills: Collection[PlannedFill]) -> tuple[c.Sentence, ...]:
    """Return what holds for every fill."""
    return (limit_sentence("file-system-records"),) if fills else ()


def _type(fill: PlannedFill) -> str:
    return dict(fill.identity.fields)["type"]


def _count(wanted: Verification) -> int:
    return sample_size(wanted.confidence, wanted.max_bad_fraction)
