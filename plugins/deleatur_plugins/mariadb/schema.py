"""What a MariaDB database consists of: tables, columns, keys, triggers, as information_schema tells.

Rules kept: every name that reaches an SQL text was found here first and is quoted; what rows cannot
be erased from, and why, is said by name.
"""

# ruff: noqa: S608 - what stands in an SQL text here is a constant, or quoted by the session

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from deleatur.api import ForeignKey, Refused
from deleatur_plugins.mariadb.connecting import Session, quoted

INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
FLOATS = frozenset({"float", "double"})
TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
BLOBS = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
WORDS = frozenset({"enum", "set", "uuid", "inet4", "inet6"})  # shown as text, stored as something else
NUMBERS = frozenset({"bigint", "decimal", "double", "datetime", "timestamp", "uuid"})
TIMES = frozenset({"date", "time", "datetime", "timestamp"})
_COUNTER = re.compile(rb" AUTO_INCREMENT=\d+")  # grows with each row, so it is no part of the declaration
OnDelete = Literal["no-action", "restrict", "cascade", "set-null", "set-default"]
_ON_DELETE: dict[str, OnDelete] = {
    "CASCADE": "cascade",
    "SET NULL": "set-null",
    "SET DEFAULT": "set-default",
    "RESTRICT": "restrict",
    "NO ACTION": "no-action",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column."""

    name: str
    type: str  # the word alone: "varchar"
    declared: str  # as it was declared: "varchar(40)"
    charset: str  # "" when it holds no text
    collation: str
    stored: bool  # a virtual generated column is stored nowhere

    @property
    def searched(self) -> bool:
        """Say whether its bytes stand in the files as a program would show them."""
        return self.stored and self.type in TEXTS | BLOBS

    @property
    def is_number(self) -> bool:
        """Say whether values of it can be stored in six bytes or more that say something."""
        return self.stored and self.type in NUMBERS


@dataclass(frozen=True, kw_only=True)
class Index:
    """One index beside the primary key, in a tree of its own."""

    name: str
    columns: tuple[tuple[Column, int], ...]  # with the number of characters that it holds of each; 0: all


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table or view."""

    name: str
    engine: str
    kind: str  # "BASE TABLE", "VIEW", "SYSTEM VERSIONED", "SEQUENCE"
    columns: tuple[Column, ...]
    key: tuple[Column, ...]  # primary key, in its order
    triggers: tuple[str, ...]  # that run at a DELETE
    indexes: tuple[Index, ...]
    forms: frozenset[str]  # of indexes that are no trees of whole values: FULLTEXT, SPATIAL, HASH

    @property
    def sql(self) -> str:
        """Its name for an SQL text."""
        return quoted(self.name)

    @property
    def order(self) -> str:
        """An ORDER BY list that puts its rows into one fixed order, equal ones side by side."""
        if self.key:
            return ", ".join(f"t0.{quoted(c.name)}" for c in self.key)
        digests = (f"IFNULL(SHA2(t0.{quoted(c.name)}, 256), '')" for c in self.columns)
        return f"CONCAT({', '.join(digests)})"

    def column(self, name: str) -> Column:
        """Return the column called `name`, letter by letter. Raises Refused when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise Refused(f"table {self.name!r} has no column {name[:80]!r}; names are compared letter by letter")

    def hindrance(self) -> str:
        """Return why rows cannot be erased from it; "" when they can."""
        if self.kind != "BASE TABLE":
            return f"{self.name!r} is a {self.kind.lower()}; erase from the tables under it"
        if self.engine != "InnoDB":
            return (
                f"table {self.name!r} is stored by {self.engine or 'no engine'}; convert it to InnoDB first"
            )
        if not self.key:
            return f"table {self.name!r} has no primary key, so its rows cannot be named; add one"
        if any(column.type in FLOATS for column in self.key):
            return f"the primary key of {self.name!r} is a floating-point number; its rows cannot be named"
        if self.triggers:
            return f"trigger {', '.join(self.triggers)} runs at each delete from {self.name!r}; drop it first"
        if "FULLTEXT" in self.forms:
            return f"table {self.name!r} has a full-text index, which keeps words apart; drop it first"
        return ""

    def standstill(self) -> str:
        """Return why the server cannot rebuild it while others use it; "" when it can (measured, 10.11)."""
        virtual = [i.name for i in self.indexes if any(not column.stored for column, _ in i.columns)]
        what = f"index {virtual[0]!r} on a virtual column" if virtual else ""
        if self.forms & {"SPATIAL", "HASH"}:
            what = "a spatial index, or a unique key over long values"
        return (
            f"table {self.name!r} has {what}, so it cannot be rebuilt online; drop that first" if what else ""
        )


@dataclass(frozen=True)
class Schema:
    """Everything that the database declares."""

    name: str
    tables: dict[str, Table]
    keys: tuple[ForeignKey, ...]  # other databases' tables appear as "database.table"
    statements: tuple[bytes, ...]

    def digest(self) -> str:
        """Return the SHA-256 (hex) of the declarations."""
        return hashlib.sha256(b"\x1e".join(self.statements)).hexdigest()

    def table(self, name: str) -> Table:
        """Return the table called `name`. Raises Refused when there is none."""
        if name not in self.tables:
            raise Refused(f"the database has no table {name[:80]!r}; names are compared letter by letter")
        return self.tables[name]

    def kept(self) -> tuple[Table, ...]:
        """Return the tables whose rows are compared before and after, in a fixed order."""
        return tuple(
            t for _, t in sorted(self.tables.items()) if t.kind in ("BASE TABLE", "SYSTEM VERSIONED")
        )


def read_schema(session: Session) -> Schema:
    """Read what the database declares."""
    name = session.address.database
    here = f"= {session.literal(name)}"
    columns: dict[str, list[Column]] = {}
    for table, column, type_, declared, charset, collation, generated, extra in session.texts(
        "SELECT table_name, column_name, data_type, column_type, character_set_name, collation_name, "
        f"is_generated, extra FROM information_schema.columns WHERE table_schema {here} "
        "ORDER BY table_name, ordinal_position"
    ):
        stored = generated != "ALWAYS" or "STORED" in extra or "PERSISTENT" in extra
        columns.setdefault(table, []).append(
            Column(
                name=column, type=type_.lower(), declared=declared, charset=charset, collation=collation,
                stored=stored,
            )
        )  # fmt: skip
    keyed: dict[str, dict[str, list[tuple[str, int]]]] = {}
    forms: dict[str, set[str]] = {}
    for table, index, column, kind, part in session.texts(
        "SELECT table_name, index_name, column_name, index_type, sub_part FROM information_schema.statistics "
        f"WHERE table_schema {here} ORDER BY table_name, index_name, seq_in_index"
    ):
        if kind == "BTREE":
            keyed.setdefault(table, {}).setdefault(index, []).append((column, int(part or 0)))
        else:
            forms.setdefault(table, set()).add(kind)
    triggers: dict[str, list[str]] = {}
    declared_triggers = []
    for trigger, table, event, timing, action in session.texts(
        "SELECT trigger_name, event_object_table, event_manipulation, action_timing, action_statement "
        f"FROM information_schema.triggers WHERE trigger_schema {here} ORDER BY trigger_name"
    ):
        declared_triggers.append(f"{trigger}\x1f{table}\x1f{timing} {event}\x1f{action}".encode())
        if event == "DELETE":
            triggers.setdefault(table, []).append(trigger)
    tables = {}
    for table, kind, engine in session.texts(
        f"SELECT table_name, table_type, engine FROM information_schema.tables WHERE table_schema {here}"
    ):
        found = {c.name: c for c in columns.get(table, ())}
        trees = {
            name: tuple((found[c], part) for c, part in parts) for name, parts in keyed.get(table, {}).items()
        }
        tables[table] = Table(
            name=table,
            engine=engine,
            kind=kind,
            columns=tuple(found.values()),
            key=tuple(column for column, _ in trees.pop("PRIMARY", ())),
            triggers=tuple(triggers.get(table, ())),
            indexes=tuple(Index(name=name, columns=parts) for name, parts in trees.items()),
            forms=frozenset(forms.get(table, ())),
        )
    statements = [*_declarations(session, tables), *declared_triggers]
    return Schema(name, tables, _foreign_keys(session, name), tuple(statements))


def _declarations(session: Session, tables: dict[str, Table]) -> list[bytes]:
    return [
        _COUNTER.sub(b"", session.rows(f"SHOW CREATE TABLE {t.sql}")[0][1]) for _, t in sorted(tables.items())
    ]


def _foreign_keys(session: Session, name: str) -> tuple[ForeignKey, ...]:
    """Return every foreign key from or to a table of the database."""
    here = f"= {session.literal(name)}"
    parts: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for constraint, schema, table, other_schema, other, rule, column, referred in session.texts(
        "SELECT k.constraint_name, k.table_schema, k.table_name, k.referenced_table_schema, "
        "k.referenced_table_name, r.delete_rule, k.column_name, k.referenced_column_name "
        "FROM information_schema.key_column_usage k JOIN information_schema.referential_constraints r "
        "ON r.constraint_schema = k.constraint_schema AND r.constraint_name = k.constraint_name "
        "AND r.table_name = k.table_name "
        f"WHERE k.table_schema {here} OR k.referenced_table_schema {here} "
        "ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position"
    ):
        one = table if schema == name else f"{schema}.{table}"
        two = other if other_schema == name else f"{other_schema}.{other}"
        parts.setdefault((constraint, one, two, rule), []).append((column, referred))
    return tuple(
        ForeignKey(
            name=constraint,
            table=one,
            columns=tuple(c for c, _ in pairs),
            refers_to=two,
            referred=tuple(r for _, r in pairs),
            on_delete=_ON_DELETE[rule],
        )
        for (constraint, one, two, rule), pairs in parts.items()
    )
