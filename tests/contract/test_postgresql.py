"""The postgresql backend keeps every promise of the contract, on a real server and down to its raw image."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar

import pytest

from deleatur.api import Condition, HeldRows, Selection, Target, Within
from deleatur.documents.job import ArchivedTable, Rule
from deleatur.testing import faults
from deleatur.testing.contract import BackendContract, MakeTarget, Planted, Raw
from deleatur.testing.trial import Trial
from deleatur_plugins.postgresql import PostgresqlBackend

from ..postgresql_server import RunningServer, running_server

KEY = {"digest-key": bytes(range(32))}
GOING = Condition(column="country", operator="=", value="DE")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(
        settings={"wal_level": "minimal", "max_wal_senders": "0", "max_prepared_transactions": "1"}
    ) as server:
        yield server


def tables(schema: str) -> list[str]:
    return [
        f"CREATE SCHEMA {schema}",
        f"CREATE TABLE {schema}.customer (id int PRIMARY KEY, country text, name text, photo bytea)",
        f"CREATE INDEX ON {schema}.customer (name)",
        f"CREATE TABLE {schema}.purchase"
        f" (id int PRIMARY KEY, customer int REFERENCES {schema}.customer, amount int)",
        f"CREATE TABLE {schema}.note (body text PRIMARY KEY)",
        f"CREATE TABLE {schema}.bystander (body text)",
    ]


def rows_target(server: RunningServer, schema: str, technique: str | None = None) -> Target:
    """Everything of the customers of one country but one, who is held."""
    customers = Within(table=f"{schema}.customer", column="id", where=(GOING,))
    theirs = Condition(column="customer", operator="within", within=customers)
    return Target(
        id="t",
        url=server.url(),
        technique=technique,
        select=(
            Selection(table=f"{schema}.customer", where=(GOING,)),
            Selection(table=f"{schema}.purchase", where=(theirs,)),
            Selection(
                table=f"{schema}.note", where=(Condition(column="body", operator=">=", value="going"),)
            ),
        ),
        hold=(
            HeldRows(
                id="open",
                reason="an open matter",
                table=f"{schema}.customer",
                where=(Condition(column="id", operator="=", value=4),),
            ),
        ),
        archive=(
            ArchivedTable(
                table=f"{schema}.purchase",
                columns={"id": Rule(rule="keep"), "customer": Rule(rule="drop"), "amount": Rule(rule="keep")},
            ),
        ),
    )


def plant(server: RunningServer, schema: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    canaries = tuple(uuid.uuid4().hex for _ in range(4))
    kept = tuple(uuid.uuid4().hex for _ in range(4))
    with server.connect() as connection:
        connection.execute("SET client_min_messages = error")
        for (old,) in connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'shop%'"
        ).fetchall():
            connection.execute(f"DROP SCHEMA {old} CASCADE".encode())
        for statement in tables(schema):
            connection.execute(statement.encode())
        rows = [
            (1, "DE", canaries[0], canaries[1].encode()),
            (2, "FR", kept[0], b"fr"),
            (3, "DE", canaries[2] * 30, None),
            (4, "DE", kept[1], None),
        ]
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {schema}.customer VALUES (%s, %s, %s, %s)".encode(), rows)
            cursor.executemany(
                f"INSERT INTO {schema}.purchase VALUES (%s, %s, %s)".encode(),
                [(10, 1, 100), (11, 2, 200), (12, 3, 300)],
            )
            cursor.executemany(
                f"INSERT INTO {schema}.note VALUES (%s)".encode(),
                [("going " + canaries[3],), ("a stays " + kept[2],)],
            )
            cursor.execute(f"INSERT INTO {schema}.bystander VALUES (%s)".encode(), (kept[3],))
        for table in ("customer", "purchase", "note", "bystander"):
            connection.execute(f"ANALYZE {schema}.{table}".encode())
        # reading marks what is settled, in catalogs too: let nothing be left to be marked
        connection.execute("VACUUM (FREEZE)")
        connection.execute("CHECKPOINT")
    server.run("SELECT 1")  # the server keeps a cache of its catalogs in a file, made anew by a new session
    return tuple(c.encode() for c in canaries), tuple(k.encode() for k in kept)


def staying(server: RunningServer, schema: str) -> bytes:
    """Read what must stay without the backend."""
    return repr(
        [
            server.run(f"SELECT * FROM {schema}.customer WHERE id IN (2, 4) ORDER BY id"),
            server.run(f"SELECT * FROM {schema}.purchase WHERE id = 11"),
            server.run(f"SELECT * FROM {schema}.note WHERE body LIKE 'a stays %'"),
            server.run(f"SELECT * FROM {schema}.bystander"),
            server.run("SELECT name, setting FROM pg_file_settings WHERE name = 'wal_recycle'"),
            server.run(f"SELECT indexdef FROM pg_indexes WHERE schemaname = '{schema}' ORDER BY 1"),
        ]
    ).encode()


@pytest.mark.root
class TestRows(BackendContract):
    backend = PostgresqlBackend
    technique: ClassVar[str | None] = None
    not_applicable: ClassVar = {
        "test_keystream_reads_back": "rows are not overwritten where they lie",
        "test_a_missing_key_is_an_error": "no step is compared with a pattern",
    }
    test_an_io_error_is_not_swallowed = pytest.mark.campaign(
        BackendContract.test_an_io_error_is_not_swallowed
    )

    @pytest.mark.campaign
    def test_a_kill_at_any_call_is_survived(self, trial: Callable[[], Trial]) -> None:
        """As the suite has it; but how many files a server's log has, and so the calls, differs by run."""
        (name,) = trial().techniques()
        points = faults.kill_points(faults.list_calls(partial(trial().journalled_all, name)), 60)
        killed = 0
        for n, moment in points:
            one = trial()
            places, staying = one.places(), one.staying()
            died = faults.run_killed_at(partial(one.journalled_all, name), n, moment)
            assert died.error == ""
            killed += died.killed
            one.resume(name, died.told, places)
            one.assert_ended_well(name, places, staying)
        assert killed > len(points) // 2

    def replace(self, planted: Planted) -> None:
        """Put other tables under the same names."""
        schema = planted.target.select[0].table.partition(".")[0]
        self.running.run("SET client_min_messages = error", f"DROP SCHEMA {schema} CASCADE", *tables(schema))

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Let nobody find the server."""
        found = next(self.running.sockets.glob(".s.PGSQL.*[0-9]"))
        hidden = found.with_name("hidden")
        found.rename(hidden)
        try:
            yield
        finally:
            hidden.rename(found)

    @pytest.fixture
    def make_target(self, server: RunningServer) -> MakeTarget:
        self.running = server

        def make() -> Planted:
            schema = f"shop{uuid.uuid4().hex[:8]}"
            canaries, kept = plant(server, schema)
            return Planted(
                target=rows_target(server, schema, self.technique),
                secrets=KEY,
                canaries=canaries,
                kept=kept,
                bystanders=lambda: staying(server, schema),
                records={
                    f"{schema}.purchase": [
                        {"id": 10, "customer": 1, "amount": 100},
                        {"id": 11, "customer": 2, "amount": 200},
                        {"id": 12, "customer": 3, "amount": 300},
                    ]
                },
            )

        return make

    @pytest.fixture
    def raw(self, server: RunningServer) -> Raw:
        return lambda _: server.raw()


@pytest.mark.campaign
class TestSwap(TestRows):
    technique = "swap-and-shred"
