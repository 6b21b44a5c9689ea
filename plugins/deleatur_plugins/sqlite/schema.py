"""What a database consists of: tables, columns, triggers, and what kind of table each one is.

Rules kept: every name that reaches an SQL text was found in the schema first and is quoted here;
kinds of table that this backend does not know are refused by name, never passed over.
"""

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from typing import Literal

from deleatur.api import Refused

FULL_TEXT = frozenset({"fts3", "fts4", "fts5"})
_SPATIAL = frozenset({"rtree", "rtree_i32", "geopoly"})
_WINDOWS = frozenset({"fts4aux", "fts5vocab", "fts3tokenize", "dbstat"})  # they hold no rows of their own
_NAME = r"""(?:"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|'(?:[^']|'')*'|[^\s"'`\[(]+)"""
_VIRTUAL = re.compile(
    rf"^CREATE\s+VIRTUAL\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}\s+USING\s+({_NAME})", re.IGNORECASE
)
_CONTENT = re.compile(r"""[(,]\s*content\s*=\s*('(?:[^']|'')*'|"(?:[^"]|"")*"|[^,\s)]*)""", re.IGNORECASE)


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table, as SQL sees it."""

    name: str
    kind: Literal["table", "full-text", "spatial", "window", "view", "shadow", "internal", "unknown"]
    columns: tuple[str, ...]  # those that `SELECT *` shows, generated ones included
    computed: frozenset[str] = frozenset()  # virtual generated columns: their values are stored nowhere
    rowid: str  # a name by which the row's number can be asked for; "" when there is none
    key: tuple[str, ...] = ()  # primary key of a WITHOUT ROWID table
    content: str | None = None  # full-text: None its own, "" none, else the table that it indexes
    module: str = ""  # full-text: of its declaration, in small letters
    arguments: str = ""  # full-text: what its declaration says behind the module

    @property
    def sql(self) -> str:
        """Its name for an SQL text."""
        return f"main.{quoted(self.name)}"

    @property
    def order(self) -> str:
        """What tells its rows apart, each term qualified by t0: their number, or the primary key."""
        return ", ".join(f"t0.{quoted(c)}" for c in self.key) or f"t0.{self.rowid}"


@dataclass(frozen=True)
class Schema:
    """Everything that a database declares."""

    tables: dict[str, Table]
    statements: tuple[bytes, ...]  # every object: type, name, table, SQL
    triggers: dict[str, tuple[str, ...]]  # table: names

    @property
    def has_full_text(self) -> bool:
        """Say whether an index of words is among them, which keeps each word without what it shares."""
        return any(table.kind == "full-text" for table in self.tables.values())

    def digest(self) -> str:
        """Return the SHA-256 (hex) of the declarations: it changes when the schema changes."""
        return hashlib.sha256(b"\x1e".join(self.statements)).hexdigest()

    def table(self, name: str) -> Table:
        """Return the table called `name`, letter by letter.

        Raises:
            Refused: there is none, or it is of a kind that rows cannot be selected from.
        """
        found = self.tables.get(name)
        if found is None:
            raise Refused(f"the database has no table {name[:80]!r}; names are compared letter by letter")
        if found.kind not in ("table", "full-text"):
            raise Refused(f"{name!r} is not a table of rows ({found.kind}); select from the tables under it")
        return found

    def column(self, table: Table, name: str) -> str:
        """Return the quoted name of a column of `table`.

        Raises:
            Refused: there is none.
        """
        if name not in table.columns:
            raise Refused(f"table {table.name!r} has no column {name[:80]!r}")
        return quoted(name)

    def kept(self) -> tuple[Table, ...]:
        """Return the tables whose rows are compared before and after, in a fixed order.

        Left out are those whose content lies in another table of this list.
        """
        return tuple(
            t
            for _, t in sorted(self.tables.items())
            if t.kind in ("table", "spatial") or (t.kind == "full-text" and not t.content)
        )


def read_schema(connection: sqlite3.Connection) -> Schema:
    """Read the schema of an open database."""
    rows = [
        (
            str(k, "utf-8", "replace"),
            str(n, "utf-8", "surrogateescape"),
            str(t, "utf-8", "surrogateescape"),
            s,
        )
        for k, n, t, s in connection.execute("SELECT type, name, tbl_name, sql FROM main.sqlite_schema")
    ]
    rows = [row for row in rows if not row[1].startswith("sqlite_stat")]
    virtual = {n: _text(s) for k, n, _, s in rows if k == "table" and _VIRTUAL.match(_text(s))}
    tables = {t.name: t for t in _tables(connection, virtual)}
    statements = sorted(
        b"\x1f".join(
            (
                k.encode(),
                n.encode("utf-8", "surrogateescape"),
                t.encode("utf-8", "surrogateescape"),
                bytes(s or b""),
            )
        )
        for k, n, t, s in rows
    )
    triggers: dict[str, tuple[str, ...]] = {}
    for kind, name, table, _ in sorted(rows, key=lambda row: row[1]):
        if kind == "trigger":
            triggers[table] = (*triggers.get(table, ()), name)
    return Schema(tables, tuple(statements), triggers)


def primary_key(connection: sqlite3.Connection, table: str, number: int) -> str:
    """Return the column of the primary key that a foreign key without columns points to, or ""."""
    for column in connection.execute(f"PRAGMA main.table_xinfo({quoted(table)})"):
        if column[5] == number + 1:
            return str(column[1], "utf-8", "surrogateescape")
    return ""


def _tables(connection: sqlite3.Connection, virtual: dict[str, str]) -> list[Table]:
    found = []
    for _, raw, kind, _, without_rowid, _ in connection.execute("PRAGMA main.table_list").fetchall():
        name, said = str(raw, "utf-8", "surrogateescape"), str(kind, "ascii")
        if name.startswith("sqlite_"):
            found.append(Table(name=name, kind="internal", columns=(), rowid=""))
        elif said in ("view", "shadow"):
            found.append(Table(name=name, kind="view" if said == "view" else "shadow", columns=(), rowid=""))
        else:
            found.append(_table(connection, name, virtual.get(name), without_rowid=bool(without_rowid)))
    return found


def _table(
    connection: sqlite3.Connection, name: str, declaration: str | None, *, without_rowid: bool
) -> Table:
    kind: Literal["table", "full-text", "spatial", "window", "unknown"] = "table"
    content, module, arguments = None, "", ""
    if declaration is not None:
        module = _module(declaration)
        if module in FULL_TEXT:
            kind, content = "full-text", _content(declaration)
            arguments = _VIRTUAL.sub("", declaration, count=1)
        else:
            kind = "spatial" if module in _SPATIAL else "window" if module in _WINDOWS else "unknown"
    if kind in ("window", "unknown"):
        return Table(name=name, kind=kind, columns=(), rowid="")
    information = connection.execute(f"PRAGMA main.table_xinfo({quoted(name)})").fetchall()
    columns = tuple(str(c[1], "utf-8", "surrogateescape") for c in information if c[6] != 1)  # 1: hidden
    keyed = sorted((c[5], str(c[1], "utf-8", "surrogateescape")) for c in information if c[5])
    return Table(
        name=name,
        kind=kind,
        columns=columns,
        computed=frozenset(str(c[1], "utf-8", "surrogateescape") for c in information if c[6] == 2),
        rowid="" if without_rowid else _rowid(name, columns),
        key=tuple(c for _, c in keyed) if without_rowid else (),
        content=content,
        module=module,
        arguments=arguments,
    )


def _rowid(table: str, columns: tuple[str, ...]) -> str:
    """Return the first name of the row's number that no column hides."""
    taken = {c.lower() for c in columns}
    for name in ("rowid", "_rowid_", "oid"):
        if name not in taken:
            return name
    raise Refused(f"table {table!r} has columns called rowid, _rowid_ and oid; its rows cannot be numbered")


def _module(declaration: str) -> str:
    found = _VIRTUAL.match(declaration)
    return found.group(1).strip("\"'`[]").lower() if found else ""


def _content(declaration: str) -> str | None:
    found = _CONTENT.search(declaration)
    return None if found is None else found.group(1).strip("\"'")


def _text(statement: bytes | None) -> str:
    return str(statement or b"", "utf-8", "surrogateescape")
