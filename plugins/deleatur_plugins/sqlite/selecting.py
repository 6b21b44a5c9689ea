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

from deleatur.api import Condition, Refused, Secrets, Within, inner_of, listed_values, refuse_ambiguous
from deleatur_plugins.sqlite.schema import Schema, Table, quoted

_EQUAL = {"=": "IN", "!=": "NOT IN"}
_COMPARED = frozenset({"<", "<=", ">", ">="})
_NUMBER = re.compile(r"-?[1-9][0-9]{0,18}|0")
_OTHER_FORMS = (  # as `_forms` gives them for a value of the job
    ("CAST(value AS TEXT)", "'integer', 'real', 'blob'"),
    ("CAST(value AS BLOB)", "'text'"),
    (
        "CASE WHEN value = CAST(CAST(value AS INTEGER) AS TEXT) THEN CAST(value AS INTEGER) ELSE value END",
        "'text'",
    ),
)
Bound = str | int | float | bytes


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
        refuse_ambiguous(table.name, condition)
        if operator in _EQUAL:
            forms = [*_forms(_bindable(table, condition, condition.value))]
            bound += forms
            return f"{column} {_EQUAL[operator]} ({', '.join('?' * len(forms))})"
        if operator in _COMPARED:
            bound.append(_bindable(table, condition, condition.value))
            return f"{column} {operator} ?"
        if operator == "in":
            return f"{column} IN (SELECT value FROM temp.{self._list(table, condition)})"
        if operator in ("is-null", "not-null"):
            return f"{column} {'IS NULL' if operator == 'is-null' else 'IS NOT NULL'}"
        return self._within(column, table, condition, depth, bound)

    def _within(self, column: str, table: Table, condition: Condition, depth: int, bound: list[Bound]) -> str:
        """Compare with the values of another column as SQLite does, and in every form of them."""
        within = inner_of(table.name, condition, depth)
        word, joint = ("IN", "OR") if condition.operator == "within" else ("NOT IN", "AND")
        forms = self._forms_of(within, depth)
        values = self._inner(within, depth, bound)
        return f"({column} {word} ({values}) {joint} {column} {word} (SELECT value FROM temp.{forms}))"

    def _inner(self, within: Within, depth: int, bound: list[Bound]) -> str:
        inner = self._schema.table(within.table)
        alias = f"t{depth + 1}"
        source = f"{alias}.{self._schema.column(inner, within.column)}"
        # NULL is no value of the set; SQL's NOT IN would otherwise match nothing at all
        clauses = [f"{source} IS NOT NULL"]
        clauses += [self._clause(inner, c, depth + 1, bound) for c in within.where]
        return f"SELECT {source} FROM {inner.sql} AS {alias} WHERE {' AND '.join(clauses)}"

    def _forms_of(self, within: Within, depth: int) -> str:
        """Put every form of an inner column's values into a temporary table and return its quoted name."""
        bound: list[Bound] = []
        values = self._inner(within, depth, bound)
        name = self._empty_list()
        run = self._connection.execute
        run(f"INSERT INTO temp.{name} {values}", bound)
        for form, kinds in _OTHER_FORMS:
            run(f"INSERT INTO temp.{name} SELECT {form} FROM temp.{name} WHERE typeof(value) IN ({kinds})")
        return name

    def _list(self, table: Table, condition: Condition) -> str:
        """Put the values of an `in` into a temporary table (in memory) and return its quoted name."""
        if condition.values_from is not None:
            values: Iterator[Bound] = listed_values(self._secrets, condition.values_from)
        else:
            values = (_bindable(table, condition, v) for v in condition.values or ())
        name = self._empty_list()
        forms = ((form,) for value in values for form in _forms(value))
        self._connection.executemany(f"INSERT INTO temp.{name} VALUES (?)", forms)
        return name

    def _empty_list(self) -> str:
        name = quoted(f"deleatur_values_{self._lists}")
        self._lists += 1
        self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
        self._connection.execute(f"CREATE TEMP TABLE {name} (value)")
        return name


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
    """Yield a value in every form in which SQLite can store it: a column need not hold what its type says.

    SQLite would compare the text 7 with the number 7 in a column without a type, and a text with the
    same bytes as a blob in any, and find them different (https://www.sqlite.org/datatype3.html §4.2):
    whoever is held by that value would not be held.
    """
    yield value
    if isinstance(value, int):
        value = str(value)
        yield value
    elif isinstance(value, str) and _NUMBER.fullmatch(value) and -(1 << 63) <= int(value) < 1 << 63:
        yield int(value)
    if isinstance(value, str):
        yield value.encode()
