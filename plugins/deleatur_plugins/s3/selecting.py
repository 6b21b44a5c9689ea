"""Decide by the conditions of a job which entries of a bucket are meant.

Rules kept: a condition that is not complete, or says two things, is refused; keys, tags and metadata may
name people, so they come from a file of the operator's only, and a message never quotes them; what has to be
asked for is asked last, and only of what meets everything else.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from deleatur.api import Condition, Refused, Secrets, Target, listed_values, refuse_ambiguous
from deleatur_plugins.s3.describing import Described, Kind
from deleatur_plugins.s3.listing import Entry

TABLE = "objects"
Meets = Callable[[Entry], bool]
_ASKED: tuple[tuple[str, Kind], ...] = (("@tag:", "tag"), ("@meta:", "meta"))  # how their columns begin


def asked_of(target: Target) -> frozenset[Kind]:
    """Return what has to be asked for to decide: nothing, tags, metadata."""
    groups = [*(selection.where for selection in target.select), *(hold.where for hold in target.hold)]
    columns = [condition.column for where in groups for condition in where]
    return frozenset(kind for begin, kind in _ASKED if any(column.startswith(begin) for column in columns))


def meets(secrets: Secrets, described: Described, table: str, where: Sequence[Condition]) -> Meets:
    """Return the test of an entry.

    Raises:
        Refused: a condition does not say one thing, or asks for what entries do not have.
    """
    if table != TABLE:
        raise Refused(f"a bucket has one table, {TABLE!r}, and none called {table[:40]!r}")
    in_turn = sorted(where, key=lambda condition: condition.column.startswith(tuple(b for b, _ in _ASKED)))
    tests = [_one(secrets, described, condition) for condition in in_turn]
    return lambda entry: all(test(entry) for test in tests)


def _one(secrets: Secrets, described: Described, condition: Condition) -> Meets:
    refuse_ambiguous(TABLE, condition)
    for begin, kind in _ASKED:
        if condition.column.startswith(begin):
            return _beside(secrets, described, kind, condition.column.removeprefix(begin), condition)
    match (condition.column, condition.operator):
        case ("@key", "in") if condition.values_from is not None:
            keys = frozenset(listed_values(secrets, condition.values_from))
            return lambda entry: entry.key in keys
        case ("@prefix", "in") if condition.values_from is not None:
            prefixes = tuple(listed_values(secrets, condition.values_from))
            return lambda entry: entry.key.startswith(prefixes)
        case ("@version", "in") if condition.values_from is not None:
            names = frozenset(map(_version_named, listed_values(secrets, condition.values_from)))
            return lambda entry: entry.kind != "upload" and entry.name in names
        case ("@modified", "<"):
            before = _moment(condition.value)
            return lambda entry: entry.modified < before
    raise Refused(
        f"the condition on {condition.column[:40]!r} is not possible here; possible are @key, @prefix, "
        "@version, @tag:NAME and @meta:NAME with in and values_from, the last two with is-null and not-null, "
        "and @modified with <"
    )


def _version_named(line: str) -> tuple[str, str]:
    """Return key and id of a line `ID KEY`."""
    id_, space, key = line.partition(" ")
    if not (id_ and space and key):
        raise Refused("each line of a @version list is an id, one space and a key; one is not")
    return key, id_


def _beside(secrets: Secrets, described: Described, kind: Kind, name: str, condition: Condition) -> Meets:
    """Return the test of one tag, or of one name of the metadata.

    A marker and an upload have neither, and meet no such condition, nor does a version that went in between.
    """
    named = name.lower() if kind == "meta" else name
    if not named:
        raise Refused("a condition on a tag or on metadata names it: @tag:NAME, @meta:NAME")
    match condition.operator:
        case "in" if condition.values_from is not None:
            values: frozenset[str | None] = frozenset(listed_values(secrets, condition.values_from))
            return lambda entry: (told := described(entry, kind)) is not None and told.get(named) in values
        case "is-null":
            return lambda entry: (told := described(entry, kind)) is not None and named not in told
        case "not-null":
            return lambda entry: (told := described(entry, kind)) is not None and named in told
    raise Refused("a condition on a tag or on metadata has in with values_from, is-null or not-null")


def _moment(value: object) -> str:
    """Return a moment as entries have it."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Refused("@modified wants a moment with its zone, such as 2026-11-23T00:00:00Z")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
