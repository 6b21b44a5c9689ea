"""For random schemas with foreign keys exactly the planned rows go, or none and a reason: on every engine.

`tests/foreign_keys.py` draws the worlds and knows the answers. Many worlds are a campaign; a few, and each
that once showed a defect, are tried in every run.
"""

import os
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings

from deleatur.api import Condition, Selection, Target, Within
from deleatur.sanitize.usage import Usage
from deleatur.testing.trial import steps_of
from deleatur_plugins.duckdb import DuckdbBackend
from deleatur_plugins.duckdb import backend as duckdb_backend
from deleatur_plugins.mariadb import MariadbBackend
from deleatur_plugins.postgresql import PostgresqlBackend, blockers
from deleatur_plugins.sqlite import SqliteBackend, backend, files, rebuild, rewriting

from ..foreign_keys import (
    NOWHERE,
    SECRETS,
    Action,
    Engine,
    Features,
    Key,
    Row,
    Rows,
    Table,
    Tally,
    World,
    inserts,
    judge,
    worlds,
)
from ..mariadb_server import Server, server_on_a_disk
from ..postgresql_server import RunningServer, running_server

EVERY = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")


class OnSqlite(Engine):
    """A new file for each world."""

    backend = SqliteBackend
    features = Features(actions=EVERY, deferrable=True)
    (step,) = steps_of("rewrite-and-shred", "t")
    names_orphans = False  # known only when the copy was tried

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"{uuid.uuid4().hex}.db"

    def target(self, world: World) -> Target:
        return Target(id="t", url=f"sqlite://{self._path}", select=world.select, hold=world.hold)

    def build(self, world: World) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous=OFF")
            for table in world.tables:
                rowid = " WITHOUT ROWID" if table.divided else ""
                database.execute(table.sql(*(key.sql for key in table.more)) + rowid)
            for statement in inserts(world):
                database.execute(statement)

    def rows(self, world: World) -> Rows:
        with closing(sqlite3.connect(self._path)) as database:
            return {t.name: _shown(t, database.execute(_all_of(t)).fetchall()) for t in world.tables}

    def remove(self) -> None:
        self._path.unlink()


class OnDuckdb(OnSqlite):
    """A new file for each world; no circles, and nothing acts on a deletion."""

    backend = DuckdbBackend
    features = Features(actions=("NO ACTION", "RESTRICT"), circles=False, dangling=False)
    names_orphans = True

    def target(self, world: World) -> Target:
        return Target(id="t", url=f"duckdb:{self._path}", select=world.select, hold=world.hold)

    def build(self, world: World) -> None:
        with closing(duckdb.connect(str(self._path))) as database:
            for table in world.tables:
                database.execute(table.sql(*(key.sql for key in table.more)))
            for statement in inserts(world):
                database.execute(statement)

    def rows(self, world: World) -> Rows:
        with closing(duckdb.connect(str(self._path), read_only=True)) as database:
            return {t.name: _shown(t, database.execute(_all_of(t)).fetchall()) for t in world.tables}


class OnPostgresql(Engine):
    """One database; the tables of a world are dropped after it. What is divided has partitions."""

    backend = PostgresqlBackend
    features = Features(actions=EVERY, deferrable=True, partitions=True)
    (step,) = steps_of("delete-rows", "t")
    names_orphans = True

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self._connection = server.connect()

    def target(self, world: World) -> Target:
        url = self._server.url()
        return Target(id="t", url=url, technique="delete-rows", select=world.select, hold=world.hold)

    def build(self, world: World) -> None:
        said = []
        for table in world.tables:
            said.append(table.sql(code="" if table.divided else "UNIQUE (code)"))
            if table.divided:
                said[-1] += " PARTITION BY LIST (part)"
                said.append(f"CREATE TABLE {table.name}_p0 PARTITION OF {table.name} FOR VALUES IN (0)")
                said.append(f"CREATE TABLE {table.name}_p1 PARTITION OF {table.name} DEFAULT")
        said += inserts(world)
        for key in world.keys:
            late = " NOT VALID" if key.dangling else ""
            said.append(f"ALTER TABLE {key.table} ADD {key.sql}{late}")
        self._connection.execute("; ".join(said).encode())

    def rows(self, world: World) -> Rows:
        return {
            t.name: _shown(t, self._connection.execute(_all_of(t).encode()).fetchall()) for t in world.tables
        }

    def remove(self) -> None:
        self._connection.execute(
            "DO $$ DECLARE t name; BEGIN FOR t IN SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND relnamespace = 'public'::regnamespace AND NOT relispartition LOOP "
            "EXECUTE format('DROP TABLE %I CASCADE', t); END LOOP; END $$"
        )
        self._connection.close()


