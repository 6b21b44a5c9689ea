"""Decide by the conditions of a job which keys are meant: by name, or by a field of a hash.

Rules kept: a condition that is not complete, says two things, or asks for what a key does not have
is refused; values are compared byte by byte, and a field that is missing equals nothing.
"""

from collections.abc import Callable, Iterator, Sequence

from deleatur.api import Condition, Refused, Secrets, listed_values, refuse_ambiguous
from deleatur_plugins.redis.keyspace import Entry, Pattern

KEY = "@key"  # the column that is a key's own name; a field that begins with @ has a second one
Meets = Callable[[Entry], bool]
_OPERATORS = frozenset({"=", "!=", "in", "is-null", "not-null"})


def column_of(field: bytes) -> str:
    """Return the column that a field of a hash is."""
    name = field.decode("utf-8", "surrogateescape")
    return f"@{name}" if name.startswith("@") else name


def field_of(column: str) -> bytes:
    """Return the field of a hash that a column is.

    Raises:
        Refused: there is no such column.
    """
    if column.startswith("@") and not column.startswith("@@"):
        raise Refused(
            f"no column is called {column[:40]!r}; {KEY} is the key, every other one a field of a hash"
        )
    return column.removeprefix("@").encode("utf-8", "surrogateescape")


class Selector:
    """Compiles conditions."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def meets(self, pattern: Pattern, where: Sequence[Condition]) -> Meets:
        """Return the test of a key that matches `pattern`.

        Raises:
            Refused: a condition does not say one thing; the test raises it for a key without fields.
        """
        tests = [self._one(pattern, condition) for condition in where]
        return lambda entry: all(test(entry) for test in tests)

    def _one(self, pattern: Pattern, condition: Condition) -> Meets:
        refuse_ambiguous(pattern.text, condition)
        if condition.operator not in _OPERATORS:
            raise Refused(
                f"the condition on {pattern.text}.{condition.column} uses {condition.operator!r}, which keys "
                f"do not know; possible are {', '.join(sorted(_OPERATORS))}"
            )
        told = self._told(pattern, condition.column)
        match condition.operator:
            case "is-null":
                return lambda entry: told(entry) is None
            case "not-null":
                return lambda entry: told(entry) is not None
            case "!=":
                other = _bytes(pattern, condition, condition.value)
                return lambda entry: told(entry) not in (None, other)
            case _:
                wanted = frozenset(self._values(pattern, condition))
                return lambda entry: told(entry) in wanted

    def _told(self, pattern: Pattern, column: str) -> Callable[[Entry], bytes | None]:
        if column == KEY:
            return lambda entry: entry.key
        field = field_of(column)

        def told(entry: Entry) -> bytes | None:
            if entry.type != "hash":
                raise Refused(
                    f"{pattern.text!r} has keys of type {entry.type[:40]!r}, which have no fields; write "
                    f'"hash {pattern.glob.decode()}" to mean hashes only'
                )
            return entry.fields().get(field)

        return told

    def _values(self, pattern: Pattern, condition: Condition) -> Iterator[bytes]:
        if condition.values_from is not None:
            yield from (v.encode() for v in listed_values(self._secrets, condition.values_from))
            return
        values = condition.values if condition.operator == "in" else (condition.value,)
        yield from (_bytes(pattern, condition, value) for value in values or ())


def _bytes(pattern: Pattern, condition: Condition, value: object) -> bytes:
    """Return a value as the server has it. A message never quotes it."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value).encode()
    raise Refused(f"a value for {pattern.text}.{condition.column} is neither a text nor a whole number")
