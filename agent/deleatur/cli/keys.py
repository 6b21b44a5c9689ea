"""Get passphrases and load keys; a passphrase is never an argument, which `ps` would show."""

from pathlib import Path

import click

from deleatur.cli.asking import ask_new_secret, ask_secret
from deleatur.errors import Refused
from deleatur.trust.keys import SigningKey, load_private

MAX_PASSPHRASE = 4096  # bytes

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="DELEATUR_PASSPHRASE_FILE",
    help="Read the passphrase from the first line of this file instead of asking.",
)


def signing_key(path: Path, file: Path | None) -> SigningKey:
    """Load a private key, asking for its passphrase unless a file has it."""
    return load_private(path, passphrase_of(path.name, file))


def passphrase_of(what: str, file: Path | None) -> bytes:
    """Return the passphrase of a key that is there already."""
    return ask_secret(what) if file is None else _first_line(file)


def new_passphrase(what: str, file: Path | None) -> bytes:
    """Return the passphrase for a key that is going to be made."""
    return ask_new_secret(what) if file is None else _first_line(file)


def _first_line(file: Path) -> bytes:
    """Return the first line of a passphrase file.

    Raises:
        Refused: it cannot be read, or its first line is empty or too long.
    """
    try:
        with file.open("rb") as opened:
            first = opened.readline(MAX_PASSPHRASE + 1).rstrip(b"\r\n")
    except OSError as error:
        raise Refused(f"the passphrase file {file} cannot be read: {error.strerror}") from None
    if not first:
        raise Refused(f"the first line of {file} is empty; write the passphrase there")
    if len(first) > MAX_PASSPHRASE:
        raise Refused(f"the first line of {file} is longer than {MAX_PASSPHRASE} bytes")
    return first
