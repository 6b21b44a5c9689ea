"""Show what a long job is doing: a bar with throughput and ETA on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from deleatur.cli.output import console, note, size
from deleatur.engine.progress import Progress

EVERY = 5.0  # seconds between two plain lines of one phase
_COUNTED = {  # what phases count; all others count bytes
    "rewrite": "rows",
    "learn": "rows",
    "archive": "rows",
    "sample": "values",
    "verify": "values",
    "notify": "letters",
}


@contextmanager
def shown(*, quiet: bool) -> Iterator[Progress]:
    """Yield the function that the engine tells how far it is."""
    if quiet:
        yield lambda _phase, _target, _done, _total: None
    elif sys.stderr.isatty():
        with _bars() as tell:
            yield tell
    else:
        yield _Lines().tell


class _Lines:
    """Plain lines, for logs: the first of each phase, then one every few seconds, and the end."""

    def __init__(self) -> None:
        self._phase = ("", "")
        self._said = 0.0
        self._began = 0.0
        self._done = 0

    def tell(self, phase: str, target: str, done: int, total: int) -> None:
        now = time.monotonic()
        if (phase, target) != self._phase:
            self._phase, self._began = (phase, target), now
        elif now - self._said < EVERY and not done >= total > self._done:
            return
        self._said, self._done = now, done
        rate = done / (now - self._began) if now > self._began else 0.0
        left = f", {(total - done) / rate:.0f} s left" if rate and total > done else ""
        note(f"{phase} {target}: {_said(phase, done, total, rate)}{left}" if target else phase)


def _said(phase: str, done: int, total: int, rate: float) -> str:
    """Return what is done, of how much, and the throughput (per second)."""
    if phase == "cool":
        return f"cooled after {done} s" if total else f"too hot by its own word, waiting for {done} s"
    of = f" of {_amount(phase, total)}" if total else ""
    speed = f", {_amount(phase, int(rate))}/s" if rate else ""
    return f"{_amount(phase, done)}{of}{speed}"


def _amount(phase: str, count: int) -> str:
    return f"{count} {_COUNTED[phase]}" if phase in _COUNTED else size(count)


@contextmanager
def _bars() -> Iterator[Progress]:
    """One bar for each phase of each target (rich; NO_COLOR is honoured by it)."""
    from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    tasks: dict[tuple[str, str], tuple[TaskID, float]] = {}
    with Bars(*columns, console=console(sys.stderr), transient=False) as bars:

        def tell(phase: str, target: str, done: int, total: int) -> None:
            now = time.monotonic()
            if (phase, target) not in tasks:
                made = bars.add_task(f"{phase} {target}", total=total or None, amount="")
                tasks[phase, target] = made, now
            task, began = tasks[phase, target]
            rate = done / (now - began) if now > began else 0.0
            bars.update(task, completed=done, amount=_said(phase, done, total, rate) if target else "")

        yield tell
