"""See a date that was protected and stands in three kept columns all the same. Pure."""

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from deleatur.desensitize.arrow import arrow, kind_of
from deleatur.desensitize.columns import dates_of, whole
from deleatur.desensitize.values import UnfitError
from deleatur.documents.job import Rule
from deleatur.errors import Refused

if TYPE_CHECKING:
    import pyarrow as pa

_SHARE = 0.9  # of the rows: more is no chance
_LEAST = 3  # rows


def check_days(
    table: str, rules: Mapping[str, Rule], originals: Mapping[str, Any], result: "pa.Table"
) -> None:
    """Refuse three kept columns that are year, month and day of a protected date.

    Raises:
        Refused: by the names of the columns.
    """
    from pyarrow import compute as pc

    kept = {
        name: _numbers(whole(result.column(name)))
        for name in result.column_names
        if rules[name].rule == "keep"
    }
    ranges = (("year", 1850, 2100), ("month", 1, 12), ("day", 1, 31))
    parts = [
        [
            name
            for name, n in kept.items()
            if n is not None and n.size and (n >= low).all() and (n <= high).all()
        ]
        for _, low, high in ranges
    ]
    if not all(parts):
        return
    for name, values in originals.items():
        dates = None if rules[name].rule == "keep" else _dates(values)
        if dates is None or dates.null_count == len(dates) or len(dates) < _LEAST:
            continue
        real = [
            pc.fill_null(part(dates), 0).to_numpy(zero_copy_only=False)
            for part in (pc.year, pc.month, pc.day)
        ]
        for columns in itertools.product(*parts):
            same = np.logical_and.reduce([kept[c] == r for c, r in zip(columns, real, strict=True)])
            if len(set(columns)) == len(columns) and same.mean() >= _SHARE:
                raise Refused(
                    f"archive: columns {', '.join(columns)} of {table} together are the protected dates of "
                    f"{name}; generalise or drop one of them"
                )


def _numbers(column: Any) -> Any:
    pa = arrow()
    if kind_of(column.type) == "integer":
        return column.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    if kind_of(column.type) == "text":
        try:
            return column.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:
            return None
    return None


def _dates(values: Any) -> Any:
    if kind_of(values.type) != "text":
        return None
    try:
        return dates_of(values)
    except UnfitError:
        return None
