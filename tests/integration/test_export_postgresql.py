"""One customer of Chinook in two stores, a PostgreSQL server and a SQLite file: found and erased in both."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.engine.drafting import Request, draft_job
from deleatur.testing.workbench import Workbench

from ..postgresql_server import RunningServer
from .subject_office import mapped, search
from .test_chinook_postgresql import DATABASE, chinook

__all__ = ["chinook"]  # the fixture
THEIRS = {
    "customer": "customer_id = 2",
    "invoice": "customer_id = 2",
    "invoice_line": "invoice_id IN (SELECT invoice_id FROM invoice WHERE customer_id = 2)",
}


@pytest.mark.root
@pytest.mark.data
@pytest.mark.campaign
def test_a_customer_of_two_stores_is_found_and_erased_in_both(
    chinook: RunningServer, data_folder: Path, tmp_path: Path
) -> None:
    database = tmp_path / "chinook.sqlite"
    database.write_bytes((data_folder / "chinook.sqlite").read_bytes())
    bench = Workbench(tmp_path / "bench")
    datamap = mapped(bench, shop=database, erp=chinook.url(DATABASE))
    with closing(sqlite3.connect(database)) as connection:
        (address,) = connection.execute("SELECT Email FROM Customer WHERE CustomerId = 2").fetchone()
    found = search(datamap, bench, f"e-mail: {address}\n")
    assert found.undecided == ()
    got = {(p.place.id, p.table.name.lower().replace("_", "")): len(p.rows) for p in found.parts}
    wanted = {
        table: counted(chinook, f"SELECT count(*) FROM {table} WHERE {where}")
        for table, where in THEIRS.items()
    }
    assert got == {(place, t.replace("_", "")): n for place in ("shop", "erp") for t, n in wanted.items()}

    request = Request(
        datamap=tmp_path / "map", name="erase-one", authority="request 2", requested_by="privacy"
    )
    directory, left = draft_job(tmp_path / "job", datamap, found, request, bench.registry)
    directory.job.write_text(directory.job.read_text("utf-8").partition("[datamap]")[0], "utf-8")
    assert left == ()
    before = counted(chinook, "SELECT count(*) FROM invoice_line")
    bench.plan(directory)
    bench.approve(directory)
    bench.run(directory)
    for table, where in THEIRS.items():
        assert counted(chinook, f"SELECT count(*) FROM {table} WHERE {where}") == 0
    assert counted(chinook, "SELECT count(*) FROM invoice_line") == before - wanted["invoice_line"]
    assert counted(chinook, "SELECT count(*) FROM customer") == 58
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM Customer").fetchone() == (58,)


def counted(server: RunningServer, query: str) -> int:
    """Ask the server for one number."""
    return int(server.run(query, database=DATABASE)[0][0])
