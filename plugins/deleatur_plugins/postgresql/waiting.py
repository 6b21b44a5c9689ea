"""For how long others wait for the tables: announced from their size, kept by the clock, measured.

Rule kept: a stretch that would last longer than the plan announced is rolled back whole.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deleatur.api import Secrets, Transient
from deleatur_plugins.postgresql.connecting import driver_of

if TYPE_CHECKING:
    import psycopg

_BEGIN = 10_000  # milliseconds: to get the locks (5 s at most) and for what does not grow with the tables
_PACE = 20_000  # bytes a millisecond; the rewrite took 70,000 on two busy cores, the digest of rows 60,000


def planned_outage(size: int) -> int:
    """Return for how many milliseconds others wait at most while tables of `size` bytes are locked."""
    return _BEGIN + size // _PACE


class Wait:
    """One stretch in which others wait; the clock runs from the moment that it is made."""

    def __init__(self, secrets: Secrets) -> None:
        announced = secrets.get("approved-outage")
        self._limit = int(announced) if announced is not None else None  # None: nobody announced anything
        self._begun = time.monotonic()

    @property
    def milliseconds(self) -> int:
        """How long it has lasted by now."""
        return int((time.monotonic() - self._begun) * 1000)

    def check(self) -> None:
        """Raise Transient when it has lasted longer than announced."""
        if self._limit is not None and self.milliseconds > self._limit:
            raise Transient(
                f"others would wait longer than the {self._limit / 1000:.1f} s that the plan announced; "
                "this was rolled back: resume when the server has less to do"
            )

    @contextmanager
    def bounding(self, connection: "psycopg.Connection[Any]") -> Iterator[None]:
        """Let the server cancel what lasts too long, inside of the transaction that is open."""
        if self._limit is not None:
            left = max(1, self._limit - self.milliseconds)
            connection.execute(f"SET LOCAL statement_timeout = {left}".encode(), ())
        try:
            yield
        except driver_of().errors.QueryCanceled:
            self.check()
            raise
        self.check()
