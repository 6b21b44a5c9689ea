"""Wait for a device that works on its own, and tell "not finished" from "finished".

Rule kept: a device whose progress stands still for longer than it should is reported as not
finished; it is never taken for erased, however long anybody waits.
"""

import time
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from deleatur.documents.place import Cursor, Exchange
from deleatur.errors import Failed

WHOLE = 65536  # parts in which every one of these devices counts its progress
_NOTED = WHOLE // 100  # parts between two cursors: one line of the journal for each hundredth
ACCEPTED = "accepted"
BEGUN = "begun"  # the command is about to be sent: what is seen at work from here on is ours
REFUSED = "refused"
DONE = "done"


class Patience(NamedTuple):
    """How long to wait for a device; the clock can be another one in tests."""

    interval: float = 2.0  # seconds between two looks
    still: float = 1800.0  # seconds without progress, or twice what the device says that it needs
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Look(NamedTuple):
    """What a device says while it works."""

    state: Literal["running", "done", "failed", "unclear"]
    progress: int  # parts of `WHOLE`
    words: str
    exchange: Exchange


def watched(
    look: Callable[[], Look], size: int, estimate: float | None, patience: Patience, *, what: str
) -> Iterator[Cursor]:
    """Yield a cursor for each hundredth, and the last one when the device says that it is done.

    Args:
        size: bytes of the device, for progress only.
        estimate: seconds that the device says it needs; None: it does not say.

    Raises:
        Failed: the device says that it failed, or something unclear, or stands still. What it said is
            yielded first, so that it is kept.
    """
    limit = max(2 * (estimate or 0.0), patience.still)
    moved, furthest, noted = patience.clock(), -1, -_NOTED
    while True:
        seen = look()
        if seen.state == "done":
            yield Cursor(position=DONE, done=size, exchanges=(seen.exchange,))
            return
        if seen.state != "running":
            yield Cursor(position=ACCEPTED, done=0, exchanges=(seen.exchange,))
            raise Failed(f"{what}: {seen.words}; nothing is erased for sure: resume, or destroy the medium")
        if seen.progress > furthest:
            moved, furthest = patience.clock(), seen.progress
        if patience.clock() - moved > limit:
            yield Cursor(position=ACCEPTED, done=0, exchanges=(seen.exchange,))
            raise Failed(
                f"{what}: in progress, not finished: it stands at {seen.progress} of {WHOLE} for "
                f"{round(patience.clock() - moved)} seconds; switch the device off and on, then resume"
            )
        if seen.progress - noted >= _NOTED:
            first, noted = noted < 0, seen.progress
            shown = (seen.exchange,) if first else ()
            position = f"{ACCEPTED} {seen.progress}"
            yield Cursor(position=position, done=min(seen.progress, WHOLE) * size // WHOLE, exchanges=shown)
        patience.sleep(patience.interval)


def was_accepted(after: Cursor | None) -> bool:
    """Say whether the device took the command of this job, in this run or an earlier one."""
    return after is not None and after.position.startswith(ACCEPTED)


def exchange(block: bytes, answer: str, seconds: float) -> Exchange:
    """Return the evidence of one command: its block, the raw status bytes, the time it took."""
    return Exchange(sent=block.hex(), answered=answer, milliseconds=round(seconds * 1000))
