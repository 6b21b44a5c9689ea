"""Turn the conditions of a job into SQL for PostgreSQL: names from the catalogs, values always bound.

Rules kept: nothing of a job is ever spliced into an SQL text except names that the catalogs know; a
condition that is not complete, or that says two things, is refused; no temporary table is made.
"""

# ruff: noqa: S608 - the names in an SQL text come from the catalogs and are quoted, values are bound

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from deleatur.api import (
    Condition,
    Refused,
    Secrets,
    Target,
    inner_of,
    listed_values,
    refuse_ambiguous,
)
from deleatur_plugins.postgresql.schema import Column, Schema, Table, quoted

_COMPARED = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
Bound = str | list[str]


@dataclass
class Query:
    """A condition over `t0` and what is bound to it."""

    clause: str = "true"
    bound: list[Bound] = field(default_factory=list)


def read_by_conditions(target: Target) -> frozenset[str]:
    """Return the tables, as the job names them, that conditions look into to tell which rows go or stay."""
    wheres = [*(s.where for s in target.select), *(h.where for h in target.hold)]
    return frozenset(name for where in wheres for name in _inner(where))


def _inner(where: Sequence[Condition]) -> Iterator[str]:
    for condition in where:
        if condition.within is not None:
            yield condition.within.table
            yield from _inner(condition.within.where)


class Selector:
    """Compiles conditions for one schema."""

    def __init__(self, schema: Schema, secrets: Secrets) -> None:
        self._schema = schema
        self._secrets = secrets

    def query(self, table: Table, where: Sequence[Condition]) -> Query:
        """Return the query for the rows of `table` that meet every condition.

        Raises:
            Refused: an unknown name, or a condition that does not say one thing.
        """
        query = Query("", [])
        query.clause = " AND ".join(self._clause(table, c, 0, query.bound) for c in where) or "true"
        return query

    def _clause(self, table: Table, condition: Condition, depth: int, bound: list[Bound]) -> str:
        column = self._schema.column(table, condition.column)
        name = f"t{depth}.{quoted(column.name)}"
        operator = condition.operator
        refuse_ambiguous(table.name, condition)
        if operator in _COMPARED:
            bound.append(_text(table, column, condition.value))
            return f"{name} {_COMPARED[operator]} CAST(%s AS {_cast(column)})"
        if operator == "in":
            bound.append(self._values(table, column, condition))
            return f"{name} = ANY (CAST(CAST(%s AS text[]) AS {_cast(column)}[]))"
        if operator in ("is-null", "not-null"):
            return f"{name} {'IS NULL' if operator == 'is-null' else 'IS NOT NULL'}"
        return self._within(name, table, condition, depth, bound)

    def _within(self, name: str, table: Table, condition: Condition, depth: int, bound: list[Bound]) -> str:
        within = inner_of(table.name, condition, depth)
        inner = self._schema.table(within.table)
        alias = f"t{depth + 1}"
        source = f"{alias}.{quoted(self._schema.column(inner, within.column).name)}"
        # NULL is no value of the set; SQL's NOT IN would otherwise match nothing at all
        clauses = [f"{source} IS NOT NULL"]
        clauses += [self._clause(inner, c, depth + 1, bound) for c in within.where]
        word = "IN" if condition.operator == "within" else "NOT IN"
        return (
            f"{name} {word} (SELECT {source} FROM {inner.qualified} AS {alias} WHERE {' AND '.join(clauses)})"
        )

    def _values(self, table: Table, column: Column, condition: Condition) -> list[str]:
        if condition.values_from is not None:
            lines = listed_values(self._secrets, condition.values_from)
            return [_text(table, column, line) for line in lines]
        return [_text(table, column, value) for value in condition.values or ()]


def _cast(column: Column) -> str:
    return column.type.replace("%", "%%")


def _text(table: Table, column: Column, value: object) -> str:
    """Return a value as the text that the server reads it from; a message never quotes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and not math.isnan(value):
        return repr(value)
    if isinstance(value, str) and "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value):
        return value
    raise Refused(f"the value for {table.name}.{column.name} is not one that PostgreSQL can hold")
