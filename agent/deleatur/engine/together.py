"""Work on several devices at the same time: a thread for each, and one journal.

Rules kept: what is written to the journal, and whoever is asked for holds, takes its turn; a person
who stops ends all of them at their next cursor; an error on one device lets the others come to the
end of what they do, and is raised then.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

from deleatur.errors import DeleaturError, Failed


def perform_together(works: Sequence[Callable[[], None]], halt: Event) -> None:
    """Run every work in a thread of its own, to their ends.

    Ctrl-C sets `halt`, which the works heed, waits for them, and is raised again.

    Raises:
        DeleaturError: several works failed, with the text of each; Failed if they are of several classes.
        Exception: what the only one that failed has raised, or a defect.
    """
    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(work) for work in works]
        try:
            wait(running)
        except KeyboardInterrupt:
            halt.set()
            raise
    errors = [error for future in running if (error := future.exception()) is not None]
    defects = [error for error in errors if not isinstance(error, DeleaturError)]
    if len(errors) == 1 or defects:
        raise (defects or errors)[0]
    if errors:
        kinds = {type(error) for error in errors}
        kind = kinds.pop() if len(kinds) == 1 else Failed
        raise kind("; ".join(dict.fromkeys(str(error) for error in errors)))
