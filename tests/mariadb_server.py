"""A MariaDB server for tests: on a unix socket, its files on an ext4 of its own whose image can be read."""

import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pymysql

SIZE = 112 << 20  # bytes of the image
ANSWERED = 120  # seconds; a server whose disk is full keeps its clients waiting for ever


class Server:
    """A server that can be stopped, killed and started again."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder = folder
        self.image = image
        self.mount = folder / "mount"
        self.data = self.mount / "data"
        self.socket = Path("/tmp") / f"deleatur-{uuid.uuid4().hex[:12]}.sock"  # a socket's path is short
        self.options = folder / "server.cnf"
        self.credentials = folder / "client.cnf"
        self._process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Write the options and make the data directory."""
        self.data.mkdir()
        temporary = self.folder / "tmp"
        temporary.mkdir()
        shutil.chown(self.data, "mysql", "mysql")
        shutil.chown(temporary, "mysql", "mysql")
        self.options.write_text(
            f"""[mariadbd]
datadir={self.data}
socket={self.socket}
pid-file={self.folder}/tmp/pid
tmpdir={temporary}
log_error={self.folder}/tmp/error.log
skip-networking
user=mysql
log-bin={self.data}/binlog
binlog-format=ROW
innodb_log_file_size=4M
innodb_log_buffer_size=2M
innodb_temp_data_file_path=ibtmp1:6M:autoextend
innodb_buffer_pool_size=48M
innodb_autoextend_increment=4
innodb_stats_auto_recalc=OFF
innodb_use_native_aio=OFF
aria_checkpoint_interval=0
aria_log_file_size=8M
performance_schema=OFF
general_log=ON
general_log_file={self.data}/general.log
slow_query_log=ON
slow_query_log_file={self.data}/slow.log
long_query_time=0
"""
        )
        subprocess.run(
            ["mariadb-install-db", f"--defaults-file={self.options}", "--user=mysql", "--skip-test-db",
             "--auth-root-authentication-method=normal"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        self.start()
        self.run("SET PASSWORD FOR root@localhost = PASSWORD('between us')")
        self.credentials.write_text("[client]\nuser=root\npassword=between us\n")
        self.credentials.chmod(0o600)

    def start(self) -> None:
        """Start and wait until it answers."""
        assert self._process is None or self._process.poll() is not None, "two servers on one directory"
        self._process = subprocess.Popen(
            ["mariadbd", f"--defaults-file={self.options}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(300):
            if self._answers():
                self.run("SELECT 1")  # before it is ready, a signal to stop would be the last that it hears
                return
            assert self._process.poll() is None, (self.folder / "tmp/error.log").read_text()
            time.sleep(0.1)
        raise AssertionError("the server did not start within half a minute")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    @contextmanager
    def kept_running(self) -> Iterator[None]:
        """Start the server again whenever it ends, as those who run servers do."""
        over = threading.Event()

        def keep() -> None:
            while not over.wait(0.05):
                if self._process is not None and self._process.poll() is not None:
                    time.sleep(0.5)  # systemd waits for 0.1 s at least, and MariaDB's unit for 5
                    self.start()

        thread = threading.Thread(target=keep)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(60)

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop, or kill."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    @contextmanager
    def connected(self, database: str | None = None) -> Iterator[Any]:
        """Connect as root."""
        how: dict[str, Any] = {"user": "root"}
        if self.credentials.exists():
            how = {"read_default_file": str(self.credentials)}
        with closing(
            pymysql.connect(
                unix_socket=str(self.socket),
                database=database,
                autocommit=True,
                ssl_disabled=True,
                read_timeout=ANSWERED,
                write_timeout=ANSWERED,
                **how,
            )
        ) as connection:
            yield connection

    def run(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements, return the rows of the last."""
        with self.connected(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def settle(self) -> None:
        """Let the server write out everything that waits, and the file system too."""
        self.run("SET GLOBAL innodb_max_purge_lag_wait = 0", "SET GLOBAL innodb_log_checkpoint_now = ON")
        self.flush()

    def flush(self) -> None:
        subprocess.run(["sync", "--file-system", self.mount], check=True)

    def url(self, database: str) -> str:
        return f"mariadb:///{database}?socket={self.socket}"


@contextmanager
def server_on_a_disk(kind: str = "ext4", size: int = SIZE) -> Iterator[Server]:
    """Make the disk, install the server, start it; stop and unmount at the end.

    In a folder of its own: the server runs as mysql and must get there, and pytest's is for its owner.
    No journal in the file system: what it holds of names and times is no content, and would change
    with every look.
    """
    image = Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"
    folder = Path(tempfile.mkdtemp(prefix="deleatur-mariadb-", dir="/tmp"))
    folder.chmod(0o755)
    server = Server(folder, image)
    server.mount.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(size)
    try:
        plain = ["-m", "0", "-O", "^has_journal"] if kind == "ext4" else []
        subprocess.run([f"mkfs.{kind}", "-q", *plain, image], check=True)
        subprocess.run(["mount", "-o", "loop,noatime", image, server.mount], check=True)
        try:
            server.install()
            yield server
        finally:
            server.stop()
            subprocess.run(["umount", server.mount], check=True)
    finally:
        image.unlink()
        server.socket.unlink(missing_ok=True)
        shutil.rmtree(folder)
