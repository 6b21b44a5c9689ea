"""The statement follows from plan and journal, and a story that does not hold gets none."""

import hashlib
import json
import re
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deleatur.documents import journal as j
from deleatur.documents.certificate import Certificate
from deleatur.documents.gates import KnownRecord, RecordGate
from deleatur.documents.job import Policy
from deleatur.documents.place import Identity, Surface
from deleatur.errors import DeleaturError, Refused, Residue
from deleatur.judge.sentences import FORBIDDEN
from deleatur.judge.statement import Issue, statement
from deleatur.testing.finished import (
    AGENT,
    APPROVERS,
    FinishedJob,
    a_file,
    a_map,
    changed,
    finished,
    known_key,
    some_rows,
    without,
)
from deleatur.trust.folder import read_statement

JOB = finished()


def issue(**fields) -> Issue:
    known = {
        "certificate_id": "certificate-0001",
        "issued_at": "2026-03-01T12:00:00Z",
        "issuers": [AGENT.public],
        "approvals": [key.public for key in APPROVERS],
        "journal_digest": "aa" * 32,
        "evidence_digest": "bb" * 32,
    }
    return Issue(**(known | fields))


def made(job: FinishedJob, **fields) -> Certificate:
    return read_statement(statement(job.plan, job.plan_bytes, job.entries, issue(**fields)))


def refusal(job: FinishedJob, kind: type[DeleaturError] = Refused, **fields) -> str:
    with pytest.raises(kind) as caught:
        statement(job.plan, job.plan_bytes, job.entries, issue(**fields))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def number_of(job: FinishedJob, kind: type, nth: int = 0) -> int:
    return [n for n, event in enumerate(job.events) if isinstance(event, kind)][nth]


def moved(job: FinishedJob, number: int, to: int) -> FinishedJob:
    events = list(job.events)
    events.insert(to, events.pop(number))
    return job.with_events(events)


# what a sound story gives


def test_a_sound_job_gives_complete_claims_with_their_scope() -> None:
    outcome = made(JOB).outcome
    assert [(o.target_id, o.state, o.assurance) for o in outcome.per_target] == [
        ("export", "verified", "A3/addressable"),
        ("crm", "verified", "A3/logical"),
    ]
    assert outcome.overall == "verified"
    assert [claim.id for claim in outcome.per_target[0].claims] == [
        "overwritten-complete",
        "absent-complete",
        "searched",
    ]
    assert outcome.per_target[1].claims[-1].id == "kept"


def test_the_same_documents_give_the_same_bytes() -> None:
    one = statement(JOB.plan, JOB.plan_bytes, JOB.entries, issue())
    assert one == statement(JOB.plan, JOB.plan_bytes, JOB.entries, issue())


def test_subjects_are_identities_plan_and_evidence() -> None:
    subjects = json.loads(statement(JOB.plan, JOB.plan_bytes, JOB.entries, issue()))["subject"]
    assert [(s["name"], s["digest"]["sha256"]) for s in subjects] == [
        *(
            (f"targets/t{n}.txt", hashlib.sha256(t.identity.text().encode()).hexdigest())
            for n, t in enumerate(JOB.plan.targets, 1)
        ),
        ("plan.json", hashlib.sha256(JOB.plan_bytes).hexdigest()),
        ("evidence.sha256", "bb" * 32),
    ]


def test_every_time_is_utc_every_text_is_nfc_and_nothing_is_a_float() -> None:
    body = statement(JOB.plan, JOB.plan_bytes, JOB.entries, issue())

    def walk(value: object) -> None:
        assert not isinstance(value, float)
        assert value is None or not isinstance(value, bool)
        if isinstance(value, dict):
            assert all(re.fullmatch(r"_?[a-z][A-Za-z0-9]*", key) for key in value)
        if isinstance(value, str):
            assert unicodedata.is_normalized("NFC", value)
            assert value.isprintable()
            assert not re.match(r"\d{4}-\d\d-\d\dT", value) or value.endswith("Z")
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    walk(json.loads(body))
    assert [word for word in FORBIDDEN if word in body.decode().lower()] == []


