"""Large objects: those that only rows that go point to go as well; what a row that stays points to stays.

A column points to them if its type is `lo`, as the extension of that name has it. Rules kept: whether an
object stays is asked of every column that could hold its number; what nobody declares is no pointer.
"""

# ruff: noqa: S608 - the names in an SQL text come from the catalogs and are quoted, values are bound

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deleatur.api import Unit, keyed_digest, keyed_digest_of_set
from deleatur_plugins.postgresql.schema import Column, Schema, Table, quoted
from deleatur_plugins.postgresql.selecting import Bound, Query

if TYPE_CHECKING:
    import psycopg

    from deleatur_plugins.postgresql.content import Choice

UNIT = "large objects"
SHARED = "large objects that rows which stay point to as well"
# Where their contents lie, in pages of 2 kB: a table that is rewritten as any other.
PAGES = Table(
    oid=2613,
    schema="pg_catalog",
    relation="pg_largeobject",
    kind="table",
    hides_rows=False,
    filled=True,
    parents=(),
    columns={"data": Column(name="data", declared="bytea", type="bytea", base="bytea")},
    key=("loid", "pageno"),
    key_index="pg_largeobject_loid_pn_index",
)
_DIGITS = 32  # hex digits of an object's name, as of a row's
_LISTED = "ANY (CAST(%s AS oid[]))"
_LOCKS = (
    "SELECT m * (c + p), c + p FROM CAST(current_setting('max_locks_per_transaction') AS int8) AS m, "
    "CAST(current_setting('max_connections') AS int8) AS c, "
    "CAST(current_setting('max_prepared_transactions') AS int8) AS p"
)
Stream = Callable[[str, Sequence[Bound]], Iterator[tuple[Any, ...]]]


@dataclass(frozen=True)
class Objects:
    """The large objects that selected rows point to, by their numbers."""

    going: tuple[int, ...] = ()
    shared: tuple[int, ...] = ()


