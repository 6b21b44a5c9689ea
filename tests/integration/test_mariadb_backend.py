"""What the mariadb backend refuses, what it cannot see, and what a kill leaves: on a real server."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

import pymysql
import pytest

from deleatur.api import (
    Condition,
    Cursor,
    Failed,
    Gone,
    HeldRows,
    Refused,
    Selection,
    Target,
    Transient,
    Unsupported,
    Within,
)
from deleatur.engine.directory import JobDirectory
from deleatur.errors import DeleaturError, Residue
from deleatur.testing import faults
from deleatur.testing.trial import steps_of
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.mariadb import MariadbBackend
from deleatur_plugins.mariadb import rebuilding as way
from deleatur_plugins.mariadb.connecting import Session, address_of
from deleatur_plugins.mariadb.deleting import delete_rows
from deleatur_plugins.mariadb.waiting import Watch

from ..journal_entries import at_entry, run_killed_at_entry
from ..mariadb_server import Server, server_on_a_disk
from ..server_memory import erased, seen_in_memory

KEY = {"digest-key": bytes(range(32))}
(REBUILD,) = steps_of("rebuild-and-shred", "t")
LEAVING = Condition(column="leaves", operator="=", value=1)
QUIET = ("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")
EVERYBODY = (Selection(table="person", where=(LEAVING,)),)

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk() as running:
        running.run(*QUIET)
        yield running


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
    with of_forty_people(server) as name:
        yield name


@pytest.fixture
def neighbour(server: Server) -> Iterator[str]:
    """A further database of the same server."""
    with of_forty_people(server) as name:
        yield name


@contextmanager
def of_forty_people(server: Server) -> Iterator[str]:
    """A database of its own with a table of forty people, half of whom leave."""
    name = f"d{uuid.uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {name}")
    people = ", ".join(f"({n}, {n % 2 == 0}, '{uuid.uuid4().hex}', NULL)" for n in range(1, 41))
    server.run(
        "CREATE TABLE person (id INT PRIMARY KEY, leaves TINYINT, name VARCHAR(80), memo TEXT, KEY (name))",
        f"INSERT INTO person VALUES {people}",
        database=name,
    )
    server.settle()
    yield name
    server.run(f"DROP DATABASE {name}")


def opened(server: Server, database: str, **fields: object) -> MariadbBackend:
    target = Target(url=server.url(database), **{"id": "t", "select": EVERYBODY, **fields})
    return MariadbBackend.open(target, KEY)


def blockers(server: Server, database: str) -> str:
    with closing(opened(server, database)) as backend:
        return "\n".join(backend.inspect().blockers)


def refused(server: Server, database: str, **fields: object) -> str:
    with closing(opened(server, database, **fields)) as backend:
        with pytest.raises(Refused) as caught:
            backend.inspect()
        return str(caught.value)


def erase(server: Server, database: str, **fields: object) -> None:
    with closing(opened(server, database, **fields)) as backend:
        list(backend.erase(REBUILD, None))


def values(server: Server, database: str, where: str = "leaves") -> list[bytes]:
    shown = server.run(f"SELECT name FROM person WHERE {where} ORDER BY id", database=database)
    return [name.encode() for (name,) in shown]


def found(server: Server, needles: list[bytes]) -> int:
    server.flush()
    raw = server.image.read_bytes()
    return sum(needle in raw for needle in needles)


def job_text(server: Server, database: str, technique: str = "") -> str:
    return f"""
schema = "deleatur/job/v1"
name = "leavers"
reason = "contract-end"
authority = "board decision 7 of 2026"
requested_by = "legal"

[verification]
device = true

[[target]]
id = "people"
url = "{server.url(database)}"
{technique}

