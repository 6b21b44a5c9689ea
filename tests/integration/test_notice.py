"""People are told before their records go: letters, mail, files, what comes back, and the gate that asks."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
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
from deleatur.trust.verification import verify

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
        references = [line.split(",")[0] for line in path.read_text().splitlines()[1:] if line[:8].isalnum()]
        self.back("reference,status\n" + f"{references[0]},delivered\n")

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


def test_the_whole_way(case: Case) -> None:
    assert case.send() == {"told": 4}
    assert sorted(case.post.clerk.to) == [f"canary{n}@mail.example.org" for n in (1, 2, 5, 6)]
    (path,) = case.write()
    assert path.stat().st_mode & 0o777 == 0o600
    reference = path.read_text().splitlines()[1].split(",")[0]
    state = case.desk().state()
    assert (state.told, state.unreached, state.untold) == (4, 2, 0)
    case.bench.later(days=1)
    assert case.back(f"reference,status\n{reference},delivered\n") == {"delivered": 1}
    assert (case.folder / "notice" / "held.txt").read_text() == "4\n"  # whom nothing can reach
    case.bench.later(days=31, hours=2)
    case.plan()
    case.run()
    assert case.rows() == [4, 999]
    certificate = verify(case.directory.certificate, [case.bench.agent.public], 1, None).certificate
    (condition,) = certificate.conditions
    assert condition.gate == "notice"
    assert [(c.name, c.count) for c in condition.counts] == [("told", 5), ("unreached", 0), ("replied", 0)]
    assert "(people: 5, the last at 2026-11-23T" in condition.sentences[0].text
    assert not (case.folder / "notice" / "notice.key").exists()
    for file in [*case.directory.path.rglob("*"), *(case.folder / "notice").rglob("*")]:
        if file.is_file():
            assert b"anary" not in file.read_bytes(), file
            assert b"55501" not in file.read_bytes(), file