def test_neither_paths_nor_rows_nor_urls_stand_in_the_statement() -> None:
    body = statement(JOB.plan, JOB.plan_bytes, JOB.entries, issue()).decode()
    assert [word for word in ("/srv/", "sqlite://", "file://", "客户", "loop9") if word in body] == []


def test_a_certificate_is_kept_as_long_as_the_policy_says() -> None:
    assert made(JOB).retain_until == "2036-03-01"
    assert made(JOB, issued_at="2028-02-29T00:00:00Z").retain_until == "2038-03-01"
    assert "no day" in refusal(JOB, issued_at="2026-02-30T00:00:00Z")
    assert "calendar" in refusal(JOB, issued_at="9995-01-01T00:00:00Z")


def test_a_sample_prints_its_bound() -> None:
    job = finished(a_file(mode="sample"))
    found = made(job).verification[0].comparisons[0]
    assert found.bound is not None
    assert (found.sampled, found.population, found.bound.confidence) == (459, 2000, "0.99")
    assert found.bound.max_bad_fraction == "0.009"
    outcome = made(job).outcome.per_target[0]
    assert outcome.assurance == "A2/addressable"
    assert "fraction of less than 0.009" in outcome.claims[0].text


def test_values_that_are_a_sample_are_no_complete_search() -> None:
    many = changed(changed(JOB, j.Controlled, places=10_000), j.Verified, absent=10_000)
    files, rows = made(many).outcome.per_target
    assert files.assurance == "A3/addressable"  # compared byte by byte as well
    assert rows.assurance == "A2/logical"
    assert "searched-sampled" in {claim.id for claim in rows.claims}
    bound = made(many).verification[1].needles.bound
    assert bound is not None
    assert (bound.confidence, bound.max_bad_fraction) == ("0.99", "0.9")  # two values prove little
    assert made(JOB).verification[1].needles.bound is None


def test_the_threshold_is_printed() -> None:
    one = finished(policy=Policy(approvals=1), approvers=APPROVERS[:1])
    approvals = made(one, approvals=[APPROVERS[0].public]).approvals
    assert (approvals.threshold, len(approvals.keys)) == (1, 1)


def test_limits_and_exceptions_stand_with_the_outcome() -> None:
    certificate = made(finished(a_file(limits=("flash", "directory-names"))))
    assert [(e.type, e.sentence.id) for e in certificate.exceptions] == [
        ("over-provisioned", "flash"),
        ("not-overwritten", "directory-names"),
    ]
    assert certificate.outcome.overall == "verified-with-exceptions"
    assert certificate.outcome.per_target[0].assurance == "A3/addressable"
    assert {s.id for s in certificate.known_limits} == {
        "device-not-scanned",
        "surface-out-of-reach",
        "process-memory",
    }
    assert certificate.copies_not_covered.id == "copies-elsewhere"


def test_copy_on_write_leaves_only_the_sentence_of_its_letter() -> None:
    outcome = made(finished(a_file(limits=("copy-on-write",)))).outcome.per_target[0]
    assert (outcome.assurance, outcome.state) == ("A0/addressable", "executed-unverified")
    assert outcome.limited_by == ("copy-on-write",)
    assert [claim.id for claim in outcome.claims] == ["executed"]


def test_an_unknown_limit_is_never_certified() -> None:
    assert "no vetted sentence" in refusal(finished(a_file(limits=("moonlight",))))


