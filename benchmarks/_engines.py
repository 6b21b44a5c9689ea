"""Four databases behind one face for benchmarks: each on a loop device of its own, which can be read raw."""

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

from tests import mariadb_server, redis_server
from tests.postgresql_server import BIN, RunningServer, running_server

from benchmarks._halves import Found, Row, digest, search_in
from deleatur.api import Backend, Target
from deleatur_plugins.mariadb import MariadbBackend
from deleatur_plugins.postgresql import PostgresqlBackend
from deleatur_plugins.redis import RedisBackend
from deleatur_plugins.sqlite import SqliteBackend

COLUMNS = "id INTEGER PRIMARY KEY, leaves INTEGER, name VARCHAR(80), email VARCHAR(80) UNIQUE, doc {text}"


class Engine(ABC):
    """One database with a table for each way of deleting."""

    backend: ClassVar[type[Backend]]
    technique: ClassVar[str]
    rewrite: ClassVar[tuple[str, str]]  # its own way of writing a table anew: name, statement
    named: ClassVar[str] = "{table}"  # how a selection names a table
    leaving: ClassVar[int | str] = 1
    together: ClassVar[bool] = False  # all tables lie in the same files
    image: Path
    folder: Path  # where its files are
    version: str

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
    def sound(self, table: str) -> bool | None:
        """Say whether the engine's own check finds the table sound; None where it has none."""

    def delete(self, table: str) -> None:
        """Delete who leaves, as a program does."""
        self.run(table, "DELETE FROM {table} WHERE leaves = 1")

    def renew(self, table: str) -> None:
        """Let the engine write the table anew, in its own way."""
        self.run(table, self.rewrite[1])

    def carved(self, table: str, found: Found) -> str:
        """Add what the engine's own tool for lost rows brings back of a table; return its name, or ""."""
        del table, found
        return ""

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
        ((self.version,),) = server.run("SHOW server_version")
        wanted = "SELECT name FROM pg_available_extensions WHERE name IN ('amcheck', 'pg_dirtyread')"
        self._extensions = {str(name) for (name,) in server.run(wanted)}
        for name in self._extensions:
            server.run(f"CREATE EXTENSION {name}")

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

    def carved(self, table: str, found: Found) -> str:
        if "pg_dirtyread" not in self._extensions:
            return ""
        columns = "id int, leaves int, name varchar(80), email varchar(80), doc text"
        for _, _, name, *_ in self.run(table, f"SELECT * FROM pg_dirtyread('{{table}}') AS t ({columns})"):
            search_in(BytesIO(str(name).encode()), found)
        return "pg_dirtyread"

    def sound(self, table: str) -> bool | None:
        if "amcheck" not in self._extensions:
            return None
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

    def __init__(self, server: mariadb_server.Server) -> None:
        self.server = server
        self.image, self.folder = server.image, server.data
        os.environ["DELEATUR_MARIADB_OPTIONS"] = str(server.credentials)
        server.run("CREATE DATABASE shop")
        self.version = str(server.run("SELECT version()")[0][0]).partition("-")[0]

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
    version = sqlite3.sqlite_version

    def __init__(self, folder: Path, image: Path) -> None:
        self.image, self.folder = image, folder

    def _path(self, table: str) -> Path:
        return self.folder / f"{table}.db"

    def delete(self, table: str) -> None:
        # as SQLite is made: Debian's clears what it deletes, others do not
        self.run(table, "PRAGMA secure_delete = OFF", "DELETE FROM {table} WHERE leaves = 1")

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


