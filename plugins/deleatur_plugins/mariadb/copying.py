"""Copy all that a server holds into a new data directory, by MariaDB's own programs, and compare both.

Rules kept: what is copied goes through a pipe and never into a file of its own; the second server takes
nobody's connection but ours and dies with us; no program is waited for without an end.
"""

# ruff: noqa: S603, S608 - no SQL text holds a value; the programs are MariaDB's own and the server's, their arguments are lists

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer

from deleatur.api import Failed, Transient

PROGRAMS = ("mariadb", "mariadb-dump", "mariadb-install-db", "setpriv")
_STARTING = 60  # seconds
_STOPPING = 120  # seconds, with all undo purged
_CHUNK = 1 << 20  # bytes
_SOCKET = "s.sock"  # relative to the data directory: the path of a socket may be no longer than 107 bytes
# What a server counts for itself differs between two that hold the same; logs of statements stay behind.
_UNEQUAL = ("mysql.innodb_index_stats", "mysql.innodb_table_stats")
_NOT_COMPARED = (*_UNEQUAL, "mysql.general_log", "mysql.slow_log", "mysql.transaction_registry")
# To make a table forgets the statistics of its name, so they go last; what follows is not in "all databases".
_LAST = ("column_stats", "index_stats", "table_stats", "event")
_PARTS = (
    (
        *("--all-databases", *(f"--ignore-table={name}" for name in _UNEQUAL)),
        *(f"--ignore-table-data=mysql.{name}" for name in _LAST),
    ),
    ("--no-create-info", "--skip-triggers", "--events", "mysql", *_LAST),
    ("--no-create-info", "--skip-triggers", "--replace", "sys", "sys_config"),
)
_TABLES = (
    "SELECT CONCAT('`', REPLACE(table_schema, '`', '``'), '`.`', REPLACE(table_name, '`', '``'), '`') "
    "FROM information_schema.tables WHERE table_type IN ('BASE TABLE', 'SEQUENCE') AND table_schema NOT IN "
    "('information_schema', 'performance_schema') AND CONCAT(table_schema, '.', table_name) NOT IN "
    f"{_NOT_COMPARED} ORDER BY 1"
)


