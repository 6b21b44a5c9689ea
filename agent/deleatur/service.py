"""The one joint between deleatur and whoever destroys for us: custody list in, evidence out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Self

from deleatur.documents.destruction import Exhibit, Item, Missing, Treatment
from deleatur.documents.place import Frozen, Moment, Name, Text


class CustodyList(Frozen, frozen=True):
    """What goes in: the pieces that were handed over to be destroyed."""

    id: Name  # of the record: the same list, sent again, is the same order
    authority: Text  # under which order or law
    vendor: Name  # as our register calls them
    items: tuple[Item, ...]


class Report(Frozen, frozen=True):
    """What comes out: what was done to each piece, and the files that show it."""

    started: Moment
    ended: Moment
    place: Text
    operator: Name  # a pseudonym that stands in our register
    treatment: tuple[Treatment, ...]
    evidence: tuple[Exhibit, ...]
    missing: tuple[Missing, ...] = ()  # handed over and not destroyed, and why


class DestructionService(ABC):
    """A vendor who destroys, selected by the scheme of the `service` in the register of vendors.

    A service carries lists and evidence and tells the truth about them. It never judges whether pieces are
    accounted for, never signs, never asks the user. It may raise `Refused`, `Unsupported`, `Failed` and
    `Transient`; `OSError` is taken as a failure of input or output; any other exception is a defect.
    """

    api: ClassVar[int] = 1  # version of this contract that the service follows

    @classmethod
    @abstractmethod
    def open(cls, url: str) -> Self:
        """Connect to the service at `url` and order nothing."""

    @abstractmethod
    def order(self, custody: CustodyList) -> str:
        """Place the order for a whole list, and return the service's number for it.

        A list that was ordered before gives the same number and no second order: nothing else
        remembers what was sent. Raises `Refused` for another list under an id that is taken.
        """

    @abstractmethod
    def report(self, number: str) -> Report | None:
        """Return what was done, when all of it is done, and the same ever after.

        None only if the service itself says that the order is not done yet; an order that it does not
        know, "access denied", a time-out or any other way of not knowing is an error, never None. A piece
        that was lost is `missing`; what the service says of no piece is left out, not invented.
        """

    @abstractmethod
    def exhibit(self, number: str, file: str) -> Iterator[bytes]:
        """Yield the bytes of one file of the report's evidence, to its end or with an error."""

    def close(self) -> None:  # noqa: B027 - optional on purpose
        """Release what `open` took. Called once, also after an error."""
