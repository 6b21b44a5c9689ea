"""What is said of the free space follows from the journal; a fill that reached less lifts nothing."""

import hashlib

import msgspec
import pytest

from deleatur.documents import journal as j
from deleatur.documents.certificate import Certificate
from deleatur.documents.job import Verification
from deleatur.errors import DeleaturError, Refused, Residue
from deleatur.judge import fold
from deleatur.judge.free_space import chosen_places
from deleatur.judge.statement import Issue, statement
from deleatur.testing.finished import (
    AGENT,
    APPROVERS,
    FinishedJob,
    a_fill,
    changed,
    finished,
    some_rows,
)
from deleatur.trust.folder import read_statement

BLOCKS = msgspec.structs.replace(some_rows(), limits=("freed-blocks", "earlier-free-blocks"))


def job(kind: str = "ext4", margin: int = 0) -> FinishedJob:
    return finished(BLOCKS, fills=(a_fill(kind, margin),))


def made(found: FinishedJob) -> Certificate:
    issue = Issue(
        certificate_id="certificate-0001",
        issued_at="2026-03-01T12:00:00Z",
        issuers=[AGENT.public],
        approvals=[key.public for key in APPROVERS],
        journal_digest=hashlib.sha256(found.journal_bytes).hexdigest(),
        evidence_digest="bb" * 32,
    )
    return read_statement(statement(found.plan, found.plan_bytes, found.entries, issue))


def refused(found: FinishedJob, kind: type[DeleaturError] = Refused) -> str:
    with pytest.raises(kind) as caught:
        made(found)
    return str(caught.value)


def outcome(found: FinishedJob) -> tuple[str, str]:
    told = made(found).outcome
    return told.per_target[0].assurance, told.overall


def test_a_complete_fill_lifts_the_limits_about_free_blocks() -> None:
    assert outcome(finished(BLOCKS))[0] == "A0/logical", "the control: without the fill the cap holds"
    assert outcome(job()) == ("A3/logical", "verified")
    assert "earlier-free-blocks" not in {s.id for s in made(job()).known_limits}


@pytest.mark.parametrize(
    ("found", "exception"),
    [
        (job(margin=4096), "space-margin"),
        (changed(job(), j.Filled, left=1), "space-left"),
        (changed(job("xfs"), j.Filled, left=1 << 16), "space-left"),
    ],
    ids=["margin", "left", "left-on-xfs"],
)
def test_a_fill_that_reached_less_is_an_exception_and_lifts_nothing(
    found: FinishedJob, exception: str
) -> None:
    assert outcome(found) == ("A0/logical", "executed-unverified")
    assert exception in {e.sentence.id for e in made(found).exceptions}


def test_what_xfs_keeps_for_itself_is_an_exception_only() -> None:
    found = changed(job("xfs"), j.Filled, left=4096)
    assert outcome(found) == ("A3/logical", "verified-with-exceptions")


def test_reserved_blocks_of_files_in_use_are_an_exception() -> None:
    found = changed(job(), j.Filled, reserved=8192, reserved_left=4096, files_left=1)
    assert "reserved-in-use" in {e.sentence.id for e in made(found).exceptions}
    assert [s.id for s in made(found).free_space[0].claims] == ["space-filled", "reserved-written"]


def test_a_story_without_its_fill_gets_no_certificate() -> None:
    untold = job().with_events(e for e in job().events if not isinstance(e, j.Filled))
    assert "was not overwritten after the last change" in refused(untold)
    nothing = finished(BLOCKS)
    stranger = nothing.with_events([*nothing.events, j.Filling(fill="disk")])
    assert "a fill disk that the plan does not have" in refused(stranger)


def test_a_fill_before_the_last_step_does_not_count() -> None:
    found = job()
    events = [e for e in found.events if not isinstance(e, j.Filling | j.Filled)]
    at = next(n for n, e in enumerate(events) if isinstance(e, j.Erasing))
    fills = [e for e in found.events if isinstance(e, j.Filling | j.Filled)]
    early = found.with_events([*events[:at], *fills, *events[at:]])
    assert "was not overwritten after the last change" in refused(early)


def test_a_look_before_the_fill_does_not_count() -> None:
    found = job()
    fills = [e for e in found.events if isinstance(e, j.Filling | j.Filled)]
    late = found.with_events([*(e for e in found.events if e not in fills), *fills])
    assert "was not verified after its last change" in refused(late)


def test_a_fill_past_the_holds_does_not_count() -> None:
    found = job()
    at = next(n for n, e in enumerate(found.events) if isinstance(e, j.Filling))
    stopped = [*found.events[:at], j.Stopped(exit_code=6, error="Transient"), *found.events[at:]]
    assert "without asking for holds" in refused(found.with_events(stopped))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"read": 0}, "read back at fewer places"),
        ({"control": 0}, "nothing was looked at before"),
        ({"control_equal": 1}, "took for written what was not"),
    ],
)
def test_numbers_that_prove_nothing_get_no_certificate(fields: dict[str, int], said: str) -> None:
    assert said in refused(changed(job(), j.Filled, **fields))


def test_a_mismatch_is_residue() -> None:
    assert "did not read back" in refused(changed(job(), j.Filled, mismatches=1), Residue)


def test_a_sample_names_its_bound() -> None:
    found = job()
    plan = msgspec.structs.replace(found.plan, verification=Verification(mode="sample"))
    places = chosen_places(a_fill(), plan.verification, 100_000)
    assert len(places) == 461
    assert (places[0], places[-1]) == (0, 99_999)
    assert list(chosen_places(a_fill(), Verification(), 7)) == list(range(7))
    assert list(chosen_places(a_fill(), plan.verification, 0)) == []


def test_the_next_thing_after_every_prefix_skips_nothing() -> None:
    found = job()
    done = [fold.next_action(found.plan, fold.fold(found.entries[:n])) for n in range(len(found.entries) + 1)]
    fill = next(n for n, e in enumerate(found.events) if isinstance(e, j.Filling))
    assert done[fill] == fold.Fill(a_fill(), run=1)
    assert done[fill + 1] == fold.Fill(a_fill(), run=2), "killed between the two: another stream"
    assert isinstance(done[fill + 2], fold.Verify)


def test_a_finding_afterwards_lets_the_next_run_fill_again() -> None:
    found = job()
    at = next(n for n, e in enumerate(found.events) if isinstance(e, j.Filled))
    told = found.with_events([*found.events[: at + 1], j.Reported(sha256="aa" * 32)])
    progress = fold.fold(told.entries)
    assert progress.filled == {}
    assert progress.fills == {"disk": 1}
    dirty = fold.fold(changed(told.with_events(told.events[:-1]), j.Filled, mismatches=1).entries)
    assert fold.next_action(found.plan, dirty) == fold.Report()
