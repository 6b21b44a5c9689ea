"""Connect to a PostgreSQL server, and say in our words what it says in its own.

Rules kept: no password comes out of a URL, a document or a setting of ours, only from libpq's own
places (service file, password file, environment); a server's message is never passed on, because it
may quote a value: its SQLSTATE is; our own statements leave nothing in the server's log where this
user may say so.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from deleatur.api import Failed, Refused, Transient, Unsupported, on_this_host

if TYPE_CHECKING:
    import psycopg

_ALLOWED = ("service", "host", "port", "user")
_OLDEST = 130000  # PostgreSQL 13: xid8 snapshots
_SESSION = (
    ("search_path", "pg_catalog"),  # no function of the database stands in for one of the server
    ("row_security", "off"),  # a policy that hides rows makes an error, never a smaller answer
    ("statement_timeout", "0"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "0"),
    ("synchronous_commit", "on"),
    ("datestyle", "ISO, YMD"),
    ("intervalstyle", "iso_8601"),
    ("timezone", "UTC"),
    ("extra_float_digits", "1"),
)
# What does not fit into memory goes to files that are given back as they are. So nothing is sorted where an
# index gives the order, each sort gets memory, and where this user may say so one that needs more is refused.
_IN_MEMORY = """
    SELECT set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true),
      set_config('synchronize_seqscans', 'off', true),  -- a table without a key is read in one order
      set_config('work_mem',
        greatest(%(bytes)s, pg_size_bytes(current_setting('work_mem'))) / 1024 || 'kB', true),
      CASE WHEN current_setting('is_superuser') = 'on'
      THEN set_config('temp_file_limit', %(limit)s::text, true) END"""
_MEMORY = 1 << 26  # bytes for each sort or hash table: one of some 500,000 keys
_QUIET = (  # for superusers: nothing of ours in the log, nor in the statistics of statements
    ("log_statement", "none"),
    ("log_min_duration_statement", "-1"),
    ("log_min_error_statement", "panic"),
    ("log_min_messages", "panic"),
    ("log_temp_files", "-1"),
    ("pg_stat_statements.track", "none"),
)
_LIVELY = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}  # seconds: lost in 90
_AGAIN = frozenset({"55P03", "40001", "40P01", "57014", "57P01", "57P02", "57P03", "55006", "53300"})
_MISFIT = frozenset({"42883", "42804", "22P02", "22007", "22008", "22003", "22023"})


def arguments_of(url: str) -> dict[str, str]:
    """Return libpq's arguments for a `postgresql:` URL.

    Raises:
        Refused: the URL says more than where the database is, or does not say which.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise Refused("the port of the URL is no number") from None
    if parts.password is not None or parts.fragment or "," in parts.netloc:
        raise Refused("write the URL as postgresql://host:port/database, without password and fragment")
    found = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=False))
    strange = sorted(found.keys() - set(_ALLOWED))
    if strange:
        raise Refused(
            f"the URL says {strange[0][:40]!r}; only {', '.join(_ALLOWED)} may stand there: "
            "passwords belong into libpq's password file or service file"
        )
    given = {
        "host": unquote(parts.hostname or ""),
        "port": str(port or ""),
        "user": unquote(parts.username or ""),
        "dbname": unquote(parts.path.removeprefix("/")),
    }
    arguments = {**{name: value for name, value in given.items() if value}, **found}
    if "dbname" not in arguments and "service" not in arguments:
        raise Refused("the URL names no database; write postgresql://host:port/database")
    return arguments


class Connector:
    """Opens connections to one database, and knows which of its server's processes are ours."""

    def __init__(self, url: str, *, prepared: str = "") -> None:
        self._arguments = arguments_of(url)
        self.prepared = prepared  # the name that a prepared transaction of ours has
        self.ours: set[int] = set()  # process ids on the server

    @contextmanager
    def connected(self) -> Iterator["psycopg.Connection[Any]"]:
        """Open a connection that commits each statement, and close it."""
        connection = self.connect()
        try:
            with translated("asking the server"):
                yield connection
        finally:
            self.disconnect(connection)

    @contextmanager
    def looking(self) -> Iterator["psycopg.Connection[Any]"]:
        """Open a connection in one transaction that cannot write and sees one moment."""
        with self.connected() as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            stay_in_memory(connection)
            yield connection

    def connect(self) -> "psycopg.Connection[Any]":
        """Open a connection; `disconnect` closes it."""
        driver = driver_of()
        try:
            connection: psycopg.Connection[Any] = driver.connect(
                **self._arguments,
                **_encryption(self._arguments),
                autocommit=True,
                prepare_threshold=None,
                application_name="deleatur",
                client_encoding="UTF8",
                connect_timeout=10,
                **_LIVELY,
            )
        except driver.Error as error:
            said = (str(error).strip().splitlines() or ["no reason given"])[-1][:200]
            if "SSL" in said or "certificate" in said:
                raise Refused(f"no value leaves a host in clear, and TLS fails: {said}") from None
            raise Transient(f"no connection to the server: {said}") from None
        with ExitStack() as undo:
            undo.callback(connection.close)
            with translated("opening a session"):
                _prepare(connection)
            undo.pop_all()
        self.ours.add(connection.info.backend_pid)
        return connection

    def disconnect(self, connection: "psycopg.Connection[Any]") -> None:
        """Close a connection of ours."""
        self.ours.discard(connection.info.backend_pid)
        connection.close()


