"""An honest service without a yard, and the suite of it: what rogues are made from."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar, Self

import pytest

from deleatur.api import (
    CustodyList,
    DestructionService,
    Exhibit,
    Missing,
    Refused,
    Report,
    Transient,
    Treatment,
)
from deleatur.documents.carriers import Technique
from deleatur.testing.service_contract import ServiceContract, Yard

WAYS: dict[str, tuple[Technique, str, str]] = {  # technique, level and particles in mm², by carrier
    "hard-disk": ("shred", "H-5", "300"),
    "flash": ("disintegrate", "E-5", "9.5"),
    "paper": ("incinerate", "", ""),
}


class MemoryYard(Yard):
    """A yard in this process, with its books and what it can show."""

    yards: ClassVar[dict[str, "MemoryYard"]] = {}

    def __init__(self) -> None:
        self.url = f"yard:{len(self.yards)}"
        self.yards[self.url] = self
        self.orders: dict[str, CustodyList] = {}  # by number
        self.reports: dict[str, Report] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.open = True

    def books(self) -> list[CustodyList]:
        """Return all orders."""
        return [*self.orders.values()]

    def destroy(self, order: str, lost: Sequence[str]) -> Mapping[str, bytes]:
        """Treat each piece by the way of its carrier."""
        number = next(n for n, custody in self.orders.items() if custody.id == order)
        self.files[number] = {"hall.mp4": b"a video of " + order.encode() * 99, "serials.jpg": b"a photo"}
        self.reports[number] = report_of(self.orders[number], lost)
        return self.files[number]

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Answer nobody."""
        self.open = False
        yield
        self.open = True


def report_of(custody: CustodyList, lost: Sequence[str]) -> Report:
    """Return what a yard reports that lost some pieces and destroyed all others."""
    done = [item for item in custody.items if item.serial not in lost]
    ways = {WAYS[item.carrier]: [i.serial for i in done if i.carrier == item.carrier] for item in done}
    return Report(
        started="2026-11-20T09:00:00Z",
        ended="2026-11-20T10:30:00Z",
        place="hall 2",
        operator="op-7",
        treatment=tuple(
            Treatment(technique=way, level=level, particle=size, serials=tuple(serials), machine="m-1")
            for (way, level, size), serials in ways.items()
        ),
        evidence=(Exhibit(file="hall.mp4", kind="video"), Exhibit(file="serials.jpg", kind="photo")),
        missing=tuple(Missing(serial=serial, reason="lost on the way") for serial in lost),
    )


class MemoryService(DestructionService):
    """Keeps every promise, of a yard in this process."""

    def __init__(self, yard: MemoryYard) -> None:
        self.yard = yard

    @classmethod
    def open(cls, url: str) -> Self:
        """Find the yard."""
        return cls(MemoryYard.yards[url])

    def order(self, custody: CustodyList) -> str:
        """Enter the list under the next number."""
        self.reach()
        for number, known in self.yard.orders.items():
            if known.id == custody.id:
                if known != custody:
                    raise Refused(f"the order {custody.id} is another list; give the new one another id")
                return number
        number = f"A-{len(self.yard.orders)}"
        self.yard.orders[number] = custody
        return number

    def report(self, number: str) -> Report | None:
        """Return what the yard reports."""
        self.require(number)
        return self.yard.reports.get(number)

    def exhibit(self, number: str, file: str) -> Iterator[bytes]:
        """Yield a file in parts of ten bytes."""
        self.require(number)
        try:
            content = self.yard.files[number][file]
        except KeyError:
            raise Refused(f"the yard has no {file}") from None
        for start in range(0, len(content), 10):
            yield content[start : start + 10]

    def reach(self) -> None:
        """Refuse to guess what a closed yard would say."""
        if not self.yard.open:
            raise Transient("the yard does not answer; try again later")

    def require(self, number: str) -> None:
        """Refuse a number that the yard never gave."""
        self.reach()
        if number not in self.yard.orders:
            raise Refused(f"the yard knows no order {number}")


class MemoryServiceContract(ServiceContract):
    """The suite of the service in this process; its name keeps pytest from running it here."""

    service = MemoryService

    @pytest.fixture
    def yard(self) -> Yard:
        """Return a new yard."""
        return MemoryYard()
