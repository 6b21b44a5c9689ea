"""`deleatur plan`: look at a job's targets and write the plan."""

import sys
from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory, settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit
from deleatur.cli.picture import show_plan


@click.command("plan")
@job_argument
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The planner's private key (default: the agent's).",
)
@settings_option
@passphrase_option
@as_json_option
def command(
    job: Path, key: Path | None, settings: Path | None, passphrase_file: Path | None, as_json: bool
) -> None:
    """Look at the targets of JOB without changing them, and write plan.json, once.

    Every reason against the job is named at once. The plan's SHA-256 is what people approve.
    """
    from deleatur.engine.jobs import now, plan_job
    from deleatur.engine.settings import load_settings

    known = load_settings(settings)
    directory = job_directory(job)
    planner = signing_key(key or known.agent_key, passphrase_file)
    approved = plan_job(
        directory,
        known.registry,
        planner=planner,
        approvers=known.approvers(),
        clock=now,
        holds=known.holds(),
        roles=known.roles(),
        people=known.people(now),
    )
    if as_json:
        emit({"plan": str(directory.plan), "sha256": approved.digest, "id": approved.plan.id})
    else:
        show_plan(approved, sys.stdout)
