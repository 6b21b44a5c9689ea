"""Decide what becomes of a record: erase now, hold, or archive, with every reason. Pure.

Strictness (docs/explanation/disposition.md): what cannot be undone comes last. Hold outweighs
archive, archive outweighs erase, a later end outweighs an earlier one. What no rule names is held.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from deleatur.documents.policy import PURPOSES, DispositionRule, Pack, Source
from deleatur.judge.jurisdictions import binding, not_covered
from deleatur.judge.periods import Suspension, retention_end

Disposition = Literal["erase-now", "hold", "archive"]
# Why no last day can be named. `decided`: a person must say; `event-known`: a date is missing.
OpenEnd = Literal["matter-closed", "event-known", "decided", "suspension-ended", "permanent"]
Effect = Literal["decides", "agrees", "outweighed", "ended", "not-yet", "not-in-force"]


@dataclass(frozen=True)
class Facts:
    """What is known about one record: days of events, open matters, suspensions."""

    events: Mapping[str, date] = field(default_factory=dict)
    matters: frozenset[str] = frozenset()  # open ones; each holds, whether a rule names it or not
    suspensions: tuple[Suspension, ...] = ()


@dataclass(frozen=True)
class Reason:
    """What one rule says to a record, and what its word weighed."""

    pack: str  # id and version; "" for a rule of this module
    rule: str
    effect: Effect
    disposition: Disposition
    until: date | OpenEnd | None
    text: str
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Decision:
    """What becomes of a record."""

    disposition: Disposition
    until: date | OpenEnd | None  # last day on which it must be there; None: erase it now
    reasons: tuple[Reason, ...]  # the deciding ones first
    review: bool  # a person must look before anything is erased


def decide(
    record_class: str,
    purpose: str,
    jurisdiction: str,
    facts: Facts,
    packs: Sequence[Pack],
    on_date: date,
) -> Decision:
    """Return the one disposition of a record on a day.

    Where the purpose is `unknown`, or a word that no rule can name, rules for every purpose speak.
    `jurisdiction` is a code, several joined by `+`, or `unknown`: then, and where no pack knows the
    law, the rules of every pack speak.
    """
    unknown = not_covered(jurisdiction, packs)
    said = [
        _word_of(pack, rule, facts, on_date)
        for pack in packs
        for rule in pack.rule
        if _named(rule, record_class, purpose)
        and binding(rule.jurisdiction or (pack.jurisdiction,), jurisdiction, unknown)
    ]
    said += _matters_without_rule(said, packs, facts)
    said += _causes_without_rule(packs, facts)
    speaking = [r for r in said if r.effect == "decides"]
    silent = [r for r in said if r.effect != "decides"]
    outweighing, reasons = _weigh(speaking)
    if not speaking:
        outweighing, reasons = _without_rule(record_class, silent)
    if unknown:
        reasons = (*reasons, _strictest(unknown, outweighing))
    return Decision(
        disposition=outweighing.disposition,
        until=outweighing.until,
        reasons=(*reasons, *silent),
        review=bool(unknown) or outweighing.until in _FOR_A_PERSON or _disputed(reasons, silent),
    )


def tally(decided: Iterable[tuple[Decision, int]]) -> dict[Disposition, int]:
    """Count records by disposition; the sum is that of the counts that came in."""
    total: dict[Disposition, int] = {"erase-now": 0, "hold": 0, "archive": 0}
    for decision, count in decided:
        total[decision.disposition] += count
    return total


def earliest_erasure(decision: Decision, on_date: date) -> date | None:
    """Return the first day on which the decision lets the record go; None: no day can be named."""
    match decision.until:
        case None:
            return on_date
        case date() as until if until < date.max:
            return date.fromordinal(until.toordinal() + 1)
    return None


def _named(rule: DispositionRule, record_class: str, purpose: str) -> bool:
    fits = not rule.purpose or purpose not in PURPOSES or purpose in rule.purpose
    return fits and (record_class in rule.classes or rule.classes == ("any",))


def _word_of(pack: Pack, rule: DispositionRule, facts: Facts, on_date: date) -> Reason:
    """Return what one rule says; `decides` means only that it speaks."""
    effect, disposition, until, text = _judged(rule, facts, on_date)
    cited = {s.id: s for s in pack.source}
    return Reason(
        pack=f"{pack.id} {pack.version}",
        rule=rule.id,
        effect=effect,
        disposition=disposition,
        until=until,
        text=f"{rule.why}{text}",
        sources=tuple(cited[name] for name in rule.sources),
    )


_Word = tuple[Effect, Disposition, date | OpenEnd | None, str]


def _judged(rule: DispositionRule, facts: Facts, on_date: date) -> _Word:
    if rule.in_force is not None and date.fromisoformat(rule.in_force) > on_date:
        return "not-in-force", rule.disposition, None, f"; in force from {rule.in_force} only"
    if rule.disposition == "hold":
        return _held(rule, facts)
    if rule.disposition == "archive":
        return _kept(rule, facts, on_date)
    return _erased(rule, facts, on_date)


def _held(rule: DispositionRule, facts: Facts) -> _Word:
    if open_ := sorted(facts.matters & {*rule.matters}):
        return "decides", "hold", "matter-closed", f"; open: {', '.join(open_)}"
    return "not-yet", "hold", None, f"; none of these is open: {', '.join(rule.matters)}"


def _erased(rule: DispositionRule, facts: Facts, on_date: date) -> _Word:
    happened = [
        f"{e} {facts.events[e]}" for e in rule.after if e in facts.events and facts.events[e] <= on_date
    ]
    if rule.after and not happened:
        return "not-yet", "erase-now", None, f"; none of these has happened: {', '.join(rule.after)}"
    return "decides", "erase-now", None, f"; since {', '.join(happened)}" if happened else ""


def _kept(rule: DispositionRule, facts: Facts, on_date: date) -> _Word:
    retention = rule.retention
    if retention is None:
        raise ValueError(f"{rule.id}: a rule that says archive has a retention")  # decode_policy sees to it
    if retention.years == "permanent":
        return "decides", "archive", "permanent", "; for ever"
    started = facts.events.get(retention.start)
    length = f"; {retention.years} years from {retention.start}"
    if started is None:
        text = f"{length}, whose day is not known: the end cannot be computed, so nothing may happen to it"
        return "decides", "hold", "event-known", text
    if retention.begins == "end-of-calendar-year":
        length = f"; {retention.years} years from the end of the year of {retention.start}"
    try:
        end = retention_end(retention, started, facts.suspensions)
    except OverflowError:
        return "decides", "archive", "permanent", f"{length} {started}: beyond the calendar"
    if end is None:
        return "decides", "archive", "suspension-ended", f"{length} {started}, suspended and not over"
    if end < on_date:
        return "ended", "archive", end, f"{length} {started}: ended on {end}"
    return "decides", "archive", end, f"{length} {started}: until {end}"


def _matters_without_rule(said: Sequence[Reason], packs: Sequence[Pack], facts: Facts) -> list[Reason]:
    """An open matter that no rule here names holds all the same: that we forgot it is no reason to erase."""
    holds = {(r.pack, r.rule) for r in said if r.disposition == "hold"}
    named = {
        matter
        for pack in packs
        for rule in pack.rule
        if (f"{pack.id} {pack.version}", rule.id) in holds
        for matter in rule.matters
    }
    return [
        Reason(
            "",
            "open-matter",
            "decides",
            "hold",
            "matter-closed",
            f"no rule names it, and it is open: {matter}",
        )
        for matter in sorted(facts.matters - named)
    ]


def _causes_without_rule(packs: Sequence[Pack], facts: Facts) -> list[Reason]:
    """A suspension for a cause that no pack names suspends nothing: a person must see that."""
    named = {c for p in packs for r in p.rule if r.retention for c in r.retention.suspended_by}
    return [
        Reason(
            "", "unknown-cause", "not-yet", "hold", None, f"no rule names this cause of a suspension: {cause}"
        )
        for cause in sorted({s.cause for s in facts.suspensions} - named)
    ]


_FOR_A_PERSON = ("decided", "event-known")
_RANK: dict[Disposition, int] = {"erase-now": 0, "archive": 1, "hold": 2}
_ENDS: tuple[OpenEnd, ...] = ("matter-closed", "event-known", "decided", "suspension-ended", "permanent")


def _weight(reason: Reason) -> tuple[int, int, int]:
    until = reason.until
    if until is None:
        return _RANK[reason.disposition], 0, 0
    if isinstance(until, date):
        return _RANK[reason.disposition], 1, until.toordinal()
    return _RANK[reason.disposition], 2, _ENDS.index(until)


def _demanded(reason: Reason) -> bool:
    """Say whether a law stands behind a rule; a standard or our own caution demands nothing."""
    return any(s.kind == "law" for s in reason.sources)


def _weigh(speaking: Sequence[Reason]) -> tuple[Reason, tuple[Reason, ...]]:
    """Return the weightiest word and all words, each with what it weighed."""
    if not speaking:
        return _NOBODY, ()
    erased_by_law = any(r.disposition == "erase-now" and _demanded(r) for r in speaking)
    # A wish to keep does not outweigh a law that says erase; a law, a hold or a missing date does.
    standing = [
        r for r in speaking if not (r.disposition == "archive" and erased_by_law and not _demanded(r))
    ]
    heaviest = max(standing, key=_weight)
    reasons = [
        _with_effect(r, "outweighed" if r not in standing else _effect_beside(r, heaviest)) for r in speaking
    ]
    reasons.sort(key=lambda r: (r.effect != "decides", r.effect != "agrees"))
    return heaviest, tuple(reasons)


def _effect_beside(reason: Reason, heaviest: Reason) -> Effect:
    if _weight(reason) == _weight(heaviest):
        return "decides"
    return "agrees" if reason.disposition == heaviest.disposition else "outweighed"


def _with_effect(reason: Reason, effect: Effect) -> Reason:
    return Reason(
        reason.pack, reason.rule, effect, reason.disposition, reason.until, reason.text, reason.sources
    )


_NOBODY = Reason("", "no-rule", "decides", "hold", "decided", "")


def _without_rule(record_class: str, silent: Sequence[Reason]) -> tuple[Reason, tuple[Reason, ...]]:
    """Nothing demands it any more: erase if a retention has ended, else a person must say."""
    waiting = any(r.disposition == "erase-now" for r in silent)  # a trigger that has not come yet
    if any(r.effect == "ended" for r in silent) and not waiting:
        text = "every retention that named it has ended, and nothing else keeps it"
        word = Reason("", "retention-ended", "decides", "erase-now", None, text)
    else:
        text = f"no rule says today what becomes of the class {record_class}: a person must decide"
        word = Reason("", "no-rule", "decides", "hold", "decided", text)
    return word, (word,)


def _strictest(unknown: Sequence[str], heaviest: Reason) -> Reason:
    text = f"the law of {', '.join(unknown)} is not known: every pack was asked, the strictest word counts"
    return Reason("", "unknown-jurisdiction", "agrees", heaviest.disposition, heaviest.until, text)


def _disputed(reasons: Sequence[Reason], silent: Sequence[Reason]) -> bool:
    """Say whether a law that says erase outweighed somebody's wish to keep, or a cause is not known."""
    decided = {r.disposition for r in reasons if r.effect == "decides"}
    wished = any(r.disposition == "archive" and r.effect == "outweighed" for r in reasons)
    return (decided == {"erase-now"} and wished) or any(r.rule == "unknown-cause" for r in silent)
