"""How far quasi-identifiers still single somebody out: what is counted, and what must give way. Pure.

Groups are counted, never shown: a report has sizes and column names, no value of a record. NULL is a
value like another. Quasi-identifiers, k and l are meant as in ISO/IEC 20889 and GB/T 37964-2019.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from deleatur.desensitize.arrow import arrow, kind_of
from deleatur.errors import Refused

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Numbers = npt.NDArray[np.int64]
    Truth = npt.NDArray[np.bool_]

SIZES = (1, 2, 3, 5, 10, 20, 50, 100, 1000)  # the smallest sizes of each bar of the histogram
_WORST = 10  # different sizes that a report lists
_ROWS = "rows"  # the counter beside the columns, which are called c0, c1 … there


class Groups(msgspec.Struct, frozen=True):
    """So many groups of so many rows."""

    rows: int  # in each; in a histogram: at least so many, and fewer than in the next bar
    groups: int


class ColumnSet(msgspec.Struct, frozen=True):
    """What some of the quasi-identifiers tell by themselves."""

    columns: tuple[str, ...]
    groups: int
    smallest: int  # rows in the smallest group
    unique: int  # rows that are alone in their group


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """The re-identification risk of one table, in counts and column names."""

    rows: int
    groups: int  # of rows that agree in all quasi-identifiers
    k: int  # rows in the smallest group; the highest chance of a find is 1/k
    l: int | None  # noqa: E741  (fewest values of the sensitive column in a group)
    unique: int  # rows that are alone in their group
    rows_below: int  # rows in groups smaller than the wanted k
    worst: tuple[Groups, ...]  # the smallest sizes, rising
    histogram: tuple[Groups, ...]
    sets: tuple[ColumnSet, ...]  # every set of quasi-identifiers, small sets first


class Failing(NamedTuple):
    """The groups whose quasi-identifiers have to go, for k and l to hold among all that is left."""

    groups: "pa.Table"  # their quasi-identifiers
    rows: int  # in these groups


class Classes:
    """Counts the groups of a table that comes in parts; holds one row for each different group."""

    def __init__(self, quasi: Sequence[str], sensitive: str | None = None) -> None:
        self._quasi = tuple(quasi)
        self._sensitive = sensitive
        self._names = (*quasi, *(() if sensitive is None else (sensitive,)))
        self._counted: list[pa.Table] = []

    def add(self, part: "pa.Table") -> None:
        """Count one part.

        Raises:
            Refused: a column holds floats, of which two that look alike may differ.
        """
        for name in self._names:
            if kind_of(part.schema.field(name).type) == "float":
                raise Refused(f"column {name}: floats tell no groups; generalise it")
        columns: dict[str, Any] = {f"c{n}": part.column(name) for n, name in enumerate(self._names)}
        ones = arrow().array(np.ones(part.num_rows, np.int64))
        self._counted.append(_merged(arrow().table({**columns, _ROWS: ones}), len(self._names)))
        # Merge when what is new outweighs what was merged: each group is then merged a few times only.
        if sum(table.num_rows for table in self._counted[1:]) > self._counted[0].num_rows:
            self._settled()

    def risk(self, wanted_k: int) -> Risk:
        """Return what was counted."""
        numbers, sizes, kinds = self._groups()
        values, many = np.unique(sizes, return_counts=True)
        bars = np.bincount(np.searchsorted(SIZES, sizes, side="right") - 1, minlength=len(SIZES))
        return Risk(
            rows=int(sizes.sum()),
            groups=sizes.size,
            k=int(sizes.min()),
            l=None if self._sensitive is None else _diversity(numbers, kinds),
            unique=int((sizes == 1).sum()),
            rows_below=int(sizes[sizes < wanted_k].sum()),
            worst=tuple(Groups(int(v), int(n)) for v, n in zip(values[:_WORST], many[:_WORST], strict=True)),
            histogram=tuple(Groups(low, int(n)) for low, n in zip(SIZES, bars, strict=True)),
            sets=tuple(self._sets()),
        )

    def failing(self, k: int, l: int | None) -> Failing | None:  # noqa: E741
        """Return the groups that must lose their quasi-identifiers; None: even all of them are too few.

        Those rows are a group of their own, together with rows that had none, and k and l hold for it
        too: where it is too small, the smallest other groups join it.
        """
        numbers, sizes, kinds = self._groups()
        table = self._settled()
        first = np.unique(numbers, return_index=True)[1]
        blank = np.all([table.column(f"c{n}").is_null().to_numpy() for n in range(len(self._quasi))], axis=0)
        failing = sizes < k
        if l is not None:
            failing |= _values_in(numbers, kinds) < l
        gone: Truth = np.zeros(sizes.size, bool)
        if failing.any():
            rank = _ranks(sizes, failing | blank[first])
            cut = _cut(rank, sizes, k)
            if l is not None and cut is not None:
                cut = _wider(cut, rank[numbers], kinds, l)
            if cut is None:
                return None
            gone = (rank <= cut) & ~blank[first]
        chosen = table.take(arrow().array(first[gone])).select(range(len(self._quasi)))
        return Failing(chosen.rename_columns(list(self._quasi)), int(sizes[gone].sum()))

    def _settled(self) -> "pa.Table":
        """Return the groups as one table; its rows keep their order until something is added."""
        if len(self._counted) > 1:
            self._counted = [_merged(arrow().concat_tables(self._counted), len(self._names))]
        return self._counted[0]

    def _groups(self) -> tuple["Numbers", "Numbers", "Numbers"]:
        """Return the group of each counted row, the size of each group, the sensitive value of each row."""
        table = self._settled()
        numbers = _numbered(table, [f"c{n}" for n in range(len(self._quasi))])
        rows = table.column(_ROWS).to_numpy()
        sizes = np.bincount(numbers, weights=rows).astype(np.int64)
        kinds = numbers if self._sensitive is None else _numbered(table, [f"c{len(self._quasi)}"])
        return numbers, sizes, kinds

    def _sets(self) -> "list[ColumnSet]":
        table = self._settled()
        rows = table.column(_ROWS).to_numpy()
        found = []
        for count in range(1, len(self._quasi) + 1):
            for chosen in combinations(range(len(self._quasi)), count):
                sizes = np.bincount(_numbered(table, [f"c{n}" for n in chosen]), weights=rows)
                names = tuple(self._quasi[n] for n in chosen)
                found.append(ColumnSet(names, sizes.size, int(sizes.min()), int((sizes == 1).sum())))
        return found


def suppress(part: "pa.Table", failing: Failing) -> tuple["pa.Table", int]:
    """Return a part with the quasi-identifiers of failing groups set to NULL, and how many rows those were.

    Rows, their order and all other columns stay as they are, so sums stay.
    """
    pa = arrow()
    from pyarrow import compute as pc

    names = failing.groups.column_names
    both = pa.concat_tables([failing.groups, part.select(names)])
    numbers = _numbered(both, names)
    bad = np.isin(numbers[failing.groups.num_rows :], numbers[: failing.groups.num_rows])
    for name in names:
        column = part.column(name)
        changed = pc.if_else(pa.array(bad), pa.scalar(None, column.type), column)
        part = part.set_column(part.schema.get_field_index(name), part.schema.field(name), changed)
    return part, int(bad.sum())


def _merged(table: "pa.Table", columns: int) -> "pa.Table":
    names = [f"c{n}" for n in range(columns)]
    summed = table.group_by(names, use_threads=False).aggregate([(_ROWS, "sum")])
    return summed.select([*names, f"{_ROWS}_sum"]).rename_columns([*names, _ROWS])


def _numbered(table: "pa.Table", names: Sequence[str]) -> "Numbers":
    """Number the rows so that two have one number exactly if they agree in all columns."""
    numbers = np.zeros(table.num_rows, np.int64)
    for name in names:
        column: Any = table.column(name).combine_chunks()
        column = column.chunk(0) if isinstance(column, arrow().ChunkedArray) else column
        codes = column.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False)
        width = int(codes.max(initial=0)) + 1
        numbers = np.unique(numbers * width + codes, return_inverse=True)[1].ravel()
    return numbers


def _values_in(numbers: "Numbers", kinds: "Numbers") -> "Numbers":
    """Count the different values in each group."""
    width = int(kinds.max()) + 1
    return np.bincount(np.unique(numbers * width + kinds) // width)


def _diversity(numbers: "Numbers", kinds: "Numbers") -> int:
    return int(_values_in(numbers, kinds).min())


def _ranks(sizes: "Numbers", base: "Truth") -> "Numbers":
    """Number the groups in the order in which they give way: 0 those that must, then small before large."""
    rank = np.zeros(sizes.size, np.int64)
    others = np.flatnonzero(~base)
    rank[others[np.argsort(sizes[others], kind="stable")]] = np.arange(1, others.size + 1)
    return rank


def _cut(rank: "Numbers", sizes: "Numbers", k: int) -> int | None:
    """Return the rank up to which groups give way for k rows."""
    enough = np.flatnonzero(np.cumsum(np.bincount(rank, weights=sizes)) >= k)
    return int(enough[0]) if enough.size else None


def _wider(cut: int, ranks: "Numbers", kinds: "Numbers", l: int) -> int | None:  # noqa: E741
    """Return the rank up to which groups give way for l values too."""
    first = np.full(int(kinds.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, kinds, ranks)
    return max(cut, int(np.sort(first)[l - 1])) if first.size >= l else None
