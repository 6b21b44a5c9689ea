"""Turn the conditions of a job into SQL: names from the schema and quoted, values typed and quoted.

Rules kept: a value is compared with a column of its own kind only, because MariaDB finds every word
equal to the number 0; a condition that is not complete, or that says two things, is refused. Texts
are compared as the column's collation does, as its unique keys and foreign keys do.
"""

import math
import re
from collections.abc import Sequence

from deleatur.api import Clauses, Condition, Refused, Secrets
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
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,64})(\.[0-9]{1,38})?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d:\d\d(\.\d{1,6})?)?|-?\d{1,3}:\d\d:\d\d(\.\d{1,6})?", re.ASCII
)


class Selector(Clauses):
    """Compiles conditions for one session."""

    def __init__(self, session: Session, schema: Schema, secrets: Secrets) -> None:
        super().__init__(schema.table, quoted, secrets)
        self._session = session

    def clause(self, table: Table, where: Sequence[Condition]) -> str:
        """Return the WHERE clause. Raises Refused also when there are too many values for one statement."""
        clause = super().clause(table, where)
        if len(clause) > _LONGEST:
            raise Refused(
                f"the values for {table.name!r} make a statement that is too long; make several jobs"
            )
        return clause

    def value(self, table: Table, column: Column, value: object) -> str:
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
