"""Say in words what a plan selects and where its claims end: an approver reads this, not the file."""

import json
from collections.abc import Iterator

from deleatur.cli.output import size
from deleatur.documents.gates import (
    AnyGate,
    CustodyGate,
    FollowGate,
    HoldGate,
    KnownRecord,
    MapGate,
    Member,
    NoticeGate,
    PaperGate,
    RecordGate,
    StaffGate,
    WithoutNotice,
)
from deleatur.documents.job import ArchivedTable, Condition, HeldRows, RiskLimit, Selection
from deleatur.documents.plan import PlannedFill
from deleatur.judge.limits import LIMITS

ASSUMED_RATE = 100_000_000  # bytes a second, for the time that a plan announces; a hard disk's


def selected(rows: Selection | HeldRows | ArchivedTable) -> str:
    """Return a selection as one line, such as `customers where country = "Germany"`."""
    return rows.table + _where(rows.where)


def risk_in_words(limit: RiskLimit) -> str:
    """Return what must hold in the archive, and what of it goes where it does not, as one line."""
    diversity = f", with {limit.l} values of {limit.sensitive}" if limit.l is not None else ""
    share = f"{float(limit.suppress) * 100:g} % of the rows"
    ladder = ", then ".join(f"{r.column} to {r.to}" for r in limit.ladder)
    lost = f"erased without being archived where it does not: these columns of up to {share}"
    return (
        f"at least {limit.k} rows agree in {', '.join(limit.quasi)}{diversity}"
        f"{f'; generalised further if need be: {ladder}' if ladder else ''}"
        f"; {lost if float(limit.suppress) else 'else nothing is archived and nothing goes'}"
    )


def gate_in_words(gate: AnyGate) -> str:
    """Return what the job rests on as one line."""
    match gate:
        case MapGate():
            left = ", ".join(f"{copy.place} ({copy.kind} of {copy.target})" for copy in gate.left)
            lower = ", ".join(f"{f.table}.{f.field} ({f.type}: {f.level})" for f in gate.lowered)
            unread = ", ".join(f"{place.place} ({place.state})" for place in gate.unverified)
            return (
                f"data map {gate.file}, sha256:{gate.digest[:16]}…: {gate.owners} owners attested, "
                f"{gate.people} people{f'; nobody could read {unread}' if unread else ''}"
                f"{f'; copies that stay: {left}' if left else ''}"
                f"{f'; levels below those of their types: {lower}' if lower else ''}"
            )
        case FollowGate():
            return f"the job {gate.job}, which left {gate.held} units on hold: {gate.file}"
        case HoldGate():
            return "; ".join(_held(gate))
        case NoticeGate():
            erased = f"; {gate.unreached} whom no letter reached go all the same" if gate.unreached else ""
            return (
                f"notice {gate.folder}, sha256:{gate.digest[:16]}…: {gate.told} people told, the last at "
                f"{gate.last_told}, {gate.replied} wrote back and are held{erased}; {gate.days} days and "
                f"until {gate.cut_off}, so nothing goes before {gate.opens}"
            )
        case WithoutNotice():
            return f"no notice: nobody is told, and policies ask for {gate.days} days; reason: {gate.reason}"
        case CustodyGate():
            places = ", ".join(f"{c.id} ({c.medium}, {c.site}, {c.law})" for c in gate.copies)
            who = ", ".join(key.name for key in gate.custodians)
            apart = ", ".join(key.name for key in gate.last_four)
            moved = ", ".join(
                f"{t.law} to {t.to} by {t.id} until {t.until}, sha256:{t.digest[:16]}…"
                for t in gate.transfers
            )
            return (
                f"custody: nothing goes before each archive lies in {places} and was received by {who}"
                f"{f', the last four digits by {apart}' if apart else ''}"
                f"{f'; transfers: {moved}' if moved else ''}"
            )
        case RecordGate():
            return "; ".join(map(_attested, gate.records))
        case PaperGate():
            named = ", ".join(f"{p.kind} {p.id} (sha256:{p.digest[:16]}…)" for p in gate.papers)
            return f"papers, which nobody here reads: {named}"
        case StaffGate():
            who = ", ".join(f"{m.name} ({len(m.keys)} keys{_runs(m)})" for m in gate.people)
            trained = " and is trained on the day" if gate.operator == "trained" else ""
            return f"staff: who approves does not run it; who runs it is an operator{trained}: {who}"


def _runs(member: Member) -> str:
    return "" if member.trained_until is None else f", operator until {member.trained_until}"


def fill_in_words(fill: PlannedFill) -> str:
    """Return what a fill writes, how long that takes, and what it means for other programs, as one line."""
    kind = dict(fill.identity.fields)["type"]
    seconds = 2 * fill.size // ASSUMED_RATE
    others = f"{size(fill.asked.margin)} stay free for other programs, and are not reached"
    if not fill.asked.margin:
        others = "at the end the file system is full for a moment: other programs cannot write then"
    lies = f"; on it: {', '.join(fill.targets)}" if fill.targets else ""
    return (
        f"{size(fill.size)} of {kind} at {dict(fill.identity.fields)['mount-point']}, written and read back: "
        f"about {seconds} s at {size(ASSUMED_RATE)}/s; {others}{lies}"
    )


def limit_text(name: str) -> str:
    """Return the vetted sentence of a limit, or its id where the sentence needs facts of the run."""
    text = LIMITS[name].text if name in LIMITS else name
    return name if "{" in text else text


def _attested(record: KnownRecord) -> str:
    exceptions = f", {record.exceptions} exceptions" if record.exceptions else ""
    late = f", {record.days_late} days late" if record.days_late else ""
    signers = ", ".join(record.signers)
    return f"record {record.id}, attested, not verified{exceptions}{late}, signed by {signers}"


def _held(gate: HoldGate) -> Iterator[str]:
    if (known := gate.register) is not None:
        yield f"hold register {known.file}, {known.entries} entries, head sha256:{known.head[:16]}…"
        yield from (f"on hold there: {h.id} ({h.matter}: {h.authority}, {h.case})" for h in known.holds)
    yield from (f"matters of {policy.file}" for policy in gate.policies)


def _where(conditions: tuple[Condition, ...]) -> str:
    return f" where {' and '.join(map(_condition, conditions))}" if conditions else ", every row"


def _condition(condition: Condition) -> str:
    start = f"{condition.column} {condition.operator}"
    if condition.within is not None:
        inner = condition.within
        return f"{start} ({inner.table}.{inner.column}{_where(inner.where)})"
    if condition.values_from is not None:
        return f"{start} (values of the file {condition.values_from})"
    if condition.values is not None:
        return f"{start} ({', '.join(map(_literal, condition.values))})"
    return start if condition.value is None else f"{start} {_literal(condition.value)}"


def _literal(value: str | float | bool) -> str:
    return json.dumps(value, ensure_ascii=False)
