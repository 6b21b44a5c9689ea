"""One row of an object. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A row: what becomes of it, its bytes as they are compared, and the values in it."""

    verdict: str
    raw: bytes
    leaves: Callable[[], Iterator[bytes]]  # asked for only where the row goes
