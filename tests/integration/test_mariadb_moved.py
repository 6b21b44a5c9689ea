"""A MariaDB server that goes to a new data directory: all of it, at once, whatever dies on the way."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pymysql
import pytest

from deleatur.engine.directory import JobDirectory
from deleatur.errors import Failed, Transient
from deleatur.testing.trial import steps_of
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.mariadb import reloading
from deleatur_plugins.mariadb.copying import Client

from ..journal_entries import at_entry, run_killed_at_entry
from ..mariadb_server import Server, server_on_a_disk
from .test_mariadb_backend import found, held_on, job_text, of_forty_people, opened, values

(RELOAD,) = steps_of("reload-and-shred", "t")
MOVED = 'technique = "reload-and-shred"'

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk(size=240 << 20) as running:
        running.run("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")
        yield running


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
    with of_forty_people(server) as name:
        yield name


def text(server: Server, database: str) -> str:
    """Return a job that looks into files; the device is looked at by the tests."""
    return job_text(server, database, MOVED).replace("device = true", "device = false")


def moved(server: Server, database: str) -> None:
    with closing(opened(server, database, technique="reload-and-shred")) as backend:
        list(backend.erase(RELOAD, None))


def left_beside(server: Server) -> list[str]:
    return sorted(p.name for p in server.mount.iterdir() if p.name.startswith(".deleatur"))


def inodes(server: Server) -> dict[str, int]:
    return {p.name: p.stat().st_ino for p in server.data.iterdir() if p.is_file()}


def test_everything_but_the_rows_is_in_the_new_directory_and_nothing_of_the_old_one_on_the_disk(
    server: Server, database: str, tmp_path: Path
) -> None:
    server.run(
        "CREATE TABLE bought (id INT PRIMARY KEY AUTO_INCREMENT, person INT, price DOUBLE, at TIMESTAMP(6), "
        "photo BLOB, word VARCHAR(60) CHARACTER SET utf16, loud VARCHAR(90) AS (UPPER(word)) STORED)",
        "INSERT INTO bought (person, price, photo, word) "
        "SELECT seq, RAND(), UNHEX(MD5(RAND())), UUID() FROM seq_1_to_500",
        "CREATE PROCEDURE rise() UPDATE bought SET price = price * 1.1",
        "CREATE TRIGGER low BEFORE INSERT ON bought FOR EACH ROW SET NEW.price = 0",
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO CALL rise()",
        "CREATE VIEW cheap AS SELECT id FROM bought WHERE price < 0.1",
        "CREATE SEQUENCE numbers START WITH 7",
        "CREATE OR REPLACE USER reader@localhost IDENTIFIED BY 'x'",
        f"GRANT SELECT ON {database}.bought TO reader@localhost",
        "ANALYZE TABLE person PERSISTENT FOR ALL",
        database=database,
    )
    server.settle()
    going, staying = values(server, database), values(server, database, "NOT leaves")
    assert found(server, going) == 20, "the control"
    asked = (
        "SELECT * FROM bought ORDER BY id", "SHOW CREATE TABLE bought", "SHOW CREATE VIEW cheap",
        "SHOW CREATE PROCEDURE rise", "SELECT action_statement FROM information_schema.triggers",
        "SHOW CREATE EVENT nightly",
        "SELECT NEXTVAL(numbers)", "SHOW GRANTS FOR reader@localhost",
        "SELECT column_name FROM mysql.column_stats ORDER BY 1",
    )  # fmt: skip
    before = [server.run(query, database=database) for query in asked]
    files, bench = inodes(server), Workbench(tmp_path)
    with server.kept_running():
        job = bench.whole(text(server, database))
    (verification,) = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification
    assert verification.verdict == "CLEAN"
    assert found(server, going) == 0
    assert values(server, database, "true") == staying
    after = [server.run(query, database=database) for query in asked]
    assert after[6] > before[6], "no number comes twice; those that the server had set apart are left out"
    assert after[:6] + after[7:] == before[:6] + before[7:]
    now = inodes(server)
    assert all(now[name] != files[name] for name in ("ibdata1", "ib_logfile0")), "undo and redo are new"
    assert left_beside(server) == []
    assert list(held_on(server)) == []


def test_a_copy_that_is_not_the_same_takes_no_place(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bit in one kept row of another table: written out alike it would be, its sum is another."""
    server.run("CREATE TABLE sums (id INT PRIMARY KEY, x DOUBLE)", "INSERT INTO sums VALUES (1, 0.5)",
               database=database)  # fmt: skip
    honest, staying, files = Client.sums, values(server, database, "NOT leaves"), inodes(server)

    def lied_to(client: Client, seconds: float) -> dict[str, str]:
        if "--no-defaults" in client.options:
            client.ask(f"UPDATE {database}.sums SET x = 0.5000000000000001", seconds)
        return honest(client, seconds)

    with monkeypatch.context() as patch:
        patch.setattr(Client, "sums", lied_to)
        with pytest.raises(Failed, match=rf"1 tables are not the same in the new server \({database}.sums\)"):
            moved(server, database)
    assert inodes(server).items() >= {k: v for k, v in files.items() if k.startswith("ib")}.items()
    assert values(server, database, "true") == staying
    server.run("UPDATE person SET memo = 'nobody has it locked' WHERE id = 1", database=database)


