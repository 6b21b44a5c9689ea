"""What a type cannot say about a policy file: rules between its fields. Pure.

A rule that names what nobody knows would never speak, and records would go that it keeps: so a
misspelt class, source or date is refused, never skipped.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise

from deleatur.documents.codec import decode_toml
from deleatur.documents.datamap import LEVELS
from deleatur.documents.job import nested
from deleatur.documents.policy import (
    CATEGORIES,
    CLASSES,
    DispositionRule,
    Matter,
    Pack,
    Protection,
)
from deleatur.documents.rules import Fault, absolute_url, faults_of_conditions, raise_all, twice

MAX_POLICY = 1 << 20  # bytes, as a job
MAX_COMPARED = 4  # in one matter: 16 cases
_NEEDS = {"archive": "retention", "hold": "matters", "erase-now": "after"}


def decode_policy(content: bytes) -> Pack:
    """Decode one policy file.

    Raises:
        Malformed: what docs/spec/policy.md forbids.
    """
    pack = decode_toml(content, Pack, limit=MAX_POLICY)
    raise_all([*faults_of_policy(pack)])
    return pack


def faults_of_policy(pack: Pack) -> Iterator[Fault]:
    """Yield every fault of `pack`."""
    yield from _day(pack.date, "$.date")
    yield from _sources(pack)
    yield from _classes(pack)
    yield from twice((r.id for r in pack.rule), "$.rule", "id")
    for n, rule in enumerate(pack.rule):
        yield from _rule(rule, f"$.rule[{n}]")
    yield from twice((p.level for p in pack.protection), "$.protection", "level")
    yield from _protection(pack)
    yield from twice((r.jurisdiction for r in pack.residency), "$.residency", "jurisdiction")
    yield from twice((f"{r.place} {r.table}" for r in pack.records), "$.records", "table")
    yield from twice((m.id for m in pack.matter), "$.matter", "id")
    for n, matter in enumerate(pack.matter):
        yield from _matter(matter, f"$.matter[{n}]")


def _sources(pack: Pack) -> Iterator[Fault]:
    yield from twice((s.id for s in pack.source), "$.source", "id")
    for n, source in enumerate(pack.source):
        yield from _day(source.date, f"$.source[{n}].date")
    known = {s.id for s in pack.source}
    for where, cited in citations(pack):
        yield from twice(cited, f"{where}.sources", "source")
        for name in cited:
            if name not in known:
                yield Fault("unknown-source", f"{where}.sources", f"no source of this file is called {name}")


def citations(pack: Pack) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every place of a pack that cites sources, with their ids."""
    if pack.notice is not None:
        yield "$.notice", pack.notice.sources
    if pack.certificate is not None:
        yield "$.certificate", pack.certificate.sources
    for key in ("rule", "protection", "residency", "apart"):
        for n, part in enumerate(getattr(pack, key)):
            yield f"$.{key}[{n}]", part.sources


def _classes(pack: Pack) -> Iterator[Fault]:
    own = [c.id for c in pack.record_class]
    yield from twice(own, "$.record_class", "id")
    for n, name in enumerate(own):
        if name in CLASSES or name == "any":
            yield Fault("repeated", f"$.record_class[{n}].id", "this class is in the vocabulary already")
    known = {*CLASSES, *own}
    for n, rule in enumerate(pack.rule):
        named = () if rule.classes == ("any",) else rule.classes
        yield from _unknown(named, known, f"$.rule[{n}].classes")
    for n, apart in enumerate(pack.apart):
        yield from _unknown(apart.classes, known, f"$.apart[{n}].classes")
        yield from _unknown(apart.other, known, f"$.apart[{n}].other")
        if {*apart.classes} & {*apart.other}:
            yield Fault("contradiction", f"$.apart[{n}]", "a class cannot lie apart from itself")
    for n, records in enumerate(pack.records):
        yield from _unknown((records.record_class,), known, f"$.records[{n}].record_class")


def _unknown(names: Iterable[str], known: set[str], where: str) -> Iterator[Fault]:
    for name in names:
        if name not in known:
            what = f"no record class is called {name}; add it under record_class, or see docs/spec/policy.md"
            yield Fault("unknown-class", where, what)


def _rule(rule: DispositionRule, where: str) -> Iterator[Fault]:
    if rule.in_force is not None:
        yield from _day(rule.in_force, f"{where}.in_force")
    needed = _NEEDS[rule.disposition]
    for key in _NEEDS.values():
        if getattr(rule, key) and key != needed:
            yield Fault(
                "contradiction", f"{where}.{key}", f"a rule that says {rule.disposition} has no {key}"
            )
    if rule.disposition == "archive" and rule.retention is None:
        yield Fault("missing-key", where, "a rule that says archive needs a retention")
    if rule.disposition == "erase-now" and "any" in rule.classes:
        yield Fault("too-wide", f"{where}.classes", "a rule that erases names its classes, one by one")
    if rule.disposition == "hold" and not rule.matters:
        yield Fault("missing-key", where, "a rule that says hold needs the matters that keep it open")
    if (kept := rule.retention) is not None and kept.years == "permanent" and kept.suspended_by:
        yield Fault("contradiction", f"{where}.retention", "what is kept for ever has no end to suspend")


def _matter(matter: Matter, where: str) -> Iterator[Fault]:
    yield from faults_of_conditions(matter.where, f"{where}.where")
    yield from twice([*(r.table for r in matter.holds), *matter.spares], where, "table")
    yield from absolute_url(matter.place, f"{where}.place")
    for n, reach in enumerate(matter.holds):
        if (reach.column is None) != (reach.by is None):
            what = "`column` and `by` go together: the two columns that have the same values"
            yield Fault("missing-key", f"{where}.holds[{n}]", what)
        elif reach.column is None and reach.table != matter.table:
            what = f"say by which `column` and `by` a row of {matter.table} holds one of {reach.table}"
            yield Fault("missing-key", f"{where}.holds[{n}]", what)
    if sum(c.operator not in ("is-null", "not-null") for c in matter.where) > MAX_COMPARED:
        what = f"at most {MAX_COMPARED} comparisons: each doubles the cases in which a value is missing"
        yield Fault("bad-value", f"{where}.where", what)
    for n, condition in enumerate(nested(matter.where)):
        if condition.values_from is not None:
            what = "a matter is the same for every job, so it has no values file; place a hold instead"
            yield Fault("contradiction", f"{where}.where[{n}].values_from", what)


def _protection(pack: Pack) -> Iterator[Fault]:
    for n, part in enumerate(pack.protection):
        if part.level == "core" and "keep" in part.archive:
            what = "core values may never stand in an archive as they are"
            yield Fault("core-raw", f"$.protection[{n}].archive", what)
    ordered = sorted(pack.protection, key=lambda part: LEVELS.index(part.level))
    for lower, higher in pairwise(ordered):
        yield from _weaker(lower, higher)


def _weaker(lower: Protection, higher: Protection) -> Iterator[Fault]:
    """Yield a fault where a higher level is protected less than a lower one."""
    if CATEGORIES.index(higher.technique) < CATEGORIES.index(lower.technique):
        what = f"{higher.level} is above {lower.level} and has a weaker technique"
        yield Fault("contradiction", "$.protection", what)
    if more := {*higher.archive} - {*lower.archive}:
        what = (
            f"{higher.level} is above {lower.level} and allows more in an archive: {', '.join(sorted(more))}"
        )
        yield Fault("contradiction", "$.protection", what)


def _day(text: str, where: str) -> Iterator[Fault]:
    try:
        date.fromisoformat(text)
    except ValueError:
        yield Fault("bad-value", where, "no such date")
