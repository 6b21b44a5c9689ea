"""Work on several devices at the same time: a thread for each, and one journal.

Rules kept: what is written to the journal, and whoever is asked for holds, takes its turn; a person
who stops ends all of them at their next cursor; an error on one device lets the others come to the
end of what they do, and is raised then.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from threading import TIMEOUT_MAX, Event

from deleatur.errors import DeleaturError, Failed, Interrupted
from deleatur.sanitize.abreast import abreast


def perform_together(works: Sequence[Callable[[], None]], halt: Event) -> None:
    """Run every work in a thread of its own, to their ends.

    Ctrl-C sets `halt`, which the works heed, waits for them, and is raised again; pressed once more, it
    does no more: as long as one of them writes, nobody closes the journal under it.

    Raises:
        DeleaturError: several works failed, with the text of each; Failed if they are of several classes.
        Exception: what the only one that failed has raised, or a defect.
    """
    pool = ThreadPoolExecutor(len(works))
    running: list[Future[None]] = []
    stopped = None
    try:
        with abreast(len(works)):
            running.extend(pool.submit(copy_context().run, work) for work in works)
    except KeyboardInterrupt as pressed:  # those that run already are waited for all the same
        halt.set()
        stopped = pressed
    pool.shutdown(wait=False)  # begins nothing more; and joins none: see `in_order`
    stopped = _all_ended(running, halt) or stopped
    if stopped is not None:
        raise stopped
    errors = [error for future in running if (error := future.exception()) is not None]
    defects = [error for error in errors if not isinstance(error, DeleaturError)]
    if len(errors) == 1 or defects:
        raise (defects or errors)[0]
    if errors:
        kinds = {type(error) for error in errors}
        kind = kinds.pop() if len(kinds) == 1 else Failed
        raise kind("; ".join(dict.fromkeys(str(error) for error in errors)))


def stopped_by_hand() -> Interrupted:
    """Return the error of a run that a person stopped."""
    return Interrupted("stopped by hand; go on with `deleatur resume`")


def waiting(halt: Event) -> Callable[[float], None]:
    """Return a function that waits so many seconds, and raises Interrupted as soon as `halt` is set."""

    def wait_or_stop(seconds: float) -> None:
        if halt.wait(min(seconds, TIMEOUT_MAX)):
            raise stopped_by_hand()

    return wait_or_stop


def _all_ended(running: Sequence[Future[None]], halt: Event) -> KeyboardInterrupt | None:
    """Wait for all of them, and return the first Ctrl-C that came meanwhile."""
    first = None
    while True:
        try:
            wait(running)
        except KeyboardInterrupt as pressed:
            halt.set()
            first = first or pressed
        else:
            return first
