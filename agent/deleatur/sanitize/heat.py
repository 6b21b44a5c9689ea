"""Pause what is written and read while a device says that it is too hot.

Rules kept: the device's own words decide, and no number of ours; a device that says nothing of heat is
never paused; one that does not cool ends the run, which can be resumed.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum

from deleatur.errors import Failed

INTERVAL = 5.0  # seconds between two questions
LONGEST = 1800.0  # seconds of one pause; as long as a device that works on its own may stand still


class Heat(Enum):
    """What a device says of its temperature. Between the two it goes on with what it does."""

    hot = "hot"
    between = "between"
    cool = "cool"


Wait = Callable[[float], None]  # is given seconds, and may raise to end the work
Tell = Callable[[int, bool], None]  # is given the seconds that a pause has taken, and whether it is over


class Cooling:
    """Lets pieces begin, but for the time in which the device is too hot."""

    def __init__(
        self,
        heat: Callable[[], Heat | None],
        wait: Wait,
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask `heat` before a piece, each INTERVAL seconds at most; None: the device does not say."""
        self.heat, self.wait, self.tell, self.clock = heat, wait, tell, clock
        self._asked: float | None = None

    def begin(self) -> None:
        """Return when a piece may begin.

        Raises:
            Failed: the device stays too hot. Whatever `wait` and `tell` raise to end the work.
        """
        now = self.clock()
        if self._asked is None or now - self._asked >= INTERVAL:
            if self.heat() is Heat.hot:
                self._cool(now)
            self._asked = self.clock()

    def _cool(self, began: float) -> None:
        while (spent := self.clock() - began) < LONGEST:
            self.tell(int(spent), False)
            self.wait(INTERVAL)
            if self.heat() is Heat.cool:  # one that has fallen silent is not known to be
                self.tell(int(self.clock() - began), True)
                return
        raise Failed(f"the device is still too hot after {LONGEST / 60:.0f} minutes; cool it, then resume")


# Plugins write through this package, and know nobody to tell: it holds for whatever runs inside `watched`.
_watch: ContextVar[tuple[Wait, Tell]] = ContextVar("watch", default=(time.sleep, lambda _spent, _over: None))


@contextmanager
def watched(wait: Wait, tell: Tell) -> Iterator[None]:
    """Have pauses inside, in this context, wait by `wait` and be told to `tell`."""
    token = _watch.set((wait, tell))
    try:
        yield
    finally:
        _watch.reset(token)


def watching() -> tuple[Wait, Tell]:
    """Return how a pause waits here, and who is told of it."""
    return _watch.get()
