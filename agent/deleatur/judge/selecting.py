"""What every database asks of the conditions of a job before it makes a query of them. Pure.

Rules kept: a condition that is not complete, or that says two things, is refused; no message and no
text made here holds a value.
"""

from collections.abc import Iterator, Mapping, Sequence

from deleatur.documents.job import Condition, Target, Within
from deleatur.errors import Refused

_DEEPEST = 8  # tables within tables; more is a mistake or an attack


def selection_named(target: Target, rows: str = "rows") -> Iterator[tuple[str, str]]:
    """Yield what a target selects and holds, without any value: the end of its identity."""
    yield from ((rows, f"{part.table}: {without_values(part.where)}") for part in target.select)
    yield from (("held", f"{part.table}: {without_values(part.where)}") for part in target.hold)


def without_values(where: Sequence[Condition]) -> str:
    """Return the conditions as text without any of their values, for an identity."""
    return " and ".join(map(_without_values, where)) or "every row"


def _without_values(condition: Condition) -> str:
    said = f"{condition.column} {condition.operator}"
    if condition.within is not None:
        inner = condition.within
        return f"{said} {inner.table}.{inner.column} ({without_values(inner.where)})"
    return said if condition.operator in ("is-null", "not-null") else f"{said} ?"


def refuse_ambiguous(table: str, condition: Condition) -> None:
    """Refuse a condition on `table` with nothing, too much, or the wrong thing to compare with.

    Raises:
        Refused: it does not say exactly one thing.
    """
    parts = ("value", "values", "values_from", "within")
    given = {name for name in parts if getattr(condition, name) is not None}
    allowed: tuple[set[str], ...] = ({"value"},)
    if condition.operator == "in":
        allowed = ({"values"}, {"values_from"})
    elif condition.operator in ("is-null", "not-null"):
        allowed = (set(),)
    elif condition.operator in ("within", "not-within"):
        allowed = ({"within"},)
    if given not in allowed:
        wanted = " or ".join("".join(a) or "nothing" for a in allowed)
        raise Refused(f"the condition on {table}.{condition.column} needs {wanted} beside its operator")


def inner_of(table: str, condition: Condition, depth: int) -> Within:
    """Return the set that a `within` reads from; `depth` tables are around it.

    Raises:
        Refused: it names none, or nests too deep.
    """
    if condition.within is None or depth + 1 >= _DEEPEST:
        raise Refused(f"the condition on {table}.{condition.column} nests more than {_DEEPEST} tables")
    return condition.within


def listed_values(secrets: Mapping[str, bytes], path: str) -> Iterator[str]:
    """Yield the values of an operator's file, one a line.

    Raises:
        Refused: it was not given, is not UTF-8, or has an empty line.
    """
    content = secrets.get(f"values:{path}")
    if content is None:
        raise Refused(f"the values of {path[:80]!r} were not given to the backend")
    try:
        lines = content.decode("utf-8").removeprefix("\ufeff").split("\n")
    except UnicodeDecodeError as error:
        raise Refused(f"{path[:80]!r} is not UTF-8 (byte {error.start})") from None
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.rstrip("\r"):
            raise Refused(
                f"line {number} of {path[:80]!r} is empty; it would select rows with an empty value"
            )
        yield line.removesuffix("\r")
