"""Talk to a Redis or Valkey server: where it is, who we are there, and its errors in our words.

Rules kept: no user and no password in a URL, a document or a message; the server's own messages
quote what was sent, so only their kind is passed on; nothing is sent twice behind our back.
"""

import os
import re
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deleatur.api import (
    Failed,
    Refused,
    Transient,
    Unsupported,
    client_options,
    on_this_host,
    server_named,
    tls_failure,
)

OPTIONS = "DELEATUR_REDIS_OPTIONS"  # environment: an option file with a [client] group
PATIENCE = 60.0  # seconds for one answer
_CONNECT = 10.0  # seconds
_PORT = 6379  # IANA
_SHAPE = "write the URL as redis://HOST/0 or redis:///0?socket=/path, with the number of the database"
_DATABASE = re.compile(r"/(0|[1-9][0-9]{0,9})", re.ASCII)
_COMMAND = re.compile(r"the '([a-z|-]{1,40})' command")
_TCP = ("/proc/net/tcp", "/proc/net/tcp6")

Command = tuple[str | bytes | int, ...]


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a database is."""

    host: str  # "" for a socket on this host
    port: int
    socket: str
    tls: bool
    database: int


def address_of(url: str) -> Address:
    """Read `redis://HOST[:PORT]/NUMBER[?tls=yes]` or `redis:///NUMBER?socket=/path`.

    Raises:
        Refused: the URL says more, or less.
    """
    parts = urlsplit(url)
    host, port = server_named(parts, _PORT, OPTIONS)
    number = _DATABASE.fullmatch(unquote(parts.path))
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    allowed: tuple[dict[str, str], ...] = (
        ({}, {"tls": "yes"}) if host else ({"socket": asked.get("socket", "")},)
    )
    if number is None or parts.fragment or asked not in allowed or (not host and not asked["socket"]):
        raise Refused(_SHAPE)
    if not (asked or on_this_host(host)):
        raise Refused("the server is on another host: write ?tls=yes, for no value leaves a host in clear")
    return Address(
        host=host,
        port=port,
        socket=asked.get("socket", ""),
        tls="tls" in asked,
        database=int(number.group(1)),
    )


def driver() -> Any:
    """Return the module `redis`, the client.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        import redis as module
    except ImportError:
        raise Unsupported("redis: targets need redis-py: install deleatur[redis]") from None
    return module


