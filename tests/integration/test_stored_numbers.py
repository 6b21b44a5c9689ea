"""Numbers, times and identifiers in a server's own binary form: seen before the erase, and gone after it."""

import struct
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.postgresql_server import RunningServer, running_server

from deleatur.api import Condition, Selection, Target
from deleatur.errors import Residue
from deleatur.sanitize.needles import NeedleSet
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.postgresql import PostgresqlBackend
from deleatur_plugins.postgresql.content import Content
from deleatur_plugins.postgresql.schema import Table
from deleatur_plugins.postgresql.selecting import Query

ROWS = 60
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SAME = datetime(2026, 1, 1, 10, 0, 0, 123456, tzinfo=UTC)  # of those who go and of those who stay

pytestmark = pytest.mark.root


def account(n: int) -> int:
    return (1 << 40) + 987_654_321 * (n + 1) * (-1 if n % 3 == 0 else 1) - (2 << 40) * (n % 3 == 0)


def at(n: int) -> datetime:
    return EPOCH + timedelta(days=9000 + n, microseconds=7_123_457 * (n + 1))


def stored(n: int) -> list[bytes]:
    """What a little-endian machine has in a row, written down without the server."""
    micros = (at(n) - EPOCH) // timedelta(microseconds=1)
    return [
        struct.pack("<q", account(n)),
        struct.pack("<q", micros),
        struct.pack("<q", micros + 1_800_000_001),
        uuid.uuid5(uuid.NAMESPACE_OID, str(n)).bytes,
        bytes([2, 0x5E, *(37 * (n + k) % 256 for k in range(4))]),
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(megabytes=120) as server:
        yield server


@pytest.fixture
def database(server: RunningServer) -> Iterator[str]:
    name = f"d{uuid.uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {name}")
    server.run(
        'CREATE TABLE visit (id int PRIMARY KEY, leaves boolean, "acc%ount" int8, at timestamptz, '
        "until timestamp, ref uuid, device macaddr, day date, small int8, noon timestamptz, "
        "same timestamptz)",
        "CREATE TABLE other (id int PRIMARY KEY, at timestamp)",
        f"INSERT INTO other VALUES (1, '{at(0).replace(tzinfo=None).isoformat()}')",  # stands there too
        "CREATE INDEX ON visit (at)",
        database=name,
    )
    with server.connect(name) as connection, connection.cursor() as cursor:
        for n in range(ROWS):
            _, _, _, ref, device = stored(n)
            until = (at(n) + timedelta(seconds=1800, microseconds=1)).replace(tzinfo=None)
            cursor.execute(
                b"INSERT INTO visit VALUES (%s, %s, %s, %s, %s, %s, %s::macaddr, '2020-02-29', 4711, "
                b"'2020-02-29 12:00Z', %s)",
                (n, n % 2 == 0, account(n), at(n), until, uuid.UUID(bytes=ref), device.hex(":"), SAME),
            )
        cursor.execute(
            b"INSERT INTO visit (id, leaves, at) VALUES (997, true, 'infinity'), (998, true, NULL)"
        )
    server.run("ANALYZE visit", "CHECKPOINT", database=name)
    yield name
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


def job_text(server: RunningServer, database: str) -> str:
    return f"""
schema = "deleatur/job/v1"
name = "visits"
reason = "retention-expired"
authority = "policy 3"
requested_by = "legal"

[verification]
device = false

[[target]]
id = "visits"
url = "{server.url(database)}"

[[target.select]]
table = "visit"
where = [{{ column = "leaves", operator = "=", value = true }}]
"""


def opened(server: RunningServer, database: str) -> PostgresqlBackend:
    leaving = Selection(table="visit", where=(Condition(column="leaves", operator="=", value=True),))
    target = Target(id="t", url=server.url(database), select=(leaving,))
    return PostgresqlBackend.open(target, {"digest-key": bytes(32)})


def test_what_the_backend_shows_of_a_number_is_what_lies_in_the_file(
    server: RunningServer, database: str
) -> None:
    with closing(opened(server, database)) as backend:
        shown = [backend.probe(place) for place in backend.sample(None, b"") if not place.item.endswith("/")]
    going = [value for n in range(0, ROWS, 2) for value in stored(n)]
    same = struct.pack("<q", (SAME - EPOCH) // timedelta(microseconds=1))
    assert sorted(v for v in shown if v) == sorted(going + [same] * (ROWS // 2))
    raw = server.raw()
    assert [value for value in going if value not in raw] == []


def test_numbers_are_seen_before_and_gone_after(server: RunningServer, database: str, tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(server, database))
    (verification,) = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification
    searched = NeedleSet.of(value for n in range(0, ROWS, 2) for value in stored(n)).values
    # the moment that all share, and the one that another table holds, would say nothing
    assert verification.needles is not None
    assert (verification.verdict, verification.needles.count) == ("CLEAN", searched - 1)
    assert verification.needles.left_out_shared == 2
    assert verification.needles.positive_control == searched - 1
    raw = b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
    assert [v for n in range(2, ROWS, 2) for v in stored(n) if v in raw] == []
    assert all(any(v in raw for v in stored(n)) for n in range(1, ROWS, 2))
    with closing(opened(server, database)) as backend:
        (offer,) = backend.inspect().offers
    assert "small-numbers-not-searched" in offer.limits
    assert "numbers-not-searched" not in offer.limits


def test_rows_that_stay_would_be_residue_were_their_numbers_not_shown(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows as the server sends them hold its numbers the other way round."""

    def sent(content: Content, table: Table, query: Query, order: str = "") -> Iterator[bytes]:
        statement = f"SELECT record_send(t0) FROM {table.sql} AS t0 WHERE {query.clause}"
        for (row,) in content.stream(statement, query.bound):
            yield bytes(row)

    monkeypatch.setattr(Content, "_rows", sent)
    with pytest.raises(Residue):
        Workbench(tmp_path).whole(job_text(server, database))
