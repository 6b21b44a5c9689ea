"""The whole walk on a real MariaDB: every customer and invoice of one country, Chinook's Germany.

What is erased must be in the raw bytes before, and in none after: in no file of the server, and not
on the block device under them. What stays must be the same, row by row, before and after a restart.
"""

import collections
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from deleatur.archive.age import new_identity
from deleatur.archive.package import open_archive
from deleatur.cli.group import deleatur
from deleatur.documents.datamap import decode_datamap
from deleatur.engine.directory import JobDirectory
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from ..mariadb_server import Server, server_on_a_disk
from .chinook_germany import alone, every_file, found, going, job_text, personal

GOING = going()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk() as running:
        yield running


@pytest.fixture(scope="module")
def loaded(server: Server, data_folder: Path) -> str:
    """Chinook, loaded once: what a second load left in free blocks would be found on the raw device."""
    server.run("SET GLOBAL general_log = ON", "SET GLOBAL slow_query_log = ON")
    with (data_folder / "chinook-mysql.sql").open("rb") as script:
        subprocess.run(
            ["mariadb", f"--defaults-file={server.credentials}", f"--socket={server.socket}"],
            stdin=script, check=True,
        )  # fmt: skip
    server.run("ANALYZE TABLE Chinook.Customer PERSISTENT FOR ALL")
    server.settle()
    return server.url("Chinook")


@pytest.fixture
def chinook(server: Server, loaded: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
    return loaded


def tables(server: Server) -> list[str]:
    return [name for (name,) in server.run("SHOW TABLES", database="Chinook")]


def rows(server: Server, *, staying: bool) -> dict[str, str]:
    """Digest every row of every table that stays (or goes), by table."""
    digests = {}
    for table in tables(server):
        where = GOING.get(table, "0")
        found = server.run(
            f"SELECT * FROM {table} WHERE {f'NOT ({where})' if staying else where} ORDER BY 1, 2",
            database="Chinook",
        )
        digests[table] = hashlib.sha256(repr(found).encode()).hexdigest()
    return digests


def personal_values(server: Server) -> list[bytes]:
    """Return the values of the customers that go, without those that also stand in what stays."""
    rows = server.run(personal(), database="Chinook")
    stays = ""
    for table in tables(server):
        staying = server.run(f"SELECT * FROM {table} WHERE NOT ({GOING.get(table, '0')})", database="Chinook")
        stays += "\n".join("\0".join(map(str, row)) for row in staying)
    return alone(rows, stays)


def sums(server: Server) -> dict[int, tuple[int, float]]:
    """Join customers and invoices on the raw keys: invoices and total for each customer that goes."""
    query = (
        "SELECT c.CustomerId, COUNT(*), SUM(i.Total) FROM Customer c JOIN Invoice i USING (CustomerId) "
        "WHERE c.Country = 'Germany' GROUP BY 1"
    )
    return {key: (count, float(total)) for key, count, total in server.run(query, database="Chinook")}


@pytest.mark.root
@pytest.mark.data
def test_chinook_is_mapped_with_the_right_types_and_counts(
    server: Server, chinook: str, tmp_path: Path
) -> None:
    out = tmp_path / "map.toml"
    settings = tmp_path / "deleatur.toml"
    settings.write_text('schema = "deleatur/agent/v1"\n[keys]\nagent = "it.key"\n')
    rule = "--active=Invoice.InvoiceDate within 365 days"
    result = CliRunner(env={"DELEATUR_SETTINGS": str(settings)}).invoke(
        deleatur, ("discover", chinook, f"--out={out}", rule, "--as-of=2013-12-31"), standalone_mode=False
    )
    assert result.exception is None, (result.output, result.exception)
    (place,) = decode_datamap(out.read_bytes()).place
    counts = {t: server.run(f"SELECT COUNT(*) FROM {t}", database="Chinook")[0][0] for t in tables(server)}
    assert {t.name: t.records for t in place.table} == counts
    fields = {f"{t.name}.{f.name}": f for t in place.table for f in t.field}
    assert fields["Customer.Email"].type == "e-mail"
    assert fields["Customer.FirstName"].type == fields["Customer.LastName"].type == "person-name"
    assert fields["Customer.Address"].type == "postal-address"
    assert fields["Customer.SupportRepId"].references == "Employee.EmployeeId"
    assert fields["Customer.Email"].stored_as == "varchar(60)"
    assert fields["Employee.BirthDate"].type == "date-of-birth"
    assert place.people == 59 + 8 - 1  # two employees share one office number
    last = server.run("SELECT COUNT(*) FROM Invoice WHERE InvoiceDate >= '2012-12-31'", database="Chinook")
    (totals,) = [t.totals for t in place.table if t.totals]
    assert (totals.all, totals.active) == (412, last[0][0])
    laws = {j.code: j.records for j in place.jurisdiction if j.reason == "column Customer.Country"}
    assert (laws["DE"], laws["US"], "unknown" in laws) == (4, 13, False)


@pytest.mark.root
@pytest.mark.data
def test_a_country_is_erased_from_the_server_and_the_raw_device(
    server: Server, chinook: str, tmp_path: Path
) -> None:
    values, stays, joined = personal_values(server), rows(server, staying=True), sums(server)
    server.run("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")  # while the test looks
    assert found(every_file(server.data), values) == values
    assert found(server.image.read_bytes(), values) == values
    identity, recipient = new_identity()
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(chinook, recipient))
    server.flush()
    assert found(every_file(server.data), values) == []
    assert found(server.image.read_bytes(), values) == []
    assert found(every_file(tmp_path / "job"), values) == []
    assert_archived(job, bench, identity, joined)
    for _ in range(2):
        assert rows(server, staying=True) == stays
        assert {rows(server, staying=False)[t] for t in GOING} == {hashlib.sha256(b"[]").hexdigest()}
        for table in tables(server):
            checked = server.run(f"CHECK TABLE {table} EXTENDED", database="Chinook")
            assert [line[-1] for line in checked] == ["OK"]
        server.stop()
        server.start()
    assert not [p for p in server.data.rglob("*") if "deleatur" in p.name]
    assert server.run("SHOW DATABASES LIKE 'deleatur%'") == []


def assert_archived(
    job: JobDirectory, bench: Workbench, identity: str, joined: dict[int, tuple[int, float]]
) -> None:
    certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
    verification = certificate.verification[0]
    assert verification.verdict == "CLEAN"
    assert {s.name: s.hits_after for s in verification.surfaces if s.bytes_after} == {
        "files of the server": 0,
        "block device under the file system": 0,
    }
    (archive,) = certificate.archives
    opened = open_archive(job.archive / archive.file, identity)
    customers = opened.tables["Customer"].to_pylist()
    totals: dict[str, tuple[int, float]] = collections.defaultdict(lambda: (0, 0.0))
    for invoice in opened.tables["Invoice"].to_pylist():
        count, total = totals[invoice["CustomerId"]]
        totals[invoice["CustomerId"]] = (count + 1, total + float(invoice["Total"]))
    tokens = {customer["CustomerId"] for customer in customers}
    assert set(totals) == tokens
    rounded = sorted((count, round(total, 2)) for count, total in totals.values())
    assert rounded == sorted((count, round(total, 2)) for count, total in joined.values())
    assert len(tokens) == len(joined) == 4
