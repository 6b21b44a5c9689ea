"""The `postgresql` backend: one database of a server, rows by predicate and whole tables.

Rules kept: a look changes nothing; every name comes from the catalogs and every value is bound; with
the server's files in reach it erases down to them, else only if the job asks for less by name.
"""

import hashlib
import heapq
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from deleatur.api import (
    Backend,
    Contents,
    Cursor,
    Denial,
    Failed,
    Identity,
    Inspection,
    Keystream,
    Locator,
    Offer,
    Refused,
    Secrets,
    Step,
    Target,
    Unsupported,
    alone,
    keyed_digest,
    without_values,
)
from deleatur_plugins.postgresql.blockers import (
    blockers_of,
    keepers,
    refuse_missing_rights,
    refuse_other_swaps,
)
from deleatur_plugins.postgresql.connecting import Connector, translated
from deleatur_plugins.postgresql.content import TABLE, Content, read_value, row_names, selected_tables
from deleatur_plugins.postgresql.cycling import room_for_log
from deleatur_plugins.postgresql.deleting import delete
from deleatur_plugins.postgresql.ground import keeps_parts, limits_of, surfaces_of
from deleatur_plugins.postgresql.holdings import contents_of
from deleatur_plugins.postgresql.integrity import NOT_CHECKED, has_checks
from deleatur_plugins.postgresql.objects import UNIT, named_objects, pages_of, read_page
from deleatur_plugins.postgresql.orphans import orphans
from deleatur_plugins.postgresql.rewriting import Rewriting
from deleatur_plugins.postgresql.schema import Table, read_schema
from deleatur_plugins.postgresql.server import (
    DELETE,
    REWRITE,
    SWAP,
    Server,
    no_transaction_can_be_prepared,
    server_of,
    size_of,
)
from deleatur_plugins.postgresql.swapping import is_swapping, transaction_name
from deleatur_plugins.postgresql.waiting import planned_outage

if TYPE_CHECKING:
    import psycopg


