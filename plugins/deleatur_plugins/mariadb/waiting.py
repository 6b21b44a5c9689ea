"""For how long others wait for the tables: announced, and measured by asking for them as others do.

Rows that stay are never locked. What others wait for is a table's definition: while we ask for it, a
second at a time, and while the server puts the rebuilt file in the old one's place. Rule kept: when the
measuring ends early, for whatever reason, so does the erase.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from threading import Event
from types import TracebackType
from typing import Self

from deleatur_plugins.mariadb.connecting import PATIENCE, STRETCH, Address, Session, Waited, quoted

_SWAP = 4  # seconds; it took 0.5 with four writers on two cores that were busy with ten other programs
PLANNED = (STRETCH + _SWAP) * 1000  # milliseconds
_LAST = 2.0 * PATIENCE  # seconds for the last question to be answered, which waits for one lock
_PAUSE = 0.02  # seconds between two questions


class Watch:
    """Asks for the tables from a connection of its own until it is closed."""

    def __init__(self, address: Address, tables: Iterable[str]) -> None:
        self._questions = [f"SELECT 1 FROM {quoted(table)} LIMIT 0" for table in tables]  # noqa: S608
        self._longest = 0.0
        self._over = Event()
        with ExitStack() as opened:
            self._session = Session(address)
            opened.callback(self._session.close)
            thread = ThreadPoolExecutor(1)
            self._asking = thread.submit(self._ask)
            thread.shutdown(wait=False)
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        wait([self._asking], _LAST)
        self._session.close()

    def milliseconds(self) -> int:
        """Return the longest wait since this was last asked.

        Raises:
            DeleaturError: what ended the measuring.
        """
        if self._asking.done():
            self._asking.result()
        longest, self._longest = self._longest, 0.0
        return int(longest * 1000)

    def _ask(self) -> None:
        while not self._over.wait(_PAUSE):
            for question in self._questions:
                begin = time.monotonic()
                with suppress(Waited):  # that is a wait as well, and the next question goes on with it
                    self._session.rows(question)
                self._longest = max(self._longest, time.monotonic() - begin)
