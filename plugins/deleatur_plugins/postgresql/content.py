"""The content of a database as bytes: which rows are selected, which are held, which must stay.

Rules kept: selection and holds are evaluated together, in one snapshot; a row is encoded by the
server in one way, with the bytes of each text contiguous; only keyed digests of it are handed out.
"""

# ruff: noqa: S608 - the names in an SQL text come from the catalogs and are quoted, values are bound

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deleatur.api import HeldRows, Refused, Secrets, Target, Unit, keyed_digest, keyed_digest_of_set
from deleatur_plugins.postgresql.connecting import may_leave_memory, stay_in_memory
from deleatur_plugins.postgresql.objects import (
    SHARED,
    UNIT,
    may_erase,
    objects_of,
    pages_of,
    places_of,
    staying_objects,
    unit_of,
)
from deleatur_plugins.postgresql.schema import PLACE, Schema, Table, quoted
from deleatur_plugins.postgresql.selecting import Bound, Query, Selector

if TYPE_CHECKING:
    import psycopg

TABLE = "table "  # how the unit of a table begins
_BY_CONTENT = 'ORDER BY t0::text COLLATE "C"'  # of rows that stay, as long as nobody changes one
_BATCH = 500  # rows fetched at once
_DIGITS = 32  # hex digits of a row's name; two rows of one table meet in it once in 2^64 rows
# What must stay beside rows: every declaration that the database keeps as such.
_DECLARATIONS = """
    SELECT 'column', n.nspname, c.relname,
           a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || a.attnotnull::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL SELECT 'constraint', n.nspname, c.conname, pg_get_constraintdef(c.oid)
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
    UNION ALL SELECT 'index', schemaname, indexname, indexdef FROM pg_indexes
    UNION ALL SELECT 'clustered', n.nspname, c.relname, i.indisclustered::text
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    UNION ALL SELECT 'trigger', n.nspname, t.tgname, pg_get_triggerdef(t.oid) || t.tgenabled::text
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal
    UNION ALL SELECT 'view', schemaname, viewname, definition FROM pg_views
    UNION ALL SELECT 'policy', schemaname, policyname, concat(roles::text, cmd, qual, with_check)
    FROM pg_policies
    UNION ALL SELECT 'sequence', schemaname, sequencename, coalesce(last_value, start_value)::text
    FROM pg_sequences
"""


@dataclass(frozen=True)
class Choice:
    """One table with selected rows, and the query that tells them."""

    table: Table
    query: Query
    rows: int