def test_what_a_copy_would_lose_is_named_before_anything_changes(server: Server, database: str) -> None:
    server.run(
        "CREATE TABLE weighed (id INT PRIMARY KEY, x FLOAT)",
        "CREATE TABLE kept (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
        database=database,
    )
    stranger, second = server.data / "notes.txt", server.mount / "second"
    stranger.write_text("of the administrator")
    os.link(server.data / database / "kept.ibd", second)
    try:
        with closing(opened(server, database, technique="reload-and-shred")) as backend:
            look = backend.inspect()
    finally:
        stranger.unlink()
        second.unlink()
    told = "\n".join(look.blockers)
    for reason in (
        f"column {database}.weighed.x is a FLOAT",
        f"table {database}.kept is system versioned",
        "the server did not make 'notes.txt' in its data directory",
        "kept.ibd has 2 names",
    ):
        assert reason in told
    assert len(look.blockers) == 4
    assert look.offers[0].outage > 120_000, "it is announced that the server is stopped"


def test_files_outside_of_the_data_directory_are_refused_by_name(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = server.run("SELECT @@GLOBAL.general_log_file")[0][0]
    server.run(f"SET GLOBAL general_log_file = '{server.folder}/tmp/general.log'")
    try:
        with closing(opened(server, database, technique="reload-and-shred")) as backend:
            (denial,) = backend.inspect().denials
    finally:
        server.run(f"SET GLOBAL general_log_file = '{before}'")
    assert denial.reason.startswith("general_log_file is outside of the data directory")
    monkeypatch.setattr(reloading.os, "geteuid", lambda: 65534)
    with closing(opened(server, database, technique="reload-and-shred")) as backend:
        (denial,) = backend.inspect().denials
    assert "run as root" in denial.reason


# --- what dies on the way


def planned(server: Server, database: str, folder: Path) -> tuple[Workbench, JobDirectory]:
    bench = Workbench(folder)
    job = bench.job(text(server, database))
    bench.plan(job)
    bench.approve(job)
    return bench, job


@pytest.mark.campaign
def test_who_runs_the_server_is_told_to_start_it(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    bench, job = planned(server, database, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(reloading, "_RETURNING", 1)
        for _ in range(2):
            with pytest.raises(Transient, match="start the server, and resume"):
                bench.run(job)
    server.start()
    bench.run(job)
    assert job.certificate.exists()
    assert found(server, going) == 0
    assert values(server, database, "true") == staying
    assert left_beside(server) == []


@contextmanager
def dies(name: str, moment: str) -> Iterator[None]:
    """Let this process be killed just before, or just after, a function of the move."""
    real = getattr(reloading, name)

    def killed(*arguments: object) -> object:
        if any("-trial-" in str(argument) for argument in arguments):
            return real(*arguments)
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reloading, name, killed)
        yield


def in_a_child(run: Callable[[], object]) -> bool:
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.campaign
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", ["copy", "_flush_tree", "_wait_until_ended", "exchange"])
def test_a_job_killed_at_any_turn_of_the_move_is_resumed(
    server: Server, database: str, tmp_path: Path, name: str, moment: str
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    bench, job = planned(server, database, tmp_path)
    with server.kept_running():
        with dies(name, moment):
            assert in_a_child(lambda: bench.run(job))
        time.sleep(1)  # the second server dies with the job, and the first is started again
        bench.run(job)
    assert job.certificate.exists()
    assert found(server, going) == 0
    assert values(server, database, "true") == staying
    assert left_beside(server) == []


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(4))
def test_a_job_killed_at_any_entry_is_resumed(
    server: Server, database: str, tmp_path: Path, part: int
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    with server.kept_running():
        bench, job = planned(server, database, tmp_path / "undisturbed")
        with at_entry(0, "before", list) as entries:
            bench.run(job)
        first = entries.index("Advanced") + 1
        for number in range(first + part, len(entries) + 1, 4):
            people = ", ".join(f"({k}, 1, '{name.decode()}', NULL)" for k, name in enumerate(going, 100))
            server.run(f"INSERT INTO person VALUES {people}", database=database)
            server.settle()
            bench, job = planned(server, database, tmp_path / str(number))
            assert run_killed_at_entry(lambda b=bench, j=job: b.run(j), number, "after")  # type: ignore[misc]
            if not job.certificate.exists():
                bench.run(job)
            said = f"killed after entry {number} of {len(entries)} ({entries[number - 1]})"
            assert found(server, going) == 0, said
            assert values(server, database, "true") == staying, said
            assert left_beside(server) == [], said


@pytest.mark.campaign
def test_a_server_that_is_started_too_early_keeps_its_directory(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, staying, inode = (
        values(server, database),
        values(server, database, "NOT leaves"),
        server.data.stat(),
    )
    with monkeypatch.context() as patch:
        patch.setattr(reloading, "nobody_has_open", lambda *_: False)
        with pytest.raises(Transient, match="started again before its new directory was in place"):
            moved(server, database)
    assert server.data.stat().st_ino == inode.st_ino
    server.stop()
    server.start()
    assert values(server, database, "true") == staying
    with server.kept_running():
        moved(server, database)
    assert found(server, going) == 0
    assert values(server, database, "true") == staying


@pytest.mark.campaign
def test_an_old_directory_that_somebody_wrote_to_is_not_overwritten(
    server: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = values(server, database)
    real, old = reloading.Reloading._wait_for_the_server, list[Path]()

    def meddled(run: reloading.Reloading) -> None:
        real(run)
        old.append(run._other)
        os.utime(run._other / database / "person.ibd")

    with server.kept_running(), monkeypatch.context() as patch:
        patch.setattr(reloading.Reloading, "_wait_for_the_server", meddled)
        with pytest.raises(Failed, match="wrote to the old directory after it was copied"):
            moved(server, database)
    assert (old[0] / database / "person.ibd").stat().st_size > 0
    with closing(opened(server, database, technique="reload-and-shred", id="other")) as backend:
        assert "another job's erase on this server is not finished" in "".join(backend.inspect().blockers)
    with pytest.raises(Failed, match="wrote to the old directory"):
        moved(server, database)
    os.utime(old[0] / reloading._MARK)  # by hand: the old one is not the right one
    moved(server, database)
    assert found(server, going) == 0
    assert left_beside(server) == []


@pytest.mark.campaign
def test_writers_on_the_rows_that_stay_lose_nothing(server: Server, database: str) -> None:
    server.run("ALTER TABLE person ADD counted INT NOT NULL DEFAULT 0", database=database)
    going, stop, done, unknown = values(server, database), threading.Event(), [0], [0]

    def write() -> None:
        while not stop.is_set():
            with (
                suppress(pymysql.MySQLError, OSError),
                socket.socket(socket.AF_UNIX) as way,  # the driver leaves one open that it could not connect
                closing(
                    pymysql.connect(
                        read_default_file=str(server.credentials), autocommit=True, defer_connect=True,
                        database=database, ssl_disabled=True, read_timeout=30,
                    )
                ) as connection,
            ):  # fmt: skip
                way.connect(str(server.socket))
                connection.connect(way)
                cursor = connection.cursor()
                while not stop.is_set():
                    unknown[0] += 1  # the answer may be lost, and the change not
                    cursor.execute("UPDATE person SET counted = counted + 1 WHERE id = 1")
                    unknown[0] -= 1
                    done[0] += 1
            time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with server.kept_running():
            moved(server, database)
            time.sleep(0.5)
    finally:
        stop.set()
        writer.join(60)
    ((counted,),) = server.run("SELECT counted FROM person WHERE id = 1", database=database)
    assert done[0] > 50
    assert done[0] <= counted <= done[0] + unknown[0]
    assert found(server, going) == 0
