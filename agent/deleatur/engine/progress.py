"""Tell how far a long reading is: rows for an archive, values before and after an erase."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from deleatur.documents.place import Unit

Progress = Callable[[str, str, int, int], None]  # phase, target, done, total (0: not known)
T = TypeVar("T")
_EVERY = 1000  # items between two calls


def told(items: Iterable[T], progress: Progress, phase: str, target: str, total: int) -> Iterator[T]:
    """Yield the items and tell how many there were."""
    done = 0
    for done, item in enumerate(items, start=1):
        if done % _EVERY == 0:
            progress(phase, target, done, total)
        yield item
    progress(phase, target, done, done)


class ToldTables:
    """The tables that one package archives: read once to learn what must not be in it, then to write it."""

    def __init__(self, progress: Progress, units: Iterable[Unit], package: str, names: Iterable[str]) -> None:
        self._progress = progress
        self._package = package
        rows = {unit.name.removeprefix("table "): unit.size for unit in units}
        known = [rows.get(name, 0) for name in names]
        self._total = sum(known) if all(known) else 0  # of those that are erased, so nearly of those kept
        self._done: Counter[str] = Counter()
        self._readings: Counter[str] = Counter()

    def around(
        self, tables: Mapping[str, Callable[[], Iterator[dict[str, Any]]]]
    ) -> dict[str, Callable[[], Iterator[dict[str, Any]]]]:
        """Return the same tables, told as they are read."""
        return {name: partial(self._read, name, records) for name, records in tables.items()}

    def _read(self, name: str, records: Callable[[], Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
        self._readings[name] += 1
        phase = "learn" if self._readings[name] == 1 else "archive"
        before, number = self._done[phase], 0
        for number, record in enumerate(records(), start=1):
            if number % _EVERY == 0:
                self._progress(phase, self._package, before + number, self._total)
            yield record
        self._done[phase] += number
        self._progress(phase, self._package, self._done[phase], self._total)