@dataclass(frozen=True)
class Client:
    """How MariaDB's programs reach one server."""

    options: tuple[str, ...]
    folder: Path  # in which they run

    def ask(self, statement: str, seconds: float) -> bytes:
        """Return an answer as text, a row a line, names and numbers as the server writes them.

        Raises:
            Failed: the program says no, whose words may quote values and are not passed on.
            Transient: there was no answer within the time.
        """
        command = ["mariadb", *self.options, "--batch", "--raw", "--skip-column-names"]
        done = _ended(command, self.folder, seconds, statement.encode())  # no argument: they have a limit
        if done.returncode:
            raise Failed(f"{command[0]} ended with {done.returncode}; see the server's error log")
        return done.stdout

    def sums(self, seconds: float) -> dict[str, str]:
        """Return the server's own checksum of the rows of each table, of users and programs too."""
        tables = self.ask(_TABLES, seconds).decode().splitlines()
        if not tables:
            return {}
        told = self.ask(f"CHECKSUM TABLE {', '.join(tables)} EXTENDED", seconds).decode().splitlines()
        sums = dict(line.rpartition("\t")[::2] for line in told)
        if unknown := [name for name, value in sums.items() if value == "NULL"]:
            raise Failed(f"the server makes no checksum of {unknown[0]}, so a copy of it cannot be compared")
        return sums

    def dump(self, part: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Start to write one part of all that there is, always in the same order."""
        command = [
            "mariadb-dump", *self.options, "--hex-blob", "--order-by-primary", "--quick",
            "--skip-lock-tables", "--skip-add-locks", "--skip-comments", "--max-allowed-packet=1G",
            *part,
        ]  # fmt: skip
        return subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def load(self, part: Sequence[str]) -> "subprocess.Popen[bytes]":
        """Start to execute what comes on its input, which is that part."""
        into = "sys" if "sys" in part else "mysql"
        command = ["mariadb", *self.options, "--binary-mode", "--max-allowed-packet=1G", into]
        return subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip


def copy(old: Client, new: Client, seconds: float) -> None:
    """Bring everything from the old server to the new one, and compare what both then hold.

    Nobody may write to either meanwhile. Raises:
        Failed: they differ, or a program failed.
        Transient: it took longer than `seconds`.
    """
    end = time.monotonic() + seconds
    sums = old.sums(seconds)
    before = [_poured(old.dump(part), new.load(part), end) for part in _PARTS]
    after = [_poured(new.dump(part), None, end) for part in _PARTS]
    if before != after:
        raise Failed(
            "the new server does not write out what was put in: definitions, users or rows differ; nothing "
            "was put in place of anything, and a resumed run makes the copy anew"
        )
    now = new.sums(max(end - time.monotonic(), 1))
    if sums != now:
        names = sorted(name for name in sums.keys() | now.keys() if sums.get(name) != now.get(name))
        raise Failed(
            f"{len(names)} tables are not the same in the new server ({', '.join(names[:3])}); nothing was "
            "put in place of anything, and a resumed run makes the copy anew"
        )


def _ended(
    command: Sequence[str], folder: Path, seconds: float, given: bytes
) -> "subprocess.CompletedProcess[bytes]":
    """Run a program to its end. Raises Transient when that does not come within the time."""
    try:
        return subprocess.run(
            command, cwd=folder, input=given, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise Transient(f"a program of MariaDB did not end within {seconds:.0f} s; try again") from None


def _kill(programs: "Iterable[subprocess.Popen[bytes]]") -> None:
    for program in programs:
        program.kill()


def _poured(source: "subprocess.Popen[bytes]", sink: "subprocess.Popen[bytes] | None", end: float) -> str:
    """Let what one program writes be another's input; return its digest."""
    digest = hashlib.sha256()
    programs = [source, *([sink] if sink else [])]
    with ExitStack() as running:
        for program in programs:
            running.enter_context(program)
            running.callback(program.kill)
        late = Timer(max(end - time.monotonic(), 0), _kill, [programs])
        late.daemon = True
        late.start()
        running.callback(late.cancel)
        assert source.stdout is not None  # noqa: S101 - for the type checker: it was started so
        try:
            while part := source.stdout.read(_CHUNK):
                digest.update(part)
                if sink is not None and sink.stdin is not None:
                    sink.stdin.write(part)
            if sink is not None and sink.stdin is not None:
                sink.stdin.close()
        except BrokenPipeError:
            source.kill()  # who took the text has ended, and says why by its code: nothing more is read
        codes = [program.wait(max(end - time.monotonic(), 0) + _STARTING) for program in programs]
    if time.monotonic() >= end:
        raise Transient("the copy took longer than the plan says; try again when the machine is less busy")
    if any(codes):
        raise Failed(f"the copy into the new directory failed (programs ended with {codes})")
    return digest.hexdigest()


@contextmanager
def second_server(command: Iterable[str], folder: Path, owner: os.stat_result) -> Iterator[Client]:
    """Make a new data directory and run a server on it, started like `command`; stopped at the end.

    Only who may enter the folder reaches it. On an error it is killed.
    """
    program, *arguments = command
    folder.mkdir(mode=0o700)
    os.chown(folder, owner.st_uid, owner.st_gid)
    own = (  # whatever the options of the first say: none of its files may be opened by the second
        *(f"--datadir={folder}", f"--aria-log-dir-path={folder}", "--innodb-data-home-dir="),
        *("--innodb-log-group-home-dir=./", "--innodb-undo-directory=./"),
        "--innodb-temp-data-file-path=ibtmp1:12M:autoextend",
        *(f"--socket={_SOCKET}", f"--pid-file={folder}/second.pid", "--skip-networking", "--skip-log-bin"),
        *("--skip-slave-start", "--general-log=0", "--slow-query-log=0", "--event-scheduler=OFF"),
        *("--innodb-fast-shutdown=0", "--innodb-buffer-pool-load-at-startup=0"),
        "--innodb-buffer-pool-dump-at-shutdown=0",
    )
    us = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    install = [*us, "mariadb-install-db", *arguments, *own, "--skip-test-db", "--skip-name-resolve"]
    made = _ended([*install, "--auth-root-authentication-method=normal"], folder, _STOPPING, b"")
    if made.returncode:
        raise Failed(f"mariadb-install-db ended with {made.returncode}; see the server's error log")
    client = Client(("--no-defaults", "--protocol=SOCKET", f"--socket={_SOCKET}", "--user=root"), folder)
    server = subprocess.Popen(
        [*us, "--pdeathsig=KILL", program, *arguments, *own, "--skip-grant-tables"],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_until_it_answers(client, server, folder)
        yield client
        client.ask("SHUTDOWN", _STOPPING)
        if server.wait(_STOPPING):
            raise Failed("the second server did not end well; see the server's error log")
    finally:
        server.kill()
        server.wait(_STOPPING)
    for name in (_SOCKET, "second.pid"):
        (folder / name).unlink(missing_ok=True)


def _wait_until_it_answers(client: Client, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    end = time.monotonic() + _STARTING
    while server.poll() is None and time.monotonic() < end:
        if (folder / _SOCKET).is_socket():
            try:
                client.ask("SELECT 1", _STARTING)
            except Failed:  # it makes its socket before it listens
                time.sleep(0.1)
                continue
            return
        time.sleep(0.1)
    raise Failed("the second server does not start; see the server's error log")


def absent_programs() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name) is None]
