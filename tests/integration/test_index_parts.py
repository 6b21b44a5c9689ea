"""What indexes keep of values without their beginnings: a plain delete leaves it, our runs do not."""

import sqlite3
import uuid
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pytest
from tests.postgresql_server import running_server

from deleatur.documents.codec import encode_json
from deleatur.errors import Residue
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.sqlite import rebuild

ROWS = 400
END = 12  # bytes; of random digits no two are alike
HEAD = "customeraccount"  # what all values share, so that an index keeps it once
VALUES = [HEAD + uuid.uuid5(uuid.NAMESPACE_OID, str(n)).hex for n in range(ROWS)]
JOB = """
schema = "deleatur/job/v1"
name = "parts"
reason = "other"
authority = "a test"
requested_by = "tester"
[verification]
device = false
[[target]]
id = "parts"
url = "{url}"
[[target.select]]
table = "{table}"
where = [{{ column = "{column}", operator = "in", values = {values} }}]
"""


def ends(values: Sequence[str]) -> list[bytes]:
    return [value[-END:].encode() for value in values]


def counted(raw: bytes, going: Sequence[str]) -> tuple[int, int]:
    """How many values stand in bytes whole, and of how many the end does."""
    return sum(v.encode() in raw for v in going), sum(end in raw for end in ends(going))


def erased(tmp_path: Path, **job: object) -> str:
    """Run a whole job; return its certificate as text."""
    bench = Workbench(tmp_path)
    certificate = verify(
        bench.whole(JOB.format(**job)).certificate, [bench.agent.public], 1, None
    ).certificate
    assert [v.verdict for v in certificate.verification] == ["CLEAN"]
    return encode_json(certificate).decode()


def full_text(path: Path, module: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA secure_delete = ON")
        database.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, leaves TEXT, value TEXT)")
        database.executemany(
            "INSERT INTO people VALUES (?, ?, ?)", [(n, f"{n % 2}", v) for n, v in enumerate(VALUES)]
        )
        database.execute(f"CREATE VIRTUAL TABLE words USING {module} (value, content='people')")
        database.execute("INSERT INTO words (words) VALUES ('rebuild')")
        database.commit()


@pytest.mark.parametrize("module", ["fts5", "fts4"])
def test_words_of_sqlite_go_with_their_index(tmp_path: Path, module: str) -> None:
    path, going = tmp_path / "words.sqlite", VALUES[1::2]
    full_text(path, module)
    left = tmp_path / "left.sqlite"
    left.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(left)) as database:
        database.execute("PRAGMA secure_delete = ON")
        database.execute("DELETE FROM people WHERE leaves = '1'")
        database.commit()
        database.execute("VACUUM")
    whole, parts = counted(left.read_bytes(), going)
    assert (whole < len(going) // 10, parts) == (True, len(going)), "the control: what a plain delete leaves"
    said = erased(tmp_path, url="sqlite:../words.sqlite", table="people", column="leaves", values='["1"]')
    assert counted(path.read_bytes(), going) == (0, 0)
    assert counted(path.read_bytes(), VALUES[::2])[1] == len(VALUES[::2])
    assert '"shared-words-not-searched"' in said
    assert '"full-text"' in said


@pytest.mark.parametrize("module", ["fts5", "fts4"])
def test_an_index_that_is_left_as_it_was_is_residue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """Without the step that writes the index anew, their beginnings are kept with the words of others."""
    path, gone = tmp_path / "words.sqlite", [VALUES[201], VALUES[303]]
    full_text(path, module)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE people SET leaves = 'one' WHERE id IN (201, 303)")
        database.commit()
    monkeypatch.setattr(rebuild, "_refresh_full_text", lambda *_: None)
    monkeypatch.setattr(rebuild, "_check_soundness", lambda _: None)  # it has a check of its own
    bench = Workbench(tmp_path)
    with pytest.raises(Residue):
        bench.whole(
            JOB.format(url="sqlite:../words.sqlite", table="people", column="leaves", values='["one"]')
        )
    assert counted(path.read_bytes(), gone) == (0, 2)


def test_words_of_those_who_stay_are_no_residue_in_whatever_letters(tmp_path: Path) -> None:
    """An index folds letters: a reference of one who goes may be that of one who stays, written otherwise."""
    path = tmp_path / "words.sqlite"
    full_text(path, "fts5")
    with closing(sqlite3.connect(path)) as database:
        going, staying = VALUES[1].upper(), "Ünter den Linden " + VALUES[1]
        database.execute("UPDATE people SET value = ?, leaves = 'one' WHERE id = 1", (going,))
        database.execute("UPDATE people SET value = ? WHERE id = 2", (staying,))
        database.execute("UPDATE people SET value = 'unterlinden', leaves = 'one' WHERE id = 3")
        database.execute("UPDATE people SET value = 'Ünterlinden' WHERE id = 4")
        database.execute("UPDATE people SET leaves = 'one' WHERE id = 5")
        database.execute("INSERT INTO words (words) VALUES ('rebuild')")
        database.commit()
    said = erased(tmp_path, url="sqlite:../words.sqlite", table="people", column="leaves", values='["one"]')
    assert '"shared-words-not-searched"' in said
    assert VALUES[5].encode() not in path.read_bytes()


def test_keys_of_duckdb_go_with_their_index(tmp_path: Path) -> None:
    path, going = tmp_path / "keys.db", VALUES[1::2]
    with closing(duckdb.connect(str(path), config={"temp_directory": ""})) as connection:
        connection.execute("CREATE TABLE people (leaves VARCHAR, value VARCHAR PRIMARY KEY)")
        rows = [(f"{n % 2}", v) for n, v in enumerate(VALUES)]
        connection.executemany("INSERT INTO people VALUES (?, ?)", rows)
    assert counted(path.read_bytes(), going)[1] == len(going)
    said = erased(tmp_path, url=f"duckdb:{path}", table="people", column="leaves", values='["1"]')
    assert counted(path.read_bytes(), going) == (0, 0)
    assert '"index-parts-not-searched"' in said


@pytest.mark.root
def test_texts_of_postgresql_go_with_their_tree_of_parts(tmp_path: Path) -> None:
    going = VALUES[1::2]
    with running_server(megabytes=120) as server:
        server.run(
            "CREATE TABLE people (id int PRIMARY KEY, leaves text, value text)",
            "CREATE INDEX tree ON people USING spgist (value)",
            *(f"INSERT INTO people VALUES ({n}, '{n % 2}', '{v}')" for n, v in enumerate(VALUES)),
            "CHECKPOINT",
        )
        ((tree,),) = server.run("SELECT pg_relation_filepath('tree')")
        assert counted((server.data / tree).read_bytes(), going) == (0, len(going)), "the control"
        said = erased(tmp_path, url=server.url(), table="people", column="leaves", values='["1"]')
        raw = b"".join(file.read_bytes() for file in server.data.rglob("*") if file.is_file())
    assert counted(raw, going) == (0, 0)
    assert '"index-parts-not-searched"' in said
