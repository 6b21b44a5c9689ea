"""Read Parquet, batch by batch; needs the extra `archive`, which has pyarrow."""

from collections.abc import Iterator
from typing import IO

from deleatur.formats.parsed import IsValue, Parsed, Row, Unreadable

_BATCH = 4096  # rows


def parquet(stream: IO[bytes], is_value: IsValue) -> Iterator[Parsed]:
    """Yield the table of a Parquet file; names that are data themselves are numbered.

    Raises:
        Unreadable: pyarrow is not installed, or the file is damaged or encrypted.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise Unreadable("Parquet needs pyarrow: install deleatur[archive]") from None
    try:
        file = ParquetFile(stream)
        schema = file.schema_arrow
    except (ArrowException, OSError):
        raise Unreadable("the Parquet file is damaged or encrypted") from None

    def rows() -> Iterator[Row]:
        try:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
        except (ArrowException, OSError):
            raise Unreadable("the Parquet file is damaged or encrypted") from None

    names = tuple(f"column-{n}" if is_value(name) else name for n, name in enumerate(schema.names, 1))
    yield Parsed(kind="parquet", columns=names, rows=rows(), stored_as=tuple(str(f.type) for f in schema))
