"""`deleatur hold`: place, release and list legal holds."""

from pathlib import Path

import click

from deleatur.cli.common import settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say, table
from deleatur.engine.register import HoldRegister
from deleatur.errors import Refused
from deleatur.judge.fingerprint import key_id
from deleatur.judge.holds import Standing

key_option = click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your private key; its public half stands in holds.keys of the settings.",
)


@click.group("hold", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Place, release and list legal holds.

    What is on hold is not erased: the register is asked in every run, before every step and at
    every cursor. If it cannot be read and verified, everything is on hold.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("begin")
@key_option
@settings_option
@passphrase_option
def begin(key: Path, settings: Path | None, passphrase_file: Path | None) -> None:
    """Make the register that the settings name, with nothing on hold."""
    from deleatur.engine.jobs import now

    register = _register(settings)
    register.begin(signing_key(key, passphrase_file), now)
    say(f"begun: {register.path}")


@command.command("place")
@click.argument("hold", type=click.Path(path_type=Path, dir_okay=False))
@key_option
@settings_option
@passphrase_option
@as_json_option
def place(hold: Path, key: Path, settings: Path | None, passphrase_file: Path | None, as_json: bool) -> None:
    """Put the hold that the file HOLD describes into the register. It counts from then on."""
    from deleatur.documents.codec import MAX_JOB, read_limited
    from deleatur.documents.hold import decode_hold
    from deleatur.engine.jobs import now
    from deleatur.engine.reading import decoding

    with decoding(str(hold)):
        wanted = decode_hold(read_limited(hold, MAX_JOB))
    stood = _register(settings).place(wanted, signing_key(key, passphrase_file), now)
    _tell(stood, as_json=as_json)


@command.command("release")
@click.argument("name", metavar="ID")
@click.option("--reason", required=True, help="Why it may go; it stands in the register for ever.")
@key_option
@settings_option
@passphrase_option
@as_json_option
def release(
    name: str, reason: str, key: Path, settings: Path | None, passphrase_file: Path | None, as_json: bool
) -> None:
    """Release the hold ID. A court order is open until a second key has released it too."""
    from deleatur.engine.jobs import now

    stood = _register(settings).release(name, reason, signing_key(key, passphrase_file), now)
    _tell(stood, as_json=as_json)


@command.command("list")
@settings_option
@as_json_option
def list_(settings: Path | None, as_json: bool) -> None:
    """Verify the register and list its holds."""
    register = _register(settings).read()
    if as_json:
        holds = [_described(stood) for stood in register.holds]
        emit({"head": register.head, "entries": len(register.lines), "holds": holds})
        return
    rows = [
        (s.hold.id, s.hold.matter, s.hold.case, scope_text(s), _state(s), key_id(s.placed_by))
        for s in register.holds
    ]
    table(rows, ("id", "matter", "case", "holds", "state", "placed by"))
    say(f"{len(register.open)} open; {len(register.lines)} entries, head sha256:{register.head}")


def _register(settings: Path | None) -> HoldRegister:
    from deleatur.engine.settings import load_settings

    register = load_settings(settings).register()
    if register is None:
        raise Refused("the settings name no hold register; add [holds] with register and keys")
    return register


def _tell(stood: Standing, *, as_json: bool) -> None:
    if as_json:
        emit(_described(stood))
    else:
        say(f"{stood.hold.id}: {_state(stood)}; holds {scope_text(stood)}")


def scope_text(stood: Standing) -> str:
    """Say what a hold is about, without the values of its conditions."""
    scope = stood.hold.scope
    if scope.job is not None:
        return f"the job {scope.job}"
    if scope.place is None:
        return "everything"
    if scope.table is None:
        return scope.place
    return f"{scope.place}, {'rows' if scope.where else 'all rows'} of {scope.table}"


def _state(stood: Standing) -> str:
    if not stood.open:
        return f"released {stood.released_at}"
    if stood.released_by:
        return f"open, released by {len(stood.released_by)} of {stood.needed} keys"
    return f"open since {stood.hold.since}"


def _described(stood: Standing) -> dict[str, object]:
    return {
        "id": stood.hold.id,
        "matter": stood.hold.matter,
        "authority": stood.hold.authority,
        "case": stood.hold.case,
        "since": stood.hold.since,
        "scope": scope_text(stood),
        "open": stood.open,
        "placed_at": stood.placed_at,
        "placed_by": key_id(stood.placed_by),
        "released_by": [key_id(key) for key in stood.released_by],
        "released_at": stood.released_at,
    }
