"""A shop whose customers are told before their records go, with days that pass as a test says."""

import csv
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from deleatur.engine.directory import JobDirectory
from deleatur.engine.gates import notice as gate_module
from deleatur.engine.notices.desk import Desk
from deleatur.engine.notices.feedback import import_log
from deleatur.engine.notices.telling import send_letters, write_letters
from deleatur.engine.notices.uptime import Uptime
from deleatur.errors import DeleaturError, Refused
from deleatur.testing.workbench import Workbench

from .post_office import JOB, Post, shop

FIRST = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def quiet(_phase: str, _target: str, _done: int, _total: int) -> None:
    """Show nothing."""


class Days(Workbench):
    """A workbench whose clock, and whose host's uptime, go on by a second a call and by whole days."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.now = FIRST
        self.ran = 1000.0
        self.boot = "b0" * 32

    def clock(self) -> datetime:
        self.later(seconds=1)
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)
        self.ran += timedelta(**span).total_seconds()

    def uptime(self) -> Uptime:
        return Uptime(self.boot, int(self.ran))


class Case:
    """A shop, a post office and a job."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Days(folder)
        self.database = shop(folder / "crm.sqlite")
        self.post = Post(folder)
        self.directory = self.bench.job(JOB)

    def desk(self, directory: JobDirectory | None = None) -> Desk:
        return Desk(directory or self.directory, self.bench.registry, self.bench.clock, self.bench.uptime)

    def send(self) -> dict[str, int]:
        return dict(send_letters(self.desk(), self.bench.agent, self.post.server, 1000, quiet))

    def write(self) -> list[Path]:
        return [path for path, _ in write_letters(self.desk(), self.bench.agent, self.folder / "out", quiet)]

    def back(self, text: str | bytes, name: str = "log.csv") -> dict[str, int]:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return dict(import_log(self.desk(), self.bench.agent, [path]))

    def told_all(self) -> None:
        """Write to all, by mail and by text message; both logs say that they arrived."""
        self.send()
        (path,) = self.write()
        self.back(f"reference,status\n{references_in(path)[0]},delivered\n")

    def plan(self) -> None:
        self.bench.plan(self.directory)
        self.bench.approve(self.directory)

    def run(self) -> None:
        self.bench.run(self.directory)

    def again(self, name: str, job: str = JOB) -> None:
        """Make the job anew, with the same notice."""
        self.directory = self.bench.job(job, name)

    def rows(self) -> list[int]:
        with closing(sqlite3.connect(self.database)) as database:
            return [row[0] for row in database.execute("SELECT id FROM customers ORDER BY id")]

    def sql(self, statement: str) -> None:
        with closing(sqlite3.connect(self.database)) as database:
            database.execute(statement)
            database.commit()


def references_in(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["reference"] for row in csv.DictReader(file)]


def letter_to(case: Case, number: int) -> EmailMessage:
    """The letter that a customer got."""
    (found,) = (m for m in case.post.clerk.letters if m["To"] == f"canary{number}@mail.example.org")
    return found


def answer(letter: EmailMessage, sender: str, **headers: str) -> bytes:
    """An answer to a letter."""
    message = EmailMessage()
    message["From"], message["To"] = sender, str(letter["From"])
    message["In-Reply-To"] = str(letter["Message-ID"])
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("please keep my records, a complaint is open")
    return bytes(message)


def bounce(letter: EmailMessage, action: str = "failed", status: str = "5.1.1") -> bytes:
    """A delivery report as mail servers write it (RFC 3464, with RFC 3462)."""
    return (
        f"From: MAILER-DAEMON@mx.example.net\nTo: {letter['From']}\nSubject: Undelivered Mail\n"
        'MIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nSorry.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.net\n\n"
        f"Final-Recipient: rfc822; {letter['To']}\nAction: {action}\nStatus: {status}\n\n"
        f"--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: {letter['Message-ID']}\nSubject: x\n\n--b--\n"
    ).encode()


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Case]:
    made = Case(tmp_path)
    monkeypatch.setattr(gate_module, "uptime", made.bench.uptime)
    yield made
    made.post.close()


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(DeleaturError) as caught:
        act()
    assert isinstance(caught.value, Refused)
    assert caught.value.exit_code == 4
    assert "\n" not in str(caught.value)
    return str(caught.value)
