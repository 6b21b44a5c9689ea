"""The duckdb backend keeps every promise of the contract, down to the raw image."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Literal

import duckdb
import pytest

from deleatur.api import Condition, HeldRows, Selection, Target, Within
from deleatur.documents.job import ArchivedTable, Rule
from deleatur.testing.contract import BackendContract, MakeTarget, NewTrial, Planted, Raw
from deleatur_plugins.duckdb import DuckdbBackend

from ..nobody import as_nobody
from ..small_disk import WITHOUT_JOURNAL, flush, small_disk

KEY = {"digest-key": bytes(range(32))}
GOING = Condition(column="country", operator="=", value="DE")
QUIET = {"temp_directory": ""}
SCHEMA = """
SET force_compression = 'uncompressed';
PRAGMA disable_checkpoint_on_shutdown;
CREATE SEQUENCE numbers START 5;
CREATE TYPE mood AS ENUM ('calm', 'stern');
CREATE TABLE customer (email VARCHAR, number INTEGER UNIQUE, country VARCHAR, name VARCHAR, photo BLOB,
    note VARCHAR, m mood, id INTEGER DEFAULT nextval('numbers'));
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer (number),
    amount DECIMAL(10, 2));
CREATE TABLE log (line VARCHAR, parts INTEGER[]);
CREATE VIEW germans AS SELECT name FROM customer WHERE country = 'DE';
CREATE INDEX by_name ON customer (name);
CREATE MACRO twice(a) AS a * 2;
"""


def target(url: str) -> Target:
    """Everything of the customers of one country but one, who is held."""
    held = Condition(column="number", operator="=", value=4)
    customers = Within(table="customer", column="number", where=(GOING,))
    return Target(
        id="t",
        url=url,
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
def disk() -> Iterator[tuple[Path, Path]]:
    with small_disk(12, ("-m", "0", *WITHOUT_JOURNAL)) as made:
        yield made


@pytest.mark.root
class TestDuckdb(BackendContract):
    backend = DuckdbBackend
    not_applicable: ClassVar = {
        "test_keystream_reads_back": "rows are not overwritten where they lie",
        "test_a_missing_key_is_an_error": "no step is compared with a pattern",
    }

    @pytest.fixture
    def make_target(self, disk: tuple[Path, Path]) -> MakeTarget:
        """A database of which half the rows stand in its log only."""
        mount, _ = disk

        def make() -> Planted:
            for old in mount.iterdir():
                if old.name != "lost+found":
                    old.unlink()
            path = mount / f"shop-{uuid.uuid4().hex[:8]}.db"
            email, name, text = (uuid.uuid4().hex for _ in range(3))
            photo = uuid.uuid4().bytes
            kept = tuple(uuid.uuid4().hex for _ in range(2))
            with closing(duckdb.connect(str(path), config=QUIET)) as connection:
                connection.execute(SCHEMA)
                rows = [
                    (email, 1, "DE", "n", photo, None, "calm"),
                    ("b@example.org", 2, "FR", kept[0], b"fr", "stays", "stern"),
                    ("c@example.org", 3, "DE", name, None, text * 70, None),
                    ("d@example.org", 4, "DE", kept[1], None, None, None),
                ]
                columns = "email, number, country, name, photo, note, m"
                insert = f"INSERT INTO customer ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)"
                # these go into the file itself: a log that is given back would be no fault of the backend
                connection.execute("SET wal_autocheckpoint = '0KB'; BEGIN")
                connection.executemany(insert, rows[:2])
                connection.execute("INSERT INTO log VALUES ('kept', [1, 2]), ('kept', NULL), (NULL, [])")
                connection.execute("COMMIT; SET wal_autocheckpoint = '16MB'")
                connection.executemany(insert, rows[2:])
                bought = [(10, 1, "1.00"), (11, 2, "2.00"), (12, 3, "3.50")]
                connection.executemany("INSERT INTO purchase VALUES (?, ?, ?)", bought)
            assert path.with_name(f"{path.name}.wal").exists()
            flush(mount)
            return Planted(
                target=target(f"duckdb:{path}"),
                secrets=KEY,
                canaries=(email.encode(), name.encode(), photo, text.encode()),
                kept=tuple(k.encode() for k in kept),
                bystanders=lambda: staying(path),
                records={
                    "purchase": [
                        {"id": number, "customer": customer, "amount": Decimal(amount)}
                        for number, customer, amount in bought
                    ]
                },
            )

        return make

    @pytest.fixture
    def raw(self, disk: tuple[Path, Path]) -> Raw:
        mount, image = disk

        def read(_: Planted) -> bytes:
            flush(mount)
            return image.read_bytes()

        return read

    def replace(self, planted: Planted) -> None:
        """Put a database with other tables under the same name."""
        path = Path(planted.target.url.removeprefix("duckdb:"))
        path.unlink()
        path.with_name(f"{path.name}.wal").unlink()
        with closing(duckdb.connect(str(path), config=QUIET)) as connection:
            connection.execute("CREATE TABLE customer (email VARCHAR, number INTEGER, country VARCHAR)")
            connection.execute("CREATE TABLE purchase (id INTEGER, customer INTEGER, amount INTEGER)")

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Be a user who may not read the file."""
        Path(planted.target.url.removeprefix("duckdb:")).chmod(0o600)
        with as_nobody():
            yield

    # the full matrices take minutes

    @pytest.mark.campaign
    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_a_crash_at_any_cursor_is_survived(
        self, trial: NewTrial, moment: Literal["before", "after"]
    ) -> None:
        super().test_a_crash_at_any_cursor_is_survived(trial, moment)

    @pytest.mark.campaign
    def test_a_kill_at_any_call_is_survived(self, trial: NewTrial) -> None:
        super().test_a_kill_at_any_call_is_survived(trial)

    @pytest.mark.campaign
    def test_an_io_error_is_not_swallowed(self, trial: NewTrial) -> None:
        super().test_an_io_error_is_not_swallowed(trial)


def staying(path: Path) -> bytes:
    """Read what must stay without the backend; a log that an erase has still to remove is left aside."""
    fd = os.memfd_create("copy")
    os.write(fd, path.read_bytes())
    log = path.with_name(f"{path.name}.wal")
    swapped = log.exists() and not path.with_name(f".deleatur-held-{path.stat().st_ino}").exists()
    swapped &= log.exists() and path.with_name(f".deleatur-held-{log.stat().st_ino}").exists()
    try:
        with closing(duckdb.connect(config=QUIET)) as connection:
            connection.execute(f"ATTACH '{f'/proc/self/fd/{fd}' if swapped else path}' AS d (READ_ONLY)")
            return repr(
                [
                    connection.execute(query).fetchall()
                    for query in (
                        "SELECT * FROM d.customer WHERE number IN (2, 4) ORDER BY number",
                        "SELECT * FROM d.purchase WHERE id = 11",
                        "SELECT * FROM d.log",
                        "SELECT sql FROM duckdb_tables() ORDER BY 1",
                        "SELECT sql FROM duckdb_views() WHERE NOT internal",
                        "SELECT sql FROM duckdb_indexes()",
                        "SELECT sql FROM duckdb_sequences()",
                    )
                ]
            ).encode()
    finally:
        os.close(fd)
