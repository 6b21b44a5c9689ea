"""The `mariadb` backend: rows of a database by predicate, or all rows of its tables.

Rules kept: a look changes nothing; every name comes from the schema and every value is typed; with
the server's files in reach it erases down to them, else only if the job asks for less by name.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
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
    alone,
    digest_key,
    drawn,
    selection_named,
    shredding,
)
from deleatur_plugins.mariadb.connecting import Session, address_of
from deleatur_plugins.mariadb.content import Content, value_at
from deleatur_plugins.mariadb.deleting import delete_rows
from deleatur_plugins.mariadb.ground import REBUILD, RELOAD, ROWS, Ground
from deleatur_plugins.mariadb.holdings import contents_of
from deleatur_plugins.mariadb.rebuilding import Rebuilding
from deleatur_plugins.mariadb.reloading import Reloading, denials_of, outage_of, standing_in_the_way
from deleatur_plugins.mariadb.rights import for_all, for_files, for_rows, missing
from deleatur_plugins.mariadb.schema import Schema, read_schema
from deleatur_plugins.mariadb.waiting import PLANNED

_TABLE = "table "  # how the unit of a table begins


class MariadbBackend(Backend):
    """Rows of a MariaDB database: `mariadb://HOST/DATABASE` or `mariadb:///DATABASE?socket=/path`."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        self._address = address_of(target.url)
        self._target = target
        self._secrets = secrets
        self._probing: tuple[Session, Schema] | None = None
        self._opened: list[Session] = []
        self._alone = ExitStack()
        self._key = digest_key(secrets)

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Take note of the target; the server is asked when something is asked for."""
        return cls(target, secrets)

    def close(self) -> None:
        """Close what is still connected, and let other runs to the server."""
        self._alone.close()
        while self._opened:
            self._opened.pop().close()
        self._probing = None

    def inspect(self) -> Inspection:
        """Say what is there. Raises Gone when the server has no such database."""
        with self._content() as (session, content):
            content.check_archive()
            ground = Ground(session)
            technique = self._technique()
            denials = self._denials(ground)
            possible = technique == ROWS or not denials
            units = content.units()
            return Inspection(
                identity=Identity(
                    kind="rows", fields=(*ground.identity(technique), *self._selection(content))
                ),
                size=sum(unit.size for unit in units),
                units=units,
                offers=(_offer(ground, technique),) if possible else (),
                denials=tuple(
                    Denial(technique=d.technique, reason=f"{d.reason} (or ask for technique {ROWS})")
                    for d in denials
                ),
                surfaces=ground.surfaces(),
                blockers=self._blockers(session, content, ground, technique),
                held=content.held(),
            )

    def _technique(self) -> str:
        """Return the one technique for this target: another than the first only if the job names it."""
        wanted = self._target.technique
        return wanted if wanted in (RELOAD, ROWS) else REBUILD

    def _denials(self, ground: Ground) -> tuple[Denial, ...]:
        return denials_of(ground) if self._technique() == RELOAD else ground.denials()

    def _selection(self, content: Content) -> Iterator[tuple[str, str]]:
        yield "schema-sha256", content.schema.digest()
        yield from selection_named(self._target)

    def _blockers(
        self, session: Session, content: Content, ground: Ground, technique: str
    ) -> tuple[str, ...]:
        database = self._address.database
        needs = {REBUILD: for_files(database), RELOAD: for_all(), ROWS: for_rows(database)}
        lacking = missing(session, needs[technique])
        found = [f"this user has too few rights: {'; '.join(lacking)}"] if lacking else []
        if not session.quiet:
            found.append(
                "the general log is on and would note what is looked for; grant SUPER, or switch it off"
            )
        found += [
            f"rows of {table!r} refer to rows that would go; select those rows too"
            for table in content.referring()
        ]
        if technique == REBUILD:
            found += filter(None, (choice.table.standstill() for choice in content.choices))
        if technique != ROWS and not lacking:
            journal = ground.journal(self._secrets, self._target)
            found += ground.blockers((choice.table.name for choice in content.choices), journal)
        if technique == RELOAD and not lacking and not denials_of(ground):
            found += standing_in_the_way(session, ground)
        return tuple(found)

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name selected texts and blobs by table, sealed key and column; a row without any by itself."""
        yield from drawn(self._places(), count, seed)

    def _places(self) -> Iterator[Locator]:
        with self._content() as (_, content):
            for table, sealed, column in content.places():
                yield Locator(unit=f"{_TABLE}{table.name}", item=f"{sealed}/{column}")

    def probe(self, place: Locator) -> bytes | None:
        """Return a stored value as it is stored; None when the server finds no such row or a NULL in it."""
        if self._probing is None:
            session = Session(self._address)
            self._opened.append(session)
            self._probing = session, read_schema(session)
        session, schema = self._probing
        sealed, _, column = place.item.partition("/")
        if not place.unit.startswith(_TABLE) or not sealed:
            raise Failed("the place is none of this backend's")
        table = schema.table(place.unit.removeprefix(_TABLE))
        return value_at(session, self._key, table, sealed, column)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do the step's action; nothing happens before the first cursor is asked for."""
        ways: dict[tuple[str, str], type[Rebuilding] | type[Reloading]]
        ways = {(REBUILD, "rebuild"): Rebuilding, (RELOAD, "reload"): Reloading}
        asked = (step.technique, step.action)
        match asked:
            case (str(technique), _) if technique == self._technique() and asked in ways:
                self._alone.close()  # an earlier run of ours: whoever asks for another has given it up
                with closing(Session(self._address)) as session, ExitStack() as self._alone:
                    ground = Ground(session)
                    if denials := self._denials(ground):
                        raise Refused(denials[0].reason)
                    self._alone.enter_context(alone(ground.data))
                    stream = shredding(step, self._key)
                    run = ways[asked](session, ground, self._target, self._secrets, stream)
                    yield from run.run(after)
            case (str(technique), "delete") if technique == ROWS == self._technique():
                with closing(Session(self._address)) as session:
                    rows = delete_rows(session, self._target, self._secrets)
                    yield Cursor(f"deleted {rows}", rows or (after.done if after else 0))
            case _:
                raise Unsupported(
                    f"{step.technique[:40]!r} with action {step.action[:40]!r} is not possible here"
                )

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of `table` that the archive keeps, every column, as Python values."""
        with self._content() as (_, content):
            yield from content.records(table)

    def contents(self) -> Contents:
        """Show every table with its columns, keys and rows."""
        session = Session(self._address)
        self._opened.append(session)
        session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        return contents_of(session, Ground(session))

    def bystanders(self) -> Iterator[bytes]:
        """Yield the declarations and every row that is not selected, by table and key."""
        with self._content() as (_, content):
            yield from content.bystanders()

    @contextmanager
    def _content(self) -> Iterator[tuple[Session, Content]]:
        """Evaluate the target's selection in one snapshot."""
        if not self._target.select:
            raise Refused(
                "the target selects nothing; name each table with [[target.select]], all rows or some"
            )
        with closing(Session(self._address)) as session:
            session.run("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            yield session, Content(session, read_schema(session), self._target, self._secrets)


def _offer(ground: Ground, technique: str) -> Offer:
    outage = 0 if technique == ROWS else outage_of(ground) if technique == RELOAD else PLANNED
    return Offer(technique=technique, limits=ground.limits(technique), outage=outage)
