"""Print results, errors and tables: for people with colour where wanted, for machines as JSON."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from deleatur.errors import DeleaturError

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def colour() -> bool:
    """Say whether to colour standard error: a terminal, and NO_COLOR is not set (no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def printable(text: str) -> str:
    """Return `text` with what could drive a terminal escaped."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)


def complain(error: DeleaturError, *, as_json: bool) -> None:
    """Print an error: one line on standard error, or one JSON object on standard output."""
    text = printable(str(error)).replace("\n", " ")
    if as_json:
        emit({"error": type(error).__name__, "text": text, "exit_code": error.exit_code})
    else:
        word = type(error).__name__.lower()
        click.echo(f"deleatur: {click.style(word, fg='red') if colour() else word}: {text}", err=True)


def emit(result: Any) -> None:
    """Print one JSON object for a machine."""
    click.echo(json.dumps(result, ensure_ascii=False))


def say(text: str = "") -> None:
    """Print a line of a result for a person."""
    click.echo(printable(text))


def note(text: str) -> None:
    """Print a line about what is going on, on standard error."""
    click.echo(printable(text), err=True)


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> None:
    """Print a plain table whose columns are as wide as they must be."""
    from rich.console import Console
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        drawn.add_column(head, overflow="fold")
    for row in rows:
        drawn.add_row(*(printable(cell).replace("[", "\\[") for cell in row))
    Console(soft_wrap=False).print(drawn)


def size(count: int) -> str:
    """Return a size in bytes for a person, in powers of ten as disks are sold."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
