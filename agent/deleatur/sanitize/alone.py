"""Let one run at a time work on something that several jobs could reach.

Rule kept: a lock is the kernel's and ends with the process, so that a kill leaves none behind.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deleatur.errors import Transient


def lock(fd: int, refusal: str) -> None:
    """Lock an open file or folder until it is closed.

    Raises:
        Transient: another run has it locked; `refusal` is what to say.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Transient(refusal) from None


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Keep every other run away from a server's data directory: jobs of all databases share it.

    Raises:
        Transient: another run is under way.
    """
    fd = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock(fd, "another run erases on this server; resume when it has ended")
        yield
    finally:
        os.close(fd)
