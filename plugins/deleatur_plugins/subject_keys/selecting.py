"""Which keys a target means: those of the subjects that it names, but for those that are held."""

from collections.abc import Iterator
from typing import Protocol

from deleatur.api import Condition, Refused, Secrets, Target, listed_values, refuse_ambiguous

TABLE = "keys"


class Keys(Protocol):
    """What a store of keys can be asked, wherever it keeps them."""

    column: str  # by which a selection names keys

    def name_of(self, subject: str) -> str:
        """Return the name of a subject's key."""

    def names(self) -> Iterator[str]:
        """Yield the name of every key there is, in order."""

    def canary(self, name: str, column: str, nonce: bytes) -> bytes:
        """Return an empty value sealed under a key."""

    def open_by_name(self, name: str, column: str, value: bytes) -> bytes:
        """Return what was sealed, by the name of the key."""

    def close(self) -> None:
        """Release what was opened."""


def chosen_names(target: Target, store: Keys, secrets: Secrets) -> frozenset[str]:
    """Return the names of the keys that are selected and not held: all, where nothing is selected."""
    held = held_names(target, store, secrets)
    if not target.select:
        return frozenset(store.names()) - held
    parts = (_named(part.table, part.where, store, secrets) for part in target.select)
    return frozenset(name for part in parts for name in part) - held


def held_names(target: Target, store: Keys, secrets: Secrets) -> frozenset[str]:
    """Return the names of the keys that are held."""
    return frozenset(n for part in target.hold for n in _named(part.table, part.where, store, secrets))


def _named(table: str, where: tuple[Condition, ...], store: Keys, secrets: Secrets) -> Iterator[str]:
    if table != TABLE:
        raise Refused(f"a key store has one table, {TABLE}, and not {table[:80]!r}")
    if not where:
        yield from store.names()
        return
    if len(where) != 1 or where[0].column != store.column or where[0].operator not in ("=", "in"):
        raise Refused(f"keys are selected by one condition: {store.column} = a value, or in a list")
    condition = where[0]
    refuse_ambiguous(table, condition)
    if condition.values_from is not None:
        yield from map(store.name_of, listed_values(secrets, condition.values_from))
        return
    for value in condition.values or (condition.value,):
        if not isinstance(value, str):
            raise Refused(f"{store.column} is a text; write it in quotes")
        yield store.name_of(value)
