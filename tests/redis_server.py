"""A Redis server for tests: on a unix socket, its files on a disk of its own whose image can be read."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import redis

SIZE = {"ext4": 24 << 20, "xfs": 320 << 20}  # bytes of the image; mkfs.xfs makes none below 300 MiB


class Server:
    """A server that can be stopped, killed and started again."""

    def __init__(self, folder: Path, image: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.image = image
        self.mount = folder / "mount"
        self.data = self.mount / "data"
        self.socket = Path("/tmp") / f"deleatur-{uuid.uuid4().hex[:12]}.sock"  # a socket's path is short
        self.settings = {"appendonly": "yes", "save": "3600 1", **settings}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, **settings: str) -> None:
        """Start and wait until it has loaded its files."""
        self.settings |= settings
        self.data.mkdir(exist_ok=True)
        options = {
            "dir": str(self.data),
            "unixsocket": str(self.socket),
            "port": "0",
            "daemonize": "no",
            "logfile": str(self.folder / "events.log"),
            **self.settings,
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
        for _ in range(300):
            with contextlib.suppress(redis.RedisError), self.connected() as client:
                if client.ping() and client.info("persistence")["loading"] == 0:
                    return
            assert self._process.poll() is None, (self.folder / "events.log").read_text()
            time.sleep(0.05)
        raise AssertionError("the server did not start within a quarter of a minute")

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Stop, or kill; its children too, which go on writing otherwise."""
        if self._process is None:
            return
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii").split()
        self._process.send_signal(how)
        self._process.wait(60)
        self._process = None
        for child in listed if how == signal.SIGKILL else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    @contextmanager
    def connected(self, **options: Any) -> Iterator[Any]:
        with closing(redis.Redis(unix_socket_path=str(self.socket), protocol=2, **options)) as client:
            yield client

    def run(self, *commands: tuple[Any, ...], **options: Any) -> Any:
        """Run commands, return the answer to the last."""
        answer = None
        with self.connected(**options) as client:
            for command in commands:
                answer = client.execute_command(*command)
        return answer

    def settle(self) -> None:
        """Let the server write out its log, and the file system too."""
        if self.settings["appendonly"] == "yes":
            time.sleep(0.01)
        self.flush()

    def flush(self) -> None:
        subprocess.run(["sync", "--file-system", self.mount], check=True)

    def idle(self) -> None:
        """Wait until no child writes."""
        with self.connected() as client:
            while any(
                client.info("persistence")[k] for k in ("rdb_bgsave_in_progress", "aof_rewrite_in_progress")
            ):
                time.sleep(0.02)

    def raw(self) -> bytes:
        """Return every byte of the image that was ever written."""
        self.flush()
        found, end = [], 0
        fd = os.open(self.image, os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):  # no more data behind
                while True:
                    begin = os.lseek(fd, end, os.SEEK_DATA)
                    end = os.lseek(fd, begin, os.SEEK_HOLE)
                    found.append(os.pread(fd, end - begin, begin))
        finally:
            os.close(fd)
        return b"".join(found)

    def memory(self) -> bytes:
        """Return every readable byte of the server's memory."""
        found = []
        with Path(f"/proc/{self.pid}/mem").open("rb", 0) as memory:
            for line in Path(f"/proc/{self.pid}/maps").read_text().splitlines():
                match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
                if match and not line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                    begin, end = (int(part, 16) for part in match.groups())
                    memory.seek(begin)
                    found.append(memory.read(end - begin))
        return b"".join(found)

    def url(self, database: int = 0) -> str:
        return f"redis:///{database}?socket={self.socket}"


@contextmanager
def server_on_a_disk(kind: str = "ext4", size: int = 0, **settings: str) -> Iterator[Server]:
    """Make the disk, of `size` bytes if told, start a server on it; stop and unmount at the end.

    ext4 without a journal: what that holds of names and times is no content, and changes with each look.
    """
    image = Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"
    folder = Path(tempfile.mkdtemp(prefix="deleatur-redis-", dir="/tmp"))
    server = Server(folder, image, settings)
    server.mount.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(size or SIZE[kind])
    options = {"ext4": ["-m", "0", "-O", "^has_journal"], "xfs": []}[kind]
    try:
        subprocess.run([f"mkfs.{kind}", "-q", *options, image], check=True)
        subprocess.run(["mount", "-o", "loop,noatime", image, server.mount], check=True)
        try:
            server.start()
            yield server
        finally:
            server.stop()
            subprocess.run(["umount", server.mount], check=True)
    finally:
        image.unlink()
        server.socket.unlink(missing_ok=True)
        shutil.rmtree(folder)
