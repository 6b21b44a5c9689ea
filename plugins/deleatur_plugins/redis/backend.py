"""The `redis` backend: keys of one database by pattern, by name, or by a field of a hash.

Rules kept: a look changes nothing; nothing is evaluated by the server but a pattern; with the
server's files in reach it erases down to them, else only if the job asks for less by name.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Self

from deleatur.api import (
    Backend,
    Contents,
    Cursor,
    Denial,
    Failed,
    Identity,
    Inspection,
    Locator,
    Offer,
    Refused,
    Secrets,
    Step,
    Target,
    Unsupported,
    digest_key,
    drawn,
    selection_named,
    shredding,
)
from deleatur_plugins.redis.connecting import Session, address_of
from deleatur_plugins.redis.content import Content, unit_of, value_at
from deleatur_plugins.redis.deleting import delete_keys, foreign_marker, foreign_words
from deleatur_plugins.redis.ground import RESAVE, ROWS, Ground
from deleatur_plugins.redis.holdings import contents_of
from deleatur_plugins.redis.keyspace import Pattern
from deleatur_plugins.redis.resaving import Resaving
from deleatur_plugins.redis.rights import missing


class RedisBackend(Backend):
    """Keys of a Redis or Valkey database: `redis://HOST/0` or `redis:///0?socket=/path`."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        self._address = address_of(target.url)
        self._target = target
        self._secrets = secrets
        self._units = {unit_of(Pattern.of(selection.table)) for selection in target.select}
        self._opened: list[Session] = []
        self._key = digest_key(secrets)

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Take note of the target; the server is asked when something is asked for."""
        return cls(target, secrets)

    def close(self) -> None:
        """Close what is still connected."""
        while self._opened:
            self._opened.pop().close()

    def inspect(self) -> Inspection:
        """Say what is there."""
        with self._content() as (session, content):
            content.check_archive()
            ground = Ground(session)
            denials = ground.denials()
            technique = self._technique()
            possible = technique == ROWS or not denials
            units = content.units()
            identity = (*ground.identity(), *selection_named(self._target, "keys"))
            return Inspection(
                identity=Identity(kind="rows", fields=identity),
                size=sum(unit.size for unit in units),
                units=units,
                offers=(Offer(technique=technique, limits=ground.limits(technique)),) if possible else (),
                denials=tuple(
                    Denial(technique=d.technique, reason=f"{d.reason} (or ask for technique {ROWS})")
                    for d in denials
                ),
                surfaces=ground.surfaces(),
                blockers=self._blockers(session, content, ground, technique),
                held=content.held(),
            )

    def _technique(self) -> str:
        """Return the one technique for this target: the weaker one only if the job asks for it by name."""
        return ROWS if self._target.technique == ROWS else RESAVE

    def _blockers(
        self, session: Session, content: Content, ground: Ground, technique: str
    ) -> tuple[str, ...]:
        files = technique == RESAVE and not ground.distance
        lacking = missing(session, files=files)
        found = [f"this user has too few rights: {' '.join(lacking)} (ACL SETUSER)"] if lacking else []
        found += ground.strangers()
        expiring = sum(choice.expires for choice in content.choices)
        if expiring:
            found.append(
                f"{expiring} of the selected keys expire by themselves, so that nobody could tell what "
                "was erased from what went; run PERSIST on them first"
            )
        if foreign_marker(session, self._secrets):
            found.append(foreign_words())
        if files and not lacking:
            found += ground.blockers()
        return tuple(found)

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name selected keys, and texts in them, by sealed names."""
        with self._content() as (_, content):
            yield from drawn(content.places(), count, seed)

    def probe(self, place: Locator) -> bytes | None:
        """Return a key's name or a stored value; None when the server finds no such key, or nothing there."""
        if place.unit not in self._units:
            raise Failed("the place is none of this backend's")
        if not self._opened:
            self._opened.append(Session(self._address))
        return value_at(self._opened[0], self._key, place.item)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do the step's action; nothing happens before the first cursor is asked for."""
        match (step.technique, step.action):
            case (str(technique), "resave") if technique == RESAVE == self._technique():
                with self._for_change() as session:
                    ground = Ground(session)
                    if denials := ground.denials():
                        raise Refused(denials[0].reason)
                    stream = shredding(step, self._key)
                    yield from Resaving(session, ground, self._target, self._secrets, stream).run(after)
            case (str(technique), "delete") if technique == ROWS == self._technique():
                with self._for_change() as session:
                    rows = delete_keys(session, self._target, self._secrets)
                    yield Cursor(f"deleted {rows}", rows or (after.done if after else 0))
            case _:
                raise Unsupported(
                    f"{step.technique[:40]!r} with action {step.action[:40]!r} is not possible here"
                )

    @contextmanager
    def _for_change(self) -> Iterator[Session]:
        """Connect, and see again that no other server is concerned."""
        with closing(Session(self._address)) as session:
            if reasons := tuple(Ground(session).strangers()):
                raise Refused(reasons[0])
            yield session

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield what the archive keeps of a class of keys, as Python values."""
        with self._content() as (_, content):
            yield from content.records(table)

    def contents(self) -> Contents:
        """Show every class of keys with its columns and rows."""
        session = Session(self._address)
        self._opened.append(session)
        return contents_of(session, Ground(session))

    def bystanders(self) -> Iterator[bytes]:
        """Yield every key of the server that is not selected, by database and name."""
        with self._content() as (_, content):
            yield from content.bystanders()

    @contextmanager
    def _content(self) -> Iterator[tuple[Session, Content]]:
        """Evaluate the target's selection."""
        if not self._target.select:
            raise Refused("the target selects nothing; name each class of keys with [[target.select]]")
        with closing(Session(self._address)) as session:
            yield session, Content(session, self._target, self._secrets)
