"""Say in a certificate what the job rested on: each gate of the plan, and what it leaves open. Pure."""

from collections.abc import Iterator, Sequence

from deleatur.documents import certificate as c
from deleatur.documents.gates import (
    AnyGate,
    CustodyGate,
    FollowGate,
    HoldGate,
    MapGate,
    NoticeGate,
    PaperGate,
    RecordGate,
    StaffGate,
    WithoutNotice,
)
from deleatur.documents.journal import Passed
from deleatur.documents.plan import Plan
from deleatur.judge.finding import plain
from deleatur.judge.fingerprint import key_id
from deleatur.judge.sentences import claim, limit, limit_sentence
from deleatur.judge.staff import digest_of, keys_of

PEOPLE = "people"  # of whom an exception speaks that is about no target


def condition(gate: AnyGate, passed: Passed, at: str) -> c.Condition:
    """Return what the certificate says of a gate and of the last time, `at`, that it let the job through."""
    return c.Condition(
        gate=gate.name,
        digest=c.Digest(sha256=passed.digest),
        counts=tuple(c.Counted(name=name, count=count) for name, count in passed.counts),
        sentences=tuple(_claims(gate, passed, at)),
    )


def exceptions_of(gates: Sequence[AnyGate]) -> Iterator[c.TargetException]:
    """Yield what the job should have reached, beside its targets, and did not."""
    for place, sentence in _left_open(gates):
        found = limit(sentence.id)
        if found.effect != "boundary":
            yield c.TargetException(
                target_id=place, type=found.type, sentence=sentence, disposition="accepted"
            )


def boundaries_of(gates: Sequence[AnyGate]) -> Iterator[c.Sentence]:
    """Yield the limits that hold for every job on such a map."""
    return (s for _, s in _left_open(gates) if limit(s.id).effect == "boundary")


def _claims(gate: AnyGate, passed: Passed, at: str) -> Iterator[c.Sentence]:
    match gate:
        case MapGate():
            yield claim("gate-datamap", at=at, digest=passed.digest, owners=gate.owners)
        case FollowGate():
            yield claim("gate-follows", at=at, digest=passed.digest, job=gate.job, units=gate.held)
        case HoldGate():
            counted = dict(passed.counts)
            if gate.register is not None:
                yield claim("gate-holds", at=at, digest=passed.digest, open=counted.get("open", 0))
            if gate.policies:
                yield claim("gate-matters", at=at, matters=gate.matters)
        case NoticeGate():
            yield claim(
                "gate-notice",
                at=at,
                digest=passed.digest,
                told=gate.told,
                last=gate.last_told or "no time",
                days=gate.days,
                cut_off=gate.cut_off,
                replied=gate.replied,
            )
        case CustodyGate():
            counts = dict(passed.counts)
            yield claim(
                "gate-custody",
                at=at,
                copies=len(gate.copies),
                media=len({copy.medium for copy in gate.copies}),
                sites=len({copy.site for copy in gate.copies}),
                receipts=counts.get("receipts", 0),
            )
            for moved in gate.transfers:
                yield claim(
                    "gate-custody-transfer",
                    at=at,
                    record=moved.id,
                    law=moved.law,
                    to=moved.to,
                    until=moved.until,
                    digest=moved.digest,
                )
        case RecordGate():
            yield claim("gate-records", at=at, digest=passed.digest, records=len(gate.records))
        case PaperGate():
            yield claim("gate-papers", at=at, digest=passed.digest, papers=len(gate.papers))
        case StaffGate():
            yield from _of_staff(gate, passed, at)


def _of_staff(gate: StaffGate, passed: Passed, at: str) -> Iterator[c.Sentence]:
    for key in keys_of(gate):
        if digest_of(key) == passed.digest:
            told = f"{key.name} ({key_id(key)})"
            yield claim("gate-staff", at=at, operator=told, people=len(gate.people))
            until = next(m.trained_until for m in gate.people if key.spki in m.keys)
            if gate.operator == "trained":
                yield claim("gate-staff-trained", at=at, operator=key.name, until=until or "no day")


def alone(plan: Plan) -> Iterator[c.Sentence]:
    """Yield what must be said of archives of which no copy and no receipt was asked."""
    archives = any(t.target.archive for t in plan.targets)
    if archives and not any(isinstance(gate, CustodyGate) for gate in plan.gates):
        yield limit_sentence("archive-in-one-place")


def _left_open(gates: Sequence[AnyGate]) -> Iterator[tuple[str, c.Sentence]]:
    for gate in gates:
        match gate:
            case MapGate():
                for place in gate.unverified:
                    yield place.place, limit_sentence(f"place-{place.state}", place=place.place)
                for field in gate.lowered:
                    name = plain(f"{field.table}.{field.field}")
                    yield (
                        field.place,
                        limit_sentence(
                            "level-lowered",
                            field=name,
                            place=field.place,
                            level=field.level,
                            type=plain(field.type),
                        ),
                    )
            case NoticeGate():
                if gate.unreached:
                    yield PEOPLE, limit_sentence("people-not-reached", count=gate.unreached)
            case WithoutNotice():
                yield PEOPLE, limit_sentence("people-not-told", days=gate.days, reason=plain(gate.reason))
            case CustodyGate():
                continue  # what it asks for is there, or nothing is erased
            case RecordGate():
                yield from _of_records(gate)


def _of_records(gate: RecordGate) -> Iterator[tuple[str, c.Sentence]]:
    for one in gate.records:
        if one.exceptions:
            yield one.id, limit_sentence("record-exceptions", record=one.id, count=one.exceptions)
        if one.days_late:
            yield one.id, limit_sentence("record-late", record=one.id, days=one.days_late)
