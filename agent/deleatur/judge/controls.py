"""Hold what the policies ask for against what plan and journal show: law, control, evidence, or a gap. Pure.

A gap says that these documents do not show it, not that it was not done. What a law asks for is the
policies' word, as far as somebody checked it; that this list is whole nobody says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deleatur.documents import journal as j
from deleatur.documents.datamap import DataMap, Place, Table
from deleatur.documents.gates import HoldGate, MapGate, NoticeGate, WithoutNotice
from deleatur.documents.plan import Plan, PlannedTarget
from deleatur.documents.policy import CATEGORIES, DispositionRule, Pack, Protection, Source
from deleatur.judge.demands import cited
from deleatur.judge.jurisdictions import binding, not_covered
from deleatur.judge.lint import class_of, jurisdiction_of
from deleatur.sanitize.techniques import technique


@dataclass(frozen=True)
class Control:
    """One demand of a policy, and where this job shows that it was met."""

    pack: str  # id and version
    part: str  # the rule's id, or the part of the policy
    asks: str
    sources: tuple[Source, ...]
    control: str  # what deleatur does about it
    evidence: str  # document and place; "": a gap


@dataclass(frozen=True)
class Papers:
    """What a job left behind."""

    plan: Plan
    entries: Sequence[j.Entry]
    datamap: DataMap


def controls(papers: Papers, packs: Sequence[Pack]) -> Iterator[Control]:
    """Yield each demand of the policies that bind the job's records, in the order of the policies."""
    laws = _laws(papers)
    unknown = not_covered(laws, packs)
    classes = {name for place, table in _erased(papers) if (name := _class(place, table, packs))}
    levels = {field.level for _, table in _erased(papers) for field in table.field}
    for pack in packs:
        for rule in pack.rule:
            named = rule.classes == ("any",) or classes & {*rule.classes}
            if named and binding(rule.jurisdiction or (pack.jurisdiction,), laws, unknown):
                yield _of_rule(pack, rule, papers)
        if not binding((pack.jurisdiction,), laws, unknown):
            continue
        for part in pack.protection:
            if part.level in levels:
                yield _of_level(pack, part, papers)
        yield from _of_job(pack, papers)


def _laws(papers: Papers) -> str:
    for gate in papers.plan.gates:
        if isinstance(gate, MapGate) and gate.laws:
            return "+".join(gate.laws)
    return "+".join(dict.fromkeys(jurisdiction_of(place) for place, _ in _erased(papers))) or "unknown"


def _erased(papers: Papers) -> Iterator[tuple[Place, Table]]:
    """Yield the tables of the map of which the job erases something."""
    targets = {target.target.url: target for target in papers.plan.targets}
    for place in papers.datamap.place:
        target = targets.get(place.url)
        if target is not None:
            chosen = {selection.table for selection in target.target.select}
            yield from ((place, table) for table in place.table if not chosen or table.name in chosen)


def _class(place: Place, table: Table, packs: Sequence[Pack]) -> str | None:
    found = class_of(place.id, table.name, packs)
    return found[0] if found else None


def _of_rule(pack: Pack, rule: DispositionRule, papers: Papers) -> Control:
    control, evidence = {
        "archive": ("archived, desensitized, before the erase", _last(papers, j.Archived)),
        "hold": ("holds are asked before each step", _holds(papers)),
        "erase-now": ("erased, and looked for again", _last(papers, j.Verified)),
    }[rule.disposition]
    return Control(_name(pack), rule.id, rule.why, cited(pack, rule.sources), control, evidence)


def _of_level(pack: Pack, part: Protection, papers: Papers) -> Control:
    weakest = min(map(_category, papers.plan.targets))
    met = weakest >= CATEGORIES.index(part.technique)
    return Control(
        _name(pack),
        f"protection of {part.level}",
        f"records of the level {part.level} need at least {part.technique}",
        cited(pack, part.sources),
        "the technique of each target",
        f"plan.json: {CATEGORIES[weakest]}" if met else "",
    )


def _category(target: PlannedTarget) -> int:
    return CATEGORIES.index(technique(target.technique).category)


def _of_job(pack: Pack, papers: Papers) -> Iterator[Control]:
    if pack.notice is not None:
        yield Control(
            _name(pack),
            "notice",
            f"people are told at least {pack.notice.days} days before",
            cited(pack, pack.notice.sources),
            "nothing is erased before the days are over",
            _notice(papers, pack.notice.days),
        )
    if pack.certificate is not None:
        kept = papers.plan.policy.certificate_retention_years
        yield Control(
            _name(pack),
            "certificate",
            f"the certificate is kept for at least {pack.certificate.years} years",
            cited(pack, pack.certificate.sources),
            "purge refuses before the last day",
            f"plan.json: {kept} years" if kept >= pack.certificate.years else "",
        )


def _notice(papers: Papers, days: int) -> str:
    for gate in papers.plan.gates:
        if isinstance(gate, NoticeGate) and gate.days >= days:
            return _passed(papers, gate.name)
        if isinstance(gate, WithoutNotice):
            return ""
    return ""


def _holds(papers: Papers) -> str:
    gates = (g.name for g in papers.plan.gates if isinstance(g, HoldGate))
    return next((found for name in gates if (found := _passed(papers, name))), _last(papers, j.Unheld))


def _passed(papers: Papers, gate: str) -> str:
    seen = [e.n for e in papers.entries if isinstance(e.event, j.Passed) and e.event.gate == gate]
    return f"journal.jsonl, entry {seen[-1]}" if seen else ""


def _last(papers: Papers, kind: type[j.AnyEvent]) -> str:
    seen = [entry.n for entry in papers.entries if isinstance(entry.event, kind)]
    return f"journal.jsonl, entry {seen[-1]}" if seen else ""


def _name(pack: Pack) -> str:
    return f"{pack.id} {pack.version}"
