"""Turn the conditions of a job into SQL: names from the schema and quoted, values always bound.

Rules kept: nothing of a job is ever spliced into an SQL text except names that the schema knows; a
condition that is not complete, or that says two things, is refused.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are bound

import math
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from deleatur.api import Condition, Refused, Secrets
from deleatur_plugins.sqlite.schema import Schema, Table, quoted

_DEEPEST = 8  # tables within tables; more is a mistake or an attack
_COMPARED = frozenset({"=", "!=", "<", "<=", ">", ">="})
_NUMBER = re.compile(r"-?[1-9][0-9]{0,18}|0")
Bound = str | int | float


@dataclass
class Query:
    """A WHERE clause over `t0` and what is bound to it; value lists lie in temporary tables."""

    clause: str = "1"
    bound: list[Bound] = field(default_factory=list)


class Selector:
    """Compiles conditions for one connection."""

    def __init__(self, connection: sqlite3.Connection, schema: Schema, secrets: Secrets) -> None:
        self._connection = connection
        self._schema = schema
        self._secrets = secrets
        self._lists = 0

    def query(self, table: Table, where: Sequence[Condition]) -> Query:
        """Return the query for the rows of `table` that meet every condition.

        Raises:
            Refused: an unknown name, or a condition that does not say one thing.
        """
        bound: list[Bound] = []
        clauses = [self._clause(table, condition, 0, bound) for condition in where]
        return Query(" AND ".join(clauses) or "1", bound)

    def _clause(self, table: Table, condition: Condition, depth: int, bound: list[Bound]) -> str:
        column = f"t{depth}.{self._schema.column(table, condition.column)}"
        operator = condition.operator
        _says_one_thing(table, condition)
        if operator in _COMPARED:
            bound.append(_bindable(table, condition, condition.value))
            return f"{column} {operator} ?"
        if operator == "in":
            return f"{column} IN (SELECT value FROM temp.{self._list(table, condition)})"
        if operator in ("is-null", "not-null"):
            return f"{column} {'IS NULL' if operator == 'is-null' else 'IS NOT NULL'}"
        return self._within(column, table, condition, depth, bound)

    def _within(self, column: str, table: Table, condition: Condition, depth: int, bound: list[Bound]) -> str:
        within = condition.within
        if within is None or depth + 1 >= _DEEPEST:
            raise Refused(
                f"the condition on {table.name}.{condition.column} nests more than {_DEEPEST} tables"
            )
        inner = self._schema.table(within.table)
        alias = f"t{depth + 1}"
        source = f"{alias}.{self._schema.column(inner, within.column)}"
        # NULL is no value of the set; SQL's NOT IN would otherwise match nothing at all
        clauses = [f"{source} IS NOT NULL"]
        clauses += [self._clause(inner, c, depth + 1, bound) for c in within.where]
        word = "IN" if condition.operator == "within" else "NOT IN"
        return f"{column} {word} (SELECT {source} FROM {inner.sql} AS {alias} WHERE {' AND '.join(clauses)})"

    def _list(self, table: Table, condition: Condition) -> str:
        """Put the values of an `in` into a temporary table (in memory) and return its quoted name."""
        if condition.values_from is not None:
            values: Iterator[Bound] = _lines(self._secrets, condition.values_from)
        else:
            values = (_bindable(table, condition, v) for v in condition.values or ())
        name = quoted(f"deleatur_values_{self._lists}")
        self._lists += 1
        self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
        self._connection.execute(f"CREATE TEMP TABLE {name} (value)")
        forms = ((form,) for value in values for form in _forms(value))
        self._connection.executemany(f"INSERT INTO temp.{name} VALUES (?)", forms)
        return name


def template(where: Sequence[Condition]) -> str:
    """Return the conditions as text without any of their values, for an identity."""
    return " and ".join(_template(c) for c in where) or "every row"


def _template(condition: Condition) -> str:
    if condition.within is not None:
        inner = condition.within
        return (
            f"{condition.column} {condition.operator} {inner.table}.{inner.column} ({template(inner.where)})"
        )
    asked = "" if condition.operator in ("is-null", "not-null") else " ?"
    return f"{condition.column} {condition.operator}{asked}"


def _says_one_thing(table: Table, condition: Condition) -> None:
    """Refuse a condition with nothing, too much, or the wrong thing to compare with."""
    given = {
        name for name in ("value", "values", "values_from", "within") if getattr(condition, name) is not None
    }
    allowed: tuple[set[str], ...] = ({"value"},)
    if condition.operator == "in":
        allowed = ({"values"}, {"values_from"})
    elif condition.operator in ("is-null", "not-null"):
        allowed = (set(),)
    elif condition.operator in ("within", "not-within"):
        allowed = ({"within"},)
    if given not in allowed:
        wanted = " or ".join("".join(a) or "nothing" for a in allowed)
        raise Refused(f"the condition on {table.name}.{condition.column} needs {wanted} beside its operator")


def _bindable(table: Table, condition: Condition, value: object) -> Bound:
    """Return a value that SQLite can bind; a message never quotes it."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return value
    if isinstance(value, float) and not math.isnan(value):  # NaN would be bound as NULL
        return value
    if isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value):
        return value
    raise Refused(f"the value for {table.name}.{condition.column} is not one that SQLite can hold")


def _forms(value: Bound) -> Iterator[Bound]:
    """Yield a value, and the number that it writes: a column without a type holds one or the other.

    Such a column would compare the text 7 with the number 7 and find them different
    (https://www.sqlite.org/datatype3.html §4.2): whoever is held by that line would not be held.
    """
    yield value
    if isinstance(value, str) and _NUMBER.fullmatch(value) and -(1 << 63) <= int(value) < 1 << 63:
        yield int(value)


def _lines(secrets: Secrets, path: str) -> Iterator[Bound]:
    """Yield the values of an operator's file, one a line; an empty line is refused."""
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
