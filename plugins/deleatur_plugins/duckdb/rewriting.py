"""Write the database anew without the selected rows, swap it in, and shred the old files.

Rules kept: the old file is read only and never changed; a selected row is never written a second
time; the new file takes its place only after it was read back and holds exactly what must stay.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are typed

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from deleatur.api import (
    Cursor,
    Failed,
    ForeignKey,
    Keystream,
    LinkShredder,
    Refused,
    Secrets,
    Target,
    deletion_order,
)
from deleatur_plugins.duckdb.connecting import NEW, OLD, Session, literal, quoted
from deleatur_plugins.duckdb.content import Content
from deleatur_plugins.duckdb.schema import Schema, Table

_ENDS = object()


def journal_of(path: Path) -> Path:
    """Return where the crash journal of an erase lies."""
    return path.with_name(f".{path.name}.deleatur-links")


def log_of(path: Path) -> Path:
    """Return the log of transactions beside a database."""
    return path.with_name(f"{path.name}.wal")


def half_checkpoint(path: Path) -> str:
    """Say that a checkpoint of the database was cut off; "" when it was not.

    What was committed meanwhile stands in a log of its own, which the engine leaves aside when it only reads.
    """
    for kind in (".wal.checkpoint", ".wal.recovery"):  # DuckDB 2.0
        if path.with_name(f"{path.name}{kind}").exists():
            return (
                f"a checkpoint was cut off and left a {kind} beside the database: let DuckDB open it for "
                "writing; if that file is still there then, overwrite and remove it (shred -u)"
            )
    return ""


class Rewriting:
    """One run of the action `rewrite`."""

    def __init__(self, path: Path, target: Target, secrets: Secrets, keystream: Keystream) -> None:
        self._path = path
        self._new = path.with_name(f".{path.name}.deleatur-new")
        self._target = target
        self._secrets = secrets
        self._keystream = keystream

    def run(self, after: Cursor | None) -> Iterator[Cursor]:
        """Go the whole way, whatever an earlier run did of it, of this job or of another."""
        done = after.done if after else 0
        with LinkShredder(journal_of(self._path)) as links:
            swapped = self._swapped(links)
            if swapped:
                yield from self._shred(links, done)
            if not swapped or self._selects():  # the swap that was found may have been another job's
                done = self._rewrite(links) or done
                yield from self._shred(links, done)
            links.finish()
        yield Cursor("finished", done)

    def _swapped(self, links: LinkShredder) -> bool:
        """Say whether an earlier run put the new file into its place."""
        standing = links.in_use()
        return any(name.path == self._path and name not in standing for name in links.pending)

    def _shred(self, links: LinkShredder, done: int) -> Iterator[Cursor]:
        """Overwrite the files of before the swap."""
        for name in links.in_use():  # the log of the old file; a later one is not ours
            if name.path == log_of(self._path):
                self._remove(name.path)
        yield Cursor("swapped", done)
        for unit, offset in links.shred(self._keystream):
            yield Cursor(f"shredded {unit} {offset}", done)

    def _selects(self) -> bool:
        with closing(Session(self._path, without_log=False)) as session:
            return bool(Content(session, OLD, self._target, self._secrets).units())

    def _rewrite(self, links: LinkShredder) -> int:
        """Write, compare and swap; return how many rows went, 0 when none is selected any more."""
        for left in links.hold([self._new, log_of(self._new)]):  # of a killed run: it holds rows that stay,
            self._remove(left.path)  # and a later job may have to erase them
        with closing(Session(self._path, without_log=False)) as session:  # from here on nobody writes
            if left_over := half_checkpoint(self._path):
                raise Refused(left_over)
            links.hold([self._path, log_of(self._path)])
            old = Content(session, OLD, self._target, self._secrets)
            rows = self._compare_with_plan(old)
            self._write(session, old)
            self._read_back(session, old)
            session.run(f"DETACH {NEW}")
            self._take_over(session.status)
            self._new.replace(self._path)
            _flush(self._path.parent)
        return rows

    def _compare_with_plan(self, content: Content) -> int:
        """Compare the rows with those that were approved, as far as the engine says which they are."""
        units, held = content.units(), content.held()
        approved = self._secrets.get("approved-units")
        if approved is not None and units:
            tree = json.loads(approved)
            for key, now in (("units", units), ("held", held)):
                if {(u.name, u.size, u.digest) for u in now} != {
                    (u["name"], u["size"], u["digest"]) for u in tree[key]
                }:
                    raise Refused("the selected or held rows changed since the plan; plan again")
        if tables := content.referring():
            raise Refused(
                f"rows of {', '.join(map(repr, tables))} refer to rows that would go; select those too"
            )
        return sum(unit.size for unit in units)

    def _write(self, session: Session, old: Content) -> None:
        """Write declarations and the rows that stay, in the format of the old file."""
        tags = session.value(f"SELECT tags FROM duckdb_databases() WHERE database_name = '{OLD}'")
        version = str(tags["storage_version"]).removesuffix("+")
        # without a log: it would be given back with rows that stay, which a later job may have to erase
        how = f"STORAGE_VERSION {literal(version)}, RECOVERY_MODE no_wal_writes"
        session.run(f"ATTACH {literal(str(self._new))} AS {NEW} ({how})")
        session.run(f"COPY FROM DATABASE {OLD} TO {NEW} (SCHEMA)")
        clauses = {c.table.name: f"NOT {c.clause}" for c in old.choices}
        # a row may be written when those are there that it refers to
        order = [
            name for stage in deletion_order(old.schema.tables, old.schema.keys) for name in stage.tables
        ]
        for name in reversed(order):
            table = old.schema.table(name)
            into = ".".join(quoted(part) for part in (NEW, table.schema, table.own))
            for first, end in _runs(session, old.schema, table):
                session.run(
                    f"INSERT INTO {into} SELECT * FROM {table.sql} AS t0 WHERE {clauses.get(name, 'true')} "
                    f"AND t0.rowid >= {first} AND t0.rowid < {end} ORDER BY t0.rowid"
                )
        session.run(f"CHECKPOINT {NEW}")

    def _read_back(self, session: Session, old: Content) -> None:
        """Compare the new file with what must stay, as it is read from disk.

        Raises:
            Failed: it is not the same. The old file is as it was.
            Refused: it still holds selected rows.
        """
        session.run(f"DETACH {NEW}")
        session.run(f"ATTACH {literal(str(self._new))} AS {NEW} (READ_ONLY)")
        new = Content(session, NEW, self._target, self._secrets)
        if any(unit for unit in new.units()):
            raise Refused(
                "without those rows the selection still finds some: it depends on rows that go; name the "
                "rows directly; nothing was changed"
            )
        pairs = itertools.zip_longest(_same_names(old), _same_names(new), fillvalue=_ENDS)
        if any(before != after for before, after in pairs):
            raise Failed("the new database is not what must stay of the old one; nothing was changed")

    def _take_over(self, status: os.stat_result) -> None:
        """Give the new file the owner and the rights of the old one, and flush it."""
        fd = os.open(self._new, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(fd, status.st_uid, status.st_gid)
            os.fchmod(fd, status.st_mode & 0o7777)
            os.fsync(fd)
        finally:
            os.close(fd)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        _flush(path.parent)


def _runs(session: Session, schema: Schema, table: Table) -> Iterator[tuple[int, int]]:
    """Yield, as two rowids, rows that one statement can write: none refers to another of them.

    The engine asks for the row that a row refers to before the statement, and stores it in front of it.
    """
    own = [key for key in schema.keys if key.table == key.refers_to == table.name]
    first = 0
    for here, there in _references(session, table, own) if own else ():
        if there >= first:
            yield first, here
            first = here
    yield first, 1 << 62


def _references(session: Session, table: Table, keys: Sequence[ForeignKey]) -> list[tuple[int, int]]:
    """Return the rowids of rows that refer to a row of their own table, with the last such row's."""
    each = " UNION ALL ".join(
        f"SELECT t0.rowid AS here, p.rowid AS there FROM {table.sql} AS t0 JOIN {table.sql} AS p ON "
        + " AND ".join(
            f"t0.{quoted(c)} = p.{quoted(r)}" for c, r in zip(key.columns, key.referred, strict=True)
        )
        for key in keys
    )
    return list(session.rows(f"SELECT here, max(there) FROM ({each}) GROUP BY here ORDER BY here"))


def _same_names(content: Content) -> Iterator[bytes]:
    """Yield what must stay; declarations name the database under which they were read."""
    for part in content.bystanders():
        yield part.replace(NEW.encode(), OLD.encode()) if part.startswith(b"declared ") else part


def _flush(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
