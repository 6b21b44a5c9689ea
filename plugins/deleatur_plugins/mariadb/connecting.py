"""Talk to a MariaDB server: where it is, who we are there, and its errors in our words.

Rules kept: no user and no password in a URL, a document or a message; the server's own messages
quote values, so only their numbers are passed on; our statements stay out of the server's logs.
"""

import errno
import os
import socket
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deleatur.api import (
    Failed,
    Gone,
    Refused,
    Transient,
    Unsupported,
    on_this_host,
    server_named,
    tls_context,
    tls_failure,
)
from deleatur_plugins.mariadb.listening import listen

OPTIONS = "DELEATUR_MARIADB_OPTIONS"  # environment: an option file with a [client] group
_CONNECT = 10.0  # seconds
PATIENCE = 20  # seconds that a statement waits for a lock
_LONGEST = 24 * 3600  # seconds of one statement; the rebuild of a large table takes hours
STRETCH = 1  # seconds of it at a time where others queue behind us: for a table's definition
_PORT = 3306  # IANA
_DEFAULT_SOCKET = "/run/mysqld/mysqld.sock"  # Debian, Ubuntu
_ABSENT = frozenset({1049, 1008})  # ER_BAD_DB_ERROR, ER_DB_DROP_EXISTS
_DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1370, 1698})  # access denied in all its forms
_LOCKED = 1205  # ER_LOCK_WAIT_TIMEOUT, of rows and of definitions
_LETS_NOBODY_ELSE_IN = frozenset({1040, 1203, 1226})  # too many connections: of all, of this user
_BUSY = frozenset({1040, 1213, 1317, 1969, 2002, 2003, 2006, 2013})  # locks, time-outs, lost, too many
_IN_CLEAR = 2026  # CR_SSL_CONNECTION_ERROR: the server has no TLS
_FULL = frozenset({1021, 1114})  # ER_DISK_FULL, ER_RECORD_FILE_FULL


class Waited(Transient):
    """Another connection holds what a statement wanted to lock."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a database is."""

    host: str  # "" for a socket on this host
    port: int
    socket: str
    database: str


def address_of(url: str) -> Address:
    """Read `mariadb://HOST[:PORT]/DATABASE` or `mariadb:///DATABASE[?socket=/path]`.

    Raises:
        Refused: the URL says more, or less.
    """
    parts = urlsplit(url)
    database = unquote(parts.path.removeprefix("/"))
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    host, port = server_named(parts, _PORT, OPTIONS)
    if not database or "/" in database or parts.fragment or set(asked) - {"socket"} or (host and asked):
        raise Refused("write the URL as mariadb://HOST/DATABASE or mariadb:///DATABASE?socket=/path")
    return Address(host=host, port=port, socket=asked.get("socket", _DEFAULT_SOCKET), database=database)


