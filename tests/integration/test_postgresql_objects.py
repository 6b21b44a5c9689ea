"""Large objects of PostgreSQL go with the only rows that point to them, and no other does."""

from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Literal

import pytest

from deleatur.api import Refused, Step
from deleatur.documents.job import ArchivedTable, Rule
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from ..postgresql_people import REWRITE, SWAP, opened
from ..postgresql_server import RunningServer, running_server

OBJECTS = "SELECT l.oid, lo_get(l.oid) FROM pg_largeobject_metadata AS l ORDER BY l.oid"

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(settings={"max_prepared_transactions": "2"}, megabytes=100) as server:
        yield server


@pytest.fixture
def database(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[str]:
    """Twelve people with a photo each, half of whom leave; number 2 shares his with number 3."""
    name = f"d{sha256(request.node.name.encode()).hexdigest()[:8]}"
    server.run(f"CREATE DATABASE {name}")
    server.run(
        "CREATE DOMAIN lo AS oid",  # all that the extension of that name brings, but its trigger
        "CREATE TABLE person (id int PRIMARY KEY, leaves boolean, name text, photo lo)",
        "INSERT INTO person SELECT n, n % 2 = 0, md5(random()::text), lo_from_bytea(0, convert_to("
        "string_agg(md5(n::text || k || random()), ''), 'UTF8')) "
        "FROM generate_series(1, 12) n, generate_series(1, 150) k GROUP BY n",
        "SELECT lo_unlink(photo) FROM person WHERE id IN (3, 12)",
        "UPDATE person SET photo = (SELECT photo FROM person WHERE id = 2) WHERE id = 3",
        "UPDATE person SET photo = lo_create(0) WHERE id = 12",  # without any page
        "VACUUM FULL pg_largeobject",
        "ANALYZE",
        "CHECKPOINT",
        database=name,
    )
    yield name
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


def pages(server: RunningServer, database: str, which: str) -> list[bytes]:
    """Return a part of each page of the photos of people."""
    query = (
        "SELECT DISTINCT substr(l.data, 100, 64) FROM pg_largeobject l JOIN person p ON l.loid = p.photo "
        f"WHERE {which}"
    )
    return [bytes(part) for (part,) in server.run(query, database=database)]


@pytest.mark.parametrize("step", [REWRITE, SWAP])
def test_objects_go_with_the_only_rows_that_point_to_them(
    server: RunningServer, database: str, step: Step
) -> None:
    staying = server.run(
        OBJECTS.replace("ORDER", "WHERE l.oid IN (SELECT photo FROM person WHERE NOT leaves) ORDER"),
        database=database,
    )
    going = pages(server, database, "leaves AND id <> 2")
    assert len(going) == 4 * 3, "of people 4, 6, 8 and 10; that of 12 is empty"
    raw = server.raw()
    assert all(part in raw for part in going), "the control of this test"
    with closing(opened(server, database, technique=step.technique)) as backend:
        look = backend.inspect()
        assert look.blockers == ()
        assert {unit.name: unit.size for unit in look.units} == {"table person": 6, "large objects": 5}
        shared = "large objects that rows which stay point to as well"
        assert [(u.name, u.size) for u in look.held] == [(shared, 1)]
        places = [p for p in backend.sample(None, bytes(32)) if p.unit == "large objects"]
        probed = [backend.probe(p) for p in places]
        assert all(any(part in (value or b"") for value in probed) for part in going)
        before = list(backend.bystanders())
        assert list(backend.erase(step, None))[-1].position == "reclaimed 11"
    with closing(opened(server, database, technique=step.technique)) as backend:
        assert [p for p in places if backend.probe(p) is not None] == []
        assert list(backend.bystanders()) == before
        look = backend.inspect()
        assert (look.size, look.units, look.held) == (0, (), ())
    assert server.run(OBJECTS, database=database) == staying
    raw = server.raw()
    assert [part for part in going if part in raw] == []


def test_a_job_with_objects_is_certified(server: RunningServer, database: str, tmp_path: Path) -> None:
    text = f"""
schema = "deleatur/job/v1"
name = "leavers"
reason = "retention-expired"
authority = "policy 3"
requested_by = "legal"

[[target]]
id = "people"
url = "{server.url(database)}"

[[target.select]]
table = "person"
where = [{{ column = "id", operator = "<=", value = 6 }}]
"""
    bench = Workbench(tmp_path)
    job = bench.whole(text)
    said = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert said.verification[0].verdict == "CLEAN"
    assert server.run("SELECT count(*) FROM pg_largeobject_metadata", database=database) == [(6,)]


def test_an_object_that_was_left_is_found_at_its_place(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.postgresql.deleting.unlink", lambda *_: None)
    with closing(opened(server, database)) as backend:
        places = list(backend.sample(None, bytes(32)))
        list(backend.erase(REWRITE, None))
        left = [p for p in places if backend.probe(p) is not None]
    assert {p.unit for p in left} == {"large objects"}


def test_an_archive_that_would_keep_numbers_instead_of_objects_is_refused(
    server: RunningServer, database: str
) -> None:
    rules = {name: Rule(rule="keep") for name in ("id", "leaves", "name", "photo")}
    cases: tuple[tuple[Literal["keep", "drop"], bool], ...] = (("keep", True), ("drop", False))
    for rule, refused in cases:
        archive = (ArchivedTable(table="person", columns={**rules, "photo": Rule(rule=rule)}),)
        with closing(opened(server, database, archive=archive)) as backend:
            if refused:
                with pytest.raises(Refused, match="the numbers of large objects, and not what they hold"):
                    backend.inspect()
            else:
                assert backend.inspect().size == 11


@pytest.mark.parametrize(
    ("before", "named"),
    [
        (
            "ALTER TABLE person ALTER photo TYPE oid",
            "rows of 'person' that would go hold in 'photo' the numbers of 6 large objects, which would stay",
        ),
        (
            "CREATE TABLE album (photos oid[])",
            "'photos' of 'album' is a list of numbers, and nobody can tell",
        ),
        ("CREATE TABLE album (photos lo[])", "'photos' of 'album' is a list of numbers, and nobody can tell"),
    ],
)
def test_what_nobody_can_tell_is_refused_by_name(
    server: RunningServer, database: str, before: str, named: str
) -> None:
    server.run(before, database=database)
    objects = server.run(OBJECTS, database=database)
    with closing(opened(server, database)) as backend:
        (found,) = backend.inspect().blockers
        assert found.startswith(named)
        with pytest.raises(Refused):
            next(backend.erase(REWRITE, None))
    assert server.run(OBJECTS, database=database) == objects


def test_a_row_of_any_table_keeps_an_object_declared_or_not(server: RunningServer, database: str) -> None:
    server.run(
        "CREATE TABLE wall AS SELECT id, photo::oid AS hangs FROM person WHERE id IN (4, 6)",
        database=database,
    )
    with closing(opened(server, database)) as backend:
        look = backend.inspect()
        assert [u.size for u in look.units if u.name == "large objects"] == [3]
        assert [u.size for u in look.held] == [3]
        list(backend.erase(REWRITE, None))
    query = "SELECT count(*) FROM wall JOIN pg_largeobject_metadata AS l ON l.oid = hangs"
    assert server.run(query, database=database) == [(2,)]


def test_more_objects_than_one_transaction_may_lock_are_named(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.postgresql.objects._LOCKS", "SELECT 8, 4")
    with closing(opened(server, database)) as backend:
        (found,) = backend.inspect().blockers
    assert found.endswith("the server has 8 for all; set max_locks_per_transaction to 3 and restart it")


def test_what_was_said_of_an_object_goes_as_well(server: RunningServer, database: str) -> None:
    ((number,),) = server.run("SELECT photo FROM person WHERE id = 4", database=database)
    remark = sha256(database.encode()).hexdigest()
    server.run(f"COMMENT ON LARGE OBJECT {number} IS '{remark}'", "CHECKPOINT", database=database)
    assert remark.encode() in server.raw(), "the control of this test"
    with closing(opened(server, database)) as backend:
        list(backend.erase(REWRITE, None))
    assert remark.encode() not in server.raw()
