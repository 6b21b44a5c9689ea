"""Ask for passphrases and load keys; a passphrase is never an argument, which `ps` would show."""

from pathlib import Path

import click

from deleatur.errors import Refused
from deleatur.trust.keys import SigningKey, load_private

MAX_PASSPHRASE = 4096  # bytes

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="DELEATUR_PASSPHRASE_FILE",
    help="Read the passphrase from the first line of this file instead of asking.",
)


def passphrase(what: str, file: Path | None, *, twice: bool = False) -> bytes:
    """Return a passphrase from a file's first line, or ask for it on the terminal.

    Raises:
        Refused: the file cannot be read or its first line is empty.
    """
    if file is None:
        return str(
            click.prompt(f"Passphrase for {what}", hide_input=True, confirmation_prompt=twice, err=True)
        ).encode()
    try:
        with file.open("rb") as opened:
            first = opened.readline(MAX_PASSPHRASE).rstrip(b"\r\n")
    except OSError as error:
        raise Refused(f"the passphrase file {file} cannot be read: {error.strerror}") from None
    if not first:
        raise Refused(f"the first line of {file} is empty")
    return first


def signing_key(path: Path, file: Path | None) -> SigningKey:
    """Load a private key, asking for its passphrase."""
    return load_private(path, passphrase(path.name, file))
