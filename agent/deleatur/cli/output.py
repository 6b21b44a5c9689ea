"""Print results, errors and tables: for people with colour where wanted, for machines as JSON.

Rule: whatever is printed was escaped first, so no name, path or document drives a terminal.
"""

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from deleatur.errors import DeleaturError

if TYPE_CHECKING:
    from rich.console import Console

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def colour() -> bool:
    """Say whether to colour standard error: a terminal, and NO_COLOR is not set (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """Return `text` with everything escaped that could drive a terminal, add a line or turn writing round."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complain(error: DeleaturError, *, as_json: bool) -> None:
    """Print an error: one line on standard error, or one JSON object on standard output."""
    text = printable(str(error))
    name = type(error).__name__
    if as_json:
        emit({"error": name, "text": text, "exit_code": error.exit_code})
    else:
        word = click.style(name.lower(), fg="red") if colour() else name.lower()
        _to_standard_error(f"deleatur: {word}: {text}\n")


def emit(result: dict[str, Any]) -> None:
    """Print one JSON object for a machine, in ASCII: a terminal may show it."""
    click.echo(json.dumps(result))


def say(text: str = "") -> None:
    """Print a line of a result for a person."""
    click.echo(printable(text))


def note(text: str) -> None:
    """Print a line about what is going on, on standard error."""
    _to_standard_error(f"{printable(text)}\n")


def prompt(text: str) -> None:
    """Print a question on standard error, so that standard output holds results only."""
    _to_standard_error(printable(text))


def discard(stream: TextIO) -> None:
    """Send what is still to be written to a stream that takes no more to /dev/null."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _to_standard_error(text: str) -> None:
    """Print on standard error; that nobody reads it must not stop a job."""
    try:
        click.echo(text, nl=False, err=True)
    except OSError:
        discard(sys.stderr)


def console(stream: TextIO) -> "Console":
    """Return a rich console that raises BrokenPipeError as everything else does, and never exits."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Plain(file=stream, highlight=False, emoji=False, soft_wrap=False)


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> None:
    """Print a plain table whose columns are as wide as they must be."""
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        drawn.add_column(head, overflow="fold")
    for row in rows:
        drawn.add_row(*(escape(printable(cell)) for cell in row))
    console(sys.stdout).print(drawn)


def size(count: int) -> str:
    """Return a size in bytes for a person, in powers of ten as disks are sold."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
