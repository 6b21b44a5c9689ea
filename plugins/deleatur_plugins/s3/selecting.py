"""Decide by the conditions of a job which entries of a bucket are meant.

Rules kept: a condition that is not complete, or says two things, is refused; keys may name people, so
they come from a file of the operator's only, and a message never quotes them.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from deleatur.api import Condition, Refused, Secrets, listed_values, refuse_ambiguous
from deleatur_plugins.s3.listing import Entry

TABLE = "objects"
Meets = Callable[[Entry], bool]


def meets(secrets: Secrets, table: str, where: Sequence[Condition]) -> Meets:
    """Return the test of an entry.

    Raises:
        Refused: a condition does not say one thing, or asks for what entries do not have.
    """
    if table != TABLE:
        raise Refused(f"a bucket has one table, {TABLE!r}, and none called {table[:40]!r}")
    tests = [_one(secrets, condition) for condition in where]
    return lambda entry: all(test(entry) for test in tests)


def _one(secrets: Secrets, condition: Condition) -> Meets:
    refuse_ambiguous(TABLE, condition)
    match (condition.column, condition.operator):
        case ("@key", "in") if condition.values_from is not None:
            keys = frozenset(listed_values(secrets, condition.values_from))
            return lambda entry: entry.key in keys
        case ("@prefix", "in") if condition.values_from is not None:
            prefixes = tuple(listed_values(secrets, condition.values_from))
            return lambda entry: entry.key.startswith(prefixes)
        case ("@modified", "<"):
            before = _moment(condition.value)
            return lambda entry: entry.modified < before
    raise Refused(
        f"the condition on {condition.column[:40]!r} is not possible here; possible are @key and @prefix "
        "with in and values_from, and @modified with <"
    )


def _moment(value: object) -> str:
    """Return a moment as entries have it."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refused("@modified wants a moment with its zone, such as 2026-11-23T00:00:00Z")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