[[target.select]]
table = "person"
where = [{{ column = "leaves", operator = "=", value = 1 }}]
"""


# --- memory


def test_what_was_deleted_stays_in_the_servers_memory_until_it_is_restarted(
    server: Server, database: str
) -> None:
    going = values(server, database)
    with closing(opened(server, database)) as backend:
        surfaces = erased(backend, REBUILD, going)
    server.run("FLUSH TABLES", "RESET QUERY CACHE", "SET GLOBAL innodb_adaptive_hash_index = OFF")
    assert seen_in_memory(surfaces, going) > 0
    server.stop()
    server.start()
    server.run(*QUIET)
    assert seen_in_memory(surfaces, going) == 0


# --- what is in the way


def test_an_open_transaction_is_refused_by_the_number_that_ends_it(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.mariadb.ground._LONG", 0)
    with server.connected(database) as idle, idle.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT COUNT(*) FROM person")
        time.sleep(1.2)
        told = blockers(server, database)
        assert f"connection {idle.thread_id()} has a transaction open" in told
        assert f"KILL {idle.thread_id()}" in told
    wait_for(lambda: blockers(server, database) == "")


def test_a_snapshot_that_comes_after_the_look_is_told_and_then_resumed(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = values(server, database)
    server.run("CREATE TABLE other (id INT PRIMARY KEY)", database=database)
    with server.connected(database) as idle, idle.cursor() as cursor, monkeypatch.context() as patch:
        patch.setattr(way, "_PATIENCE", 0.2)
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT COUNT(*) FROM other")
        last, error = until_it_stops(server, database)
        assert "undo pages of the deletion are kept" in str(error)
        assert "end the transactions that are open" in str(error)
    assert found(server, going) > 0
    with closing(opened(server, database)) as backend:
        list(backend.erase(REBUILD, last))
    assert found(server, going) == 0


def test_a_lock_is_waited_for_as_long_as_was_said(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.connected(database) as idle, idle.cursor() as cursor, monkeypatch.context() as patch:
        patch.setattr("deleatur_plugins.mariadb.connecting.PATIENCE", 1)
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT COUNT(*) FROM person")  # holds the table's definition, as every reader does
        last, error = until_it_stops(server, database)
        assert "waited 1 s for a lock that another connection holds" in str(error)
        assert last.position.startswith("deleted ")
    with closing(opened(server, database)) as backend:
        list(backend.erase(REBUILD, last))


def until_it_stops(server: Server, database: str) -> tuple[Cursor, Transient]:
    """Erase until the backend says that it may work later; return the last cursor and the error."""
    last = None
    with closing(opened(server, database)) as backend:
        try:
            for cursor in backend.erase(REBUILD, None):
                last = cursor
        except Transient as error:
            assert last is not None
            return last, error
    raise AssertionError("the erase came to its end")


def wait_for(met: Callable[[], bool]) -> None:
    """Wait until the server noticed that a client is gone."""
    for _ in range(50):
        if met():
            return
        time.sleep(0.1)
    raise AssertionError("the server did not notice within five seconds")


def test_prepared_transactions_and_readers_of_the_binary_log_are_refused(
    server: Server, database: str
) -> None:
    with server.connected(database) as other, other.cursor() as cursor:
        for statement in ("XA START 'x'", "DELETE FROM person WHERE id = 39", "XA END 'x'", "XA PREPARE 'x'"):
            cursor.execute(statement)
        assert "1 prepared transactions wait (XA RECOVER" in blockers(server, database)
        cursor.execute("XA ROLLBACK 'x'")
    command = ["mariadb-binlog", f"--defaults-file={server.credentials}", f"--socket={server.socket}"]
    command += ["--read-from-remote-server", "--raw", "--stop-never", "--result-file=/dev/shm/deleatur-"]
    first = server.run("SHOW BINARY LOGS")[0][0]
    with subprocess.Popen([*command, first], stdout=subprocess.DEVNULL) as reader:
        try:
            wait_for(lambda: "reads the binary log (replica or consumer)" in blockers(server, database))
        finally:
            reader.kill()
    for written in Path("/dev/shm").glob(f"deleatur-{first.split('.')[0]}*"):
        written.unlink()
    dumping = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
    for (number,) in server.run(dumping):
        server.run(f"KILL {number}")
    wait_for(lambda: blockers(server, database) == "")


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE TABLE x (name TEXT, leaves INT)", "has no primary key"),
        ("CREATE TABLE x (id FLOAT PRIMARY KEY, leaves INT)", "is a floating-point number"),
        ("CREATE TABLE x (id INT PRIMARY KEY, leaves INT) ENGINE=MyISAM", "is stored by MyISAM"),
        ("CREATE TABLE x (id INT PRIMARY KEY, leaves INT, t TEXT, FULLTEXT (t))", "has a full-text index"),
        ("CREATE TABLE x (id INT PRIMARY KEY, leaves INT) WITH SYSTEM VERSIONING", "is a system versioned"),
        ("CREATE VIEW x AS SELECT id, leaves FROM person", "is a view"),
    ],
)
def test_tables_that_rows_cannot_be_erased_from_are_refused_by_name(
    server: Server, database: str, statement: str, reason: str
) -> None:
    server.run(statement, database=database)
    told = refused(server, database, select=(Selection(table="x", where=(LEAVING,)),))
    assert reason in told
    assert "'x'" in told


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("loud VARCHAR(90) AS (UPPER(name)), ADD KEY loudly (loud)", "index 'loudly' on a virtual column"),
        ("place POINT NOT NULL, ADD SPATIAL KEY (place)", "a spatial index, or a unique key over long"),
        ("words TEXT, ADD UNIQUE (words)", "a spatial index, or a unique key over long values"),
    ],
)
def test_tables_that_the_server_cannot_rebuild_online_are_named_before_anything_is_deleted(
    server: Server, database: str, column: str, reason: str
) -> None:
    server.run("DELETE FROM person", f"ALTER TABLE person ADD {column}", database=database)
    with pytest.raises(pymysql.OperationalError, match="1846"):
        server.run("ALTER TABLE person FORCE, ALGORITHM=INPLACE, LOCK=NONE", database=database)
    assert f"table 'person' has {reason}" in blockers(server, database)
    with closing(opened(server, database, technique="delete-rows")) as backend:
        assert backend.inspect().blockers == ()


def test_generated_columns_that_can_be_rebuilt_go_too(server: Server, database: str, tmp_path: Path) -> None:
    server.run(  # people who come when the table has its columns: a new column writes the table anew
        "DELETE FROM person",
        "ALTER TABLE person ADD loud VARCHAR(90) AS (UPPER(name)) STORED, ADD KEY (loud), "
        "ADD soft VARCHAR(90) AS (CONCAT(name, '!')) VIRTUAL",
        "INSERT INTO person (id, leaves, name) SELECT seq, seq % 2 = 0, MD5(RAND()) FROM seq_1_to_40",
        database=database,
    )
    server.settle()
    going = values(server, database)
    loud = [name.upper() for name in going]
    assert found(server, loud) == 20
    erase(server, database)
    assert found(server, going + loud) == 0
    counted = server.run("SELECT COUNT(loud), COUNT(soft) FROM person", database=database)
    assert counted == [(20, 20)]


def test_a_table_outside_of_the_data_directory_is_searched_there_or_refused(
    server: Server, database: str, tmp_path: Path
) -> None:
    near, far = server.mount / "near", Path(tempfile.mkdtemp(prefix="deleatur-far-", dir="/dev/shm"))
    near.mkdir()
    for folder, kept in ((near, True), (far, False)):
        shutil.chown(folder, "mysql", "mysql")
        server.run(
            "CREATE OR REPLACE TABLE person (id INT PRIMARY KEY, leaves TINYINT, name VARCHAR(80)) "
            f"DATA DIRECTORY='{folder}'",
            "INSERT INTO person SELECT seq, seq % 2 = 0, UUID() FROM seq_1_to_40",
            database=database,
        )
        with closing(opened(server, database)) as backend:
            look = backend.inspect()
        (files,) = [s for s in look.surfaces if s.name == "files of the server"]
        assert str(folder / database / "person.ibd") in files.paths
        assert ("on another file system (person.isl)" in "".join(look.blockers)) is not kept
        if kept:
            going = values(server, database)
            server.settle()
            erase(server, database)
            assert found(server, going) == 0
    server.run("DROP TABLE person", database=database)
    shutil.rmtree(near)
    shutil.rmtree(far)


def test_a_trigger_is_refused_by_name(server: Server, database: str) -> None:
    server.run(
        "CREATE TABLE audit (name TEXT)",
        "CREATE TRIGGER keeps AFTER DELETE ON person FOR EACH ROW INSERT INTO audit VALUES (OLD.name)",
        database=database,
    )
    assert "trigger keeps runs at each delete from 'person'" in refused(server, database)


def test_rows_that_refer_to_those_that_go_must_be_selected_too(server: Server, database: str) -> None:
    server.run(
        "CREATE TABLE bought (id INT PRIMARY KEY, person INT, FOREIGN KEY (person) REFERENCES person (id) "
        "ON DELETE CASCADE)",
        "INSERT INTO bought VALUES (1, 2), (2, 3)",
        database=database,
    )
    assert blockers(server, database) == "rows of 'bought' refer to rows that would go; select those rows too"
    with pytest.raises(Refused, match="rows of 'bought' refer"):
        erase(server, database)
    assert server.run("SELECT COUNT(*) FROM bought", database=database) == [(2,)]
    leavers = Within(table="person", column="id", where=(LEAVING,))
    theirs = Selection(table="bought", where=(Condition(column="person", operator="within", within=leavers),))
    erase(server, database, select=(*EVERYBODY, theirs))
    assert server.run("SELECT id FROM bought", database=database) == [(2,)]


def test_a_circle_of_foreign_keys_goes_in_one_transaction(server: Server, database: str) -> None:
    server.run(
        "ALTER TABLE person ADD boss INT, ADD FOREIGN KEY (boss) REFERENCES person (id)",
        "UPDATE person SET boss = IF(id = 40, 2, id + 2) WHERE leaves",
        database=database,
    )
    erase(server, database)
    assert server.run("SELECT COUNT(*), SUM(leaves) FROM person", database=database) == [(20, 0)]


def test_missing_rights_are_the_grants_to_run(server: Server, database: str, tmp_path: Path) -> None:
    server.run(
        "CREATE OR REPLACE USER few@localhost IDENTIFIED BY 'x'",
        f"GRANT SELECT, DELETE ON {database}.* TO few@localhost",
    )
    options = tmp_path / "few.cnf"
    options.write_text("[client]\nuser=few\npassword=x\n")
    options.chmod(0o600)
    os.environ["DELEATUR_MARIADB_OPTIONS"] = str(options)  # the fixture sets it back
    told = blockers(server, database)
    grants = told.removeprefix("this user has too few rights: ").split("\n")[0].split("; ")
    assert len(grants) == 4
    server.run(*grants)
    assert blockers(server, database) == ""
    erase(server, database)
    assert values(server, database) == []


# --- what is selected


def test_names_and_values_are_never_read_as_sql(server: Server, database: str) -> None:
    evil = "x`; DROP TABLE person; -- \"'%s\\"
    quoted = evil.replace("`", "``")
    server.run(f"CREATE TABLE `{quoted}` (`{quoted}` VARCHAR(80) PRIMARY KEY)", database=database)
    with server.connected(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO `{quoted.replace('%', '%%')}` VALUES (%s), ('stays')", (evil,))
    where = (Condition(column=evil, operator="=", value=evil),)
    erase(server, database, select=(Selection(table=evil, where=where),))
    assert server.run(f"SELECT * FROM `{quoted}`", database=database) == [("stays",)]
    assert server.run("SELECT COUNT(*) FROM person", database=database) == [(40,)]


@pytest.mark.parametrize(
    ("column", "value"),
    [("id", "secret-word"), ("name", 0), ("name", True), ("leaves", "1 OR 1"), ("id", 1.5), ("born", "soon")],
)
def test_a_value_of_another_kind_is_refused_and_never_quoted(
    server: Server, database: str, column: str, value: object
) -> None:
    server.run("ALTER TABLE person ADD born DATE", database=database)
    where = (Condition(column=column, operator="=", value=value),)
    told = refused(server, database, select=(Selection(table="person", where=where),))
    assert f"person.{column} is none that a column of type" in told
    assert str(value) not in told.replace("person.", "") or isinstance(value, bool | int | float)


def test_a_hold_that_a_null_makes_unknown_keeps_nothing_and_the_rest_is_told(
    server: Server, database: str
) -> None:
    server.run("UPDATE person SET memo = IF(id = 4, 'open', NULL)", database=database)
    hold = HeldRows(
        id="open", reason="a matter", table="person",
        where=(Condition(column="memo", operator="=", value="open"),),
    )  # fmt: skip
    with closing(opened(server, database, hold=(hold,))) as backend:
        look = backend.inspect()
    assert [(u.name, u.size) for u in (*look.units, *look.held)] == [
        ("table person", 19),
        ("hold open table person", 1),
    ]
    erase(server, database, hold=(hold,))
    assert server.run("SELECT id FROM person WHERE leaves", database=database) == [(4,)]


def test_a_whole_table_with_values_from_a_file(server: Server, database: str) -> None:
    names = values(server, database, "id IN (2, 4)")
    target = Target(
        id="t",
        url=server.url(database),
        select=(
            Selection(table="person", where=(Condition(column="name", operator="in", values_from="who"),)),
        ),
    )
    known = {**KEY, "values:who": b"\n".join(names) + b"\n"}
    with closing(MariadbBackend.open(target, known)) as backend:
        assert backend.inspect().size == 2
        list(backend.erase(REBUILD, None))
    assert values(server, database, "id IN (2, 4)") == []
    erase(server, database, select=(Selection(table="person"),))
    assert server.run("SELECT COUNT(*) FROM person", database=database) == [(0,)]


def test_rows_leave_every_partition(server: Server, database: str) -> None:
    server.run(  # people who come when the table has its partitions: it is written anew for them
        "DELETE FROM person",
        "ALTER TABLE person PARTITION BY HASH (id) PARTITIONS 3",
        "INSERT INTO person (id, leaves, name) SELECT seq, seq % 2 = 0, MD5(RAND()) FROM seq_1_to_40",
        database=database,
    )
    server.settle()
    going, staying = values(server, database), values(server, database, "NOT leaves")
    assert found(server, going) == len(going) == 20, "the control"
    files = {path.name: path.stat().st_ino for path in (server.data / database).glob("person#*.ibd")}
    assert len(files) == 3
    erase(server, database)
    assert found(server, going) == 0
    assert values(server, database, "true") == staying
    now = {path.name: path.stat().st_ino for path in (server.data / database).glob("person#*.ibd")}
    assert now.keys() == files.keys()
    assert not set(now.values()) & set(files.values()), "every partition has a new file"


def test_what_is_damaged_already_is_refused_before_anything_changes(server: Server, database: str) -> None:
    server.settle()
    server.stop()
    with (server.data / database / "person.ibd").open("r+b") as file:
        file.seek(4 * 16384 + 8000)  # the index of names; selecting and deleting begin at the other one
        before = file.read(64)
        file.seek(-64, os.SEEK_CUR)
        file.write(bytes(byte ^ 0x55 for byte in before))
    server.start()
    with closing(opened(server, database)) as backend, pytest.raises(Failed, match="'person' damaged"):
        list(backend.erase(REBUILD, None))
    assert len(values(server, database)) == 20


def test_a_table_that_is_damaged_by_the_rebuild_keeps_its_old_file(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[list[str]] = []

    def damaged_after(session: Session, tables: Iterable[str]) -> None:
        checked.append(list(tables))
        if len(checked) == 2:
            raise Failed("damaged")

    going = values(server, database)
    with monkeypatch.context() as patch, closing(opened(server, database)) as backend:
        patch.setattr(way, "check_tables", damaged_after)
        with pytest.raises(Failed, match="damaged"):
            list(backend.erase(REBUILD, None))
    assert checked == [["person"], ["person"]]
    server.settle()
    assert found(server, going) == 20, "nothing was overwritten"
    erase(server, database)
    assert found(server, going) == 0


# --- what cannot be seen


def test_without_the_servers_files_only_a_job_that_asks_for_less_runs(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "deleatur_plugins.mariadb.ground.Ground._distance", lambda _: "the server is somebody else's"
    )
    going, bench = values(server, database), Workbench(tmp_path)
    with pytest.raises(Refused, match=r"somebody else's \(or ask for technique delete-rows"):
        bench.plan(bench.job(job_text(server, database), "first"))
    job = bench.whole(job_text(server, database, 'technique = "delete-rows"'), "second")
    assert values(server, database) == []
    assert found(server, going) == len(going)
    certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
    (verification,) = certificate.verification
    assert verification.verdict == "INCONCLUSIVE"
    (files,) = [s for s in verification.surfaces if s.name == "files of the server"]
    assert (files.reach, files.reason) == ("out-of-reach", "the server is somebody else's")


def test_an_audit_log_is_refused_by_name(server: Server, database: str) -> None:
    server.run("INSTALL SONAME 'server_audit'", "SET GLOBAL server_audit_logging = ON")
    try:
        with closing(opened(server, database)) as backend:
            (denial,) = backend.inspect().denials
    finally:
        server.run("SET GLOBAL server_audit_logging = OFF", "UNINSTALL SONAME 'server_audit'")
        (server.data / "server_audit.log").unlink()
    assert denial.reason.startswith("server_audit_logging is ON: its log keeps statements")


def test_a_rebuild_that_is_left_out_is_found_out(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way.Rebuilding, "_churn", lambda *_: None)
    bench = Workbench(tmp_path)
    with pytest.raises(Residue):
        bench.whole(job_text(server, database))


def test_a_disk_that_is_nearly_full_stops_the_job_and_not_the_server(
    server: Server, database: str, tmp_path: Path
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    bench, ballast = Workbench(tmp_path), server.mount / "ballast"
    job = bench.job(job_text(server, database))
    bench.plan(job)
    bench.approve(job)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(server.mount).free - (30 << 20))
    try:
        with pytest.raises(DeleaturError, match="No space left"):
            bench.run(job)
        assert not job.certificate.exists()
        assert shutil.disk_usage(server.mount).free > 4 << 20
        assert values(server, database, "NOT leaves") == staying
    finally:
        ballast.unlink()
    bench.run(job)
    assert job.certificate.exists()
    assert found(server, going) == 0
    assert values(server, database, "NOT leaves") == staying


def test_a_connection_that_fails_is_no_absence(server: Server, database: str) -> None:
    with closing(opened(server, "never_there")) as backend, pytest.raises(Gone):
        backend.inspect()
    nowhere = Target(id="t", url=f"mariadb:///{database}?socket=/run/no.sock", select=EVERYBODY)
    with closing(MariadbBackend.open(nowhere, KEY)) as backend, pytest.raises(Transient):
        backend.inspect()


@pytest.mark.parametrize(
    "url",
    [
        "mariadb://user:word@host/shop",
        "mariadb://host/",
        "mariadb:///a/b",
        "mariadb:///shop?password=word",
        "mariadb://host/shop?socket=/x",
        "mariadb://host:port/shop",
    ],
)
def test_a_url_that_says_too_much_or_too_little_is_refused(url: str) -> None:
    with pytest.raises(Refused) as caught:
        MariadbBackend.open(Target(id="t", url=url, select=EVERYBODY), KEY)
    assert "word" not in str(caught.value).replace("password into", "")


def test_an_option_file_that_others_can_read_is_refused(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = tmp_path / "loose.cnf"
    loose.write_text(server.credentials.read_text())
    loose.chmod(0o644)
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(loose))
    assert "can be read by others; run chmod 600" in refused(server, database)


def test_the_driver_is_loaded_when_it_is_needed() -> None:
    asked = "import sys, deleatur_plugins.mariadb; sys.exit('pymysql' in sys.modules)"
    subprocess.run([sys.executable, "-c", asked], check=True)
    with pytest.raises(Unsupported):
        list(MariadbBackend.open(Target(id="t", url="mariadb:///x", select=EVERYBODY), KEY).erase(
            steps_of("overwrite-and-remove", "t")[0], None
        ))  # fmt: skip


# --- under load, and killed


@dataclass
class Writer:
    """Adds one to a row that stays, again and again, and notes what became of it."""

    row: int
    statements: tuple[str, ...]
    done: int = 0
    longest: float = 0.0  # seconds
    errors: Counter[int] = field(default_factory=Counter)

    def run(self, server: Server, database: str, stop: threading.Event) -> None:
        with server.connected(database) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                begin = time.monotonic()
                try:
                    for statement in self.statements:
                        cursor.execute(statement.format(row=self.row))
                    self.done += 1
                except pymysql.MySQLError as error:
                    self.errors[error.args[0]] += 1
                    cursor.execute("ROLLBACK")
                self.longest = max(self.longest, time.monotonic() - begin)


def test_writers_on_the_rows_that_stay_lose_nothing(server: Server, database: str) -> None:
    """Only a transaction whose snapshot is older than the rebuild has to try again: error 1412, no other."""
    server.run("ALTER TABLE person ADD counted INT NOT NULL DEFAULT 0", database=database)
    add = "UPDATE person SET counted = counted + 1 WHERE id = {row}"
    look = ("START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT SLEEP(0.005)")
    writers = [Writer(1, (add,)), Writer(1, (add,)), Writer(3, (*look, add, "COMMIT"))]
    going, stop = values(server, database), threading.Event()
    threads = [threading.Thread(target=w.run, args=(server, database, stop), daemon=True) for w in writers]
    for thread in threads:
        thread.start()
    try:
        with closing(opened(server, database)) as backend:
            (offer,) = backend.inspect().offers
            measured = max(cursor.outage for cursor in backend.erase(REBUILD, None))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert 0 < measured <= offer.outage == 5000
    counted = server.run("SELECT counted FROM person WHERE id IN (1, 3) ORDER BY id", database=database)
    assert counted == [(writers[0].done + writers[1].done,), (writers[2].done,)]
    assert all(w.done > 50 for w in writers)
    assert [set(w.errors) - {1412} for w in writers] == [set(), set(), set()]
    assert not writers[0].errors + writers[1].errors
    assert max(w.longest for w in writers) < 5.0, (
        "a writer waited longer than the rebuild of 40 rows may take"
    )
    server.settle()
    assert found(server, going) == 0


def test_a_job_among_writers_that_says_so_is_certified(server: Server, database: str, tmp_path: Path) -> None:
    """The certificate then names what was not compared; no word says that what stays is as it was."""
    server.run("ALTER TABLE person ADD counted INT NOT NULL DEFAULT 0", database=database)
    server.settle()
    writer = Writer(1, ("UPDATE person SET counted = counted + 1 WHERE id = {row}", "SELECT SLEEP(0.005)"))
    going, stop = values(server, database), threading.Event()
    thread = threading.Thread(target=writer.run, args=(server, database, stop))
    thread.start()
    try:
        bench = Workbench(tmp_path)
        job = bench.whole(job_text(server, database, "others_write = true"))
    finally:
        stop.set()
        thread.join(60)
    assert server.run("SELECT counted FROM person WHERE id = 1", database=database) == [(writer.done,)]
    assert not writer.errors
    said = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert "others-wrote" in [e.sentence.id for e in said.exceptions]
    assert "kept" not in [claim.id for claim in said.outcome.per_target[0].claims]
    assert said.outcome.overall == "verified-with-exceptions"
    assert found(server, going) == 0


def test_the_time_that_others_wait_is_measured(server: Server, database: str) -> None:
    address = address_of(server.url(database))
    with Watch(address, ["person"]) as watch, server.connected(database) as other, other.cursor() as cursor:
        wait_for(lambda: watch._longest > 0)
        cursor.execute("LOCK TABLES person WRITE")
        time.sleep(0.5)
        cursor.execute("UNLOCK TABLES")
        time.sleep(0.1)
        assert 400 <= watch.milliseconds() < 5000


def test_an_erase_ends_when_the_time_that_others_wait_is_not_measured_any_more(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever ended it: a killed connection, a table that went, and what nobody thought of."""
    address = address_of(server.url(database))
    with Watch(address, ["person"]) as watch:
        server.run(f"KILL {watch._session.connection.thread_id()}")
        wait_for(watch._asking.done)
        with pytest.raises(Transient, match="busy or not reachable"):
            watch.milliseconds()
    with Watch(address, ["nobody"]) as watch:
        wait_for(watch._asking.done)
        with pytest.raises(Failed, match="MariaDB error 1146"):
            watch.milliseconds()
    going = values(server, database)
    monkeypatch.setattr(Watch, "_ask", lambda _: {}["unknown"])
    with closing(opened(server, database)) as backend, pytest.raises(KeyError, match="unknown"):
        list(backend.erase(REBUILD, None))
    monkeypatch.undo()
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
    erase(server, database)
    assert found(server, going) == 0


