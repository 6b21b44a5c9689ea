"""The contract suite on the memory backend: the shortest complete example of a vendor's test.

The rogues run it too: each is a memory backend that breaks one promise. Needs pytest.
"""

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deleatur.api import Condition, HeldRows, Selection, Target
from deleatur.documents.job import ArchivedTable, Rule
from deleatur.testing.contract import BackendContract, MakeTarget, Planted, Raw
from deleatur.testing.memory import MemoryBackend, Store, memory_url

KEEP = Rule(rule="keep")
SHELVES = {
    "customers": [b"canary-one " * 9, b"canary-two", b"canary-three " * 5, b"canary-held"],
    "orders": [b"neighbour-one " * 4, b"neighbour-two"],
}


class MemoryContract(BackendContract):
    """Three boxes of a shelf go; one that is held, and another shelf, stay."""

    backend = MemoryBackend

    @pytest.fixture
    def make_target(self, tmp_path: Path) -> MakeTarget:
        """Plant a store in a folder of its own at each call."""
        numbers = itertools.count(1)

        def plant() -> Planted:
            store = Store.create(tmp_path / f"store-{next(numbers)}", SHELVES)
            return Planted(
                target=Target(
                    id="store",
                    url=memory_url(store.folder),
                    select=(Selection(table="customers"),),
                    hold=(
                        HeldRows(
                            id="claim",
                            reason="a claim is open",
                            table="customers",
                            where=(Condition(column="number", operator="=", value=4),),
                        ),
                    ),
                    archive=(ArchivedTable(table="orders", columns={"number": KEEP, "content": KEEP}),),
                ),
                secrets={"digest-key": bytes(32)},
                canaries=(b"canary-one canary-one", b"canary-two", b"canary-three"),
                kept=(b"canary-held", b"neighbour-one", b"neighbour-two"),
                bystanders=lambda: b"".join(
                    store.read(box, 0, box.length) for box in store.index().boxes if box.number > 3
                ),
                records={
                    "orders": [
                        {"number": 5, "content": "neighbour-one " * 4},
                        {"number": 6, "content": "neighbour-two"},
                    ]
                },
            )

        return plant

    @pytest.fixture
    def raw(self) -> Raw:
        """Read every file of the store's folder."""
        return lambda planted: _store(planted).raw()

    def replace(self, planted: Planted) -> None:
        """Remove the store and make another one with the same content in the same folder."""
        folder = _store(planted).folder
        shutil.rmtree(folder)
        Store.create(folder, SHELVES)

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Put a folder in the place of the heap: reading it is an error, also for root."""
        heap = _store(planted).folder / "heap"
        heap.rename(heap.with_name("away"))
        heap.mkdir()
        yield
        heap.rmdir()
        heap.with_name("away").rename(heap)


def _store(planted: Planted) -> Store:
    return MemoryBackend.open(planted.target, planted.secrets).store