class OnMariadb(Engine):
    """One database; the tables of a world are dropped after it."""

    backend = MariadbBackend
    features = Features()
    (step,) = steps_of("delete-rows", "t")
    names_orphans = True

    def __init__(self, server: Server) -> None:
        self._server = server
        self._name = f"d{uuid.uuid4().hex[:8]}"

    def target(self, world: World) -> Target:
        url = self._server.url(self._name)
        return Target(id="t", url=url, technique="delete-rows", select=world.select, hold=world.hold)

    def build(self, world: World) -> None:
        made = [f"CREATE DATABASE {self._name}", f"USE {self._name}", "SET foreign_key_checks=0"]
        made += [table.sql() for table in world.tables]
        made += [f"ALTER TABLE {key.table} ADD {key.sql}" for key in world.keys]
        self._server.run(*made, *inserts(world))

    def rows(self, world: World) -> Rows:
        with self._server.connected(self._name) as connection, connection.cursor() as cursor:
            found = {}
            for table in world.tables:
                cursor.execute(_all_of(table))
                found[table.name] = _shown(table, cursor.fetchall())
            return found

    def remove(self) -> None:
        self._server.run(f"DROP DATABASE {self._name}")


def _all_of(table: Table) -> str:
    return f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY n"


def _shown(table: Table, rows: Any) -> list[Row]:
    return [dict(zip(table.columns, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def postgresql() -> Iterator[RunningServer]:
    with running_server(settings={"autovacuum": "off"}) as server:
        yield server


@pytest.fixture(scope="module")
def mariadb() -> Iterator[Server]:
    with server_on_a_disk() as server:
        server.run("SET GLOBAL general_log = OFF", "SET GLOBAL slow_query_log = OFF")
        os.environ["DELEATUR_MARIADB_OPTIONS"] = str(server.credentials)
        yield server
        del os.environ["DELEATUR_MARIADB_OPTIONS"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in memory: the disk is not what is tried here."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def _no_look_at_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a new file open is no question here, and costs more than all the rest."""
    nobody = Usage(users={}, unseen=0)
    for module in (backend, files, rewriting, duckdb_backend):
        monkeypatch.setattr(module, "usage", lambda: nobody)


def one(engine: Any, world: World, tally: Tally) -> None:
    """Try one world."""
    try:
        engine.build(world)
        judge(world, engine, tally)
    finally:
        engine.remove()


def many(make: Callable[[], Any], features: Features, examples: int) -> None:
    """Try so many worlds."""
    tally = Tally()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(worlds(features))
    def each(world: World) -> None:
        one(make(), world, tally)

    each()
    assert tally.erased > examples // 5, "a property that never erases shows nothing"
    assert tally.refused or examples < 40


def examples(few: int, many: int) -> pytest.MarkDecorator:
    """Try a few worlds in every run, many in the campaign."""
    return pytest.mark.parametrize(
        "examples", [pytest.param(few, id="few"), pytest.param(many, id="many", marks=pytest.mark.campaign)]
    )


@examples(few=25, many=400)
def test_sqlite(folder: Path, examples: int) -> None:
    many(lambda: OnSqlite(folder), OnSqlite.features, examples)


@examples(few=4, many=25)
def test_duckdb(folder: Path, examples: int) -> None:
    many(lambda: OnDuckdb(folder), OnDuckdb.features, examples)


@pytest.mark.root
@examples(few=8, many=100)
def test_postgresql(postgresql: RunningServer, examples: int) -> None:
    many(lambda: OnPostgresql(postgresql), OnPostgresql.features, examples)


@pytest.mark.root
@examples(few=8, many=150)
def test_mariadb(mariadb: Server, examples: int) -> None:
    many(lambda: OnMariadb(mariadb), OnMariadb.features, examples)


# --- rogues: what the property must find out


def test_orphans_that_nobody_asks_for_are_found_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuild.Rebuild, "_refuse_new_violations", lambda *_: None)
    with pytest.raises(AssertionError, match="would dangle, and nobody said so"):
        one(OnSqlite(folder), two_tables(0, 1), Tally())


@pytest.mark.root
def test_a_cascade_that_nobody_asks_for_is_found_out(
    postgresql: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blockers, "_referring", lambda *_: iter(()))
    monkeypatch.setattr(OnPostgresql, "names_orphans", False)
    with pytest.raises(AssertionError, match="would dangle, and nobody said so"):
        one(OnPostgresql(postgresql), two_tables(0, 1, action="CASCADE"), Tally())


# --- worlds that once showed a defect


def two_tables(
    *told: int | None, divided: bool = False, referred: tuple[str, ...] = ("id",), **fields: Any
) -> World:
    """Rows of `t1` refer to three rows of `t0`, of which the first goes."""
    said: dict[str, Any] = {"action": "NO ACTION", "nullable": True, "deferrable": False, "dangling": False}
    columns = ("k0a", "k0b")[: len(referred)]
    key = Key(number=0, table="t1", columns=columns, refers_to="t0", referred=referred, **said | fields)
    wide = ("id", "part")
    tables = (
        Table(name="t0", key=referred, divided=divided and referred == wide),
        Table(name="t1", key=wide, divided=divided, more=(key,)),
    )
    rows = {
        "t0": [{"n": n, "id": n, "part": 0, "code": n, "mark": 0} for n in range(3)],
        "t1": [
            {"n": n, "id": n, "part": 0, "code": n, "mark": 0, **dict(zip(columns, (value, 0), strict=False))}
            for n, value in enumerate(told)
        ],
    }
    first = Condition(column="n", operator="in", values=(0,))
    return World(tables, rows, (Selection(table="t0", where=(first,)),))


def test_a_row_without_a_number_is_told_from_one_that_dangled_before(folder: Path) -> None:
    """SQLite's own check names rows of a table WITHOUT ROWID by nothing, so one was taken for the other."""
    tally = Tally()
    one(OnSqlite(folder), two_tables(NOWHERE, 0, divided=True, dangling=True), tally)
    assert tally.refused == 1


@pytest.mark.root
@pytest.mark.parametrize("action", EVERY)
def test_partitions_that_refer_to_partitions(postgresql: RunningServer, action: Action) -> None:
    """The catalogs have no key between them, so nobody saw that a cascade would take rows along."""
    tally = Tally()
    world = two_tables(0, 1, divided=True, referred=("id", "part"), action=action)
    one(OnPostgresql(postgresql), world, tally)
    assert tally.refused == 1


@pytest.mark.root
@pytest.mark.parametrize("make", [OnPostgresql, OnDuckdb])
def test_a_selection_that_finds_more_once_its_rows_are_gone(
    make: Any, postgresql: RunningServer, folder: Path
) -> None:
    """It names what refers to no row that goes: when that one is gone, it names everything."""
    world = two_tables(None, 1)
    inner = Within(table="t0", column="id", where=(Condition(column="n", operator="in", values=(0,)),))
    rest = Condition(column="k0a", operator="not-within", within=inner)
    world = World(world.tables, world.rows, (*world.select, Selection(table="t1", where=(rest,))))
    tally = Tally()
    one(make(postgresql if make is OnPostgresql else folder), world, tally)
    assert tally.refused == 1


def test_rows_that_stay_and_refer_to_rows_of_their_own_table(folder: Path) -> None:
    """DuckDB looks for the row that one refers to before it writes any: a list of three takes three times."""
    own = two_tables(None, 0, 1, None, 3, 0)
    (key,) = own.keys
    (_, table) = own.tables
    key = replace(key, refers_to="t1", referred=("code",))
    select = (Selection(table="t1", where=(Condition(column="n", operator="in", values=(3, 4)),)),)
    tally = Tally()
    world = World((replace(table, more=(key,)),), {"t1": own.rows["t1"]}, select)
    one(OnDuckdb(folder), world, tally)
    assert tally.erased == 1


@pytest.mark.root
def test_a_key_between_texts_of_two_collations(postgresql: RunningServer) -> None:
    """PostgreSQL compares by the one of the table that is referred to, and asks others to say by which."""
    statements = (
        'CREATE TABLE t0 (n int PRIMARY KEY, code text COLLATE "C" UNIQUE)',
        'CREATE TABLE t1 (n int PRIMARY KEY, k text COLLATE "und-x-icu" '
        "REFERENCES t0 (code) ON DELETE CASCADE)",
        "INSERT INTO t0 VALUES (0, 'a'), (1, 'b')",
        "INSERT INTO t1 VALUES (0, 'a'), (1, 'b')",
    )
    first = (Condition(column="n", operator="=", value=0),)
    engine = OnPostgresql(postgresql)
    try:
        postgresql.run(*statements)
        some = engine.target(World((), {}, (Selection(table="t0", where=first),)))
        with closing(PostgresqlBackend.open(some, SECRETS)) as backend:
            (reason,) = backend.inspect().blockers
            assert "1 rows of 't1' refer by 't1_k_fkey' to rows that would go" in reason
        both = tuple(Selection(table=name, where=first) for name in ("t0", "t1"))
        with closing(PostgresqlBackend.open(engine.target(World((), {}, both)), SECRETS)) as backend:
            assert backend.inspect().blockers == ()
            assert [c.done for c in backend.erase(engine.step, None)] == [2]
        assert postgresql.run('SELECT t0.n, t1.n FROM t0 JOIN t1 ON k = code COLLATE "C"') == [(1, 1)]
    finally:
        engine.remove()
