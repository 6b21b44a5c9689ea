"""Say of one row whether it goes, stays or is held, by the conditions of a job. Pure.

Rules kept: a value is compared with cells of its own kind only, and whatever else stands there is refused
by name, never guessed; a row without the cell is not selected; no message quotes a value.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

from deleatur.api import Condition, Refused, Secrets, Target, idle_hold, listed_values, refuse_ambiguous

GOES, STAYS = "goes", "stays"  # verdicts; any other one is the id of a hold
Cells = Sequence[Any]  # what stands at a column of one row: several where a list stands there
At = Callable[[str], Cells]  # the cells of one row by the name of their column
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Test:
    """One condition on one column."""

    column: str
    meets: Callable[[Cells], bool]


@dataclass(frozen=True)
class Part:
    """Rows of the objects that a pattern names: those that meet every test."""

    pattern: str
    tests: tuple[Test, ...]
    hold: str = ""

    def covers(self, at: At) -> bool:
        """Say whether a row is of this part."""
        return all(test.meets(at(test.column)) for test in self.tests)


@dataclass(frozen=True)
class Rule:
    """What becomes of the rows of one object."""

    selected: tuple[Part, ...]
    held: tuple[Part, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that have to be looked at."""
        parts = (*self.selected, *self.held)
        return tuple(dict.fromkeys(test.column for part in parts for test in part.tests))

    def verdict(self, at: At) -> str:
        """Return what becomes of one row."""
        if not any(part.covers(at) for part in self.selected):
            return STAYS
        return next((part.hold for part in self.held if part.covers(at)), GOES)


class Rules:
    """The selections and holds of a target."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        if not target.select:
            raise Refused(
                "the target selects nothing; name objects and rows with [[target.select]], or erase "
                "whole objects by an s3: target"
            )
        self._selected = tuple(
            Part(s.table, tuple(_test(secrets, s.table, c) for c in s.where)) for s in target.select
        )
        self._held = tuple(
            Part(h.table, tuple(_test(secrets, h.table, c) for c in h.where), h.id) for h in target.hold
        )
        patterns = {part.pattern for part in self._selected}
        for part in self._held:
            if part.pattern not in patterns:
                raise idle_hold(part.hold, part.pattern)
        for part in self._selected:
            if not part.tests:
                raise Refused(
                    f"the selection of {part.pattern[:80]!r} has no condition; whole objects go by s3:"
                )

    def rule(self, name: str) -> Rule | None:
        """Return the rule of an object by its name below the prefix; None: the job does not mean it."""
        selected = tuple(part for part in self._selected if fnmatchcase(name, part.pattern))
        held = tuple(part for part in self._held if fnmatchcase(name, part.pattern))
        return Rule(selected, held) if selected else None


def _test(secrets: Secrets, table: str, condition: Condition) -> Test:
    refuse_ambiguous(table, condition)
    name, column = condition.operator, condition.column
    if name == "is-null":
        return Test(column, lambda cells: not _present(cells))
    if name == "not-null":
        return Test(column, lambda cells: bool(_present(cells)))
    if name == "in":
        listed = condition.values
        wanted = _Set(
            listed_values(secrets, str(condition.values_from)) if listed is None else listed, column
        )
        return Test(column, lambda cells: any(wanted.has(cell) for cell in _present(cells)))
    if name not in _ORDER:
        raise Refused(f"the condition {name} on {column[:40]!r} is not possible inside of objects")
    compare, value = _ORDER[name], condition.value

    def meets(cells: Cells) -> bool:
        return any(compare(*_alike(cell, value, column)) for cell in _present(cells))

    return Test(column, meets)


def _present(cells: Cells) -> list[Any]:
    return [cell for cell in cells if cell is not None]


class _Set:
    """Values of which a cell may be one."""

    def __init__(self, values: Iterator[Any] | Sequence[Any], column: str) -> None:
        given = list(values)
        self._column = column
        self._texts = frozenset(v for v in given if isinstance(v, str))
        self._numbers = frozenset(n for v in given if (n := number_of(v)) is not None)
        self._truths = frozenset(str(v).lower() for v in given if isinstance(v, bool | str))
        self._only_numbers = bool(given) and not self._texts

    def has(self, cell: Any) -> bool:
        if isinstance(cell, str):
            if self._only_numbers:
                return _read(cell, self._column) in self._numbers
            return cell in self._texts
        if isinstance(cell, bytes):
            return any(cell == text.encode() for text in self._texts)
        if isinstance(cell, bool):
            return str(cell).lower() in self._truths
        number = number_of(cell)
        if number is not None:  # a number equals its value, however it is written in the list
            return number in self._numbers
        pairs = (_alike(cell, text, self._column) for text in self._texts)
        return any(here == there for here, there in pairs)


def number_of(value: Any) -> Decimal | None:
    """Return a value as a number, also one that a text writes; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _read(text: str, column: str) -> Decimal:
    number = number_of(text)
    if number is None:
        raise Refused(f"a number is compared with {column[:40]!r}, where something else stands")
    return number


def _alike(cell: Any, value: Any, column: str) -> tuple[Any, Any]:
    """Return a cell and the value of a condition in the same kind.

    Raises:
        Refused: they are of kinds that cannot be compared.
    """
    if isinstance(cell, bool) or isinstance(value, bool):
        if isinstance(cell, bool) and isinstance(value, bool):
            return cell, value
        raise _other_kind(column)
    try:
        match cell, value:
            case str(), str():
                return cell, value
            case bytes(), str():
                return cell, value.encode()
            case (str(), int() | float()) | (int() | float() | Decimal(), int() | float() | str()):
                return _read(str(cell), column), _read(str(value), column)
            case datetime(), str():
                moment = datetime.fromisoformat(value)
                if (moment.tzinfo is None) == (cell.tzinfo is None):
                    return cell, moment
            case date(), str():
                return cell, date.fromisoformat(value)
            case time(), str():
                return cell, time.fromisoformat(value)
    except ValueError:
        raise _other_kind(column) from None
    raise _other_kind(column)


def _other_kind(column: str) -> Refused:
    return Refused(
        f"the condition on {column[:40]!r} compares with a value of another kind than stands there"
    )


def cells_at(record: Mapping[str, Any], path: str) -> list[Any]:
    """Return what stands at a path of names with dots between; lists on the way are looked through.

    Raises:
        Refused: the path means two places, or leads to a record in place of a value.
    """
    steps = path.split(".")
    if path in record:
        if len(steps) > 1 and steps[0] in record:
            raise Refused(f"{path[:80]!r} is a name and a path here, so it says two things")
        steps = [path]
    nodes: list[Any] = [record]
    for step in steps:
        nodes = [node[step] for node in _opened(nodes) if isinstance(node, Mapping) and step in node]
    found = _opened(nodes)
    if any(isinstance(node, Mapping | tuple) for node in found):
        raise Refused(f"at {path[:80]!r} stands a record, not a value; name what is in it")
    return found


def _opened(nodes: Sequence[Any]) -> list[Any]:
    """Return nodes with lists replaced by what is in them."""
    found: list[Any] = []
    for node in nodes:
        found += _opened(node) if isinstance(node, list) else [node]
    return found


def leaves(node: Any) -> Iterator[bytes]:
    """Yield every value of a record that is a text or a number, as bytes."""
    match node:
        case Mapping():
            for value in node.values():
                yield from leaves(value)
        case list() | tuple():
            for value in node:
                yield from leaves(value)
        case bytes():
            yield node
        case None | bool():
            return
        case _:
            yield str(node).encode("utf-8", "surrogatepass")
