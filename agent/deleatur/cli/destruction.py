"""`deleatur destruction`: check and sign the record of a physical or third party's destruction."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deleatur.cli.common import settings_option
from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say

if TYPE_CHECKING:
    from deleatur.engine.services import Services
    from deleatur.trust.record import Record, Statement

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group("destruction", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Check and sign what others destroyed: paper, media, and what processors say of theirs."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("check")
@click.argument("folder", type=_FOLDER)
@as_json_option
def check(folder: Path, as_json: bool) -> None:
    """Say whether the record in FOLDER may be signed, what it then attests, and who has signed.

    FOLDER holds destruction.toml and vendors.toml, or processors.toml, and the files in evidence/.
    """
    from deleatur.engine.jobs import now
    from deleatur.trust.record import look_at_record

    _tell(look_at_record(folder, f"{now():%Y-%m-%dT%H:%M:%SZ}"), as_json=as_json)


@command.command("sign")
@click.argument("folder", type=_FOLDER)
@click.option(
    "--key",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The private key of the operator, a witness or the officer.",
)
@passphrase_option
@as_json_option
def sign(folder: Path, key: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Sign the record in FOLDER, as whoever destroyed, as a witness, or as the officer.

    The first signature enters the record: the day of that is printed beside the day that it is about.
    All sign the same words; a file that was changed in between is refused.
    """
    from deleatur.engine.jobs import now
    from deleatur.trust.record import sign_record

    signed = sign_record(folder, signing_key(key, passphrase_file), f"{now():%Y-%m-%dT%H:%M:%SZ}")
    _tell(signed, as_json=as_json)


@command.command("order")
@click.argument("folder", type=_FOLDER)
@settings_option
@as_json_option
def order(folder: Path, settings: Path | None, as_json: bool) -> None:
    """Send the custody list in FOLDER to the vendor's service.

    FOLDER holds order.toml and vendors.toml. Who sends it again orders nothing again.
    """
    from deleatur.engine.jobs import now
    from deleatur.engine.services import order_destruction

    number = order_destruction(folder, _services(settings), now)
    if as_json:
        emit({"number": number})
    else:
        say(f"ordered: {number}")


@command.command("collect")
@click.argument("folder", type=_FOLDER)
@click.argument("record", type=click.Path(path_type=Path))
@settings_option
@as_json_option
def collect(folder: Path, record: Path, settings: Path | None, as_json: bool) -> None:
    """Fetch what the vendor's service reports of the order in FOLDER into the new folder RECORD.

    Exit code 6 while it is not done. What came is then checked as `destruction check` does; the vendor's
    key and two witnesses sign it.
    """
    from deleatur.engine.jobs import now
    from deleatur.engine.services import collect_destruction
    from deleatur.trust.record import look_at_record

    collect_destruction(folder, record, _services(settings))
    _tell(look_at_record(record, f"{now():%Y-%m-%dT%H:%M:%SZ}"), as_json=as_json)


def _services(settings: Path | None) -> "Services":
    from deleatur.engine.services import service_class
    from deleatur.engine.settings import load_settings

    trusted = load_settings(settings).agent.plugins.trusted
    return lambda scheme: service_class(scheme, trusted)


def told(statement: "Statement") -> list[str]:
    """Return what a record attests, in lines for a person."""
    from deleatur.documents.attested import AttestedDestruction

    said = statement.predicate
    entry = said.entry
    late = f", {entry.days_late} days late" if entry.days_late else ""
    lines = [f"record {said.id}: {said.state}, {said.assurance}, to be kept until {said.retain_until}"]
    lines.append(f"about {entry.about}, entered {entry.entered_at}{late}")
    if isinstance(said, AttestedDestruction):
        lines.append(f"destroyed by {said.performer.name}, operator {said.performer.operator}")
        lines += [
            f"  {shown.standard} {shown.number}, valid {shown.issued} to {shown.expires}"
            for shown in said.performer.certificates
        ]
        for treatment in said.treatments:
            level = f" {treatment.level}" if treatment.level else ""
            size = f", particles of {treatment.particle} mm²" if treatment.particle else ""
            lines.append(f"{treatment.technique}{level}{size}: {len(treatment.serials)} pieces")
        lines += [f"exception: {one.serial}: {one.reason}" for one in said.exceptions]
    else:
        for one in said.processors:
            what = "attested, not verified" if one.certificate else "exception: no certificate came"
            lines.append(f"{one.name}: {what}: {one.covers}")
    return [*lines, *(sentence.text for sentence in said.sentences)]


def _tell(record: "Record", *, as_json: bool) -> None:
    said = record.statement.predicate
    if as_json:
        result: dict[str, Any] = {"record": said.id, "state": said.state, "days_late": said.entry.days_late}
        result["signed"] = [key.name for key in record.signed]
        result["unsigned"] = [key.name for key in record.unsigned]
        emit(result | {"sha256": record.sha256})
        return
    for line in told(record.statement):
        say(line)
    say(f"signed by: {', '.join(key.name for key in record.signed) or 'nobody'}")
    if record.unsigned:
        say(f"not signed yet by: {', '.join(key.name for key in record.unsigned)}")
