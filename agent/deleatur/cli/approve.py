"""`deleatur approve`: sign the digest of a plan."""

import sys
from pathlib import Path

import click

from deleatur.cli.asking import ask
from deleatur.cli.common import job_argument, job_directory
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say
from deleatur.cli.picture import show_plan
from deleatur.errors import Refused

SHORT = 8  # hex digits that a person types


@click.command("approve")
@job_argument
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The approver's private key.",
)
@click.option("--digest", metavar="sha256:HEX", help="The whole digest, where nobody sits at a terminal.")
@passphrase_option
@as_json_option
def command(job: Path, key: Path, digest: str | None, passphrase_file: Path | None, as_json: bool) -> None:
    """Show the plan of JOB and sign its digest with your key.

    You type the job's name and the first eight digits of the digest: approval is by what the plan
    says, and there is no switch that says yes to whatever lies there.
    """
    from deleatur.engine.jobs import approve_job, now, read_plan

    directory = job_directory(job)
    approved = read_plan(directory)
    show_plan(approved, sys.stderr if as_json else sys.stdout)
    confirm(approved.plan.job, approved.digest, digest)
    name = approve_job(directory, signing_key(key, passphrase_file), now, digest=approved.digest)
    if as_json:
        emit({"approval": str(directory.approvals / name), "sha256": approved.digest})
    else:
        say(f"approved: {directory.approvals / name}")


def confirm(job: str, expected: str, digest: str | None) -> None:
    """Compare what the approver typed, or handed over, with the plan.

    Raises:
        Refused: it is another plan, or another job, or nobody answered.
    """
    if digest is not None:
        if digest.removeprefix("sha256:") != expected:
            raise Refused(f"that is not this plan's digest; it is sha256:{expected}")
        return
    if ask("Type the job's name") != job:
        raise Refused(
            "that is not the job's name, which the plan's title says; nothing was approved, and "
            "`deleatur approve` asks again"
        )
    if ask(f"Type the first {SHORT} digits of the plan's digest") != expected[:SHORT]:
        raise Refused("that is not the plan's digest; nothing was approved")
