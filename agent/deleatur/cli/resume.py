"""`deleatur resume`: go on with a job that was stopped."""

from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory, settings_option
from deleatur.cli.keys import passphrase_option
from deleatur.cli.output import as_json_option
from deleatur.cli.running import keys_option, rate_option, run_to_certificate
from deleatur.errors import Refused


@click.command("resume")
@job_argument
@keys_option
@rate_option
@settings_option
@passphrase_option
@as_json_option
def command(
    job: Path,
    keys: tuple[Path, ...],
    settings: Path | None,
    passphrase_file: Path | None,
    rate: float | None,
    as_json: bool,
) -> None:
    """Go on with JOB where its journal ends. Nothing is drawn, planned or approved again."""
    directory = job_directory(job)
    if not directory.journal.exists():
        raise Refused(f"{job} was never begun; start it with `deleatur run {job}`")
    run_to_certificate(directory, settings, keys, passphrase_file, as_json=as_json, rate=rate)
