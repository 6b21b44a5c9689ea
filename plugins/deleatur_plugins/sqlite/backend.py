"""The `sqlite` backend: one database file, its rows by predicate or all of it.

Rules kept: a look changes nothing; every name comes from the schema and every value is bound;
rows go by `rewrite-and-shred`, the whole database by `overwrite-and-remove`, never one for the other.
"""

# ruff: noqa: S608 - the names in an SQL text come from the schema and are quoted, values are bound

import hashlib
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

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
    digest_key,
    drawn,
    filesystem_of,
    selection_named,
    shredding,
    usage,
)
from deleatur_plugins.sqlite.connecting import Text, looking, text_for
from deleatur_plugins.sqlite.content import Content, refuse_unknown, stored_value
from deleatur_plugins.sqlite.copies import copies_beside
from deleatur_plugins.sqlite.files import Files, path_of
from deleatur_plugins.sqlite.ground import blockers_of, denial_of, limits_of, surfaces_of
from deleatur_plugins.sqlite.holdings import contents_of
from deleatur_plugins.sqlite.naming import values_of
from deleatur_plugins.sqlite.rewriting import Rewriting
from deleatur_plugins.sqlite.schema import Table, quoted, read_schema
from deleatur_plugins.sqlite.whole import Whole
from deleatur_plugins.sqlite.words import indexes_of

ROWS, WHOLE = "rewrite-and-shred", "overwrite-and-remove"
SHARED = ("shared-words-not-searched",)  # of full-text indexes
FOLDED = ("words-not-searched", "folded-words-not-searched")  # of those whose words nobody can tell
_TABLE = "table "  # how the unit of a table begins


