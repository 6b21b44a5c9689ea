"""The job's directory: its documents, its lock, and the one way a file in it comes to be.

`plan.json` + `journal.jsonl` are the recovery; there is no other state. Files are written whole
under a temporary name, fsynced, and linked to their name once: a name is never written twice.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deleatur.documents.codec import MAX_JOB, MAX_PLAN
from deleatur.engine.reading import read_plain
from deleatur.errors import Refused

_MODE = 0o600  # a job names places; nobody else needs to know them
MAX_APPROVAL = 1 << 20  # bytes
STAMPS = "stamps"  # of time-stamp authorities, over the certificate
RECORDS = "records"  # of what others destroyed: docs/spec/attested.md


class JobDirectory:
    """One job: `job.toml`, `plan.json`, `approvals/`, `journal.jsonl`, `archive/`, `certificate/`."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.job = self.path / "job.toml"
        self.plan = self.path / "plan.json"
        self.plan_signature = self.path / "plan.dsse.json"
        self.approvals = self.path / "approvals"
        self.journal = self.path / "journal.jsonl"
        self.archive = self.path / "archive"
        self.certificate = self.path / "certificate"
        self.spool = self.path / "spool.bin"
        self.digest_key = self.path / "digest.key"
        self.token_key = self.path / "token.key"
        self.custody = self.path / "custody"
        self.records = self.path / RECORDS
        self.stamps = self.path / STAMPS
        self.host = self.path / "host.toml"
        self.output = self.path / "run.out"  # of work that another host asked for

    def report(self, entries: int) -> Path:
        """Return where residue is reported that was found after so many entries of the journal."""
        return self.path / f"residue-{entries}.json"

    def reports(self) -> tuple[Path, ...]:
        """Return the reports of residue that are there."""
        return tuple(sorted(self.path.glob("residue-*.json")))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory: two runs of one job at once are refused.

        Raises:
            Refused: another process works in this directory, or a name in it leads elsewhere.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(f"another process works in {self.path}; wait until it ends") from None
            self.require_plain()
            self._drop_second_names()
            yield
        finally:
            os.close(descriptor)

    def require_plain(self) -> None:
        """Refuse links and devices where the job has its files: they would be read or destroyed elsewhere.

        Raises:
            Refused: a name in it leads elsewhere.
        """
        folders = (self.approvals, self.archive, self.certificate, self.custody)
        inside = [file for folder in (self.approvals, self.archive) for file in _listed(folder)]
        files = (
            self.job,
            self.plan,
            self.plan_signature,
            self.journal,
            self.spool,
            self.digest_key,
            self.token_key,
            *inside,
        )
        for path, right in [*((f, stat.S_ISDIR) for f in folders), *((f, stat.S_ISREG) for f in files)]:
            if os.path.lexists(path) and not right(path.lstat().st_mode):
                raise Refused(f"{path} is a link or another thing than the job made; look and remove it")

    def _drop_second_names(self) -> None:
        """Remove the temporary names that a kill inside `write_once`, after its link, left."""
        for folder in (self.path, self.approvals):
            for temporary in folder.glob(".*.new"):
                path = temporary.with_name(temporary.name.removeprefix(".").removesuffix(".new"))
                if path.is_file() and temporary.is_file() and temporary.samefile(path):
                    temporary.unlink()
                    sync_directory(folder)

    def read_job(self) -> bytes:
        """Return job.toml as it lies there."""
        return self._read(self.job, MAX_JOB, "write a job first, or use `deleatur erase URL`")

    def read_plan(self) -> bytes:
        """Return plan.json as it was approved."""
        return self._read(self.plan, MAX_PLAN, "make one with `deleatur plan`")

    def read_plan_signature(self) -> bytes:
        """Return the planner's signature."""
        return self._read(self.plan_signature, MAX_APPROVAL, "the plan was cut short; make a new job")

    def read_approvals(self) -> dict[str, bytes]:
        """Return the approval envelopes by file name."""
        if not self.approvals.is_dir():
            return {}
        files = sorted(self.approvals.glob("*.dsse.json"))
        return {f.name: read_plain(f, MAX_APPROVAL) for f in files}

    def require_here(self) -> None:
        """Refuse a job that is done on another host: its targets have the same names here.

        Raises:
            Refused: there is a host.toml.
        """
        if os.path.lexists(self.host):
            raise Refused(
                f"{self.host.name} says that this job is done on another host; use `deleatur remote plan` "
                "and `deleatur remote run`"
            )

    def _read(self, path: Path, limit: int, advice: str) -> bytes:
        try:
            return read_plain(path, limit)
        except FileNotFoundError:
            raise Refused(f"there is no {path.name} in {self.path}; {advice}") from None

    def write_once(self, path: Path, content: bytes) -> None:
        """Write a file that must not exist yet, durably and all at once.

        Raises:
            Refused: it exists.
        """
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _MODE)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise Refused(f"{path.name} stands already in {path.parent}; it is written once") from None
        finally:
            temporary.unlink()
        sync_directory(path.parent)


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte: a short write is not an error to the kernel, but it is to us."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(path: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
