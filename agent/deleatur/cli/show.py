"""`deleatur show`: show a certificate to a person."""

import json
from pathlib import Path

import click

from deleatur.cli.output import as_json_option, emit, say
from deleatur.cli.picture import show_certificate
from deleatur.cli.validate import told
from deleatur.documents.attested import predicate_type
from deleatur.documents.codec import read_limited
from deleatur.documents.validation import VALIDATION_TYPE, decode_validation
from deleatur.errors import Invalid, Malformed
from deleatur.trust.dsse import IN_TOTO, MAX_ENVELOPE, unseal
from deleatur.trust.folder import ENVELOPE, read_statement


@click.command("show")
@click.argument("certificate", type=click.Path(path_type=Path))
@as_json_option
def command(certificate: Path, as_json: bool) -> None:
    """Show what CERTIFICATE, or the file of a validation, says.

    It is shown, not checked: `deleatur verify` checks it.
    """
    payload = read_payload(certificate)
    if as_json:
        emit(json.loads(payload))
        return
    try:
        if predicate_type(payload) == VALIDATION_TYPE:
            for line in told(decode_validation(payload).predicate):
                say(line)
            return
        shown = read_statement(payload)
    except Malformed as error:
        raise Invalid(f"neither a certificate nor a validation: {error}") from None
    show_certificate(shown)


def read_payload(certificate: Path) -> bytes:
    """Return the signed statement of a certificate's folder or envelope, signatures not looked at.

    Raises:
        Invalid: it is not there, or no envelope.
    """
    path = certificate / ENVELOPE if certificate.is_dir() else certificate
    if not path.is_file():  # a pipe would be waited for
        raise Invalid(f"{path} is no file; name a certificate's folder, or its {ENVELOPE}")
    try:
        payload, _ = unseal(read_limited(path, MAX_ENVELOPE), IN_TOTO, [])
    except Malformed as error:
        raise Invalid(str(error)) from None
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}") from None
    return payload
