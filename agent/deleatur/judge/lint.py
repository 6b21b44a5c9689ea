"""Hold policies, jobs and data maps against the rules of the packs, before anything is planned. Pure.

An error is what a rule forbids; a note is what a person should know. Names of tables and columns
are said, values never.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from msgspec import structs

from deleatur.documents.datamap import LEVELS, DataMap, Jurisdiction, Place, Table
from deleatur.documents.detection import Level
from deleatur.documents.job import ArchivedTable, Job, Target
from deleatur.documents.policy import CATEGORIES, CLASSES, Pack, Purpose, Source
from deleatur.documents.policy_rules import citations
from deleatur.judge.demands import archive_rules, certificate_years, least_technique, mixed, notice_days
from deleatur.judge.disposition import Decision, Facts, decide
from deleatur.judge.jurisdictions import UNKNOWN, not_covered
from deleatur.sanitize.techniques import TECHNIQUES


@dataclass(frozen=True)
class Remark:
    """One thing that lint found."""

    severity: Literal["error", "note"]
    kind: str
    where: str
    text: str
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Decided:
    """What becomes of the records of one table of a data map."""

    place: str
    table: str
    record_class: str
    jurisdiction: str
    records: int
    decision: Decision


def remarks_on_packs(packs: Sequence[Pack]) -> Iterator[Remark]:
    """Yield what is wrong with policies, each by itself and all together."""
    ids = [pack.id for pack in packs]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield Remark("error", "pack-twice", name, "two policies have this id: give one of them another")
    for pack in packs:
        yield from _remarks_on_pack(pack)
    if notice_days(UNKNOWN, packs) is None:
        what = "no policy says how many days people are told before their records go: add notice"
        yield Remark("error", "no-notice", "all policies", what)
    for level in LEVELS:
        if least_technique(level, UNKNOWN, packs) is None:
            what = f"no policy says what records of the level {level} need: add protection"
            yield Remark("error", "no-protection", "all policies", what)
    named = {name for pack in packs for rule in pack.rule for name in rule.classes}
    own = [c.id for pack in packs for c in pack.record_class]
    if silent := sorted({*CLASSES, *own} - named):
        what = f"held until a person decides, because no rule names these classes: {', '.join(silent)}"
        yield Remark("note", "silent-class", "all policies", what)


def remarks_on_job(
    job: Job, packs: Sequence[Pack], datamap: DataMap | None, on_date: date
) -> Iterator[Remark]:
    """Yield what of a job the policies forbid; without a data map levels and classes are not known."""
    places = {p.url: p for p in datamap.place} if datamap is not None else {}
    for target in job.target:
        place = places.get(target.url)
        if place is None:
            what = "no data map names it: levels, jurisdiction and classes are not known, so not checked"
            yield Remark("note", "not-mapped", f"target {target.id}", what)
            continue
        yield from _remarks_on_target(target, place, packs)
        yield from _remarks_on_classes(job, target, place, packs, on_date)
        yield from _remarks_on_erased(target, place, packs, on_date)
    mapped = [jurisdiction_of(places[t.url]) for t in job.target if t.url in places]
    codes = "+".join(dict.fromkeys(mapped)) or UNKNOWN
    yield from _remarks_on_term(job, codes, packs)
    if mapped:
        yield from _remarks_on_copies(job)
    yield from _remarks_on_notice(
        job, sum(places[t.url].people for t in job.target if t.url in places), codes, packs
    )


def remarks_on_map(datamap: DataMap, packs: Sequence[Pack]) -> Iterator[Remark]:
    """Yield what of a data map keeps the policies from deciding."""
    known = {(place.id, table.name) for place in datamap.place for table in place.table}
    for pack in packs:
        for entry in pack.records:
            if not any(entry.table == table and entry.place in (None, place) for place, table in known):
                what = f"its records name the table {entry.table}, and the data map has none there"
                yield Remark("note", "no-such-table", pack.id, what)
    for place in datamap.place:
        if not place.owner:
            yield Remark("error", "no-owner", f"place {place.id}", "nobody answers for it: name an owner")
        if codes := not_covered(jurisdiction_of(place), packs):
            what = f"no pack knows the law of {', '.join(codes)}: every pack counts, a person must look"
            yield Remark("error", "unknown-jurisdiction", f"place {place.id}", what)
        for table in place.table:
            if class_of(place.id, table.name, packs) is None:
                what = "no policy says of which class these records are, so they are held: add records"
                yield Remark("note", "no-class", f"place {place.id}, table {table.name}", what)


def decide_map(datamap: DataMap, packs: Sequence[Pack], on_date: date) -> list[Decided]:
    """Decide about each table of a map, as if every start event of its records were on `on_date`."""
    facts = Facts(events=dict.fromkeys(start_events(packs), on_date))
    decided = []
    for place in datamap.place:
        for table in place.table:
            name, purpose = class_of(place.id, table.name, packs) or ("unknown", None)
            where = jurisdiction_of(place)
            decision = decide(name, purpose or UNKNOWN, where, facts, packs, on_date)
            decided.append(Decided(place.id, table.name, name, where, table.records, decision))
    return decided


def narrowed(datamap: DataMap, codes: Sequence[str]) -> DataMap:
    """Return the map as if all its records were of these laws: what a job selects may be one country's."""
    stated = tuple(Jurisdiction(code=code, reason="stated") for code in codes)
    places = tuple(structs.replace(place, jurisdiction=stated) for place in datamap.place)
    return structs.replace(datamap, place=places)


