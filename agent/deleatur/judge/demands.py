"""Combine what several packs demand of a job: techniques, archive columns, notice, certificate, places. Pure.

The strictest word of every pack that binds counts, each with the pack and the sources that say it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from deleatur.documents.detection import Level
from deleatur.documents.policy import CATEGORIES, ArchiveRule, Category, Pack, Source
from deleatur.judge.jurisdictions import ANY, binding, covers, not_covered, split

T = TypeVar("T")


@dataclass(frozen=True)
class Demand(Generic[T]):
    """A value and who demands it."""

    value: T
    packs: tuple[str, ...]
    sources: tuple[Source, ...]


def least_technique(level: Level, jurisdiction: str, packs: Sequence[Pack]) -> Demand[Category] | None:
    """Return the weakest category of technique that may erase records of a level; None: no pack says."""
    said = [
        (pack, part.technique, part.sources)
        for pack in _binding(packs, jurisdiction)
        for part in pack.protection
        if part.level == level
    ]
    return _strictest(said, key=CATEGORIES.index)


def archive_rules(
    level: Level, jurisdiction: str, packs: Sequence[Pack]
) -> Demand[frozenset[ArchiveRule]] | None:
    """Return the rules that a column of a level may have in an archive: those that every pack allows."""
    said = [
        (pack, part)
        for pack in _binding(packs, jurisdiction)
        for part in pack.protection
        if part.level == level
    ]
    if not said:
        return None
    allowed = frozenset.intersection(*(frozenset(part.archive) for _, part in said))
    return Demand(
        allowed,
        tuple(pack.id for pack, _ in said),
        tuple(s for pack, part in said for s in cited(pack, part.sources)),
    )


def notice_days(jurisdiction: str, packs: Sequence[Pack]) -> Demand[int] | None:
    """Return how many days people are told before; None: no pack says."""
    said = [
        (p, p.notice.days, p.notice.sources) for p in _binding(packs, jurisdiction) if p.notice is not None
    ]
    return _strictest(said, key=int)


def certificate_years(jurisdiction: str, packs: Sequence[Pack]) -> Demand[int] | None:
    """Return how many years the certificate is kept; None: no pack says."""
    said = [
        (p, p.certificate.years, p.certificate.sources)
        for p in _binding(packs, jurisdiction)
        if p.certificate is not None
    ]
    return _strictest(said, key=int)


def kept_elsewhere(jurisdiction: str, place: str, packs: Sequence[Pack]) -> list[Demand[str]]:
    """Return what forbids an archive of a jurisdiction's records in `place`; nothing: it may lie there."""
    refusals = []
    for pack in packs:
        for part in pack.residency:
            for code in split(jurisdiction):
                if not binding((part.jurisdiction,), code, not_covered(code, packs)):
                    continue
                within = part.within or (code,)
                if not any(covers(law, place) for law in within if law != ANY):
                    words = f"records of {code} stay in {', '.join(within)}, and {place} is not there"
                    refusals.append(Demand(words, (pack.id,), cited(pack, part.sources)))
    return refusals


def mixed(
    classes: Iterable[str], jurisdiction: str, packs: Sequence[Pack]
) -> Iterator[Demand[tuple[frozenset[str], frozenset[str]]]]:
    """Yield each pair of groups among `classes` that may not lie in one part of an archive."""
    present = frozenset(classes)
    for pack in _binding(packs, jurisdiction):
        for part in pack.apart:
            one, other = present.intersection(part.classes), present.intersection(part.other)
            if one and other:
                yield Demand((one, other), (pack.id,), cited(pack, part.sources))


def cited(pack: Pack, names: Iterable[str]) -> tuple[Source, ...]:
    """Return the sources of a pack by their ids."""
    known = {s.id: s for s in pack.source}
    return tuple(known[name] for name in names)


def _binding(packs: Sequence[Pack], jurisdiction: str) -> list[Pack]:
    unknown = not_covered(jurisdiction, packs)
    return [pack for pack in packs if binding((pack.jurisdiction,), jurisdiction, unknown)]


def _strictest(
    said: Sequence[tuple[Pack, T, tuple[str, ...]]], *, key: Callable[[T], Any]
) -> Demand[T] | None:
    if not said:
        return None
    value = max((value for _, value, _ in said), key=key)
    by = [(pack, names) for pack, demanded, names in said if demanded == value]
    sources = tuple(s for pack, names in by for s in cited(pack, names))
    return Demand(value, tuple(pack.id for pack, _ in by), sources)