class Content:
    """The rows of one open database, split into those to erase and those to keep."""

    def __init__(
        self,
        connection: "psycopg.Connection[Any]",
        schema: Schema,
        target: Target,
        secrets: Secrets,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` is called while rows are read, and raises when that has taken long enough."""
        self._check = check
        self._connection = connection
        self.schema = schema
        self._target = target
        self._secrets = secrets
        self._selector = Selector(schema, secrets)
        self.held: list[Unit] = []
        self.choices = self._choose()
        self.objects = objects_of(connection, schema, self.choices)
        if self.objects.shared:
            self.held.append(self._objects(SHARED, self.objects.shared))

    def _choose(self) -> tuple[Choice, ...]:
        """Evaluate every selection, then every hold, and subtract."""
        picked: dict[str, tuple[Table, list[Query]]] = {}
        for selection in self._target.select:
            for table in self.schema.selected(selection.table, all_rows=not selection.where):
                query = self._selector.query(table, selection.where)
                picked.setdefault(table.name, (table, []))[1].append(query)
        held: dict[str, list[Query]] = {}
        for hold in self._target.hold:
            tables = [t for t in self.schema.family(hold.table) if t.name in picked]
            if not tables:
                raise Refused(
                    f"hold {hold.id!r} names {hold.table[:80]!r}, from which nothing is selected, so it "
                    "holds nothing; name the rows that must stay in each selected table"
                )
            for table in tables:
                self._hold(hold, picked[table.name], held)
        choices = []
        for _, (table, queries) in sorted(picked.items()):
            query = _any(queries)
            for hold_query in held.get(table.name, ()):
                query = _all(query, _not(hold_query))
            choices.append(Choice(table, query, self.count(table, query)))
        return tuple(choices)

    def _hold(self, hold: HeldRows, picked: tuple[Table, list[Query]], held: dict[str, list[Query]]) -> None:
        table, queries = picked
        if table.key == PLACE:
            raise Refused(
                f"{table.name!r} has no primary key, so held rows cannot be told apart; give it one"
            )
        query = self._selector.query(table, hold.where)
        held.setdefault(table.name, []).append(query)
        both = _all(_any(queries), query)
        if rows := self.count(table, both):
            unit = f"hold {hold.id} table {table.name}"
            self.held.append(Unit(name=unit, size=rows, digest=self._digest(unit, table, both)))

    def count(self, table: Table, query: Query) -> int:
        """Return how many rows of `table` meet the query."""
        if not table.filled:
            return 0
        found = self._connection.execute(
            f"SELECT count(*) FROM {table.sql} AS t0 WHERE {query.clause}".encode(), query.bound
        ).fetchone()
        return int(found[0]) if found else 0

    def _digest(self, unit: str, table: Table, query: Query) -> str:
        key = self._secrets["digest-key"]
        rows = keyed_digest_of_set(key, self._rows(table, query))
        return keyed_digest(key, unit.encode("utf-8", "surrogateescape"), rows.encode())

    @property
    def rows(self) -> int:
        """How many rows and large objects are to be erased."""
        return sum(choice.rows for choice in self.choices) + len(self.objects.going)

    def units(self) -> tuple[Unit, ...]:
        """Return one unit for each table that has rows to erase, and one for large objects.

        Its digest covers their content.
        """
        going = self.objects.going
        return tuple(
            Unit(name=name, size=c.rows, digest=self._digest(name, c.table, c.query))
            for c in self.choices
            if c.rows
            for name in (f"{TABLE}{c.table.name}",)
        ) + ((self._objects(UNIT, going),) if going else ())

    def _objects(self, name: str, objects: Sequence[int]) -> Unit:
        seen = objects if may_erase(self._connection) else ()
        unit = unit_of(self.stream, self._secrets["digest-key"], name, seen)
        return Unit(name=name, size=len(objects), digest=unit.digest)

    def places(self) -> Iterator[tuple[str, str]]:
        """Yield unit and item, name of the row and column, of every selected text, blob or large number.

        None is empty. A row without any stands for itself, with "" for the column. Then the pages of large
        objects.
        """
        for choice in self.choices:
            if not choice.rows:
                continue
            table = choice.table
            searched = [c for c in table.columns.values() if c.searched]
            lengths = [f"coalesce(octet_length({c.raw.format('t0.' + quoted(c.name))}), 0)" for c in searched]
            query = (
                f"SELECT {', '.join([*_keys(table), *lengths])} FROM {table.sql} AS t0 "
                f"WHERE {choice.query.clause} {table.order}"
            )
            for row in self.stream(query, choice.query.bound):
                name = row_name(self._secrets["digest-key"], table, row[: len(table.key)])
                filled = [c.name for c, size in zip(searched, row[len(table.key) :], strict=True) if size]
                for column in filled or [""]:
                    yield f"{TABLE}{table.name}", f"{name}/{column}"
        if self.objects.going:
            for item in places_of(self.stream, self._secrets["digest-key"], self.objects.going):
                yield UNIT, item

    def records(self, table_name: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table that the target's archive keeps, as Python values."""
        for wanted in self._target.archive:
            if wanted.table == table_name:
                table = self.schema.table(table_name)
                query = self._selector.query(table, wanted.where)
                for row in self.shown(table, query, table.qualified):  # with its partitions and heirs
                    yield dict(zip(table.columns, row, strict=True))

    def shown(self, table: Table, query: Query, source: str = "") -> Iterator[tuple[Any, ...]]:
        """Yield rows as Python values, in a fixed order; those of `source` instead of the table alone."""
        if not table.filled:
            return
        columns = ", ".join(c.shown.format(f"t0.{quoted(c.name)}") for c in table.columns.values())
        yield from self.stream(
            f"SELECT {columns} FROM {source or table.sql} AS t0 WHERE {query.clause} {table.order}",
            query.bound,
        )

    def check_archive(self) -> None:
        """See that the archive names only what is there, and that it forgets no column.

        Raises:
            Refused: a name that the schema does not know, or a column without a rule.
        """
        for wanted in self._target.archive:
            table = self.schema.table(wanted.table)
            self._selector.query(table, wanted.where)
            for column in wanted.columns:
                self.schema.column(table, column)
            silent = [column for column in table.columns if column not in wanted.columns]
            if silent:
                raise Refused(f"the archive of {table.name!r} has no rule for {', '.join(silent)[:200]}")
            numbers = [c.name for c in table.columns.values() if c.is_object]
            if kept := [name for name in numbers if wanted.columns[name].rule not in ("drop", "null")]:
                raise Refused(
                    f"the archive of {table.name!r} would keep of {kept[0]!r} the numbers of large objects, "
                    "and not what they hold: give it the rule drop, and copy the objects elsewhere first"
                )

    def bystanders(self) -> Iterator[bytes]:
        """Yield everything that must stay: declarations, and every row that is not selected."""
        query = (
            "SELECT array_to_string(d, chr(31), '') FROM "
            f"(SELECT ARRAY[k, s, o, t] AS d, s FROM ({_DECLARATIONS}) AS every (k, s, o, t)) AS listed "
            "WHERE s !~ '^pg_' AND s <> 'information_schema' ORDER BY d COLLATE \"C\""
        )
        for (statement,) in self.stream(query, ()):
            yield b"declared " + str(statement).encode()
        chosen = {choice.table.name: choice for choice in self.choices}
        for name, table in sorted(self.schema.tables.items()):
            if table.kind in ("table", "materialized view") and table.filled:
                yield b"table " + name.encode("utf-8", "surrogateescape")
                if name in chosen:
                    yield from self._rows(table, _not(chosen[name].query))
                else:
                    may_leave_memory(self._connection)
                    yield from self._rows(table, Query(), table.order or _BY_CONTENT)
                    stay_in_memory(self._connection)

        if pages_of(choice.table for choice in self.choices) and may_erase(self._connection):
            yield b"large objects"
            yield from staying_objects(self.stream, self.objects.going)

    def staying(self) -> list[tuple[Any, ...]]:
        """Return, for each table that rows go from, how many stay and two sums of what they hold."""
        return [self._sums(c.table, _not(c.query)) for c in self.choices if c.table.kind == "table"]

    def left(self) -> list[tuple[Any, ...]]:
        """Return the same of all rows that are there: after the deletion they must be those that stayed."""
        return [self._sums(c.table, Query()) for c in self.choices if c.table.kind == "table"]

    def _sums(self, table: Table, query: Query) -> tuple[Any, ...]:
        """Let the server add up both halves of each row's MD5: no row need come here, and none be sorted."""
        half = "sum(('x' || substr(d, {}, 16))::bit(64)::bigint)"
        found = self._connection.execute(
            f"SELECT count(*), {half.format(1)}, {half.format(17)} FROM (SELECT md5(record_send(t0)) "
            f"FROM {table.sql} AS t0 WHERE {query.clause}) AS digests (d)".encode(),
            query.bound,
        ).fetchone()
        return tuple(found or ())

    def _rows(self, table: Table, query: Query, order: str = "") -> Iterator[bytes]:
        """Yield rows as the server sends them, and behind each its numbers as they are stored."""
        numbers = [c.raw.format(f"t0.{quoted(c.name)}") for c in table.columns.values() if c.is_number]
        stored = " || ".join(["''::bytea", *(f"coalesce({number}, '')" for number in numbers)])
        for row, behind in self.stream(
            f"SELECT record_send(t0), {stored} FROM {table.sql} AS t0 "
            f"WHERE {query.clause} {order or table.order}",
            query.bound,
        ):
            yield bytes(row)
            if behind:
                yield bytes(behind)

    def stream(self, query: str, bound: Sequence[Bound]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query without holding them all in memory."""
        with self._connection.cursor(name=f"deleatur_{id(bound)}_{len(query)}") as cursor:
            cursor.itersize = _BATCH
            cursor.execute(query.encode(), bound)
            for row in cursor:
                self._check()
                yield row


def selected_tables(schema: Schema, target: Target) -> list[Table]:
    """Return the tables that rows are selected from, each once, in the order of their names."""
    found = {
        table.name: table
        for selection in target.select
        for table in schema.selected(selection.table, all_rows=not selection.where)
    }
    return [found[name] for name in sorted(found)]


def row_name(key: bytes, table: Table, values: Sequence[str]) -> str:
    """Return the name of a row in documents: a keyed digest of its primary key."""
    return keyed_digest(key, b"row", table.name.encode(), *(v.encode() for v in values))[:_DIGITS]


def row_names(connection: "psycopg.Connection[Any]", table: Table, key: bytes) -> dict[str, tuple[str, ...]]:
    """Return the primary key of every row of `table` by the row's name."""
    if not table.filled:
        return {}
    found = connection.execute(f"SELECT {', '.join(_keys(table))} FROM {table.sql} AS t0".encode(), ())
    return {row_name(key, table, row): tuple(row) for row in found}


def read_value(
    connection: "psycopg.Connection[Any]", table: Table, keys: Sequence[str], column: str
) -> bytes | None:
    """Return a stored value; b"" for a row by itself; None when there is no such row or a NULL in it."""
    known = table.columns[column].raw.format(f"t0.{quoted(column)}") if column else "''::bytea"
    same = " AND ".join(
        f"t0.{quoted(c)} = CAST(%s AS {table.key_type(c).replace('%', '%%')})" for c in table.key
    )
    row = connection.execute(f"SELECT {known} FROM {table.sql} AS t0 WHERE {same}".encode(), keys).fetchone()
    return None if row is None or row[0] is None else bytes(row[0])


def _keys(table: Table) -> list[str]:
    return [f"t0.{quoted(c)}::text" for c in table.key]


def _any(queries: Sequence[Query]) -> Query:
    return Query(" OR ".join(f"({q.clause})" for q in queries), [b for q in queries for b in q.bound])


def _all(first: Query, second: Query) -> Query:
    return Query(f"({first.clause}) AND ({second.clause})", [*first.bound, *second.bound])


def _not(query: Query) -> Query:
    """Turn a query round; what it does not know, such as a comparison with NULL, it does not select."""
    return Query(f"({query.clause}) IS NOT TRUE", query.bound)
