"""What MariaDB keeps beside its rows, and how it keeps rows: known to the plugin, seen on a real server."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.documents.journal import Controlled
from deleatur.engine.jobs import read_entries, read_plan
from deleatur.errors import Residue
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.mariadb.connecting import Session, address_of
from deleatur_plugins.mariadb.joined import joined_rows
from deleatur_plugins.mariadb.schema import read_schema

from ..mariadb_server import Server, server_on_a_disk

pytestmark = pytest.mark.root

KINDS = {
    "TINYINT": "-7",
    "SMALLINT UNSIGNED": "50",
    "MEDIUMINT": "-50",
    "INT": "12345",
    "INT UNSIGNED": "4000000000",
    "BIGINT": "-9000000000",
    "YEAR": "2026",
    "FLOAT": "1.1",
    "DOUBLE": "-1.1",
    "DECIMAL(10,2)": "1234567.89",
    "DECIMAL(20,11)": "-123456789.12345678901",
    "DECIMAL(9,0)": "7",
    "DECIMAL(3,3)": "0.125",
    "DATE": "'1979-06-22'",
    "TIME": "'11:22:33'",
    "DATETIME": "'2026-11-22 11:48:50'",
    "DATETIME(3)": "'2026-11-22 11:48:50.125'",
    "TIMESTAMP": "'2026-11-22 11:48:50'",
    "TIMESTAMP(6)": "'2026-11-22 11:48:50.654321'",
    "CHAR(9) CHARACTER SET latin1": "'abc'",
    "CHAR(9)": "'def'",
    "VARCHAR(40)": "'ghi'",
    "BINARY(6)": "'jkl'",
    "TEXT": "'mno'",
    "ENUM('red','it''s','blue')": "'blue'",
    "SET('a','b','c')": "'a,c'",
    "BIT(12)": "b'101100110011'",
    "INET4": "'203.0.113.50'",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk() as running:
        running.run("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")
        yield running


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
    name = f"d{uuid.uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {name}")
    yield name
    server.run(f"DROP DATABASE {name}")


def file_of(server: Server, database: str, table: str) -> bytes:
    server.settle()
    return (server.data / database / f"{table}.ibd").read_bytes()


# --- values side by side


def test_each_kind_of_value_stands_in_the_file_as_it_is_said_to(server: Server, database: str) -> None:
    kinds = list(KINDS)
    columns = ", ".join(f"c{n} {kind}, m{n} VARCHAR(20)" for n, kind in enumerate(kinds))
    values = ", ".join(f"{KINDS[kind]}, '{uuid.uuid4().hex[:16]}'" for kind in kinds)
    server.run(
        "SET time_zone = '+00:00'",
        f"CREATE TABLE kinds (id INT PRIMARY KEY, {columns}, KEY (m0, c13)) CHARACTER SET utf8mb4",
        f"INSERT INTO kinds VALUES (1, {values})",
        database=database,
    )
    with closing(Session(address_of(server.url(database)))) as session:
        table = read_schema(session).table("kinds")
        told = list(joined_rows(session, table, "1"))
    raw = file_of(server, database, "kinds")
    _, key, record, _, entry = told
    assert record in raw
    assert (len(key), len(record) > 400, entry in raw) == (4, True, True)


def test_what_stands_behind_a_record_is_known_after_a_rebuild(server: Server, database: str) -> None:
    rows = ", ".join(f"({n}, '{uuid.uuid4().hex * (n % 9 + 1)}', NULL)" for n in range(1, 60))
    server.run(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(300), b VARCHAR(20), KEY (a (3)))",
        f"INSERT INTO t VALUES {rows}",
        "ALTER TABLE t FORCE",
        database=database,
    )
    with closing(Session(address_of(server.url(database)))) as session:
        told = list(joined_rows(session, read_schema(session).table("t"), "1"))
    raw = file_of(server, database, "t")
    behind = [part for part in told if len(part) % 32 == 1 and part not in raw]
    assert len([part for part in told if len(part) % 32 == 1]) > 50
    assert not behind


SPELLED = ("26 Harbor Road, Apt. 18", "22Elm Street 9, Reno", "12 Rue de la Paix, Paris")
JOB = """
schema = "deleatur/job/v1"
name = "joined"
reason = "other"
authority = "a test"
requested_by = "tester"
[[target]]
id = "people"
url = "{url}"
[[target.select]]
table = "people"
where = [{{ column = "gone", operator = "=", value = 1 }}]
"""


@pytest.mark.parametrize("seen", [True, False], ids=["as stored", "value by value"])
def test_values_side_by_side_that_spell_an_erased_one(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, seen: bool
) -> None:
    """In a record behind a number, in an index entry behind a text, and in front of a length."""
    kept = ("(1, 0, '1979-06-22', 50, '6 Harbor Road, Apt. 18')", "(2, 0, 'x-22', 1, 'Elm Street 9, Reno')")
    kept += ("(3, 0, NULL, 49, '2 Rue de la Paix, Paris')",)
    gone = (f"({n}, 1, NULL, 1, '{address}')" for n, address in enumerate(SPELLED, start=10))
    server.run(
        "CREATE TABLE people (id INT PRIMARY KEY, gone TINYINT, born VARCHAR(20), number SMALLINT, "
        "address VARCHAR(80), KEY (born, address))",
        f"INSERT INTO people VALUES {', '.join([*kept, *gone])}",
        f"INSERT INTO people VALUES (20, 1, NULL, 1, '{uuid.uuid4().hex}')",
        database=database,
    )
    server.settle()
    bench = Workbench(tmp_path)
    job = JOB.format(url=server.url(database))
    if not seen:
        monkeypatch.setattr("deleatur_plugins.mariadb.content.joined_rows", lambda *_: iter(()))
        with pytest.raises(Residue):
            bench.whole(job)
        return
    directory = bench.whole(job)
    events = [entry.event for entry in read_entries(directory, read_plan(directory))]
    (control,) = (event for event in events if isinstance(event, Controlled))
    assert control.shared == 3
    certificate = verify(directory.certificate, [bench.agent.public], 1, None).certificate
    assert "values-shared" in {e.sentence.id for e in certificate.exceptions}
