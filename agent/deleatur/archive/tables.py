"""One desensitized table as Parquet and as CSV, and the proof that both read back as the same rows."""

import io
from typing import TYPE_CHECKING, Any

from deleatur.desensitize.arrow import arrow, kind_of
from deleatur.desensitize.values import plain
from deleatur.errors import Failed

if TYPE_CHECKING:
    import pyarrow as pa

_ZSTD_LEVEL = 3  # research D5: level 9 is four times slower for 8 % less


def to_parquet(table: "pa.Table") -> bytes:
    """Return the table as one Parquet file, zstd-compressed."""
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd", compression_level=_ZSTD_LEVEL)
    return out.getvalue()


def from_parquet(content: bytes) -> "pa.Table":
    """Read a Parquet file.

    Raises:
        Failed: it is none.
    """
    from pyarrow import parquet

    try:
        return parquet.read_table(io.BytesIO(content))
    except arrow().ArrowInvalid:
        raise Failed("archive: a table is not readable as Parquet") from None


def to_csv(table: "pa.Table") -> bytes:
    """Return the table as UTF-8 CSV with a header; NULL is empty, an empty text is `""`, bytes are hex."""
    from pyarrow import csv

    out = io.BytesIO()
    csv.write_csv(as_text(table), out)
    return out.getvalue()


def check_parquet(name: str, content: bytes, expected: "pa.Table") -> None:
    """Read Parquet back and compare it with what it was made of, row by row, floats bit by bit.

    Raises:
        Failed: they differ.
    """
    read = from_parquet(content)
    same = read.num_rows == expected.num_rows and read.schema.equals(expected.schema)
    if not same or not all(map(_same_column, read.columns, expected.columns)):
        raise Failed(f"archive: table {name} does not read back from Parquet as it was written")


def check_csv(name: str, content: bytes, expected: "pa.Table") -> None:
    """Read CSV back and compare it with what it was made of, row by row, as text.

    Raises:
        Failed: they differ.
    """
    from pyarrow import csv

    text = as_text(expected)
    read = csv.read_csv(
        io.BytesIO(content),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types={column: arrow().string() for column in text.column_names},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    if not read.equals(text):
        raise Failed(f"archive: table {name} does not read back from CSV as it was written")


def as_text(table: "pa.Table") -> "pa.Table":
    """Return the table with every column as text, in the one text form of values."""
    return arrow().table(
        {name: _text(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    )


def _text(column: Any) -> Any:
    if kind_of(column.type) in {"text", "integer"}:  # the same text, without the way through Python
        return column.cast(arrow().string())
    values = (
        None if v is None else v.hex() if isinstance(v, bytes) else plain(v) for v in column.to_pylist()
    )
    return arrow().array(list(values), type="string")


def _same_column(read: Any, expected: Any) -> bool:
    if kind_of(expected.type) == "float":  # NaN is not equal to itself; its bits are
        read, expected = (_bits(c) for c in (read, expected))
    return bool(read.equals(expected))


def _bits(column: Any) -> Any:
    pa = arrow()
    return pa.chunked_array([chunk.view(pa.int64()) for chunk in column.chunks], type=pa.int64())
