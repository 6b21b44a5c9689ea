"""The judge asks for both parts of an archive, each for its own custodians, before it lets go or claims."""

import hashlib
from datetime import date

import pytest
from msgspec import structs

from deleatur.documents import journal as j
from deleatur.documents.codec import encode_json
from deleatur.documents.job import Rule
from deleatur.documents.plan import PublicKey
from deleatur.engine.packs import shipped
from deleatur.errors import Refused
from deleatur.judge import fold as f
from deleatur.judge.custodians import Keeper, Register, Signed, register
from deleatur.judge.demands import archive_rules
from deleatur.judge.drills import drill_standings
from deleatur.judge.statement import Issue, statement
from deleatur.testing.finished import (
    AGENT,
    APART,
    APPROVERS,
    RECIPIENT,
    FinishedJob,
    finished,
    known_key,
    some_rows,
    without,
)
from deleatur.trust.folder import read_statement

JOB = finished(some_rows(card=Rule(rule="keep-last-4")))
PARTS = [number for number, event in enumerate(JOB.events) if isinstance(event, j.Archived)]
MAIN, OTHER = (event for event in JOB.events if isinstance(event, j.Archived))


def certify(job: FinishedJob) -> bytes:
    issue = Issue(
        certificate_id="certificate-0001",
        issued_at="2026-03-01T12:00:00Z",
        issuers=[AGENT.public],
        approvals=[key.public for key in APPROVERS],
        journal_digest="aa" * 32,
        evidence_digest="bb" * 32,
    )
    return statement(job.plan, job.plan_bytes, job.entries, issue)


def altered(number: int, **fields: object) -> FinishedJob:
    event = structs.replace(JOB.events[number], **fields)
    return JOB.with_events(event if n == number else e for n, e in enumerate(JOB.events))


def test_the_certificate_names_both_parts_and_who_opens_each() -> None:
    archives = read_statement(certify(JOB)).archives
    told = [(a.part, a.file, [c.name for c in a.custodians], [t.table for t in a.tables]) for a in archives]
    assert told == [
        ("main", "crm.tar.age", ["notary", "board"], ["customers"]),
        ("last-four", "crm+last-four.tar.age", ["safe"], ["customers"]),
    ]


@pytest.mark.parametrize("part", [0, 1])
def test_without_one_of_the_parts_there_is_no_certificate(part: int) -> None:
    with pytest.raises(Refused, match="other parts were archived than planned"):
        certify(without(JOB, PARTS[part]))


@pytest.mark.parametrize(
    ("part", "fields", "why"),
    [
        (1, {"recipients": MAIN.recipients}, "to others than planned"),
        (1, {"recipients": (*OTHER.recipients, RECIPIENT)}, "to others than planned"),
        (0, {"recipients": (*MAIN.recipients, APART)}, "to others than planned"),
        (1, {"tables": ()}, "other tables"),
        (1, {"tables": (structs.replace(OTHER.tables[0], rows=39),)}, "different rows"),
        (1, {"part": "main"}, "other parts"),
    ],
)
def test_a_part_that_is_not_as_planned_gets_no_certificate(
    part: int, fields: dict[str, object], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        certify(altered(PARTS[part], **fields))


def test_a_part_that_nobody_asked_for_gets_no_certificate() -> None:
    plain = finished(some_rows())
    place = next(n for n, event in enumerate(plain.events) if isinstance(event, j.Archived))
    with pytest.raises(Refused, match="other parts"):
        certify(plain.with_events([*plain.events[:place], OTHER, *plain.events[place:]]))


def test_nothing_goes_on_before_both_parts_are_written() -> None:
    """After a kill between the two entries the next thing is the archive again."""
    digest = hashlib.sha256(encode_json(JOB.plan)).hexdigest()
    assert isinstance(JOB.events[0], j.Started)
    assert JOB.events[0].plan == digest
    for stop in PARTS:
        progress = f.fold(JOB.with_events(JOB.events[:stop]).entries)
        assert isinstance(f.next_action(JOB.plan, progress), f.Archive)
    both = f.fold(JOB.with_events(JOB.events[: PARTS[-1] + 1]).entries)
    assert isinstance(f.next_action(JOB.plan, both), f.Control)
    assert both.archived.keys() == {"crm", "crm+last-four"}


NOTARY, SAFE, SUCCESSOR = (known_key(name, n).public for n, name in enumerate(("notary", "safe", "new"), 20))
KEEPERS = [
    Keeper(NOTARY, RECIPIENT, since="2026-03-01"),
    Keeper(SAFE, APART, since="2026-03-01", part="last-four"),
]


def handed_over(leaving: PublicKey) -> Register:
    """Return the register after somebody handed the part with the last four over to a successor."""
    handover = Signed(
        file=OTHER.file,
        sha256="77" * 32,
        size=5001,
        before=OTHER.sha256,
        contents=OTHER.contents,
        leaving=leaving.name,
        successor=SUCCESSOR,
        recipient="age1" + "u" * 58,
        at="2027-01-01T00:00:00Z",
        signers=frozenset({leaving.spki, SUCCESSOR.spki, AGENT.public.spki}),
    )
    return register(KEEPERS, [MAIN, OTHER], [handover], AGENT.public)


def test_custody_of_a_part_passes_by_that_part_alone() -> None:
    now = handed_over(SAFE)
    assert now.alarms == ()
    assert [(k.key.name, k.part) for k in now.keepers if not k.until] == [
        ("notary", "main"),
        ("new", "last-four"),
    ]
    assert [(a.file, a.sha256) for a in now.archived] == [
        (MAIN.file, MAIN.sha256),
        (OTHER.file, "77" * 32),
    ]
    drills = drill_standings(now.keepers, now.archived, (), date(2027, 6, 1))
    assert [(d.custodian, d.file) for d in drills] == [("notary", MAIN.file), ("new", OTHER.file)]


def test_one_who_keeps_the_main_part_cannot_hand_the_other_one_over() -> None:
    now = handed_over(NOTARY)
    assert now.archived == (MAIN, OTHER)
    assert now.alarms != ()


@pytest.mark.parametrize("level", ["sensitive", "core"])
def test_the_policies_that_ship_let_a_protected_column_keep_its_last_four(level: str) -> None:
    allowed = archive_rules(level, "DE", shipped())  # type: ignore[arg-type]
    assert allowed is not None
    assert "keep-last-4" in allowed.value
    assert "keep" not in allowed.value
    assert "last-four" in {source.id for source in allowed.sources}
