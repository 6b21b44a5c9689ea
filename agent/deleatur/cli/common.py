"""Arguments that several commands share."""

from pathlib import Path

import click

from deleatur.engine.directory import JobDirectory
from deleatur.errors import Refused

settings_option = click.option(
    "--settings",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="DELEATUR_SETTINGS",
    help="The agent's deleatur.toml (default: here, then ~/.config/deleatur/).",
)
job_argument = click.argument("job", type=click.Path(path_type=Path))


def job_directory(path: Path) -> JobDirectory:
    """Return the job's directory.

    Raises:
        Refused: it is not there.
    """
    if not path.is_dir():
        raise Refused(f"{path} is not a job directory; make it and put a job.toml into it")
    return JobDirectory(path)
