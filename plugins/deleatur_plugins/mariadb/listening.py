"""Wait for an answer as long as the server is awake: a long statement is silent, and so is a stopped server.

Rule kept: no answer is waited for without an end. After each stretch of silence somebody new is let in, or
the waiting ends.
"""

import io
import socket
from collections.abc import Callable
from typing import Any

SILENCE = 30.0  # seconds


class Listening(io.RawIOBase):
    """What arrives on a connection; `check` raises when it makes no sense to wait for more."""

    def __init__(self, way: socket.socket, check: Callable[[], None]) -> None:
        super().__init__()
        self._way = way  # its timeout is the stretch of silence
        self._check = check

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what is there, at least one byte; 0 at the end."""
        while True:
            try:
                return self._way.recv_into(buffer)
            except TimeoutError:
                self._check()


def listen(connection: Any, check: Callable[[], None]) -> None:
    """Let a connection of the driver, on which nothing is under way, wait like that."""
    connection._read_timeout = SILENCE
    connection._rfile = io.BufferedReader(Listening(connection._sock, check))
