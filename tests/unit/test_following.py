"""A certificate that left something on hold is completed only by one that names it and looked again."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from deleatur.cli.verify import command
from deleatur.documents.codec import encode_json
from deleatur.documents.gates import FollowGate, WithoutNotice
from deleatur.documents.job import Condition, Selection
from deleatur.documents.journal import Passed, Started
from deleatur.documents.place import Unit
from deleatur.documents.plan import Plan, PlannedTarget
from deleatur.errors import Invalid, Refused
from deleatur.judge.following import Left, left_after, left_by
from deleatur.testing.finished import AGENT, APPROVERS, SECOND_AGENT, FinishedJob, a_file, changed, finished
from deleatur.trust.approval import approve
from deleatur.trust.folder import write_certificate
from deleatur.trust.following import follow
from deleatur.trust.keys import public_pem
from deleatur.trust.verification import Verification, verify

LOCK = Unit(name="retention (compliance) until 2026-03-01", size=3, digest="b7" * 32)
LATER = Unit(name="retention (compliance) until 2026-09-30", size=1, digest="b8" * 32)
HOLD = Unit(name="legal hold of the bucket", size=2, digest="b9" * 32)


def held(*units: Unit, name: str = "bucket") -> PlannedTarget:
    return replace(a_file(name), held=units)


def written(folder: Path, job: FinishedJob, name: str) -> Verification:
    write_certificate(
        folder,
        plan_bytes=job.plan_bytes,
        journal_bytes=job.journal_bytes,
        approvals=job.approvals,
        keys=[AGENT],
        issued_at="2026-03-01T12:00:00Z",
        certificate_id=name,
    )
    return verify(folder, [AGENT.public], 1, None)


@pytest.fixture
def first(tmp_path: Path) -> Verification:
    return written(tmp_path / "first", finished(held(LOCK, HOLD)), "certificate-0001")


def gone_on(
    first: Verification, *targets: PlannedTarget, digest: str | None = None, day: str = "2026-03-02"
) -> tuple[Plan, Any]:
    """Return plan and certificate of a job that went on, planned on `day`."""
    assert first.plan is not None
    gate = FollowGate(file="/srv/certificate", digest=digest or first.sha256, job="close-the-shop", held=2)
    plan = replace(first.plan, targets=targets, gates=(gate,), created_at=f"{day}T13:00:00Z")
    return plan, replace(first.certificate, certificate_id="certificate-0002")


def after(first: Verification, later: tuple[Plan, Any], left: tuple[Left, ...] | None = None) -> list[str]:
    assert first.plan is not None
    known = left_by(first.plan) if left is None else left
    return [one.name for one in left_after(known, (first.plan, first.certificate, first.sha256), later)]


def test_what_was_left_is_named_with_the_last_day_where_one_is_known(first: Verification) -> None:
    assert first.plan is not None
    assert left_by(first.plan) == (
        Left("bucket", LOCK.name, 3, "2026-03-01"),
        Left("bucket", HOLD.name, 2, ""),
    )


def test_a_later_look_completes_it_or_says_what_is_still_left(first: Verification) -> None:
    assert after(first, gone_on(first, held())) == []
    assert after(first, gone_on(first, held(HOLD))) == [HOLD.name]
    assert after(first, gone_on(first, held(LATER))) == [LATER.name]  # made longer, or new: not complete


def test_a_target_that_the_later_job_did_not_look_at_stays_as_it_was_left(tmp_path: Path) -> None:
    first = written(tmp_path / "two", finished(held(LOCK), held(HOLD, name="other")), "certificate-0001")
    assert after(first, gone_on(first, held())) == [HOLD.name]


VALUES = Selection(table="objects", where=(Condition(column="@key", operator="in", values_from="keys.txt"),))
FAULTS: dict[str, tuple[Callable[[Verification], tuple[Plan, Any]], str]] = {
    "another certificate": (lambda f: gone_on(f, held(), digest="00" * 32), "does not go on with"),
    "none": (lambda f: (replace(gone_on(f, held())[0], gates=()), f.certificate), "does not go on with"),
    "a gate of another kind": (
        lambda f: (
            replace(
                gone_on(f, held())[0], gates=(WithoutNotice(reason="none asked", digest=f.sha256, days=0),)
            ),
            f.certificate,
        ),
        "does not go on with",
    ),
    "older": (lambda f: gone_on(f, held(), day="2026-02-28"), "was planned before"),
    "another target": (lambda f: gone_on(f, held(name="other")), "no target"),
    "another bucket of that id": (
        lambda f: gone_on(f, replace(held(), identity=a_file("other").identity)),
        "no target",
    ),
    "another prefix": (
        lambda f: gone_on(f, replace(held(), target=replace(held().target, url="file:///srv/less"))),
        "no target",
    ),
    "less of it": (
        lambda f: gone_on(
            f, replace(held(), target=replace(held().target, select=(Selection(table="objects"),)))
        ),
        "no target",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_and_nothing_is_completed(first: Verification, fault: str) -> None:
    make, why = FAULTS[fault]
    with pytest.raises(Invalid, match=why):
        after(first, make(first))


def test_a_selection_by_files_of_values_completes_nothing_as_nobody_can_compare_them(tmp_path: Path) -> None:
    by_file = replace(held(LOCK), target=replace(held().target, select=(VALUES,)))
    first = written(tmp_path / "values", finished(by_file), "certificate-0001")
    with pytest.raises(Invalid, match="no target"):
        after(first, gone_on(first, replace(by_file, held=())))


def test_a_lock_that_is_gone_before_its_day_is_believed_only_of_a_job_that_bypasses(tmp_path: Path) -> None:
    first = written(tmp_path / "early", finished(held(LATER)), "certificate-0001")
    with pytest.raises(Invalid, match="lasts until 2026-09-30"):
        after(first, gone_on(first, held()))
    assert after(first, gone_on(first, held(LATER))) == [LATER.name]
    assert after(first, gone_on(first, held(), day="2026-09-30")) == []
    assert after(first, gone_on(first, replace(held(), limits=("governance-bypassed",)))) == []


def test_nothing_was_left_so_nothing_can_be_completed(tmp_path: Path) -> None:
    first = written(tmp_path / "whole", finished(held()), "certificate-0001")
    with pytest.raises(Invalid, match="no target"):
        after(first, gone_on(first, held()))


def test_an_envelope_alone_shows_nothing_of_what_was_left(first: Verification, tmp_path: Path) -> None:
    alone = verify(tmp_path / "first" / "certificate.dsse.json", [AGENT.public], 1, None)
    with pytest.raises(Refused, match="whole certificates"):
        follow(first, [alone])


def test_the_command_says_that_it_is_incomplete_and_refuses_what_does_not_go_on(
    first: Verification, tmp_path: Path
) -> None:
    key, folder = tmp_path / "agent.pub", str(tmp_path / "first")
    key.write_bytes(public_pem(AGENT.public))
    told = CliRunner().invoke(command, [folder, "--key", str(key)])
    assert told.output.splitlines() == [
        f"valid: certificate {first.certificate_id}",
        "incomplete: bucket left 3 on hold: retention (compliance) until 2026-03-01",
        "incomplete: bucket left 2 on hold: legal hold of the bucket; its last day is not known",
    ]
    same = CliRunner().invoke(command, [folder, "--key", str(key), "--then", folder])
    assert isinstance(same.exception, Invalid)
    alone = f"{folder}/certificate.dsse.json"
    both = CliRunner().invoke(command, [alone, "--key", str(key), "--then", folder])
    assert isinstance(both.exception, Refused)


def test_the_command_shows_what_is_completed_and_how_far(first: Verification, tmp_path: Path) -> None:
    gate = FollowGate(file="/srv/certificate", digest=first.sha256, job="close-the-shop", held=2)
    job = finished(held(), gates=(gate,))
    plan = replace(job.plan, created_at="2026-03-01T11:00:00Z")
    content = encode_json(plan)
    approvals = {f"{k.public.name}.dsse.json": approve(content, k, "2026-03-01T11:30:00Z") for k in APPROVERS}
    job = changed(FinishedJob(plan, job.events, approvals), Passed, digest=first.sha256)
    job = changed(job, Started, plan=hashlib.sha256(content).hexdigest())
    written(tmp_path / "later", job, "certificate-0002")
    key = tmp_path / "agent.pub"
    key.write_bytes(public_pem(AGENT.public))
    asked = [str(tmp_path / "first"), "--key", str(key), "--then", str(tmp_path / "later")]
    assert CliRunner().invoke(command, asked).output.splitlines() == [
        "valid: certificate certificate-0001",
        "valid: certificate certificate-0002, which goes on with it",
        "bucket: verified, A3/addressable",
        "completed: nothing of it is left on hold",
    ]
    told = json.loads(CliRunner().invoke(command, [*asked, "--json"]).output)
    assert told["left"] == []
    assert [one["certificate"] for one in told["then"]] == ["certificate-0002"]
    stranger = tmp_path / "stranger.pub"
    stranger.write_bytes(public_pem(SECOND_AGENT.public))
    asked[2] = str(stranger)
    assert isinstance(CliRunner().invoke(command, asked).exception, Invalid)
