"""Open a DuckDB database for reading, and another one beside it for writing; its errors in our words.

Rules kept: nothing is spilled into temporary files, fetched or loaded; the engine's own messages
quote values, so only their kind is passed on.
"""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from deleatur.api import Failed, Gone, Refused, Transient, Unsupported, lock_bytes

OLD, NEW = "old_database", "new_database"  # names under which databases are attached
_MAGIC, _AT = b"DUCK", 8  # DuckDB: storage format, main header
_OPEN_ELSEWHERE = "the database is open in another process; close it there and try again"
_FETCH = 1000  # rows in memory at a time


def path_of(url: str) -> Path:
    """Read `duckdb:/absolute/path`.

    Raises:
        Refused: the URL says more, or less.
    """
    parts = urlsplit(url)
    path = unquote(parts.path, errors="surrogateescape")
    if parts.netloc or parts.query or parts.fragment or not path.startswith("/") or "\0" in path:
        raise Refused("write the URL as duckdb:/absolute/path, with %3F and %23 for ? and # in it")
    return Path(path)


@contextmanager
def kept_from_writers(path: Path) -> Iterator[os.stat_result]:
    """Keep everybody from opening a database for writing; yield the status of its file.

    The engine's own lock is the process's and falls with each descriptor of the file that is closed.

    Raises:
        Gone: it is not there.
        Refused: it is no regular file, or no database of DuckDB.
        Transient: somebody has it open for writing.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Gone("the database is not there") from None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise Refused("the URL is that of a symbolic link; name the database itself") from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or os.pread(fd, len(_MAGIC), _AT) != _MAGIC:
            raise Refused("what stands at the URL is no database of DuckDB")
        lock_bytes(fd, fcntl.F_RDLCK, 0, 0, _OPEN_ELSEWHERE)
        if not os.path.samestat(status, path.lstat()):
            raise Transient("the database was replaced while it was opened; try again")
        yield status
    finally:
        os.close(fd)


def driver() -> Any:
    """Return the module `duckdb`.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        import duckdb as module
    except ImportError:
        raise Unsupported("duckdb: targets need DuckDB: install deleatur[duckdb]") from None
    return module


class Session:
    """An engine in memory with the database attached for reading only; nobody writes to it meanwhile."""

    def __init__(self, path: Path, *, without_log: bool) -> None:
        """Attach `path`; `without_log`: leave a log beside it aside, which is of an earlier file."""
        settings = {
            "temp_directory": "",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
        with ExitStack() as opened:
            self.status = opened.enter_context(kept_from_writers(path))
            where = str(path)
            if without_log:  # the engine follows every link to the log, so a copy in memory is read
                fd = _copied(path)
                opened.callback(os.close, fd)
                where = f"/proc/self/fd/{fd}"
            with translated():
                self._connection = driver().connect(":memory:", config=settings)
            opened.callback(self._connection.close)
            self.run(f"ATTACH {literal(where)} AS {OLD} (READ_ONLY)")
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close the engine, and let writers to the database."""
        self._opened.close()

    def run(self, statement: str) -> None:
        """Execute."""
        with translated():
            self._connection.execute(statement)

    def rows(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of an answer."""
        with translated():
            cursor = self._connection.cursor()
            cursor.execute(statement)
            while some := cursor.fetchmany(_FETCH):
                yield from some

    def value(self, statement: str) -> Any:
        """Return the one value of an answer."""
        ((value,),) = tuple(self.rows(statement))
        return value


def _copied(path: Path) -> int:
    """Return a descriptor of a file in memory with the content of `path`."""
    copy = os.memfd_create("deleatur", os.MFD_CLOEXEC)
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        moved = 1
        while moved:
            moved = os.sendfile(copy, fd, None, 1 << 30)
    finally:
        os.close(fd)
    return copy


def literal(text: str) -> str:
    """Return a text as SQL. Raises Refused when it holds a NUL, which SQL cannot."""
    if "\0" in text:
        raise Refused("a value holds a NUL, which no condition can name")
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def translated() -> Iterator[None]:
    """Turn the engine's errors into ours."""
    module = driver()
    try:
        yield
    except module.Error as error:
        raise _translation(error, module) from None


def _translation(error: Exception, module: Any) -> Exception:
    said = str(error)
    if "Could not set lock" in said:
        return Transient(_OPEN_ELSEWHERE)
    if "does not match database file" in said:
        return Refused("the log beside the database (.wal) is of another file; move it away")
    if isinstance(error, module.ConversionException):
        return Refused("a value in a condition is none that the column's type holds")
    if isinstance(error, module.ConstraintException):
        return Refused("rows that stay refer to rows that would go; select those rows too")
    kind = type(error).__name__
    return Failed(f"DuckDB: {kind}; its text is not passed on, as it may quote values")
