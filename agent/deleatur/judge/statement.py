"""Make the statement of a certificate from plan and journal, and from nothing else.

Pure: the same documents give the same bytes, so a verifier computes them again. Every number in
it stands in the journal or follows from it; levels, bounds and sentences are by rule.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, date

from deleatur.documents import certificate as c
from deleatur.documents.codec import encode_json
from deleatur.documents.job import Custodian, RiskLimit, tables_of
from deleatur.documents.journal import Entry, ReachedRisk
from deleatur.documents.place import Step
from deleatur.documents.plan import Plan, PlannedTarget, PublicKey
from deleatur.errors import Refused
from deleatur.judge.approvers import filled, unfilled
from deleatur.judge.conditions import alone, boundaries_of, condition, exceptions_of
from deleatur.judge.finding import Finding, plain
from deleatur.judge.fingerprint import key_id
from deleatur.judge.free_space import boundaries_of_fill, exceptions_of_fill, filled_space, lifted
from deleatur.judge.history import History, TargetHistory, history
from deleatur.judge.sentences import claim, limit_sentence
from deleatur.judge.staff import digest_of, people_of, persons, staff_of
from deleatur.sanitize.techniques import technique

# Fields of the sample forms of NIST SP 800-88 Rev. 1 App. G and Rev. 2 App. C that this form lacks.
NOT_RECORDED = (
    "manufacturer, model, serial number and firmware of the medium",
    "property or asset number",
    "health of the medium",
    "confidentiality category before and after",
    "names, titles, contacts and ink signatures of persons: pseudonyms and keys stand instead",
    "location",
    "destination and custodian of the medium",
    "validation by an accepting officer",
    "time from a trusted authority: all times are of the host's clock",
    "entry in a public log",
)
_WORST_FIRST: tuple[c.State, ...] = ("executed-unverified", "verified-with-exceptions", "verified")


@dataclass(frozen=True)
class Issue:
    """What is not in plan and journal: who issues the certificate, when, and on which evidence."""

    certificate_id: str
    issued_at: str  # RFC 3339, UTC
    issuers: Sequence[PublicKey]
    approvals: Sequence[PublicKey]  # counted by `deleatur.trust.approval`
    journal_digest: str  # sha256 hex of journal.jsonl
    evidence_digest: str  # sha256 hex of evidence.sha256


def statement(plan: Plan, plan_bytes: bytes, entries: Sequence[Entry], issue: Issue) -> bytes:
    """Return the in-toto Statement to be signed.

    Raises:
        Residue: something of what was to be erased can still be read.
        Refused: the journal does not show that everything was done and looked at; or a limit of the
            plan has no vetted sentence.
    """
    plan_digest = hashlib.sha256(plan_bytes).hexdigest()
    told = history(plan, plan_digest, entries)
    _require_approvals(plan, told, issue)
    _require_operator(plan, told, issue)
    files = {t.id: f"targets/t{number}.txt" for number, t in enumerate(plan.targets, 1)}
    filled = {f.id: told.fills[f.id] for f in plan.free_space}
    reached = lifted(plan, {name: f.filled for name, f in filled.items() if f.filled is not None})
    findings = [Finding(plan, told.targets[t.id], filled=t.id in reached) for t in plan.targets]
    subjects = [
        *(c.Subject(name=files[t.id], digest=_identity_digest(t)) for t in plan.targets),
        c.Subject(name="plan.json", digest=c.Digest(sha256=plan_digest)),
        c.Subject(name="evidence.sha256", digest=c.Digest(sha256=issue.evidence_digest)),
    ]
    outcomes = tuple(finding.outcome() for finding in findings)
    beside = (
        *exceptions_of(plan.gates),
        *(e for f in filled.values() if f.filled for e in exceptions_of_fill(f.fill, f.filled)),
    )
    predicate = c.Certificate(
        schema_version="deleatur/certificate/v1",
        certificate_id=issue.certificate_id,
        language="en",
        issuers=tuple(map(_key, issue.issuers)),
        issued_at=issue.issued_at,
        retain_until=_years_later(issue.issued_at, plan.policy.certificate_retention_years),
        plan=_plan_reference(plan, plan_digest),
        planner=_key(plan.planned_by),
        approvals=_approvals(plan, issue),
        conditions=tuple(condition(g, *told.passed[g.name]) for g in plan.gates),
        targets=tuple(_target(t, files[t.id]) for t in plan.targets),
        method=tuple(m for t in plan.targets for m in _methods(told.targets[t.id])),
        free_space=tuple(
            filled_space(f.fill, f.filled, plan.verification, f.at) for f in filled.values() if f.filled
        ),
        inventory=tuple(finding.inventory() for finding in findings),
        verification=tuple(finding.verification() for finding in findings),
        archives=tuple(
            a for t in plan.targets for a in _archive(plan, told.targets[t.id], told.key_erased_at)
        ),
        exceptions=(*(e for finding in findings for e in finding.exceptions()), *beside),
        outcome=c.Outcomes(per_target=outcomes, overall=_overall(outcomes, beside)),
        copies_not_covered=limit_sentence("copies-elsewhere"),
        known_limits=tuple(
            dict.fromkeys(
                [
                    *(s for finding in findings for s in finding.boundaries()),
                    *boundaries_of_fill(plan.free_space),
                    *boundaries_of(plan.gates),
                    *alone(plan),
                ]
            )
        ),
        statements_not_recorded=NOT_RECORDED,
        times=c.Times(
            plan_created=plan.created_at,
            first_destructive=told.first_destructive,
            last_destructive=told.last_destructive,
            verified=max(t.verified_at for t in told.targets.values()),
        ),
        evidence=c.Evidence(
            journal=c.Digest(sha256=issue.journal_digest),
            journal_entries=len(entries),
            selftests=told.selftests,
        ),
        software=c.MadeBy(
            agent=plain(plan.software.agent),
            version=plain(plan.software.version),
            python=plain(plan.software.python),
            record_digest=plan.software.record_digest,
        ),
        previous="none",
    )
    return encode_json(
        c.Statement(
            type_=c.STATEMENT_TYPE,
            subject=tuple(subjects),
            predicate_type=c.CERTIFICATE_TYPE,
            predicate=predicate,
        )
    )


def _require_approvals(plan: Plan, told: History, issue: Issue) -> None:
    """Compare the approvals that count with those that each run of the job went on."""
    counted = {key_id(key) for key in issue.approvals}
    people = people_of(plan)
    if len(persons((key.spki for key in issue.approvals), people)) < plan.policy.approvals:
        raise Refused(f"no certificate: {len(counted)} keys approved, {plan.policy.approvals} are needed")
    if missing := unfilled(plan.roles, (key.spki for key in issue.approvals), people):
        raise Refused(f"no certificate: nobody approved as {', '.join(missing)}")
    for run in told.approved_by:
        if not set(run) <= counted or len(set(run)) < plan.policy.approvals:
            raise Refused("no certificate: a run went on approvals that are not there")


def _require_operator(plan: Plan, told: History, issue: Issue) -> None:
    """Ask that who ran the job last signs its certificate."""
    gate = staff_of(plan)
    if gate is not None and told.passed[gate.name][0].digest not in map(digest_of, issue.issuers):
        raise Refused("no certificate: who ran the job does not sign it")


def _overall(outcomes: Sequence[c.Outcome], beside: Sequence[c.TargetException]) -> c.State:
    """Return the worst of all targets; what is wrong beside them is an exception of the whole."""
    states: list[c.State] = [outcome.state for outcome in outcomes]
    if beside:
        states.append("verified-with-exceptions")
    return min(states, key=_WORST_FIRST.index)


def _approvals(plan: Plan, issue: Issue) -> c.Approvals:
    by_spki = {key.spki: key for key in issue.approvals}
    found = filled(plan.roles, by_spki, people_of(plan))
    return c.Approvals(
        threshold=plan.policy.approvals,
        keys=tuple(map(_key, issue.approvals)),
        roles=tuple(c.FilledRole(role=role, key_id=key_id(by_spki[spki])) for role, spki in found.items()),
    )


def _plan_reference(plan: Plan, digest: str) -> c.PlanReference:
    return c.PlanReference(
        id=plan.id,
        digest=c.Digest(sha256=digest),
        created_at=plan.created_at,
        job=plan.job,
        job_digest=plan.job_digest,
        reason=plain(plan.reason),
        authority=plain(plan.authority),
        requested_by=plan.requested_by,
    )


def _target(planned: PlannedTarget, file: str) -> c.CertifiedTarget:
    return c.CertifiedTarget(
        id=planned.id,
        kind=plain(planned.identity.kind),
        identity_file=file,
        identity_digest=_identity_digest(planned),
        units=len(planned.units),
        size=planned.size,
        held=len(planned.held),
    )


def _methods(told: TargetHistory) -> Iterator[c.Method]:
    pin = told.planned.plugin
    plugin = c.Plugin(
        distribution=plain(pin.distribution),
        version=plain(pin.version),
        record_digest=pin.record_digest,
        entry_point=plain(pin.entry_point),
    )
    for step in told.steps.values():
        way = technique(step.step.technique)
        yield c.Method(
            step=step.step.id,
            target_id=told.planned.id,
            technique=way.id,
            title=way.title,
            category=way.category,
            scope=way.scope,
            action=step.step.action,
            pattern=_laid(step.step),
            source=way.source,
            plugin=plugin,
            commands=step.exchanges,
            done=step.done,
            started_at=step.began_at,
            ended_at=step.ended_at,
        )


def _laid(step: Step) -> str:
    """Say what the step wrote; of one that only removes, or only sends commands, nothing."""
    if step.compare in ("absence", "changed") or step.pattern is None:
        return "none"
    return "aes-256-ctr" if step.pattern.kind == "aes-256-ctr" else f"bytes-{step.pattern.cycle}"


def _archive(plan: Plan, told: TargetHistory, key_erased_at: str) -> Iterator[c.ArchiveReference]:
    if plan.custody is None:
        return
    for found in told.archived.values():
        yield c.ArchiveReference(
            target_id=told.planned.id,
            part=found.part,
            file=plain(found.file),
            digest=c.Digest(sha256=found.sha256),
            size=found.size,
            contents=c.Digest(sha256=found.contents),
            custodians=tuple(map(_keeper, plan.custody.of(found.part).custodian)),
            retain_until=plan.custody.retain_until,
            compared=found.compared,
            token_key=claim("token-key-erased", at=key_erased_at),
            tables=tuple(
                c.ArchivedTableReference(
                    table=plain(t.table),
                    rows=t.rows,
                    digest=c.Digest(sha256=t.sha256),
                    risk=_risk(t.risk, planned.risk, key_erased_at),
                )
                for t, planned in zip(found.tables, tables_of(told.planned.target, found.part), strict=True)
            ),
        )


def _risk(reached: ReachedRisk | None, limit: RiskLimit | None, by: str) -> c.ReidentificationRisk | None:
    if reached is None or limit is None:
        return None
    return c.ReidentificationRisk(
        quasi_identifiers=tuple(map(plain, limit.quasi)),
        wanted_k=limit.k,
        k=reached.k,
        sensitive=None if limit.sensitive is None else plain(limit.sensitive),
        wanted_l=limit.l,
        l=reached.l,
        suppressed_rows=reached.suppressed,
        generalised=tuple(f"{plain(r.column)} to {r.to}" for r in limit.ladder[: reached.rungs]),
        sentence=claim(
            "risk-suppressed" if reached.suppressed else "risk-kept", at=by, rows=reached.suppressed
        ),
    )


def _keeper(custodian: Custodian) -> c.Keeper:
    opens = custodian.in_words()
    return c.Keeper(name=custodian.name, recipient=custodian.recipient, opens=opens)


def _identity_digest(planned: PlannedTarget) -> c.Digest:
    return c.Digest(sha256=hashlib.sha256(planned.identity.text().encode()).hexdigest())


def _key(key: PublicKey) -> c.Key:
    return c.Key(name=key.name, key_id=key_id(key), spki=key.spki)


def _years_later(moment: str, years: int) -> str:
    """Return the day `years` after a moment; 29 February becomes 1 March, which keeps longer."""
    try:
        day = date.fromisoformat(moment[:10])
    except ValueError:
        raise Refused(f"{moment[:10]} is no day") from None
    if day.year + years > MAXYEAR:
        raise Refused(f"{years} years after {day.year} no calendar goes on")
    try:
        return day.replace(year=day.year + years).isoformat()
    except ValueError:
        return date(day.year + years, 3, 1).isoformat()
