"""A draft on a store that takes other letters for the same than we do: it selects one person all the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deleatur.engine.drafting import Request, draft_job
from deleatur.engine.jobs import read_plan
from deleatur.errors import Refused
from deleatur.testing.workbench import Workbench

from ..mariadb_server import Server, server_on_a_disk
from .subject_office import mapped, search

pytestmark = pytest.mark.root
REQUEST = Request(datamap=Path("map"), name="x", authority="request 12", requested_by="privacy-office")
WHOSE = "e-mail: family@example.org\nperson-name: Anna Müller\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_on_a_disk() as running:
        yield running


@pytest.fixture
def shop(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """Three people; to the table's collation two of them have one name."""
    monkeypatch.setenv("DELEATUR_MARIADB_OPTIONS", str(server.credentials))
    name = f"shop_{request.param}".lower()
    server.run(
        f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        f"CREATE TABLE {name}.people (name VARCHAR(80), email VARCHAR(80), k {request.param}(8) PRIMARY KEY)",
        f"INSERT INTO {name}.people VALUES ('Anna Müller', 'family@example.org', 'k1'), "
        "('Bert Gross', 'family@example.org', 'k2'), ('Anna Muller', 'anna@example.net', 'k3')",
    )
    server.settle()
    return server.url(name)


@pytest.mark.parametrize("shop", ["VARCHAR"], indirect=True)
def test_a_collation_that_leaves_accents_aside_draws_nobody_else_in(shop: str, tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "bench")
    datamap = mapped(bench, x=shop)
    found = search(datamap, bench, WHOSE)
    directory, _ = draft_job(tmp_path / "job", datamap, found, REQUEST, bench.registry)
    directory.job.write_text(directory.job.read_text("utf-8").partition("[datamap]")[0], "utf-8")
    bench.plan(directory)
    (target,) = read_plan(directory).plan.targets
    assert target.size == 1
    assert target.target.select[0].where[0].column == "k"


@pytest.mark.parametrize("shop", ["VARBINARY"], indirect=True)
def test_rows_that_only_our_comparison_tells_apart_are_left_to_a_person(shop: str, tmp_path: Path) -> None:
    bench = Workbench(tmp_path / "bench")
    datamap = mapped(bench, x=shop)
    found = search(datamap, bench, WHOSE)
    assert found.records == 1
    with pytest.raises(Refused, match="x/people has no column that tells these rows from all others"):
        draft_job(tmp_path / "job", datamap, found, REQUEST, bench.registry)
    assert not (tmp_path / "job").exists()
