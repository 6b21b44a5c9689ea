"""Turn the conditions of a job into SQL: names from the schema and quoted, values typed and quoted.

Rules kept: a value is compared with a column of its own kind only; a condition that is not
complete, or that says two things, is refused.
"""

import math

from deleatur.api import Clauses, Refused, Secrets
from deleatur_plugins.duckdb.connecting import literal, quoted
from deleatur_plugins.duckdb.schema import Column, Schema, Table

_TEXTS = ("VARCHAR", "ENUM", "UUID", "JSON")
_TIMES = ("DATE", "TIME", "TIMESTAMP")
_INTEGERS = frozenset(
    f"{sign}{size}INT" if size != "INTEGER" else f"{sign}INTEGER"
    for sign in ("", "U")
    for size in ("TINY", "SMALL", "INTEGER", "BIG", "HUGE")
)
_FRACTIONS = ("FLOAT", "DOUBLE", "DECIMAL")


class Selector(Clauses):
    """Compiles conditions for one attached database."""

    def __init__(self, schema: Schema, secrets: Secrets) -> None:
        super().__init__(schema.table, quoted, secrets)

    def value(self, table: Table, column: Column, value: object) -> str:
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
