"""A backend that fails, or dies, at the n-th call of one of its verbs: faults that any storage can have."""

import itertools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, Literal, NoReturn, TypeVar

from deleatur.backend import Backend
from deleatur.documents.place import Cursor, Inspection, Locator, Step
from deleatur.engine.decorators import Around, opened_through

T = TypeVar("T")
Verb = Literal["inspect", "sample", "probe", "erase", "records", "bystanders"]


def faulty(backend: type[Backend], verb: Verb, n: int, fault: Callable[[], object]) -> type[Backend]:
    """Return a class like `backend` that calls `fault` in place of its `n`-th call (from 1) of `verb`.

    Counted over all instances. Each `next()` of an iterator that `verb` returned counts as a call:
    `faulty(FileBackend, "erase", 3, raising(Transient("busy; try again")))` fails on the way to the
    third cursor. Every other call passes through.
    """
    count = itertools.count(1)

    def met() -> None:
        if next(count) == n:
            fault()

    return opened_through(backend, lambda inner: _Faulty(inner, verb, met))


def raising(error: Exception) -> Callable[[], NoReturn]:
    """Return a fault that raises `error`, such as `OSError(errno.EIO, "…")` or `Transient("…")`."""

    def fault() -> NoReturn:
        raise error

    return fault


def dying() -> NoReturn:
    """Kill this process as a power switch would: a fault for a forked child."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL cannot be survived")


class _Faulty(Around):
    def __init__(self, inner: Backend, verb: Verb, met: Callable[[], None]) -> None:
        super().__init__(inner)
        self._met = {verb: met}

    def inspect(self) -> Inspection:
        self._meet("inspect")
        return self.inner.inspect()

    def probe(self, place: Locator) -> bytes | None:
        self._meet("probe")
        return self.inner.probe(place)

    def below(self, place: Locator) -> tuple[tuple[int, int], ...]:
        return self.inner.below(place)

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        return self._meeting("sample", self.inner.sample(count, seed))

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        return self._meeting("erase", self.inner.erase(step, after))

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        return self._meeting("records", self.inner.records(table))

    def bystanders(self) -> Iterator[bytes]:
        return self._meeting("bystanders", self.inner.bystanders())

    def _meet(self, verb: Verb) -> None:
        self._met.get(verb, lambda: None)()

    def _meeting(self, verb: Verb, items: Iterator[T]) -> Iterator[T]:
        while True:
            self._meet(verb)
            try:
                item = next(items)
            except StopIteration:
                return
            yield item