def pages_of(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Return the table of the contents, if rows of these tables may point to them."""
    return (PAGES,) if any(c.is_object for t in tables for c in t.columns.values()) else ()


def pointing_tables(schema: Schema) -> list[Table]:
    """Return every table that could hold the number of an object."""
    filled = [t for t in schema.tables.values() if t.kind in ("table", "materialized view") and t.filled]
    return [t for t in filled if any(c.base == "oid" for c in t.columns.values())]


def objects_of(connection: "psycopg.Connection[Any]", schema: Schema, choices: Sequence["Choice"]) -> Objects:
    """Tell which objects go with the chosen rows, and which of theirs are shared."""
    declared = {
        number
        for choice in choices
        for column in choice.table.columns.values()
        if column.is_object and choice.rows
        for number in _existing(connection, choice.table, column, choice.query)
    }
    if not declared:
        return Objects()
    chosen = {c.table.name: Query(f"({c.query.clause}) IS NOT TRUE", c.query.bound) for c in choices}
    staying = {
        number
        for table in pointing_tables(schema)
        for column in table.columns.values()
        if column.base == "oid"
        for number in _existing(connection, table, column, chosen.get(table.name, Query()))
    }
    return Objects(tuple(sorted(declared - staying)), tuple(sorted(declared & staying)))


def _existing(
    connection: "psycopg.Connection[Any]", table: Table, column: Column, rows: Query
) -> Iterator[int]:
    """Yield the numbers of the objects that rows of a table point to by a column."""
    found = connection.execute(
        "SELECT l.oid FROM pg_largeobject_metadata AS l WHERE l.oid IN "
        f"(SELECT t0.{quoted(column.name)} FROM {table.sql} AS t0 WHERE {rows.clause})".encode(),
        rows.bound,
    )
    for (number,) in found:
        yield int(number)


def undecided(
    connection: "psycopg.Connection[Any]", schema: Schema, choices: Sequence["Choice"], objects: Objects
) -> Iterator[str]:
    """Name what forbids to tell which objects go, or to let them go."""
    for choice in choices:
        for column in choice.table.columns.values():
            if column.base == "oid" and not column.is_object and choice.rows:
                found = {*_existing(connection, choice.table, column, choice.query)} - {*objects.going}
                if found:
                    yield (
                        f"rows of {choice.table.name!r} that would go hold in {column.name!r} the numbers of "
                        f"{len(found)} large objects, which would stay; give that column the type lo of the "
                        "extension lo, or lo_unlink them first"
                    )
    if objects.going:
        yield from _lists(schema)
        yield from _out_of_reach(connection, len(objects.going))


def _lists(schema: Schema) -> Iterator[str]:
    for name, table in sorted(schema.tables.items()):
        for column in table.columns.values():
            if column.base in ("_oid", "_lo"):
                yield (
                    f"{column.name!r} of {name!r} is a list of numbers, and nobody can tell whether it "
                    "points to large objects that would go; make it a table, or lo_unlink them first"
                )


def _out_of_reach(connection: "psycopg.Connection[Any]", count: int) -> Iterator[str]:
    if not may_erase(connection):
        yield f"{count} large objects would stay, as only a superuser may erase them; lo_unlink them first"
    ((room, each),) = connection.execute(_LOCKS).fetchall()
    if 2 * count > room:
        yield (
            f"{count} large objects need a lock each while they go, and the server has {room} for all; set "
            f"max_locks_per_transaction to {1 + 2 * count // each} and restart it"
        )


def may_erase(connection: "psycopg.Connection[Any]") -> bool:
    """Say whether this user may read and unlink every large object."""
    return connection.execute("SELECT current_setting('is_superuser')").fetchone() == ("on",)


def unit_of(stream: Stream, key: bytes, name: str, objects: Sequence[int]) -> Unit:
    """Return the unit of some objects; its digest covers their numbers and contents."""
    pages = f"SELECT record_send(t0) FROM pg_largeobject AS t0 WHERE t0.loid = {_LISTED}"
    content = keyed_digest_of_set(key, (bytes(row) for (row,) in stream(pages, [_bound(objects)])))
    numbers = ",".join(map(str, objects)).encode()
    digest = keyed_digest(key, name.encode(), numbers, content.encode())
    return Unit(name=name, size=len(objects), digest=digest)


def places_of(stream: Stream, key: bytes, objects: Sequence[int]) -> Iterator[str]:
    """Yield a name for each page of the objects; an object without any stands for itself, with "" for it."""
    query = (
        "SELECT l.oid, t0.pageno FROM pg_largeobject_metadata AS l LEFT JOIN pg_largeobject AS t0 "
        f"ON t0.loid = l.oid WHERE l.oid = {_LISTED}"
    )
    for number, page in stream(query, [_bound(objects)]):
        yield f"{_name(key, number)}/{'' if page is None else page}"


def named_objects(connection: "psycopg.Connection[Any]", key: bytes) -> dict[str, int]:
    """Return the number of every large object by its name in documents."""
    found = connection.execute("SELECT oid FROM pg_largeobject_metadata")
    return {_name(key, number): int(number) for (number,) in found}


def read_page(connection: "psycopg.Connection[Any]", number: int, page: str) -> bytes | None:
    """Return a page of an object; b"" for an object by itself; None when there is none."""
    row = connection.execute(
        "SELECT data FROM pg_largeobject WHERE loid = CAST(%s AS oid) AND pageno = CAST(%s AS int)"
        if page
        else "SELECT ''::bytea FROM pg_largeobject_metadata WHERE oid = CAST(%s AS oid)",
        (number, page) if page else (number,),
    ).fetchone()
    return None if row is None else bytes(row[0])


def staying_objects(stream: Stream, going: Sequence[int]) -> Iterator[bytes]:
    """Yield all that stays of the large objects: who owns each and may read it, then its pages."""
    for what in (
        "convert_to(concat_ws(' ', t0.oid, t0.lomowner, t0.lomacl), 'UTF8') "
        f"FROM pg_largeobject_metadata AS t0 WHERE NOT t0.oid = {_LISTED} ORDER BY t0.oid",
        f"record_send(t0) FROM pg_largeobject AS t0 WHERE NOT t0.loid = {_LISTED} "
        "ORDER BY t0.loid, t0.pageno",
    ):
        for (row,) in stream(f"SELECT {what}", [_bound(going)]):
            yield bytes(row)


def unlink(connection: "psycopg.Connection[Any]", objects: Sequence[int]) -> None:
    """Delete the objects, in the open transaction."""
    connection.execute("SELECT count(lo_unlink(o)) FROM unnest(CAST(%s AS oid[])) AS o", (_bound(objects),))


def _name(key: bytes, number: int) -> str:
    return keyed_digest(key, b"large object", str(number).encode())[:_DIGITS]


def _bound(objects: Sequence[int]) -> list[str]:
    return [str(number) for number in objects]