class Session:
    """One connection; every value comes back as the bytes that the server has, or None."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.peer = 0  # the server's process, where the kernel of this host knows it
        self.info: dict[str, str] = {}
        with translated("connecting"), ExitStack() as opened:
            self._connection = _connected(address)
            opened.callback(self.close)
            self._connection.connect()
            info = self.refresh()
            mode = info.get("redis_mode") or info.get("server_mode", "unknown")  # Valkey has the other name
            if mode != "standalone":
                raise Refused(
                    f"the server runs in {mode} mode: keys lie on several servers, and it is only one"
                )
            self.peer = self._peer()
            opened.pop_all()

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def ask(self, *command: str | bytes | int) -> Any:
        """Send one command; return its answer."""
        return self.ask_all([command])[0]

    def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together; return their answers. The first error is raised when all were read."""
        with translated("the server"):
            connection, errors = self._connection, driver().exceptions
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            answers: list[Any] = []
            for _ in commands:
                try:
                    answers.append(connection.read_response(disconnect_on_error=False))
                except errors.ResponseError as error:
                    answers.append(error)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            return answers

    def text(self, *command: str | bytes | int) -> str:
        """Return the answer as text."""
        return bytes(self.ask(*command)).decode("utf-8", "replace")

    def refresh(self) -> dict[str, str]:
        """Ask for INFO again."""
        lines = self.text("INFO").splitlines()
        self.info = dict(line.partition(":")[::2] for line in lines if ":" in line)
        return self.info

    def _peer(self) -> int:
        """Return the process at the other end as the kernel knows it; 0 when it is not of this host."""
        way = self._connection._sock
        if not self.address.host:
            return int(struct.unpack("3i", way.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
        claimed = int(self.info.get("process_id", "0"))
        inode = _socket_inode(way.getpeername(), way.getsockname())
        return claimed if inode and _has_open(claimed, f"socket:[{inode}]") else 0


def _socket_inode(local: tuple[Any, ...], remote: tuple[Any, ...]) -> str:
    """Return the inode of the socket between two ends as /proc/net knows it; "" when it does not."""
    wanted = (_end(local), _end(remote))
    for table in _TCP:
        for line in Path(table).read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if (fields[1], fields[2]) == wanted:
                return fields[9]
    return ""


def _end(end: tuple[Any, ...]) -> str:
    """Write one end of a connection as /proc/net/tcp does: host byte order, four bytes at a time."""
    family = socket.AF_INET6 if ":" in end[0] else socket.AF_INET
    packed = socket.inet_pton(family, end[0])
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{end[1]:04X}"


def _has_open(pid: int, what: str) -> bool:
    try:
        with os.scandir(f"/proc/{pid}/fd") as descriptors:
            return any(_link(entry.path) == what for entry in descriptors)
    except OSError:  # no such process here, or none that this user may look into
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115 - os level throughout
    except FileNotFoundError:  # closed meanwhile
        return ""


def _connected(address: Address) -> Any:
    """Return a connection that is not open yet, as the option file says, else without a password."""
    client = driver().connection
    given = _options()
    common = {
        "db": address.database,
        "username": given.get("user"),
        "password": given.get("password"),
        "protocol": 2,
        "socket_timeout": PATIENCE,
        "socket_connect_timeout": _CONNECT,
    }
    if not address.host:
        return client.UnixDomainSocketConnection(path=address.socket, **common)
    where = {"host": address.host, "port": address.port}
    if address.tls:
        import ssl

        return client.SSLConnection(**where, ssl_min_version=ssl.TLSVersion.TLSv1_2, **common)
    return client.Connection(**where, **common)


def _options() -> dict[str, str]:
    """Read the option file that the environment names.

    Raises:
        Refused: as `client_options`; or it says something else.
    """
    found = client_options(OPTIONS)
    where = f"the option file that {OPTIONS} names"
    if found and (set(found) - {"user", "password"} or "password" not in found):
        raise Refused(f"{where} may name user and password, and has to name a password")
    return found


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the client's errors into ours; `doing` says during what they came."""
    errors = driver().exceptions
    try:
        yield
    except errors.RedisError as error:
        raise _translation(error, doing) from None


def _translation(error: Exception, doing: str) -> Exception:
    errors = driver().exceptions
    if isinstance(error, errors.NoPermissionError):
        named = _COMMAND.search(str(error))
        about = f"the command {named.group(1)}" if named else "keys that are needed"
        return Refused(
            f"{doing}: access denied to {about}; see docs/howto/erase-from-redis.md for the rights"
        )
    if "Authentication required" in str(error):
        return Refused(f"{doing}: the server wants a password; name an option file in {OPTIONS}")
    if isinstance(error, errors.AuthenticationError | errors.AuthenticationWrongNumberOfArgsError):
        return Refused(f"{doing}: the server wants another user or password; see {OPTIONS}")
    if isinstance(error, errors.ReadOnlyError):
        return Refused(f"{doing}: it is a replica, which only its master may change")
    if why := tls_failure(error.__cause__ or error.__context__):
        return Refused(f"{doing}: TLS fails: {why}")
    if isinstance(error, errors.TimeoutError | errors.ConnectionError):
        return Transient(f"{doing}: busy or not reachable ({type(error).__name__}); try again")
    kind = str(error).split(" ", 1)[0]
    told = kind if kind.isupper() and kind.isalpha() else type(error).__name__
    if told in ("MISCONF", "OOM", "BUSY", "TRYAGAIN") or isinstance(error, errors.OutOfMemoryError):
        return Transient(f"{doing}: takes no changes now ({told}); see its log, then try again")
    return Failed(f"{doing}: {told}; its text is not passed on, as it may quote values")
