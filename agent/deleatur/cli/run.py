"""`deleatur run`: take an approved plan to its certificate."""

from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory, settings_option
from deleatur.cli.keys import passphrase_option
from deleatur.cli.output import as_json_option
from deleatur.cli.running import keys_option, rate_option, run_to_certificate
from deleatur.errors import Refused


@click.command("run")
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
    """Run JOB: preflight, holds, archive, control, erase, verify, certify.

    It can be stopped at any moment (Ctrl-C, a crash, a pulled plug) and gone on with by `resume`.
    """
    directory = job_directory(job)
    if directory.journal.exists():
        raise Refused(
            f"{job} was begun already; see `deleatur status {job}`, go on with `deleatur resume {job}`"
        )
    run_to_certificate(directory, settings, keys, passphrase_file, as_json=as_json, rate=rate)
