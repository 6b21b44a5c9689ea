"""Parquet: row groups that hold none of the rows are copied byte by byte, the others are written anew. Pure.

Rules kept: the schema and the metadata of the file stay as they are; what is encrypted, lies in another
file, or would be written anew under another schema is refused; one row group at a time lies in memory.
Indexes and Bloom filters are left out, as they would speak of rows that are gone: readers go without.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

from deleatur.api import Refused, Unsupported
from deleatur_plugins.s3.inside import footer
from deleatur_plugins.s3.inside.footer import Struct
from deleatur_plugins.s3.inside.row import Row
from deleatur_plugins.s3.inside.rules import GOES, Rule, cells_at, leaves

_MAGIC = b"PAR1"
_LARGEST_GROUP = 1 << 30  # bytes, unpacked; it lies in memory while it is written anew
_LARGEST_FOOTER = 64 << 20  # bytes
_ROWS = 4096  # looked at together
_COPY = 1 << 20  # bytes
# Fields by their number in parquet.thrift (Apache Parquet format 2.11)
_SCHEMA, _ROW_COUNT, _GROUPS, _ENCRYPTION = 2, 3, 4, 8  # of FileMetaData
_CHUNKS, _GROUP_SIZE, _GROUP_ROWS, _SORTED, _GROUP_AT, _GROUP_PACKED, _ORDINAL = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
)  # RowGroup
_FILE, _CHUNK_AT, _META, _INDEXES, _CRYPTO = 1, 2, 3, (4, 5, 6, 7), (8, 9)  # of ColumnChunk
_PACKED, _DATA_AT, _INDEX_AT, _DICTIONARY_AT, _BLOOM = 7, 9, 10, 11, (14, 15)  # of ColumnMetaData
_WRITTEN_ALIKE = (1, 2, 3, 5)  # of SchemaElement: type, length, repetition, children
_ELEMENT_NAME = 4


@contextmanager
def _translated() -> Iterator[None]:
    """Refuse what pyarrow cannot read; its messages may quote values."""
    from pyarrow import ArrowException

    try:
        yield
    except ArrowException as error:
        raise Refused(f"pyarrow cannot read or write it ({type(error).__name__})") from None
    except OSError as error:
        if error.errno is None:  # of pyarrow, about the content
            raise Refused("the Parquet file is damaged or encrypted") from None
        raise


def _opened(source: BinaryIO) -> Any:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise Unsupported("Parquet needs pyarrow: install deleatur[archive]") from None
    source.seek(-4, io.SEEK_END) if source.seek(0, io.SEEK_END) >= 12 else source.seek(0)
    magic = source.read(4)
    if magic == b"PARE":
        raise Refused("the Parquet file is encrypted; nobody here can read its rows")
    if magic != _MAGIC:
        raise Refused("its name says Parquet, and its end does not")
    _refuse_foreign(_tail(source))
    source.seek(0)
    with _translated():
        file = ParquetFile(source)
    for number in range(file.metadata.num_row_groups):
        if file.metadata.row_group(number).total_byte_size > _LARGEST_GROUP:
            raise Refused(
                f"row group {number} has more than {_LARGEST_GROUP >> 30} GiB; it would lie in memory"
            )
    return file


# --- looking


def verdicts(source: BinaryIO, rule: Rule) -> Iterator[str]:
    """Yield the verdict of every row, in order; only the columns of the conditions are read."""
    file = _opened(source)
    for number in range(file.metadata.num_row_groups):
        yield from _verdicts(file, number, rule)


def _verdicts(file: Any, number: int, rule: Rule) -> Iterator[str]:
    names = _columns(file, rule)
    if not names:
        yield from (rule.verdict(lambda _: ()) for _ in range(file.metadata.row_group(number).num_rows))
        return
    for batch in _batches(file, number, names):
        yield from (_verdict(rule, record) for record in _records(batch, exact=True))


def _verdict(rule: Rule, record: dict[str, Any]) -> str:
    return rule.verdict(lambda column: cells_at(record, column))


def _columns(file: Any, rule: Rule) -> list[str]:
    """Return the top columns that the conditions look at."""
    there = file.schema_arrow.names
    found = []
    for column in rule.columns:
        top = column if column in there else column.split(".")[0]
        if there.count(top) != 1:
            raise Refused(f"it has {there.count(top)} columns {top[:40]!r}; it must have one")
        found.append(top)
    return list(dict.fromkeys(found))


def _batches(file: Any, number: int, columns: Sequence[str] | None) -> Iterator[Any]:
    with _translated():
        yield from file.iter_batches(_ROWS, row_groups=[number], columns=columns, use_threads=False)


def _records(batch: Any, *, exact: bool) -> Iterator[dict[str, Any]]:
    """Yield rows as Python has them; `exact`: times of nanoseconds must be whole microseconds."""
    import pyarrow as pa

    columns = []
    with _translated():
        for column in batch.columns:
            kind = column.type
            if getattr(kind, "unit", "") == "ns" and not pa.types.is_duration(kind):
                whole = pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else pa.time64("us")
                columns.append(
                    column.cast(whole).to_pylist() if exact else column.cast(pa.int64()).to_pylist()
                )
            elif pa.types.is_duration(kind):
                columns.append(column.cast(pa.int64()).to_pylist())
            else:
                columns.append(_plain(column))
    names = batch.schema.names
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))


def _plain(column: Any) -> list[Any]:
    try:
        return list(column.to_pylist())
    except (ValueError, UnicodeDecodeError):
        raise Refused(
            "a column has values that cannot be told exactly (such as nested nanoseconds)"
        ) from None


def rows(source: BinaryIO, rule: Rule) -> Iterator[Row]:
    """Yield the rows; a row is compared by the kind and value of each of its columns."""
    file = _opened(source)
    if len(set(file.schema_arrow.names)) != len(file.schema_arrow.names):
        raise Refused("two of its columns have one name")
    for number in range(file.metadata.num_row_groups):
        verdict = _verdicts(file, number, rule)
        for batch in _batches(file, number, None):
            for record in _records(batch, exact=False):
                yield Row(next(verdict), _raw(record), partial(leaves, record))


def _raw(record: dict[str, Any]) -> bytes:
    parts = []
    for value in record.values():
        match value:
            case str():
                parts.append(b"s" + value.encode("utf-8", "surrogatepass"))
            case bytes():
                parts.append(b"b" + value)
            case _:
                parts.append(b"v" + repr(value).encode("utf-8", "surrogatepass"))
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


# --- writing


def rewritten(source: BinaryIO, rule: Rule) -> Iterator[bytes]:
    """Yield the file without the rows that go."""
    file = _opened(source)
    tail = _tail(source)
    yield _MAGIC
    groups: list[Struct] = []
    place, count = len(_MAGIC), 0
    for number, group in enumerate(tail.get(_GROUPS).items):
        marks = [verdict != GOES for verdict in _verdicts(file, number, rule)]
        if not any(marks):
            continue
        content: BinaryIO = source
        if not all(marks):
            group, content = _anew(file, tail, number, group, marks)  # noqa: PLW2901 - in its place
        for chunk in group.get(_CHUNKS).items:
            start, size = _range(chunk)
            yield from _copied(content, start, size)
            _move(chunk, place - start)
            place += size
        _tidy(group, len(groups))
        groups.append(group)
        count += group.get(_GROUP_ROWS)
    tail.get(_GROUPS).items[:] = groups
    tail.put(_ROW_COUNT, count)
    content_of_tail = footer.written(tail)
    yield content_of_tail + struct.pack("<I", len(content_of_tail)) + _MAGIC


def _tail(source: BinaryIO) -> Struct:
    end = source.seek(0, io.SEEK_END)
    source.seek(end - 8)
    (size,) = struct.unpack("<I", source.read(4))
    if size > min(end - 12, _LARGEST_FOOTER):
        raise Refused("the footer of the Parquet file cannot be read")
    source.seek(end - 8 - size)
    return footer.parsed(source.read(size))


def _refuse_foreign(tail: Struct) -> None:
    chunks = [chunk for group in tail.get(_GROUPS).items for chunk in group.get(_CHUNKS).items]
    if tail.get(_ENCRYPTION) is not None or any(
        chunk.get(n) is not None for chunk in chunks for n in _CRYPTO
    ):
        raise Refused("columns of the Parquet file are encrypted; nobody here can read its rows")
    if any(chunk.get(_FILE) or chunk.get(_META) is None for chunk in chunks):
        raise Refused("columns of the Parquet file lie in other files")


def _range(chunk: Struct) -> tuple[int, int]:
    """Return where a column of a row group begins, and its bytes."""
    meta = chunk.get(_META)
    begins = [at for at in (meta.get(_DICTIONARY_AT), meta.get(_DATA_AT)) if at]
    return min(begins), meta.get(_PACKED)


def _move(chunk: Struct, by: int) -> None:
    """Note that a column lies somewhere else now, and that no index speaks of it any more."""
    meta = chunk.get(_META)
    for number in (_DATA_AT, _INDEX_AT, _DICTIONARY_AT):
        if meta.get(number):
            meta.put(number, meta.get(number) + by)
    if chunk.get(_CHUNK_AT):
        chunk.put(_CHUNK_AT, chunk.get(_CHUNK_AT) + by)
    for number in _INDEXES:
        chunk.fields.pop(number, None)
    for number in _BLOOM:
        meta.fields.pop(number, None)


def _tidy(group: Struct, ordinal: int) -> None:
    if group.get(_GROUP_AT) is not None:
        group.put(_GROUP_AT, _range(group.get(_CHUNKS).items[0])[0])
    if group.get(_ORDINAL) is not None:
        group.put(_ORDINAL, ordinal)


def _copied(content: BinaryIO, start: int, size: int) -> Iterator[bytes]:
    content.seek(start)
    while size:
        some = content.read(min(size, _COPY))
        if not some:
            raise Refused("the Parquet file ends within a column")
        size -= len(some)
        yield some


def _anew(file: Any, tail: Struct, number: int, old: Struct, marks: list[bool]) -> tuple[Struct, BinaryIO]:
    """Write one row group again, without the rows whose mark is False; return it and where it lies."""
    import pyarrow as pa
    from pyarrow import parquet

    out = io.BytesIO()
    with _translated():
        table = file.read_row_group(number, use_threads=False).filter(pa.array(marks))
        with parquet.ParquetWriter(out, table.schema, **_as_before(file, number)) as writer:
            writer.write_table(table, row_group_size=max(table.num_rows, 1))
    new = _tail(out)
    if _shapes(new) != _shapes(tail):
        raise Refused("pyarrow would write its rows under another schema than the file has")
    (group,) = new.get(_GROUPS).items
    for field in (_SORTED,):  # rows that are left out leave the order as it is
        if field in old.fields:
            group.fields[field] = old.fields[field]
    group.fields = dict(sorted(group.fields.items()))
    return group, out


def _as_before(file: Any, number: int) -> dict[str, Any]:
    """Return how a row group is written: codec, dictionaries and statistics of each column."""
    group = file.metadata.row_group(number)
    chunks = [group.column(n) for n in range(group.num_columns)]
    old_times = any(chunk.physical_type == "INT96" for chunk in chunks)
    return {
        "compression": {
            c.path_in_schema: c.compression.replace("UNCOMPRESSED", "NONE").lower() for c in chunks
        },
        "use_dictionary": [c.path_in_schema for c in chunks if c.has_dictionary_page],
        "write_statistics": [c.path_in_schema for c in chunks if c.is_stats_set],
        "use_deprecated_int96_timestamps": old_times,
        "use_compliant_nested_type": not any(".list.item" in c.path_in_schema for c in chunks),
        "store_schema": False,
    }


def _shapes(tail: Struct) -> list[tuple[Any, ...]]:
    """Return what the schema says of how columns are written; the name of its root says nothing."""
    elements = tail.get(_SCHEMA).items
    names = [element.get(_ELEMENT_NAME) for element in elements[1:]]
    shapes = [tuple(element.get(number) for number in _WRITTEN_ALIKE) for element in elements[1:]]
    return list(zip(names, shapes, strict=True))
