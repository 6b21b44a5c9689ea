"""Consent withdrawn: the job that erases one person is drafted, approved, run; everybody else stays."""

import json
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.engine.directory import JobDirectory
from deleatur.engine.drafting import Request, draft_job
from deleatur.errors import Refused
from deleatur.testing.workbench import Workbench

from .subject_office import Office, make_office, mapped, search, theirs, two_systems


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return make_office(tmp_path_factory.mktemp("office"))


def all_rows(database: Path) -> dict[str, set[tuple[object, ...]]]:
    tables = ("customers", "orders", "order_lines", "invoices", "complaints", "messages", "products")
    with closing(sqlite3.connect(database)) as connection:
        return {t: set(connection.execute(f"SELECT * FROM {t}")) for t in tables}


def test_consent_withdrawn_a_draft_is_approved_runs_and_only_that_person_is_gone(tmp_path: Path) -> None:
    office = make_office(tmp_path / "office")
    number = 12
    who = office.customer(number)
    of = office.file("of.txt", f"e-mail: {who['email']}\n")
    common = ("draft", office.map, f"--of={of}", "--authority=consent withdrawn, request 12 of 2026")
    common += ("--requested-by=privacy-office", f"--job={tmp_path}/job")
    assert "laptop holds records of the person in files" in office.run(*common, code=4)
    drafted = json.loads(office.run(*common, "--leave=laptop", "--json"))
    before = all_rows(office.shop.database)
    mine = theirs(office.shop.database, number)
    assert {d["table"]: d["rows"] for d in drafted["select"]} == {t: len(rows) for t, rows in mine.items()}
    assert {s["place"] for s in drafted["stays"]} == {"laptop"}
    assert drafted["copies"] == ["laptop"]
    job = (tmp_path / "job/job.toml").read_text("utf-8")
    assert [v for v in who.values() if isinstance(v, str) and len(v) > 3 and v in job] == []
    assert {stat.S_IMODE(p.stat().st_mode) for p in (tmp_path / "job").iterdir()} == {0o600}

    path = tmp_path / "job/job.toml"
    path.write_text(job.replace("[datamap]", '[datamap]\nlaws = ["CN"]'), "utf-8")
    bench = Workbench(tmp_path / "bench")
    directory = JobDirectory(tmp_path / "job")
    bench.plan(directory)
    bench.approve(directory)
    bench.run(directory)
    assert directory.certificate.is_dir()
    after = all_rows(office.shop.database)
    assert after == {table: rows - mine.get(table, set()) for table, rows in before.items()}
    raw = b"".join(p.read_bytes() for p in office.shop.database.parent.glob("crm.sqlite*"))
    assert who["email"].encode() not in raw
    signed = b"".join(p.read_bytes() for p in directory.certificate.rglob("*") if p.is_file())
    assert who["email"].encode() not in signed + directory.journal.read_bytes() + directory.plan.read_bytes()


def hold_on(table: str) -> str:
    """The hold on what an open complaint needs, as the shop's own job has it."""
    inner = (
        '{ table = "complaints", column = "customer_id", '
        'where = [{ column = "status", operator = "=", value = "open" }] }'
    )
    column = "id" if table == "customers" else "customer_id"
    where = f'{{ column = "{column}", operator = "within", within = {inner} }}'
    if table == "order_lines":
        orders = f'{{ table = "orders", column = "id", where = [{where}] }}'
        where = f'{{ column = "order_id", operator = "within", within = {orders} }}'
    name = table.replace("_", "-")
    return (
        f'\n[[target.hold]]\nid = "open-{name}"\nreason = "the complaint is open"\n'
        f'table = "{table}"\nwhere = [{where}]\n'
    )


def test_a_hold_wins_over_a_draft(tmp_path: Path) -> None:
    office = make_office(tmp_path / "office")
    held = min(office.shop.held)
    of = office.file("of.txt", f"e-mail: {office.customer(held)['email']}\n")
    office.run(
        *(
            "draft",
            office.map,
            f"--of={of}",
            "--authority=consent withdrawn",
            "--requested-by=privacy-office",
        ),
        *(f"--job={tmp_path}/job", "--leave=laptop"),
    )
    path = tmp_path / "job/job.toml"
    tables = theirs(office.shop.database, held)
    path.write_text(path.read_text("utf-8") + "".join(map(hold_on, tables)), "utf-8")
    before = all_rows(office.shop.database)
    bench = Workbench(tmp_path / "bench")
    directory = JobDirectory(tmp_path / "job")
    with pytest.raises(Refused, match="crm: nothing there is selected"):  # all of it is held
        bench.plan(directory)
    assert all_rows(office.shop.database) == before


def test_an_open_map_gives_no_draft(office: Office, tmp_path: Path) -> None:
    text = Path(office.map).read_text("utf-8").replace('owner = "it"\nsource', "source", 1)
    opened = tmp_path / "open.toml"
    opened.write_text(text, "utf-8")
    of = office.file("of.txt", f"e-mail: {office.customer(12)['email']}\n")
    arguments = (f"--of={of}", "--authority=x", "--requested-by=x", f"--job={tmp_path}/job")
    assert "the data map is open" in office.run("draft", str(opened), *arguments, code=4)
    assert not (tmp_path / "job").exists()


def test_a_row_linked_only_by_an_order_number_goes_too(tmp_path: Path) -> None:
    """Erased by telephone: the CRM leads to the ERP, whose bookings name nobody."""
    databases = two_systems(tmp_path)
    bench = Workbench(tmp_path / "bench")
    datamap = mapped(bench, **databases)
    link = {"erp/bookings.order_no": "crm/orders.no"}
    found = search(datamap, bench, "mobile-number: 0170 1234517\n", links=link)
    request = Request(
        datamap=tmp_path / "map", name="erase-one", authority="request 12", requested_by="privacy-office"
    )
    directory, left = draft_job(tmp_path / "job", datamap, found, request, bench.registry)
    assert left == ()
    directory.job.write_text(directory.job.read_text("utf-8").partition("[datamap]")[0], "utf-8")
    bench.plan(directory)
    bench.approve(directory)
    bench.run(directory)
    with closing(sqlite3.connect(databases["erp"])) as erp:
        assert [n for (n,) in erp.execute("SELECT order_no FROM bookings")] == ["A00", "A01", "A20", "A21"]
    with closing(sqlite3.connect(databases["crm"])) as crm:
        assert [n for (n,) in crm.execute("SELECT name FROM customers")] == ["Anna Müller", "Carla Weiß"]


def test_rows_that_no_column_tells_apart_are_left_to_a_person(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection, connection:
        connection.execute("CREATE TABLE people (name TEXT, email TEXT)")
        people = [("Anna Groß", "family"), ("Bert Groß", "FAMILY"), ("anna groß", "anna")]
        rows = [(name, f"{box}@example.org") for name, box in people]
        connection.executemany("INSERT INTO people VALUES (?, ?)", rows)
    bench = Workbench(tmp_path / "bench")
    datamap = mapped(bench, x=tmp_path / "x.db")
    found = search(datamap, bench, "e-mail: family@example.org\nperson-name: Anna Groß\n")
    assert [part.rows for part in found.parts] == [(rows[0],)]
    request = Request(datamap=tmp_path / "map", name="x", authority="x", requested_by="x")
    with pytest.raises(Refused, match="x/people has no column that tells these rows"):
        draft_job(tmp_path / "job", datamap, found, request, bench.registry)
    assert not (tmp_path / "job").exists()
