"""What PostgreSQL can have that keeps rows, takes them elsewhere, or will not let them go: each is named."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.api import Refused, Selection
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from ..journal_entries import run_killed_at_entry
from ..postgresql_server import RunningServer, running_server
from .test_postgresql_backend import (
    ENTRIES,
    blockers,
    job_text,
    of_forty_people,
    opened,
    values,
)

pytestmark = pytest.mark.root

PATIENCE = 20.0  # seconds until a copy of the log has connected


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(megabytes=120) as server:
        yield server


@pytest.fixture
def database(server: RunningServer) -> Iterator[str]:
    with of_forty_people(server) as name:
        yield name


def refused(server: RunningServer, database: str, folder: Path) -> str:
    """Plan a job, be refused, and see that all are still there."""
    bench = Workbench(folder)
    with pytest.raises(Refused) as caught:
        bench.plan(bench.job(job_text(server, database, device=False)))
    assert len(values(server, database)) == 20
    return str(caught.value)


def test_an_archive_of_the_log(tmp_path: Path) -> None:
    settings = {
        "archive_mode": "on",
        "archive_command": "'/bin/true'",
        "shared_preload_libraries": "pg_stat_statements",
    }
    with running_server(megabytes=120, settings=settings) as server, of_forty_people(server) as name:
        assert "the log is archived (archive_mode = on), so copies lie there" in refused(
            server, name, tmp_path / "one"
        )
        server.run("DROP EXTENSION IF EXISTS pg_stat_statements", database=name)
        found = blockers(server, name)
        assert "pg_stat_statements keeps the texts of statements, and cannot be reset from here" in found
        assert len(found.splitlines()) == 2


def test_a_subscription(server: RunningServer, database: str, tmp_path: Path) -> None:
    server.run(
        "CREATE SUBSCRIPTION inflow CONNECTION 'host=nowhere.example dbname=there' PUBLICATION everything "
        "WITH (connect = false, slot_name = NONE)",
        database=database,
    )
    try:
        found = refused(server, database, tmp_path)
        assert "the subscription 'inflow' may bring the rows again; disable and drop it" in found
    finally:
        server.run("DROP SUBSCRIPTION inflow", database=database)


def test_a_copy_of_the_log_that_is_taken_now(server: RunningServer, database: str, tmp_path: Path) -> None:
    assert blockers(server, database) == ""
    words = ["pg_receivewal", "-h", str(server.sockets), "-U", "postgres", "-D", str(tmp_path), "--no-sync"]
    receiver = subprocess.Popen([server.programs / words[0], *words[1:]], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE
        while not (sent := server.run("SELECT pid FROM pg_stat_replication WHERE state = 'streaming'")):
            assert time.monotonic() < end, "pg_receivewal did not connect"
            time.sleep(0.1)
        found = refused(server, database, tmp_path / "job")
    finally:
        receiver.terminate()
        receiver.wait(PATIENCE)
    assert f"process {sent[0][0]} sends the log to the standby or copy 'pg_receivewal'; detach it" in found


@pytest.mark.parametrize("does", ["INSTEAD NOTHING", "ALSO INSERT INTO audit VALUES (old.name)"])
def test_a_rule(server: RunningServer, database: str, tmp_path: Path, does: str) -> None:
    server.run(
        "CREATE TABLE audit (was text)",
        f"CREATE RULE other_than_asked AS ON DELETE TO person DO {does}",
        database=database,
    )
    found = refused(server, database, tmp_path)
    assert "the rule 'other_than_asked' replaces deletions from 'person'; drop it" in found
    assert server.run("SELECT count(*) FROM audit", database=database) == [(0,)]


def test_rows_that_stand_in_another_store(server: RunningServer, database: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("7,Anna\n")
    server.run(
        "CREATE EXTENSION file_fdw",
        "CREATE SERVER files FOREIGN DATA WRAPPER file_fdw",
        "CREATE FOREIGN TABLE listed (id int, name text) SERVER files "
        f"OPTIONS (filename '{tmp_path}/list.csv', format 'csv')",
        "CREATE TABLE every (id int, name text) PARTITION BY RANGE (id)",
        "CREATE TABLE new PARTITION OF every FOR VALUES FROM (10) TO (MAXVALUE)",
        "CREATE FOREIGN TABLE old PARTITION OF every FOR VALUES FROM (0) TO (10) SERVER files "
        f"OPTIONS (filename '{tmp_path}/list.csv', format 'csv')",
        database=database,
    )
    for asked, named in (("listed", "listed"), ("every", "old")):  # itself, and as a part of another
        with pytest.raises(Refused, match=f"'{named}' is a foreign table; its rows stand in another store"):
            opened(server, database, select=(Selection(table=asked),)).inspect()
    assert (tmp_path / "list.csv").read_text() == "7,Anna\n"


def test_an_extension_without_its_library_keeps_no_texts_and_is_in_nobodys_way(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    """It cannot be asked to forget: that once ended a run behind its deletion."""
    server.run("CREATE EXTENSION IF NOT EXISTS pg_stat_statements", database=database)
    assert server.run("SHOW shared_preload_libraries") == [("",)]
    bench = Workbench(tmp_path)
    job = bench.job(job_text(server, database, device=False))
    bench.plan(job)
    bench.approve(job)
    last, _ = ENTRIES[-1]
    killed = run_killed_at_entry(lambda: bench.run(job), last + 1, "before")
    assert not killed, "a run has more entries than the campaign of kills tries"
    checked = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert checked.verification[0].verdict == "CLEAN"
    assert values(server, database) == []
