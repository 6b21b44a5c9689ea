"""Each check that keeps residue from coming about is taken out: the search still finds the residue, exit 7.

The idle snapshot on PostgreSQL is in test_postgresql_backend.py. Here: a replication slot that somebody
forgot, an open snapshot on MariaDB, and a whole run by the command line.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deleatur.api import LinkShredder, Refused
from deleatur.errors import Residue
from deleatur.testing.workbench import Workbench
from deleatur_plugins.mariadb import ground, innodb
from deleatur_plugins.postgresql import blockers, cycling

from ..mariadb_server import server_on_a_disk
from ..postgresql_server import RunningServer, running_server
from . import test_mariadb_backend as on_mariadb
from . import test_postgresql_backend as on_postgresql
from .hostile import Agent

pytestmark = pytest.mark.root


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RunningServer, str]]:
    """A server with a slot that keeps its log, and nobody who asks for slots or for what they keep."""
    honest = cycling._cycle

    def careless(connector: Any, old: LinkShredder) -> None:
        with suppress(Refused):
            honest(connector, old)
        old.release(old.in_use())

    monkeypatch.setattr(blockers, "keepers", lambda *_: iter(()))
    monkeypatch.setattr(cycling, "_cycle", careless)
    monkeypatch.setattr(cycling, "_SPARE", 1)
    with running_server(megabytes=120) as server, on_postgresql.of_forty_people(server) as database:
        server.run("SELECT pg_create_physical_replication_slot('forgotten', true)")
        try:
            yield server, database
        finally:
            server.run("SELECT pg_drop_replication_slot('forgotten')")


def residue(folder: Path) -> str:
    (report,) = folder.glob("residue-*.json")
    return report.read_text()


def test_a_forgotten_slot_keeps_the_rows_and_the_search_finds_them(
    forgotten: tuple[RunningServer, str], tmp_path: Path
) -> None:
    server, database = forgotten
    going = on_postgresql.values(server, database)
    with pytest.raises(Residue) as caught:
        Workbench(tmp_path).whole(on_postgresql.job_text(server, database, device=False))
    assert caught.value.exit_code == 7
    assert on_postgresql.values(server, database) == [], "by SQL nothing is left"
    found = set(re.findall(r"inode-(\d+)", residue(tmp_path / "job")))
    log = {str(path.stat().st_ino) for path in (server.data / "pg_wal").iterdir()}
    assert found
    assert found <= log, "it lies where the slot keeps it"
    assert [v for v in going if v.decode() in residue(tmp_path / "job")] == []
    assert not (tmp_path / "job/certificate").exists()


def test_the_command_line_ends_with_7_then(forgotten: tuple[RunningServer, str], tmp_path: Path) -> None:
    server, database = forgotten
    agent = Agent(tmp_path / "agent")
    job = agent.planned("job", on_postgresql.job_text(server, database, device=False).lstrip())
    ended = agent.fork("run", job, "--json")
    assert ended.code == 7
    assert ended.json()["error"] == "Residue"
    assert not (job / "certificate").exists()


def test_an_open_snapshot_keeps_the_rows_and_the_search_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MariaDB keeps the undo of the deletion for it: the look before, and the count after, are blind here."""
    monkeypatch.setattr(ground.Ground, "blockers", lambda *_: ())
    monkeypatch.setattr(innodb.Pages, "left_of", lambda *_: innodb.Leftover(0, 0, 0))
    with server_on_a_disk() as server:
        server.run("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")
        monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
        with on_mariadb.of_forty_people(server) as name:
            server.run("CREATE TABLE other (id INT PRIMARY KEY)", database=name)
            going = on_mariadb.values(server, name)
            with server.connected(name) as idle, idle.cursor() as cursor:
                cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                cursor.execute("SELECT COUNT(*) FROM other")
                with pytest.raises(Residue) as caught:
                    Workbench(tmp_path).whole(on_mariadb.job_text(server, name))
            assert caught.value.exit_code == 7
            assert on_mariadb.values(server, name) == []
            assert "in files of the server" in residue(tmp_path / "job")
            assert [v for v in going if v.decode() in residue(tmp_path / "job")] == []
