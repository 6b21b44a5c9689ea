"""The contract suite of services: every promise of whoever destroys for us, as a pytest class.

    class TestAcme(ServiceContract):
        service = AcmeService

        @pytest.fixture
        def yard(self, tmp_path): ...   # the vendor's end of the line, in a test's hands

One suite for all services, as `BackendContract` is one for all storage. Every promise applies to every
service, so that nothing can be listed as not applicable. Needs pytest.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from deleatur.api import CustodyList, DestructionService, Item, Report
from deleatur.documents.vendors import decode_vendors
from deleatur.engine.services import collect_destruction, order_destruction
from deleatur.errors import Failed, Refused, Transient
from deleatur.testing.destroyed import ORDER, VENDORS
from deleatur.trust.record import look_at_record

__all__ = ["ServiceContract", "Yard"]

ITEMS = (
    Item(serial="ZC1ABC01", carrier="hard-disk", what="disk 1 of the shop's database"),
    Item(serial="S4X7NF0M", carrier="flash", what="disk of the mail server"),
    Item(serial="BOX-1", carrier="paper", what="contracts 2010 to 2014", boxes=3),
)
EVE = datetime(2026, 11, 20, 8, 50, tzinfo=UTC)  # ten minutes before it begins
ERRORS = (Refused, Failed, Transient, OSError)


class Yard(ABC):
    """Where the service destroys, as a test drives it: its books, its machines, its doors."""

    url: str  # by which the service is opened

    @abstractmethod
    def books(self) -> list[CustodyList]:
        """Return the orders that arrived, as the yard has them."""

    @abstractmethod
    def destroy(self, order: str, lost: Sequence[str]) -> Mapping[str, bytes]:
        """Do an order (by the list's id) but for the pieces that were lost; return the files that show it.

        The operator is `op-7`, all on 20 November 2026 between 09:00 and 10:30 UTC.
        """

    @abstractmethod
    def closed(self) -> AbstractContextManager[None]:
        """Let nobody reach the yard for a while."""


class ServiceContract:
    """The promises. A vendor subclasses it, sets `service` and writes the fixture `yard`."""

    service: ClassVar[type[DestructionService]]

    @pytest.fixture
    def yard(self) -> Yard:
        """Return a new yard without orders."""
        raise AssertionError("write the fixture `yard`")

    @contextmanager
    def opened(self, yard: Yard) -> Iterator[DestructionService]:
        """Open the service, and close it."""
        service = self.service.open(yard.url)
        try:
            yield service
        finally:
            service.close()

    def ended(
        self, yard: Yard, order: str = "one", lost: Sequence[str] = ()
    ) -> tuple[str, Mapping[str, bytes]]:
        """Order a list and let it be destroyed; return the number and what shows it."""
        with self.opened(yard) as service:
            number = service.order(custody(order))
        return number, yard.destroy(order, lost)

    # --- the list goes in

    def test_opening_orders_nothing(self, yard: Yard) -> None:
        """To connect is not to order."""
        with self.opened(yard):
            assert yard.books() == []

    def test_the_whole_list_arrives(self, yard: Yard) -> None:
        """Every piece, with all that is said of it, stands in the yard's books."""
        with self.opened(yard) as service:
            assert service.order(custody())
        assert yard.books() == [custody()]

    def test_a_list_that_is_sent_again_is_the_same_order(self, yard: Yard) -> None:
        """Also by another connection: nobody on our side remembers what was sent."""
        with self.opened(yard) as service:
            number = service.order(custody())
        with self.opened(yard) as service:
            assert service.order(custody()) == number
        assert len(yard.books()) == 1

    def test_another_list_under_the_same_id_is_refused(self, yard: Yard) -> None:
        """What was ordered does not change under our hands."""
        with self.opened(yard) as service:
            service.order(custody())
            with pytest.raises(Refused):
                service.order(custody(items=ITEMS[:2]))
        assert yard.books() == [custody()]

    # --- the evidence comes out

    def test_there_is_no_report_before_the_end(self, yard: Yard) -> None:
        """None, not an empty report: it is not done yet."""
        with self.opened(yard) as service:
            assert service.report(service.order(custody())) is None

    def test_an_order_that_the_service_does_not_know_is_an_error(self, yard: Yard) -> None:
        """None would say that it is being worked on."""
        with self.opened(yard) as service:
            number = service.order(custody())
            with pytest.raises(ERRORS):
                service.report(number + "0")

    def test_every_piece_is_accounted_for(self, yard: Yard) -> None:
        """What was lost is missing with a reason, what was destroyed is treated, and nothing is both."""
        number, _ = self.ended(yard, lost=["S4X7NF0M"])
        report = self.reported(yard, number)
        treated = sorted({serial for one in report.treatment for serial in one.serials})
        assert treated == ["BOX-1", "ZC1ABC01"]
        assert [one.serial for one in report.missing] == ["S4X7NF0M"]
        assert all(one.reason for one in report.missing)

    def test_orders_do_not_mix(self, yard: Yard) -> None:
        """Each report is about its own order."""
        number, _ = self.ended(yard, "one", lost=["BOX-1"])
        with self.opened(yard) as service:
            other = service.order(custody("two"))
            assert other != number
            assert service.report(other) is None
        yard.destroy("two", [])
        assert self.reported(yard, other).missing == ()
        assert [one.serial for one in self.reported(yard, number).missing] == ["BOX-1"]

    def test_a_report_stays_what_it_is(self, yard: Yard) -> None:
        """People sign what was fetched once; who fetches it again gets the same."""
        number, shown = self.ended(yard)
        first = self.reported(yard, number)
        files = {name: self.fetched(yard, number, name) for name in shown}
        assert self.reported(yard, number) == first
        assert {name: self.fetched(yard, number, name) for name in shown} == files

    def test_the_evidence_is_what_the_yard_has(self, yard: Yard) -> None:
        """Every file, byte by byte, and no other."""
        number, shown = self.ended(yard)
        assert shown, "a yard that shows nothing tests nothing"
        assert sorted(one.file for one in self.reported(yard, number).evidence) == sorted(shown)
        for name, content in shown.items():
            assert self.fetched(yard, number, name) == content, f"{name} is not what the yard has"

    def test_evidence_that_is_not_there_is_an_error(self, yard: Yard) -> None:
        """An empty file would look like evidence."""
        number, _ = self.ended(yard)
        with pytest.raises(ERRORS):
            self.fetched(yard, number, "no-such-file.jpg")

    def test_silence_is_an_error(self, yard: Yard) -> None:
        """Who cannot be reached has neither taken an order nor ended one."""
        number, shown = self.ended(yard)
        for act in (
            lambda: self._ordered(yard),
            lambda: self.reported(yard, number),
            lambda: self.fetched(yard, number, next(iter(shown))),
        ):
            with yard.closed(), pytest.raises(ERRORS):
                act()

    def test_nothing_stays_open(self, yard: Yard) -> None:
        """Connections and files are released, also after an error."""
        number, shown = self.ended(yard)
        before = _descriptors()
        for _ in range(3):
            self.reported(yard, number)
            self.fetched(yard, number, next(iter(shown)))
            with yard.closed(), pytest.raises(ERRORS):
                self.reported(yard, number)
        assert _descriptors() == before

    # --- both ends together

    def test_what_comes_is_a_record_that_people_can_sign(self, yard: Yard, tmp_path: Path) -> None:
        """The whole way, as the agent goes it: order, wait, collect, and our judge takes it."""
        folder, record = tmp_path / "order", tmp_path / "record"
        write_order(folder, yard.url)
        order_destruction(folder, self._services, lambda: EVE)
        with pytest.raises(Transient):
            collect_destruction(folder, record, self._services)
        shown = yard.destroy("yard-2026-11-20", ["S4X7NF0M"])
        collect_destruction(folder, record, self._services)
        looked = look_at_record(record, "2026-11-20T12:00:00Z")
        assert looked.statement.predicate.state == "attested-with-exceptions"
        assert {p.name: p.read_bytes() for p in (record / "evidence").iterdir()} == shown

    def reported(self, yard: Yard, number: str) -> Report:
        """Return the report of an order that is done."""
        with self.opened(yard) as service:
            report = service.report(number)
        assert report is not None, "it is done, and the service says that it is not"
        return report

    def fetched(self, yard: Yard, number: str, file: str) -> bytes:
        """Return one file of the evidence."""
        with self.opened(yard) as service:
            return b"".join(service.exhibit(number, file))

    def _ordered(self, yard: Yard) -> str:
        with self.opened(yard) as service:
            return service.order(custody("later"))

    def _services(self, _scheme: str) -> type[DestructionService]:
        return self.service


def custody(order: str = "one", items: tuple[Item, ...] = ITEMS) -> CustodyList:
    """Return a list of a disk, a stick and a box of paper."""
    return CustodyList(id=order, authority="plan of closing, part 7", vendor="shredco", items=items)


def write_order(folder: Path, url: str) -> None:
    """Write the folder of an order to a vendor with a service: the record of `destroyed`, before its end."""
    folder.mkdir()
    (folder / "order.toml").write_text(ORDER, "utf-8")
    vendors = VENDORS.replace('id = "shredco"\n', f'id = "shredco"\nservice = "{url}"\n')
    decode_vendors(vendors.encode())
    (folder / "vendors.toml").write_text(vendors, "utf-8")


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
