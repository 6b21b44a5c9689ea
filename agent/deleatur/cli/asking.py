"""Ask a person for an answer, or for a secret that is not shown; nobody there is a refusal."""

import os
import sys
from getpass import getpass

from deleatur.cli.output import note, prompt
from deleatur.errors import Refused

_LONGEST = 4096  # characters of an answer that are read


def ask(question: str) -> str:
    """Return a person's answer without the spaces around it.

    Raises:
        Refused: standard input has ended.
    """
    prompt(f"{question}: ")
    line = sys.stdin.readline(_LONGEST)
    if not sys.stdin.isatty():
        note("")  # nobody pressed Enter here
    if not line:
        raise Refused("nobody answered: standard input has ended; nothing was approved")
    return line.strip()


def ask_secret(what: str) -> bytes:
    """Return the passphrase of `what` as it is typed on the terminal.

    Raises:
        Refused: there is no terminal, or nothing was typed.
    """
    if not sys.stdin.isatty():
        raise Refused(f"there is no terminal to ask for the passphrase of {what}; use --passphrase-file")
    try:
        typed = getpass(f"Passphrase of {what}: ")
    except EOFError:
        raise Refused(f"no passphrase was typed for {what}") from None
    if not typed:
        raise Refused(f"the passphrase of {what} is empty")
    return os.fsencode(typed)


def ask_new_secret(what: str) -> bytes:
    """Return a new passphrase for `what`, typed twice.

    Raises:
        Refused: there is no terminal, nothing was typed, or not the same twice.
    """
    first = ask_secret(what)
    if ask_secret(f"{what}, once more") != first:
        raise Refused("that was not the same passphrase twice; nothing was made")
    return first
