"""Conditions as a WHERE clause with quoted names and values, for databases that take values as text. Pure.

Rules kept: names come from the schema; a condition that is not complete, or that says two things, is
refused; how a value is written, and which a column takes, each database says itself.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are typed

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deleatur.documents.job import Condition, Target
from deleatur.judge.choosing import refuse_forgotten_columns
from deleatur.judge.selecting import inner_of, listed_values, refuse_ambiguous

_COMPARED = frozenset({"=", "!=", "<", "<=", ">", ">="})


class Clauses(ABC):
    """Compiles conditions for one schema.

    A table of it has `name`, `sql`, `columns` and `column(name)`, and a column has `name`.
    """

    def __init__(
        self, table_of: Callable[[str], Any], quoted: Callable[[str], str], secrets: Mapping[str, bytes]
    ) -> None:
        self._table_of = table_of
        self._quoted = quoted
        self._secrets = secrets

    @abstractmethod
    def value(self, table: Any, column: Any, value: object) -> str:
        """Return a value as SQL text. Raises Refused, without quoting it, if the column holds no such."""

    def clause(self, table: Any, where: Sequence[Condition]) -> str:
        """Return the WHERE clause over `t0` for the rows of `table` that meet every condition.

        Raises:
            Refused: an unknown name, or a condition that does not say one thing.
        """
        return " AND ".join(self._one(table, condition, 0) for condition in where) or "true"

    def archived(self, target: Target, name: str) -> Iterator[tuple[Any, str]]:
        """Yield each part of a table that the target's archive keeps, as a clause."""
        for wanted in target.archive:
            if wanted.table == name:
                table = self._table_of(name)
                yield table, self.clause(table, wanted.where)

    def check_archive(self, target: Target) -> None:
        """See that the archive names only what is there, and that it forgets no column.

        Raises:
            Refused: a name that the schema does not know, or a column without a rule.
        """
        for wanted in target.archive:
            table = self._table_of(wanted.table)
            self.clause(table, wanted.where)
            for name in wanted.columns:
                table.column(name)
            refuse_forgotten_columns(table.name, [c.name for c in table.columns], list(wanted.columns))

    def _one(self, table: Any, condition: Condition, depth: int) -> str:
        column = table.column(condition.column)
        name = f"t{depth}.{self._quoted(column.name)}"
        operator = condition.operator
        refuse_ambiguous(table.name, condition)
        if operator in _COMPARED:
            return f"{name} {operator} {self.value(table, column, condition.value)}"
        if operator == "in":
            values: Iterator[object] = iter(condition.values or ())
            if condition.values_from is not None:
                values = listed_values(self._secrets, condition.values_from)
            listed = [self.value(table, column, v) for v in values]
            return f"{name} IN ({', '.join(listed)})" if listed else "false"
        if operator in ("is-null", "not-null"):
            return f"{name} IS {'' if operator == 'is-null' else 'NOT '}NULL"
        return self._within(name, table, condition, depth)

    def _within(self, name: str, table: Any, condition: Condition, depth: int) -> str:
        within = inner_of(table.name, condition, depth)
        inner = self._table_of(within.table)
        alias = f"t{depth + 1}"
        source = f"{alias}.{self._quoted(inner.column(within.column).name)}"
        # NULL is no value of the set; SQL's NOT IN would otherwise match nothing at all
        clauses = [f"{source} IS NOT NULL", *(self._one(inner, c, depth + 1) for c in within.where)]
        word = "IN" if condition.operator == "within" else "NOT IN"
        return f"{name} {word} (SELECT {source} FROM {inner.sql} AS {alias} WHERE {' AND '.join(clauses)})"
