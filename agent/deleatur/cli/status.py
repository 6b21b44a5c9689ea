"""`deleatur status`: say how far a job is."""

from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory
from deleatur.cli.output import as_json_option, emit, say
from deleatur.cli.picture import show_state


@click.command("status")
@job_argument
@as_json_option
def command(job: Path, as_json: bool) -> None:
    """Say how far JOB is, and what comes next. Reads only."""
    from deleatur.documents.gates import CustodyGate
    from deleatur.engine.jobs import read_plan, state_of
    from deleatur.judge.fold import PassGate, next_action

    directory = job_directory(job)
    if not directory.plan.exists():
        result = {"state": "no plan", "next": f"deleatur plan {job}"}
        emit(result) if as_json else say(f"no plan yet; next: deleatur plan {job}")
        return
    approved = read_plan(directory)
    progress = state_of(directory, approved)
    upcoming = next_action(approved.plan, progress)
    state = "certified" if progress.certified else "running or stopped" if progress.started else "planned"
    if isinstance(upcoming, PassGate) and isinstance(upcoming.gate, CustodyGate):
        state = "archived-unreceived"
    following = type(upcoming).__name__.lower() if upcoming is not None else ""
    if as_json:
        steps = {
            s.id: {"begun": progress.step(s).begun, "erased": progress.step(s).erased is not None}
            for s in approved.plan.steps
        }
        emit({"state": state, "next": following, "plan": approved.digest, "steps": steps})
    else:
        show_state(approved, progress, len(directory.read_approvals()), state, following)
