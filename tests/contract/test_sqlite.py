"""The sqlite backend keeps every promise of the contract, on a real ext4 and down to its raw image."""

import re
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from deleatur.api import Condition, HeldRows, Selection, Target, Within
from deleatur.documents.job import ArchivedTable, Rule
from deleatur.testing.contract import BackendContract, MakeTarget, NewTrial, Planted, Raw
from deleatur_plugins.sqlite import SqliteBackend

from ..nobody import as_nobody

KEY = {"digest-key": bytes(range(32))}
GOING = Condition(column="country", operator="=", value="DE")
SCHEMA = """
    CREATE TABLE customer (id INTEGER PRIMARY KEY, country TEXT, name TEXT, photo BLOB);
    CREATE INDEX by_name ON customer (name);
    CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, amount INTEGER);
    CREATE TABLE note (body TEXT);
    CREATE VIRTUAL TABLE words USING fts5 (body, content='note', content_rowid='rowid');
    CREATE TRIGGER forget AFTER DELETE ON note BEGIN
      INSERT INTO words (words, rowid, body) VALUES ('delete', old.rowid, old.body);
    END;
"""


def row_target(path: Path) -> Target:
    """Everything of the customers of one country but one, who is held."""
    customers = Within(table="customer", column="id", where=(GOING,))
    return Target(
        id="t",
        url=path.as_uri().replace("file:", "sqlite:"),
        select=(
            Selection(table="customer", where=(GOING,)),
            Selection(
                table="purchase", where=(Condition(column="customer", operator="within", within=customers),)
            ),
            Selection(table="note", where=(Condition(column="body", operator=">=", value="going"),)),
        ),
        hold=(
            HeldRows(
                id="open",
                reason="an open matter",
                table="customer",
                where=(Condition(column="id", operator="=", value=4),),
            ),
        ),
        archive=(
            ArchivedTable(
                table="purchase",
                columns={"id": Rule(rule="keep"), "customer": Rule(rule="drop"), "amount": Rule(rule="keep")},
            ),
        ),
    )


def plant(folder: Path, target_folder: Path, mode: str) -> tuple[Path, tuple[bytes, ...], tuple[bytes, ...]]:
    """Build a database in `folder` and bring its files to `target_folder`, so that no block has a past."""
    path = folder / "shop.db"
    canaries = tuple(uuid.uuid4().hex.encode() for _ in range(4))
    kept = tuple(uuid.uuid4().hex.encode() for _ in range(3))
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA wal_autocheckpoint=0")
        database.executescript(SCHEMA)
        rows = [
            (1, "DE", canaries[0].decode(), canaries[1]),
            (2, "FR", kept[0].decode(), b"fr"),
            (3, "DE", canaries[2].decode() * 300, None),
            (4, "DE", kept[1].decode(), None),
        ]
        database.executemany("INSERT INTO customer VALUES (?, ?, ?, ?)", rows)
        database.executemany(
            "INSERT INTO purchase VALUES (?, ?, ?)", [(10, 1, 100), (11, 2, 200), (12, 3, 300)]
        )
        notes = [("going " + canaries[3].decode(),), ("a stays " + kept[2].decode(),)]
        database.executemany("INSERT INTO note VALUES (?)", notes)
        database.execute("INSERT INTO words (words) VALUES ('rebuild')")
        target_folder.mkdir()
        for file in folder.glob("shop.db*"):  # with a WAL, as a program that was killed leaves it
            shutil.copyfile(file, target_folder / file.name)
    for file in folder.glob("shop.db*"):
        file.unlink()
    return target_folder / "shop.db", canaries, kept