def driver() -> Any:
    """Return the module `pymysql`.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        import pymysql as module
    except ImportError:
        raise Unsupported("mariadb: targets need PyMySQL: install deleatur[mariadb]") from None
    return module


class Session:
    """One connection; every value comes back as the bytes that the server has, or None."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.peer = 0  # the server's process, when it was reached through its socket
        with translated("connecting"), ExitStack() as opened:
            self.connection = _connected(address)
            opened.callback(self.close)
            if not address.host:
                self.peer = self._peer()
            listen(self.connection, self._check_awake)
            self._settle()
            opened.pop_all()

    def _check_awake(self) -> None:
        """Raise Transient when the server lets nobody in any more."""
        errors = driver()
        try:
            _connected(self.address).close()
        except (Transient, errors.MySQLError) as error:
            if _code(error) in _LETS_NOBODY_ELSE_IN:
                return
            where = f"process {self.peer}" if self.peer else f"{self.address.host}:{self.address.port}"
            raise Transient(
                f"the server ({where}) does not answer, and lets nobody in: it is stopped or hangs; "
                "let it go on (kill -CONT) or restart it, and resume"
            ) from None

    def _peer(self) -> int:
        """Ask the kernel who listens at the other end of the socket."""
        credentials = self.connection._sock.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        return int(struct.unpack("3i", credentials)[0])

    def _settle(self) -> None:
        """Fix what could change the meaning of a statement, and keep ours out of the logs."""
        if "MariaDB" not in self.text("SELECT VERSION()"):
            raise Refused("the server is not MariaDB; MySQL keeps other files and is not supported")
        settings = (
            "sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
            "time_zone='+00:00'",
            "tx_isolation='REPEATABLE-READ'",
            f"lock_wait_timeout={PATIENCE}",
            f"innodb_lock_wait_timeout={PATIENCE}",
            f"max_statement_time={_LONGEST}",
            "in_predicate_conversion_threshold=0",
            "slow_query_log=OFF",
        )
        self.run(f"SET SESSION {', '.join(settings)}")
        self.quiet = self._keep_out_of_general_log()
        if not self.rows("SHOW DATABASES LIKE " + self.literal(_escaped(self.address.database))):
            self.run(f"USE {quoted(self.address.database)}")  # says whether it is absent or forbidden
            raise Failed("the server lists no such database and opens it")
        self.run(f"USE {quoted(self.address.database)}")
        self.run("SET SESSION character_set_results=NULL")  # stored bytes, not converted ones

    def _keep_out_of_general_log(self) -> bool:
        try:
            self.run("SET SESSION sql_log_off=ON")
        except Refused:
            return self.text("SELECT @@GLOBAL.general_log") == "0"
        return True

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def literal(self, value: str | int | bytes) -> str:
        """Return a value as SQL text, quoted for this connection."""
        return str(self.connection.escape(value))

    def run(self, statement: str) -> int:
        """Execute; return how many rows were changed."""
        with translated("the server"), self.connection.cursor() as cursor:
            return int(cursor.execute(statement))

    def alter(self, statement: str) -> None:
        """Change a table's definition without holding up others for long while somebody uses it.

        Whoever comes after a request for the definition waits behind it (MariaDB: metadata locking), so
        it is given up after a moment and made again, until the patience is at its end.
        """
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.run(f"SET STATEMENT lock_wait_timeout={STRETCH} FOR {statement}")
            except Waited:
                if time.monotonic() >= end:
                    raise
                time.sleep(STRETCH)  # those who waited behind us go on
            else:
                return

    def rows(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        """Return all rows of a small answer."""
        with translated("the server"), self.connection.cursor() as cursor:
            cursor.execute(statement)
            return tuple(cursor.fetchall())

    def stream(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a large answer; nothing else may be asked on this connection meanwhile."""
        with translated("the server"), self.connection.cursor(driver().cursors.SSCursor) as cursor:
            try:
                cursor.execute(statement)
                yield from cursor
            finally:
                if not self.connection.open:  # the driver would read the rest of the answer from nowhere
                    self.connection._result.unbuffered_active = False

    def texts(self, statement: str) -> list[tuple[str, ...]]:
        """Return the rows of an answer of names and numbers, "" for NULL."""
        return [tuple("" if v is None else bytes(v).decode() for v in row) for row in self.rows(statement)]

    def text(self, statement: str) -> str:
        """Return the one value of an answer."""
        ((value,),) = self.texts(statement)
        return value

    def number(self, name: str) -> int:
        """Return a number of SHOW GLOBAL STATUS."""
        ((_, value),) = self.texts(f"SHOW GLOBAL STATUS LIKE {self.literal(name)}")
        return int(value)


def _connected(address: Address) -> Any:
    """Connect as the option file says, else as the user that runs this."""
    pymysql = driver()
    options = option_file()
    near = not address.host or on_this_host(address.host)
    connection = pymysql.connect(
        host=address.host or None,
        port=address.port,
        unix_socket=address.socket if not address.host else None,
        **({"read_default_file": options} if options else {}),
        charset="utf8mb4",
        use_unicode=False,
        conv={
            k: v for k, v in pymysql.converters.conversions.items() if not isinstance(k, int)
        },  # bytes only
        autocommit=True,
        connect_timeout=_CONNECT,
        read_timeout=_CONNECT,
        write_timeout=_CONNECT,
        **({"ssl_disabled": True} if near else {"ssl": tls_context()}),
        program_name="deleatur",
        defer_connect=True,
    )
    if address.host:
        connection.connect()
        return connection
    with ExitStack() as opened:  # the driver leaves a socket open that it could not connect
        way = opened.enter_context(socket.socket(socket.AF_UNIX))
        way.settimeout(_CONNECT)
        try:
            way.connect(address.socket)
        except OSError as error:
            raise Transient(
                f"the server's socket does not answer ({error.strerror}): start the server, and resume"
            ) from None
        connection.connect(way)
        opened.pop_all()
    return connection


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return "`" + name.replace("`", "``") + "`"


def _escaped(name: str) -> str:
    """Escape a name for LIKE."""
    return "".join(f"\\{c}" if c in "\\%_" else c for c in name)


def option_file() -> str:
    """Return the option file that the environment names, if it is for its owner only.

    Raises:
        Refused: it is not there, or others may read it.
    """
    name = os.environ.get(OPTIONS, "")
    if not name:
        return ""
    try:
        status = Path(name).stat()
        readable = os.access(name, os.R_OK, effective_ids=True)
    except OSError as error:
        raise Refused(f"the option file that {OPTIONS} names: {error.strerror}") from None
    if not readable:
        raise Refused(f"the option file that {OPTIONS} names cannot be read by this user")
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
        raise Refused(f"the option file that {OPTIONS} names can be read by others; run chmod 600 on it")
    return name


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the driver's errors into ours; `doing` says during what they came."""
    try:
        yield
    except driver().MySQLError as error:
        raise _translation(error, doing) from None


def _code(error: Exception) -> int:
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def _translation(error: Exception, doing: str) -> Exception:
    code = _code(error)
    told = f"MariaDB error {code}" if code else type(error).__name__
    if code in _ABSENT:
        return Gone("the database is not there")
    if code in _DENIED:
        return Refused(
            f"{doing}: access denied ({told}); see docs/howto/erase-from-mariadb.md for the rights"
        )
    if code == _LOCKED:
        return Waited(f"{doing}: waited {PATIENCE} s for a lock that another connection holds; try again")
    if code == _IN_CLEAR:
        return Refused(f"{doing}: the server has no TLS, and no value leaves a host in clear")
    if why := tls_failure(getattr(error, "original_exception", None)):
        return Refused(f"{doing}: TLS fails: {why}")
    if code in _BUSY:
        return Transient(f"{doing}: busy or not reachable ({told}); try again")
    if code in _FULL:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return Failed(f"{doing}: {told}; its text stays in the server's error log, as it may quote values")
