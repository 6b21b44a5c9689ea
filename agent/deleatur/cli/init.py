"""`deleatur init`: make the agent's settings and keys."""

from pathlib import Path
from typing import Literal

import click

from deleatur.cli.keys import new_passphrase, passphrase_option
from deleatur.cli.output import as_json_option, emit, say


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--approver", "approvers", multiple=True, metavar="NAME", help="Make a key pair for an approver."
)
@click.option(
    "--approver-public",
    "publics",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Let this public key approve; its owner made it elsewhere.",
)
@click.option("--kind", type=click.Choice(["ed25519", "p-256"]), default="ed25519", show_default=True)
@passphrase_option
@as_json_option
def command(
    folder: Path,
    approvers: tuple[str, ...],
    publics: tuple[Path, ...],
    kind: Literal["ed25519", "p-256"],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Make deleatur.toml and the agent's key in FOLDER; called again, add approvers.

    An approver's private key belongs on the approver's own machine: make it there, and bring only
    the .pub file here with --approver-public.
    """
    from deleatur.engine.setup import add_approver_key, add_approver_public, make_settings

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    if not (folder / "deleatur.toml").exists():
        made.append(make_settings(folder, kind, new_passphrase("the agent's key", passphrase_file)))
    made += [
        add_approver_key(folder, name, kind, new_passphrase(name, passphrase_file)) for name in approvers
    ]
    made += [add_approver_public(folder, public) for public in publics]
    if as_json:
        emit({"settings": str(folder / "deleatur.toml"), "keys": [k.__dict__ for k in made]})
        return
    for key in made:
        say(f"{key.role:<9} {key.name:<12} {key.key_id}  {key.path}")
    say(f"settings  {folder / 'deleatur.toml'}")
