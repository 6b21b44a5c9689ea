"""What a store holds, as it shows itself to a reader that changes nothing: tables and files.

Names in it are the store's own; the engine shows a file only by its unit, never by its name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

from deleatur.documents.place import Identity


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of a table."""

    name: str
    stored_as: str = ""  # the store's own word for its type
    references: str = ""  # "table.column" that it points to


@dataclass(frozen=True, kw_only=True)
class HeldTable:
    """Records with columns. `read` yields every row in one pass, in the order of the columns."""

    name: str
    kind: str  # "table", "full-text" …
    columns: tuple[Column, ...]
    rows: int
    read: Callable[[], Iterator[tuple[Any, ...]]]


@dataclass(frozen=True, kw_only=True)
class HeldFile:
    """A file with bytes. `open` may be called once, before the next holding is asked for."""

    unit: str  # "inode-17"
    suffix: str  # ".csv", in lower case; "" when there is none
    size: int  # bytes
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, kw_only=True)
class NotRead:
    """Something that is there and cannot be read, with the reason."""

    unit: str
    reason: str


Holding = HeldTable | HeldFile | NotRead


@dataclass(frozen=True, kw_only=True)
class Contents:
    """All that a store holds. `holdings` is read once, in a fixed order, before the store is closed."""

    identity: Identity
    encrypted: Literal["yes", "no", "unknown"]
    encryption: str  # by what, or why it is unknown
    access: tuple[str, ...]  # who may read it, in the store's own terms
    holdings: Iterator[Holding]
