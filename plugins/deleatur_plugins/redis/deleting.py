"""Delete the selected keys: exactly those of the plan, some hundred in each transaction.

Rules kept: each key is compared once more while the server watches it; a key of ours says, in the
same transaction, what was deleted, so that after any kill the rest is known to be of the plan.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from deleatur.api import Refused, Secrets, Target, Transient, keyed_digest
from deleatur_plugins.redis.connecting import Session
from deleatur_plugins.redis.content import Choice, Content
from deleatur_plugins.redis.keyspace import MARKER, entries

_BATCH = 500  # keys in one transaction; the server looks through those it watches for each one more
_JOB = b"job"
_CHANGED = "the selected keys changed since the plan; plan again"


@dataclass
class Deleted:
    """What was deleted of each unit: how many keys, and the sum of their digests."""

    counts: dict[str, int]
    sums: dict[str, int]

    @property
    def rows(self) -> int:
        """How many keys in all."""
        return sum(self.counts.values())

    def add(self, choice: Choice) -> None:
        """Count one key."""
        self.counts[choice.unit] = self.counts.get(choice.unit, 0) + 1
        self.sums[choice.unit] = (self.sums.get(choice.unit, 0) + choice.digest) % (1 << 256)


def marker_of(secrets: Secrets) -> bytes:
    """Return what our key says when it is of this job."""
    return keyed_digest(secrets["digest-key"], b"marker").encode()


def foreign_marker(session: Session, secrets: Secrets) -> bool:
    """Say whether another job's erase is under way, or was left."""
    if session.ask("TYPE", MARKER) == b"none":
        return False
    if session.ask("TYPE", MARKER) != b"hash":
        return True
    job: bytes | None = session.ask("HGET", MARKER, _JOB)
    return job != marker_of(secrets)


def delete_keys(session: Session, target: Target, secrets: Secrets) -> int:
    """Delete; return how many keys of the plan are gone by now, those of earlier runs included.

    Raises:
        Refused: the keys are not those of the plan. Nothing more was deleted.
        Transient: somebody changed one of them at that moment.
    """
    if foreign_marker(session, secrets):
        raise Refused(foreign_words())
    content = Content(session, target, secrets)
    deleted = _earlier(session)
    _compare_with_plan(secrets, content, deleted)
    for first in range(0, len(content.choices), _BATCH):
        _delete(session, secrets, content, content.choices[first : first + _BATCH], deleted)
    if Content(session, target, secrets).choices:
        raise Refused("keys came into the selection while it was deleted; move them out and resume")
    session.ask("DEL", MARKER)
    return deleted.rows


def foreign_words() -> str:
    """Say that another erase has left its key."""
    return (
        f"the key {MARKER.decode()} is of another erase: finish that one, or remove the key if none is left"
    )


def _delete(
    session: Session, secrets: Secrets, content: Content, some: Sequence[Choice], deleted: Deleted
) -> None:
    expected = {choice.key: choice.digest for choice in some}
    session.ask("WATCH", *expected)
    now = {entry.key: content.digest(entry) for entry in entries(session, list(expected))}
    if now != expected:
        session.ask("UNWATCH")
        raise Refused(_CHANGED)
    for choice in some:
        deleted.add(choice)
    told = [
        part
        for unit, count in deleted.counts.items()
        for part in (b"unit " + unit.encode(), f"{count} {deleted.sums[unit]:064x}")
    ]
    *_, outcome = session.ask_all(
        [
            ("MULTI",),
            ("HSET", MARKER, _JOB, marker_of(secrets), *told),
            ("DEL", *expected),
            ("EXEC",),
        ]
    )
    if outcome is None:
        raise Transient("a selected key was changed at the moment of its deletion; nothing went, try again")
    if outcome[-1] != len(expected):
        raise Refused(f"{len(expected)} keys were to go and {outcome[-1]} went; compare with a backup")


def _earlier(session: Session) -> Deleted:
    """Read what earlier runs of this job deleted."""
    found = Deleted({}, {})
    told = session.ask("HGETALL", MARKER)
    for name, value in zip(told[::2], told[1::2], strict=True):
        if name != _JOB:
            unit = name.decode().removeprefix("unit ")
            count, total = value.decode().split(" ")
            found.counts[unit], found.sums[unit] = int(count), int(total, 16)
    return found


def _compare_with_plan(secrets: Secrets, content: Content, deleted: Deleted) -> None:
    """Compare what is left and what is deleted with what was approved, as far as the engine says that.

    When nothing is left there is nothing to compare: our key goes with the last of them.
    """
    approved = secrets.get("approved-units")
    if approved is None or not content.choices:
        return
    tree = json.loads(approved)
    together = Deleted(dict(deleted.counts), dict(deleted.sums))
    for choice in content.choices:
        together.add(choice)
    units = tuple(content.unit(name, n, together.sums[name]) for name, n in together.counts.items())
    for key, now, words in (
        ("units", units, _CHANGED),
        ("held", content.held(), "the held keys changed since the plan; plan again"),
    ):
        if {(u.name, u.size, u.digest) for u in now} != {
            (u["name"], u["size"], u["digest"]) for u in tree[key]
        }:
            raise Refused(words)
