"""`deleatur stamp`: time stamps that others made over a certificate (RFC 3161)."""

from pathlib import Path

import click

from deleatur.cli.common import job_argument, job_directory
from deleatur.cli.output import as_json_option, emit, say
from deleatur.errors import Refused

_file = click.Path(path_type=Path, dir_okay=False)
authority_option = click.option(
    "--authority",
    required=True,
    type=_file,
    help="Root certificates (PEM) of the authority, from elsewhere than the stamp.",
)


@click.group("stamp", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Ask a time-stamp authority when a certificate was there, and keep its answer (RFC 3161).

    Nothing here goes to a network: you send the query to the authority and bring the answer back.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("query")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=_file, help="Where to write the query.")
def query(certificate: Path, out: Path) -> None:
    """Write the query for a stamp over CERTIFICATE. It holds a digest and nothing else."""
    from deleatur.engine.stamping import envelope_at
    from deleatur.trust.stamp import stamp_query

    asked = stamp_query(envelope_at(certificate))
    try:
        with out.open("xb") as file:
            file.write(asked)
    except FileExistsError:
        raise Refused(f"{out} is there already; choose another name") from None
    say(f"query: {out}; send it as application/timestamp-query, and add what comes back")


@command.command("add")
@job_argument
@click.argument("response", type=_file)
@click.option("--name", required=True, help="What the stamp is called in JOB.")
@authority_option
@as_json_option
def add(job: Path, response: Path, name: str, authority: Path, as_json: bool) -> None:
    """Verify the authority's RESPONSE over the certificate of JOB and keep it beside it."""
    from deleatur.engine.stamping import add_stamp

    directory = job_directory(job)
    with directory.locked():
        stamp = add_stamp(directory, name, response, authority)
    emit({"stamp": name, "at": stamp.at, "sha256": stamp.sha256}) if as_json else say(f"stamped: {stamp.at}")


@command.command("verify")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.argument("response", type=_file)
@authority_option
@as_json_option
def verify(certificate: Path, response: Path, authority: Path, as_json: bool) -> None:
    """Verify the authority's RESPONSE over CERTIFICATE, offline; `deleatur verify` checks the certificate."""
    from deleatur.engine.stamping import checked_stamp

    stamp = checked_stamp(certificate, response, authority)
    if as_json:
        emit({"valid": True, "at": stamp.at, "sha256": stamp.sha256, "serial": stamp.serial})
    else:
        say(
            f"valid: this certificate was there at {stamp.at}, says the authority (its number {stamp.serial})"
        )