def class_of(place: str, table: str, packs: Iterable[Pack]) -> tuple[str, Purpose | None] | None:
    """Return the record class and purpose that a policy gives a table; one for its very place goes first."""
    entries = [r for pack in packs for r in pack.records if r.table == table and r.place in (None, place)]
    for entry in sorted(entries, key=lambda r: r.place is None):
        return entry.record_class, entry.purpose
    return None


def jurisdiction_of(place: Place) -> str:
    """Return the codes of a place joined by `+`, or `unknown`."""
    return "+".join(dict.fromkeys(j.code for j in place.jurisdiction)) or UNKNOWN


def start_events(packs: Iterable[Pack]) -> list[str]:
    """Return every event that starts a retention, in order."""
    return sorted({r.retention.start for pack in packs for r in pack.rule if r.retention is not None})


def _remarks_on_pack(pack: Pack) -> Iterator[Remark]:
    state = {s.id: s.checked for s in pack.source}
    for rule in pack.rule:
        if all(state[name] == "known-not-checked" for name in rule.sources):
            what = "none of its sources was looked at by anybody: have it checked before it decides"
            yield Remark("note", "not-checked", f"{pack.id}, rule {rule.id}", what)
    used = {name for _, cited in citations(pack) for name in cited}
    for name in sorted(state.keys() - used):
        yield Remark("note", "unused-source", f"{pack.id}, source {name}", "nothing cites it")


def _remarks_on_target(target: Target, place: Place, packs: Sequence[Pack]) -> Iterator[Remark]:
    where = f"target {target.id}"
    jurisdiction = jurisdiction_of(place)
    tables = {t.name: t for t in place.table}
    chosen = [tables[s.table] for s in target.select if s.table in tables] if target.select else place.table
    level = _highest(chosen)
    needed = least_technique(level, jurisdiction, packs) if level is not None else None
    wanted = TECHNIQUES.get(target.technique) if target.technique is not None else None
    if needed and wanted and CATEGORIES.index(wanted.category) < CATEGORIES.index(needed.value):
        what = f"{wanted.id} is {wanted.category}; the level {level} needs at least {needed.value}"
        yield Remark("error", "technique-too-weak", where, what, needed.sources)
    for archived in target.archive:
        table = tables.get(archived.table)
        if table is None:
            what = f"the data map has no table {archived.table} here, so its columns are not checked"
            yield Remark("note", "not-mapped", where, what)
        else:
            yield from _remarks_on_columns(archived, table, jurisdiction, packs, where)


def _highest(tables: Iterable[Table]) -> Level | None:
    levels = [field.level for table in tables for field in table.field]
    return max(levels, key=LEVELS.index, default=None)


def _remarks_on_columns(
    archived: ArchivedTable, table: Table, jurisdiction: str, packs: Sequence[Pack], where: str
) -> Iterator[Remark]:
    levels: Mapping[str, Level] = {f.name: f.level for f in table.field}
    for column, rule in archived.columns.items():
        at = f"{where}, {archived.table}.{column}"
        level = levels.get(column)
        if level is None:
            yield Remark(
                "note", "not-mapped", at, "the data map has no such column, so its level is not known"
            )
            continue
        allowed = archive_rules(level, jurisdiction, packs)
        if allowed is not None and rule.rule not in allowed.value:
            kind = "core-kept-raw" if level == "core" and rule.rule == "keep" else "column-too-open"
            what = (
                f"its level is {level} and its rule {rule.rule}; allowed: {', '.join(sorted(allowed.value))}"
            )
            yield Remark("error", kind, at, what, allowed.sources)


