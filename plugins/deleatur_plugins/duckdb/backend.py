"""The `duckdb` backend: rows of a database by predicate, or all rows of its tables.

Rules kept: a look changes nothing; every name comes from the schema and every value is typed; the
old file is never written to but to overwrite it.
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from deleatur.api import (
    Backend,
    Column,
    Contents,
    Cursor,
    HeldTable,
    Holding,
    Identity,
    Inspection,
    Locator,
    Offer,
    Refused,
    Secrets,
    Step,
    Target,
    Unsupported,
    access_to,
    digest_key,
    drawn,
    encrypted_below,
    filesystem_of,
    selection_named,
    shredding,
    usage,
)
from deleatur_plugins.duckdb.connecting import OLD, Session, path_of
from deleatur_plugins.duckdb.content import Content, typed_rows
from deleatur_plugins.duckdb.ground import blockers_of, limits_of, surfaces_of
from deleatur_plugins.duckdb.rewriting import Rewriting, log_of
from deleatur_plugins.duckdb.schema import Schema, Table, read_schema

_REWRITE = "rewrite-and-shred"


class DuckdbBackend(Backend):
    """Rows of a DuckDB database: `duckdb:/path/to/file`."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        self._path = path_of(target.url)
        self._target = target
        self._secrets = secrets
        self._opened: list[Session] = []
        self._known: dict[str, tuple[Content, Table, dict[bytes, int]]] = {}
        self._key = digest_key(secrets)

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Take note of the target; the file is opened when something is asked for."""
        return cls(target, secrets)

    def close(self) -> None:
        """Close what is still open."""
        self._known.clear()
        while self._opened:
            self._opened.pop().close()

    def inspect(self) -> Inspection:
        """Say what is there. Raises Gone when there is no such file."""
        with self._content() as (session, content):
            content.check_archive()
            units = content.units()
            now = usage()
            identity = (*self._identity(content.schema), *selection_named(self._target))
            return Inspection(
                identity=Identity(kind="rows", fields=identity),
                size=sum(unit.size for unit in units),
                units=units,
                offers=(Offer(technique=_REWRITE, limits=limits_of(self._path, session, now)),),
                surfaces=surfaces_of(self._path),
                blockers=blockers_of(self._path, session, content, now),
                held=content.held(),
            )

    def _identity(self, schema: Schema) -> tuple[tuple[str, str], ...]:
        """Return what tells this database from every other; a rewrite changes nothing of it."""
        return (
            ("engine", "duckdb"),
            ("path", os.path.realpath(self._path)),
            ("filesystem", filesystem_of(self._path).uuid),
            ("schema-sha256", schema.digest()),
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name selected texts and blobs by table, digest of row and column; a row without any by itself."""
        with self._content() as (_, content):
            yield from drawn(content.places(), count, seed)

    def probe(self, place: Locator) -> bytes | None:
        """Return a stored value; None when no row of the table is that row, or a NULL stands in it."""
        if place.unit not in self._known:
            session = self._session()
            self._opened.append(session)
            content = Content(session, OLD, self._target, self._secrets)
            self._known[place.unit] = content, *content.known(place.unit)
        content, table, known = self._known[place.unit]
        digest, _, column = place.item.partition("/")
        rowid = known.get(bytes.fromhex(digest))
        return None if rowid is None else content.value(table, rowid, column)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do the step's action; nothing happens before the first cursor is asked for."""
        if (step.technique, step.action) != (_REWRITE, "rewrite"):
            raise Unsupported(
                f"{step.technique[:40]!r} with action {step.action[:40]!r} is not possible here"
            )
        yield from Rewriting(self._path, self._target, self._secrets, shredding(step, self._key)).run(after)

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of `table` that the archive keeps, every column, as Python values."""
        with self._content() as (_, content):
            yield from content.records(table)

    def contents(self) -> Contents:
        """Show every table with its columns, keys and rows."""
        session = self._session()
        self._opened.append(session)
        schema = read_schema(session, OLD)
        encrypted, by = encrypted_below(filesystem_of(self._path).source)
        return Contents(
            identity=Identity(kind="database", fields=self._identity(schema)),
            encrypted=encrypted,
            encryption=by,
            access=access_to(session.status),
            holdings=_holdings(session, schema),
        )

    def bystanders(self) -> Iterator[bytes]:
        """Yield the declarations and every row that is not selected, by table and place."""
        with self._content() as (_, content):
            yield from content.bystanders()

    def _session(self) -> Session:
        """Open for reading. A log beside a file that was swapped in is of the file before."""
        return Session(self._path, without_log=_swapped(self._path))

    @contextmanager
    def _content(self) -> Iterator[tuple[Session, Content]]:
        """Evaluate the target's selection."""
        if not self._target.select:
            raise Refused(
                "the target selects nothing; name each table with [[target.select]], all rows or some"
            )
        with closing(self._session()) as session:
            yield session, Content(session, OLD, self._target, self._secrets)


def _swapped(path: Path) -> bool:
    """Say whether a killed erase had put the new file into its place and left the old log."""
    log = log_of(path)
    return log.exists() and _held(log) and not _held(path)  # they are held in the other order


def _held(path: Path) -> bool:
    return path.with_name(f".deleatur-held-{path.stat().st_ino}").exists()


def _holdings(session: Session, schema: Schema) -> Iterator[Holding]:
    for name, table in sorted(schema.tables.items()):
        points = {
            here: f"{key.refers_to}.{there}"
            for key in schema.keys
            if key.table == name
            for here, there in zip(key.columns, key.referred, strict=True)
        }
        yield HeldTable(
            name=name,
            kind="table",
            columns=tuple(
                Column(name=c.name, stored_as=c.type, references=points.get(c.name, ""))
                for c in table.columns
            ),
            rows=int(session.value(f"SELECT count(*) FROM {table.sql}")),  # noqa: S608 - quoted
            read=partial(typed_rows, session, table),
        )