def test_a_device_that_was_to_be_read_and_was_not_is_an_exception() -> None:
    assert made(finished(a_file(), device=True)).exceptions == ()
    story = finished(a_file(), device=True)
    scans = tuple(s for s in story.events[number_of(story, j.Verified)].surfaces if s.name != "block device")
    job = changed(story, j.Verified, surfaces=scans, verdict="INCONCLUSIVE", reason="not scanned")
    job = changed(job, j.Controlled, surfaces=scans)
    assert "surface-not-read" in {e.sentence.id for e in made(job).exceptions}


def test_an_inconclusive_search_is_no_verification() -> None:
    job = changed(JOB, j.Verified, verdict="INCONCLUSIVE", reason="the spool is lost", values=0, absent=0)
    outcome = made(job).outcome
    assert outcome.overall == "executed-unverified"
    assert {o.assurance[:2] for o in outcome.per_target} == {"A0"}
    assert {"not-conclusive", "needles-lost"} <= set(outcome.per_target[0].limited_by)
    assert "the spool is lost" in made(job).exceptions[0].sentence.text


def test_a_device_that_saw_nothing_before_is_never_clean_whatever_the_files_saw() -> None:
    story = finished(a_file(), device=True)
    blind = tuple(
        msgspec.structs.replace(s, hits=0, seen=0) if s.name == "block device" else s
        for s in story.events[number_of(story, j.Controlled)].surfaces
    )
    assert "called clean, but the control saw only 0 of 2 values in block device" in refusal(
        changed(story, j.Controlled, surfaces=blind)
    )


@pytest.mark.parametrize("event", [j.Controlled, j.Verified])
def test_a_device_that_did_not_show_what_was_written_is_never_clean(event: type[j.AnyEvent]) -> None:
    story = finished(a_file(), device=True)
    scans = tuple(msgspec.structs.replace(s, live=0) for s in story.events[number_of(story, event)].surfaces)
    assert "called clean, but block device did not show" in refusal(changed(story, event, surfaces=scans))


@pytest.mark.parametrize("device", [False, True])
def test_reserved_blocks_that_were_not_read_are_an_exception_unless_the_device_was(device: bool) -> None:
    story = finished(a_file(), device=device)
    scans = tuple(
        msgspec.structs.replace(s, reserved=0 if s.name == "block device" else 4096)
        for s in story.events[number_of(story, j.Verified)].surfaces
    )
    certificate = made(changed(story, j.Verified, surfaces=scans))
    named = [e.sentence.text for e in certificate.exceptions if e.sentence.id == "reserved-not-read"]
    assert bool(named) != device
    assert all("bytes: 4096" in text for text in named)


def test_a_surface_without_a_control_of_its_own_is_named() -> None:
    log = Surface(name="log", reach="scannable", paths=("/srv/log",), control="none")
    story = finished(msgspec.structs.replace(some_rows(), surfaces=(*some_rows().surfaces, log)))
    assert "surface-without-control" not in {s.id for s in made(story).known_limits}
    empty = tuple(
        msgspec.structs.replace(s, hits=0, seen=0) if s.name == "log" else s
        for s in story.events[number_of(story, j.Controlled)].surfaces
    )
    certificate = made(changed(story, j.Controlled, surfaces=empty))
    assert "surface-without-control" in {s.id for s in certificate.known_limits}
    assert certificate.outcome.overall == "verified"
    assert certificate.verification[0].surfaces[1].control == "none"


def test_bytes_that_could_not_be_read_leave_no_more_than_executed() -> None:
    story = finished(some_rows())
    scans = tuple(
        msgspec.structs.replace(s, unreadable=512)
        for s in story.events[number_of(story, j.Verified)].surfaces
    )
    assert "called clean" in refusal(changed(story, j.Verified, surfaces=scans))
    job = changed(story, j.Verified, surfaces=scans, verdict="INCONCLUSIVE", reason="unreadable")
    assert made(job).outcome.per_target[0].assurance == "A0/logical"


def test_values_that_were_left_out_are_exceptions() -> None:
    certificate = made(changed(JOB, j.Controlled, shared=3, short=4))
    assert {e.sentence.id for e in certificate.exceptions} == {"values-shared", "values-too-short"}


