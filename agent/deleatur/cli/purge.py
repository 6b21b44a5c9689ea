"""`deleatur purge`: remove the records of a job after their last day."""

from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory
from deleatur.cli.output import as_json_option, emit, say


@click.command("purge")
@job_argument
@as_json_option
def command(job: Path, as_json: bool) -> None:
    """Remove the records of JOB, if they need not be kept any longer.

    The last day is that of the certificate or of a record of destruction, whichever is later. Before
    its end it is refused, and the date is named.
    """
    from deleatur.engine.jobs import now
    from deleatur.engine.purging import purge_job

    done = purge_job(job_directory(job), now)
    if as_json:
        emit({"last_day": done.last_day, "removed": list(done.removed), "left": list(done.left)})
        return
    say(f"purged: {', '.join(done.removed) or 'nothing was left'}")
    if done.left:
        say(f"left, since no job writes it: {', '.join(done.left)}")
