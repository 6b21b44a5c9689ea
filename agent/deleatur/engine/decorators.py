"""Decorators of backends: what concerns every storage alike is put around it, not into each plugin.

A decorator is a backend around a backend, and itself keeps the contract: it never adds a promise,
never hides an error that it does not know, and never turns "not now" into "not there".
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Self, TypeVar

from deleatur.backend import Backend, Secrets
from deleatur.documents.job import Target
from deleatur.documents.place import Cursor, Inspection, Locator, Step
from deleatur.errors import Transient, Unsupported
from deleatur.holding import Contents
from deleatur.sanitize.pace import Pace

T = TypeVar("T")

LONGEST_DELAY = 60.0  # seconds; longer, and an operator takes waiting for hanging


def retrying(
    backend: Backend, attempts: int, delay: float, *, sleep: Callable[[float], None] = time.sleep
) -> Backend:
    """Ask again when `backend` raises `Transient`, and only then.

    At most `attempts` times in a row without progress, waiting `delay` seconds after the first
    failure and twice as long after each further one, up to `LONGEST_DELAY`. An erase goes on from
    its last cursor. Records come in no promised order, so they are asked for again only as long
    as none has been passed on.
    """
    if attempts < 1 or delay < 0:
        raise ValueError("at least one attempt, and a delay that is not negative")
    return _Retrying(backend, attempts, delay, sleep)


def throttled(backend: Backend, pace: Pace) -> Backend:
    """Let an erase of `backend` advance at the rate of `pace`, on average.

    For what others move, such as a server of a database: counted is what the cursors count, rows a
    second where those are rows. The wait follows a cursor, so what is done is journalled first; one
    unit is never cut in pieces. What is read and written here keeps the pace piece by piece by itself.
    """
    return _Throttled(backend, pace)


def opened_through(backend: type[Backend], decorate: Callable[[Backend], Backend]) -> type[Backend]:
    """Return a class like `backend` whose every open is put through `decorate`.

    That is how a registry hands out decorated backends, as the engine opens by class.
    """

    def open_decorated(_cls: type[Backend], target: Target, secrets: Secrets) -> Backend:
        return decorate(backend.open(target, secrets))

    return type(f"Decorated{backend.__name__}", (backend,), {"open": classmethod(open_decorated)})


class Around(Backend):
    """A backend that passes every call on to the one inside it; the base of all decorators."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:  # noqa: ARG003 - the contract's signature
        """Raise `Unsupported`: a decorator goes around a backend that is open already."""
        raise Unsupported("a decorator opens nothing; open the backend and put the decorator around it")

    def inspect(self) -> Inspection:
        """Pass on."""
        return self.inner.inspect()

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Pass on."""
        return self.inner.sample(count, seed)

    def probe(self, place: Locator) -> bytes | None:
        """Pass on."""
        return self.inner.probe(place)

    def below(self, place: Locator) -> tuple[tuple[int, int], ...]:
        """Pass on."""
        return self.inner.below(place)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Pass on."""
        return self.inner.erase(step, after)

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Pass on."""
        return self.inner.records(table)

    def contents(self) -> Contents:
        """Pass on."""
        return self.inner.contents()

    def bystanders(self) -> Iterator[bytes]:
        """Pass on."""
        return self.inner.bystanders()

    def words(self, values: Sequence[bytes]) -> Iterator[bytes]:
        """Pass on."""
        return self.inner.words(values)

    def words_kept(self) -> Iterator[bytes]:
        """Pass on."""
        return self.inner.words_kept()

    def close(self) -> None:
        """Pass on."""
        self.inner.close()


class _Patience:
    """Counts failures in a row, and waits longer after each."""

    def __init__(self, attempts: int, delay: float, sleep: Callable[[float], None]) -> None:
        self._attempts = attempts
        self._delay = delay
        self._sleep = sleep
        self._failures = 0

    def renew(self) -> None:
        """Start counting anew: there was progress."""
        self._failures = 0

    def wait_or_raise(self, error: Transient) -> None:
        """Wait for the next attempt; raise `error` when there is none left."""
        self._failures += 1
        if self._failures >= self._attempts:
            raise error
        self._sleep(min(self._delay * 2 ** (self._failures - 1), LONGEST_DELAY))


class _Retrying(Around):
    def __init__(self, inner: Backend, attempts: int, delay: float, sleep: Callable[[float], None]) -> None:
        super().__init__(inner)
        self._patience: Callable[[], _Patience] = partial(_Patience, attempts, delay, sleep)

    def inspect(self) -> Inspection:
        return self._asked(self.inner.inspect)

    def probe(self, place: Locator) -> bytes | None:
        return self._asked(lambda: self.inner.probe(place))

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        return self._continued(lambda: self.inner.sample(count, seed))

    def bystanders(self) -> Iterator[bytes]:
        return self._continued(self.inner.bystanders)

    def words(self, values: Sequence[bytes]) -> Iterator[bytes]:
        return self._continued(lambda: self.inner.words(values))

    def words_kept(self) -> Iterator[bytes]:
        return self._continued(self.inner.words_kept)

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        first, rest = self._asked(lambda: _begun(self.inner.records(table)))
        yield from first
        yield from rest

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        patience, last = self._patience(), after
        while True:
            try:
                for cursor in self.inner.erase(step, last):
                    patience.renew()
                    last = cursor
                    yield cursor
            except Transient as error:
                patience.wait_or_raise(error)
            else:
                return

    def _asked(self, question: Callable[[], T]) -> T:
        patience = self._patience()
        while True:
            try:
                return question()
            except Transient as error:
                patience.wait_or_raise(error)

    def _continued(self, start: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Iterate, and after a failure start again behind what was already passed on."""
        patience, passed = self._patience(), 0
        while True:
            try:
                for item in itertools.islice(start(), passed, None):
                    patience.renew()
                    passed += 1
                    yield item
            except Transient as error:
                patience.wait_or_raise(error)
            else:
                return


# Markers, a device's own command, the lifting of hidden sectors: their cursors tell the size of the whole
# device, and this host writes next to nothing of it.
_HARDLY_WRITTEN = frozenset({"marked", "changed", "size"})


class _Throttled(Around):
    def __init__(self, inner: Backend, pace: Pace) -> None:
        super().__init__(inner)
        self._pace = pace

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        if step.compare in _HARDLY_WRITTEN:
            yield from self.inner.erase(step, after)
            return
        start, before = self._pace.clock(), after.done if after else 0
        for cursor in self.inner.erase(step, after):
            yield cursor
            early = (cursor.done - before) / self._pace.rate - (self._pace.clock() - start)
            if early > 0:
                self._pace.wait(early)


def _begun(items: Iterator[T]) -> tuple[list[T], Iterator[T]]:
    """Take the first item, so that a failure to begin shows at once."""
    return list(itertools.islice(items, 1)), items
