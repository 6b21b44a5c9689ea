"""Keep the distinct ones of many keys: memory grows with what is distinct, not with what was added."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deleatur.archive.memory import give_back_memory

if TYPE_CHECKING:
    import numpy.typing as npt

    Columns = tuple[npt.NDArray[Any], ...]

_SHARDS = 64  # by the first bits of a key: one shard at a time is sorted, so that little is held twice
_BORDERS = np.arange(1, _SHARDS, dtype=np.uint64) << np.uint64(64 - _SHARDS.bit_length() + 1)
_AT_ONCE = 8  # shards whose memory is given back together
_WAITING = 1 << 20  # rows that wait at least before they are merged


class Distinct:
    """Rows of columns, of which the first ones are the key; of equal keys the row that came first stays.

    The first column is of 64 bits, and its values should be spread evenly.
    """

    def __init__(self, *types: Any, keys: int = 1) -> None:
        self._keys = keys
        self._shards: list[Columns] = [tuple(np.zeros(0, one) for one in types)] * _SHARDS
        self._waiting: list[Columns] = []
        self._kept = self._added = 0  # rows in the shards, and rows that wait

    def add(self, *columns: "npt.NDArray[Any]") -> None:
        """Take in rows, given as one array a column."""
        some = self._distinct([columns])
        self._waiting.append(some)
        self._added += some[0].size
        if self._added > max(_WAITING, self._kept // 4):
            self._merge()

    def __len__(self) -> int:
        """Return how many there are."""
        self._merge()
        return self._kept

    def shards(self) -> "Iterator[Columns]":
        """Yield the rows, sorted by their key, shard by shard; a key stands in the same shard everywhere."""
        self._merge()
        yield from self._shards

    def drain(self) -> "Iterator[Columns]":
        """Yield what `shards` does, and forget it on the way; the memory of many goes back to the system."""
        self._merge()
        many, self._kept = self._kept > _WAITING, 0
        for number, shard in enumerate(self._shards):
            if many and number % _AT_ONCE == 0:
                give_back_memory()  # of those that were taken out before
            self._shards[number] = tuple(column[:0].copy() for column in shard)
            yield shard

    def _merge(self) -> None:
        if not self._waiting:
            return
        cuts = [np.searchsorted(columns[0], _BORDERS) for columns in self._waiting]
        ends = [columns[0].size for columns in self._waiting]
        edges = [[0, *cut.tolist(), end] for cut, end in zip(cuts, ends, strict=True)]
        for number, shard in enumerate(self._shards):
            new = [
                tuple(column[edge[number] : edge[number + 1]] for column in columns)
                for edge, columns in zip(edges, self._waiting, strict=True)
            ]
            self._shards[number] = self._distinct([shard, *new])
        self._waiting, self._added = [], 0
        self._kept = sum(shard[0].size for shard in self._shards)

    def _distinct(self, parts: "Sequence[Columns]") -> "Columns":
        """Sort rows by their key and leave out those whose key came before."""
        columns = [np.concatenate(same) for same in zip(*parts, strict=True)]
        order = np.lexsort(columns[: self._keys][::-1])  # stable
        columns = [column[order] for column in columns]
        new = np.ones(order.size, bool)
        new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in columns[: self._keys]])
        return tuple(column[new] for column in columns)
