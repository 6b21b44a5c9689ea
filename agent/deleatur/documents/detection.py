"""The words of detection: what a type of personal data is, where one stands in a text, what a column holds.

Shared by the detectors that come with deleatur, by those of plugins, and by the data map.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import msgspec

from deleatur.documents.place import Frozen

Level = Literal["public", "internal", "sensitive", "core"]


class TypeInfo(Frozen, frozen=True):
    """What is known about one type of data; `source` names the definition of its form."""

    title: str
    level: Level
    source: str


class Span(NamedTuple):
    """A place in a text, half open, in characters.

    `checked` is True if the form has a check digit or a register that fits, False if it has one
    that does not (a slip of the pen, or a look-alike: it is redacted all the same), None if it has
    none.
    """

    start: int
    end: int
    type: str
    checked: bool | None
    confidence: float  # 0 to 1: an order among candidates, not a probability


class Finding(msgspec.Struct, frozen=True):
    """How many values of a column are, or contain, one type of data."""

    type: str
    level: Level
    count: int
    of: int  # values that were not empty
    confidence: float


class Detector(Frozen, frozen=True):
    """A detector that a plugin adds: a type of its own, and where that type stands in a text.

    `find` is pure: the same text gives the same spans, nothing is read, written or remembered.
    """

    type: str  # kebab-case, such as acme-member-number
    info: TypeInfo
    find: Callable[[str], Iterable[Span]]
