"""What changes between the approval and the deletion is refused by name, and nothing goes: on real servers.

A row may come to the selected ones, leave them, or become another; before the run, where the engine looks
again, and behind that look, where only the backend is left to see it, in the transaction that deletes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deleatur.api import Cursor, Refused, Step
from deleatur.testing.workbench import Workbench
from deleatur_plugins.mariadb import MariadbBackend
from deleatur_plugins.postgresql import PostgresqlBackend

from ..mariadb_server import Server, server_on_a_disk
from ..postgresql_server import RunningServer, running_server
from . import test_mariadb_backend as on_mariadb
from . import test_postgresql_backend as on_postgresql

pytestmark = pytest.mark.root

HELD = """
[[target.hold]]
id = "claim"
reason = "a claim"
table = "person"
where = [{ column = "id", operator = "=", value = 6 }]
"""
CHANGES = {
    "a row came": ("selected", "INSERT INTO person (id, leaves, name) VALUES (400, TRUE, 'just now')"),
    "a row was turned": ("selected", "UPDATE person SET leaves = TRUE WHERE id = 1"),
    "a row is another": ("selected", "UPDATE person SET memo = 'just now' WHERE id = 2"),
    "a row went": ("selected", "DELETE FROM person WHERE id = 4"),
    "a held row is another": ("held", "UPDATE person SET memo = 'just now' WHERE id = 6"),
}


@dataclass(frozen=True)
class People:
    """Forty people in a database, half of whom leave; one of those is held."""

    run: Any
    text: str
    backend: type[Any]

    def rows(self) -> list[tuple[Any, ...]]:
        return list(self.run("SELECT id, leaves, name, memo FROM person ORDER BY id"))


@pytest.fixture(scope="module")
def postgresql() -> Iterator[RunningServer]:
    with running_server(megabytes=120) as server:
        yield server


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    with server_on_a_disk() as server:
        server.run("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def people(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[People]:
    server = request.getfixturevalue(request.param)
    if request.param == "mariadb":
        monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
        with on_mariadb.of_forty_people(server) as name:
            text = on_mariadb.job_text(server, name).replace("device = true", "device = false")
            yield People(partial(server.run, database=name), text + HELD, MariadbBackend)
    else:
        with on_postgresql.of_forty_people(server) as name:
            text = on_postgresql.job_text(server, name, device=False)
            yield People(partial(server.run, database=name), text + HELD, PostgresqlBackend)


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_before_the_run(people: People, tmp_path: Path, change: str) -> None:
    which, statement = CHANGES[change]
    bench = Workbench(tmp_path)
    job = bench.job(people.text)
    bench.plan(job)
    bench.approve(job)
    people.run(statement)
    before = people.rows()
    with pytest.raises(Refused, match=f"people: 1 {which} units changed since the plan; plan again"):
        bench.run(job)
    assert people.rows() == before
    assert not job.certificate.exists()


OFTEN = ("a row came", "a held row is another")


@pytest.mark.parametrize(
    "change", [c if c in OFTEN else pytest.param(c, marks=pytest.mark.campaign) for c in CHANGES]
)
def test_what_changed_behind_the_last_look(
    people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    which, statement = CHANGES[change]
    honest = people.backend.erase
    before = []

    def late(backend: Any, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        people.run(statement)
        before.extend(people.rows())
        yield from honest(backend, step, after)

    monkeypatch.setattr(people.backend, "erase", late)
    bench = Workbench(tmp_path)
    with pytest.raises(Refused, match=f"the {which} rows changed since the plan; plan again"):
        bench.whole(people.text)
    assert before
    assert people.rows() == before
    assert not (tmp_path / "job" / "certificate").exists()