class Redis(Engine):
    """Redis on a server of its own; a table is a class of keys, each of them a hash."""

    backend, technique = RedisBackend, "resave-and-shred"
    rewrite = ("BGREWRITEAOF, BGSAVE", "")
    named = "hash {table}:*"
    leaving = "1"
    together = True

    def __init__(self, server: redis_server.Server) -> None:
        self.server = server
        self.image, self.folder = server.image, server.data
        self._rows: dict[str, int] = {}
        with server.connected() as client:
            self.version = str(client.info("server")["redis_version"])

    def load(self, table: str, rows: Iterable[Row]) -> None:
        with self.server.connected() as client:
            for part in _parts(rows):
                pipeline = client.pipeline(transaction=False)
                for number, leaves, name, email, doc in part:
                    columns = {"leaves": leaves, "name": name, "email": email, "doc": doc}
                    pipeline.hset(f"{table}:{number}", mapping=columns)
                    self._rows[table] = number + 1
                pipeline.execute()
            client.bgsave()
        self.server.idle()

    def run(self, table: str, *statements: str) -> list[Any]:
        raise AssertionError(f"no SQL here: {table} {statements}")

    def target(self, _: str, /) -> Target:
        return Target(id="t", url=self.server.url())

    def delete(self, table: str) -> None:
        with self.server.connected() as client:
            for keys in self._keys(table, leaves=1):
                client.delete(*keys)

    def renew(self, table: str) -> None:
        del table  # the server writes all of its keys anew
        for command in ("BGREWRITEAOF", "BGSAVE"):
            self.server.run((command,))
            self.server.idle()

    def kept(self, table: str) -> str:
        return digest(self._stored(table))

    def _stored(self, table: str) -> Iterator[object]:
        with self.server.connected() as client:
            for keys in self._keys(table, leaves=0):
                pipeline = client.pipeline(transaction=False)
                for key in keys:
                    pipeline.hgetall(key)
                yield from (sorted(row.items()) for row in pipeline.execute())

    def _keys(self, table: str, *, leaves: int) -> Iterator[list[str]]:
        numbers = range(leaves, self._rows[table], 2)
        yield from ([f"{table}:{n}" for n in numbers[i : i + 500]] for i in range(0, len(numbers), 500))

    def settle(self) -> None:
        self.server.settle()

    def restart(self) -> None:
        self.server.restart()

    def sound(self, table: str) -> bool:
        del table  # the server's tools check whole files
        checks = [("redis-check-rdb", path) for path in self.folder.glob("*.rdb")]
        checks += [("redis-check-aof", path) for path in self.folder.glob("*/*.manifest")]
        done = (subprocess.run(words, capture_output=True, check=False, timeout=600) for words in checks)
        return len(checks) == 2 and not any(check.returncode for check in done)


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
def postgresql(programs: Path, kind: str, megabytes: int) -> Iterator[Engine]:
    """Start a server of these programs on a file system of this kind."""
    stays = {"max_wal_size": "4GB", "min_wal_size": "4GB"}  # nothing is given back before the deletion
    with running_server(
        megabytes=megabytes, kind=kind, settings=stays, journal=True, programs=programs
    ) as server:
        yield Postgresql(server)


@contextmanager
def mariadb(kind: str, megabytes: int) -> Iterator[Engine]:
    """Start a server on a file system of this kind."""
    with mariadb_server.server_on_a_disk(kind, megabytes << 20) as server:
        yield Mariadb(server)


@contextmanager
def redis(kind: str, megabytes: int) -> Iterator[Engine]:
    """Start a server on a file system of this kind."""
    stays = {"auto-aof-rewrite-percentage": "0"}  # nothing is given back before the deletion
    with redis_server.server_on_a_disk(kind, megabytes << 20, **stays) as server:
        yield Redis(server)


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


def engines(
    others: Iterable[Path] = (),
) -> dict[str, Callable[[str, int], AbstractContextManager[Engine]]]:
    """Return each engine by name; `others` are folders with the programs of other majors of PostgreSQL."""
    servers = {f"PostgreSQL {_major(programs)}": partial(postgresql, programs) for programs in (BIN, *others)}
    return {**servers, "MariaDB": mariadb, "SQLite": sqlite, "Redis": redis}


def _major(programs: Path) -> str:
    words = [str(programs / "postgres"), "--version"]
    told = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    return str(re.findall(r"\d+", told)[0])
