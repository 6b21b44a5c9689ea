"""Shred and Sons take orders and give reports through a folder that both sides share.

`orders/ID.json` is what goes in. `done/ID/report.json` is what comes out, with the files that it names
beside it; the folder `done/ID` gets its name when all of it is there. An order's number is its id.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import msgspec

from deleatur.api import CustodyList, DestructionService, Failed, Refused, Report, Transient

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PART = 1 << 20  # bytes


class ShredcoService(DestructionService):
    """The service behind `shredco:///mnt/shredco`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, url: str) -> Self:
        """Find the shared folder."""
        return cls(Path(unquote(urlsplit(url).path)))

    def order(self, custody: CustodyList) -> str:
        """Put the list into `orders`, all at once; one that lies there stays."""
        self._reach()
        content = msgspec.json.encode(custody)
        path = self.folder / "orders" / f"{custody.id}.json"
        temporary = path.with_name(f".{path.name}.new")
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            if path.read_bytes() != content:
                raise Refused(f"{custody.id} was ordered with another list; take another id") from None
        finally:
            temporary.unlink()
        return custody.id

    def report(self, number: str) -> Report | None:
        """Read `report.json`, if the folder of the order is there."""
        self._require(number)
        done = self.folder / "done" / number
        if not done.is_dir():
            return None
        try:
            return msgspec.json.decode((done / "report.json").read_bytes(), type=Report)
        except msgspec.DecodeError:
            raise Failed(f"the report of {number} cannot be read; ask Shred and Sons") from None

    def exhibit(self, number: str, file: str) -> Iterator[bytes]:
        """Yield a file from beside the report."""
        self._require(number)
        if not _NAME.fullmatch(file):
            raise Refused("an exhibit is a file beside the report")
        with (self.folder / "done" / number / file).open("rb") as content:
            while part := content.read(_PART):
                yield part

    def _reach(self) -> None:
        """Take a share that is not mounted for silence, not for an empty one."""
        if not (self.folder / "orders").is_dir():
            raise Transient(f"{self.folder} is not there; mount the share, then try again")

    def _require(self, number: str) -> None:
        self._reach()
        if not _NAME.fullmatch(number) or not (self.folder / "orders" / f"{number}.json").is_file():
            raise Refused("Shred and Sons know no such order")
