"""Turn the conditions of a job into SQL: names from the schema and quoted, values typed and quoted.

Rules kept: a value is compared with a column of its own kind only, because MariaDB finds every word
equal to the number 0; a condition that is not complete, or that says two things, is refused. Texts
are compared as the column's collation does, as its unique keys and foreign keys do.
"""

import math
import re
from collections.abc import Iterator, Sequence

from deleatur.api import Condition, Refused, Secrets, inner_of, listed_values, refuse_ambiguous
from deleatur_plugins.mariadb.connecting import Session, quoted
from deleatur_plugins.mariadb.schema import (
    BLOBS,
    FLOATS,
    INTEGERS,
    TEXTS,
    TIMES,
    WORDS,
    Column,
    Schema,
    Table,
)

_LONGEST = 8 << 20  # characters of one statement; the server's max_allowed_packet is 16 MiB by default
_COMPARED = frozenset({"=", "!=", "<", "<=", ">", ">="})
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,64})(\.[0-9]{1,38})?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d{1,6})?)?|-?\d{1,3}:\d\d:\d\d(\.\d{1,6})?", re.ASCII
)


class Selector:
    """Compiles conditions for one session."""

    def __init__(self, session: Session, schema: Schema, secrets: Secrets) -> None:
        self._session = session
        self._schema = schema
        self._secrets = secrets

    def clause(self, table: Table, where: Sequence[Condition]) -> str:
        """Return the WHERE clause over `t0` for the rows of `table` that meet every condition.

        Raises:
            Refused: an unknown name, a condition that does not say one thing, or too many values.
        """
        clause = " AND ".join(self._one(table, condition, 0) for condition in where) or "1"
        if len(clause) > _LONGEST:
            raise Refused(
                f"the values for {table.name!r} make a statement that is too long; make several jobs"
            )
        return clause

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
            return f"{name} IN ({', '.join(listed)})" if listed else "0"
        if operator in ("is-null", "not-null"):
            return f"{name} IS {'' if operator == 'is-null' else 'NOT '}NULL"
        return self._within(name, table, condition, depth)

    def _within(self, name: str, table: Table, condition: Condition, depth: int) -> str:
        within = inner_of(table.name, condition, depth)
        inner = self._schema.table(within.table)
        alias = f"t{depth + 1}"
        source = f"{alias}.{quoted(inner.column(within.column).name)}"
        # NULL is no value of the set; SQL's NOT IN would otherwise match nothing at all
        clauses = [f"{source} IS NOT NULL", *(self._one(inner, c, depth + 1) for c in within.where)]
        word = "IN" if condition.operator == "within" else "NOT IN"
        return f"{name} {word} (SELECT {source} FROM {inner.sql} AS {alias} WHERE {' AND '.join(clauses)})"  # noqa: S608

    def _value(self, table: Table, column: Column, value: object) -> str:
        """Return a value as SQL text if it is of the column's kind. A message never quotes it."""
        text = value if isinstance(value, str) else None
        if isinstance(value, bool):
            value = int(value)
        if column.type in TEXTS | WORDS and text is not None:
            return self._session.literal(text)
        if column.type in BLOBS and text is not None:
            return f"x'{text.encode().hex()}'" if text else "''"
        if column.type in TIMES and text is not None and _TIME.fullmatch(text):
            return self._session.literal(text)
        if column.type in INTEGERS | FLOATS | {"decimal"}:
            if isinstance(value, int) or (text is not None and _INTEGER.fullmatch(text)):
                return str(value)
            exact = column.type not in INTEGERS
            if exact and (text is not None and _DECIMAL.fullmatch(text)):
                return text
            if exact and isinstance(value, float) and math.isfinite(value):
                return repr(value)
        raise Refused(
            f"a value for {table.name}.{column.name} is none that a column of type {column.type} holds"
        )
