"""Run the command that was asked for and turn however it ends into an exit code.

Rules: one line, or one JSON object, for every error; no exception passes; what a person stopped
says so; standard output that nobody reads is no reason for a traceback.
"""

import os
import sys

import click

from deleatur.cli import ignore_stops
from deleatur.cli.group import deleatur
from deleatur.cli.output import complain, discard
from deleatur.errors import DeleaturError, Failed, Interrupted

_OURS = {  # names that say nothing of the data, so a message may show them
    "approvals",
    "archive",
    "certificate",
    "custody",
    "deleatur.toml",
    "digest.key",
    "host.toml",
    "job.toml",
    "journal.jsonl",
    "keys",
    "plan.json",
    "run.out",
    "spool.bin",
    "token.key",
}


class Usage(DeleaturError):
    """The command was called in a way that it does not know."""


def run() -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    if "_DELEATUR_COMPLETE" in os.environ:  # the shell asks what could come next
        deleatur.main(prog_name="deleatur")
    try:
        with deleatur.make_context("deleatur", sys.argv[1:]) as context:
            deleatur.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except BaseException as error:  # noqa: BLE001 - a traceback may quote data, so none reaches a user
        return _end(_as_ours(error))
    return 0


def interrupted() -> int:
    """Say that a person stopped the command, and return the exit code."""
    return _end(
        Interrupted("stopped by hand; call it again, or `deleatur resume` where a job was begun already")
    )


def _end(error: DeleaturError) -> int:
    ignore_stops()
    try:
        complain(error, as_json="--json" in sys.argv)
        sys.stdout.flush()
    except OSError:  # nobody reads it, or its disk is full: nothing more can be said there
        discard(sys.stdout)
    return error.exit_code


def _as_ours(error: BaseException) -> DeleaturError:
    """Return the error of our tree that stands for whatever ended a command."""
    match error:
        case DeleaturError():
            return error
        case KeyboardInterrupt() | click.Abort():
            return Interrupted(
                "stopped by hand; call it again, or `deleatur resume` where a job was begun already"
            )
        case click.UsageError():
            asked = error.ctx.command_path if error.ctx else "deleatur"
            return Usage(f"{_one_line(error)}; see `{asked} --help`")
        case click.ClickException():
            return Usage(_one_line(error))
        case BrokenPipeError():
            discard(sys.stdout)
            return Failed("nobody reads the output any more; what was done is done, ask `deleatur status`")
        case ImportError():
            return Failed(f"{error.name} cannot be loaded; install deleatur, or the extra with it, again")
        case OSError():
            return Failed(f"{_where(error)}input or output failed: {error.strerror}")
    return Failed(f"a defect of deleatur: {type(error).__name__}; please report it")


def _one_line(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split()).removesuffix(".")
    return text[:1].lower() + text[1:]


def _where(error: OSError) -> str:
    """Name the file if it is ours or the caller named it; another name may be somebody's name."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    own = os.path.basename(name).removeprefix(".").removesuffix(".new")  # noqa: PTH119
    return f"{name}: " if own in _OURS or name in sys.argv else ""
