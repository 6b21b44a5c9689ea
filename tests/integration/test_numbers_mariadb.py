"""Numbers as InnoDB stores them: seen before the erase, gone after it, found when an erase leaves them."""

import math
import struct
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deleatur.api import Condition, Cursor, Selection, Target
from deleatur.documents.codec import encode_json
from deleatur.errors import Residue
from deleatur.sanitize.encodings import numbers_of
from deleatur.sanitize.needles import NeedleSet
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.mariadb import MariadbBackend
from deleatur_plugins.mariadb.deleting import delete_rows
from deleatur_plugins.mariadb.rebuilding import Rebuilding

from ..job_of_leavers import job_of_leavers
from ..mariadb_server import Server, server_on_a_disk

ROWS = 30
COLUMNS = (
    "account BIGINT, serial BIGINT UNSIGNED, ratio DOUBLE, balance DECIMAL(18,2), at DATETIME(6), "
    "seen TIMESTAMP(3) NULL, ref UUID"
)
SAME = "'2026-01-01 10:00:00.123456'"

pytestmark = pytest.mark.root


def row(n: int) -> tuple[int, int, float, Decimal, datetime, datetime, uuid.UUID]:
    at = datetime(2020, 1, 1, 3, 4, 5, 7, tzinfo=UTC) + timedelta(days=61 * n, microseconds=7_123_457 * n)
    return (
        ((1 << 40) + 98_765_432_123 * n) * (-1 if n % 3 == 0 else 1),
        (1 << 63) + 98_765_432_123 * n,
        n * math.pi + 1e6,
        Decimal(98_765_432_123_457 * n).scaleb(-2) * (-1 if n % 4 == 0 else 1),
        at,
        at.replace(microsecond=(n * 37 % 999 + 1) * 1000),
        uuid.uuid5(uuid.NAMESPACE_OID, str(n)),
    )


def literal(value: object) -> str:
    if isinstance(value, datetime):
        return f"'{value.replace(tzinfo=None).isoformat(' ')}'"
    return f"'{value}'" if isinstance(value, uuid.UUID) else str(value)


def inserted(rows: list[tuple[object, ...]], more: str = "") -> str:
    return ", ".join(f"({', '.join(map(literal, row))}{more})" for row in rows)


def stored(n: int) -> list[bytes]:
    """What InnoDB has of a row, written down without the plugin."""
    account, serial, ratio, balance, at, seen, ref = row(n)
    cents = str(abs(int(balance * 100))).zfill(18)
    groups = (cents[:7], cents[7:16], cents[16:])
    decimal = b"".join(int(g).to_bytes(s, "big") for g, s in zip(groups, (4, 4, 1), strict=True))
    sign = 0xFF if balance < 0 else 0
    day = ((at.year * 13 + at.month) << 5 | at.day) << 17
    moment = 1 << 39 | day | at.hour << 12 | at.minute << 6 | at.second
    halves = ref.bytes
    return [
        struct.pack(">Q", account + (1 << 63)),
        struct.pack(">Q", serial),
        struct.pack("<d", ratio),
        bytes([(decimal[0] ^ sign) ^ 0x80, *(b ^ sign for b in decimal[1:])]),
        moment.to_bytes(5, "big") + at.microsecond.to_bytes(3, "big"),
        struct.pack(">I", int(seen.timestamp())) + (seen.microsecond // 100).to_bytes(2, "big"),
        halves[10:] + halves[8:10] + halves[6:8] + halves[4:6] + halves[:4],
    ]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk() as running:
        running.run("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")
        yield running


@pytest.fixture
def database(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
    name = f"d{uuid.uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {name}")
    server.run(
        "SET time_zone = '+00:00'",
        "CREATE TABLE account (id INT PRIMARY KEY, leaves TINYINT, small BIGINT, day DATETIME, "
        f"same DATETIME(6), {COLUMNS}, KEY (account))",
        *(
            f"INSERT INTO account VALUES ({n}, {n % 2}, 4711, '2020-02-29', {SAME}, {inserted([row(n)])[1:]}"
            for n in range(1, ROWS + 1)
        ),
        database=name,
    )
    server.settle()
    yield name
    server.run(f"DROP DATABASE {name}")


def going() -> list[bytes]:
    return [value for n in range(1, ROWS + 1, 2) for value in stored(n)]


def files(server: Server) -> bytes:
    server.settle()
    return b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())


def test_what_the_backend_shows_of_a_number_is_found_in_the_file(server: Server, database: str) -> None:
    leaving = Selection(table="account", where=(Condition(column="leaves", operator="=", value=1),))
    target = Target(id="t", url=server.url(database), select=(leaving,))
    with closing(MariadbBackend.open(target, {"digest-key": bytes(32)})) as backend:
        shown = [backend.probe(place) for place in backend.sample(None, b"")]
    forms = {form for value in shown if value for form in (value, *numbers_of(value))}
    assert (len(shown), set(going()) - forms) == (ROWS // 2 * 8, set())
    raw = (server.data / database / "account.ibd").read_bytes()
    assert [value for value in going() if value not in raw] == []


def test_numbers_are_seen_before_and_gone_after(server: Server, database: str, tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    job = bench.whole(job_of_leavers(server.url(database)))
    certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
    (verification,) = certificate.verification
    assert verification.needles is not None
    assert (verification.verdict, verification.needles.count) == ("CLEAN", len(going()))
    assert verification.needles.positive_control == len(going())
    assert (verification.needles.left_out_shared, verification.needles.left_out_short) == (1, 0)
    raw = files(server)
    assert [value for value in going() if value in raw] == []
    assert all(value in raw for n in range(2, ROWS + 1, 2) for value in stored(n))
    assert '"small-numbers-not-searched"' in encode_json(certificate).decode()


def test_a_delete_that_leaves_numbers_in_free_space_is_found_out(
    server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain_delete(self: Rebuilding, after: Cursor | None) -> Iterator[Cursor]:
        yield Cursor("deleted", delete_rows(self._session, self._target, self._secrets))

    monkeypatch.setattr(Rebuilding, "run", plain_delete)
    with pytest.raises(Residue):
        Workbench(tmp_path).whole(job_of_leavers(server.url(database)))


ANY = st.tuples(
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(0, (1 << 64) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(-(10**15), 10**15, places=2),
    st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),
    st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)),
    st.integers(1, 5).flatmap(lambda version: st.uuids(version=version)),
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ANY, min_size=5, max_size=60))
def test_any_number_that_says_enough_stands_in_the_file(
    server: Server, database: str, rows: list[tuple[object, ...]]
) -> None:
    server.run(
        "SET time_zone = '+00:00'",
        f"CREATE OR REPLACE TABLE every (leaves INT PRIMARY KEY AUTO_INCREMENT, {COLUMNS})",
        f"INSERT INTO every ({', '.join(c.split()[0] for c in COLUMNS.split(', '))}) VALUES {inserted(rows)}",
        database=database,
    )
    target = Target(id="t", url=server.url(database), select=(Selection(table="every"),))
    with closing(MariadbBackend.open(target, {"digest-key": bytes(32)})) as backend:
        shown = [backend.probe(place) for place in backend.sample(None, b"")]
    server.settle()
    raw = (server.data / database / "every.ibd").read_bytes()
    found = NeedleSet.of(value for value in shown if value)
    seen = {
        owner for n, owners in zip(found.needles, found.owners, strict=True) if n in raw for owner in owners
    }
    assert (seen, len(shown) > 0) == (found.members, True)
