"""What a PostgreSQL database consists of: tables, columns, keys, and what acts when rows go.

Rules kept: every name that reaches an SQL text was found in the catalogs first and is quoted here;
kinds of table that rows cannot be taken from as such are refused by name, never passed over.
"""

# ruff: noqa: S608 - no name of a database stands in these texts but quoted

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from deleatur.api import ForeignKey, Refused

if TYPE_CHECKING:
    import psycopg

PLACE = ("ctid",)  # what tells rows apart where all of them go and there is no primary key
_KINDS: dict[str, str] = {
    "r": "table",
    "p": "partitioned table",
    "m": "materialized view",
    "f": "foreign table",
}
# Types whose values stand in the table's file byte by byte, as long as they are not compressed.
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "json", "xml", "citext", "char"})
_BYTES = frozenset({"bytea"})


def _backwards(sent: str) -> str:
    """Return SQL for eight bytes as a little-endian machine stores what the server sends big-endian."""
    return " || ".join(f"substring({sent}, {n}, 1)" for n in range(8, 0, -1))


def _large(column: str, sent: str) -> str:
    """Return SQL for whole numbers from 2^40 on, and nothing for those below."""
    return f"CASE WHEN {column} NOT BETWEEN -(1::int8 << 40) AND 1::int8 << 40 THEN {_backwards(sent)} END"


def _fine(column: str, sent: str) -> str:
    """Return SQL for times with a fraction of a second, and nothing for others, which many rows share."""
    return f"CASE WHEN {column} <> date_trunc('second', {column}) THEN {_backwards(sent)} END"


# What is stored in six bytes or more that say something, as the file has it; NULL for what is not: a smaller
# number, a time in whole seconds. A shorter needle meets other bytes by chance.
_NUMBERS = {
    "uuid": "uuid_send({0}::uuid)",
    "int8": _large("{0}::int8", "int8send({0}::int8)"),
    "timestamp": _fine("{0}::timestamp", "timestamp_send({0}::timestamp)"),
    "timestamptz": _fine("{0}::timestamptz", "timestamptz_send({0}::timestamptz)"),
    "macaddr": "macaddr_send({0}::macaddr)",
    "macaddr8": "macaddr8_send({0}::macaddr8)",
}
_NATIVE = (
    _TEXTS
    | _BYTES
    | frozenset(
        {
            "int2",
            "int4",
            "int8",
            "float4",
            "float8",
            "numeric",
            "bool",
            "date",
            "timestamp",
            "timestamptz",
            "time",
            "uuid",
        }
    )
)
_EFFECT: dict[str, Literal["no-action", "restrict", "cascade", "set-null", "set-default"]] = {
    "a": "no-action",
    "r": "restrict",
    "c": "cascade",
    "n": "set-null",
    "d": "set-default",
}
# Not the server's own, and no other session's temporary tables.
_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_RELATIONS = f"""
    SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relrowsecurity AND row_security_active(c.oid),
           c.relispopulated, ARRAY(SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = c.oid),
           ARRAY(SELECT a.attname::text FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
                 JOIN pg_attribute a ON a.attnum = k.attnum
                 WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid ORDER BY k.place),
           (SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
            WHERE i.indrelid = c.oid AND i.indisprimary)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'f') AND {_OURS} ORDER BY n.nspname, c.relname"""
# A value is cast to what a domain is made of, never to the domain: its checks are code of the database.
_COLUMNS = f"""
    WITH RECURSIVE plain (oid, base) AS (
      SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
      UNION ALL SELECT t.oid, p.base FROM pg_type t JOIN plain p ON t.typbasetype = p.oid
      WHERE t.typtype = 'd')
    SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), format_type(p.base, -1), b.typname
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN plain p ON p.oid = a.atttypid JOIN pg_type b ON b.oid = p.base
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm', 'f') AND {_OURS}
    ORDER BY a.attrelid, a.attnum"""
