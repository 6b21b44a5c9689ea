"""What two kept values spell together is no residue: it is seen before the erase, and left out."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.documents.journal import Controlled
from deleatur.engine.jobs import read_entries, read_plan
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.sqlite.connecting import looking
from deleatur_plugins.sqlite.joined import Joined
from deleatur_plugins.sqlite.schema import read_schema

JOB = """
schema = "deleatur/job/v1"
name = "joined"
reason = "other"
authority = "a test"
requested_by = "tester"
[[target]]
id = "people"
url = "sqlite:../crm.sqlite"
[[target.select]]
table = "people"
where = [{ column = "gone", operator = "=", value = 1 }]
"""


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@pytest.mark.parametrize("in_index", [False, True], ids=["record", "index"])
def test_values_side_by_side_that_spell_an_erased_one(tmp_path: Path, encoding: str, in_index: bool) -> None:
    with closing(sqlite3.connect(tmp_path / "crm.sqlite")) as database:
        database.execute(f"PRAGMA encoding = '{encoding}'")
        between = "city TEXT, " if in_index else ""  # so that only the index has them side by side
        database.execute(
            f"CREATE TABLE people (id INTEGER PRIMARY KEY, born TEXT, {between}address TEXT, gone)"
        )
        if in_index:
            database.execute("CREATE INDEX by_birth ON people (born, address)")
        rows = [
            ("1979-06-22", "6 Harbor Road, Apt. 18", 0),  # reads 226 Harbor Road, Apt. 18
            ("1980-01-01", "226 Harbor Road, Apt. 18", 1),
            ("1981-01-01", "71 Maple Avenue, Apt. 3", 1),
        ]
        for born, address, gone in rows:
            cells = (born, "Reno", address, gone) if in_index else (born, address, gone)
            places = ", ".join("?" * len(cells))
            database.execute(f"INSERT INTO people VALUES (NULL, {places})", cells)
        database.commit()
    bench = Workbench(tmp_path)
    directory = bench.whole(JOB)
    events = [entry.event for entry in read_entries(directory, read_plan(directory))]
    (control,) = (event for event in events if isinstance(event, Controlled))
    assert control.shared == 1
    certificate = verify(directory.certificate, [bench.agent.public], 1, None).certificate
    assert "values-shared" in {e.sentence.id for e in certificate.exceptions}
    raw = (tmp_path / "crm.sqlite").read_bytes()
    assert "71 Maple Avenue".encode(encoding.lower().replace("utf-16", "utf-16-")) not in raw


KINDS = (None, 0, 1, -7, 1000, -70_000, 1 << 30, -(1 << 40), 1 << 60, 1.5, "text", "long" * 50, b"blob", b"")


@pytest.mark.parametrize(
    "declared",
    [
        "id INTEGER PRIMARY KEY, {columns}",
        "{columns}, id TEXT UNIQUE",
        "{columns}, id TEXT PRIMARY KEY",
        "{columns}, id TEXT, PRIMARY KEY (id, c3)) WITHOUT ROWID; CREATE TABLE other (x",
    ],
)
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_each_record_and_index_entry_stands_in_the_file_as_it_is_said_to(
    tmp_path: Path, declared: str, encoding: str
) -> None:
    path = tmp_path / "kinds.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA encoding = '{encoding}'")
        columns = ", ".join(f"c{n}" for n in range(len(KINDS)))
        database.executescript(f"CREATE TABLE t ({declared.format(columns=columns)})")
        database.execute("CREATE INDEX i ON t (c10, c2, c11)")
        for number in (5, 6):
            marks = ", ".join("?" * len(KINDS))
            database.execute(f"INSERT INTO t (id, {columns}) VALUES (?, {marks})", (number, *KINDS))
        database.commit()
    with looking(path) as connection:
        told = list(Joined(connection).rows(read_schema(connection).table("t"), ""))
    raw = path.read_bytes()
    assert len(told) >= 4
    assert all(part in raw for part in told)
