"""Whole jobs that look into a server's memory: residue until it is restarted, and read before it is asked."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from deleatur.api import MEMORY_OF, Failed, Inspection, Surface, Target
from deleatur.engine import looking
from deleatur.engine.directory import JobDirectory
from deleatur.engine.sampled import recall_searched
from deleatur.errors import Residue, Transient
from deleatur.judge.fold import Progress
from deleatur.sanitize.needles import NeedleSet
from deleatur.testing.memory import MemoryBackend, Store, memory_url
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from .. import mariadb_server, postgresql_people, postgresql_server
from ..server_memory import job_with_memory
from . import test_mariadb_backend

PEOPLE = [b"Ada Lovelace, of London, who left", b"Grace Hopper, of Arlington, who left"]
KEEPS = "import sys; kept = []\nfor line in sys.stdin: kept.append(line); print('kept', flush=True)"
SELECTED = '[[target.select]]\ntable = "people"\n'


class Asked(MemoryBackend):
    """A store with a server that keeps whatever it is asked; each look asks for the values."""

    server: ClassVar["subprocess.Popen[str]"]
    folder: ClassVar[Path]

    def inspect(self) -> Inspection:
        """Ask for the values, whether they are still there or not."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        for value in PEOPLE:
            self.server.stdin.write(f"{value.decode()}\n")
            self.server.stdin.flush()
            assert self.server.stdout.readline() == "kept\n"
        look = super().inspect()
        memory = Surface(name="memory of the server", reach="scannable", paths=(f"{MEMORY_OF}{self.folder}",))
        return replace(look, surfaces=(*look.surfaces, memory))


@contextmanager
def served(folder: Path) -> Iterator[None]:
    """Run the server that keeps what it is asked, in a folder."""
    folder.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", KEEPS], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        Asked.server, Asked.folder = process, folder
        try:
            yield
        finally:
            process.kill()
            process.wait(30)


def asked_until_residue(tmp_path: Path) -> tuple[Workbench, JobDirectory]:
    """Run a job to its first end, while the server is asked all the time."""
    Store.create(tmp_path / "store", {"people": PEOPLE, "other": [b"who stays, and is somebody else"]})
    bench = Workbench(tmp_path / "jobs", {"memory": Asked})
    job = bench.job(job_with_memory(memory_url(tmp_path / "store"), SELECTED))
    with served(tmp_path / "server"):
        bench.plan(job)
        bench.approve(job)
        with pytest.raises(Residue):
            bench.run(job)
    return bench, job


def test_after_a_restart_memory_is_read_before_the_server_is_asked_for_anything(tmp_path: Path) -> None:
    bench, job = asked_until_residue(tmp_path)
    with served(tmp_path / "server"):
        bench.run(job)
    (verification,) = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification
    (memory,) = (s for s in verification.surfaces if s.name == "memory of the server")
    assert (verification.verdict, memory.values_seen_before, memory.hits_after) == ("CLEAN", 2, 0)


def test_without_a_restart_it_is_residue_again_and_again(tmp_path: Path) -> None:
    bench, job = asked_until_residue(tmp_path)
    with served(tmp_path / "server"):
        target = Target(id="t", url=memory_url(tmp_path / "store"))
        Asked.open(target, {"digest-key": bytes(32)}).inspect()  # somebody else asked
        for _ in range(2):
            with pytest.raises(Residue):
                bench.run(job)
    assert not job.certificate.exists()


def test_memory_that_is_read_after_the_server_was_asked_shows_our_own_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the order: with the early look left out, the job never ends."""
    bench, job = asked_until_residue(tmp_path)
    monkeypatch.setattr(Progress, "done", lambda *_: False)
    with served(tmp_path / "server"), pytest.raises(Residue):
        bench.run(job)


def test_a_server_that_does_not_run_is_waited_for(tmp_path: Path) -> None:
    bench, job = asked_until_residue(tmp_path)
    with pytest.raises(Transient, match="start it, and resume"):
        bench.run(job)
    with served(tmp_path / "server"):
        bench.run(job)
    (verification,) = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification
    assert verification.verdict == "CLEAN"


def test_a_search_for_fewer_values_than_the_control_had_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, job = asked_until_residue(tmp_path)

    def fewer(*those: Any) -> NeedleSet:
        searched = recall_searched(*those)
        assert searched is not None
        return searched.without([0])

    monkeypatch.setattr(looking, "recall_searched", fewer)
    with served(tmp_path / "server"), pytest.raises(Failed, match="not those of the control"):
        bench.run(job)


# --- whole jobs on servers


@contextmanager
def postgresql(technique: str) -> Iterator[tuple[str, Callable[[], None]]]:
    settings = {"max_prepared_transactions": "2"}
    with (
        postgresql_server.running_server(settings=settings, megabytes=120) as server,
        postgresql_people.of_forty_people(server) as database,
    ):

        def restart() -> None:
            server.control("-m", "fast", "stop")
            server.start()

        yield postgresql_people.job_text(server, database, technique=technique), restart


@contextmanager
def mariadb(technique: str) -> Iterator[tuple[str, Callable[[], None]]]:
    with (
        mariadb_server.server_on_a_disk() as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
        server.run("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")

        def restart() -> None:
            server.stop()
            server.start()

        with test_mariadb_backend.of_forty_people(server) as database:
            yield test_mariadb_backend.job_text(server, database, technique), restart


@pytest.mark.root
@pytest.mark.campaign
@pytest.mark.parametrize(
    ("engine", "technique"), [(postgresql, ""), (postgresql, "swap-and-shred"), (mariadb, "")]
)
def test_what_an_engine_keeps_in_memory_is_residue_until_it_is_restarted(
    engine: Callable[[str], AbstractContextManager[tuple[str, Callable[[], None]]]],
    technique: str,
    tmp_path: Path,
) -> None:
    with engine(technique) as (text, restart):
        bench = Workbench(tmp_path)
        with pytest.raises(Residue):
            bench.whole(text.replace("device = true", "device = false\nmemory = true"))
        job = JobDirectory(tmp_path / "job")
        assert "occurrences of" in job.journal.read_text()
        restart()
        bench.run(job)
        certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
    (verification,) = certificate.verification
    (memory,) = (s for s in verification.surfaces if s.name == "memory of the server")
    assert verification.verdict == "CLEAN"
    assert memory.values_seen_before == verification.needles.count >= 20
    assert (memory.hits_after, memory.unreadable_after) == (0, 0)
    assert memory.bytes_after > 1 << 20
    limits = {s.id for s in certificate.known_limits}
    assert "memory-elsewhere" in limits
    assert "process-memory" not in limits
    assert "earlier-finding" in {e.sentence.id for e in certificate.exceptions}
