"""How far quasi-identifiers still single somebody out: k, l, uniqueness, and suppression until k holds. Pure.

Classes are counted, never shown: nothing here returns a value of a record. Quasi-identifiers and
classes are meant as in ISO/IEC 20889 and GB/T 37964-2019.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from deleatur.desensitize.arrow import arrow
from deleatur.errors import Refused

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

_WORST = 10  # class sizes that a report lists


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """The re-identification risk of one table, in counts and column names."""

    rows: int
    quasi_identifiers: tuple[str, ...]
    classes: int  # groups of rows that agree in all quasi-identifiers
    k: int  # rows in the smallest class; the highest chance of a find is 1/k
    wanted_k: int
    rows_below: int  # rows in classes smaller than wanted_k
    unique: int  # rows that are alone in their class
    worst: tuple[int, ...]  # the sizes of the smallest classes, rising
    l: tuple[tuple[str, int], ...]  # noqa: E741  (sensitive column, fewest distinct values in a class)
    distinct: tuple[tuple[str, int], ...]  # quasi-identifier, how many different values it has
    alone: tuple[tuple[str, int], ...]  # quasi-identifier, rows that it singles out by itself


def measure(
    table: "pa.Table", quasi_identifiers: Sequence[str], *, sensitive: Sequence[str] = (), wanted_k: int
) -> Risk:
    """Count the classes of a table; NULL is a value like another.

    Raises:
        Refused: a column is not in the table, there is none, or no row.
    """
    _check(table, [*quasi_identifiers, *sensitive])
    if not quasi_identifiers or not table.num_rows:
        raise Refused("re-identification risk needs a quasi-identifier and a row")
    classes = _classes(table, quasi_identifiers)
    sizes = np.bincount(classes)
    single = {name: np.bincount(_classes(table, [name])) for name in quasi_identifiers}
    return Risk(
        rows=table.num_rows,
        quasi_identifiers=tuple(quasi_identifiers),
        classes=sizes.size,
        k=int(sizes.min()),
        wanted_k=wanted_k,
        rows_below=int(sizes[sizes < wanted_k].sum()),
        unique=int((sizes == 1).sum()),
        worst=tuple(map(int, np.sort(sizes)[:_WORST])),
        l=tuple((name, _diversity(classes, _classes(table, [name]))) for name in sensitive),
        distinct=tuple((name, counts.size) for name, counts in single.items()),
        alone=tuple((name, int((counts == 1).sum())) for name, counts in single.items()),
    )


def suppress(table: "pa.Table", quasi_identifiers: Sequence[str], *, k: int) -> "pa.Table":
    """Return the table with the quasi-identifiers of small classes set to NULL, so that k holds.

    Rows, and all other columns, stay as they are, so sums stay. The suppressed rows are a class of
    their own: if they are too few, the smallest other classes join them.

    Raises:
        Refused: a column is not in the table, or the table has fewer rows than k.
    """
    _check(table, quasi_identifiers)
    if table.num_rows < k:
        raise Refused(f"the table has fewer than {k} rows: no suppression makes it k-anonymous; drop columns")
    if not quasi_identifiers:
        return table
    classes = _classes(table, quasi_identifiers)
    sizes = np.bincount(classes)
    order = np.argsort(sizes, kind="stable")
    blank = _blank(table, quasi_identifiers)[np.unique(classes, return_index=True)[1]]
    gone = sizes < k
    while 0 < sizes[gone | blank].sum() < k and not (gone | blank).all():
        gone[order[~(gone | blank)[order]][0]] = True
    pa = arrow()
    from pyarrow import compute as pc

    chosen = pa.array(gone[classes])
    for name in quasi_identifiers:
        column = table.column(name)
        changed = pc.if_else(chosen, pa.scalar(None, column.type), column)
        table = table.set_column(table.schema.get_field_index(name), name, changed)
    return table


def _classes(table: "pa.Table", names: Sequence[str]) -> "npt.NDArray[np.int64]":
    """Number the rows so that two have one number exactly if they agree in all columns."""
    numbers = np.zeros(table.num_rows, np.int64)
    for name in names:
        column: Any = table.column(name).combine_chunks()
        column = column.chunk(0) if isinstance(column, arrow().ChunkedArray) else column
        codes = column.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False)
        width = int(codes.max(initial=0)) + 1
        numbers = np.unique(numbers * width + codes, return_inverse=True)[1].ravel()
    return numbers


def _diversity(classes: "npt.NDArray[np.int64]", values: "npt.NDArray[np.int64]") -> int:
    pairs = np.unique(classes * (int(values.max()) + 1) + values)
    return int(np.bincount(pairs // (int(values.max()) + 1)).min())


def _blank(table: "pa.Table", names: Sequence[str]) -> "npt.NDArray[np.bool_]":
    blank = np.ones(table.num_rows, bool)
    for name in names:
        blank &= table.column(name).is_null().to_numpy()
    return blank


def _check(table: "pa.Table", names: Sequence[str]) -> None:
    for name in names:
        if name not in table.column_names:
            raise Refused(f"column {name} is not in the table; correct the quasi-identifiers")
