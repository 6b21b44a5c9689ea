"""`deleatur erase URL`: the short way, which writes job, plan and certificate like any other."""

import sys
from pathlib import Path

import click

from deleatur.cli.approve import confirm, confirm_devices
from deleatur.cli.common import settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option
from deleatur.cli.picture import show_plan
from deleatur.cli.running import keys_option, run_to_certificate


@click.command("erase")
@click.argument("url")
@click.option(
    "--job",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A new directory for the job.",
)
@click.option(
    "--approver-key",
    "approver_keys",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="An approver's private key: one for a file or folder, two for anything else.",
)
@click.option(
    "--authority", default="decision of the operator", show_default=True, help="What this rests on."
)
@keys_option
@settings_option
@passphrase_option
@as_json_option
def command(
    url: str,
    job: Path,
    approver_keys: tuple[Path, ...],
    authority: str,
    keys: tuple[Path, ...],
    settings: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Erase the whole target at URL, such as file:///srv/exports or sqlite:///srv/crm.db.

    The agent's key plans; you see the plan, type its digest and approve it with your key.
    """
    from deleatur.engine.jobs import approve_job, now, plan_job, write_short_job
    from deleatur.engine.settings import load_settings

    known = load_settings(settings)
    planner = signing_key(known.agent_key, passphrase_file)
    approving = [signing_key(key, passphrase_file) for key in approver_keys]
    directory = write_short_job(job, url, authority)
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
    show_plan(approved, sys.stderr if as_json else sys.stdout)
    confirm(approved.plan.job, approved.digest, None)
    typed = confirm_devices(approved.plan, (), at_terminal=True)
    for key in approving:
        approve_job(directory, key, now, digest=approved.digest, typed=typed)
    run_to_certificate(directory, settings, keys, passphrase_file, as_json=as_json, agent=planner)