def stay_in_memory(connection: "psycopg.Connection[Any]", *, more: int = 0) -> None:
    """Let no query of the open transaction put rows into files; each may take `more` bytes than usual."""
    connection.execute(_IN_MEMORY, {"bytes": _MEMORY + more, "limit": "0"})


def may_leave_memory(connection: "psycopg.Connection[Any]") -> None:
    """Let queries of the open transaction put rows into files again: those that they read stay anyway."""
    connection.execute(_IN_MEMORY, {"bytes": _MEMORY, "limit": None})


def _encryption(arguments: dict[str, str]) -> dict[str, str]:
    """Ask for TLS with a server that proves its name, unless the way surely stays on this host."""
    service = arguments.get("service") or os.environ.get("PGSERVICE")
    lists = (arguments.get("host") or os.environ.get("PGHOST", ""), os.environ.get("PGHOSTADDR", ""))
    named = [
        name for several in lists for name in several.split(",") if name
    ]  # libpq tries one after another
    if not service and all(name.startswith(("/", "@")) or on_this_host(name) for name in named):
        return {}
    demanded = {"sslmode": "verify-full", "ssl_min_protocol_version": "TLSv1.2", "gssencmode": "disable"}
    own = Path.home() / ".postgresql/root.crt"  # where libpq looks by itself
    if service or "PGSSLROOTCERT" in os.environ or own.exists():
        return demanded
    return {**demanded, "sslrootcert": "system"}


def driver_of() -> Any:
    """Return the module psycopg, loaded when it is first needed.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        import psycopg
    except ImportError:
        raise Unsupported("the driver is not installed: pip install 'deleatur[postgresql]'") from None
    return psycopg


def _prepare(connection: "psycopg.Connection[Any]") -> None:
    version = connection.info.server_version
    if version < _OLDEST:
        raise Unsupported(f"PostgreSQL {version // 10000} is too old; 13 is needed")
    quiet = _QUIET if _one(connection, "SELECT current_setting('is_superuser')") == "on" else ()
    for name, value in (*_SESSION, *quiet):
        if _one(connection, "SELECT current_setting(%s, true)", name) is not None:
            connection.execute("SELECT set_config(%s, %s, false)", (name, value))


def _one(connection: "psycopg.Connection[Any]", query: str, *bound: Any) -> Any:
    row = connection.execute(query.encode(), bound).fetchone()
    return None if row is None else row[0]


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the driver's errors into ours; `doing` says during what they came."""
    driver = driver_of()
    try:
        yield
    except driver.Error as error:
        raise _translation(error, doing) from None


def _translation(error: Any, doing: str) -> Exception:
    state = error.sqlstate or ""
    if (
        state in _AGAIN
        or state.startswith("08")
        or (not state and error.__class__.__name__ == "OperationalError")
    ):
        return Transient(f"{doing}: the server is busy or went away (SQLSTATE {state or 'none'}); try again")
    if state == "42501":
        return Refused(f"{doing}: this user may not do that (SQLSTATE 42501); see the rights in the how-to")
    if state == "53100":
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if state == "58030":
        return OSError(errno.EIO, os.strerror(errno.EIO))
    if state == "53400":
        return Refused(
            f"{doing}: rows would have to go to temporary files, whose blocks the server gives back; "
            "allow more memory (ALTER ROLE ... SET work_mem)"
        )
    if state in _MISFIT:
        return Refused(f"{doing}: a value of a condition does not fit the type of its column ({state})")
    if state.startswith("XX"):
        return Refused(f"{doing}: the database is damaged ({state}); repair it first")
    if state.startswith("23"):
        name = getattr(error.diag, "constraint_name", None) or "a constraint"
        return Refused(f"{doing}: {name} forbids it ({state})")
    if not state:
        return Failed(f"{doing}: {type(error).__name__} in the driver")
    return Refused(f"{doing}: the server refuses (SQLSTATE {state})")
