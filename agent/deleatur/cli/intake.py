"""`deleatur intake`: take events from a folder, and draft the job of each."""

from pathlib import Path

import click

from deleatur.cli.common import settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say
from deleatur.errors import Refused

_folder = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("intake")
@click.argument("events", type=_folder)
@click.argument("datamap", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--jobs", required=True, type=_folder, help="Where the jobs are drafted, each by the event's id."
)
@click.option("--owner", required=True, help="Pseudonym of who sees to the jobs.")
@click.option("--superior", required=True, help="Pseudonym of who is told when one waits too long.")
@click.option("--leave", multiple=True, metavar="PLACE", help="As of `deleatur draft`.")
@click.option("--link", "links", multiple=True, metavar="COLUMN=COLUMN", help="As of `deleatur draft`.")
@click.option("--apart", multiple=True, metavar="COLUMN", help="As of `deleatur draft`.")
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The private key that enters events; its public half stands in docket.keys.",
)
@settings_option
@passphrase_option
@as_json_option
def command(
    events: Path,
    datamap: Path,
    jobs: Path,
    owner: str,
    superior: str,
    leave: tuple[str, ...],
    links: tuple[str, ...],
    apart: tuple[str, ...],
    key: Path,
    settings: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Enter each event in the folder EVENTS into the docket, and draft the job that it asks for.

    For `cron`, or a path unit: whatever receives "consent withdrawn" puts a file there. The event goes
    into its job; one for which no job could be drafted stays, and is exit code 4.
    """
    from deleatur.cli.docket import docket_of
    from deleatur.cli.searching import links_of
    from deleatur.engine.intake import Clerk, intake
    from deleatur.engine.jobs import now
    from deleatur.engine.mapping import require_closed
    from deleatur.engine.settings import load_settings

    clerk = Clerk(
        map=datamap,
        datamap=require_closed(datamap),
        jobs=jobs,
        registry=load_settings(settings).registry,
        docket=docket_of(settings),
        key=signing_key(key, passphrase_file),
        clock=now,
        owner=owner,
        superior=superior,
        leave=leave,
        links=links_of(links),
        apart=apart,
    )
    taken = list(intake(events, clerk))
    if as_json:
        emit({"events": [{"event": t.event, "job": t.job and str(t.job), "why": t.why} for t in taken]})
    else:
        for one in taken:
            say(f"drafted: {one.job}" if one.job else f"stays: {one.event}: {one.why}")
    if left := sum(one.job is None for one in taken):
        raise Refused(f"{left} of {len(taken)} events need a person")
