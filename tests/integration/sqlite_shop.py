"""A small database in every journal mode, its going and staying values, and an erase of it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from deleatur.api import Condition, Cursor, Pattern, Selection, Step, Target
from deleatur_plugins.sqlite import SqliteBackend

SECRETS = {"digest-key": bytes(range(32))}
STEP = Step(
    id="s1",
    target="t",
    technique="rewrite-and-shred",
    action="rewrite",
    compare="absence",
    pattern=Pattern(kind="aes-256-ctr", key="5e" * 32),
)
GOES = Condition(column="goes", operator="=", value=1)
SCHEMA = """
    CREATE TABLE person (id INTEGER PRIMARY KEY, goes INTEGER, name TEXT UNIQUE, letter TEXT);
    CREATE INDEX by_letter ON person (letter);
    CREATE TABLE mail (body TEXT, goes INTEGER);
    CREATE VIRTUAL TABLE found USING fts5 (body, content='mail', content_rowid='rowid');
    CREATE VIRTUAL TABLE own USING fts5 (body, goes UNINDEXED);
    CREATE VIRTUAL TABLE older USING fts4 (body, goes);
    CREATE VIRTUAL TABLE oldest USING fts3 (body, goes);
    CREATE TRIGGER mail_gone AFTER DELETE ON mail BEGIN
      INSERT INTO found (found, rowid, body) VALUES ('delete', old.rowid, old.body);
    END;
"""
SELECT = tuple(Selection(table=name, where=(GOES,)) for name in ("person", "mail", "own"))
OLDER = tuple(
    Selection(table=name, where=(Condition(column="goes", operator="=", value="1"),))
    for name in ("older", "oldest")
)


def word(kind: str, number: int) -> str:
    """Return a value that stands nowhere else; it is one token of a full-text index."""
    return f"zq{kind}{number:04d}{number * 2654435761 % 0xFFFFFF:06x}"


def url(path: Path) -> str:
    """Return the URL of a database."""
    return path.as_uri().replace("file:", "sqlite:")


def target(path: Path, *select: Selection) -> Target:
    """Return the target of everything that goes, or of the given selections."""
    return Target(id="t", url=url(path), select=select or (*SELECT, *OLDER))


def fill(database: sqlite3.Connection, rows: int) -> None:
    """Fill the tables: even numbers go, odd ones stay."""
    database.executescript(SCHEMA)
    database.execute("BEGIN")
    for n in range(rows):
        goes = 1 - n % 2
        kind = "d" if goes else "k"
        text = word(kind, n)
        letter = f"{text}l " + "dear friend " * (400 if n % 10 < 2 else 5) + f" {text}t"
        database.execute("INSERT INTO person VALUES (?, ?, ?, ?)", (n, goes, text, letter))
        database.execute("INSERT INTO mail VALUES (?, ?)", (f"hello {text}", goes))
        database.execute("INSERT INTO own VALUES (?, ?)", (f"hello {text}", goes))
        for name in ("older", "oldest"):
            database.execute(f"INSERT INTO {name} VALUES (?, ?)", (f"hello {text}", str(goes)))
    database.execute("INSERT INTO found (found) VALUES ('rebuild')")
    database.execute("COMMIT")
    database.execute("ANALYZE")


def build(path: Path, mode: str = "DELETE", rows: int = 40, setup: str = "") -> Path:
    """Build a database in a journal mode, and change it once more so that its journals fill."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.executescript(setup)
        database.execute(f"PRAGMA journal_mode={mode}")
        fill(database, rows)
        database.execute("UPDATE person SET letter = letter || '.'")
    return path


def going(rows: int = 40) -> list[bytes]:
    """Return the values that must be found before, and by no means after."""
    return [word("d", n).encode() for n in range(0, rows, 2)]


def hits(folder: Path, rows: int = 40) -> int:
    """Count the going values that stand in any file of the folder."""
    content = b"\0".join(p.read_bytes() for p in folder.iterdir() if p.is_file())
    return sum(value in content for value in going(rows))


def kept(path: Path) -> object:
    """Read what must stay, without the backend."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [
            database.execute("SELECT * FROM person WHERE goes = 0 ORDER BY id").fetchall(),
            database.execute("SELECT rowid, * FROM mail WHERE goes = 0 ORDER BY rowid").fetchall(),
            database.execute("SELECT rowid, * FROM own WHERE goes = 0 ORDER BY rowid").fetchall(),
            database.execute("SELECT rowid, * FROM older WHERE goes = '0' ORDER BY rowid").fetchall(),
            database.execute("SELECT rowid, * FROM oldest WHERE goes = '0' ORDER BY rowid").fetchall(),
            database.execute("SELECT rowid FROM found WHERE found MATCH ?", (word("k", 1),)).fetchall(),
            database.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall(),
        ]


def erase(
    wanted: Target, secrets: dict[str, bytes] = SECRETS, after: Cursor | None = None
) -> Iterator[Cursor]:
    """Run the erase of a target."""
    backend = SqliteBackend.open(wanted, secrets)
    try:
        yield from backend.erase(STEP, after)
    finally:
        backend.close()


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder with its content."""
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}
