"""Shred and Sons keep the contract of deleatur."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from deleatur_shredco.service import ShredcoService

from deleatur.api import CustodyList, Failed, Refused
from deleatur.testing.service_contract import ServiceContract, Yard, custody
from deleatur.testing.service_memory import report_of


class Share(Yard):
    """The shared folder, from the side of Shred and Sons."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"shredco://{folder}"
        for name in ("orders", "done"):
            (folder / name).mkdir(parents=True)

    def books(self) -> list[CustodyList]:
        """Return the lists that lie in `orders`."""
        return [
            msgspec.json.decode(path.read_bytes(), type=CustodyList)
            for path in sorted((self.folder / "orders").iterdir())
        ]

    def destroy(self, order: str, lost: Sequence[str]) -> Mapping[str, bytes]:
        """Write the report and its files, then give the folder its name."""
        shown = {"hall.mp4": f"a video of {order}".encode() * 999, "serials.jpg": b"a photo"}
        content = (self.folder / "orders" / f"{order}.json").read_bytes()
        report = report_of(msgspec.json.decode(content, type=CustodyList), lost)
        working = self.folder / "done" / f".{order}"
        working.mkdir()
        for name, file in {**shown, "report.json": msgspec.json.encode(report)}.items():
            (working / name).write_bytes(file)
        working.rename(self.folder / "done" / order)
        return shown

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Unmount the share."""
        self.folder.rename(self.folder.with_name("away"))
        yield
        self.folder.with_name("away").rename(self.folder)


class TestShredco(ServiceContract):
    """Every promise."""

    service = ShredcoService

    @pytest.fixture
    def yard(self, tmp_path: Path) -> Share:
        """Make a share."""
        return Share(tmp_path / "share")


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return Share(tmp_path / "share")


@pytest.mark.parametrize("name", ["../../orders/one.json", "/etc/hostname", ".."])
def test_no_name_leads_out_of_the_order(share: Share, name: str) -> None:
    service = ShredcoService.open(share.url)
    number = service.order(custody())
    share.destroy("one", [])
    with pytest.raises(Refused):
        list(service.exhibit(number, name))
    with pytest.raises(Refused):
        service.report(name)


def test_a_report_that_is_none_is_an_error(share: Share) -> None:
    service = ShredcoService.open(share.url)
    number = service.order(custody())
    share.destroy("one", [])
    (share.folder / "done" / "one" / "report.json").write_bytes(b"{}")
    with pytest.raises(Failed, match="cannot be read"):
        service.report(number)
