"""`deleatur notice`: tell people before their records go, and keep the evidence of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from deleatur.cli.common import job_argument, job_directory, settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say
from deleatur.cli.progress import shown

if TYPE_CHECKING:
    from deleatur.engine.notices.desk import Desk


@click.group("notice", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Tell people before their records go, and keep the evidence of it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("show")
@job_argument
@settings_option
@as_json_option
def show(job: Path, settings: Path | None, as_json: bool) -> None:
    """Check the letters of JOB and show each as it is written to somebody without a name.

    A letter without one of its four parts is refused: reason; what goes, when and how; rights with
    export and contact; the cut-off day.
    """
    from deleatur.engine.notices.letters import Letters

    desk = _desk(job, settings)
    letters = Letters(desk.notice, desk.path)
    written = {x.language: letters.write(x.language, "") for x in desk.notice.letter}
    if as_json:
        emit({"letters": {name: {"subject": x.subject, "text": x.text} for name, x in written.items()}})
        return
    for name, letter in written.items():
        say(f"[{name}] {letter.subject}")
        for line in letter.text.splitlines():
            say(line)
        say()


@command.command("send")
@job_argument
@click.option(
    "--smtp", required=True, metavar="URL", help="smtps://user@host:465 or smtp://user@host:587 (STARTTLS)."
)
@click.option(
    "--password-file", type=click.Path(path_type=Path, dir_okay=False), help="The password of that user."
)
@click.option(
    "--ca", type=click.Path(path_type=Path, dir_okay=False), help="Certificates to trust beside the system's."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    metavar="N",
    help="Send at most N letters a second.",
)
@settings_option
@passphrase_option
@as_json_option
def send(
    job: Path,
    smtp: str,
    password_file: Path | None,
    ca: Path | None,
    rate: float,
    settings: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Write by e-mail to everybody of JOB's selection who was not written to yet.

    It may be stopped and run again: nobody is written to twice. The agent's key seals the ledger.
    """
    from deleatur.engine.notices.sending import Server
    from deleatur.engine.notices.telling import send_letters
    from deleatur.engine.settings import load_settings

    desk = _desk(job, settings)
    key = signing_key(load_settings(settings).agent_key, passphrase_file)
    with shown(quiet=as_json) as progress:
        outcomes = send_letters(desk, key, Server(smtp, password_file, ca), rate, progress)
    _tell(desk, dict(outcomes), as_json=as_json)


@command.command("write")
@job_argument
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A folder for the files; they hold names, addresses and letters in clear.",
)
@settings_option
@passphrase_option
@as_json_option
def write(
    job: Path, folder: Path, settings: Path | None, passphrase_file: Path | None, as_json: bool
) -> None:
    """Write CSV files for those who have no e-mail address, or whom no mail reached: text message, post, app.

    They count as told when the log of the channel is imported.
    """
    from deleatur.engine.notices.telling import write_letters
    from deleatur.engine.settings import load_settings

    desk = _desk(job, settings)
    key = signing_key(load_settings(settings).agent_key, passphrase_file)
    with shown(quiet=as_json) as progress:
        written = write_letters(desk, key, folder, progress)
    if as_json:
        emit({"files": [{"file": str(path), "letters": count} for path, count in written]})
        return
    if not written:
        say("nobody is waiting for such a letter")
        return
    for path, count in written:
        say(f"{path}: {count} letters")
    say("these files hold data in clear: hand them over, then erase them with `deleatur erase`")
    say("people count as told when the log of the channel is imported")


@command.command("import-log")
@job_argument
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path))
@settings_option
@passphrase_option
@as_json_option
def import_log(
    job: Path, logs: tuple[Path, ...], settings: Path | None, passphrase_file: Path | None, as_json: bool
) -> None:
    """Import what came back: delivery reports (mail), answers of people (mail), logs of other channels (CSV).

    LOGS are files or folders of them. Who wrote back is held, and so is, if the job says so, whom no
    letter reached: the list is held.txt in the folder of the notice.
    """
    from deleatur.engine.notices.feedback import import_log as enter
    from deleatur.engine.settings import load_settings

    desk = _desk(job, settings)
    key = signing_key(load_settings(settings).agent_key, passphrase_file)
    _tell(desk, dict(enter(desk, key, logs)), as_json=as_json)


@command.command("status")
@job_argument
@settings_option
@as_json_option
def status(job: Path, settings: Path | None, as_json: bool) -> None:
    """Say how many people of JOB's selection were told, and from when on their records may go."""
    _tell(_desk(job, settings), None, as_json=as_json)


def _desk(job: Path, settings: Path | None) -> "Desk":
    from deleatur.engine.jobs import now
    from deleatur.engine.notices.desk import Desk
    from deleatur.engine.notices.uptime import uptime
    from deleatur.engine.settings import load_settings

    return Desk(job_directory(job), load_settings(settings).registry, now, uptime)


def _tell(desk: "Desk", outcomes: dict[str, int] | None, *, as_json: bool) -> None:
    """Say what a command did, and how everybody stands now."""
    from dataclasses import asdict

    state = desk.state()
    if as_json:
        emit({**({} if outcomes is None else {"outcomes": outcomes}), **asdict(state)})
        return
    if outcomes is not None:
        say(", ".join(f"{kind} {count}" for kind, count in sorted(outcomes.items())) or "nothing to do")
    say(
        f"told {state.told}, not reached {state.unreached}, not told {state.untold}, "
        f"wrote back {state.replied}"
    )
    if state.held:
        say(f"held: {state.held} in {desk.folder.held}")
    if state.opens:
        say(f"people have {state.days} days and until {desk.notice.cut_off}: not before {state.opens}")