class SqliteBackend(Backend):
    """Rows of a SQLite database, or the whole of it: `sqlite:///absolute/path`."""

    def __init__(self, target: Target, secrets: Secrets) -> None:
        self._path = path_of(target.url)
        self._target = target
        self._secrets = secrets
        self._known: dict[str, Table] = {}
        self._key = digest_key(secrets)
        if target.hold and not target.select:
            raise Refused("the target holds rows and selects none: that would erase them with the database")

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Take note of the target; nothing is opened before it is asked for."""
        return cls(target, secrets)

    def inspect(self) -> Inspection:
        """Say what is there. Raises Gone when the database's file is not."""
        with Files(self._path) as files:
            if not self._target.select:
                return self._inspect_whole(files)
            files.database()
            system = filesystem_of(files.folder)
            with self._content() as content:
                refuse_unknown(content.schema)
                content.check_archive()
                identity = self._identity_of_rows(content, system.uuid)
                units, held, rows = content.units(), content.held, content.rows
                words = content.schema.has_full_text
                limits_of_words = (
                    () if not words else FOLDED if indexes_of(content.schema) is None else SHARED
                )
            now, denial = usage(), denial_of(files, ROWS)  # and no file is opened while SQLite reads
            copies = copies_beside(files, (selection.table for selection in self._target.select))
            limits = limits_of(files, system, now, whole=False)
            offer = Offer(technique=ROWS, limits=(*limits, *limits_of_words))
            return Inspection(
                identity=identity,
                size=rows,
                units=units,
                offers=() if denial else (offer,),
                denials=denial,
                surfaces=(*surfaces_of(files, system, ("full-text",) if words else ()), *copies),
                blockers=blockers_of(files, system, now),
                held=held,
            )

    def _inspect_whole(self, files: Files) -> Inspection:
        system, now = filesystem_of(files.folder), usage()
        whole = Whole(files, self._key)
        inode = whole.database().st_ino
        units = whole.units()
        return Inspection(
            identity=Identity(
                kind="database",
                fields=(
                    ("engine", "sqlite"),
                    ("path", str(self._path)),
                    ("filesystem", system.uuid),
                    ("inode", str(inode)),
                ),
            ),
            size=sum(unit.size for unit in units),
            units=units,
            offers=(Offer(technique=WHOLE, limits=limits_of(files, system, now, whole=True)),),
            denials=(Denial(technique=ROWS, reason="the target selects no rows"),),
            surfaces=surfaces_of(files, system),
            blockers=(*blockers_of(files, system, now), *self._strangeness(whole)),
        )

    def _strangeness(self, whole: Whole) -> tuple[str, ...]:
        """Before approval, refuse a file that is no database: afterwards it may be overwritten already."""
        if "approved-units" in self._secrets or whole.begins_as_database():
            return ()
        return ("the file does not begin as a SQLite database does; check the URL, or use a file target",)

    def _identity_of_rows(self, content: Content, filesystem: str) -> Identity:
        """Neither the file's inode nor its content is part of it: the rewrite changes both."""
        return Identity(
            kind="rows",
            fields=(
                ("engine", "sqlite"),
                ("path", str(self._path)),
                ("filesystem", filesystem),
                ("application-id", str(content.application_id())),
                ("schema-sha256", content.schema.digest()),
                *selection_named(self._target),
            ),
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name selected texts, blobs, large numbers by table, row and column; a row without any by itself."""
        if not self._target.select:
            with Files(self._path) as files:
                yield from drawn(Whole(files, self._key).places(), count, seed)
            return
        with self._content() as content:
            for table, row, column in _listed(content) if count is None else _drawn(content, count, seed):
                yield Locator(unit=f"{_TABLE}{table}", item=f"{row}/{column}")

    def probe(self, place: Locator) -> bytes | None:
        """Return a value as stored, texts in UTF-8; None when SQLite finds no such row or a NULL in it."""
        if not self._target.select:
            with Files(self._path) as files:
                return Whole(files, self._key).probe(place)
        name = place.unit.removeprefix(_TABLE)
        row, _, column = place.item.partition("/")
        if not place.unit.startswith(_TABLE):
            raise Failed("the place is none of this backend's")
        with looking(self._path) as connection:
            if name not in self._known:
                self._known[name] = read_schema(connection).table(name)
            table = self._known[name]
            named = values_of(self._key, table, row)
            marks = ", ".join("CAST(? AS TEXT)" if isinstance(part, Text) else "?" for part in named)
            text = text_for(connection)
            given = [text(part) if isinstance(part, Text) else part for part in named]
            value = f"t0.{quoted(column)}" if column else "x''"
            found = connection.execute(
                f"SELECT {value} FROM {table.sql} AS t0 WHERE ({table.order}) = ({marks})", given
            ).fetchone()
            if found is None or found[0] is None:
                return None
            return stored_value(connection, table, column, found[0])

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do the step's action; nothing happens before the first cursor is asked for."""
        match (step.technique, step.action, bool(self._target.select)):
            case (str(technique), "rewrite", True) if technique == ROWS:
                with Files(self._path) as files:
                    stream = shredding(step, self._key)
                    yield from Rewriting(files, self._target, self._secrets, stream).run(after)
            case (str(technique), "overwrite", False) if technique == WHOLE:
                if step.pattern is None:
                    raise Failed(f"step {step.id} overwrites and has no pattern")
                with Files(self._path) as files:
                    yield from Whole(files, self._key).overwrite(Keystream(step.pattern.key), after)
            case (str(technique), "remove", False) if technique == WHOLE:
                if step.pattern is None:
                    raise Failed(f"step {step.id} has no pattern to tell what was overwritten")
                with Files(self._path) as files:
                    yield from Whole(files, self._key).remove(Keystream(step.pattern.key))
            case _:
                raise Unsupported(
                    f"{step.technique[:40]!r} with action {step.action[:40]!r} is not possible here"
                )

    def records(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of `table` that the archive keeps, every column, texts decoded."""
        with self._content() as content:
            yield from content.records(table)

    def contents(self) -> Contents:
        """Show every table with its columns, keys and rows; free pages are not read."""
        with Files(self._path) as files:
            return contents_of(files)

    def bystanders(self) -> Iterator[bytes]:
        """Yield the declarations and every row that is not selected, then those rows as they are stored."""
        if self._target.select:
            with self._content() as content:
                for _, part in content.bystanders():
                    yield part
                yield from content.joined()
                yield from content.folded()

    def words(self, values: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the words of values that full-text indexes hold now; none where a view is indexed."""
        if self._target.select:
            with self._content() as content:
                yield from content.words(values)

    def words_kept(self) -> Iterator[bytes]:
        """Yield the words of the rows that stay, as full-text indexes store them."""
        if self._target.select:
            with self._content() as content:
                yield from content.words_kept()

    @contextmanager
    def _content(self) -> Iterator[Content]:
        """Open the database for reading and evaluate the target's selection."""
        with looking(self._path) as connection:
            yield Content(connection, read_schema(connection), self._target, self._secrets)


def _listed(content: Content) -> Iterator[tuple[str, int | str, str]]:
    """Yield every place."""
    for table, row, columns in content.places():
        for column in columns:
            yield table.name, row, column


def _drawn(content: Content, count: int, seed: bytes) -> list[tuple[str, int | str, str]]:
    """Return the `count` places with the lowest numbers that the seed draws; only these are kept."""
    keyed = hashlib.blake2b(key=seed[:64])
    lots: list[tuple[int, str, int | str, str]] = []
    worst = 1 << 64 if count else 0
    for table, row, columns in content.places():
        drawn = keyed.copy()
        drawn.update(f"{table.name} {row}".encode("utf-8", "surrogateescape"))
        numbers = _numbers(drawn, len(columns))
        if min(numbers) < worst:
            named = zip(numbers, columns, strict=True)
            lots += [(number, table.name, row, column) for number, column in named if number < worst]
            if len(lots) > 2 * count:
                lots = sorted(lots)[:count]
                worst = lots[-1][0]
    return [lot[1:] for lot in sorted(lots)[:count]]


def _numbers(drawn: hashlib.blake2b, count: int) -> tuple[int, ...]:
    """Return so many numbers of 64 bits from a digest, and from what follows it."""
    stream = drawn.digest()
    while len(stream) < 8 * count:
        drawn.update(b"on")
        stream += drawn.digest()
    return struct.unpack_from(f">{count}Q", stream)
