"""One approval is enough only beside a planner whom the agent knows: two people, not two keys of one."""

from pathlib import Path

import pytest

from deleatur.api import Refused
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import plan_job
from deleatur.testing.workbench import Workbench, signing_key
from deleatur.trust.keys import SigningKey


def planned(bench: Workbench, planner: SigningKey, approvals: int) -> JobDirectory:
    shelf = bench.folder / "shelf"
    shelf.mkdir()
    (shelf / "disk").write_bytes(b"what was on the disk of Ottilie Canary")
    job = bench.job(
        f"""
schema = "deleatur/job/v1"
name = "shelf"
reason = "decommission"
authority = "board"
requested_by = "it"
[policy]
approvals = {approvals}
[[target]]
id = "t"
url = "{shelf.as_uri()}"
"""
    )
    plan_job(
        job,
        bench.registry,
        planner=planner,
        approvers=[k.public for k in bench.approvers],
        clock=bench.clock,
        holds=bench.holds,
    )
    return job


def test_an_approver_cannot_plan_with_a_key_of_the_moment_and_approve_alone(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    job = planned(bench, signing_key("nobody", 99), 1)
    bench.approve(job, [bench.approvers[1]])
    with pytest.raises(Refused, match="which this agent does not know"):
        bench.run(job)
    assert (tmp_path / "shelf" / "disk").read_bytes().endswith(b"Ottilie Canary")


@pytest.mark.parametrize("planner", ["agent", "approver"])
def test_one_approval_is_enough_beside_a_planner_who_is_known(tmp_path: Path, planner: str) -> None:
    bench = Workbench(tmp_path)
    job = planned(bench, bench.agent if planner == "agent" else bench.approvers[0], 1)
    bench.approve(job, [bench.approvers[1]])
    bench.run(job)
    assert job.certificate.is_dir()


def test_two_approvals_are_enough_beside_any_planner(tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    job = planned(bench, signing_key("elsewhere", 99), 2)
    bench.approve(job)
    bench.run(job)
    assert job.certificate.is_dir()
