"""Turn the conditions of a job into SQL: names from the schema and quoted, values typed and quoted.

Rules kept: a value is compared with a column of its own kind only; a condition that is not
complete, or that says two things, is refused.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are typed

import math
from collections.abc import Iterator, Sequence

from deleatur.api import Condition, Refused, Secrets, inner_of, listed_values, refuse_ambiguous
from deleatur_plugins.duckdb.connecting import literal, quoted
from deleatur_plugins.duckdb.schema import Column, Schema, Table

_COMPARED = frozenset({"=", "!=", "<", "<=", ">", ">="})
_TEXTS = ("VARCHAR", "ENUM", "UUID", "JSON")
_TIMES = ("DATE", "TIME", "TIMESTAMP")
_INTEGERS = frozenset(
    f"{sign}{size}INT" if size != "INTEGER" else f"{sign}INTEGER"
    for sign in ("", "U")
    for size in ("TINY", "SMALL", "INTEGER", "BIG", "HUGE")
)
_FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")


class Selector:
    """Compiles conditions."""

    def __init__(self, schema: Schema, secrets: Secrets) -> None:
        self._schema = schema
        self._secrets = secrets

    def clause(self, table: Table, where: Sequence[Condition]) -> str:
        """Return the WHERE clause over `t0` for the rows of `table` that meet every condition.

        Raises:
            Refused: an unknown name, or a condition that does not say one thing.
        """
        return " AND ".join(self._one(table, condition, 0) for condition in where) or "true"

    def _one(self, table: Table, condition: Condition, depth: int) -> str:
        column = table.column(condition.column)
        name = f"t{depth}.{quoted(column.name)}"
        operator = condition.operator
        refuse_ambiguous(table.name, condition)
        if operator in _COMPARED:
            return f"{name} {operator} {self._value(table, column, condition.value)}"
        if operator == "in":
            values: Iterator[object] = iter(condition.values or ())
            if condition.values_from is not None:
                values = listed_values(self._secrets, condition.values_from)
            listed = [self._value(table, column, v) for v in values]
            return f"{name} IN ({', '.join(listed)})" if listed else "false"
        if operator in ("is-null", "not-null"):
            return f"{name} IS {'' if operator == 'is-null' else 'NOT '}NULL"
        within = inner_of(table.name, condition, depth)
        inner = self._schema.table(within.table)
        source = f"t{depth + 1}.{quoted(inner.column(within.column).name)}"
        # NULL is no value of the set; SQL's NOT IN would otherwise match nothing at all
        clauses = [f"{source} IS NOT NULL", *(self._one(inner, c, depth + 1) for c in within.where)]
        word = "IN" if operator == "within" else "NOT IN"
        rows = f"SELECT {source} FROM {inner.sql} AS t{depth + 1} WHERE {' AND '.join(clauses)}"
        return f"{name} {word} ({rows})"

    def _value(self, table: Table, column: Column, value: object) -> str:
        """Return a value as SQL text if it is of the column's kind. A message never quotes it."""
        kind = column.type
        if isinstance(value, bool):
            if kind == "BOOLEAN":
                return str(value).lower()
        elif isinstance(value, str):
            if kind.startswith(_TEXTS) or kind == "BLOB":
                text = literal(value)
                return f"encode({text})" if kind == "BLOB" else text
            if kind.startswith(_TIMES) or kind in _INTEGERS or kind.startswith("DECIMAL"):
                return f"CAST({literal(value)} AS {kind})"
        elif isinstance(value, int) and (kind in _INTEGERS or kind.startswith(_FRACTIONS)):
            return str(value)
        elif isinstance(value, float) and kind.startswith(_FRACTIONS) and math.isfinite(value):
            return repr(value)
        raise Refused(
            f"a value for {table.name}.{column.name} is none that a column of type {kind[:40]} holds"
        )
