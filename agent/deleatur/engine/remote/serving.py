"""The far end: answer questions about one job, and begin work that outlives the connection.

Rules: the work is a process in a session of its own, and a lock on its output tells whether it still
runs; the passphrase reaches it through a pipe; of a journal only what is on disk is ever told.
"""

import fcntl
import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path

import msgspec

import deleatur
from deleatur.documents import errand
from deleatur.documents.errand import MAX_PIECE
from deleatur.engine.directory import JobDirectory, write_all
from deleatur.engine.reading import opened, read_plain
from deleatur.engine.registry import record_digest
from deleatur.engine.remote.private import require_private
from deleatur.errors import DeleaturError, Failed, Gone, Refused

_MAX_OUTPUT = 1 << 20  # bytes; a command with --json writes one line
_ROOT = str(Path(deleatur.__file__).parents[1])  # a copy of the agent lies on no path of its Python
_TRIES, _PAUSE = 20, 0.05  # seconds; somebody who only asks holds the lock for some microseconds


class Software(msgspec.Struct, frozen=True):
    """The code of an agent: what both ends must have the same of."""

    version: str
    digests: tuple[str, ...]


@cache
def software() -> Software:
    """Return version and digests of the code that runs here, agent and plugins, as first asked for."""
    installed = distribution("deleatur")
    digests = tuple(record_digest(installed, package) for package in ("deleatur", "deleatur_plugins"))
    return Software(deleatur.__version__, digests)


class _Output(msgspec.Struct, frozen=True):
    """The one object that a command with --json prints; other keys are of no interest here."""

    error: str = ""
    text: str = ""
    exit_code: int = 0


class FarEnd:
    """One job's directory, as it answers."""

    def __init__(self, folder: Path, settings: Path | None) -> None:
        self._directory = JobDirectory(folder)
        self._output = self._directory.output
        self._settings = settings

    def answer(self, question: errand.AnyQuestion) -> errand.AnyAnswer:
        """Answer one question; a reason against it is an answer too."""
        try:
            return self._answer(question)
        except DeleaturError as error:
            return errand.Objection(error=type(error).__name__, text=str(error), exit_code=error.exit_code)
        except OSError as error:
            text = f"input or output failed there: {error.strerror}"
            return errand.Objection(error="Failed", text=text, exit_code=Failed.exit_code)

    def _answer(self, question: errand.AnyQuestion) -> errand.AnyAnswer:
        if isinstance(question, errand.Hello):
            code = software()
            return errand.Welcome(version=code.version, digests=code.digests)
        require_private(self._directory.path)
        self._directory.require_plain()
        match question:
            case errand.Give():
                self._take(question.name, question.content)
            case errand.Start():
                self._start(question)
            case errand.Fetch():
                return self._piece(question.name, question.offset)
        return self._standing()

    def _take(self, name: str, content: bytes) -> None:
        """Write a document once; the same again is no fault."""
        if name == self._directory.job.name:
            self._directory.path.mkdir(mode=0o700, exist_ok=True)
        path = self._directory.path / name
        if _digest(path) == sha256(content).hexdigest():
            return
        self._directory.write_once(path, content)

    def _start(self, asked: errand.Start) -> None:
        """Begin the work in a session of its own, whose output holds the lock for as long as it runs.

        Raises:
            Refused: other work runs.
        """
        descriptor = os.open(
            self._output, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            if not _locked(descriptor, fcntl.LOCK_EX, _TRIES):
                if self._begun()[0] == asked.number:
                    return
                raise Refused(f"{self._directory.path.name} is being worked on there already; follow it")
            if self._begun()[0] == asked.number:
                return
            os.ftruncate(descriptor, 0)
            write_all(descriptor, asked.number.encode() + b"\n")
            os.fsync(descriptor)
            self._spawn(asked, descriptor)
        finally:
            os.close(descriptor)

    def _spawn(self, asked: errand.Start, output: int) -> None:
        reading, writing = os.pipe()
        try:
            os.set_inheritable(reading, True)
            write_all(writing, asked.passphrase + b"\n")  # at most 4 KiB: a pipe takes that (pipe(7))
            null = os.devnull
            os.posix_spawn(
                sys.executable,
                [
                    sys.executable,
                    "-P",
                    "-c",
                    f"import sys; {_ROOT!r} in sys.path or sys.path.insert(0, {_ROOT!r}); "
                    "from deleatur.cli import main; main()",
                    *self._words(asked, reading),
                ],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, null, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_OPEN, 2, null, os.O_WRONLY, 0),
                ],
                setsid=True,
            )
        finally:
            os.close(reading)
            os.close(writing)

    def _words(self, asked: errand.Start, reading: int) -> Sequence[str]:
        begun = "resume" if self._directory.journal.exists() else "run"
        command = "plan" if asked.work == "plan" else begun
        words = [command, str(self._directory.path), "--json", "--passphrase-file", f"/dev/fd/{reading}"]
        return words if self._settings is None else [*words, "--settings", str(self._settings)]

    def _standing(self) -> errand.Standing:
        running = self._running()
        number, output = self._begun()
        return errand.Standing(
            running=running,
            number=number,
            ending=None if running else _ending(output),
            job=_digest(self._directory.job),
            plan=_digest(self._directory.plan),
            files=tuple(sorted(self._files())),
        )

    def _running(self) -> bool:
        try:
            with opened(self._output) as file:
                return not _locked(file.fileno(), fcntl.LOCK_SH, 1)
        except FileNotFoundError:
            return False

    def _begun(self) -> tuple[str, bytes]:
        """Return the number of the work that was begun last, and what it printed."""
        try:
            first, _, output = read_plain(self._output, _MAX_OUTPUT).partition(b"\n")
        except FileNotFoundError:
            return "", b""
        return first.decode("ascii", "replace"), output

    def _files(self) -> list[str]:
        root = self._directory.path
        found = [path for path in self._directory.certificate.rglob("*") if path.is_file()]
        return [str(path.relative_to(root)) for path in [*found, *self._directory.reports()]]

    def _piece(self, name: str, offset: int) -> errand.Piece:
        """Read a piece of a document; of what a crash could still take back, nothing is told.

        Raises:
            Gone: it is not there; a journal that was not begun is empty.
        """
        try:
            with opened(self._directory.path / name) as file:
                size = os.fstat(file.fileno()).st_size
                os.fsync(file.fileno())
                content = os.pread(file.fileno(), min(MAX_PIECE, max(size - offset, 0)), offset)
                return errand.Piece(content=content, size=size)
        except FileNotFoundError:
            if name == self._directory.journal.name:
                return errand.Piece(content=b"", size=0)
            raise Gone(f"there is no {name} there") from None


def _locked(descriptor: int, kind: int, tries: int) -> bool:
    for left in range(tries - 1, -1, -1):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(_PAUSE)
        else:
            return True
    return False


def _ending(output: bytes) -> errand.Ending | None:
    try:
        last = msgspec.json.decode(output, type=_Output)
    except msgspec.DecodeError:
        return None  # killed before it could say anything
    return errand.Ending(error=last.error, text=last.text, exit_code=last.exit_code)


def _digest(path: Path) -> str:
    try:
        with opened(path) as file:
            digest = sha256()
            while part := file.read(1 << 20):
                digest.update(part)
            return digest.hexdigest()
    except FileNotFoundError:
        return ""
