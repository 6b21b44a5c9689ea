"""`deleatur cycle`: draft what finished jobs left on hold and is free now."""

from pathlib import Path

import click

from deleatur.cli.common import settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say, table
from deleatur.errors import Refused


@click.command("cycle")
@click.argument("jobs", type=click.Path(path_type=Path, file_okay=False, exists=True))
@settings_option
@passphrase_option
@as_json_option
def command(jobs: Path, settings: Path | None, passphrase_file: Path | None, as_json: bool) -> None:
    """Look at the finished jobs in the folder JOBS, and draft the next one where a hold has ended.

    A draft is a planned job that waits for approval: nothing is erased here. Call it from cron as
    often as you like: a job that goes on already is left alone.
    """
    from deleatur.engine.cycle import Agent, cycle
    from deleatur.engine.jobs import now
    from deleatur.engine.settings import load_settings

    known = load_settings(settings)
    planner = signing_key(known.agent_key, passphrase_file)
    agent = Agent(
        known.registry, planner, known.approvers(), now, known.holds(), known.roles(), known.people(now)
    )
    turns = list(cycle(jobs, agent))
    if as_json:
        emit(
            {
                "jobs": [
                    {
                        "job": str(t.job),
                        "state": t.state,
                        "next": str(t.follower) if t.follower else "",
                        "sha256": t.digest,
                        "why": t.why,
                    }
                    for t in turns
                ]
            }
        )
    else:
        table(
            [(t.job.name, t.state, t.follower.name if t.follower else "", t.why) for t in turns],
            ("job", "state", "goes on in", "why not"),
        )
        for turn in turns:
            if turn.state == "drafted":
                say(f"approve: deleatur approve {turn.follower} --key YOUR.key")
    if refused := [t for t in turns if t.state == "refused"]:
        raise Refused(
            f"{len(refused)} jobs could not be gone on with: {', '.join(t.job.name for t in refused)}"
        )
