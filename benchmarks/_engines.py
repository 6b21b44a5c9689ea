"""Three databases behind one face for benchmarks: each on a loop device of its own, which can be read raw."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.mariadb_server import Server, server_on_a_disk
from tests.postgresql_server import RunningServer, running_server

from benchmarks._halves import Row, digest
from deleatur.api import Backend, Target
from deleatur_plugins.mariadb import MariadbBackend
from deleatur_plugins.postgresql import PostgresqlBackend
from deleatur_plugins.sqlite import SqliteBackend

COLUMNS = "id INTEGER PRIMARY KEY, leaves INTEGER, name VARCHAR(80), email VARCHAR(80) UNIQUE, doc {text}"


class Engine(ABC):
    """One database with a table for each way of deleting."""

    backend: ClassVar[type[Backend]]
    technique: ClassVar[str]
    rewrite: ClassVar[tuple[str, str]]  # its own way of writing a table anew: name, statement
    image: Path
    folder: Path  # where its files are

    @abstractmethod
    def load(self, table: str, rows: Iterable[Row]) -> None:
        """Make a table with two indexes and fill it."""

    @abstractmethod
    def run(self, table: str, *statements: str) -> list[Any]:
        """Run statements of which `{table}` is a part; return the rows of the last."""

    @abstractmethod
    def target(self, table: str, /) -> Target:
        """Return where the table is, without a selection."""

    @abstractmethod
    def settle(self) -> None:
        """Have everything written out that waits."""

    @abstractmethod
    def restart(self) -> None:
        """Stop the server and start it again."""

    @abstractmethod
    def sound(self, table: str) -> bool:
        """Say whether the engine's own check finds the table sound."""

    def delete(self, table: str) -> None:
        """Delete who leaves, as a program does."""
        self.run(table, "DELETE FROM {table} WHERE leaves = 1")

    def kept(self, table: str) -> str:
        """Return a digest of every row that stays."""
        return digest(self.run(table, "SELECT * FROM {table} WHERE leaves = 0 ORDER BY id"))

    def files(self) -> Iterator[Path]:
        """Yield every file."""
        yield from (path for path in sorted(self.folder.rglob("*")) if path.is_file())


class Postgresql(Engine):
    """PostgreSQL on a server of its own."""

    backend, technique = PostgresqlBackend, "rewrite-and-reclaim"
    rewrite = ("VACUUM FULL", "VACUUM FULL {table}")

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.image, self.folder = server.image, server.data
        server.run("CREATE EXTENSION IF NOT EXISTS amcheck")

    def load(self, table: str, rows: Iterable[Row]) -> None:
        with self.server.connect() as connection:
            connection.execute(f"CREATE TABLE {table} ({COLUMNS.format(text='TEXT')})".encode())
            connection.execute(f"CREATE INDEX ON {table} (name)".encode())
            with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
            connection.execute(f"ANALYZE {table}".encode())

    def run(self, table: str, *statements: str) -> list[Any]:
        return self.server.run(*(s.format(table=table) for s in statements))

    def target(self, _: str, /) -> Target:
        return Target(id="t", url=self.server.url())

    def settle(self) -> None:
        self.server.run("CHECKPOINT")
        _sync(self.folder)

    def restart(self) -> None:
        self.server.control("-m", "fast", "stop")
        self.server.start()

    def sound(self, table: str) -> bool:
        self.run(
            table,
            "SELECT bt_index_parent_check(indexrelid, true, true) FROM pg_index "
            "WHERE indrelid = '{table}'::regclass",
        )
        return not self.run(table, "SELECT * FROM verify_heapam('{table}')")