def among_writers() -> FinishedJob:
    rows = some_rows()
    return finished(
        msgspec.structs.replace(rows, target=msgspec.structs.replace(rows.target, others_write=True))
    )


def test_where_others_write_what_stays_is_not_called_the_same() -> None:
    assert "others-wrote" not in [e.sentence.id for e in made(among_writers()).exceptions]
    certificate = made(changed(among_writers(), j.Verified, keep_digest="77" * 32))
    assert [e.sentence.id for e in certificate.exceptions] == ["others-wrote"]
    assert certificate.outcome.overall == "verified-with-exceptions"
    assert "kept" not in [claim.id for claim in certificate.outcome.per_target[0].claims]


def test_nothing_left_of_what_had_to_stay_is_never_the_doing_of_others() -> None:
    assert "what had to stay" in refusal(changed(among_writers(), j.Verified, keep_digest=""))
    came = made(changed(among_writers(), j.Controlled, keep_digest=""))  # where nothing had to stay
    assert [e.sentence.id for e in came.exceptions] == ["others-wrote"]


def test_names_that_turn_the_direction_of_writing_are_shown_as_what_they_are() -> None:
    target = msgspec.structs.replace(a_file(), identity=Identity(kind="fi\u202ele", fields=()))
    job = finished(target)
    assert made(job).targets[0].kind == "fi\\u{202e}le"


# what the job rested on


def test_a_gate_is_printed_with_what_it_leaves_open() -> None:
    certificate = made(finished(gates=(a_map(),)))
    (condition,) = certificate.conditions
    assert (condition.gate, condition.digest.sha256) == ("datamap", "4c" * 32)
    open_ends = {(e.target_id, e.sentence.id) for e in certificate.exceptions}
    assert open_ends >= {("crm", "known-copy-left"), ("laptop-4", "place-lost")}
    assert {"place-attested", "level-lowered"} <= {sentence.id for sentence in certificate.known_limits}
    assert certificate.outcome.overall == "verified-with-exceptions"
    assert [o.state for o in certificate.outcome.per_target] == ["verified", "verified-with-exceptions"]


def test_what_others_destroyed_is_attested_and_its_exceptions_are_the_jobs() -> None:
    known = KnownRecord(
        id="processors",
        folder="processors",
        digest="7b" * 32,
        signers=("SHA256:x",),
        exceptions=2,
        days_late=3,
    )
    certificate = made(finished(gates=(RecordGate(digest="4c" * 32, records=(known,)),)))
    (condition,) = certificate.conditions
    assert condition.gate == "records"
    assert "attested, not verified" in condition.sentences[0].text
    told = [one for one in certificate.exceptions if one.target_id == "processors"]
    assert [one.type for one in told] == ["not-erased"]
    assert "(count: 2)" in told[0].sentence.text
    assert any("entered 3 days after" in limit.text for limit in certificate.known_limits)
    assert certificate.outcome.overall == "verified-with-exceptions"
    other = finished(gates=(RecordGate(digest="4d" * 32, records=(known,)),))
    assert "records: another one than planned" in refusal(other)


def test_no_step_may_run_past_a_closed_gate() -> None:
    job = finished(gates=(a_map(),))
    number = number_of(job, j.Passed)
    assert "s1: ran past a closed gate: datamap" in refusal(without(job, number))
    late = moved(job, number, number_of(job, j.Erasing) + 1)
    assert "s1: ran past a closed gate: datamap" in refusal(late)
    again = job.with_events(
        (
            *job.events[:number],
            job.events[number],
            j.Stopped(exit_code=2, error="Failed"),
            job.events[0],
            *job.events[number + 1 :],
        )
    )
    assert "s1: ran past a closed gate: datamap" in refusal(again)