def _remarks_on_classes(
    job: Job, target: Target, place: Place, packs: Sequence[Pack], on_date: date
) -> Iterator[Remark]:
    """Classes that may not lie together, and a custodian who lets go too early."""
    jurisdiction = jurisdiction_of(place)
    classes = {a.table: found[0] for a in target.archive if (found := class_of(place.id, a.table, packs))}
    for demand in mixed(classes.values(), jurisdiction, packs):
        one, other = (", ".join(sorted(group)) for group in demand.value)
        what = f"{one} and {other} would lie in one part of the archive: make two jobs"
        yield Remark("error", "mixed-parts", f"target {target.id}", what, demand.sources)
    facts = Facts(events=dict.fromkeys(start_events(packs), on_date))
    for table, name in classes.items():
        decision = decide(name, UNKNOWN, jurisdiction, facts, packs, on_date)
        if job.custody is None or decision.disposition != "archive":
            continue
        kept = date.fromisoformat(job.custody.retain_until)
        if not isinstance(decision.until, date) or kept < decision.until:
            what = (
                f"{table} holds the class {name}, whose newest records are kept until {decision.until}; "
                f"the custodian keeps the archive until {kept} only"
            )
            sources = tuple(s for r in decision.reasons if r.effect == "decides" for s in r.sources)
            yield Remark("error", "retention-too-short", f"target {target.id}", what, sources)


def _remarks_on_erased(
    target: Target, place: Place, packs: Sequence[Pack], on_date: date
) -> Iterator[Remark]:
    """Rows that go without an archive although a rule keeps the newest of them."""
    facts = Facts(events=dict.fromkeys(start_events(packs), on_date))
    chosen = {s.table: bool(s.where) for s in target.select} or {t.name: False for t in place.table}
    for archived in target.archive:
        chosen.pop(archived.table, None)
    for table, conditional in chosen.items():
        name, purpose = class_of(place.id, table, packs) or ("unknown", None)
        decision = decide(name, purpose or UNKNOWN, jurisdiction_of(place), facts, packs, on_date)
        if decision.disposition != "archive":
            continue
        what = (
            f"{table} holds the class {name}, which is kept until {decision.until} if its period starts now; "
        )
        what += "the job archives none of it"
        severity: Literal["error", "note"] = "error"
        if conditional:
            severity, what = "note", f"{what}: are its conditions met by rows only whose period is over?"
        sources = tuple(s for r in decision.reasons if r.effect == "decides" for s in r.sources)
        yield Remark(severity, "erased-not-archived", f"target {target.id}", what, sources)


def _remarks_on_notice(job: Job, people: int, codes: str, packs: Sequence[Pack]) -> Iterator[Remark]:
    """Yield that nobody is told, unless the person concerned asked for the erasure."""
    demand = notice_days(codes, packs)
    silent = job.notice is None and job.without_notice is None and job.reason != "subject-request"
    if silent and people and demand is not None and demand.value:
        what = (
            f"people are told {demand.value} days before their records go: add [notice], or say why not by "
            "without_notice"
        )
        yield Remark("error", "nobody-told", f"job {job.name}", what, demand.sources)


def _remarks_on_copies(job: Job) -> Iterator[Remark]:
    """Yield that the archive would lie in one place only."""
    archived = any(target.archive for target in job.target)
    if archived and job.custody is not None and not job.custody.copy and job.custody.without_copies is None:
        what = (
            "the archive would lie with the job only: add three copies on two kinds of medium, one of them "
            "elsewhere, as [[custody.copy]], or say why not by custody.without_copies"
        )
        yield Remark("error", "one-place", f"job {job.name}", what)


def _remarks_on_term(job: Job, jurisdiction: str, packs: Sequence[Pack]) -> Iterator[Remark]:
    needed = certificate_years(jurisdiction, packs)
    given = job.policy.certificate_retention_years
    if needed is not None and given < needed.value:
        what = f"the certificate is kept for {given} years and must be for {needed.value}"
        yield Remark("error", "certificate-too-short", "policy", what, needed.sources)
