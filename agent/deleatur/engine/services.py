"""Let a vendor's service destroy: send it the custody list, and fetch the evidence into a record.

Rules: nothing is sent to a vendor whom the register does not bear today; no state is kept here, for the
same order sent again is the same order; a record appears whole or not at all, and people sign it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deleatur.documents.codec import MAX_JOB
from deleatur.documents.destruction import Destruction, decode_destruction
from deleatur.documents.order import Order, decode_order
from deleatur.documents.toml import encode_toml
from deleatur.documents.vendors import Vendor, Vendors, decode_vendors
from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import sync_directory
from deleatur.engine.reading import decoding, read_plain
from deleatur.engine.registry import loaded, scheme_of
from deleatur.errors import DeleaturError, Failed, Malformed, Refused, Transient
from deleatur.judge.destruction import require_orderable
from deleatur.service import CustodyList, DestructionService, Report
from deleatur.trust.record import DESTRUCTION, VENDORS

GROUP = "deleatur.services"
ORDER = "order.toml"
MAX_NUMBER = 200  # characters
MAX_EXHIBIT = 16 << 30  # bytes: eight hours of video at 4 Mbit/s
Services = Callable[[str], type[DestructionService]]  # by the scheme of a URL


@dataclass(frozen=True)
class Asked:
    """An order as its folder has it."""

    order: Order
    vendor: Vendor
    vendors: bytes  # the register, as it stood

    @property
    def custody(self) -> CustodyList:
        """What is sent."""
        asked = self.order
        return CustodyList(id=asked.id, authority=asked.authority, vendor=asked.by, items=asked.item)


def service_class(scheme: str, trusted: tuple[str, ...]) -> type[DestructionService]:
    """Load the service of a scheme, if its distribution is trusted.

    Raises:
        Unsupported: nobody claims the scheme, or it follows another contract.
        Refused: two claim it, or its distribution is not trusted or was altered.
    """
    return loaded(GROUP, scheme, trusted, DestructionService)[0]  # type: ignore[type-abstract]


def order_destruction(folder: Path, services: Services, clock: Clock) -> str:
    """Send the custody list of `order.toml`, and return the service's number; twice is once.

    Raises:
        Refused: the register does not bear this vendor today, or the service refuses.
        Malformed: one of the two documents does not follow its specification.
        Transient, Failed: the service could not be asked.
    """
    asked = _asked(folder)
    require_orderable(asked.order, _register(asked.vendors), f"{clock():%Y-%m-%d}")
    with _opened(asked.vendor, services) as service:
        return _number(service, asked)


def collect_destruction(folder: Path, record: Path, services: Services) -> None:
    """Fetch what the service reports of an order, with all its evidence, into a new record to be signed.

    Raises:
        Transient: the service says that it is not done yet.
        Refused: the record is there already, or the service refuses.
        Malformed: what came is no record of a destruction.
        Failed: the service could not be asked, or gave an exhibit without an end.
    """
    if os.path.lexists(record):
        raise Refused(f"{record} is there already; choose another name, nothing is overwritten")
    asked = _asked(folder)
    with _opened(asked.vendor, services) as service:
        number = _number(service, asked)
        report = service.report(number)
        if report is None:
            raise Transient(f"{asked.vendor.id} has not ended the order {asked.order.id} yet; ask later")
        told = _record(asked.order, report)
        temporary = record.with_name(f".{record.name}.new")
        if os.path.lexists(temporary):
            shutil.rmtree(temporary)  # of an attempt that was killed; refuses a symbolic link
        (temporary / "evidence").mkdir(mode=0o700, parents=True)
        try:
            _write(temporary / DESTRUCTION, iter([told]))
            _write(temporary / VENDORS, iter([asked.vendors]))
            for shown in report.evidence:
                _write(temporary / "evidence" / shown.file, service.exhibit(number, shown.file))
            sync_directory(temporary / "evidence")
            sync_directory(temporary)
            temporary.rename(record)
        finally:
            if os.path.lexists(temporary):
                shutil.rmtree(temporary)
    sync_directory(record.parent)


def _number(service: DestructionService, asked: Asked) -> str:
    """Order, and return a number that can be shown."""
    number = service.order(asked.custody)
    if not (isinstance(number, str) and 0 < len(number) <= MAX_NUMBER and number.isprintable()):
        raise Failed(
            f"the service of {asked.vendor.id} gives an order a number that cannot be shown; report it"
        )
    return number


def _asked(folder: Path) -> Asked:
    contents = {name: _read(folder / name) for name in (ORDER, VENDORS)}
    with decoding(ORDER):
        order = decode_order(contents[ORDER])
    vendor = next((v for v in _register(contents[VENDORS]).vendor if v.id == order.by), None)
    if vendor is None or vendor.service is None:
        raise Refused(f"{VENDORS} names no service of {order.by}; write the record by hand")
    return Asked(order, vendor, contents[VENDORS])


def _register(content: bytes) -> Vendors:
    with decoding(VENDORS):
        return decode_vendors(content)


def _read(path: Path) -> bytes:
    try:
        return read_plain(path, MAX_JOB)
    except FileNotFoundError:
        raise Refused(f"there is no {path.name} in {path.parent}; see docs/spec/order.md") from None


@contextmanager
def _opened(vendor: Vendor, services: Services) -> Iterator[DestructionService]:
    """Open the service of a vendor; whatever breaks in it is told in one line, without its message."""
    url = vendor.service or ""
    kind = services(scheme_of(url))
    try:
        service = kind.open(url)
        try:
            yield service
        finally:
            service.close()
    except DeleaturError:
        raise
    except OSError as error:
        raise Failed(f"the service of {vendor.id}: {error.strerror}; mend that and try again") from None
    except Exception as error:  # noqa: BLE001 - a defect of a plugin must not reach the user raw
        raise Failed(f"the service of {vendor.id} broke with {type(error).__name__}; report it") from None


def _record(order: Order, report: Report) -> bytes:
    """Return destruction.toml: what was ordered, and what is reported of it, decoded again strictly."""
    record = Destruction(
        schema="deleatur/destruction/v1",
        id=order.id,
        authority=order.authority,
        started=report.started,
        ended=report.ended,
        place=report.place,
        by=order.by,
        operator=report.operator,
        item=order.item,
        handover=order.handover,
        treatment=report.treatment,
        evidence=report.evidence,
        witness=order.witness,
        missing=report.missing,
        job=order.job,
        keep_years=order.keep_years,
    )
    try:
        content = encode_toml(record).encode()
        if decode_destruction(content) != record:
            raise Malformed("it cannot be written as it was told", kind="contradiction", where="$")
    except Malformed as error:
        raise Malformed(f"what came is no record: {error.what}", kind=error.kind, where=error.where) from None
    return content


def _write(path: Path, parts: Iterator[bytes]) -> None:
    left = MAX_EXHIBIT
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for part in parts:
            left -= len(part)
            if left < 0:
                raise Failed(f"an exhibit has more than {MAX_EXHIBIT} bytes; ask for a shorter one")
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