def test_a_gate_rests_on_what_was_planned() -> None:
    job = finished(gates=(a_map(),))
    assert "another one than planned" in refusal(changed(job, j.Passed, digest="00" * 32))
    assert "a gate moon that the plan does not have" in refusal(changed(job, j.Passed, gate="moon"))


# what a story must have


@pytest.mark.parametrize("kind", [j.Started, j.Preflighted, j.Unheld, j.Archived, j.Controlled, j.Erasing])
def test_nothing_may_be_missing_before_the_erase(kind: type) -> None:
    job = without(JOB, number_of(JOB, kind))
    assert refusal(job).startswith("no certificate: ")


@pytest.mark.parametrize("kind", [j.Erased, j.Compared, j.Verified])
def test_nothing_may_be_missing_after_the_erase(kind: type) -> None:
    job = without(JOB, number_of(JOB, kind))
    assert refusal(job).startswith("no certificate: ")


def test_all_reasons_are_told_at_once() -> None:
    job = without(without(JOB, number_of(JOB, j.Verified)), number_of(JOB, j.Archived))
    told = refusal(job)
    assert "crm: nothing was archived" in told
    assert "export: was not verified" in told


@given(st.sets(st.integers(0, len(JOB.events) - 1), min_size=1))
def test_taking_entries_away_never_gives_a_better_certificate(lost: set[int]) -> None:
    job = JOB.with_events(event for number, event in enumerate(JOB.events) if number not in lost)
    try:
        certificate = made(job)
    except DeleaturError:
        return
    # Only cursors may be missing: they are progress, not evidence.
    assert all(isinstance(JOB.events[number], j.Advanced) for number in lost)
    assert certificate.outcome.overall == "verified"


@pytest.mark.parametrize("kind", [j.Unheld, j.Archived, j.Controlled, j.Preflighted])
def test_what_must_come_before_the_erase_may_not_come_after(kind: type) -> None:
    job = moved(JOB, number_of(JOB, kind), len(JOB.events) - 3)
    assert refusal(job).startswith("no certificate: ")


def test_a_change_after_the_last_look_undoes_the_look() -> None:
    told = refusal(JOB.with_events((*JOB.events, j.Advanced(step="s2", position="2", done=8192))))
    assert "s2 did not come to its end" in told
    assert "export: was not verified after its last change" in told
    again = JOB.with_events((*JOB.events, j.Erasing(step="s1"), j.Erased(step="s1", done=8192)))
    assert "s1 was not read back after its last change" in refusal(again)


@pytest.mark.parametrize(
    "fields",
    [
        {"verdict": "RESIDUE"},
        {"present": 1},
        {"remaining": 1},
        {"surfaces": (j.SurfaceScan(name="file blocks", size=8192, hits=1, seen=1),)},
        {"verdict": "INCONCLUSIVE", "present": 1},
    ],
)
def test_residue_never_gets_a_certificate(fields: dict[str, object]) -> None:
    assert "can still be read" in refusal(changed(JOB, j.Verified, **fields), Residue)


@pytest.mark.parametrize(
    "fields",
    [
        {"mismatches": 1},
        {"unreadable": 1},
        {"surfaces": (j.SurfaceScan(name="file blocks", size=8192, hits=1, seen=1),)},
    ],
)
def test_a_place_that_does_not_read_back_never_gets_a_certificate(fields: dict[str, object]) -> None:
    assert "did not read back" in refusal(changed(JOB, j.Compared, **fields), Residue)


