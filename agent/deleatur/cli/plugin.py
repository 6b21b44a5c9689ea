"""`deleatur plugin new NAME`: start a plugin of your own."""

from pathlib import Path

import click

from deleatur.cli.output import as_json_option, emit, say


@click.group("plugin", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Start a plugin of your own."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("new")
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where to write it."
)
@as_json_option
def new(name: str, folder: Path, as_json: bool) -> None:
    """Write a complete package deleatur-NAME with a working backend and its tests."""
    from deleatur.testing.scaffold import write_package

    files = write_package(name, folder)
    if as_json:
        emit({"files": [str(path) for path in files]})
        return
    for path in files:
        say(str(path))
    say(f"next: pip install -e deleatur-{name}; pytest deleatur-{name}; then trust it in deleatur.toml")