class Mariadb(Engine):
    """MariaDB on a server of its own."""

    backend, technique = MariadbBackend, "rebuild-and-shred"
    rewrite = ("ALTER … FORCE", "ALTER TABLE {table} FORCE")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.image, self.folder = server.image, server.data
        os.environ["DELEATUR_MARIADB_OPTIONS"] = str(server.credentials)
        server.run("CREATE DATABASE shop")

    def load(self, table: str, rows: Iterable[Row]) -> None:
        declared = COLUMNS.format(text="LONGTEXT")
        with self.server.connected("shop") as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {table} ({declared}, KEY (name))")
            cursor.execute("START TRANSACTION")
            for part in _parts(rows):
                cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s)", part)
            cursor.execute("COMMIT")
            cursor.execute(f"ANALYZE TABLE {table} PERSISTENT FOR ALL")

    def run(self, table: str, *statements: str) -> list[Any]:
        return self.server.run(*(s.format(table=table) for s in statements), database="shop")

    def target(self, _: str, /) -> Target:
        return Target(id="t", url=self.server.url("shop"))

    def settle(self) -> None:
        self.server.settle()

    def restart(self) -> None:
        self.server.stop()
        self.server.start()

    def sound(self, table: str) -> bool:
        return [row[-1] for row in self.run(table, "CHECK TABLE {table} EXTENDED")] == ["OK"]


class Sqlite(Engine):
    """SQLite, one file for each table."""

    backend, technique = SqliteBackend, "rewrite-and-shred"
    rewrite = ("VACUUM", "VACUUM")

    def __init__(self, folder: Path, image: Path) -> None:
        self.image, self.folder = image, folder

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.db"

    def load(self, table: str, rows: Iterable[Row]) -> None:
        """Made elsewhere and copied, so that no block of the device has a past."""
        with tempfile.TemporaryDirectory(dir="/dev/shm") as room:
            made = Path(room) / "made.db"
            with closing(sqlite3.connect(made)) as database:
                database.execute(f"CREATE TABLE {table} ({COLUMNS.format(text='TEXT')})")
                database.execute(f"CREATE INDEX by_name_{table} ON {table} (name)")
                database.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", rows)
                database.commit()
            shutil.copyfile(made, self._path(table))

    def run(self, table: str, *statements: str) -> list[Any]:
        with closing(sqlite3.connect(self._path(table), isolation_level=None)) as database:
            for statement in statements:
                shown = database.execute(statement.format(table=table)).fetchall()
            return shown

    def target(self, table: str, /) -> Target:
        return Target(id="t", url=f"sqlite://{self._path(table)}")

    def settle(self) -> None:
        _sync(self.folder)

    def restart(self) -> None:
        """There is no server; the file is opened anew each time."""

    def sound(self, table: str) -> bool:
        return self.run(table, "PRAGMA integrity_check") == [("ok",)]


def _parts(rows: Iterable[Row], size: int = 500) -> Iterator[list[Row]]:
    part: list[Row] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    yield part


def _sync(folder: Path) -> None:
    subprocess.run(["sync", "--file-system", folder], check=True)


@contextmanager
def postgresql(kind: str, megabytes: int) -> Iterator[Engine]:
    """Start a server on a file system of this kind."""
    stays = {"max_wal_size": "4GB", "min_wal_size": "4GB"}  # nothing is given back before the deletion
    with running_server(megabytes=megabytes, kind=kind, settings=stays, journal=True) as server:
        yield Postgresql(server)


@contextmanager
def mariadb(kind: str, megabytes: int) -> Iterator[Engine]:
    """Start a server on a file system of this kind."""
    with server_on_a_disk(kind, megabytes << 20) as server:
        yield Mariadb(server)


@contextmanager
def sqlite(kind: str, megabytes: int) -> Iterator[Engine]:
    """Make a file system of this kind."""
    image = Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        with image.open("wb") as file:
            file.truncate(megabytes << 20)
        try:
            subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
            subprocess.run(["mount", "-o", "loop,noatime", image, folder], check=True)
            try:
                yield Sqlite(Path(folder), image)
            finally:
                subprocess.run(["umount", folder], check=True)
        finally:
            image.unlink()


ENGINES = {"PostgreSQL": postgresql, "MariaDB": mariadb, "SQLite": sqlite}
