"""Import pyarrow when a job really archives, so that everything else starts without it."""

from functools import cache
from typing import Any

from deleatur.errors import Unsupported

_KEPT = 31 << 20  # bytes: just below the most that glibc learns from, DEFAULT_MMAP_THRESHOLD_MAX of 64 bits


@cache
def keep_memory() -> None:
    """Let the allocator keep the memory of one batch for the next, instead of asking for it anew.

    glibc maps a block that is larger than a threshold, and gives it back at once; when such a block is
    freed, the threshold rises to its size (mallopt(3), M_MMAP_THRESHOLD). No page of this one is touched.
    Elsewhere it does nothing. Arrow takes its memory from there too: its own allocator gives back what lies
    unused for a moment, and a step between two batches is longer than that.
    """
    import numpy as np

    np.empty(_KEPT, np.uint8)
    arrow().set_memory_pool(arrow().system_memory_pool())


def arrow() -> Any:
    """Return the module `pyarrow`.

    Raises:
        Unsupported: it, or numpy, is not installed.
    """
    try:
        import numpy  # noqa: F401  (the rules compute with it)
        import pyarrow
    except ImportError:
        raise Unsupported("archives need pyarrow and numpy: install deleatur[archive]") from None
    return pyarrow


def validity(array: Any) -> Any:
    """Return as Arrow's bits which values of an array, also of a slice, are not NULL; None if all are."""
    if not array.null_count:
        return None
    return arrow().array(array.is_valid().to_numpy(zero_copy_only=False)).buffers()[1]


def with_nulls_of(array: Any, result: Any) -> Any:
    """Return the result with NULL where the array it was made of has NULL."""
    from pyarrow import compute as pc

    if not array.null_count:
        return result
    return pc.if_else(pc.is_valid(array), result, arrow().scalar(None, result.type))


def kind_of(type_: Any) -> str:
    """Name the kind of an Arrow type in the words of docs/spec/archive.md; "other" if it has none."""
    types = arrow().types
    for name, test in (
        ("null", types.is_null),
        ("bool", types.is_boolean),
        ("integer", types.is_integer),
        ("float", types.is_floating),
        ("decimal", types.is_decimal),
        ("date", types.is_date),
        ("timestamp", types.is_timestamp),
    ):
        if test(type_):
            return name
    if types.is_string(type_) or types.is_large_string(type_):
        return "text"
    if types.is_binary(type_) or types.is_large_binary(type_):
        return "bytes"
    return "other"
