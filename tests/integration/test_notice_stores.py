"""The same people are told whatever store holds them: Chinook's Germany in SQLite, PostgreSQL and MariaDB."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deleatur.documents.decode import decode_job
from deleatur.engine.notices.recipients import recipients_of
from deleatur.testing.workbench import Workbench

from ..mariadb_server import server_on_a_disk
from ..postgresql_server import running_server

JOB = """
schema = "deleatur/job/v1"
name = "leave-germany"
reason = "contract-end"
authority = "a test"
requested_by = "tester"
[notice]
folder = "notice"
cut_off = "2026-12-22"
mail_from = "privacy@shop.example"
[[notice.letter]]
language = "de"
sender = "Laden"
reason = "Schluss"
erased = "Ihr Konto"
method = "überschrieben"
export = "per E-Mail"
contact = "privacy@shop.example"
[[notice.recipients]]
target = "chinook"
table = "{Customer}"
subject = "{CustomerId}"
name = "{LastName}"
language = "{Country}"
email = "{Email}"
postal = ["{Address}", "{City}"]
[[target]]
id = "chinook"
url = "{url}"
[[target.select]]
table = "{Customer}"
where = [{{ column = "{Country}", operator = "=", value = "Germany" }}]
[[target.hold]]
id = "matter"
reason = "a matter is open"
table = "{Customer}"
where = [{{ column = "{City}", operator = "=", value = "Stuttgart" }}]
[[target.hold]]
id = "wrote-back"
reason = "they wrote"
table = "{Customer}"
where = [{{ column = "{CustomerId}", operator = "in", values_from = "notice/held.txt" }}]
"""
NAMES = ("Customer", "CustomerId", "LastName", "Country", "Email", "Address", "City")
EXPECTED = [
    ("36", "hannah.schneider@yahoo.de"),
    ("37", "fzimmermann@yahoo.de"),
    ("38", "nschroder@surfeu.de"),
]


@contextmanager
def sqlite(data: Path, folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, str]]]:
    copy = folder / "chinook.sqlite"
    copy.write_bytes((data / "chinook.sqlite").read_bytes())
    yield copy.as_uri().replace("file:", "sqlite:"), {name: name for name in NAMES}


@contextmanager
def postgresql(data: Path, _folder: Path, _patch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, str]]]:
    with running_server() as server:
        server.run("CREATE DATABASE chinook")
        text = (data / "chinook-postgresql.sql").read_text("utf-8")
        loaded = text[text.index("\\c chinook;") + len("\\c chinook;") :]
        psql = [
            "psql",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            server.sockets,
            "-U",
            "postgres",
            "-d",
            "chinook",
        ]
        subprocess.run(psql, input=loaded.encode(), check=True, stdout=subprocess.DEVNULL)
        own = ("customer", "customer_id", "last_name", "country", "email", "address", "city")
        yield server.url("chinook"), dict(zip(NAMES, own, strict=True))


@contextmanager
def mariadb(data: Path, _folder: Path, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, str]]]:
    with server_on_a_disk() as server:
        with (data / "chinook-mysql.sql").open("rb") as script:
            subprocess.run(
                ["mariadb", f"--defaults-file={server.credentials}", f"--socket={server.socket}"],
                stdin=script,
                check=True,
            )
        patch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
        yield server.url("Chinook"), {name: name for name in NAMES}


@pytest.mark.root
@pytest.mark.data
@pytest.mark.parametrize("store", [sqlite, postgresql, mariadb])
def test_the_same_people_are_told_in_every_store(
    store: Callable[..., Iterator[tuple[str, dict[str, str]]]],
    data_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "notice").mkdir()
    (tmp_path / "notice" / "held.txt").write_text("36\n")  # she wrote back, and may have to be written to
    with store(data_folder, tmp_path, monkeypatch) as (url, names):
        job = decode_job(JOB.format(url=url, **names).encode())
        people = [*recipients_of(job, Workbench(tmp_path).registry, bytes(32), tmp_path)]
    assert sorted((p.subject, p.contact("email")) for p in people) == EXPECTED  # not the one in Stuttgart
    assert [*people[0].channels] == ["email", "postal"]
    assert {p.language for p in people} == {"Germany"}
    assert len({p.digest for p in people}) == len(EXPECTED)
