"""Send no faster than a server takes it: slowly up, quickly down (AIMD), and close below where it refused.

Rules kept: no randomness; the clock is handed in; waiting is done without the lock.
"""

import math
import threading
import time
from collections.abc import Callable

_BEGIN = 3_500.0  # a second: what each part of a bucket of Amazon S3 takes from the start, in changes
_DOUBLING = 1.0  # seconds, until the first refusal
_NEAR = 0.93  # of the rate that was refused
# Of the rate, after a refusal: far from what was refused before, close to it, and close to it once more soon
_BACK, _BACK_NEAR, _BACK_AGAIN = 0.5, _NEAR, 0.8
_SOON = 10.0  # seconds
_RISES = ((_NEAR, 0.05), (1.0, 0.00175), (1.1, 0.01), (1e9, 0.05))  # of it: up to where, how much a second
_UNBOUNDED = 1e6  # a second; more than any server takes from one process


class Pace:
    """One rate, in what the server counts: keys that change, or questions; safe for threads."""

    def __init__(
        self,
        least: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Begin; `least` is the rate (a second) below which no refusal leads."""
        self._least, self._clock, self._sleep = least, clock, sleep
        self._lock = threading.Lock()
        self._rate = _BEGIN
        self._ceiling = math.inf  # the rate that was refused last
        self._last = self._free = clock()  # when the last one asked; when the next may be sent
        self._spaced = 0.0  # seconds between the last one and the next
        self._cut = -math.inf

    @property
    def refused_once(self) -> bool:
        """Whether the server ever said that this is too fast."""
        return self._ceiling < math.inf

    @property
    def rate(self) -> float:
        """What is sent a second, at the most."""
        return self._rate

    def take(self, cost: int) -> float:
        """Wait for one's turn to send what costs so much; return the moment of sending."""
        while True:
            with self._lock:
                now = self._clock()
                if now >= self._free:
                    self._rise(min(now - self._last, self._spaced))  # what was not used has shown nothing
                    self._spaced = cost / self._rate
                    self._last, self._free = now, max(self._free, now - self._spaced) + self._spaced
                    return now
                wait = self._free - now
            self._sleep(wait)  # no turn is kept: who waits goes by the rate of the moment when it ends

    def refused(self, sent: float) -> None:
        """Go slower: what was sent at `sent` came too fast. One cut for all that was under way."""
        with self._lock:
            if sent < self._cut:
                return
            near = self.refused_once and self._rate >= _NEAR * self._ceiling
            now = self._clock()
            back = _BACK if not near else _BACK_NEAR if now - self._cut > _SOON else _BACK_AGAIN
            self._ceiling = self._rate
            self._rate = max(self._least, self._rate * back)
            self._cut = now

    def _rise(self, passed: float) -> None:
        if not self.refused_once:
            self._rate = min(_UNBOUNDED, self._rate * 2 ** (passed / _DOUBLING))
            return
        for until, rise in _RISES:
            a_second = rise * self._ceiling
            needed = max(0.0, (until * self._ceiling - self._rate) / a_second)
            self._rate += a_second * min(passed, needed)
            passed -= min(passed, needed)
