"""The command line: prints, asks, exits. One file per command, loaded when it is called.

Rules: results go to standard output, everything else to standard error; an error is one line and
an exit code of docs/reference/exit-codes.md; a traceback, which could quote data, reaches nobody.
Nothing heavy is imported here: until `main` has begun, a Ctrl-C would end in a traceback.
"""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # Ctrl-C, an init system, a lost terminal


def main() -> NoReturn:
    """Run the command line and exit with a documented code."""
    try:
        for number in _STOPS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup asked to be left alone
                signal.signal(number, _stop)
        _occupy_standard_descriptors()
        from deleatur.cli.ending import run

        code = run()
    except KeyboardInterrupt:  # while modules were still being loaded
        from deleatur.cli.ending import interrupted

        code = interrupted()
    sys.exit(code)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _occupy_standard_descriptors() -> None:
    """Fill closed standard streams with /dev/null, or the next file opened would become one of them."""
    opened = os.open(os.devnull, os.O_RDWR)
    while opened <= 2:
        opened = os.open(os.devnull, os.O_RDWR)
    os.close(opened)
