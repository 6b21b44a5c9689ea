"""The mariadb backend keeps every promise of the contract, on a real server and down to its raw image."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import ClassVar, Literal

import pytest

from deleatur.api import Condition, HeldRows, Selection, Target, Within
from deleatur.documents.job import ArchivedTable, Rule
from deleatur.testing import contract
from deleatur.testing.contract import BackendContract, MakeTarget, NewTrial, Planted, Raw
from deleatur_plugins.mariadb import MariadbBackend

from ..mariadb_server import Server, server_on_a_disk
from ..nobody import as_nobody

KEY = {"digest-key": bytes(range(32))}
GOING = Condition(column="country", operator="=", value="DE")
SCHEMA = (
    "CREATE TABLE customer (email VARCHAR(80) CHARACTER SET latin1 PRIMARY KEY, number INT NOT NULL UNIQUE, "
    "country CHAR(2), name VARCHAR(200), photo BLOB, note LONGTEXT, KEY by_name (name))",
    "CREATE TABLE purchase (id INT PRIMARY KEY, customer INT, amount DECIMAL(10, 2), "
    "FOREIGN KEY (customer) REFERENCES customer (number) ON DELETE CASCADE)",
    "CREATE TABLE log (line TEXT)",
    "CREATE VIEW germans AS SELECT name FROM customer WHERE country = 'DE'",
)


def target(url: str, technique: str | None) -> Target:
    """Everything of the customers of one country but one, who is held."""
    held = Condition(column="number", operator="=", value=4)
    customers = Within(table="customer", column="number", where=(GOING,))
    return Target(
        id="t",
        url=url,
        technique=technique,
        select=(
            Selection(table="customer", where=(GOING,)),
            Selection(
                table="purchase", where=(Condition(column="customer", operator="within", within=customers),)
            ),
        ),
        hold=(HeldRows(id="open", reason="an open matter", table="customer", where=(held,)),),
        archive=(
            ArchivedTable(
                table="purchase",
                columns={"id": Rule(rule="keep"), "customer": Rule(rule="drop"), "amount": Rule(rule="keep")},
            ),
        ),
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk() as running:
        yield running


class MariadbContract(BackendContract):
    """What both techniques share."""

    backend = MariadbBackend
    technique: ClassVar[str | None]

    @pytest.fixture(autouse=True)
    def _of_this_test(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.server = server
        monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))

    @pytest.fixture
    def make_target(self, server: Server) -> Iterator[MakeTarget]:
        def make() -> Planted:
            drop_all(server)
            database = f"shop-{uuid.uuid4().hex[:8]}"
            email, name, text = (uuid.uuid4().hex for _ in range(3))
            photo = uuid.uuid4().bytes
            kept = tuple(uuid.uuid4().hex for _ in range(2))
            with server.connected() as connection, connection.cursor() as cursor:
                cursor.execute("SET GLOBAL general_log = ON")
                cursor.execute(f"CREATE DATABASE `{database}`")
                connection.select_db(database)
                for statement in SCHEMA:
                    cursor.execute(statement)
                rows = [
                    (email, 1, "DE", "n", photo, None),
                    ("b@example.org", 2, "FR", kept[0], b"fr", "stays"),
                    ("c@example.org", 3, "DE", name, None, text * 700),
                    ("d@example.org", 4, "DE", kept[1], None, None),
                ]
                cursor.executemany("INSERT INTO customer VALUES (%s, %s, %s, %s, %s, %s)", rows)
                bought = [(10, 1, "1.00"), (11, 2, "2.00"), (12, 3, "3.50")]
                cursor.executemany("INSERT INTO purchase VALUES (%s, %s, %s)", bought)
                cursor.execute("INSERT INTO log VALUES ('kept'), ('kept'), (NULL)")
                cursor.execute("ANALYZE TABLE customer PERSISTENT FOR ALL")
                cursor.execute("SET GLOBAL general_log = OFF")
                cursor.execute("SET GLOBAL slow_query_log = OFF")
            server.settle()
            return Planted(
                target=target(server.url(database), self.technique),
                secrets=KEY,
                canaries=(email.encode(), name.encode(), photo, text.encode()),
                kept=tuple(k.encode() for k in kept),
                bystanders=lambda: staying(server, database),
                records={
                    "purchase": [
                        {"id": number, "customer": customer, "amount": Decimal(amount)}
                        for number, customer, amount in bought
                    ]
                },
            )

        yield make
        drop_all(server)

    @pytest.fixture
    def raw(self, server: Server) -> Raw:
        def read(_: Planted) -> bytes:
            server.flush()
            return server.image.read_bytes()

        return read

    def replace(self, planted: Planted) -> None:
        """Put a database with other tables under the same name."""
        name = planted.target.url.split("/")[3].split("?")[0]
        self.server.run(
            f"DROP DATABASE `{name}`",
            f"CREATE DATABASE `{name}`",
            f"CREATE TABLE `{name}`.customer (email VARCHAR(80) PRIMARY KEY, number INT, country CHAR(2))",
            f"CREATE TABLE `{name}`.purchase (id INT PRIMARY KEY, customer INT, amount INT)",
        )

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Be a user who may not read the option file."""
        with as_nobody():
            yield


ALWAYS = {
    "test_keystream_reads_back": "rows are not overwritten where they lie",
    "test_a_missing_key_is_an_error": "no step is compared with a pattern",
}


@pytest.mark.root
class TestDownToTheFiles(MariadbContract):
    technique = None
    not_applicable: ClassVar = ALWAYS

    # the full matrices take minutes

    @pytest.mark.campaign
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_crash_at_any_cursor_is_survived(
        self, trial: NewTrial, moment: Literal["before", "after"]
    ) -> None:
        super().test_a_crash_at_any_cursor_is_survived(trial, moment)

    @pytest.mark.campaign
    def test_a_kill_at_any_call_is_survived(self, trial: NewTrial, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "MOST_FAULTS", 40)
        super().test_a_kill_at_any_call_is_survived(trial)

    @pytest.mark.campaign
    def test_an_io_error_is_not_swallowed(self, trial: NewTrial, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(contract, "MOST_FAULTS", 40)
        super().test_an_io_error_is_not_swallowed(trial)


@pytest.mark.root
class TestRowsOnly(MariadbContract):
    technique = "delete-rows"
    not_applicable: ClassVar = {
        **ALWAYS,
        "test_canaries_are_gone_below_the_interface": "nothing below the interface is claimed",
        "test_a_kill_at_any_call_is_survived": "the server changes storage, not this process",
        "test_an_io_error_is_not_swallowed": "the server changes storage, not this process",
        "test_a_cursor_is_flushed": "the server flushes what it commits",
    }


def drop_all(server: Server) -> None:
    for (name,) in server.run("SHOW DATABASES LIKE 'shop-%'"):
        server.run(f"DROP DATABASE `{name}`")


def staying(server: Server, database: str) -> bytes:
    """Read what must stay without the backend."""
    return repr(
        [
            server.run(query, database=database)
            for query in (
                "SELECT * FROM customer WHERE number IN (2, 4) ORDER BY number",
                "SELECT * FROM purchase WHERE id = 11",
                "SELECT * FROM log ORDER BY line",
                "SHOW CREATE TABLE customer",
                "SHOW CREATE VIEW germans",
            )
        ]
    ).encode()