def test_a_wait_that_is_longer_than_the_patience_is_measured_on(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.mariadb.connecting.PATIENCE", 1)
    address = address_of(server.url(database))
    with Watch(address, ["person"]) as watch, server.connected(database) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES person WRITE")
        time.sleep(1.5)
        assert watch.milliseconds() >= 1000
        time.sleep(1.5)
        cursor.execute("UNLOCK TABLES")
        assert watch.milliseconds() >= 1000


# --- a server that is stopped, and other jobs


STAGES = ("begin", "deleted", "statistics", "logs", "shredded")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second of silence is enough."""
    monkeypatch.setattr("deleatur_plugins.mariadb.listening.SILENCE", 0.5)
    monkeypatch.setattr("deleatur_plugins.mariadb.connecting._CONNECT", 0.5)


@contextmanager
def stopped(server: Server) -> Iterator[int]:
    """Stop the server, so that it neither answers nor dies; wake it after a minute at the latest."""
    assert server._process is not None
    process = server._process
    process.send_signal(signal.SIGSTOP)
    waking = threading.Timer(60, process.send_signal, [signal.SIGCONT])
    waking.start()
    try:
        yield process.pid
    finally:
        waking.cancel()
        process.send_signal(signal.SIGCONT)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("asked", ["a number", "many rows", "to come in"])
def test_a_server_that_is_stopped_is_not_waited_for_without_an_end(
    server: Server, database: str, asked: str
) -> None:
    address = address_of(server.url(database))
    with closing(Session(address)) as session:
        rows = session.stream("SELECT REPEAT('x', 1000000) FROM person") if asked == "many rows" else iter(())
        next(rows, None)
        asking: dict[str, Callable[[], object]] = {
            "a number": partial(session.rows, "SELECT 1"),
            "many rows": partial(list, rows),
            "to come in": partial(Session, address),
        }
        with stopped(server) as pid:
            with pytest.raises(Transient) as caught:
                asking[asked]()
            assert "State:\tT" in Path(f"/proc/{pid}/status").read_text(), "it stands still: nobody waited"
    told = str(caught.value)
    assert asked == "to come in" or f"the server (process {pid}) does not answer, and lets nobody in" in told
    assert "again" in told or "resume" in told


@pytest.mark.usefixtures("hurried")
def test_a_server_that_is_busy_is_waited_for(server: Server, database: str) -> None:
    with closing(Session(address_of(server.url(database)))) as session:
        assert session.text("SELECT SLEEP(2) + 7") == "7"
        with ExitStack() as many:
            before = session.text("SELECT @@GLOBAL.max_connections")
            session.run("SET GLOBAL max_connections = 10")  # the least that it takes
            many.callback(session.run, f"SET GLOBAL max_connections = {before}")
            with suppress(pymysql.OperationalError):
                for _ in range(12):
                    many.enter_context(server.connected())
            with pytest.raises(Transient, match="1040"):
                Session(session.address)
            assert session.text("SELECT SLEEP(2) + 8") == "8"


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("at", ["rebuilt", *(pytest.param(a, marks=pytest.mark.campaign) for a in STAGES)])
def test_an_erase_from_a_server_that_is_stopped_is_resumed(server: Server, database: str, at: str) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    with closing(opened(server, database)) as backend:
        cursors = backend.erase(REBUILD, None)
        last = next(c for c in cursors if c.position.startswith(at))
        with stopped(server), pytest.raises(Transient):
            list(cursors)
    with closing(opened(server, database)) as backend:
        list(backend.erase(REBUILD, last))
    assert found(server, going) == 0
    assert values(server, database, "true") == staying


def held_on(server: Server) -> dict[Path, int]:
    return {p: p.stat().st_ino for p in server.data.rglob(".deleatur*")}


@pytest.mark.parametrize("at", ["logs", pytest.param("rebuilt", marks=pytest.mark.campaign)])
def test_a_job_never_touches_what_another_left_unfinished(
    server: Server, database: str, neighbour: str, at: str
) -> None:
    going, others = values(server, database), values(server, neighbour)
    with closing(opened(server, database)) as backend:
        last = next(c for c in backend.erase(REBUILD, None) if c.position.startswith(at))
    left = held_on(server)
    assert len(left) > 1
    with closing(opened(server, neighbour, id="other")) as other:
        (told,) = other.inspect().blockers
        assert "another job's erase on this server is not finished" in told
        assert any(path.name in told for path in left)
        with pytest.raises(Refused, match="resume that job first"):
            next(other.erase(REBUILD, None))
        assert held_on(server) == left
        assert values(server, neighbour) == others
        with closing(opened(server, database)) as backend:
            assert backend.inspect().blockers == ()
            list(backend.erase(REBUILD, last))
        assert held_on(server) == {}
        list(other.erase(REBUILD, None))
    assert found(server, going + others) == 0


def test_a_run_is_refused_while_another_erases_on_the_same_server(
    server: Server, database: str, neighbour: str
) -> None:
    others = values(server, neighbour)
    with closing(opened(server, database)) as backend, closing(opened(server, neighbour, id="o")) as other:
        cursors = backend.erase(REBUILD, None)
        next(cursors)
        with pytest.raises(Transient, match="another run erases on this server"):
            next(other.erase(REBUILD, None))
        assert values(server, neighbour) == others
        assert [c.position for c in cursors][-1].startswith("churned")
        assert [c.position for c in other.erase(REBUILD, None)][-1].startswith("churned")
    assert values(server, neighbour) == []


def test_rows_that_stay_are_not_locked_by_the_deletion(server: Server, database: str) -> None:
    server.run(
        "CREATE TABLE bought (id INT PRIMARY KEY, person INT, FOREIGN KEY (person) REFERENCES person (id))",
        "INSERT INTO bought VALUES (1, 2), (2, 3)",
        database=database,
    )
    leavers = Within(table="person", column="id", where=(LEAVING,))
    theirs = Selection(table="bought", where=(Condition(column="person", operator="within", within=leavers),))
    target = Target(id="t", url=server.url(database), select=(*EVERYBODY, theirs))
    with closing(Session(address_of(target.url))) as session, server.connected(database) as other:
        cursor = other.cursor()
        cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
        cursor.execute("START TRANSACTION")
        cursor.execute("UPDATE person SET memo = 'mine' WHERE id = 1")  # is not waited for

        def meanwhile(*_: object) -> NoReturn:
            for statement in (
                "COMMIT",
                *(f"UPDATE person SET memo = 'free' WHERE id = {n}" for n in (1, 3, 39)),
                "INSERT INTO person VALUES (41, 0, 'new', NULL)",
                "UPDATE bought SET person = 1 WHERE id = 2",
            ):
                cursor.execute(statement)
            with pytest.raises(pymysql.OperationalError, match="1205"):
                cursor.execute("INSERT INTO bought VALUES (3, 2)")  # would refer to a row that goes
            raise Refused("seen enough")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("deleatur_plugins.mariadb.deleting.deletion_order", meanwhile)
            with pytest.raises(Refused, match="seen enough"):
                delete_rows(session, target, KEY)
    assert len(values(server, database)) == 20


@pytest.mark.campaign
def test_a_server_killed_at_any_cursor_ends_at_the_same_zero(server: Server, database: str) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    with closing(opened(server, database)) as backend:
        positions = [cursor.position for cursor in backend.erase(REBUILD, None)]
    for n in range(len(positions)):
        people = ", ".join(f"({k}, 1, '{name.decode()}', NULL)" for k, name in enumerate(going, start=100))
        server.run(f"INSERT INTO person VALUES {people}", database=database)
        server.settle()
        with closing(opened(server, database)) as backend:
            cursors = backend.erase(REBUILD, None)
            last = list(itertools.islice(cursors, n + 1))[-1]
            server.stop(signal.SIGKILL)
            with suppress(Transient):  # the last cursor has nothing behind it that asks the server
                list(cursors)
        server.start()
        with closing(opened(server, database)) as backend:
            list(backend.erase(REBUILD, last))
        assert found(server, going) == 0, f"killed after {positions[n]}"
        assert values(server, database, "NOT leaves") == staying
        checked = server.run("CHECK TABLE person EXTENDED", database=database)
        assert [line[-1] for line in checked] == ["OK"]


PARTS = 12


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(PARTS))
def test_a_job_is_certified_after_a_kill_of_it_or_of_the_server_at_any_entry(
    server: Server, database: str, tmp_path: Path, part: int
) -> None:
    """One part kills at each twelfth entry: the job before and after it, the server after it."""
    going, staying = values(server, database), values(server, database, "NOT leaves")

    def planned(name: str) -> tuple[Workbench, JobDirectory]:
        server.run("DELETE FROM person WHERE leaves", database=database)
        people = ", ".join(f"({k}, 1, '{name.decode()}', NULL)" for k, name in enumerate(going, start=100))
        server.run(f"INSERT INTO person VALUES {people}", database=database)
        server.settle()
        bench = Workbench(tmp_path / name)
        job = bench.job(job_text(server, database).replace("device = true", "device = false"))
        bench.plan(job)
        bench.approve(job)
        return bench, job

    bench, job = planned("undisturbed")
    with at_entry(0, "before", list) as entries:
        bench.run(job)
    assert len(entries) > PARTS
    for number in range(1 + part, len(entries) + 1, PARTS):
        for who, moment in (("agent", "before"), ("agent", "after"), ("server", "after")):
            bench, job = planned(f"{who}-{moment}-{number}")
            if who == "agent":
                killed = run_killed_at_entry(partial(bench.run, job), number, moment)
                assert killed or number == len(entries), "a run has one entry less when it finds one log less"
            else:
                kill = partial(server.stop, signal.SIGKILL)
                with at_entry(number, moment, kill) as reached, suppress(DeleaturError):
                    bench.run(job)
                assert len(reached) >= number - 1
                kill()  # now, when the run had one entry less
                server.start()
            if not job.certificate.exists():
                bench.run(job)
            said = f"{who} killed {moment} entry {number} of {len(entries)} ({entries[number - 1]})"
            print(said)
            assert found(server, going) == 0, said
            assert values(server, database, "true") == staying, said
            assert held_on(server) == {}, said
            assert [row[-1] for row in server.run("CHECK TABLE person EXTENDED", database=database)] == ["OK"]
            checked = verify(job.certificate, [bench.agent.public], 1, None).certificate
            assert checked.verification[0].verdict == "CLEAN", said


@pytest.mark.campaign
def test_a_job_killed_at_any_call_ends_at_the_same_zero(
    server: Server, database: str, tmp_path: Path
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")

    def planned(number: int) -> tuple[Workbench, JobDirectory]:
        server.run("DELETE FROM person WHERE leaves", database=database)
        people = ", ".join(f"({k}, 1, '{name.decode()}', NULL)" for k, name in enumerate(going, start=100))
        server.run(f"INSERT INTO person VALUES {people}", database=database)
        server.settle()
        bench = Workbench(tmp_path / str(number))
        job = bench.job(job_text(server, database))
        bench.plan(job)
        bench.approve(job)
        return bench, job

    def run(bench: Workbench, job: JobDirectory) -> None:
        bench.run(job)

    calls = faults.count_calls(partial(run, *planned(0)))
    for n in faults.spread(calls - 4, 24):  # a few calls more or less, as the server rotates its logs
        bench, job = planned(n)
        assert faults.run_killed_at(partial(run, bench, job), n).killed
        bench.run(job)
        assert found(server, going) == 0, f"killed at call {n} of {calls}"
        assert values(server, database, "NOT leaves") == staying
        assert verify(job.certificate, [bench.agent.public], 1, None).certificate.targets
