"""`deleatur plugin new NAME`: start a plugin of your own."""

from pathlib import Path

import click

from deleatur.cli.output import say


@click.group("plugin")
def command() -> None:
    """Start a plugin of your own."""


@command.command("new")
@click.argument("name")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="Where to write it."
)
def new(name: str, folder: Path) -> None:
    """Write a complete package deleatur-NAME with a working backend and its tests."""
    from deleatur.testing.scaffold import write_package

    for path in write_package(name, folder):
        say(str(path))
    say(f"next: pip install -e deleatur-{name}; pytest deleatur-{name}; then trust it in deleatur.toml")
