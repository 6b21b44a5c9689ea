"""A server that dies around any entry of a job's journal: after its start the job ends at the same zero."""

import itertools
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from deleatur.documents.journal import AnyEvent, Entry
from deleatur.engine.chronicle import Chronicle
from deleatur.engine.directory import JobDirectory
from deleatur.errors import DeleaturError
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from .. import postgresql_server, redis_server
from . import test_postgresql_backend as postgresql
from . import test_redis_backend as redis

Moment = Literal["before", "after"]

pytestmark = pytest.mark.root


@dataclass(frozen=True)
class World:
    """People on a server, of whom half leave; how the server dies and comes back, and what it holds."""

    job_text: str
    kill: Callable[[], None]
    start: Callable[[], None]
    going: list[bytes]
    found: Callable[[list[bytes]], int]
    staying: Callable[[], list[bytes]]


@contextmanager
def on_postgresql() -> Iterator[Callable[[], AbstractContextManager[World]]]:
    @contextmanager
    def world() -> Iterator[World]:
        def found(needles: list[bytes]) -> int:
            raw = server.raw()
            return sum(needle in raw for needle in needles)

        with postgresql.of_forty_people(server) as database:
            yield World(
                postgresql.job_text(server, database, device=False),
                partial(postgresql.kill_server, server),
                server.start,
                postgresql.values(server, database),
                found,
                partial(postgresql.values, server, database, "NOT leaves"),
            )

    with postgresql_server.running_server(megabytes=120) as server:
        yield world


@contextmanager
def on_redis() -> Iterator[Callable[[], AbstractContextManager[World]]]:
    @contextmanager
    def world() -> Iterator[World]:
        """On a new disk: the names of keys would be found in what an earlier round gave back."""
        with redis_server.server_on_a_disk() as server:
            redis.filled(server)
            yield World(
                redis.job_text(server),
                partial(server.stop, signal.SIGKILL),
                server.start,
                redis.values(server),
                partial(redis.found, server),
                partial(redis.values, server, "no"),
            )

    yield world


SERVERS = {"postgresql": on_postgresql, "redis": on_redis}


def killed_at_entry(
    bench: Workbench, job: JobDirectory, kill: Callable[[], None], number: int, moment: Moment
) -> bool:
    """Run the job while its server is killed around the `number`-th entry; say whether it came so far."""
    append, entries = Chronicle.append, 0

    def counted(chronicle: Chronicle, event: AnyEvent) -> Entry:
        nonlocal entries
        entries += 1
        if (entries, moment) == (number, "before"):
            kill()
        written = append(chronicle, event)
        if (entries, moment) == (number, "after"):
            kill()
        return written

    with pytest.MonkeyPatch.context() as patch, suppress(DeleaturError):
        patch.setattr(Chronicle, "append", counted)
        bench.run(job)
    return entries >= number


def lives_through(world: World, folder: Path, number: int, moment: Moment) -> bool:
    """Kill the server around an entry, let the job end, look; False when the job has fewer entries."""
    bench = Workbench(folder)
    job = bench.job(world.job_text)
    bench.plan(job)
    bench.approve(job)
    staying = world.staying()
    assert world.going, "the control: somebody leaves"
    if not killed_at_entry(bench, job, world.kill, number, moment):
        return False
    world.start()
    bench.run(job)
    certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert [v.verdict for v in certificate.verification] == ["CLEAN"], f"{moment} entry {number}"
    assert world.found(world.going) == 0, f"killed {moment} entry {number}"
    assert world.staying() == staying, f"killed {moment} entry {number}"
    return True


def test_a_server_killed_amid_a_job_ends_at_the_same_zero(tmp_path: Path) -> None:
    with on_postgresql() as worlds, worlds() as world:
        assert lives_through(world, tmp_path, 8, "before")


@pytest.mark.campaign
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("name", SERVERS)
def test_a_server_killed_at_any_entry_ends_at_the_same_zero(
    name: str, moment: Moment, tmp_path: Path
) -> None:
    with SERVERS[name]() as worlds:
        for number in itertools.count(1):
            with worlds() as world:
                if not lives_through(world, tmp_path / str(number), number, moment):
                    break
        assert number > 10, "the control: a job has more entries than that"
