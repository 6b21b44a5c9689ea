"""A database with columns that were sealed by person: when a key is destroyed, nothing opens in any copy.

The copies are those that nobody reaches for one person: a dump, and a copy of the database's own files.
The job knows none of them.
"""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deleatur_plugins.subject_keys import KeyNotFound, KeyStore

from ..postgresql_server import RunningServer, running_server
from .test_subject_keys import GONE, KEK, STAY, House

Values = dict[str, bytes]


@pytest.fixture
def house(tmp_path: Path) -> House:
    (tmp_path / "house").mkdir()
    return House(tmp_path / "house", tmp_path / "jobs")


def opening(house: House, places: dict[str, Values]) -> dict[str, set[str]]:
    """Return whose value opens, for each place; whose does not, has no key any more."""
    found: dict[str, set[str]] = {}
    with KeyStore(house.folder / "store", KEK) as store:
        for place, values in places.items():
            assert values.keys() == {*GONE, *STAY}, place
            for subject, value in values.items():
                try:
                    assert store.open(subject, "mail", value) == f"{subject}@example.org".encode()
                except KeyNotFound:
                    continue
                found.setdefault(place, set()).add(subject)
    return found


def in_sqlite(path: Path) -> Values:
    with closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT subject, mail FROM customer"))


def test_a_table_of_sqlite_its_dump_and_a_copy_of_its_file(house: House, tmp_path: Path) -> None:
    path, copy, dump = tmp_path / "shop.db", tmp_path / "backup.db", tmp_path / "dump.sql"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE customer (subject TEXT PRIMARY KEY, mail BLOB)")
        database.executemany("INSERT INTO customer VALUES (?, ?)", house.sealed.items())
        database.commit()
        dump.write_text("\n".join(database.iterdump()))
    shutil.copy(path, copy)
    kept = {file: file.read_bytes() for file in (path, copy, dump)}
    assert not [f for f, content in kept.items() if b"@example.org" in content], "it never stood in clear"

    def places() -> dict[str, Values]:
        with closing(sqlite3.connect(tmp_path / "restored.db")) as restored:
            restored.executescript("DROP TABLE IF EXISTS customer;" + dump.read_text())
        return {
            "table": in_sqlite(path),
            "copy": in_sqlite(copy),
            "dump": in_sqlite(tmp_path / "restored.db"),
        }

    assert opening(house, places()) == {place: {*GONE, *STAY} for place in places()}, "the control"
    house.bench.run(house.job())
    assert opening(house, places()) == {place: set(STAY) for place in places()}
    assert kept == {file: file.read_bytes() for file in kept}, "no copy was touched"


@pytest.fixture
def server() -> Iterator[RunningServer]:
    with running_server() as server:
        yield server


def in_postgresql(server: RunningServer, database: str) -> Values:
    return dict(server.run("SELECT subject, mail FROM customer", database=database))


@pytest.mark.root
def test_a_table_of_postgresql_its_dump_and_a_copy_of_its_file(
    house: House, server: RunningServer, tmp_path: Path
) -> None:
    rows = ", ".join(f"('{s}', '\\x{value.hex()}')" for s, value in house.sealed.items())
    ((file,),) = server.run(
        "CREATE TABLE customer (subject text PRIMARY KEY, mail bytea)",
        f"INSERT INTO customer VALUES {rows}",
        "CHECKPOINT",
        "SELECT pg_relation_filepath('customer')",
    )
    copy, dump = tmp_path / "heap", tmp_path / "dump.sql"
    shutil.copy(server.data / file, copy)
    reach = ["-h", str(server.sockets), "-U", "postgres"]
    subprocess.run(
        [server.programs / "pg_dump", *reach, "-t", "customer", "-f", dump, "postgres"],
        check=True,
        timeout=60,
    )
    assert b"@example.org" not in copy.read_bytes() + dump.read_bytes(), "it never stood in clear"

    def places() -> dict[str, Values]:
        server.run("DROP DATABASE IF EXISTS restored", "CREATE DATABASE restored")
        subprocess.run(
            [server.programs / "psql", *reach, "-q", "-d", "restored", "-f", dump],
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )
        content = copy.read_bytes()
        return {
            "table": in_postgresql(server, "postgres"),
            "dump": in_postgresql(server, "restored"),
            "copy": {s: v for s, v in house.sealed.items() if v in content},
        }

    assert opening(house, places()) == {place: {*GONE, *STAY} for place in places()}, "the control"
    house.bench.run(house.job())
    assert opening(house, places()) == {place: set(STAY) for place in places()}
