"""The whole walk on a real server: every customer and invoice of one country, Chinook's Germany.

What is erased must be in the raw bytes before, and in none after: not in the server's files, not in
any file of the job, and not on the block device under both. What stays must be the same, row by row.
"""

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
from deleatur.testing.workbench import Workbench
from deleatur.trust.keys import generate
from deleatur.trust.verification import verify

from ..postgresql_server import RunningServer, running_server
from .chinook_germany import alone, every_file, found, going, job_text, personal, snake

DATABASE = "chinook"
GOING = going(snake)
COUNTS = {
    "album": 347, "artist": 275, "customer": 59, "employee": 8, "genre": 25, "invoice": 412,
    "invoice_line": 2240, "media_type": 5, "playlist": 18, "playlist_track": 8715, "track": 3503,
}  # fmt: skip


@pytest.fixture(params=[("ext4", 120), pytest.param(("xfs", 320), marks=pytest.mark.campaign)])
def chinook(request: pytest.FixtureRequest, data_folder: Path) -> Iterator[RunningServer]:
    kind, megabytes = request.param
    with running_server(kind=kind, megabytes=megabytes, journal=True) as server:
        server.run(f"CREATE DATABASE {DATABASE}")
        text = (data_folder / "chinook-postgresql.sql").read_text("utf-8")
        loaded = text[text.index("\\c chinook;") + len("\\c chinook;") :]
        psql = ["psql", "-q", "-v", "ON_ERROR_STOP=1", "-h", server.sockets, "-U", "postgres", "-d", DATABASE]
        subprocess.run(psql, input=loaded.encode(), check=True, stdout=subprocess.DEVNULL)
        server.run("CREATE EXTENSION amcheck", "ANALYZE", "CHECKPOINT", database=DATABASE)
        yield server


def rows(server: RunningServer, *, staying: bool) -> dict[str, str]:
    """Digest every row of every table that stays (or goes), by table."""
    digests = {}
    for table in COUNTS:
        condition = GOING.get(table, "false")
        where = f"({condition}) IS NOT TRUE" if staying else condition
        shown = server.run(f"SELECT t::text FROM {table} t WHERE {where} ORDER BY 1", database=DATABASE)
        digests[table] = hashlib.sha256(repr(shown).encode()).hexdigest()
    return digests


def personal_values(server: RunningServer) -> list[bytes]:
    """Return the values of the customers that go, without those that also stand in what stays."""
    rows = server.run(personal(snake), database=DATABASE)
    stays = ""
    for table in COUNTS:
        where = f"({GOING.get(table, 'false')}) IS NOT TRUE"
        for row in server.run(f"SELECT * FROM {table} WHERE {where}", database=DATABASE):
            stays += "\0".join(map(str, row)) + "\n"
    return alone(rows, stays)


@pytest.mark.root
@pytest.mark.data
def test_a_country_is_mapped_archived_and_erased(chinook: RunningServer, tmp_path: Path) -> None:
    values = personal_values(chinook)
    assert len(values) > 15
    before = rows(chinook, staying=True)
    joined = (
        "SELECT count(*), sum(total) FROM invoice JOIN customer USING (customer_id) "
        "WHERE country = 'Germany' GROUP BY customer_id ORDER BY 1, 2"
    )
    expected = chinook.run(joined, database=DATABASE)
    assert found(chinook.raw(), values) == values, "the control of this test"

    identity, recipient = new_identity()
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(chinook.url(DATABASE), recipient, spell=snake))

    assert rows(chinook, staying=True) == before
    empty = hashlib.sha256(b"[]").hexdigest()
    assert {rows(chinook, staying=False)[t] for t in GOING} == {empty}
    chinook.run("CHECKPOINT", database=DATABASE)
    assert found(every_file(chinook.data), values) == []
    assert found(every_file(tmp_path), values) == []
    assert found(chinook.raw(), values) == []
    checks = chinook.run(
        "SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam "
        "WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.relpersistence = 'p'",
        "SELECT * FROM pg_class c, verify_heapam(c.oid) v WHERE c.relkind IN ('r', 't')",
        database=DATABASE,
    )
    assert checks == []

    checked = verify(job.certificate, [bench.agent.public], 1, None).certificate
    verification = checked.verification[0]
    assert verification.verdict == "CLEAN"
    device = next(s for s in verification.surfaces if s.name.startswith("block device"))
    assert device.bytes_after >= 120 << 20
    assert device.hits_after == 0
    opened = open_archive(job.archive / next(iter(checked.archives)).file, identity)
    customers, invoices = (opened.tables[t].to_pylist() for t in ("customer", "invoice"))
    tokens = {c["customer_id"] for c in customers}
    by_token = {t: [i["total"] for i in invoices if i["customer_id"] == t] for t in tokens}
    assert sorted((len(totals), sum(totals)) for totals in by_token.values()) == expected


@pytest.mark.root
@pytest.mark.data
def test_the_map_has_the_right_types_and_counts(chinook: RunningServer, tmp_path: Path) -> None:
    generate(tmp_path, "it", "ed25519", b"correct horse")
    (tmp_path / "deleatur.toml").write_text('schema = "deleatur/agent/v1"\n[keys]\nagent = "it.key"\n')
    path = tmp_path / "datamap.toml"
    words = ["discover", chinook.url(DATABASE), "--out", str(path)]
    result = CliRunner(env={"DELEATUR_SETTINGS": str(tmp_path / "deleatur.toml")}).invoke(deleatur, words)
    assert result.exit_code == 0, result.output
    content = path.read_bytes()
    (place,) = decode_datamap(content).place
    assert {table.name: table.records for table in place.table} == COUNTS
    fields = {(t.name, f.name): f for t in place.table for f in t.field}
    assert fields["invoice", "customer_id"].stored_as == "integer"
    assert fields["invoice", "customer_id"].references == "customer.customer_id"
    assert fields["invoice", "total"].stored_as == "numeric(10,2)"
    assert fields["customer", "email"].stored_as == "character varying(60)"
    assert fields["customer", "email"].type == "e-mail"
    assert found(content, personal_values(chinook)) == []
