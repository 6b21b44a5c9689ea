"""`deleatur approve`: sign the digest of a plan."""

import sys
from pathlib import Path

import click

from deleatur.cli.asking import ask
from deleatur.cli.common import job_argument, job_directory
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say
from deleatur.cli.picture import show_plan
from deleatur.documents.plan import Plan
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
@click.option(
    "--serial",
    "serials",
    multiple=True,
    metavar="END",
    help="The last characters of a disk's serial, or of the name of a bucket whose retention is bypassed, "
    "where nobody sits at a terminal: once for each.",
)
@passphrase_option
@as_json_option
def command(
    job: Path,
    key: Path,
    digest: str | None,
    serials: tuple[str, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Show the plan of JOB and sign its digest with your key.

    You type the job's name and the first eight digits of the digest: approval is by what the plan
    says, and there is no switch that says yes to whatever lies there. For each disk you also type the
    last four or more characters of its serial: read them off the disk, not off this plan. For each
    bucket of which a retention in governance mode is bypassed you type the end of its name.
    """
    from deleatur.engine.jobs import approve_job, now, read_plan

    directory = job_directory(job)
    approved = read_plan(directory)
    show_plan(approved, sys.stderr if as_json else sys.stdout)
    confirm(approved.plan.job, approved.digest, digest)
    typed = confirm_devices(approved.plan, serials, at_terminal=digest is None)
    name = approve_job(directory, signing_key(key, passphrase_file), now, digest=approved.digest, typed=typed)
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


def confirm_devices(plan: Plan, given: tuple[str, ...], *, at_terminal: bool) -> dict[str, str]:
    """Return, for each disk of the plan, how the approver says that its serial ends; so for such buckets.

    Raises:
        Refused: it ends otherwise, or fits two disks, or nobody said it.
    """
    from deleatur.judge.confirming import LEAST, ends_with, marks

    devices = marks(plan)
    if given or not at_terminal:
        typed: dict[str, str] = {}
        for ending in given:
            fitting = [name for name, (_, mark) in devices.items() if ends_with(mark, ending)]
            if len(fitting) != 1:
                raise Refused(
                    f"{len(fitting)} targets of the plan have a serial or name that ends with "
                    f"{ending[:80]!r}; give {LEAST} characters or more, of one target each"
                )
            typed[fitting[0]] = ending
    else:
        typed = {
            name: ask(f"Type the last {LEAST} or more characters of the {what} of {name}")
            for name, (what, _) in devices.items()
        }
    for name, (what, mark) in devices.items():
        if not ends_with(mark, typed.get(name, "")):
            raise Refused(
                f"that is not how the {what} of {name} ends; nothing was approved: is it the right one?"
            )
    return typed
