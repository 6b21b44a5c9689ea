"""The command line: prints, asks, exits. One file per command, loaded when it is called.

Rules: results go to standard output, everything else to standard error; an error is one line and
an exit code of docs/reference/exit-codes.md; a traceback, which could quote data, reaches nobody.
Nothing heavy is imported here: until `main` has begun, a Ctrl-C would end in a traceback.
"""

import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN = 0.01  # seconds until a stop that was swallowed comes again, as SIGALRM
# Ctrl-C, an init system, a lost terminal, and a stop that comes again
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def main() -> NoReturn:
    """Run the command line and exit with a documented code."""
    sys.unraisablehook = _unraised
    try:
        for number in _STOPS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asked to be left alone
                signal.signal(number, _stop)
        _open_closed_streams()
        from deleatur.cli.ending import run

        code = run()
        ignore_stops()  # what ends the interpreter would show a traceback
    except KeyboardInterrupt:  # while modules were still being loaded
        from deleatur.cli.ending import interrupted

        code = interrupted()
    sys.exit(code)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def ignore_stops() -> None:
    """Let no stop come any more: the command is ending already."""
    for number in _STOPS:
        signal.signal(number, signal.SIG_IGN)


def _unraised(swallowed: "UnraisableHookArgs") -> None:
    """Let a stop come again that a destructor or a callback swallowed; say anything else in one line."""
    if issubclass(swallowed.exc_type, KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, _AGAIN)
    else:
        kind = swallowed.exc_type.__name__
        print(f"deleatur: Failed: a defect of deleatur: {kind}; please report it", file=sys.stderr)


def _open_closed_streams() -> None:
    """Open /dev/null for standard streams that are closed, or the next file would become one of them."""
    opened = os.open(os.devnull, os.O_RDWR)
    while opened <= 2:
        opened = os.open(os.devnull, os.O_RDWR)
    os.close(opened)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
