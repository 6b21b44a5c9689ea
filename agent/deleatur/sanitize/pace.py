"""Hold what a run reads and writes to a rate: one budget for all its targets.

Rule kept: of what begins within T seconds, wherever they are laid, all but one piece is at most rate * T
bytes. Nothing is saved up for later: after a quiet minute no burst follows.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock


class Pace:
    """Lets pieces begin one after the other, each when the rate allows it."""

    def __init__(
        self,
        rate: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Allow `rate` bytes a second; `wait` is given seconds, and may raise to end the work.

        Raises:
            ValueError: the rate is not above zero.
        """
        if not rate > 0:
            raise ValueError("a rate above zero")
        self.rate, self.clock, self.wait = rate, clock, wait
        self._turn = Lock()
        self._free = clock()

    def take(self, amount: int) -> None:
        """Wait until `amount` bytes may begin; any thread may ask."""
        with self._turn:
            now = self.clock()
            begin = max(self._free, now)
            self._free = begin + amount / self.rate
        if begin > now:
            self.wait(begin - now)


# Plugins read and write through this package, and know of no rate: it holds for whatever runs inside `kept`.
_kept: ContextVar[Pace | None] = ContextVar("pace", default=None)


@contextmanager
def kept(pace: Pace | None) -> Iterator[None]:
    """Have what is read and written inside, in this context, keep the pace; None: as fast as it goes."""
    token = _kept.set(pace)
    try:
        yield
    finally:
        _kept.reset(token)


def keep_pace(amount: int) -> None:
    """Wait until `amount` more bytes may be read or written here."""
    if (pace := _kept.get()) is not None:
        pace.take(amount)
