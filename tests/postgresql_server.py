"""A PostgreSQL server of the tests' own, on its own small file system.

The machine's own cluster is never touched: socket, data and log lie in a folder of the test.
DELEATUR_PG_BIN names the folder of another major version's programs: initdb, pg_ctl and postgres.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

BIN = Path(
    os.environ.get("DELEATUR_PG_BIN")
    or Path(os.path.realpath(shutil.which("pg_ctl") or "/usr/lib/postgresql/15/bin/pg_ctl")).parent
)
USER = "postgres"
QUIET = {  # nothing happens by itself, so that what a test sees is what the backend did
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "listen_addresses": "''",
    "max_wal_size": "8MB",
    "min_wal_size": "2MB",
    "shared_buffers": "16MB",
    "jit": "off",
    "fsync": "off",  # the file system lies in memory, and no test cuts the power
    "lc_messages": "C",
}


@dataclass(frozen=True)
class RunningServer:
    """A server that runs, and the file system under it."""

    point: Path  # where its file system is mounted
    image: Path  # the bytes below
    behind_inodes: int  # offset in the image behind the inodes, whose times change
    sockets: Path
    programs: Path = BIN

    @property
    def data(self) -> Path:
        return self.point / "data"

    def url(self, database: str = "postgres", user: str = USER) -> str:
        return f"postgresql:///{database}?host={self.sockets}&user={user}"

    def connect(self, database: str = "postgres") -> "psycopg.Connection[Any]":
        return psycopg.connect(host=str(self.sockets), user=USER, dbname=database, autocommit=True)

    def run(self, *statements: str, database: str = "postgres") -> list[Any]:
        """Run statements, and return what the last one shows."""
        with self.connect(database) as connection:
            for statement in statements:
                shown = connection.execute(statement.encode())
            return shown.fetchall() if shown.description else []

    def raw(self) -> bytes:
        """Return every byte below the file system but its inodes, whose times change."""
        subprocess.run(["sync", "--file-system", self.point], check=True)
        with self.image.open("rb") as file:
            file.seek(self.behind_inodes)
            return file.read()

    def control(self, *words: str) -> None:
        """Run pg_ctl, as the user that the server runs as."""
        as_user(str(self.programs / "pg_ctl"), "-D", str(self.data), "-w", "-s", *words)

    def start(self) -> None:
        self.control("-l", str(self.sockets / "log"), "start")

    def run_without_checksums(self) -> None:
        """Start with `ignore_checksum_failure`, so that a test can damage a page."""
        self.control("-l", str(self.sockets / "log"), "-o", "-c ignore_checksum_failure=on", "start")


def as_user(*words: str) -> None:
    subprocess.run(["runuser", "-u", USER, "--", *words], check=True, cwd="/", stdout=subprocess.DEVNULL)


@contextmanager
def running_server(
    *,
    megabytes: int = 72,
    kind: str = "ext4",
    settings: Mapping[str, str] | None = None,
    journal: bool = False,
    programs: Path = BIN,
) -> Iterator[RunningServer]:
    """Make a file system in memory, a cluster in it, start its server; stop and remove it all.

    Without a journal of the file system, the bytes below change only when something was written.
    """
    folder = Path(tempfile.mkdtemp(prefix="deleatur-postgresql-", dir="/tmp"))
    folder.chmod(0o755)
    point, sockets = folder / "mnt", folder / "sockets"
    image = Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    quiet = kind == "ext4" and not journal
    plain = ["-O", "^has_journal", "-b", "4096"] if quiet else []
    subprocess.run([f"mkfs.{kind}", "-q", *plain, image], check=True)
    for path in (point, sockets):
        path.mkdir()
    subprocess.run(["mount", "-o", "loop,noatime", image, point], check=True)
    entry = pwd.getpwnam(USER)
    for path in (point, sockets):
        os.chown(path, entry.pw_uid, entry.pw_gid)
    server = RunningServer(point, image, _behind_inodes(image) if quiet else 0, sockets, programs)
    try:
        as_user(
            str(programs / "initdb"), "-D", str(server.data), "--wal-segsize=1", "--auth=trust", "-E", "UTF8",
            "--locale=C", "--no-sync", "--data-checksums",
        )  # fmt: skip
        with (server.data / "postgresql.conf").open("a") as file:
            chosen = {**QUIET, "unix_socket_directories": f"'{sockets}'", **(settings or {})}
            file.writelines(f"{name} = {value}\n" for name, value in chosen.items())
        server.start()
        try:
            yield server
        finally:
            if (server.data / "postmaster.pid").exists():  # else the test has stopped it
                server.control("-m", "immediate", "stop")
    finally:
        _unmount(point)
        image.unlink()
        shutil.rmtree(folder)


def _unmount(point: Path) -> None:
    """The server's processes may take a moment to end after it said that it stopped."""
    for _ in range(50):
        if subprocess.run(["umount", point], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", point], check=True)


def _behind_inodes(image: Path) -> int:
    shown = subprocess.run(["dumpe2fs", image], check=True, capture_output=True, text=True).stdout
    tables = re.findall(r"Inode table at \d+-(\d+)", shown)
    assert len(tables) == 1, "one block group, so that the inodes lie in front of everything else"
    return 4096 * (int(tables[0]) + 1)
