"""`deleatur docket`: requests, complaints, findings and grants: who, by when, and what was missed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deleatur.cli.common import settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say, table
from deleatur.errors import Refused

if TYPE_CHECKING:
    from deleatur.documents.docket import AnyAct
    from deleatur.engine.docket import DocketFile

_file = click.Path(path_type=Path, dir_okay=False)
_key_option = click.option(
    "--key", required=True, type=_file, help="Your private key; its public half stands in docket.keys."
)


@click.group("docket", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Keep requests for approval, complaints and findings: owner, due time, superior, re-check."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _signed(make: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of whoever signs."""
    return _key_option(settings_option(passphrase_option(make)))


@command.command("begin")
@_signed
def begin(key: Path, settings: Path | None, passphrase_file: Path | None) -> None:
    """Make the docket that the settings name, with no matter in it."""
    from deleatur.engine.jobs import now

    docket = docket_of(settings)
    docket.begin(signing_key(key, passphrase_file), now)
    say(f"begun: {docket.path}")


@command.command("open")
@click.argument("name", metavar="ID")
@click.option("--kind", required=True, type=click.Choice(["approval", "complaint", "finding", "grant"]))
@click.option("--about", required=True, help="The job, the audit, the number of the case; no person's name.")
@click.option("--owner", required=True, help="Pseudonym of who does it.")
@click.option("--superior", required=True, help="Pseudonym of who is told when it is late.")
@click.option("--since", metavar="TIME", help="When it came in, as 2026-11-22T09:00Z (default: now).")
@click.option("--due", metavar="DAY", help="The last day of a finding.")
@_signed
def open_(name: str, **given: Any) -> None:
    """Enter the matter ID."""
    from deleatur.documents.docket import Matter, Opened
    from deleatur.engine.chronicle import instant
    from deleatur.engine.jobs import now

    text = given["since"]
    try:
        since = datetime.fromisoformat(text) if text else now()
    except ValueError:
        since = None
    if since is None or since.tzinfo is None:
        raise click.BadParameter(
            "write a time with its zone, such as 2026-11-22T09:00Z", param_hint="--since"
        )
    matter = Matter(
        id=name,
        kind=given["kind"],
        about=given["about"],
        owner=given["owner"],
        superior=given["superior"],
        since=instant(lambda: since.astimezone(UTC)),
        due=given["due"],
    )
    _add(Opened(matter=matter), given)


def _tell(name: str, act: str, told: str) -> None:
    """Add the command of an act that says nothing but which matter it is about."""

    @command.command(name, help=told)
    @click.argument("name", metavar="ID")
    @_signed
    def enter(name: str, **given: Any) -> None:
        from deleatur.documents import docket

        _add(getattr(docket, act)(matter=name), given)


for _name, _act, _told in (
    ("answer", "Answered", "Say that whoever made the complaint ID has a first answer."),
    ("remedy", "Remedied", "Say that the finding ID is put right; somebody else looks again."),
    ("grant", "Granted", "Give the access ID that somebody with another key asked for."),
    ("use", "Used", "Say that the access ID was used."),
    (
        "review",
        "Reviewed",
        "Say that the access ID is still needed; with another key than asked for it, each quarter.",
    ),
):
    _tell(_name, _act, _told)


@command.command("recheck")
@click.argument("name", metavar="ID")
@click.option("--found", required=True, type=click.Choice(["sound", "unsound"]), help="What you saw.")
@click.option("--report", required=True, type=_file, help="The report of your look; its digest is kept.")
@_signed
def recheck(name: str, **given: Any) -> None:
    """Say what you saw when you looked at the finding ID again."""
    from deleatur.documents.docket import Rechecked
    from deleatur.trust.untrusted import UntrustedFolder

    report: Path = given["report"]
    evidence = UntrustedFolder(report.parent).measure(report.name).sha256
    _add(Rechecked(matter=name, sound=given["found"] == "sound", evidence=evidence), given)


@command.command("close")
@click.argument("name", metavar="ID")
@click.option("--how", required=True, help="How it ended; it stands in the docket for ever.")
@_signed
def close(name: str, **given: Any) -> None:
    """Close the matter ID; a finding only after a re-check."""
    from deleatur.documents.docket import Closed

    _add(Closed(matter=name, how=given["how"]), given)


@command.command("list")
@settings_option
@as_json_option
def list_(settings: Path | None, as_json: bool) -> None:
    """Verify the docket and list its matters; exit code 4 if one is overdue or lapsed."""
    from deleatur.engine.jobs import now

    found = docket_of(settings).standings(now)
    if as_json:
        matters = [
            {
                "id": one.matter.id,
                "kind": one.matter.kind,
                "about": one.matter.about,
                "owner": one.matter.owner,
                "closed": one.closed is not None,
                "overdue": one.overdue,
                "unused": one.unused,
                "tell": None if one.closed else one.told,
                "deadlines": [
                    {
                        "term": deadline.term,
                        "due": _text(deadline.due),
                        "met": None if deadline.met is None else _text(deadline.met),
                        "missed": deadline.missed,
                    }
                    for deadline in one.deadlines
                ],
            }
            for one in found
        ]
        emit({"matters": matters})
    else:
        rows = [
            (
                one.matter.id,
                one.matter.kind,
                ("closed" if one.closed else f"with {one.told}") + (", unused" if one.unused else ""),
                "; ".join(
                    f"{d.term} by {_text(d.due)}{', missed' if d.missed else ''}" for d in one.deadlines
                ),
            )
            for one in found
        ]
        table(rows, ("id", "kind", "state", "due"))
    if late := [one for one in found if one.overdue]:
        told = ", ".join(f"{one.matter.id} (tell {one.told})" for one in late)
        raise Refused(f"{len(late)} matters are overdue: {told}")


def _add(act: "AnyAct", given: dict[str, Any]) -> None:
    from deleatur.engine.jobs import now

    docket_of(given["settings"]).add(act, signing_key(given["key"], given["passphrase_file"]), now)
    say("entered")


def docket_of(settings: Path | None) -> "DocketFile":
    """Return the docket that the settings name.

    Raises:
        Refused: they name none.
    """
    from deleatur.engine.settings import load_settings

    docket = load_settings(settings).docket()
    if docket is None:
        raise Refused("the settings name no docket; add [docket] with file, keys and calendar")
    return docket


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"
