"""Turn the records that a backend yields into one typed Arrow table, without changing a value.

SQLite gives each value its own type. A column of integers and floats becomes float where every
integer is exact; a column that mixes numbers, dates and text becomes text, and with bytes among
them it becomes bytes.
"""

import datetime
import decimal
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from deleatur.desensitize.arrow import arrow
from deleatur.desensitize.values import plain
from deleatur.errors import Failed, Refused

if TYPE_CHECKING:
    import pyarrow as pa

MAX_RECORDS = 256 << 20  # bytes of content per target, in memory: text and bytes by length, the rest 8 each
_BATCH = 8192  # values turned from Python objects into Arrow at a time
_EXACT = 2**53  # integers up to here are exact in an IEEE 754 double
_TYPED: dict[type, str] = {int: "int64", float: "float64", str: "string", bytes: "binary"}
_INFERRED = frozenset({bool, decimal.Decimal, datetime.date, datetime.datetime})  # Arrow knows their types
_AS_TEXT = frozenset({int, float, str, uuid.UUID, datetime.time}) | _INFERRED


class Budget:
    """What the tables of one target may still hold, in bytes of content."""

    def __init__(self, target: str, limit: int) -> None:
        self._target = target
        self._limit = limit
        self._left = limit

    def take(self, table: str, size: int) -> None:
        """Count `size` bytes of `table`.

        Raises:
            Refused: the target's archive is larger than one package may be.
        """
        self._left -= size
        if self._left < 0:
            raise Refused(
                f"archive of target {self._target}: with table {table} it passes {self._limit} bytes of "
                "records, and plain records never touch the disk; split it into several jobs"
            )


def read_table(name: str, records: Iterator[dict[str, Any]], budget: Budget) -> "pa.Table":
    """Read all records of table `name`; every record must have the same columns.

    Raises:
        Failed: the backend yielded records of different shape.
        Refused: there is no record, a column's values have no common form, or the budget is spent.
    """
    columns: dict[str, _Column] = {}
    for number, record in enumerate(records, start=1):
        columns = columns or {column: _Column() for column in record}
        if record.keys() != columns.keys():
            raise Failed(f"table {name}: record {number} has other columns than the first")
        budget.take(name, sum(columns[column].add(value) for column, value in record.items()))
    if not columns:
        raise Refused(
            f"table {name}: no record to archive; correct its conditions or leave it out of the job"
        )
    return arrow().table({column: _finish(name, column, values) for column, values in columns.items()})


def _finish(table: str, name: str, column: "_Column") -> Any:
    try:
        return column.finish()
    except _FormlessError as error:
        raise Refused(f"table {table}, column {name}: {error}") from None
    except UnicodeEncodeError:
        raise Refused(f"table {table}, column {name}: text that is not Unicode; repair it first") from None


class _FormlessError(ValueError):
    """A column's values have no common form; the message names types, never values."""


class _Column:
    """The values of one column, kept compactly while they come."""

    def __init__(self) -> None:
        self._pending: list[Any] = []
        self._chunks: list[Any] = []
        self._kinds: set[type] = set()
        self._widest = 0  # the largest magnitude of an integer

    def add(self, value: Any) -> int:
        """Take one value; return its size in bytes."""
        self._pending.append(value)
        if value is not None:
            self._kinds.add(type(value))
        if type(value) is int:
            self._widest = max(self._widest, value if value >= 0 else -value - 1)
        if len(self._pending) >= _BATCH and self._kinds <= {str, bytes, float} and len(self._kinds) == 1:
            self._chunks.append(arrow().array(self._pending, type=self._type()))
            self._pending = []
        return len(value) if isinstance(value, str | bytes) else 8

    def finish(self) -> Any:
        """Return the column as one Arrow array of its type."""
        pa, type_ = arrow(), self._type()
        values = [value for chunk in self._chunks for value in chunk.to_pylist()] if self._rebuild() else []
        values += self._pending
        if type_ in {"string", "binary"}:
            values = [value if value is None else _coded(value, type_) for value in values]
        last = pa.array(values, type=type_)
        return last if self._rebuild() else pa.chunked_array([*self._chunks, last])

    def _rebuild(self) -> bool:
        return len(self._kinds) > 1 or not self._chunks

    def _type(self) -> str | None:
        kinds = self._kinds
        if kinds == {int} and self._widest >= 2**63:
            return "string"
        if len(kinds) == 1 and kinds <= _TYPED.keys():
            return _TYPED[next(iter(kinds))]
        if len(kinds) <= 1 and kinds <= _INFERRED:
            return None
        if kinds == {int, float} and self._widest < _EXACT:
            return "float64"
        if kinds <= _AS_TEXT:
            return "string"
        if kinds <= _AS_TEXT | {bytes}:
            return "binary"
        names = ", ".join(sorted(kind.__name__ for kind in kinds - _AS_TEXT - {bytes}))
        raise _FormlessError(f"values of type {names}; only numbers, text, bytes, dates and true/false go in")


def _coded(value: Any, type_: str) -> Any:
    if isinstance(value, bytes):
        return value
    return plain(value).encode() if type_ == "binary" else plain(value)
