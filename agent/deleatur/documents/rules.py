"""What a type cannot say about a job or a plan: rules between fields, each with its kind and place. Pure.

All faults are found at once, so that nobody mends a document one error at a time. Literals are
judged but never quoted.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import SplitResult, urlsplit

from deleatur.documents.gates import AnyGate, MapGate, NoticeGate, StaffGate
from deleatur.documents.job import (
    OPTIONS,
    ArchivedTable,
    Condition,
    Custody,
    Job,
    Notice,
    Recipients,
    RiskLimit,
    Rule,
    Target,
    Value,
    parts_of,
)
from deleatur.documents.place import LIFT
from deleatur.documents.plan import Plan, PlannedTarget
from deleatur.errors import Malformed

SINGLE_APPROVAL_SCHEMES = frozenset({"file"})  # single files and devices: a technician with a shelf of disks
PERSONAL_DIGITS = 7  # a telephone number without its area code (North American Numbering Plan)
COARSER = {  # generalised to -> what is coarser, so that a ladder never leads back
    "month": ("year", "five-years", "decade"),
    "year": ("five-years", "decade"),
    "five-years": ("decade",),
    "first-3": ("first-2", "first-letter"),
    "first-2": ("first-letter",),
    "tens": ("thousands",),
}
UNMEASURED = frozenset(
    {"drop", "keep-last-4", "null", "redact"}
)  # rules that leave no value to tell rows apart by
COPIES, MEDIA, SITES = 3, 2, 2  # the 3-2-1 rule
TRANSFERRING = ("legal", "it", "business")  # who approves that records go abroad, each by a key of their own
_LISTED = 50  # faults in one message: more help nobody
_OPERANDS = {"in": ("values", "values_from"), "within": ("within",), "not-within": ("within",)}
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
PATHLESS_SCHEMES = frozenset({"pkcs11"})  # RFC 7512: a token is named by its label, nothing is relative
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://?[^ ]")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")  # RFC 3986 §3.1, lower case only


@dataclass(frozen=True)
class Fault:
    """One reason why a document is malformed."""

    kind: str
    where: str
    what: str


def check_job(job: Job) -> None:
    """Refuse a job that contradicts itself or names a person.

    Raises:
        Malformed: all faults in one line; `kind` and `where` are those of the first.
    """
    raise_all([*faults_of_job(job)])


def check_plan(plan: Plan) -> None:
    """Refuse a plan whose steps do not fit its targets.

    Raises:
        Malformed: all faults in one line; `kind` and `where` are those of the first.
    """
    raise_all([*faults_of_plan(plan)])


def faults_of_job(job: Job) -> Iterator[Fault]:
    """Yield every fault of `job`."""
    yield from personal_text(job.authority, "$.authority")
    yield from twice((t.id for t in job.target), "$.target", "id")
    yield from twice(job.policy.roles, "$.policy.roles", "role")
    yield from twice((t.url for t in job.target), "$.target", "url")
    yield from twice(job.records, "$.records")
    yield from twice((paper.id for paper in job.paper), "$.paper", "id")
    yield from twice((paper.file for paper in job.paper), "$.paper", "file")
    for n, target in enumerate(job.target):
        yield from _target(target, f"$.target[{n}]")
    if job.verification.device and any(t.lift_hidden for t in job.target):
        what = "what a drive hides cannot be searched before it is lifted: compare it with its pattern only"
        yield Fault("contradiction", "$.verification.device", what)
    if any(t.archive for t in job.target) and job.custody is None:
        yield Fault("no-custodian", "$.custody", "an archive needs custodians who can open it")
    if job.custody is not None:
        yield from _last_four(job, job.custody)
    if job.custody is not None:
        yield from real_date(job.custody.retain_until, "$.custody.retain_until")
        yield from _custody(job.custody, "$.custody")
        if job.custody.transfer and not {*TRANSFERRING} <= {*job.policy.roles}:
            what = "a transfer abroad is approved as legal, it and business: ask for these roles"
            yield Fault("approvals", "$.policy.roles", what)
    if job.policy.approvals == 1 and not all(_scheme(t.url) in SINGLE_APPROVAL_SCHEMES for t in job.target):
        what = "one approval is enough for files and single devices only, so ask for two"
        yield Fault("approvals", "$.policy.approvals", what)
    yield from twice((f.id for f in job.free_space), "$.free_space", "id")
    if job.policy.approvals == 1 and job.free_space:
        what = "a fill writes to a whole file system, so ask for two approvals"
        yield Fault("approvals", "$.policy.approvals", what)
    yield from _told(job)
    for key in ("confidence", "max_bad_fraction"):
        if float(getattr(job.verification, key)) == 0:
            yield Fault("bad-value", f"$.verification.{key}", f"{key} must be above 0")


def faults_of_plan(plan: Plan) -> Iterator[Fault]:
    """Yield every fault of `plan`."""
    yield from twice((k.spki for k in plan.approvers), "$.approvers", "spki")
    if tuple(role.role for role in plan.roles) != plan.policy.roles:
        yield Fault("contradiction", "$.roles", "not the roles that the policy asks for")
    yield from twice((t.id for t in plan.targets), "$.targets", "id")
    for n, target in enumerate(plan.targets):
        yield from _planned(target, f"$.targets[{n}]")
    techniques = {t.id: t.technique for t in plan.targets}
    yield from _steps(plan)
    yield from twice((f.id for f in plan.free_space), "$.free_space", "id")
    for n, fill in enumerate(plan.free_space):
        if fill.id != fill.asked.id:
            yield Fault("contradiction", f"$.free_space[{n}].asked.id", "not the id of the planned fill")
        if "type" not in dict(fill.identity.fields):
            yield Fault("missing-key", f"$.free_space[{n}].identity", "a file system has a type")
        for strange in sorted({*fill.targets} - techniques.keys()):
            what = f"no target of the plan is called {strange}"
            yield Fault("contradiction", f"$.free_space[{n}].targets", what)
    yield from twice((g.name for g in plan.gates), "$.gates", "kind")
    for n, gate in enumerate(plan.gates):
        yield from _gate(gate, techniques.keys(), f"$.gates[{n}]")
    for idle in sorted(techniques.keys() - {s.target for s in plan.steps}):
        yield Fault("contradiction", "$.steps", f"target {idle} has no step")


def _steps(plan: Plan) -> Iterator[Fault]:
    techniques = {t.id: t.technique for t in plan.targets}
    for n, step in enumerate(plan.steps):
        where = f"$.steps[{n}]"
        if step.id != f"s{n + 1}":
            yield Fault("contradiction", f"{where}.id", f"step number {n + 1} must be called s{n + 1}")
        if techniques.get(step.target) != step.technique:
            yield Fault("contradiction", where, "no target of the plan has this id and this technique")
        if step.reads_back and step.pattern is None:
            yield Fault("missing-key", where, "a step that is compared with a pattern needs one")
    lifted = [(step.target, step.action) for step in plan.steps if step.of_each_run]
    firsts = {step.target: step.id for step in reversed(plan.steps)}
    wanted = [(t.id, LIFT) for t in plan.targets if t.shown is not None]
    late = [step for step in plan.steps if step.of_each_run and firsts[step.target] != step.id]
    if late or lifted != wanted or any(s.action == LIFT and not s.of_each_run for s in plan.steps):
        what = "what a drive hides is lifted once, first, and only where it shows less than all"
        yield Fault("contradiction", "$.steps", what)


def _planned(target: PlannedTarget, where: str) -> Iterator[Fault]:
    if target.id != target.target.id:
        yield Fault("contradiction", f"{where}.target.id", "not the id of the planned target")
    yield from twice((u.name for u in target.units), f"{where}.units", "name")
    yield from twice((k.unit for k in target.kept), f"{where}.kept", "unit")
    names = {u.name for u in target.units} if target.kept else set()
    for n, kept in enumerate(target.kept):
        if kept.unit not in names or not target.target.leave_shared:
            what = "blocks are kept of a unit of the target, where the job leaves what is shared"
            yield Fault("contradiction", f"{where}.kept[{n}]", what)
    if target.shown is not None and not (target.target.lift_hidden and target.shown < target.size):
        what = "a drive shows less than all of it, and the job has the rest lifted"
        yield Fault("contradiction", f"{where}.shown", what)
    yield from twice((s.name for s in target.surfaces), f"{where}.surfaces", "name")
    for n, surface in enumerate(target.surfaces):
        if surface.is_device and surface.control == "none":
            what = "all that lies in the target's files lies on the device below them"
            yield Fault("contradiction", f"{where}.surfaces[{n}].control", what)


def _gate(gate: AnyGate, targets: Collection[str], where: str) -> Iterator[Fault]:
    named: tuple[tuple[str, Iterable[str]], ...] = ()
    match gate:
        case MapGate():
            named = (("left", [copy.target for copy in gate.left]),)
        case NoticeGate():
            named = (("recipients", [part.target for part in gate.recipients]),)
        case StaffGate():
            yield from twice((member.name for member in gate.people), f"{where}.people", "name")
            yield from twice((key for member in gate.people for key in member.keys), f"{where}.people.keys")
    for key, ids in named:
        for n, name in enumerate(ids):
            if name not in targets:
                what = "no target of the plan has this id"
                yield Fault("contradiction", f"{where}.{key}[{n}].target", what)


def raise_all(faults: Sequence[Fault]) -> None:
    """Raise all faults in one line; none: nothing.

    Raises:
        Malformed: `kind` and `where` are those of the first.
    """
    if not faults:
        return
    first, *others = faults
    what = "; ".join([first.what, *(f"{f.what} (at {f.where})" for f in others[:_LISTED])])
    if len(others) > _LISTED:
        what += f"; and {len(others) - _LISTED} more"
    raise Malformed(what, kind=first.kind, where=first.where)


def _target(target: Target, where: str) -> Iterator[Fault]:
    yield from _url(target, where)
    yield from twice((h.id for h in target.hold), f"{where}.hold", "id")
    yield from twice((a.table for a in target.archive), f"{where}.archive", "table")
    for n, selection in enumerate(target.select):
        yield from faults_of_conditions(selection.where, f"{where}.select[{n}].where")
    for n, hold in enumerate(target.hold):
        yield from personal_text(hold.reason, f"{where}.hold[{n}].reason")
        yield from faults_of_conditions(hold.where, f"{where}.hold[{n}].where")
    for n, table in enumerate(target.archive):
        yield from _archive(table, f"{where}.archive[{n}]")


def _custody(custody: Custody, where: str) -> Iterator[Fault]:
    for key in ("name", "recipient", "key"):
        given = (getattr(c, key) for c in custody.custodian)
        yield from twice((text for text in given if text is not None), f"{where}.custodian", key)
    for n, custodian in enumerate(custody.custodian):
        shares = custodian.shares
        if shares is not None and shares.needed > shares.of:
            yield Fault("contradiction", f"{where}.custodian[{n}].shares", "more are needed than there are")
        if custody.copy and custodian.key is None:
            what = "where copies are kept every custodian signs a receipt, and needs `key`"
            yield Fault("missing-key", f"{where}.custodian[{n}]", what)
    for part in dict.fromkeys(("main", *(c.part for c in custody.custodian))):
        keepers = custody.of(part).custodian
        if not keepers:
            yield Fault("no-custodian", f"{where}.custodian", f"nobody opens the {part} part of the archives")
        if len(keepers) == 1 and keepers[0].shares is None:
            what = "one key that is lost loses the archive: name a second custodian, or share the identity"
            yield Fault("one-custodian", f"{where}.custodian", what)
    if custody.without_copies is not None:
        yield from personal_text(custody.without_copies, f"{where}.without_copies")
        if custody.copy:
            what = "there are copies, so there is nothing to say about their absence"
            yield Fault("contradiction", f"{where}.without_copies", what)
    if custody.copy:
        yield from _copies(custody, where)
    elif custody.laws or custody.packs or custody.transfer:
        yield Fault("contradiction", where, "laws, packs and transfers are about copies, and there is none")


def _last_four(job: Job, custody: Custody) -> Iterator[Fault]:
    """Last four digits stand in a part of their own, for custodians of its own."""
    kept = any("last-four" in parts_of(target) for target in job.target)
    keepers = custody.of("last-four").custodian
    if kept and not keepers:
        what = 'keep-last-4 makes a part of its own: name custodians of it, with part = "last-four"'
        yield Fault("no-custodian", "$.custody.custodian", what)
    if keepers and not kept:
        what = "no column has the rule keep-last-4, so there is no such part to open"
        yield Fault("contradiction", "$.custody.custodian", what)


def _copies(custody: Custody, where: str) -> Iterator[Fault]:
    """3-2-1: three copies, two kinds of medium, one elsewhere."""
    copies = custody.copy
    yield from twice((copy.id for copy in copies), f"{where}.copy", "id")
    yield from twice((copy.url for copy in copies), f"{where}.copy", "url")
    for n, copy in enumerate(copies):
        if _scheme(copy.url) != "file":
            yield Fault("bad-value", f"{where}.copy[{n}].url", "a copy lies in a folder: file:///mnt/…")
    if len(copies) < COPIES:
        yield Fault("copies", f"{where}.copy", f"{COPIES} copies are kept, not {len(copies)}")
    if len({copy.medium for copy in copies}) < MEDIA:
        yield Fault("copies", f"{where}.copy", f"the copies are kept on {MEDIA} kinds of medium at least")
    if len({copy.site for copy in copies}) < SITES:
        yield Fault("copies", f"{where}.copy", "one copy is kept elsewhere: another `site` than the others")
    if not custody.laws:
        yield Fault("missing-key", f"{where}.laws", "where copies are kept, say of which law the records are")
    yield from twice((f"{t.law} to {t.to}" for t in custody.transfer), f"{where}.transfer", "law")


def _url(target: Target, where: str) -> Iterator[Fault]:
    parts = _split(target.url)
    scheme = _scheme(target.url)
    if parts is None or not _SCHEME.fullmatch(scheme):
        yield Fault(
            "bad-value", f"{where}.url", "not a URL with a scheme in lower case, such as file:///srv/x"
        )
        return
    if parts.password is not None:
        yield Fault("secret", f"{where}.url", "a URL in a document must not hold a password")
    if scheme in SINGLE_APPROVAL_SCHEMES and (target.select or target.hold or target.archive):
        yield Fault("contradiction", where, "files have no rows: nothing in them to select, hold or archive")
    if target.leave_shared and scheme not in SINGLE_APPROVAL_SCHEMES:
        yield Fault("contradiction", f"{where}.leave_shared", "only files share blocks with other files")
    if target.lift_hidden and scheme != "block":
        yield Fault("contradiction", f"{where}.lift_hidden", "only drives hide sectors: `block:` targets")
    if target.others_write and not target.select:
        yield Fault("contradiction", f"{where}.others_write", "all of it goes: no row stays to be written to")


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _scheme(url: str) -> str:
    return url.partition(":")[0] if ":" in url else ""


def _archive(table: ArchivedTable, where: str) -> Iterator[Fault]:
    if not table.columns:
        yield Fault("missing-key", f"{where}.columns", "every column needs a rule, and there is none")
    for column, rule in table.columns.items():
        yield from _rule(rule, f"{where}.columns.{column[:80]}")
    yield from faults_of_conditions(table.where, f"{where}.where")
    if table.risk is not None:
        yield from _risk(table.risk, table.columns, f"{where}.risk")


def _risk(risk: RiskLimit, columns: dict[str, Rule], where: str) -> Iterator[Fault]:
    yield from twice(risk.quasi, f"{where}.quasi", "column")
    for place, column in (
        *((f"{where}.quasi[{n}]", name) for n, name in enumerate(risk.quasi)),
        *(((f"{where}.sensitive", risk.sensitive),) if risk.sensitive is not None else ()),
    ):
        if column not in columns or columns[column].rule in UNMEASURED:
            yield Fault("contradiction", place, "not a column whose rule leaves values to compare")
    if risk.sensitive in risk.quasi:
        yield Fault("contradiction", f"{where}.sensitive", "a quasi-identifier says who, not what")
    if risk.l is not None and risk.sensitive is None:
        yield Fault("missing-key", where, "`l` counts values of a column: name it with `sensitive`")
    now = {name: rule.to for name, rule in columns.items() if name in risk.quasi}
    for n, rung in enumerate(risk.ladder):
        if rung.to not in COARSER.get(now.get(rung.column) or "", ()):
            what = "not a quasi-identifier that is generalised, or not coarser than it is by then"
            yield Fault("contradiction", f"{where}.ladder[{n}]", what)
        now[rung.column] = rung.to


def _told(job: Job) -> Iterator[Fault]:
    if job.without_notice is not None:
        yield from personal_text(job.without_notice, "$.without_notice")
        if job.notice is not None:
            yield Fault(
                "contradiction", "$.without_notice", "the job says how people are told: leave one out"
            )
        if job.policy.approvals < 2:
            yield Fault("approvals", "$.policy.approvals", "to tell nobody takes two approvals")
    if job.notice is not None:
        yield from _notice(job.notice, {t.id: t for t in job.target})


def _notice(notice: Notice, targets: dict[str, Target]) -> Iterator[Fault]:
    yield from real_date(notice.cut_off, "$.notice.cut_off")
    yield from twice((x.language for x in notice.letter), "$.notice.letter", "language")
    pairs = (f"{r.target} {r.table}" for r in notice.recipients)
    yield from twice(pairs, "$.notice.recipients", "table")
    for n, recipients in enumerate(notice.recipients):
        where = f"$.notice.recipients[{n}]"
        if not any((recipients.email, recipients.phone, recipients.postal, recipients.app)):
            yield Fault("missing-key", where, "no column says where these people are written to")
        if recipients.email is not None and notice.mail_from is None:
            yield Fault("missing-key", "$.notice.mail_from", "letters by e-mail need a sender's address")
        if recipients.target not in targets:
            yield Fault("contradiction", f"{where}.target", "no target of the job has this id")
        else:
            yield from _recipients(recipients, targets[recipients.target], notice.held, where)


def _recipients(recipients: Recipients, target: Target, held: str, where: str) -> Iterator[Fault]:
    selected = not target.select or recipients.table in {s.table for s in target.select}
    if selected and recipients.where:
        yield Fault("contradiction", f"{where}.where", "the target's own selection says who is told")
    if not selected and not recipients.where:
        yield Fault("missing-key", where, "nothing is selected from this table: say with `where` who is told")
    yield from faults_of_conditions(recipients.where, f"{where}.where")
    holds = (c for h in target.hold if h.table == recipients.table for c in h.where)
    if target.select and selected and held not in {c.values_from for c in holds}:
        what = f"who writes back must be held: hold rows of this table whose subject is in {held[:200]}"
        yield Fault("no-hold", where, what)


def _rule(rule: Rule, where: str) -> Iterator[Fault]:
    for key, (rules, needed) in OPTIONS.items():
        if rule.rule in rules:
            if needed and getattr(rule, key) is None:
                yield Fault("missing-key", where, f"{rule.rule} needs `{key}`")
        elif getattr(rule, key) is not None:
            yield Fault("contradiction", f"{where}.{key}", f"only {' and '.join(rules)} takes `{key}`")


def faults_of_conditions(conditions: Iterable[Condition], where: str) -> Iterator[Fault]:
    """Find every condition that is not complete, says two things or names a person."""
    for n, condition in enumerate(conditions):
        yield from _condition(condition, f"{where}[{n}]")


def _condition(condition: Condition, where: str) -> Iterator[Fault]:
    given = [k for k in ("value", "values", "values_from", "within") if getattr(condition, k) is not None]
    operator = condition.operator
    wanted = () if operator in ("is-null", "not-null") else _OPERANDS.get(operator, ("value",))
    if len(given) != min(len(wanted), 1) or not set(given) <= set(wanted):
        words = f"exactly one of {' and '.join(wanted)}" if len(wanted) > 1 else "".join(wanted) or "nothing"
        yield Fault("operand", where, f"the operator {operator} takes {words} beside the column")
    if condition.values is not None and not condition.values:
        yield Fault("operand", f"{where}.values", "an empty list selects nothing")
    if condition.value is not None:
        yield from _literal(condition.value, f"{where}.value")
    for n, value in enumerate(condition.values or ()):
        yield from _literal(value, f"{where}.values[{n}]")
    if condition.within is not None:
        yield from faults_of_conditions(condition.within.where, f"{where}.within.where")


def _literal(value: Value, where: str) -> Iterator[Fault]:
    if not isinstance(value, str) or _DATE.fullmatch(value):
        return
    if "@" in value or sum(c.isdecimal() for c in value) >= PERSONAL_DIGITS:
        yield Fault("personal", where, "put values that name a person into a file and use values_from")


def personal_text(text: str, where: str) -> Iterator[Fault]:
    """Refuse a text of a person's that holds an address."""
    if "@" in text:
        yield Fault("personal", where, "an address names a person: cite the case, the law or a pseudonym")


def real_date(text: str, where: str) -> Iterator[Fault]:
    """Refuse a day that no calendar has."""
    try:
        date.fromisoformat(text)
    except ValueError:
        yield Fault("bad-value", where, "no such date")


def absolute_url(text: str, where: str) -> Iterator[Fault]:
    """Yield a fault unless `text` names a store as the targets of a plan are named."""
    if not _ABSOLUTE.match(text) and _scheme(text) not in PATHLESS_SCHEMES:
        what = "name the store by its absolute URL, as jobs do: another name would hold nothing"
        yield Fault("bad-value", where, what)


def twice(names: Iterable[str], where: str, key: str = "") -> Iterator[Fault]:
    """Find every name that stands a second time."""
    seen: set[str] = set()
    for n, name in enumerate(names):
        if name in seen:
            place = f"{where}[{n}].{key}" if key else f"{where}[{n}]"
            yield Fault("repeated", place, f"this {key or 'name'} stands twice")
        seen.add(name)
