"""How many devices are worked on at the same time: they share the processors."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_EACH = 2  # threads for one processor: one computes while another waits for its device

# Plugins write through this package, and know of one target: it holds for whatever runs inside `abreast`.
_count: ContextVar[int] = ContextVar("abreast", default=1)


@contextmanager
def abreast(count: int) -> Iterator[None]:
    """Have whatever begins inside, in this context, know that `count` devices are worked on at once."""
    token = _count.set(count)
    try:
        yield
    finally:
        _count.reset(token)


def threads_for_one(most: int) -> int:
    """Return how many threads one device gets: `most`, or fewer where processors are short; one at least.

    More of them would push out of the processors' cache what the others hold (`benchmarks/overwrite.py`).
    """
    processors = len(os.sched_getaffinity(0))
    return max(1, min(most, _EACH * processors // _count.get()))
