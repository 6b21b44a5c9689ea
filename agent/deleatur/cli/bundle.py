"""`deleatur bundle`: put together what shows that a job was done."""

from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory, settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say

_FILE = click.Path(path_type=Path, exists=True)


@click.command("bundle")
@job_argument
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--add", "added", multiple=True, type=_FILE, help="A further file or folder: letters, delivery logs."
)
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The private key that signs the bundle (default: the agent's).",
)
@settings_option
@passphrase_option
@as_json_option
def command(
    job: Path,
    folder: Path,
    added: tuple[Path, ...],
    key: Path | None,
    settings: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Write FOLDER for someone who asks: certificate, records of destruction, map, policies, what you add.

    It verifies elsewhere, without network and without the job: `deleatur verify FOLDER`, or the
    commands in its VERIFY.txt.
    """
    from deleatur.engine.bundling import bundle_job
    from deleatur.engine.jobs import now
    from deleatur.engine.settings import load_settings

    signer = signing_key(key or load_settings(settings).agent_key, passphrase_file)
    made = bundle_job(job_directory(job), folder, added=added, key=signer, clock=now)
    if as_json:
        emit({"bundle": str(folder), "sha256": made.sha256, "files": made.files})
        return
    say(f"bundle: {folder}, {made.files} files")
    say(f"sha256:{made.sha256}")