@pytest.mark.parametrize(
    ("kind", "fields", "why"),
    [
        (j.Compared, {"read": 1}, "fewer places than planned"),
        (j.Compared, {"size": 8191}, "in part only"),
        (j.Controlled, {"seen": 0}, "called clean"),
        (j.Controlled, {"values": 0}, "called clean"),
        (j.Controlled, {"keep_digest": "77" * 32}, "what had to stay"),
        (j.Verified, {"keep_digest": "77" * 32}, "what had to stay"),
        (j.Verified, {"values": 1}, "called clean"),
        (j.Verified, {"surfaces": ()}, "called clean"),
        (j.Preflighted, {"identity": "77" * 32}, "another target was opened"),
        (j.Preflighted, {"target": "stranger"}, "that the plan does not have"),
        (j.Erased, {"step": "s9"}, "that the plan does not have"),
        (j.Archived, {"recipients": ("age1somebody",)}, "to others than planned"),
        (j.Archived, {"recipients": ("age1" + "z" * 58,)}, "to others than planned"),
        (j.Archived, {"tables": ()}, "other tables"),
        (j.Started, {"plan": "77" * 32}, "another plan"),
        (j.Started, {"selftests": 0}, "without a self-test"),
        (j.Started, {"approved_by": ()}, "approvals that are not there"),
        (j.Started, {"approved_by": ("SHA256:x", "SHA256:y")}, "approvals that are not there"),
    ],
)
def test_a_journal_that_contradicts_the_claim_gets_no_certificate(
    kind: type, fields: dict[str, object], why: str
) -> None:
    assert why in refusal(changed(JOB, kind, **fields))


def test_approvals_are_counted_by_key() -> None:
    assert "1 keys approved" in refusal(JOB, approvals=[APPROVERS[0].public, known_key("again", 4).public])
    assert "0 keys approved" in refusal(JOB, approvals=[])


def test_a_job_has_one_certificate() -> None:
    job = JOB.with_events((*JOB.events, j.Certified(certificate="x", sha256="00" * 32)))
    assert "there is a certificate already" in refusal(job)


# what a resumed story may have


def resumed(job: FinishedJob, number: int) -> FinishedJob:
    """Kill the run before event `number` and start again, as the engine does."""
    start = msgspec.structs.replace(job.events[0], resumed=True)
    looks = [event for event in job.events if isinstance(event, j.Preflighted | j.Unheld)]
    done = [event for event in job.events[:number] if not isinstance(event, j.Started)]
    rest = job.events[number:]
    if number <= number_of(job, j.Unheld):
        rest = tuple(event for event in rest if not isinstance(event, j.Preflighted | j.Unheld))
    return job.with_events((job.events[0], *done, start, *looks, *rest))


@pytest.mark.parametrize("number", range(1, len(JOB.events) + 1))
def test_a_job_killed_anywhere_and_resumed_is_certified_with_the_same_claims(number: int) -> None:
    assert made(resumed(JOB, number)).outcome.overall == "verified"


def test_a_resumed_run_must_look_and_ask_again() -> None:
    number = number_of(JOB, j.Erased)
    start = msgspec.structs.replace(JOB.events[0], resumed=True)
    job = JOB.with_events((*JOB.events[:number], start, *JOB.events[number:]))
    assert "without asking for holds" in refusal(job)


def test_an_earlier_finding_is_told_although_a_later_look_was_clean() -> None:
    number = number_of(JOB, j.Verified)
    bad = msgspec.structs.replace(JOB.events[number], verdict="RESIDUE", present=1)
    job = JOB.with_events((*JOB.events[:number], bad, *JOB.events[number:]))
    certificate = made(job)
    assert [e.sentence.id for e in certificate.exceptions] == ["earlier-finding"]
    assert certificate.outcome.overall == "verified-with-exceptions"


def test_an_archive_whose_token_key_was_not_erased_gets_no_certificate() -> None:
    job = finished()
    without = job.with_events(event for event in job.events if not isinstance(event, j.KeyErased))
    assert "the key of the archives' tokens was not erased" in refusal(without)
    erased = next(event for event in job.events if isinstance(event, j.KeyErased))
    archived = next(n for n, event in enumerate(job.events) if isinstance(event, j.Archived))
    early = [*without.events[:archived], erased, *without.events[archived:]]
    assert "not erased after the last archive" in refusal(job.with_events(early))
