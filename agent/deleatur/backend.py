"""The one joint between deleatur and storage: what a backend must do."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

from deleatur.documents.job import Target
from deleatur.documents.place import Cursor, Inspection, Locator, Step
from deleatur.errors import Unsupported
from deleatur.holding import Contents

Secrets = Mapping[
    str, bytes
]  # "digest-key": 32 bytes of this job; "values:PATH": an operator's file; "approved-…": of the plan


class Backend(ABC):
    """One kind of storage, selected by the scheme of a target's URL.

    A backend moves bytes and tells the truth about them. It never judges, never writes the
    journal, never asks the user, never falls back to another technique. It may raise `Refused`
    (`Gone` when the storage itself says that the target is not there), `Unsupported` and
    `Transient`; `OSError` is taken as an I/O failure; any other exception is a defect of the
    backend. All of them end the run, and the job stays resumable.
    """

    api: ClassVar[int] = 1  # version of this contract that the backend follows

    @classmethod
    @abstractmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Connect to `target` and change nothing."""

    @abstractmethod
    def inspect(self) -> Inspection:
        """Say what is there: identity, units, techniques allowed now, surfaces, blockers.

        Changes nothing. The identity stays the same through the whole job, also when half of the
        target is erased; units are those that are still there. Raises `Gone` when nothing is.
        """

    @abstractmethod
    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name at most `count` places that hold data now (None: all); `seed` fixes which.

        Places name only what the target's selection covers. For the same content and seed the
        answer is the same. Nothing left: an empty iterator.
        """

    @abstractmethod
    def probe(self, place: Locator) -> bytes | None:
        """Return what can still be read at `place`.

        None only if the storage itself says that nothing is there; "access denied", a time-out
        or any other way of not knowing is an error, never None.
        """

    def below(self, place: Locator) -> tuple[tuple[int, int], ...]:  # noqa: ARG002 - who can tell uses it
        """Say where the bytes of `place` lie on the block device of the surfaces; (): it is not known.

        Ranges (first byte, byte after the last) in the order of the bytes, `place.length` in all. The
        core reads them there itself, beside the file system.
        """
        return ()

    @abstractmethod
    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do the step's action on what lies after `after`; yield a cursor for each durable unit.

        Yielding `c` promises that everything up to `c` is done and flushed. The core may stop at
        any yield and call again, in another process, with the last cursor it journalled (None if
        there is none): doing work twice must be harmless, skipping work must not occur. Nothing
        may change before the first `next()`.
        """

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the records of `table` that the target's archive keeps, column by column."""
        raise Unsupported(f"{type(self).__name__} holds no records of {table!r} to archive")

    def contents(self) -> Contents:
        """Show all that the store holds, whatever the target selects, for a data map.

        Changes nothing. What is there and cannot be read is shown as `NotRead`, never left out.
        """
        raise Unsupported(f"{type(self).__name__} cannot show what it holds; declare the place instead")

    def bystanders(self) -> Iterator[bytes]:
        """Yield, in a fixed order, the bytes of everything inside the target that must stay.

        The core digests them before and after, and drops needles that also stand in them. A
        target that goes as a whole has none.
        """
        return iter(())

    def words(self, values: Sequence[bytes]) -> Iterator[bytes]:  # noqa: ARG002 - who can tell uses it
        """Yield the words of these values that indexes of words in the store hold now, in a fixed order.

        As they store them, for a store that divides and folds texts by rules of its own. The core looks for
        those words that nothing has that must stay, in the store's own files, where a surface names the
        decoder `full-text`.
        """
        return iter(())

    def words_kept(self) -> Iterator[bytes]:
        """Yield all words of what must stay, as the same indexes store them, in a fixed order."""
        return iter(())

    def close(self) -> None:  # noqa: B027 - optional on purpose
        """Release what `open` took. Called once, also after an error."""