class PostgresqlBackend(Backend):
    """Rows of a PostgreSQL database: `postgresql://host:port/database`."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        if len(secrets.get("digest-key", b"")) != 32:
            raise Failed("the backend was opened without the job's digest key of 32 bytes")
        self._connector = Connector(target.url, prepared=transaction_name(secrets, target))
        self._target = target
        self._secrets = secrets
        self._names: dict[str, dict[str, tuple[str, ...]]] = {}
        self._tables: dict[str, Table] = {}
        self._probing: psycopg.Connection[Any] | None = None
        self._lock = ExitStack()

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Take note of the target; nothing is connected before it is asked for."""
        return cls(target, secrets)

    def close(self) -> None:
        """Close the connection of the probes, and let other runs to the server."""
        self._lock.close()
        if self._probing is not None:
            self._connector.disconnect(self._probing)
            self._probing = None

    def inspect(self) -> Inspection:
        """Say what is there."""
        if not self._target.select:
            raise Refused("the target selects nothing; name tables, with or without conditions")
        with self._connector.connected() as connection:
            server = server_of(connection)
            if isinstance(server, Server) and is_swapping(server, self._connector.prepared):
                return self._in_between(connection, server)
            with self._content() as content:
                content.check_archive()
                chosen = [choice.table for choice in content.choices]
                tables = [*chosen, *pages_of(chosen)]
                return Inspection(
                    identity=self._identity(connection, chosen),
                    size=content.rows,
                    units=content.units(),
                    offers=self._offers(connection, server, tables),
                    denials=self._denials(connection, server),
                    surfaces=surfaces_of(server, orphans(connection, server))
                    if isinstance(server, Server)
                    else surfaces_of(None),
                    blockers=(
                        *blockers_of(connection, self._connector, content),
                        *self._too_full(connection, server, tables),
                    ),
                    held=tuple(content.held),
                )

    def _in_between(self, connection: "psycopg.Connection[Any]", server: Server) -> Inspection:
        """Say what is there while the tables are locked by the prepared transaction of a run that was killed.

        The rows are deleted by then. What came after is seen by the next look, when the step has ended.
        """
        schema = read_schema(connection)
        return Inspection(
            identity=self._identity(connection, selected_tables(schema, self._target)),
            size=0,
            units=(),
            offers=self._offers(connection, server, []),
            surfaces=surfaces_of(server),
            blockers=tuple(keepers(connection, self._connector)),
        )

    def _technique(self) -> str:
        """Return the one technique for this target: another than the first only if the job names it."""
        wanted = self._target.technique
        return wanted if wanted in (SWAP, DELETE) else REWRITE

    def _too_full(
        self, connection: "psycopg.Connection[Any]", server: Server | str, tables: list[Table]
    ) -> Iterator[str]:
        """Name disks that a rewrite may fill: a server that cannot write its log stops."""
        if isinstance(server, str) or self._technique() == DELETE:
            return
        size = size_of(connection, [table.oid for table in tables])
        for what, folder, needed in (
            ("its tables", server.data, size),
            ("its log", server.log, size + room_for_log(size)),  # both may lie on one disk
        ):
            free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
            if free < needed:
                yield (
                    f"the server's disk for {what} has {free >> 20} MB free, and {needed >> 20} MB may be "
                    "needed meanwhile; make room"
                )

    def _denials(self, connection: "psycopg.Connection[Any]", server: Server | str) -> tuple[Denial, ...]:
        technique = self._technique()
        reason = ""
        if technique != DELETE and isinstance(server, str):
            reason = f"{server} (or ask for technique {DELETE})"
        elif technique == SWAP and no_transaction_can_be_prepared(connection):
            reason = "max_prepared_transactions is 0; set it to 1 and restart the server"
        return (Denial(technique=technique, reason=reason),) if reason else ()

    def _offers(
        self, connection: "psycopg.Connection[Any]", server: Server | str, tables: list[Table]
    ) -> tuple[Offer, ...]:
        if self._denials(connection, server):
            return ()
        size = size_of(connection, [table.oid for table in tables])
        outage = planned_outage(size)
        reached = server if isinstance(server, Server) and self._technique() != DELETE else None
        unchecked = () if reached is None or has_checks(connection) else (NOT_CHECKED,)
        parts = ("index-parts-not-searched",) if reached is not None and keeps_parts(connection) else ()
        limits = (*limits_of(reached), *unchecked, *parts)
        return (Offer(technique=self._technique(), limits=limits, outage=outage),)

    def _identity(self, connection: "psycopg.Connection[Any]", tables: list[Table] | None) -> Identity:
        """Neither files nor rows are part of it: the rewrite changes both."""
        ((system, number, name),) = connection.execute(
            "SELECT (SELECT system_identifier FROM pg_control_system())::text, oid::text, datname "
            "FROM pg_database WHERE datname = current_database()"
        ).fetchall()
        chosen = [("table", f"{table.name} number {table.oid}") for table in tables or ()]
        rows = [("rows", f"{s.table}: {without_values(s.where)}") for s in self._target.select]
        held = [("held", f"{h.table}: {without_values(h.where)}") for h in self._target.hold]
        return Identity(
            kind="rows" if tables is not None else "database",
            fields=(
                ("engine", "postgresql"),
                ("path", f"postgresql/{system}/{number}"),
                ("database", name),
                *chosen,
                *rows,
                *held,
            ),
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name selected texts and blobs by table, row and column; a row without any by itself."""
        places = self._places()
        if count is None:
            yield from places
        else:
            yield from heapq.nsmallest(count, places, key=lambda place: _rank(seed, place))

    def _places(self) -> Iterator[Locator]:
        with self._content() as content:
            for unit, item in content.places():
                yield Locator(unit=unit, item=item)

    def probe(self, place: Locator) -> bytes | None:
        """Return a stored value as its file has it; None when no row has that name, or a NULL in it."""
        name = place.unit.removeprefix(TABLE)
        row, _, column = place.item.partition("/")
        if not place.unit.startswith(TABLE) and place.unit != UNIT:
            raise Failed("the place is none of this backend's")
        if self._probing is None:
            self._probing = self._connector.connect()
        with translated("probing"):
            if place.unit == UNIT:
                number = named_objects(self._probing, self._secrets["digest-key"]).get(row)
                return None if number is None else read_page(self._probing, number, column)
            if name not in self._names:
                self._tables[name] = self._probed(self._probing, name)
                self._names[name] = row_names(self._probing, self._tables[name], self._secrets["digest-key"])
            keys = self._names[name].get(row)
            return None if keys is None else read_value(self._probing, self._tables[name], keys, column)

    def _probed(self, connection: "psycopg.Connection[Any]", name: str) -> Table:
        """Return a selected table as its rows were named; it may be one that nothing selects any more."""
        schema = read_schema(connection)
        chosen = {table.name: table for table in selected_tables(schema, self._target)}
        return chosen.get(name) or schema.table(name)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do the step's action; nothing happens before the first cursor is asked for."""
        technique = self._technique()
        action = "delete" if technique == DELETE else "rewrite"
        if not self._target.select or (step.technique, step.action) != (technique, action):
            raise Unsupported(
                f"{step.technique[:40]!r} with action {step.action[:40]!r} is not possible here"
            )
        with self._connector.connected() as connection:
            server = server_of(connection)
            if denials := self._denials(connection, server):
                raise Unsupported(f"{technique} is not possible here: {denials[0].reason}")
        if isinstance(server, Server) and technique != DELETE:
            key = (
                step.pattern.key
                if step.pattern
                else keyed_digest(self._secrets["digest-key"], b"shred", step.id.encode())
            )  # nothing is compared with this pattern, so a step may come without one
            run = Rewriting(self._connector, server, self._target, self._secrets, Keystream(key))
            self._lock.close()  # of an earlier run of ours: whoever asks for another has given it up
            with ExitStack() as self._lock:
                self._lock.enter_context(alone(server.data))
                if after is None:
                    with self._connector.connected() as connection:
                        refuse_other_swaps(connection, self._connector)
                yield from run.run(after)
        else:
            rows, waited = delete(self._connector, self._target, self._secrets)
            done = rows or (after.done if after else 0)
            yield Cursor(position=f"deleted {rows}", done=done, outage=waited)

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of `table` that the archive keeps, every column, texts decoded."""
        with self._content() as content:
            yield from content.records(table)

    def contents(self) -> Contents:
        """Show every table with its columns, keys and rows."""
        with self._connector.connected() as connection:
            identity = self._identity(connection, None)
        return contents_of(self._connector, self._target, identity)

    def bystanders(self) -> Iterator[bytes]:
        """Yield the declarations and every row that is not selected."""
        with self._content() as content:
            yield from content.bystanders()

    @contextmanager
    def _content(self) -> Iterator[Content]:
        """Evaluate the target's selection in one transaction that cannot write."""
        with self._connector.looking() as connection:
            schema = read_schema(connection)
            refuse_missing_rights(connection, schema, self._target)
            yield Content(connection, schema, self._target, self._secrets)


def _rank(seed: bytes, place: Locator) -> bytes:
    """Return a number that the seed fixes, so that the same places are drawn each time."""
    return hashlib.blake2b(f"{place.unit} {place.item}".encode(), key=seed[:64], digest_size=16).digest()
