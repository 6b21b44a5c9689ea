"""`deleatur drill`: open archives for trial, once a year, and keep the record of it."""

from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory, settings_option
from deleatur.cli.custody import identity_option, opened_by, share_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say, table
from deleatur.errors import Refused

_file = click.Path(path_type=Path, dir_okay=False)


@click.group("drill", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Open archives for trial: each custodian, each archive, each year."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("open")
@click.argument("archive", type=_file)
@click.option("--custodian", required=True, metavar="NAME", help="As the job names you.")
@click.option("--key", required=True, type=_file, help="Your private key that signs receipts.")
@click.option("--out", required=True, type=_file, help="Where to write the record.")
@identity_option
@share_option
@passphrase_option
@as_json_option
def open_(
    archive: Path,
    custodian: str,
    key: Path,
    out: Path,
    identity: Path | None,
    shares: tuple[Path, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Open ARCHIVE to its end, compare every digest in it, and sign how long it took.

    On the custodian's machine, where the time includes finding key and medium only if you start with
    them in hand. Nothing that is in it is written.
    """
    from time import monotonic

    from deleatur.engine.drilling import make_drill
    from deleatur.engine.jobs import now

    signer = signing_key(key, passphrase_file)
    made, drill = make_drill(
        archive, opened_by(identity, shares), custodian, signer, clock=now, tick=monotonic
    )
    try:
        with out.open("xb") as file:
            file.write(made)
    except FileExistsError:
        raise Refused(f"{out} is there already; choose another name") from None
    if as_json:
        emit({"drill": str(out), "seconds": drill.seconds, "size": drill.size})
    else:
        say(f"drill: {out}, {minutes(drill.seconds)}; send it to who runs the job")


@command.command("import")
@job_argument
@click.argument("drill", type=_file)
@settings_option
@as_json_option
def take(job: Path, drill: Path, settings: Path | None, as_json: bool) -> None:
    """Take a custodian's DRILL into JOB; one that does not count is refused."""
    from deleatur.engine.drilling import import_drill
    from deleatur.engine.jobs import now
    from deleatur.engine.keeping import MAX_BESIDE
    from deleatur.engine.reading import read_plain
    from deleatur.engine.settings import load_settings
    from deleatur.trust.keys import load_public

    agent = load_public(load_settings(settings).agent_key.with_suffix(".pub"))
    taken = import_drill(job_directory(job), read_plain(drill, MAX_BESIDE), agent, now)
    if as_json:
        emit({"archive": taken.file, "day": str(taken.day), "seconds": taken.seconds})
    else:
        say(f"drilled: {taken.file} on {taken.day}, {minutes(taken.seconds)}")


@command.command("show")
@job_argument
@settings_option
@as_json_option
def show(job: Path, settings: Path | None, as_json: bool) -> None:
    """Say when each custodian opened each archive of JOB last; exit code 4 if a drill is overdue."""
    from deleatur.engine.drilling import standings
    from deleatur.engine.jobs import now
    from deleatur.engine.settings import load_settings
    from deleatur.trust.keys import load_public

    agent = load_public(load_settings(settings).agent_key.with_suffix(".pub"))
    found = standings(job_directory(job), agent, now().date())
    if as_json:
        rows = [
            {
                "archive": one.file,
                "custodian": one.custodian,
                "last": None if one.last is None else str(one.last.day),
                "seconds": None if one.last is None else one.last.seconds,
                "due": str(one.due),
                "overdue": one.overdue,
            }
            for one in found
        ]
        emit({"drills": rows})
    else:
        lines = [
            (
                one.file,
                one.custodian,
                "never" if one.last is None else f"{one.last.day}, {minutes(one.last.seconds)}",
                f"{one.due}{', overdue' if one.overdue else ''}",
            )
            for one in found
        ]
        table(lines, ("archive", "custodian", "last drill", "next by"))
    if late := [one for one in found if one.overdue]:
        raise Refused(f"{len(late)} drills are overdue; open the archives with `deleatur drill open`")


def minutes(count: int) -> str:
    """Return a number of seconds for people."""
    return f"{count // 60} min {count % 60} s"
