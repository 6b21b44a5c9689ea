"""Turn the records that a backend yields into typed Arrow tables, part by part, without changing a value.

SQLite gives each value its own type. A column of integers and floats becomes float where every
integer is exact; a column that mixes numbers, dates and text becomes text, and with bytes among
them it becomes bytes. So records are read twice: once for the types, once for the values.
"""

import datetime
import decimal
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from deleatur.desensitize.arrow import arrow
from deleatur.desensitize.values import plain
from deleatur.errors import Failed, Refused

if TYPE_CHECKING:
    import pyarrow as pa

PART_ROWS = 1 << 14  # records in one part; four times as many took 170 MiB more, and no less time
PART_BYTES = 8 << 20  # of text and bytes in one part, the last record excepted

_EXACT = 2**53  # integers up to here are exact in an IEEE 754 double
_TYPED: dict[type, str] = {int: "int64", float: "float64", str: "string", bytes: "binary", bool: "bool"}
_DATED: dict[type, str] = {datetime.date: "date32"}
_AS_TEXT = frozenset(
    {int, float, str, bool, uuid.UUID, decimal.Decimal, datetime.date, datetime.datetime, datetime.time}
)


def parts(name: str, records: Iterator[dict[str, Any]]) -> Iterator[dict[str, list[Any]]]:
    """Yield the records of table `name` column by column, one part at a time.

    Raises:
        Failed: the backend yielded records of different shape.
    """
    names: dict[str, None] = {}
    rows: list[tuple[Any, ...]] = []
    size = 0
    for number, record in enumerate(records, start=1):
        names = names or dict.fromkeys(record)
        if record.keys() != names.keys():
            raise Failed(f"table {name}: record {number} has other columns than the first")
        row = tuple([record[column] for column in names])
        rows.append(row)
        size += sum([len(value) for value in row if isinstance(value, str | bytes)])
        if size >= PART_BYTES or len(rows) == PART_ROWS:
            yield _columns(names, rows)
            rows, size = [], 0
    if rows:
        yield _columns(names, rows)


def _columns(names: Iterable[str], rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


class Types:
    """The types of a table's columns, learnt from its values part by part."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._columns: dict[str, _Column] = {}

    def see(self, part: Mapping[str, list[Any]]) -> None:
        """Learn from one part.

        Raises:
            Failed: it has other columns than the parts before.
        """
        self._columns = self._columns or {name: _Column() for name in part}
        self._check(part)
        for name, values in part.items():
            self._columns[name].see(values)

    def table(self, part: Mapping[str, list[Any]]) -> "pa.Table":
        """Return a part as a table of the types that were learnt.

        Raises:
            Refused: a column's values have no common form.
            Failed: a value has another type than any that was seen.
        """
        self._check(part)
        return arrow().table({name: self._array(name, values) for name, values in part.items()})

    def _check(self, part: Mapping[str, list[Any]]) -> None:
        if part.keys() != self._columns.keys():
            raise Failed(f"table {self._table}: a record has other columns than the first")

    def _array(self, name: str, values: list[Any]) -> Any:
        pa = arrow()
        try:
            return self._columns[name].array(values)
        except _FormlessError as error:
            raise Refused(f"table {self._table}, column {name}: {error}") from None
        except UnicodeEncodeError:
            raise Refused(
                f"table {self._table}, column {name}: text that is not Unicode; repair it first"
            ) from None
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            raise Failed(
                f"table {self._table}, column {name}: its values changed while they were read; run again"
            ) from None


def bytes_of(values: list[Any], table: str, column: str) -> Any:
    """Return the values' one text form, or their bytes, as one Arrow array; NULL stays NULL.

    Raises:
        Refused: a value has no text form, or is no Unicode.
    """
    pa = arrow()
    kinds = {type(value) for value in values} - {type(None)}
    try:
        if kinds <= {str}:
            return pa.array(values, pa.string())
        if kinds == {int} and (whole := _whole(values)) is not None:
            return whole.cast(pa.string())
        coded = [None if v is None else v if isinstance(v, bytes) else _text(v).encode() for v in values]
    except _FormlessError as error:
        raise Refused(f"table {table}, column {column}: {error}") from None
    except UnicodeEncodeError:
        raise Refused(f"table {table}, column {column}: text that is not Unicode; repair it first") from None
    return pa.array(coded, pa.binary())


def _whole(values: list[Any]) -> Any:
    """Return integers as an Arrow array, None if one of them has more than 64 bits."""
    pa = arrow()
    try:
        return pa.array(values, pa.int64())
    except (OverflowError, pa.ArrowInvalid):
        return None


class _FormlessError(ValueError):
    """A column's values have no common form; the message names types, never values."""

    def __init__(self, names: str) -> None:
        super().__init__(f"values of type {names}; only numbers, text, bytes, dates and true/false go in")


def _text(value: Any) -> str:
    if type(value) not in _AS_TEXT:
        raise _FormlessError(type(value).__name__)
    return plain(value)


class _Column:
    """What is known of the values of one column."""

    def __init__(self) -> None:
        self._kinds: set[type] = set()
        self._widest = 0  # the largest magnitude of an integer
        self._digits = self._scale = 0  # of decimals: before and after the point
        self._times: set[Any] = set()  # Arrow's types of timestamps

    def see(self, values: list[Any]) -> None:
        present = {type(value) for value in values} - {type(None)}
        self._kinds |= present
        if int in present:
            numbers = [v for v in values if type(v) is int]
            largest = max(numbers)
            self._widest = max(self._widest, largest, -min(numbers) - 1)
        if decimal.Decimal in present:
            for value in values:
                self._see_decimal(value)
        if datetime.datetime in present:
            zones = {v.tzinfo for v in values if type(v) is datetime.datetime}
            self._times |= {arrow().infer_type([datetime.datetime(2000, 1, 1, tzinfo=z)]) for z in zones}

    def array(self, values: list[Any]) -> Any:
        type_ = self._type()
        if type_ in {arrow().string(), arrow().binary()} and self._kinds != {str}:
            wide = type_ == arrow().binary()
            values = [v if v is None or isinstance(v, bytes) else _coded(v, wide) for v in values]
        return arrow().array(values, type=type_)

    def _see_decimal(self, value: Any) -> None:
        if type(value) is decimal.Decimal:
            _, digits, exponent = value.as_tuple()
            if not isinstance(exponent, int):
                raise _FormlessError("Decimal that is no number")
            self._scale = max(self._scale, -exponent)
            self._digits = max(self._digits, len(digits) + exponent)

    def _type(self) -> Any:
        pa, kinds = arrow(), self._kinds
        if not kinds:
            return pa.null()
        if kinds == {int} and self._widest >= 2**63:
            return pa.string()
        if len(kinds) == 1 and kinds <= (_TYPED | _DATED).keys():
            return pa.type_for_alias((_TYPED | _DATED)[next(iter(kinds))])
        if kinds == {decimal.Decimal} and self._digits + self._scale <= 38:  # decimal128
            return pa.decimal128(max(self._digits, 0) + self._scale, self._scale)
        if kinds == {datetime.datetime} and len(self._times) == 1:
            return next(iter(self._times))
        if kinds == {int, float} and self._widest < _EXACT:
            return pa.float64()
        if kinds <= _AS_TEXT:
            return pa.string()
        if kinds <= _AS_TEXT | {bytes}:
            return pa.binary()
        raise _FormlessError(", ".join(sorted(kind.__name__ for kind in kinds - _AS_TEXT - {bytes})))


def _coded(value: Any, wide: bool) -> Any:
    return _text(value).encode() if wide else _text(value)
