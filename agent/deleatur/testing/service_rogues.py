"""Services that break one promise each: the contract suite must catch every one of them."""

import os
from collections.abc import Iterator
from typing import Self

from msgspec.structs import replace

from deleatur.api import CustodyList, Report
from deleatur.testing.service_memory import MemoryService, report_of


class OrdersAtOnce(MemoryService):
    """Places an order when it is opened."""

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect, and order."""
        opened = super().open(url)
        opened.yard.orders["A-x"] = CustodyList(id="x", authority="none", vendor="shredco", items=())
        return opened


class Shortens(MemoryService):
    """Leaves out the last piece of each list."""

    def order(self, custody: CustodyList) -> str:
        """Order less."""
        return super().order(replace(custody, items=custody.items[:-1]))


class OrdersAgain(MemoryService):
    """Takes each call for a new order."""

    def order(self, custody: CustodyList) -> str:
        """Order once more."""
        self.reach()
        number = f"A-{len(self.yard.orders)}"
        self.yard.orders[number] = custody
        return number


class TakesAnything(MemoryService):
    """Goes by the id alone, whatever the list is now."""

    def order(self, custody: CustodyList) -> str:
        """Find the id."""
        self.reach()
        for number, known in self.yard.orders.items():
            if known.id == custody.id:
                return number
        return super().order(custody)


class ReportsEarly(MemoryService):
    """Reports an order before anything was done."""

    def report(self, number: str) -> Report | None:
        """Say what will be."""
        return super().report(number) or report_of(self.yard.orders[number], [])


class NeverHeard(MemoryService):
    """Says of orders that it does not know that they are not done yet."""

    def report(self, number: str) -> Report | None:
        """Say None."""
        self.reach()
        return self.yard.reports.get(number)


class Conceals(MemoryService):
    """Says nothing of the pieces that were lost."""

    def report(self, number: str) -> Report | None:
        """Leave them out."""
        told = super().report(number)
        return told and replace(told, missing=())


class Claims(MemoryService):
    """Reports every piece as destroyed, the lost ones too."""

    def report(self, number: str) -> Report | None:
        """Claim all."""
        told = super().report(number)
        return told and replace(report_of(self.yard.orders[number], []), missing=told.missing)


class Mixes(MemoryService):
    """Answers with the newest report, whatever was asked."""

    def report(self, number: str) -> Report | None:
        """Take the last."""
        self.require(number)
        return next(reversed(self.yard.reports.values()), None)


class Changes(MemoryService):
    """Reports another end at each call."""

    seconds = 0

    def report(self, number: str) -> Report | None:
        """Go on by a second."""
        told = super().report(number)
        Changes.seconds = (Changes.seconds + 1) % 60
        return told and replace(told, ended=f"2026-11-20T10:30:{self.seconds:02}Z")


class CutsShort(MemoryService):
    """Gives the first part of a file for the whole."""

    def exhibit(self, number: str, file: str) -> Iterator[bytes]:
        """Stop early."""
        yield next(iter(super().exhibit(number, file)))


class Invents(MemoryService):
    """Gives an empty file for one that is not there."""

    def exhibit(self, number: str, file: str) -> Iterator[bytes]:
        """Yield nothing."""
        self.reach()
        return super().exhibit(number, file) if file in self.yard.files[number] else iter(())


class TakesSilenceForNo(MemoryService):
    """Says "not done yet" when nobody answers."""

    def report(self, number: str) -> Report | None:
        """Say None."""
        return super().report(number) if self.yard.open else None


class Leaks(MemoryService):
    """Leaves a descriptor open each time."""

    @classmethod
    def open(cls, url: str) -> Self:
        """Open one more."""
        opened = super().open(url)
        opened.left = os.dup(0)  # type: ignore[attr-defined]
        LEFT.append(opened.left)  # type: ignore[attr-defined]
        return opened


class NamesNobody(MemoryService):
    """Reports an operator whom no register knows."""

    def report(self, number: str) -> Report | None:
        """Name another."""
        told = super().report(number)
        return told and replace(told, operator="somebody")


LEFT: list[int] = []  # for the test that runs the rogue to close

BREAKS: dict[type[MemoryService], str] = {
    OrdersAtOnce: "test_opening_orders_nothing",
    Shortens: "test_the_whole_list_arrives",
    OrdersAgain: "test_a_list_that_is_sent_again_is_the_same_order",
    TakesAnything: "test_another_list_under_the_same_id_is_refused",
    ReportsEarly: "test_there_is_no_report_before_the_end",
    NeverHeard: "test_an_order_that_the_service_does_not_know_is_an_error",
    Conceals: "test_every_piece_is_accounted_for",
    Claims: "test_every_piece_is_accounted_for",
    Mixes: "test_orders_do_not_mix",
    Changes: "test_a_report_stays_what_it_is",
    CutsShort: "test_the_evidence_is_what_the_yard_has",
    Invents: "test_evidence_that_is_not_there_is_an_error",
    TakesSilenceForNo: "test_silence_is_an_error",
    Leaks: "test_nothing_stays_open",
    NamesNobody: "test_what_comes_is_a_record_that_people_can_sign",
}