_KEYS = """
    SELECT k.conname, k.conrelid, k.confrelid, k.confdeltype::text, k.condeferrable,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY u.place),
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum ORDER BY u.place),
           EXISTS (SELECT FROM pg_attribute a
                   WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) AND NOT a.attnotnull)
    FROM pg_constraint k WHERE k.contype = 'f' ORDER BY k.conrelid, k.conname"""


def plain(name: str) -> str:
    """Quote a name for people to copy, and for an SQL text that binds nothing."""
    return '"' + name.replace('"', '""') + '"'


def quoted(name: str) -> str:
    """Quote a name for an SQL text that takes `%s` for bound values."""
    return plain(name).replace("%", "%%")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column."""

    name: str
    declared: str  # its type with its measure, such as character varying(40)
    type: str  # its type without, for a cast; a domain's base
    base: str  # the catalog's name of its type, a domain's base

    @property
    def searched(self) -> bool:
        """Say whether its values stand in the raw bytes as the backend shows them."""
        return self.base in _TEXTS or self.base in _BYTES or self.is_number

    @property
    def is_number(self) -> bool:
        """Say whether its values, or the large ones of them, are searched in the server's own binary form."""
        return self.base in _NUMBERS

    @property
    def is_object(self) -> bool:
        """Say whether it is declared to point to large objects: of the type that the extension lo brings."""
        return self.base == "oid" and self.declared.rpartition(".")[2] == "lo"

    @property
    def raw(self) -> str:
        """Return SQL for the stored bytes of a value, to be given the column's own expression."""
        if self.base in _BYTES:
            return "{}::bytea"
        if self.is_number:
            return _NUMBERS[self.base]
        return "convert_to({}::text, getdatabaseencoding())"

    @property
    def shown(self) -> str:
        """Return SQL for the value as Python knows it, else as text."""
        return "{}" if self.base in _NATIVE else "{}::text"


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table, as SQL sees it."""

    oid: int
    schema: str
    relation: str
    kind: str
    hides_rows: bool  # row level security hides rows from this user
    filled: bool  # false for a materialized view that was never, or is no longer, filled
    parents: tuple[int, ...]  # whose partition or heir it is
    columns: dict[str, Column]
    key: tuple[str, ...]  # of its primary key
    key_index: str  # the primary key's index

    @property
    def name(self) -> str:
        """Its name in documents: with its schema, unless that is `public`."""
        return self.relation if self.schema == "public" else f"{self.schema}.{self.relation}"

    @property
    def sql(self) -> str:
        """Its name for an SQL text; its heirs are tables of their own."""
        only = "ONLY " if self.kind == "table" else ""
        return f"{only}{self.qualified}"

    @property
    def qualified(self) -> str:
        """Its name for an SQL text that takes no ONLY."""
        return f"{quoted(self.schema)}.{quoted(self.relation)}"

    def key_type(self, column: str) -> str:
        """Return the type of a column of the key, for a cast."""
        return "tid" if self.key == PLACE else self.columns[column].type

    @property
    def order(self) -> str:
        """An ORDER BY clause, each term qualified by t0; "" without a key: the order of the file."""
        named = ", ".join(f"t0.{quoted(c)}" for c in self.key if self.key != PLACE)
        return f"ORDER BY {named}" if named else ""


@dataclass(frozen=True)
class Schema:
    """Everything of the database that rows can stand in."""

    tables: dict[str, Table]
    keys: tuple[ForeignKey, ...]

    def table(self, name: str) -> Table:
        """Return the table called `name`, letter by letter; `schema.table`, or `table` in `public`.

        Raises:
            Refused: there is none.
        """
        found = self.tables.get(name) or self.tables.get(name.removeprefix("public."))
        if found is None:
            raise Refused(
                f"the database has no table {name[:80]!r} that this user can see; write schema.table"
            )
        return found

    def selected(self, name: str, *, all_rows: bool) -> tuple[Table, ...]:
        """Return the tables that a selection from `name` takes rows from.

        A table stands for itself with its partitions and heirs, `schema.*` for all tables and filled
        materialized views of a schema, `*` for those of the database.

        Raises:
            Refused: there is none, or rows of one cannot be told apart, or stand elsewhere.
        """
        if name in self.tables or not (name == "*" or name.endswith(".*")):
            found = [t for t in self.family(name) if t.kind != "partitioned table"]
        elif all_rows:
            inside = [t for t in self.tables.values() if name in ("*", f"{t.schema}.*")]
            found = [t for t in inside if t.kind in ("table", "materialized view")]
        else:
            raise Refused(f"{name[:80]!r} takes all rows; name the tables one by one to give conditions")
        if not found:
            raise Refused(f"{name[:80]!r} has no tables of its own to select from")
        return tuple(_selectable(table, all_rows=all_rows) for table in found)

    def family(self, name: str) -> tuple[Table, ...]:
        """Return the table called `name` with its partitions and heirs."""
        named = self.table(name)
        return (named, *self._heirs(named))

    def above(self, tables: Iterable[Table]) -> tuple[Table, ...]:
        """Return the tables whose partitions or heirs these are, each once."""
        found: dict[int, Table] = {}
        waiting = list(tables)
        by_oid = {table.oid: table for table in self.tables.values()}
        while waiting:
            for oid in waiting.pop().parents:
                if oid in by_oid and oid not in found:
                    found[oid] = by_oid[oid]
                    waiting.append(by_oid[oid])
        return tuple(found.values())

    def _heirs(self, table: Table) -> Iterator[Table]:
        for heir in self.tables.values():
            if table.oid in (above.oid for above in self.above([heir])):
                yield heir

    def column(self, table: Table, name: str) -> Column:
        """Return a column of `table`.

        Raises:
            Refused: there is none.
        """
        try:
            return table.columns[name]
        except KeyError:
            raise Refused(f"table {table.name!r} has no column {name[:80]!r}") from None


def _selectable(table: Table, *, all_rows: bool) -> Table:
    if table.kind == "foreign table":
        raise Refused(f"{table.name!r} is a foreign table; its rows stand in another store")
    if table.kind == "materialized view" and not all_rows:
        raise Refused(f"{table.name!r} is a materialized view; it goes as a whole, without conditions")
    if table.key:
        return table
    if not all_rows:
        raise Refused(f"{table.name!r} has no primary key, so its rows cannot be told apart; give it one")
    return replace(table, key=PLACE)


def read_schema(connection: "psycopg.Connection[Any]") -> Schema:
    """Read the catalogs."""
    columns: dict[int, dict[str, Column]] = {}
    for oid, name, declared, plain, base in connection.execute(_COLUMNS):
        columns.setdefault(oid, {})[name] = Column(name=name, declared=declared, type=plain, base=base)
    tables = {}
    for oid, schema, name, kind, hides, filled, parents, key, index in connection.execute(_RELATIONS):
        table = Table(
            oid=oid,
            schema=schema,
            relation=name,
            kind=_KINDS[kind],
            hides_rows=hides,
            filled=filled,
            parents=tuple(parents),
            columns=columns.get(oid, {}),
            key=tuple(key),
            key_index=index or "",
        )
        tables[table.name] = table
    by_oid = {table.oid: table.name for table in tables.values()}
    keys = tuple(
        ForeignKey(
            name=name,
            table=by_oid[child],
            columns=tuple(here),
            refers_to=by_oid[parent],
            referred=tuple(there),
            on_delete=_EFFECT[effect],
            nullable=nullable,
            deferrable=deferrable,
        )
        for name, child, parent, effect, deferrable, here, there, nullable in connection.execute(_KEYS)
        if child in by_oid and parent in by_oid
    )
    return Schema(tables, keys)