def staying(path: Path) -> bytes:
    """Read what must stay without the backend."""
    wal = path.with_name(path.name + "-wal")
    how = "mode=ro" if wal.exists() and wal.stat().st_size else "immutable=1"
    with closing(sqlite3.connect(f"file:{path}?{how}", uri=True)) as database:
        return repr(
            [
                database.execute("SELECT * FROM customer WHERE id IN (2, 4) ORDER BY id").fetchall(),
                database.execute("SELECT * FROM purchase WHERE id = 11").fetchall(),
                database.execute("SELECT rowid, * FROM note WHERE body LIKE 'a stays %'").fetchall(),
                database.execute("SELECT rowid FROM words WHERE words MATCH 'stays'").fetchall(),
                database.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall(),
            ]
        ).encode()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path, int]]:
    """A mounted ext4, the image that it lies in, and where the inodes end in it.

    Small, as it is read some hundred times. SQLite, run by root, gives a WAL the owner that it has
    already, which changes a time in its inode and in the file system's journal: so there is none,
    and the bytes that are compared are those behind the inodes.
    """
    mount = tmp_path_factory.mktemp("disk")
    image = Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"  # in memory: no waiting for a disk
    with image.open("wb") as file:
        file.truncate(5 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-b", "1024", "-O", "^has_journal", image], check=True)
    shown = subprocess.run(["dumpe2fs", image], check=True, capture_output=True, text=True).stdout
    tables = re.findall(r"Inode table at \d+-(\d+)", shown)
    assert len(tables) == 1, "one block group, so that the inodes lie in front of everything else"
    subprocess.run(["mount", "-o", "loop,noatime", image, mount], check=True)
    try:
        yield mount, image, 1024 * (int(tables[0]) + 1)
    finally:
        subprocess.run(["umount", mount], check=True)
        image.unlink()


def flush(mount: Path) -> None:
    subprocess.run(["sync", "--file-system", mount], check=True)


class SqliteContract(BackendContract):
    """What rows and whole databases share."""

    backend = SqliteBackend
    mode: ClassVar[str]
    whole: ClassVar[bool]

    def replace(self, planted: Planted) -> None:
        """Put a database with other tables under the same name."""
        path = Path(planted.target.url.removeprefix("sqlite://"))
        for file in path.parent.iterdir():
            file.unlink()
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, country TEXT, name TEXT)")
            database.execute(
                "CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, amount INTEGER)"
            )
            database.execute("CREATE TABLE note (body TEXT)")

    @contextmanager
    def denied(self, planted: Planted) -> Iterator[None]:
        """Be a user who may not enter the database's folder."""
        folder = Path(unquote(urlsplit(planted.target.url).path)).parent
        folder.chmod(0o700)
        with as_nobody():
            yield

    @pytest.mark.usefixtures("nobody_else")
    def test_a_kill_at_any_call_is_survived(self, trial: NewTrial) -> None:
        super().test_a_kill_at_any_call_is_survived(trial)

    @pytest.mark.usefixtures("nobody_else")
    def test_an_io_error_is_not_swallowed(self, trial: NewTrial) -> None:
        super().test_an_io_error_is_not_swallowed(trial)

    @pytest.fixture
    def make_target(self, disk: tuple[Path, Path, int], tmp_path: Path) -> Iterator[MakeTarget]:
        mount, _, _ = disk

        def make() -> Planted:
            for old in mount.glob("job-*"):
                shutil.rmtree(old)
            folder = mount / f"job-{uuid.uuid4().hex[:8]}"
            path, canaries, kept = plant(tmp_path, folder, self.mode)
            flush(mount)
            if self.whole:
                (folder / "neighbour.db").write_bytes(kept[0] * 9)
                url = path.as_uri().replace("file:", "sqlite:")
                return Planted(
                    target=Target(id="t", url=url),
                    secrets=KEY,
                    canaries=canaries,
                    kept=kept[:0],
                    bystanders=(folder / "neighbour.db").read_bytes,
                )
            return Planted(
                target=row_target(path),
                secrets=KEY,
                canaries=canaries,
                kept=kept,
                bystanders=lambda: staying(path),
                records={
                    "purchase": [
                        {"id": 10, "customer": 1, "amount": 100},
                        {"id": 11, "customer": 2, "amount": 200},
                        {"id": 12, "customer": 3, "amount": 300},
                    ]
                },
            )

        yield make
        for old in mount.glob("job-*"):
            shutil.rmtree(old)

    @pytest.fixture
    def raw(self, disk: tuple[Path, Path, int]) -> Raw:
        mount, image, behind_inodes = disk

        def read(_: Planted) -> bytes:
            flush(mount)
            return image.read_bytes()[behind_inodes:]

        return read


@pytest.mark.root
class TestRowsInWal(SqliteContract):
    mode, whole = "WAL", False
    not_applicable: ClassVar = {
        "test_keystream_reads_back": "rows are not overwritten where they lie",
        "test_a_missing_key_is_an_error": "no step is compared with a pattern",
    }


@pytest.mark.root
class TestWholeDatabase(SqliteContract):
    mode, whole = "WAL", True
    not_applicable: ClassVar = {"test_records_round_trip": "a database that goes as a whole keeps none"}
