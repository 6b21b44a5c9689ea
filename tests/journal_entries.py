"""Do something when a job writes a chosen entry of its journal: kill it there, or its server."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import pytest

from deleatur.documents.journal import AnyEvent
from deleatur.engine.chronicle import Chronicle

Moment = Literal["before", "after"]


@contextmanager
def at_entry(number: int, moment: Moment, act: Callable[[], object]) -> Iterator[list[str]]:
    """Call `act` at the `number`-th entry (from 1) of a run; the list grows by the kind of each entry."""
    append, entries = Chronicle.append, list[str]()

    def counted(chronicle: Chronicle, event: AnyEvent) -> object:
        entries.append(type(event).__name__)
        chosen = len(entries) == number
        if chosen and moment == "before":
            act()
        written = append(chronicle, event)
        if chosen and moment == "after":
            act()
        return written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Chronicle, "append", counted)
        yield entries


def run_killed_at_entry(run: Callable[[], object], number: int, moment: Moment) -> bool:
    """Run in a child that is killed around its `number`-th entry; say whether it was."""
    child = os.fork()
    if child == 0:
        try:
            with at_entry(number, moment, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                run()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
