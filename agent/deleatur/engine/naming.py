"""Name what stands in stores as documents name it: printable, cut, no two columns of a table the same."""

import os
from collections.abc import Sequence

from deleatur.desensitize.detectors import spans
from deleatur.holding import HeldTable

_SURE = 0.6  # confidence from which a text counts as data, so it is no name of a column
_CUT = 200  # characters of a table's or column's name


def is_value(text: str) -> bool:
    """Say whether a text is data itself, so no name of a column."""
    return any(span.confidence >= _SURE for span in spans(text))


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """Return names that can be shown, no two of them the same."""
    taken: dict[str, None] = {}
    for number, name in enumerate(names, 1):
        plain = shown(name) or f"column-{number}"
        taken.setdefault(f"{plain}-{number}" if plain in taken else plain)
    return tuple(taken)


def columns_of(held: HeldTable) -> tuple[str, ...]:
    """Return the names of a table's columns as a map has them."""
    return unique([column.name for column in held.columns])


def shown(name: str, longest: int = _CUT) -> str:
    """Return a name of a store for a document: printable, UTF-8, cut."""
    raw = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in raw)[:longest]
