"""Open a SQLite database without changing it, and say in our words what SQLite says in its own.

Rules kept: a look creates no file where it can be avoided, nothing of the database's schema is
trusted to run unsafe functions, and SQLite's own messages are passed on only where they cannot
quote a value.
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote_from_bytes

from deleatur.api import Failed, Gone, Refused, Transient, Unsupported

MAGIC = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat2.html §1.3
HEADER = 100  # bytes, §1.3
VERSIONS = 18  # offset of the write and read versions: 1 rollback journal, 2 WAL, §1.3.3
RESERVED = 20  # offset of the number of reserved bytes at the end of each page, §1.3.4
_OLDEST = (3, 37, 0)  # PRAGMA table_list
_PATIENCE = 2.0  # seconds that a look waits for a lock


class Text(bytes):
    """A TEXT value as it is stored, in UTF-8: told from a BLOB, and never decoded."""

    __slots__ = ()


def text_for(connection: sqlite3.Connection) -> Callable[[bytes], bytes | str]:
    """Return what makes of a text in UTF-8 the value to give for the mark in `CAST(? AS TEXT)`.

    Bytes that are cast are no such text where the database keeps UTF-16: SQLite 3.40 takes them for UTF-8 and
    leaves out the last of an odd number, so that nothing would be found.
    """
    (encoding,) = connection.execute("PRAGMA main.encoding").fetchone()
    return bytes if encoding == b"UTF-8" else lambda text: text.decode("utf-8", "replace")


def header_of(path: Path) -> bytes:
    """Return the first 100 bytes of the database; fewer if the file is shorter.

    Closing a descriptor drops this process's POSIX locks on the file, so no connection of this
    process may be in a transaction now (https://www.sqlite.org/howtocorrupt.html §2.2).
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Gone("the database is not there") from None
    try:
        return os.pread(fd, HEADER, 0)
    finally:
        os.close(fd)


def size_of(path: Path) -> int | None:
    """Return the size of a file in bytes, None when there is no such file."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return None


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a file that lies beside the database, such as `-wal`."""
    return path.with_name(path.name + suffix)


@contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for reading, in one transaction.

    A WAL database that nobody has open is read as immutable, because SQLite would otherwise
    create `-wal` and `-shm` beside it; that it did not change meanwhile is checked at the end.
    Where a WAL lies without its `-shm`, SQLite makes one: an index of page numbers, no content.

    Raises:
        Gone: there is no such file.
        Transient: it is locked, or changed while it was read.
        Refused: it is not a sound SQLite database, or a crash has to be rolled back first.
    """
    header = header_of(path)
    if header[: len(MAGIC)] != MAGIC:
        raise Refused("the file does not begin as a SQLite database does; check the URL")
    pending = size_of(beside(path, "-wal")) or size_of(beside(path, "-journal")) or _exists(path, "-shm")
    unattended = header[VERSIONS] == 2 and not pending
    before = _signature(path)
    with translated("reading the database"):
        shared = "&readonly_shm=1" if _exists(path, "-shm") else ""
        connection = connect(path, "immutable=1" if unattended else f"mode=ro{shared}")
        with closing(connection):
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM main.sqlite_schema").fetchone()
            yield connection
    if unattended and (_signature(path) != before or size_of(beside(path, "-wal"))):
        raise Transient("the database changed while it was read; stop its programs and try again")


def connect(path: Path, how: str) -> sqlite3.Connection:
    """Open `path` with the URI parameters `how`; temporary tables stay in memory."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise Unsupported(f"SQLite {sqlite3.sqlite_version} is too old; 3.37 is needed")
    uri = f"file:{quote_from_bytes(os.fsencode(path))}?{how}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = Text
    for pragma in ("temp_store=MEMORY", "trusted_schema=OFF", "cell_size_check=ON", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn SQLite's errors into ours; `doing` says during what they came."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translation(error, doing) from None


def _translation(error: sqlite3.Error, doing: str) -> Exception:
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    kind = "_".join(name.split("_")[:2])
    if name in ("SQLITE_READONLY_ROLLBACK", "SQLITE_READONLY_RECOVERY"):
        return Refused("a program crashed in a transaction; open the database once with it to roll it back")
    if kind in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        return Transient(f"{doing}: the database is locked; stop the programs that use it and try again")
    if kind in ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_FORMAT"):
        return Refused(f"{doing}: the database is damaged or encrypted ({name}); repair it first")
    if kind == "SQLITE_FULL":
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if kind in ("SQLITE_IOERR", "SQLITE_NOMEM"):
        code = errno.EIO if kind == "SQLITE_IOERR" else errno.ENOMEM
        return OSError(code, f"{doing}: {name}")
    if kind in ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"):
        return Refused(f"{doing}: the database cannot be opened ({name}); check its permissions")
    if isinstance(error, sqlite3.ProgrammingError):
        return Failed(f"{doing}: {error}")
    said = (
        str(error) if str(error).startswith(("no such ", "unsafe use of ", "foreign key mismatch")) else name
    )
    return Refused(f"{doing}: SQLite refuses: {said[:200]}")


def _exists(path: Path, suffix: str) -> bool:
    return size_of(beside(path, suffix)) is not None


def _signature(path: Path) -> tuple[int, int, int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
