"""What a database declares: tables, columns, keys, and what cannot be written anew as it is."""

# ruff: noqa: S608 - what stands in an SQL text here is a constant, or quoted

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from deleatur.api import ForeignKey, Refused, is_large
from deleatur_plugins.duckdb.connecting import Session, quoted

_DECLARED = {
    "schemas": "schema_name",
    "types": "schema_name, type_name, logical_type, labels",
    "sequences": "schema_name, sql",
    "tables": "schema_name, sql",
    "indexes": "schema_name, sql",
    "views": "schema_name, sql",
    "functions": "schema_name, function_name, parameters, macro_definition",
}
_NEVER_INTERNAL = ("indexes", "sequences")
_COMMENTED = ("tables", "views", "indexes", "sequences", "columns", "types", "functions", "schemas")


@dataclass(frozen=True)
class Column:
    """One column."""

    name: str
    type: str  # as DuckDB writes it, such as DECIMAL(10,2)

    @property
    def text(self) -> str:
        """SQL that gives the stored value as text, each value its own."""
        name = f"t0.{quoted(self.name)}"
        return f"hex({name})" if self.type == "BLOB" else f"CAST({name} AS VARCHAR)"

    @property
    def searched(self) -> bool:
        """Say whether its values are searched in raw bytes."""
        return self.type in ("VARCHAR", "BLOB", "JSON")

    @property
    def is_number(self) -> bool:
        """Say whether its values have eight bytes or more, where they are not packed into bits."""
        return self.type in ("BIGINT", "UBIGINT", "UUID")

    def says_enough(self, shown: str) -> bool:
        """Say whether a value, as text, would be recognised in raw bytes."""
        return bool(shown) if not self.is_number else self.type == "UUID" or is_large(int(shown))


@dataclass(frozen=True)
class Table:
    """One table; `sql` names it, with the database that it is read from."""

    schema: str
    own: str
    sql: str
    columns: tuple[Column, ...]
    generated: bool

    @property
    def name(self) -> str:
        """Its name in a job: with its schema, if that is not `main`."""
        return self.own if self.schema == "main" else f"{self.schema}.{self.own}"

    def column(self, name: str) -> Column:
        """Return the column called `name`. Raises Refused when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise Refused(f"table {self.name!r} has no column {name[:80]!r}")


@dataclass(frozen=True)
class Schema:
    """All that one database declares."""

    tables: dict[str, Table]
    keys: tuple[ForeignKey, ...]
    statements: tuple[str, ...]

    def table(self, name: str) -> Table:
        """Return the table called `name`. Raises Refused when there is none."""
        try:
            return self.tables[name]
        except KeyError:
            raise Refused(f"there is no table {name[:80]!r}") from None

    def digest(self) -> str:
        """Return SHA-256 (hex) over all declarations."""
        return hashlib.sha256("\0".join(self.statements).encode()).hexdigest()


def read_schema(session: Session, database: str) -> Schema:
    """Read what the attached `database` declares."""
    of = f"WHERE database_name = '{database}' AND NOT internal"
    tables = {}
    for schema, own, sql in tuple(
        session.rows(f"SELECT schema_name, table_name, sql FROM duckdb_tables() {of} ORDER BY 1, 2")
    ):
        columns = tuple(
            Column(name, type_)
            for table_schema, table_name, name, type_ in session.rows(
                "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() "
                f"{of} ORDER BY 1, 2, column_index"
            )
            if (table_schema, table_name) == (schema, own)
        )
        named = ".".join(quoted(part) for part in (database, schema, own))
        table = Table(schema, own, named, columns, "GENERATED ALWAYS AS" in sql)
        tables[table.name] = table
    keys = tuple(
        ForeignKey(
            name=name,
            table=_named(schema, table),
            columns=tuple(columns),
            refers_to=_named(schema, there),
            referred=tuple(referred),
        )
        for schema, table, name, columns, there, referred in session.rows(
            "SELECT schema_name, table_name, constraint_name, constraint_column_names, referenced_table, "
            "referenced_column_names FROM duckdb_constraints() WHERE constraint_type = 'FOREIGN KEY' "
            f"AND database_name = '{database}' ORDER BY ALL"
        )
    )
    return Schema(tables, keys, tuple(_statements(session, of)))


def _named(schema: str, own: str) -> str:
    return own if schema == "main" else f"{schema}.{own}"


def _statements(session: Session, of: str) -> Iterator[str]:
    for kind, columns in _DECLARED.items():
        whose = of if kind not in _NEVER_INTERNAL else of.removesuffix(" AND NOT internal")
        for row in session.rows(f"SELECT {columns} FROM duckdb_{kind}() {whose} ORDER BY ALL"):
            yield f"{kind} {row}"


def comments(session: Session, database: str) -> int:
    """Return how many comments the attached `database` has, which are not written anew."""
    return sum(
        int(session.value(f"SELECT count(comment) FROM duckdb_{kind}() WHERE database_name = '{database}'"))
        for kind in _COMMENTED
    )


def has_indexes(session: Session, database: str) -> bool:
    """Say whether the attached `database` has an index, which keeps each key without what it shares."""
    return bool(
        session.value(
            f"SELECT (SELECT count(*) FROM duckdb_indexes() WHERE database_name = '{database}') + (SELECT "
            f"count(*) FROM duckdb_constraints() WHERE database_name = '{database}' "
            "AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY'))"
        )
    )
