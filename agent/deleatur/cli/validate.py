"""`deleatur validate`: accept what a certificate says, or do not, in a signed record of its own."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from deleatur.cli.keys import passphrase_option, signing_key
from deleatur.cli.output import as_json_option, emit, say
from deleatur.errors import Refused

if TYPE_CHECKING:
    from deleatur.documents.validation import Validation
    from deleatur.trust.validation import Validated
    from deleatur.trust.verification import Verification

_file = click.Path(path_type=Path, dir_okay=False)
_trusted_option = click.option(
    "--trusted",
    "trusted",
    multiple=True,
    required=True,
    type=_file,
    help="A public key that must have signed the certificate, from elsewhere than its folder.",
)


@click.group("validate", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Accept the outcome of a job, or reject it, as somebody who took no part in it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("draft")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option("--policy", required=True, type=_file, help="Your policy, against which you hold the outcome.")
@click.option("--out", required=True, type=_file, help="Where to write the sheet to fill in.")
@_trusted_option
@as_json_option
def draft(certificate: Path, policy: Path, out: Path, trusted: tuple[Path, ...], as_json: bool) -> None:
    """Write a sheet with every check, limit and exception of CERTIFICATE; `?` stands at each answer.

    Nothing is accepted in it: a person answers each line with `yes` or `no`.
    """
    from deleatur.trust.validation import draft_validation

    sheet = draft_validation(_verified(certificate, trusted), policy)
    _write(out, sheet)
    left = sheet.count(b'"?"')
    if as_json:
        emit({"sheet": str(out), "open": left})
    else:
        say(f"sheet: {out}, {left} answers to give; then sign it with `deleatur validate sign`")


@command.command("sign")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.argument("sheet", type=_file)
@click.option("--key", required=True, type=_file, help="The validator's private key.")
@click.option("--out", required=True, type=_file, help="Where to write the validation.")
@_trusted_option
@passphrase_option
@as_json_option
def sign(
    certificate: Path,
    sheet: Path,
    key: Path,
    out: Path,
    trusted: tuple[Path, ...],
    passphrase_file: Path | None,
    as_json: bool,
) -> None:
    """Sign the filled SHEET about CERTIFICATE, which is verified again first.

    Refused while an answer is missing, where an outcome says more than its answers, and with a key of
    whoever made, planned, approved or ran the job.
    """
    from deleatur.documents.validation import MAX_VALIDATION
    from deleatur.engine.jobs import now
    from deleatur.engine.reading import decoding, read_plain
    from deleatur.trust.validation import said_in, sign_validation

    verified = _verified(certificate, trusted)
    content = read_plain(sheet, MAX_VALIDATION)
    with decoding(sheet.name):
        signed = sign_validation(
            verified, content, signing_key(key, passphrase_file), f"{now():%Y-%m-%dT%H:%M:%SZ}"
        )
    _write(out, signed)
    said = said_in(signed)
    if as_json:
        emit({"validation": str(out), "outcome": said.outcome})
    else:
        say(f"validation: {out}, {said.outcome} by {said.validator.name}")


def tell_validated(checked: "Validated") -> None:
    """Print what a validation that verified says."""
    said = checked.said
    for line in told(said):
        say(line)
    if not checked.policy_compared:
        say("its policy was not compared; name it with `--policy`")


def require_accepted(said: "Validation") -> None:
    """Ask that the validator did not reject the outcome.

    Raises:
        Refused: they did.
    """
    if said.outcome == "rejected":
        raise Refused(
            f"{said.validator.name} rejected the outcome of certificate {said.certificate_id}: {said.reason}"
        )


def told(said: "Validation") -> list[str]:
    """Return what a validation says, in lines for a person."""
    lines = [
        f"validation of certificate {said.certificate_id}, which says {said.certificate_state}",
        f"{said.outcome} by {said.validator.name} ({said.validator.key_id}) at {said.validated_at}",
        f"reason: {said.reason}",
        f"held against {said.policy.file}, sha256 {said.policy.digest.sha256}",
    ]
    lines += [f"check {one.name}: {one.answer}" for one in said.checks]
    lines += [f"limit {one.id}, accepted: {one.accepted}" for one in said.limits]
    lines += [
        f"exception {one.type} of {one.target_id}, accepted: {one.accepted}: {one.reason}"
        for one in said.exceptions
    ]
    return lines


def _verified(certificate: Path, trusted: tuple[Path, ...]) -> "Verification":
    from deleatur.trust.keys import load_public
    from deleatur.trust.verification import verify

    keys = [load_public(path) for path in trusted]
    return verify(certificate, trusted=keys, threshold=len(keys), about=None)


def _write(out: Path, content: bytes) -> None:
    try:
        with out.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise Refused(f"{out} is there already; choose another name") from None
