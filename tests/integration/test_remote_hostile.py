"""What listens at the address is an enemy: it ends in one line, in bounded memory and time."""

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from deleatur.documents.errand import MAX_MESSAGE
from deleatur.documents.host import decode_host
from deleatur.engine.remote import ssh
from deleatur.engine.remote.far import Disconnected
from deleatur.errors import Refused

from .ssh_host import DELEATUR, key_for_ssh

HOST = """schema = "deleatur/host/v1"
address = "127.0.0.1"
user = "erasure"
host_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFueSBvdGhlciBrZXkgd291bGQgYmUgcmVmdXNlZC4="
login = "login"
signer = "agent.pub"
program = "/opt/deleatur/bin/deleatur"
folder = "/srv/jobs/leavers"
port = {port}
"""


class Enemy:
    """Listens, and answers each connection in its own way; it counts what it could send."""

    def __init__(self, answer: Callable[[socket.socket, "Enemy"], None]) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listening.getsockname()[1])
        self.sent = 0
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listening.accept()
                with connection, suppress(OSError):
                    self._answer(connection, self)

    def stop(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self._thread.join()


@contextmanager
def enemy(answer: Callable[[socket.socket, Enemy], None]) -> Iterator[Enemy]:
    made = Enemy(answer)
    try:
        yield made
    finally:
        made.stop()


def endless(line: bytes) -> Callable[[socket.socket, Enemy], None]:
    def answer(connection: socket.socket, counted: Enemy) -> None:
        while True:
            counted.sent += connection.send(line * 1000)

    return answer


def once(line: bytes) -> Callable[[socket.socket, Enemy], None]:
    return lambda connection, _: connection.sendall(line)


def shown(folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    job = folder / "job"
    job.mkdir()
    key_for_ssh(job / "login", "")
    (job / "job.toml").write_text("")
    (job / "host.toml").write_text(HOST.format(port=port))
    return subprocess.run(
        [str(DELEATUR), "remote", "show", str(job)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("line", [b"A", b"\x1b[2Jlook here\n", b"\0"])
def test_a_greeting_without_an_end_is_refused_after_a_megabyte(tmp_path: Path, line: bytes) -> None:
    with enemy(endless(line)) as there:
        run = shown(tmp_path, there.port)
    assert run.returncode in (4, 6), (
        run.stderr
    )  # 6: a hundred lines are no greeting, and it is tried again later
    assert run.stderr.count("\n") == 1
    assert "\x1b" not in run.stderr + run.stdout
    assert run.stdout == ""
    if line == b"A":
        assert "greets without an end" in run.stderr
    assert there.sent < 64 << 20  # what the system's own buffers took with it


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", 6),
        (b"HTTP/1.1 200 OK\r\n\r\n", 6),
        (b"SSH-2.0-\x1b]0;owned\x07\r\n", 6),
        (b"SSH-1.5-old\r\n", 4),
        (b"SSH-2.0-x\r\n" + bytes(64), 6),
        (b"SSH-2.0-x\r\n\xff\xff\xff\xff" + bytes(64), 6),
    ],
)
def test_what_is_no_ssh_ends_in_one_line(tmp_path: Path, line: bytes, code: int) -> None:
    with enemy(once(line)) as there:
        run = shown(tmp_path, there.port)
    assert run.returncode == code, run.stderr
    assert run.stderr.count("\n") == 1
    assert "\x1b" not in run.stderr + run.stdout
    assert "Traceback" not in run.stderr


class PlayedChannel:
    """A channel that gives what it is told to, and takes its time by another clock."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self.parts = parts

    def sendall(self, _question: bytes) -> None:
        pass

    def recv(self, _size: int) -> bytes:
        return next(self.parts)


def line_over(parts: Iterator[bytes]) -> ssh.SshLine:
    line: Any = object.__new__(ssh.SshLine)
    line._host = decode_host(HOST.format(port=22).encode())
    line._rest = b""
    line._channel = PlayedChannel(parts)
    made: ssh.SshLine = line
    return made


def test_an_answer_without_an_end_is_refused_at_its_bound() -> None:
    given = 0

    def parts() -> Iterator[bytes]:
        nonlocal given
        while True:
            given += 1 << 16
            yield bytes(1 << 16)

    with pytest.raises(Refused, match="without an end"):
        line_over(parts()).exchange(b"{}\n")
    assert given <= MAX_MESSAGE + (1 << 16)


def test_an_answer_that_drips_counts_as_a_broken_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 10**6, 59))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    given = 0

    def parts() -> Iterator[bytes]:
        nonlocal given
        while True:
            given += 1
            yield b"x"

    with pytest.raises(Disconnected, match="too slowly"):
        line_over(parts()).exchange(b"{}\n")
    assert given < 20
