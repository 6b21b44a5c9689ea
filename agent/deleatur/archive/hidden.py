"""See what a Parquet file holds beside its rows: descriptions, statistics, words that no row uses. Pure."""

import io
from typing import TYPE_CHECKING, Any

from deleatur.desensitize.arrow import arrow, kind_of
from deleatur.errors import Refused

if TYPE_CHECKING:
    import pyarrow as pa

_SCHEMA = b"ARROW:schema"  # which pyarrow writes: names and types


def check_hidden(name: str, content: bytes, table: "pa.Table") -> None:
    """Refuse a Parquet file of `table` that tells more than its rows do.

    Raises:
        Refused: it has a description of its own, statistics of other values, or unused words.
    """
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(content))
    described = set(file.metadata.metadata or {}) - {_SCHEMA}
    fields = [field for field in file.schema_arrow if set(field.metadata or {}) - {b"PARQUET:field_id"}]
    if described or fields or set(file.schema_arrow.metadata or {}):
        raise Refused(
            f"archive: the Parquet file of {name} carries a description; it may hold no more than rows"
        )
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        rows = file.read_row_group(number)
        for place in range(group.num_columns):
            chunk = group.column(place)
            statistics = chunk.statistics if chunk.is_stats_set else None
            if statistics is not None and statistics.has_min_max and not _met(rows.column(place), statistics):
                raise Refused(f"archive: statistics of {name}.{chunk.path_in_schema} hold a value of no row")
    texts = [field.name for field in table.schema if kind_of(field.type) in {"text", "bytes"}]
    words = parquet.read_table(io.BytesIO(content), read_dictionary=texts)
    for column in texts:
        for chunk in words.column(column).chunks:
            if arrow().types.is_dictionary(chunk.type) and len(chunk.dictionary) > len(
                chunk.indices.unique().drop_null()
            ):
                raise Refused(f"archive: the dictionary of {name}.{column} holds a value of no row")


def _met(column: Any, statistics: Any) -> bool:
    values = column.unique()
    return all(
        isinstance(bound, float)
        or arrow().array([bound], values.type)[0] in values.to_pylist()
        or bound in values.to_pylist()
        for bound in (statistics.min, statistics.max)
    )
