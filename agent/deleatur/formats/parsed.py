"""What a reader of a format hands on: records with columns, one pass, bounded memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from deleatur.errors import Unsupported

IsValue = Callable[[str], bool]  # says whether a text is data itself, so no name of a column
Row = tuple[Any, ...]


class Unreadable(Unsupported):
    """This file cannot be read, or not to its end; the words never quote its content."""


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """Records of one form inside a file."""

    kind: str  # csv, jsonl, xlsx, mail …
    columns: tuple[str, ...]
    rows: Iterator[Row]
    part: str = ""  # which part of the file: "sheet 1", "attachment"; never a name that people gave
    dialect: str = ""  # encoding and delimiter, in words
    linked: bool = True  # one record is about one person; False: texts and mails, which name several
    stored_as: tuple[str, ...] = ()  # the format's own types, as long as `columns`, or empty


def column_names(cells: list[str], is_value: IsValue) -> tuple[str, ...] | None:
    """Return the names that a first row gives to the columns; None when it looks like data itself.

    A header names every column differently, in words, and none of its cells is of a type that
    detectors know.
    """
    names = [" ".join(cell.split()) for cell in cells]
    if not names or any(not n or len(n) > 64 or sum(c.isdigit() for c in n) > 3 for n in names):
        return None
    if len(set(names)) < len(names) or any(is_value(name) for name in names):
        return None
    return tuple(names)


def numbered(width: int) -> tuple[str, ...]:
    """Return names for columns that have none."""
    return tuple(f"column-{n}" for n in range(1, width + 1))
