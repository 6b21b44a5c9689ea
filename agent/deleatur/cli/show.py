"""`deleatur show`: show a certificate to a person."""

from pathlib import Path

import click

from deleatur.cli.output import as_json_option, emit
from deleatur.cli.picture import show_certificate


@click.command("show")
@click.argument("certificate", type=click.Path(path_type=Path))
@as_json_option
def command(certificate: Path, as_json: bool) -> None:
    """Show what CERTIFICATE says. It is shown, not checked: `deleatur verify` checks it."""
    from deleatur.trust.verification import read_statement

    payload, statement = read_statement(certificate)
    if as_json:
        import json

        emit(json.loads(payload))
    else:
        show_certificate(statement)
