"""What the postgresql backend refuses, what it cannot see, and what a kill leaves: on a real server."""

import errno
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import date
from itertools import count, product
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace

from deleatur.api import (
    Condition,
    Cursor,
    Failed,
    HeldRows,
    Keystream,
    Refused,
    Selection,
    Step,
    Target,
    Transient,
    Unsupported,
    Within,
    blocks_of,
    reclaim,
)
from deleatur.documents.datamap import DataMap
from deleatur.documents.declared import Declaration
from deleatur.engine.discovery import Request, discover
from deleatur.errors import Residue
from deleatur.testing import faults
from deleatur.testing.trial import steps_of
from deleatur.testing.workbench import PIN, Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.postgresql import PostgresqlBackend, deleting
from deleatur_plugins.postgresql import swapping as swapping_module
from deleatur_plugins.postgresql.integrity import check_tables
from deleatur_plugins.postgresql.schema import Table

from ..journal_entries import Moment, at_entry, run_killed_at_entry
from ..postgresql_people import EVERYBODY, REWRITE, SWAP, job_text, of_forty_people, opened, values
from ..postgresql_server import RunningServer, as_user, running_server
from ..server_memory import erased, seen_in_memory

KEY = {"digest-key": bytes(range(32))}
(DELETE,) = steps_of("delete-rows", "t")
STATEMENTS = "CREATE EXTENSION pg_stat_statements"

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    settings = {
        "max_prepared_transactions": "2",
        "wal_level": "logical",
        "shared_preload_libraries": "pg_stat_statements",
    }
    with running_server(settings=settings, megabytes=120) as server:
        server.run("CREATE EXTENSION pg_stat_statements SCHEMA public")
        yield server


@pytest.fixture
def database(server: RunningServer) -> Iterator[str]:
    with of_forty_people(server, STATEMENTS) as name:
        yield name


@pytest.fixture
def neighbour(server: RunningServer) -> Iterator[str]:
    """A further database of the same server."""
    with of_forty_people(server, STATEMENTS) as name:
        yield name


def blockers(server: RunningServer, database: str) -> str:
    with closing(opened(server, database)) as backend:
        return "\n".join(backend.inspect().blockers)


# --- blockers: named before anything changes


def test_an_idle_snapshot_is_refused_by_its_process(server: RunningServer, database: str) -> None:
    assert blockers(server, database) == ""
    with server.connect(database) as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT count(*) FROM person")
        pid = other.info.backend_pid
        for _ in range(30):
            found = blockers(server, database)
            if found:
                break
            server.run("SELECT pg_sleep(0.1)")
        assert f"process {pid} has a transaction open" in found
        with closing(opened(server, database)) as backend, pytest.raises(Refused, match=f"process {pid} "):
            next(backend.erase(REWRITE, None))
    assert len(values(server, database)) == 20


@pytest.mark.parametrize(
    ("before", "named"),
    [
        (("BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT 1"), "process {pid}"),
        (("BEGIN", "SELECT pg_current_xact_id()"), "process {pid}"),  # between two statements: no snapshot
        (("BEGIN", "SELECT pg_current_xact_id()", "PREPARE TRANSACTION 'late'"), "transaction 'late'"),
    ],
)
def test_what_outlasts_the_deletion_and_keeps_its_rows_is_waited_for(
    server: RunningServer,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    before: tuple[str, ...],
    named: str,
) -> None:
    going = values(server, database)
    with server.connect(database) as other, closing(opened(server, database)) as backend:
        for statement in before[:2]:
            other.execute(statement.encode())
        cursors = backend.erase(REWRITE, None)
        deleted = next(cursors)
        assert deleted.position == "deleted 20"
        for statement in before[2:]:
            other.execute(statement.encode())
        try:
            with monkeypatch.context() as patch:  # afterwards the server's own looks are waited for, as ever
                patch.setattr("deleatur_plugins.postgresql.rewriting._PATIENCE", 0.3)
                with pytest.raises(Transient, match=f"for .*{named.format(pid=other.info.backend_pid)}"):
                    next(cursors)
        finally:
            other.execute(b"ROLLBACK PREPARED 'late'" if before[2:] else b"ROLLBACK")
        assert [c.position for c in backend.erase(REWRITE, deleted)][-1] == "reclaimed 20"
    raw = server.raw()
    assert [v for v in going if v in raw] == []


def test_a_writer_of_another_database_and_a_setting_that_keeps_rows_are_named_before(
    server: RunningServer, database: str
) -> None:
    """Every snapshot of every database goes back to the oldest writer of all."""
    with server.connect() as other:
        other.execute("BEGIN")
        other.execute("SELECT pg_current_xact_id()")
        server.run("SELECT pg_sleep(1.1)")
        assert f"process {other.info.backend_pid} has a transaction open" in blockers(server, database)
    if server.run("SELECT current_setting('vacuum_defer_cleanup_age', true)") == [(None,)]:
        return  # PostgreSQL 16 does without it
    server.run("ALTER SYSTEM SET vacuum_defer_cleanup_age = 100000", "SELECT pg_reload_conf()")
    try:
        for _ in range(50):
            if found := blockers(server, database):
                break
            server.run("SELECT pg_sleep(0.1)")
        assert found.startswith("vacuum_defer_cleanup_age is 100000, so the server keeps deleted rows")
        with closing(opened(server, database)) as backend, pytest.raises(Refused, match="set it to 0"):
            list(backend.erase(REWRITE, None))
    finally:
        server.run("ALTER SYSTEM RESET vacuum_defer_cleanup_age", "SELECT pg_reload_conf()")
    assert len(values(server, database)) == 20


@pytest.mark.parametrize("reads", [True, False])
def test_the_statistics_are_not_rewritten_before_nothing_keeps_the_old_samples(
    server: RunningServer,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    reads: bool,
) -> None:
    """A writer of another database does so too: every snapshot goes back to the oldest writer of all."""
    going = values(server, database)
    with (
        server.connect(database if reads else "postgres") as other,
        closing(opened(server, database)) as backend,
    ):
        cursors = backend.erase(REWRITE, None)
        last = [next(cursors) for _ in range(2)][-1]
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1" if reads else "SELECT pg_current_xact_id()")
        with monkeypatch.context() as patch:
            patch.setattr("deleatur_plugins.postgresql.rewriting._PATIENCE", 0.3)
            with pytest.raises(Transient, match=f"process {other.info.backend_pid}"):
                next(cursors)
        other.execute("ROLLBACK")
        assert [c.position for c in backend.erase(REWRITE, last)][-1] == "reclaimed 20"
    raw = server.raw()
    assert [v for v in going if v in raw] == []


@pytest.mark.parametrize("moment", ["before", "behind"])
def test_the_rewrite_by_somebody_else_is_not_taken_for_ours(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """It may be older than the deletion, or copy deleted rows for somebody who has gone since."""
    going, staying = values(server, database), values(server, database, "NOT leaves")

    def late(*arguments: Any) -> tuple[int, int]:
        if moment == "before":
            server.run("VACUUM FULL person", database=database)
        return delete(*arguments)

    delete = deleting.delete
    monkeypatch.setattr("deleatur_plugins.postgresql.rewriting.delete", late)
    with server.connect(database) as other, closing(opened(server, database)) as backend:
        cursors = backend.erase(REWRITE, None)
        if moment == "behind":
            other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            other.execute("SELECT 1")
        deleted = next(cursors)
        if moment == "behind":
            server.run("VACUUM FULL person", database=database)
            other.execute("ROLLBACK")
        assert next(cursors).outage > 0
        again = backend.erase(REWRITE, deleted)  # killed before its journal had that cursor
        rewritten = next(again)
        assert (rewritten.position, rewritten.outage) == ("rewritten 20", 0), "ours is known, and enough"
        list(again)
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying


def test_what_keeps_or_copies_rows_is_named(server: RunningServer, database: str) -> None:
    server.run("SELECT pg_create_physical_replication_slot('forgotten', true)")
    server.run(
        "CREATE TABLE audit (was text)",
        "CREATE FUNCTION copy() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO public.audit VALUES (old.name); RETURN old; END'",
        "CREATE TRIGGER keep_copy BEFORE DELETE ON person FOR EACH ROW EXECUTE FUNCTION copy()",
        "CREATE VIEW names AS SELECT name FROM person",
        "CREATE MATERIALIZED VIEW copies AS SELECT * FROM names",
        "BEGIN",
        "SELECT count(*) FROM person",
        "PREPARE TRANSACTION 'left over'",
        database=database,
    )
    try:
        found = blockers(server, database)
    finally:
        server.run("SELECT pg_drop_replication_slot('forgotten')")
        server.run("ROLLBACK PREPARED 'left over'", database=database)
    assert "the replication slot 'forgotten'" in found
    assert "the trigger 'keep_copy' acts when rows of 'person'" in found
    assert "the materialized view 'copies' holds copies of rows of 'person'" in found
    assert "the prepared transaction 'left over'" in found
    assert len(found.splitlines()) == 4


def test_a_copy_that_the_server_feeds_stands_in_the_map_as_not_read(
    server: RunningServer, database: str
) -> None:
    def mapped() -> DataMap:
        request = Request(
            urls=(server.url(database),),
            as_of=date(2026, 11, 22),
            made_at="2026-11-22T00:00:00Z",
            declaration=Declaration(schema="deleatur/declared/v1"),
        )
        return discover(request, lambda _: (PostgresqlBackend, PIN))

    assert mapped().place[0].unread == ()
    server.run("SELECT pg_create_physical_replication_slot('second_site', true)")
    try:
        found = mapped()
    finally:
        server.run("SELECT pg_drop_replication_slot('second_site')")
    (unread,) = found.place[0].unread
    assert unread.unit == "replication slot second_site"
    assert "declare that as a place with a copy" in unread.reason


def test_rows_that_refer_to_those_that_go_are_counted(server: RunningServer, database: str) -> None:
    server.run(
        "CREATE TABLE letter (id int PRIMARY KEY, person int REFERENCES person ON DELETE CASCADE)",
        "INSERT INTO letter SELECT n, n FROM generate_series(1, 10) n",
        database=database,
    )
    assert "5 rows of 'letter' refer by 'letter_person_fkey'" in blockers(server, database)
    assert "ON DELETE cascade would act on them" in blockers(server, database)


def test_missing_rights_are_the_grants_to_run(server: RunningServer, database: str) -> None:
    server.run("CREATE ROLE clerk LOGIN")
    server.run("GRANT SELECT ON pg_stat_statements, pg_stat_statements_info TO clerk", database=database)
    try:
        target = Target(id="t", url=server.url(database, "clerk"), select=EVERYBODY)
        with closing(PostgresqlBackend.open(target, KEY)) as backend:
            with pytest.raises(Refused) as caught:
                backend.inspect()
            wanted = str(caught.value).partition("run: ")[2].split("; ")
            assert wanted == [f'GRANT {r} ON "public"."person" TO clerk' for r in ("SELECT", "DELETE")]
            server.run(*wanted, database=database)
            assert backend.inspect().size == 20
            server.run("ALTER TABLE person ENABLE ROW LEVEL SECURITY", database=database)
            with pytest.raises(Refused, match="row level security hides rows of 'person' from this user"):
                backend.inspect()
    finally:
        server.run("DROP OWNED BY clerk", database=database)
        server.run("DROP ROLE clerk")


def test_rows_that_cannot_be_told_apart_are_refused(server: RunningServer, database: str) -> None:
    server.run(
        "CREATE TABLE bare (name text)",
        "CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE MATERIALIZED VIEW copies AS SELECT 1 AS id",
        database=database,
    )
    first = (Condition(column="id", operator="=", value=1),)
    some = (Condition(column="name", operator="=", value="x"),)
    held = HeldRows(id="h", reason="r", table="bare", where=some)
    cases = [
        (Selection(table="bare", where=some), (), "no primary key, so its rows"),
        (Selection(table="bare"), (held,), "no primary key, so held rows"),
        (Selection(table="parted"), (), "has no tables of its own"),
        (Selection(table="copies", where=first), (), "goes as a whole"),
        (Selection(table="*", where=first), (), "takes all rows"),
        (Selection(table="nowhere.*"), (), "has no tables of its own"),
    ]
    for selection, hold, reason in cases:
        with (
            closing(opened(server, database, select=(selection,), hold=hold)) as backend,
            pytest.raises(Refused, match=reason),
        ):
            backend.inspect()


# --- deletion


def test_a_circle_of_foreign_keys_goes_in_one_statement(server: RunningServer, database: str) -> None:
    server.run(
        "CREATE TABLE boss (id int PRIMARY KEY, person int REFERENCES person, above int REFERENCES boss)",
        "ALTER TABLE person ADD boss int REFERENCES boss ON DELETE RESTRICT",
        "INSERT INTO boss SELECT n, n, nullif(n - 2, 0) FROM generate_series(2, 40, 2) n",
        "UPDATE person SET boss = id WHERE leaves",
        database=database,
    )
    leaving = Within(table="person", column="id", where=EVERYBODY[0].where)
    bosses = Selection(table="boss", where=(Condition(column="person", operator="within", within=leaving),))
    with closing(opened(server, database, select=(*EVERYBODY, bosses))) as backend:
        assert {u.name: u.size for u in backend.inspect().units} == {"table boss": 20, "table person": 20}
        assert backend.inspect().blockers == ()
        assert [c.position for c in backend.erase(REWRITE, None)][-1] == "reclaimed 40"
    assert server.run("SELECT count(*) FROM boss", database=database) == [(0,)]
    assert server.run("SELECT count(*) FROM person", database=database) == [(20,)]


def test_names_and_values_are_never_read_as_sql(server: RunningServer, database: str) -> None:
    nasty = "a\"b%s 'c;--"
    quoted = '"' + nasty.replace('"', '""') + '"'
    with server.connect(database) as connection:
        connection.execute(f"CREATE TABLE {quoted} (id int PRIMARY KEY, {quoted} char(20))".encode())
        connection.execute(
            f"INSERT INTO {quoted.replace('%', '%%')} VALUES (1, %s), (2, 'other name')".encode(),
            ("' OR true --",),
        )
    condition = Condition(column=nasty, operator="in", values=("' OR true --", "%s"))
    with closing(opened(server, database, select=(Selection(table=nasty, where=(condition,)),))) as backend:
        (unit,) = backend.inspect().units
        assert unit.size == 1
        places = list(backend.sample(None, bytes(32)))
        assert [backend.probe(p) for p in places] == [b"' OR true --"]
        list(backend.erase(REWRITE, None))
    with closing(opened(server, database, select=(Selection(table=nasty),))) as backend:
        assert [backend.probe(p) for p in places] == [None]
        assert backend.inspect().size == 1


def test_no_check_of_a_domain_runs_with_our_rights(server: RunningServer, database: str) -> None:
    server.run(
        "CREATE FUNCTION spy(text) RETURNS boolean LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION USING ERRCODE = 23514; END'",
        "CREATE DOMAIN tricky AS text",
        "CREATE DOMAIN trickier AS tricky",
        "CREATE TABLE trap (id int PRIMARY KEY, name trickier)",
        "INSERT INTO trap VALUES (1, 'somebody')",
        "ALTER DOMAIN tricky ADD CHECK (spy(value)) NOT VALID",
        database=database,
    )
    where = (Condition(column="name", operator="=", value="somebody"),)
    with closing(opened(server, database, select=(Selection(table="trap", where=where),))) as backend:
        assert backend.inspect().size == 1
        assert [backend.probe(p) for p in backend.sample(None, bytes(32))] == [b"somebody"]


def test_a_hold_outlasts_every_selection(server: RunningServer, database: str) -> None:
    held = HeldRows(
        id="open", reason="r", table="person", where=(Condition(column="id", operator="<=", value=4),)
    )
    kept = values(server, database, "leaves AND id <= 4")
    with closing(opened(server, database, hold=(held,))) as backend:
        inspection = backend.inspect()
        assert [u.size for u in inspection.held] == [2]
        assert inspection.size == 18
        list(backend.erase(REWRITE, None))
    assert values(server, database) == kept


def test_a_value_of_another_type_is_refused_and_never_quoted(server: RunningServer, database: str) -> None:
    secret = "Mallory Secret"
    where = (Condition(column="id", operator="=", value=secret),)
    with (
        closing(opened(server, database, select=(Selection(table="person", where=where),))) as backend,
        pytest.raises(Refused, match="does not fit the type") as caught,
    ):
        backend.inspect()
    assert secret not in str(caught.value)


# --- what a selection covers: partitions, heirs, schemas, databases


PARTED = (
    "CREATE TABLE visit (id int, day date, name text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day)",
    "CREATE TABLE visit_old PARTITION OF visit FOR VALUES FROM ('2020-01-01') TO ('2025-01-01') "
    "PARTITION BY RANGE (id)",
    "CREATE TABLE visit_older PARTITION OF visit_old FOR VALUES FROM (0) TO (11)",
    "CREATE TABLE visit_newer PARTITION OF visit_old FOR VALUES FROM (11) TO (99)",
    "CREATE TABLE visit_rest PARTITION OF visit DEFAULT",
    "INSERT INTO visit SELECT n, date '2024-12-20' + n, md5(random()::text) FROM generate_series(1, 30) n",
    "INSERT INTO visit VALUES (40, '2024-01-01', md5(random()::text))",
    "ANALYZE visit",
    "VACUUM FREEZE visit",
    "CHECKPOINT",
)


@pytest.mark.parametrize("step", [REWRITE, pytest.param(SWAP, marks=pytest.mark.campaign)])
def test_rows_leave_every_partition_and_the_statistics_above(
    server: RunningServer, database: str, step: Step
) -> None:
    server.run(*PARTED, "CREATE TABLE letter (id int PRIMARY KEY, visit int, day date)", database=database)
    server.run(
        "ALTER TABLE letter ADD FOREIGN KEY (visit, day) REFERENCES visit",
        "INSERT INTO letter SELECT id, id, day FROM visit WHERE id = 6",
        database=database,
    )
    going = [n.encode() for (n,) in server.run("SELECT name FROM visit WHERE id % 2 = 0", database=database)]
    staying = server.run("SELECT * FROM visit WHERE id % 2 = 1 ORDER BY id", database=database)
    where = (Condition(column="id", operator="in", values=tuple(range(0, 42, 2))),)
    eight = (Condition(column="id", operator="=", value=8),)
    held = HeldRows(id="open", reason="r", table="visit", where=eight)
    select = (Selection(table="visit", where=where),)
    with closing(opened(server, database, select=select, technique=step.technique)) as backend:
        look = backend.inspect()
        sizes = {u.name: u.size for u in look.units}
        assert sizes == {"table visit_newer": 1, "table visit_older": 5, "table visit_rest": 10}
        assert "1 rows of 'letter' refer by" in "".join(look.blockers)
    select = (*select, Selection(table="letter"))
    with closing(opened(server, database, select=select, hold=(held,), technique=step.technique)) as backend:
        look = backend.inspect()
        assert look.blockers == ()
        assert [u.name for u in look.held] == ["hold open table visit_older"]
        assert list(backend.erase(step, None))[-1].position == "reclaimed 16"
    assert server.run("SELECT * FROM visit WHERE id % 2 = 1 ORDER BY id", database=database) == staying
    assert server.run("SELECT id FROM visit WHERE id % 2 = 0", database=database) == [(8,)]
    raw = server.raw()
    assert sum(v in raw for v in going) == 1, "the held one"


def test_heirs_go_with_their_parent_and_conditions_read_them(server: RunningServer, database: str) -> None:
    server.run(
        "CREATE TABLE member (PRIMARY KEY (id)) INHERITS (person)",
        "INSERT INTO member SELECT 100 + n, n > 5, md5(n::text || random()) FROM generate_series(1, 10) n",
        "CREATE TABLE bill (id int PRIMARY KEY, person int)",
        "INSERT INTO bill VALUES (1, 101), (2, 105), (3, 4000)",
        "ANALYZE person",
        "CHECKPOINT",
        database=database,
    )
    going = [n.encode() for (n,) in server.run("SELECT name FROM member WHERE leaves", database=database)]
    everybody = Within(table="person", column="id")
    nobodys = Selection(
        table="bill", where=(Condition(column="person", operator="not-within", within=everybody),)
    )
    with closing(opened(server, database, select=(*EVERYBODY, nobodys))) as backend:
        units = {u.name: u.size for u in backend.inspect().units}
        assert units == {"table bill": 1, "table member": 5, "table person": 20}
        list(backend.erase(REWRITE, None))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert server.run("SELECT id FROM bill ORDER BY id", database=database) == [(1,), (2,)]
    assert server.run("SELECT count(*) FROM ONLY member", database=database) == [(5,)]


@pytest.mark.parametrize("name", ["*", pytest.param("shop.*", marks=pytest.mark.campaign)])
def test_a_schema_and_a_database_go_whole(server: RunningServer, database: str, name: str) -> None:
    server.run(
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.bare (name text, memo text)",
        "INSERT INTO shop.bare SELECT md5(n::text || random()), '' FROM generate_series(1, 9) n",
        "CREATE TABLE shop.log (name text) PARTITION BY HASH (name)",
        "CREATE TABLE shop.log0 PARTITION OF shop.log FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "INSERT INTO shop.log SELECT name FROM shop.bare LIMIT 5",
        "CREATE MATERIALIZED VIEW shop.copies AS SELECT name || '!' AS name FROM shop.bare",
        "ANALYZE",
        "CHECKPOINT",
        database=database,
    )
    going = [n.encode() for (n,) in server.run("SELECT name FROM shop.bare", database=database)]
    people = values(server, database, "true")
    theirs = {"table shop.bare": 9, "table shop.copies": 9, "table shop.log0": 5}
    with closing(opened(server, database, select=(Selection(table=name),))) as backend:
        look = backend.inspect()
        assert {u.name: u.size for u in look.units} == theirs | ({"table person": 40} if name == "*" else {})
        assert look.blockers == ()
        places = list(backend.sample(None, bytes(32)))
        copied = [backend.probe(place) for place in places if "copies" in place.unit]
        assert {value[:32] for value in copied if value is not None} == set(going)
        list(backend.erase(REWRITE, None))
    with closing(opened(server, database, select=(Selection(table=name),))) as backend:
        assert backend.inspect().units == ()
        assert [p for p in places if backend.probe(p) is not None] == []
        assert list(backend.bystanders())
    raw = server.raw()
    assert [v for v in (*going, *(people[:9] if name == "*" else ())) if v in raw] == []
    assert values(server, database, "true") == ([] if name == "*" else people)
    assert server.run("SELECT count(*) FROM shop.log", database=database) == [(0,)]


def test_a_dropped_column_and_the_samples_of_an_emptied_table_leave_nothing(
    server: RunningServer, database: str
) -> None:
    server.run("CREATE STATISTICS together (mcv) ON leaves, name FROM person", "ANALYZE", database=database)
    going = values(server, database, "true")[:9]
    memos = [m.encode() for (m,) in server.run("SELECT memo FROM person LIMIT 9", database=database)]
    server.run("ALTER TABLE person DROP memo", "CHECKPOINT", database=database)
    raw = server.raw()
    assert all(v in raw for v in (*going, *memos)), "the control of this test"
    with closing(opened(server, database, select=(Selection(table="person"),))) as backend:
        list(backend.erase(REWRITE, None))
    raw = server.raw()
    assert [v for v in (*going, *memos) if v in raw] == []


# --- below the interface


def test_statistics_and_texts_of_statements_go_too(server: RunningServer, database: str) -> None:
    going = values(server, database)
    server.run(f"COPY (SELECT 1 WHERE '{going[0].decode()}' <> '') TO '/dev/null'", database=database)
    server.run("CHECKPOINT")
    texts = server.data / "pg_stat_tmp" / "pgss_query_texts.stat"
    assert going[0] in texts.read_bytes(), "the control of this test"
    with closing(opened(server, database)) as backend:
        list(backend.erase(REWRITE, None))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert server.run("SHOW wal_recycle") == [("on",)]
    leftovers = [p.name for p in server.data.rglob("*deleatur*")]
    assert leftovers == []


def test_tables_in_a_tablespace_are_reached(server: RunningServer, database: str) -> None:
    space = server.point / "space"
    space.mkdir()
    shutil.chown(space, "postgres", "postgres")
    server.run(f"CREATE TABLESPACE elsewhere LOCATION '{space}'")
    server.run(
        "CREATE TABLE away (LIKE person INCLUDING ALL) TABLESPACE elsewhere",
        "INSERT INTO away SELECT n, true, md5(n::text || random()), '' FROM generate_series(1, 40) n",
        "CHECKPOINT",
        database=database,
    )
    going = [n.encode() for (n,) in server.run("SELECT name FROM away", database=database)]
    with closing(opened(server, database, select=(Selection(table="away"),))) as backend:
        (surface,) = (s for s in backend.inspect().surfaces if s.name.startswith("data directory"))
        assert str(space) in surface.paths
        list(backend.erase(REWRITE, None))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    server.run("DROP TABLE away", database=database)
    server.run("DROP TABLESPACE elsewhere")


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own, with a journal, of the server's user."""
    folder = Path(tempfile.mkdtemp(prefix="deleatur-other-", dir="/tmp"))
    with (tmp_path / "other").open("wb") as image:
        image.truncate(24 << 20)
    subprocess.run(["mkfs.ext4", "-q", tmp_path / "other"], check=True, timeout=60)
    subprocess.run(["mount", "-o", "loop", tmp_path / "other", folder], check=True, timeout=60)
    shutil.chown(folder, "postgres", "postgres")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True, timeout=60)
        folder.rmdir()


@pytest.mark.campaign
def test_the_disk_of_a_tablespace_is_searched_with_that_of_the_server(
    server: RunningServer, other_disk: Path, tmp_path: Path
) -> None:
    (space := other_disk / "space").mkdir()
    shutil.chown(space, "postgres", "postgres")
    server.run(f"CREATE TABLESPACE other LOCATION '{space}'", "CREATE DATABASE apart")
    server.run(
        "CREATE EXTENSION pg_stat_statements",
        "CREATE TABLE person (id int PRIMARY KEY, leaves bool, name text) TABLESPACE other",
        "INSERT INTO person SELECT n, n % 2 = 0, md5(n::text || random()) FROM generate_series(1, 80) n",
        "CHECKPOINT",
        database="apart",
    )
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(server, "apart"))
    said = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification[0]
    (device,) = (s for s in said.surfaces if s.name.startswith("block device"))
    assert (said.verdict, device.values_seen_before, device.hits_after) == ("CLEAN", said.needles.count, 0)
    assert device.bytes_after == (24 << 20) + server.image.stat().st_size
    server.run("DROP DATABASE apart", "DROP TABLESPACE other")


def test_compressed_long_values_are_seen_and_end_clean(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    server.run(
        "UPDATE person SET name = id::text, memo = repeat(md5(id::text || 'salt'), 200)",
        "VACUUM FULL person",
        "CHECKPOINT",
        database=database,
    )
    ((memo,),) = server.run("SELECT memo FROM person WHERE id = 2", database=database)
    assert memo.encode() not in server.raw(), "the control: it stands nowhere as it is"
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(server, database, device=False))
    verification = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification[0]
    assert verification.verdict == "CLEAN"
    assert server.run("SELECT count(*) FROM person WHERE leaves", database=database) == [(0,)]


def test_what_was_deleted_stays_in_the_servers_memory_until_it_is_restarted(
    server: RunningServer, database: str
) -> None:
    going = values(server, database)
    with closing(opened(server, database)) as backend:
        surfaces = erased(backend, REWRITE, going)
    server.run("CHECKPOINT", "DISCARD ALL", database=database)
    assert seen_in_memory(surfaces, going) > 0
    server.control("-m", "fast", "stop")
    server.start()
    assert seen_in_memory(surfaces, going) == 0


def test_without_the_servers_files_the_assurance_falls_and_only_when_asked_by_name(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    server.run("CREATE ROLE clerk LOGIN")
    server.run("GRANT SELECT, DELETE ON ALL TABLES IN SCHEMA public TO clerk", database=database)
    try:
        target = Target(id="t", url=server.url(database, "clerk"), select=EVERYBODY)
        with closing(PostgresqlBackend.open(target, KEY)) as backend:
            inspection = backend.inspect()
            assert inspection.offers == ()
            assert "no superuser" in inspection.denials[0].reason
            assert "ask for technique delete-rows" in inspection.denials[0].reason
            for step in (REWRITE, DELETE, SWAP):
                with pytest.raises(Unsupported):
                    next(backend.erase(step, None))
        bench = Workbench(tmp_path)
        with pytest.raises(Refused, match="ask for technique delete-rows"):
            bench.plan(bench.job(job_text(server, database, user="clerk", device=False)))
        assert len(values(server, database)) == 20
        target = replace(target, technique="delete-rows")
        with closing(PostgresqlBackend.open(target, KEY)) as backend:
            inspection = backend.inspect()
            assert [o.technique for o in inspection.offers] == ["delete-rows"]
            assert {s.reach for s in inspection.surfaces} == {"out-of-reach"}
            with pytest.raises(Unsupported):
                next(backend.erase(REWRITE, None))
        bench = Workbench(tmp_path / "named")
        text = job_text(server, database, user="clerk", device=False, technique="delete-rows")
        checked = verify(bench.whole(text).certificate, [bench.agent.public], 1, None).certificate
        assert checked.verification[0].verdict == "INCONCLUSIVE"
        (outcome,) = checked.outcome.per_target
        assert (outcome.assurance, outcome.state) == ("A0/logical", "executed-unverified")
        assert server.run("SELECT count(*) FROM person", database=database) == [(20,)]
    finally:
        server.run("DROP OWNED BY clerk", database=database)
        server.run("DROP ROLE clerk")


def test_a_rewrite_that_is_left_out_is_found_out(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.postgresql.clustering._cluster", lambda *_: None)
    bench = Workbench(tmp_path)
    with pytest.raises(Residue):
        bench.whole(job_text(server, database))


def test_a_value_in_the_servers_log_is_residue_until_somebody_removes_it(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    (first, *_) = values(server, database)
    with server.connect(database) as connection, pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute(f"SELECT 1 / 0 -- {first.decode()}".encode())
    log = server.sockets / "log"
    assert first in log.read_bytes(), "the control of this test"
    bench = Workbench(tmp_path)
    job = bench.job(job_text(server, database, device=False))
    bench.plan(job)
    bench.approve(job)
    with pytest.raises(Residue):
        bench.run(job)
    (report,) = job.path.glob("residue-*.json")
    assert "in server log" in report.read_text()
    log.write_bytes(b"")
    bench.run(job)
    checked = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert checked.verification[0].verdict == "CLEAN"


def test_with_the_checks_for_snapshots_sabotaged_the_residue_is_found(
    server: RunningServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.postgresql.blockers.keepers", lambda *_: iter(()))
    monkeypatch.setattr("deleatur_plugins.postgresql.rewriting.Rewriting._wait_until_unseen", lambda *_: None)
    with server.connect(database) as other:
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT 1")
        bench = Workbench(tmp_path)
        with pytest.raises(Residue):
            bench.whole(job_text(server, database, device=False))


def test_the_server_removes_no_file_of_its_log_on_the_way(server: RunningServer, database: str) -> None:
    """A checkpoint gives files of the log back as they are; until they are cycled it may not."""
    going = values(server, database)
    with closing(opened(server, database)) as backend:
        cursors = backend.erase(REWRITE, None)
        last = [next(cursors) for _ in range(2)][-1]
        fill_log(server)
        list(backend.erase(REWRITE, last))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert server.run("SHOW wal_keep_size") == [("0",)]


def fill_log(server: RunningServer) -> None:
    """Write so much that the server does without its oldest files, if nothing holds it."""
    for _ in range(2):
        for _ in range(9):
            server.run("SELECT pg_logical_emit_message(true, 'x', repeat('y', 900000))")
        server.run("CHECKPOINT")


def test_a_log_that_was_removed_all_the_same_is_told(server: RunningServer, database: str) -> None:
    with closing(opened(server, database)) as backend:
        cursors = backend.erase(REWRITE, None)
        last = [next(cursors) for _ in range(3)][-1]
        server.run("ALTER SYSTEM RESET wal_keep_size", "SELECT pg_reload_conf()")
        fill_log(server)
        with pytest.raises(Failed, match="removed files of its log since"):
            list(backend.erase(REWRITE, last))
    with closing(opened(server, database)) as backend, pytest.raises(Failed, match="removed files"):
        list(backend.erase(REWRITE, last))
    with closing(opened(server, database, key=b"n" * 32)) as backend:  # planned again
        list(backend.erase(REWRITE, None))
    with closing(opened(server, database)) as backend, pytest.raises(Failed, match="another job ran"):
        list(backend.erase(REWRITE, last))
    assert not (server.data / ".deleatur-pending").exists()
    assert server.run("SHOW wal_keep_size") == [("0",)]
    assert server.run("SHOW wal_recycle") == [("on",)]


def test_a_checkpoint_under_way_removes_files_only_before_the_first_change(
    server: RunningServer, database: str
) -> None:
    """It goes by the settings of its begin to its end, whatever is set meanwhile."""
    ((pid,),) = server.run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
    server.run(
        "CREATE TABLE other AS SELECT n, repeat('z', 500) AS z FROM generate_series(1, 9000) n",
        "CHECKPOINT",
        "UPDATE other SET n = n + 1",  # so much log that the server begins one, and takes its time
        database=database,
    )
    time.sleep(0.3)
    os.kill(pid, signal.SIGSTOP)  # it hears of the settings and that one is asked for at the same moment
    going_on = threading.Timer(0.7, os.kill, (pid, signal.SIGCONT))
    going_on.start()
    try:
        with closing(opened(server, database)) as backend:
            list(backend.erase(REWRITE, None))
    finally:
        going_on.cancel()
        os.kill(pid, signal.SIGCONT)


def test_too_little_room_is_named_before(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.postgresql.cycling._LEAST", 1 << 40)
    assert "MB free, and" in blockers(server, database)
    assert blockers(server, database).startswith("the server's disk for its log has")


def test_a_slot_that_comes_too_late_stops_the_cycle_of_the_log(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.postgresql.cycling._SPARE", 1)
    going = values(server, database)
    with closing(opened(server, database)) as backend:
        cursors = backend.erase(REWRITE, None)
        last = [next(cursors) for _ in range(3)][-1]
        server.run("SELECT pg_create_physical_replication_slot('late', true)")
        with pytest.raises(Refused, match="old files of its log"):
            next(cursors)
        server.run("SELECT pg_drop_replication_slot('late')")
    with closing(opened(server, database)) as backend:
        list(backend.erase(REWRITE, last))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert server.run("SHOW wal_recycle") == [("on",)]


# --- files that a crash left


def test_a_file_that_belongs_to_no_table_is_named_and_never_changed(
    server: RunningServer, database: str
) -> None:
    """Some are no orphans: a table that is being made, one of a prepared transaction, the server's own."""
    ((path,),) = server.run("SELECT pg_relation_filepath('person')", database=database)

    def named() -> list[str]:
        with closing(opened(server, database)) as backend:
            names = [s.name for s in backend.inspect().surfaces if s.reach == "out-of-reach"]
        return [name for name in names if name.startswith("files that belong to no table")]

    assert named() == []
    with closing(server.connect(database)) as other:
        other.execute("BEGIN")
        other.execute("CREATE TABLE lost AS SELECT repeat(md5('lost'), 99) AS name")
        ((lost,),) = other.execute("SELECT pg_relation_filepath('lost')").fetchall()
        assert named() == [], "it may be used any moment"
        server.run("CHECKPOINT")
        kill_server(server)
    server.start()
    content = (server.data / str(lost)).read_bytes()
    assert content, "the control: PostgreSQL leaves it"
    (name,) = named()
    assert str(lost) in name, "with those for its long values"
    with closing(opened(server, database)) as backend:
        list(backend.erase(REWRITE, None))
    assert (server.data / str(lost)).read_bytes() == content
    assert str(path) not in name


# --- temporary files: given back as they are, when a statement ends


def temporary_bytes(server: RunningServer, database: str) -> int:
    shown = "SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()"
    time.sleep(0.6)  # sessions tell it when they end
    ((size,),) = server.run(shown, database=database)
    return int(size)


def test_no_row_that_goes_is_put_into_a_temporary_file(server: RunningServer, database: str) -> None:
    server.run(
        "CREATE TABLE bare AS SELECT md5(n::text) AS name FROM generate_series(1, 3000) n",
        "CREATE TABLE member (name text PRIMARY KEY)",
        "INSERT INTO member SELECT name FROM bare",
        "ANALYZE",
        f"ALTER DATABASE {database} SET work_mem = '64kB'",
        database=database,
    )
    theirs = Within(table="bare", column="name")
    members = Selection(table="member", where=(Condition(column="name", operator="within", within=theirs),))
    spilling = "SELECT count(*) FROM (SELECT name FROM bare ORDER BY name OFFSET 0) AS sorted"
    before = temporary_bytes(server, database)
    server.run(spilling, database=database)
    first = temporary_bytes(server, database)
    assert first > before, "the control of this test"
    with closing(opened(server, database, select=(members, Selection(table="bare")))) as backend:
        assert backend.inspect().size == 6000
        assert len(list(backend.sample(None, bytes(32)))) == 6000
        assert list(backend.bystanders())
        list(backend.erase(REWRITE, None))
    assert temporary_bytes(server, database) == first


def test_what_needs_more_memory_than_allowed_is_refused(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.run(
        "INSERT INTO person SELECT n, true, md5(n::text), '' FROM generate_series(1000, 4000) n",
        "ANALYZE",
        f"ALTER DATABASE {database} SET work_mem = '64kB'",
        database=database,
    )
    monkeypatch.setattr("deleatur_plugins.postgresql.connecting._MEMORY", 1 << 16)
    same = Within(table="person", column="name", where=EVERYBODY[0].where)
    leaving = Selection(table="person", where=(Condition(column="name", operator="within", within=same),))
    with (
        closing(opened(server, database, select=(leaving,))) as backend,
        pytest.raises(
            Refused, match="temporary files, whose blocks the server gives back; allow more memory"
        ),
    ):
        backend.inspect()


# --- swap and shred


def swapping(server: RunningServer, database: str, **fields: object) -> PostgresqlBackend:
    return opened(server, database, technique="swap-and-shred", **fields)


def test_a_swap_leaves_nothing_and_says_how_long_others_waited(server: RunningServer, database: str) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    server.run("CREATE VIEW names AS SELECT name FROM person", database=database)
    number = server.run("SELECT 'person'::regclass::oid", database=database)
    with closing(swapping(server, database)) as backend:
        (offer,) = backend.inspect().offers
        assert offer.technique == "swap-and-shred"
        cursors = list(backend.erase(SWAP, None))
    assert [c.position for c in cursors][-1] == "reclaimed 20"
    assert [bool(c.outage) for c in cursors] == [True, True, False, False, False]
    assert max(c.outage for c in cursors) < offer.outage < 10_010
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying
    assert server.run("SELECT count(*) FROM names", database=database) == [(20,)]
    assert server.run("SELECT 'person'::regclass::oid", database=database) == number
    assert [p.name for p in server.data.rglob("*deleatur*")] == []
    assert server.run("SELECT count(*) FROM pg_prepared_xacts") == [(0,)]


@pytest.mark.parametrize("step", [SWAP, REWRITE])
def test_old_files_of_a_swap_never_come_into_free_space(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    asked: list[tuple[int, int]] = []

    def noted(folder: int, wanted: list[tuple[int, int]], keystream: Keystream, unit: str) -> int:
        asked.extend(wanted)
        return reclaim(folder, wanted, keystream, unit)

    monkeypatch.setattr("deleatur_plugins.postgresql.rewriting.reclaim", noted)
    ((path,),) = server.run("SELECT pg_relation_filepath('person')", database=database)
    with (server.data / str(path)).open("rb") as file:
        ((start, end),) = blocks_of(file.fileno())
    with closing(opened(server, database, technique=step.technique)) as backend:
        list(backend.erase(step, None))
    freed = any(low < end and high > start for low, high in asked)
    assert freed == (step == REWRITE), "the rewrite that frees them is the control"


ORDINARY = (("aside", "server"), ("committed", "agent"))
MOMENTS = ("prepared", "held", "aside", "committed", "shredded")


@pytest.mark.parametrize(
    ("moment", "who"),
    [
        p if p in ORDINARY else pytest.param(*p, marks=pytest.mark.campaign)
        for p in product(MOMENTS, ("agent", "server"))
    ],
)
def test_a_kill_anywhere_in_a_swap_is_finished(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch, moment: str, who: str
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    deleted = killed_swap(server, database, monkeypatch, moment)
    if who == "server":
        kill_server(server)
        server.start()
    locked = moment in ("prepared", "held", "aside")
    with server.connect(database) as other:
        other.execute("SET lock_timeout = '100ms'")
        if locked:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute("SELECT count(*) FROM person")
        else:
            assert other.execute("SELECT count(*) FROM person").fetchall() == [(20,)]
    with closing(swapping(server, database)) as backend:
        look = backend.inspect()
        assert (look.blockers, look.units, look.identity) == ((), (), backend.inspect().identity)
    with closing(swapping(server, database)) as backend:
        list(backend.erase(SWAP, deleted))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


def killed_swap(server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch, moment: str) -> Cursor:
    """Kill a swap at one moment between the deletion and its end; return where it goes on."""
    with monkeypatch.context() as patch, closing(swapping(server, database)) as backend:
        cursors = backend.erase(SWAP, None)
        deleted = next(cursors)
        break_at(patch, moment)
        with pytest.raises(_KilledError):
            next(cursors)
    return deleted


def break_at(patch: pytest.MonkeyPatch, moment: str) -> None:
    """Stop the next swap at one moment, as a kill would."""
    module = "deleatur_plugins.postgresql.swapping"
    if moment == "prepared":
        patch.setattr(f"{module}.LinkShredder.hold", broken)
    elif moment == "held":
        patch.setattr(f"{module}._put_aside", broken)
    elif moment == "aside":
        patch.setattr(f"{module}.flush", broken)
    elif moment == "committed":
        patch.setattr("deleatur_plugins.postgresql.rewriting.shred_swapped", broken)
    else:
        patch.setattr(f"{module}.LinkShredder.finish", broken)


class _KilledError(BaseException):
    """The agent's process is gone."""


def broken(*_: object, **__: object) -> None:
    raise _KilledError


@pytest.mark.parametrize("moment", ["held", "half aside", "aside"])
def test_a_disk_that_fails_within_a_swap_leaves_the_tables_open_and_whole(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    with monkeypatch.context() as patch, closing(swapping(server, database)) as backend:
        cursors = backend.erase(SWAP, None)
        deleted = next(cursors)
        fail_at(patch, moment)
        with pytest.raises(OSError, match="No space left"):
            next(cursors)
    with server.connect(database) as other:
        other.execute("SET lock_timeout = '100ms'")
        assert other.execute("SELECT count(*) FROM person").fetchall() == [(20,)]
        other.execute("UPDATE person SET leaves = leaves")  # and it can be written to
    kill_server(server)  # nothing of this was in its memory only
    server.start()
    assert values(server, database, "true") == staying
    with closing(swapping(server, database)) as backend:
        list(backend.erase(SWAP, deleted))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


def fail_at(patch: pytest.MonkeyPatch, moment: str) -> None:
    """Let the disk be full at one moment of the next swap, and once only."""
    if moment == "half aside":
        patch.setattr(Path, "rename", full_at(2, Path.rename))
    else:
        name = "_put_aside" if moment == "held" else "flush"
        patch.setattr(swapping_module, name, full_at(1, getattr(swapping_module, name)))


def full_at(number: int, real: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a disk that is full at its call of that number."""
    calls = count(1)

    def maybe_full(*given: Any) -> Any:
        if next(calls) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*given)

    return maybe_full


def test_a_swap_that_somebody_rolls_back_leaves_no_empty_table(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    staying = values(server, database, "NOT leaves")
    deleted = killed_swap(server, database, monkeypatch, "aside")
    ((name,),) = server.run("SELECT gid FROM pg_prepared_xacts")
    server.run(f"ROLLBACK PREPARED '{name}'", database=database)
    ((file,),) = server.run("SELECT pg_relation_filepath('person')", database=database)
    decoy = server.data / str(file)
    page = decoy.read_bytes()
    decoy.write_bytes(page[:-1] + b"\0")  # as if somebody had written to the table meanwhile
    with closing(swapping(server, database)) as backend, pytest.raises(Refused, match="was written to"):
        list(backend.erase(SWAP, deleted))
    decoy.write_bytes(page)
    kill_server(server)  # with its memory goes what it still knows of the table
    server.start()
    with server.connect(database) as other, pytest.raises(psycopg.errors.DataCorrupted):
        other.execute("SELECT count(*) FROM person")
    with closing(swapping(server, database)) as backend:
        list(backend.erase(SWAP, deleted))
    assert values(server, database, "true") == staying
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


def test_who_waits_for_a_killed_swap_is_not_waited_for(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He has a snapshot, and cannot end before the swap does: each would wait for the other."""
    deleted = killed_swap(server, database, monkeypatch, "aside")
    seen: list[Any] = []
    reader = threading.Thread(
        target=lambda: seen.extend(server.run("SELECT count(*) FROM person", database=database))
    )
    reader.start()
    waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND backend_xmin IS NOT NULL"
    for _ in range(100):
        if server.run(waits):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the reader does not wait")
    server.run("SELECT pg_current_xact_id()")  # somebody writes meanwhile, so both are of before
    with closing(swapping(server, database)) as backend:
        assert next(backend.erase(SWAP, deleted)).position == "rewritten 20"
        reader.join(30)
        assert seen == [(20,)]
        list(backend.erase(SWAP, deleted))


def put_aside(server: RunningServer) -> dict[Path, tuple[int, bytes]]:
    return {p: (p.stat().st_ino, p.read_bytes()) for p in server.data.rglob("*deleatur-held-*")}


@pytest.mark.parametrize("rolled_back", [True, False])
def test_a_job_never_touches_what_the_swap_of_another_put_aside(
    server: RunningServer,
    database: str,
    neighbour: str,
    monkeypatch: pytest.MonkeyPatch,
    rolled_back: bool,
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    with closing(swapping(server, neighbour)) as other:
        begun = other.erase(SWAP, None)
        others_deleted = next(begun)
        begun.close()
        deleted = killed_swap(server, database, monkeypatch, "aside")
        held = put_aside(server)
        assert sum(any(value in content for _, content in held.values()) for value in staying) == 20
        told = "for the swap 'deleatur-.*' of another job, which ends when that job is resumed"
        with monkeypatch.context() as patch:
            patch.setattr("deleatur_plugins.postgresql.rewriting._PATIENCE", 0.2)
            with pytest.raises(Transient, match=told):
                list(other.erase(SWAP, others_deleted))
        with monkeypatch.context() as patch:  # as if the first were prepared right after the look for such
            patch.setattr("deleatur_plugins.postgresql.rewriting.Rewriting._wait_until_unseen", nothing)
            with pytest.raises(Failed, match="another job ran on this server"):
                list(other.erase(SWAP, others_deleted))
    assert put_aside(server) == held
    ((name,),) = server.run("SELECT gid FROM pg_prepared_xacts")
    kill_server(server)  # with its memory goes what it still knows of the table
    server.start()
    if rolled_back:
        server.run(f"ROLLBACK PREPARED '{name}'", database=database)
    with closing(swapping(server, database)) as backend:
        assert [c.position for c in backend.erase(SWAP, deleted)][-1] == "reclaimed 20"
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


def nothing(*_: object) -> None:
    """Do not wait."""


def test_a_job_sees_its_rows_and_is_refused_while_the_swap_of_another_waits(
    server: RunningServer, database: str, neighbour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The prepared writer keeps deleted rows in every database, so they would be copied by the rewrite."""
    going, staying = values(server, neighbour), values(server, neighbour, "NOT leaves")
    others_staying = values(server, database, "NOT leaves")
    deleted = killed_swap(server, database, monkeypatch, "aside")
    held = put_aside(server)
    ((name,),) = server.run("SELECT gid FROM pg_prepared_xacts")
    refusal = f"the swap '{name}' of another job on this server is not finished; resume that job"
    with closing(swapping(server, neighbour)) as other:
        look = other.inspect()
        assert (look.size, [unit.size for unit in look.units], look.blockers) == (20, [20], (refusal,))
        with pytest.raises(Refused, match=refusal):
            next(other.erase(SWAP, None))
        assert put_aside(server) == held
        assert values(server, neighbour) == going
        with closing(swapping(server, database)) as backend:
            assert [c.position for c in backend.erase(SWAP, deleted)][-1] == "reclaimed 20"
        assert put_aside(server) == {}
        list(other.erase(SWAP, None))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, neighbour, "true") == staying
    assert values(server, database, "true") == others_staying
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


def test_a_run_is_refused_while_another_erases_on_the_same_server(
    server: RunningServer, database: str, neighbour: str
) -> None:
    going = values(server, neighbour)
    with closing(opened(server, database)) as backend, closing(opened(server, neighbour)) as other:
        cursors = backend.erase(REWRITE, None)
        next(cursors)
        with pytest.raises(Transient, match="another run erases on this server"):
            next(other.erase(REWRITE, None))
        assert values(server, neighbour) == going
        assert [c.position for c in cursors][-1] == "reclaimed 20"
        assert [c.position for c in other.erase(REWRITE, None)][-1] == "reclaimed 20"


@pytest.mark.parametrize("moment", ["aside", "committed"])
def test_a_base_backup_meanwhile_is_made_and_carries_no_old_file_away(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, moment: str
) -> None:
    going = values(server, database)
    deleted = killed_swap(server, database, monkeypatch, moment)
    assert any(v in content for _, content in put_aside(server).values() for v in going), "the control"
    copy = server.sockets / "copy"
    words = ("-h", str(server.sockets), "-D", str(copy), "-X", "none", "-c", "fast")
    as_user(str(server.programs / "pg_basebackup"), *words)
    assert (copy / "PG_VERSION").exists()
    assert list(copy.rglob("*deleatur-held-*")) == []
    shutil.rmtree(copy)
    with closing(swapping(server, database)) as backend:
        list(backend.erase(SWAP, deleted))
    raw = server.raw()
    assert [v for v in going if v in raw] == []


def test_no_job_begins_while_the_files_of_a_committed_swap_are_not_overwritten(
    server: RunningServer, database: str, neighbour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later job would take the note away by which the first one ends: its old files would stay."""
    going = values(server, database)
    deleted = killed_swap(server, database, monkeypatch, "committed")
    for late in (opened(server, neighbour), swapping(server, database, key=b"n" * 32)):
        with closing(late) as other:
            refusal = "the swap 'deleatur-[0-9a-f]{32}' of another job on this server is not finished"
            assert re.match(refusal, "".join(other.inspect().blockers))
            step = SWAP if late._target.technique else REWRITE
            with pytest.raises(Refused, match=refusal):
                next(other.erase(step, None))
    with closing(swapping(server, database)) as backend:
        assert list(backend.erase(SWAP, deleted))[-1].position == "reclaimed 20"
    with closing(opened(server, neighbour)) as other:
        assert other.inspect().blockers == ()
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


@pytest.mark.parametrize("step", [REWRITE, SWAP])
def test_an_unlogged_table_is_rewritten_as_any_other(
    server: RunningServer, database: str, step: Step
) -> None:
    server.run(  # people who come when it is one: the table is written anew for that
        "DELETE FROM person",
        "ALTER TABLE person SET UNLOGGED",
        "INSERT INTO person SELECT n, n % 2 = 0, md5(n::text || random()) FROM generate_series(1, 40) n",
        "CHECKPOINT",
        database=database,
    )
    going, staying = values(server, database), values(server, database, "NOT leaves")
    with closing(opened(server, database, technique=step.technique)) as backend:
        list(backend.erase(step, None))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying


def test_a_table_that_was_made_again_under_the_same_name_is_another_target(
    server: RunningServer, database: str
) -> None:
    with closing(opened(server, database)) as backend:
        before = backend.inspect().identity
        server.run(
            "ALTER TABLE person RENAME TO old",
            "CREATE TABLE person (LIKE old INCLUDING ALL)",
            "INSERT INTO person SELECT * FROM old",
            "DROP TABLE old",
            database=database,
        )
        assert backend.inspect().identity != before


def test_a_server_without_prepared_transactions_does_not_swap(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deleatur_plugins.postgresql.backend.no_transaction_can_be_prepared", lambda _: True)
    with closing(swapping(server, database)) as backend:
        assert backend.inspect().offers == ()
        assert "max_prepared_transactions is 0" in backend.inspect().denials[0].reason
        with pytest.raises(Unsupported):
            next(backend.erase(SWAP, None))


# --- a disk that fails


def advanced(backend: PostgresqlBackend, step: Step, stage: int) -> tuple[Iterator[Cursor], Cursor]:
    """Run a step up to its cursor of that number, from 1."""
    cursors = backend.erase(step, None)
    return cursors, [next(cursors) for _ in range(stage)][-1]


def overwrites(name: str, args: tuple[Any, ...]) -> bool:
    """Say whether a call writes whole pages; what a crash journal notes is less."""
    return name == "pwrite" and len(args[1]) >= 4096


@pytest.mark.parametrize(
    ("step", "stage", "overwriting", "code"),
    [
        (SWAP, 1, 2, errno.EIO),  # while files of a table that were put aside are overwritten: two at least
        pytest.param(REWRITE, 3, 2, errno.EIO, marks=pytest.mark.campaign),  # and those of the log
        # While blocks are taken out of the free space; where all of them are neighbours, there is but one.
        pytest.param(REWRITE, 4, 1, errno.EIO, marks=pytest.mark.campaign),
        (REWRITE, 4, 1, errno.ENOSPC),
    ],
)
def test_a_disk_that_fails_under_the_overwriting_stops_it_and_nothing_is_lost(
    server: RunningServer, database: str, step: Step, stage: int, overwriting: int, code: int
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    with closing(opened(server, database, technique=step.technique)) as backend:
        cursors, last = advanced(backend, step, stage)
        with (
            faults.failing_at(overwriting, code, overwrites),
            pytest.raises(OSError, match="injected"),
        ):
            next(cursors)
    assert values(server, database, "true") == staying
    with closing(opened(server, database, technique=step.technique)) as backend:
        assert list(backend.erase(step, last))[-1].position == "reclaimed 20"
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


# --- under load, on another file system, and by a second opinion


@pytest.mark.parametrize("step", [REWRITE, SWAP])
def test_writers_on_the_rows_that_stay_lose_nothing_and_wait_no_longer_than_planned(
    server: RunningServer, database: str, step: Step
) -> None:
    server.run(
        "ALTER TABLE person ADD count int NOT NULL DEFAULT 0",
        "INSERT INTO person SELECT n, n % 2 = 0, md5(n::text || random()), repeat('x', 300) "
        "FROM generate_series(1001, 5000) n",
        "CHECKPOINT",
        database=database,
    )
    written: list[int] = []
    waited: list[float] = []
    ended = threading.Event()

    def write(first: int) -> None:
        with server.connect(database) as connection:
            number, id_ = 0, first
            while not ended.is_set():
                begun = time.monotonic()
                changed = connection.execute("UPDATE person SET count = count + 1 WHERE id = %s", (id_,))
                waited.append(time.monotonic() - begun)
                number += changed.rowcount
                id_ = 1001 + (id_ - 1001 + 14) % 4000
                time.sleep(0.002)
            written.append(number)

    writers = [threading.Thread(target=write, args=(1001 + 2 * n,)) for n in range(4)]
    with closing(opened(server, database, technique=step.technique)) as backend:
        (offer,) = backend.inspect().offers
        for writer in writers:
            writer.start()
        try:
            cursors = list(backend.erase(step, None))
        finally:
            ended.set()
            for writer in writers:
                writer.join()
    assert len(written) == len(writers)
    assert min(written) > 20
    ((total, left),) = server.run("SELECT sum(count), count(*) FROM person", database=database)
    assert (total, left) == (sum(written), 2020)
    measured = max(cursor.outage for cursor in cursors)
    assert 0 < measured <= offer.outage
    assert max(waited) * 1000 <= offer.outage


def test_a_job_among_writers_is_certified_only_if_it_says_that_others_write(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    """The certificate then names what was not compared; no word says that what stays is as it was."""
    server.run("ALTER TABLE person ADD count int NOT NULL DEFAULT 0", "CHECKPOINT", database=database)
    text = job_text(server, database, device=False)
    going, ended, written, errors = values(server, database), threading.Event(), [0], []

    def write() -> None:
        try:
            with server.connect(database) as connection:
                while not ended.is_set():
                    changed = connection.execute("UPDATE person SET count = count + 1 WHERE NOT leaves")
                    written[0] += changed.rowcount
                    time.sleep(0.01)
        except psycopg.Error as error:
            errors.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with pytest.raises(Failed, match="what must stay"):
            Workbench(tmp_path / "silent").whole(text)
        names = ", ".join(f"({n}, true, '{name.decode()}')" for n, name in enumerate(going, 100))
        server.run(f"INSERT INTO person (id, leaves, name) VALUES {names}", "CHECKPOINT", database=database)
        bench = Workbench(tmp_path / "said")
        job = bench.whole(text.replace("[[target]]", "[[target]]\nothers_write = true"))
    finally:
        ended.set()
        writer.join(60)
    assert not errors
    assert server.run("SELECT sum(count), count(*) FROM person", database=database) == [(written[0], 20)]
    said = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert "others-wrote" in [e.sentence.id for e in said.exceptions]
    assert "kept" not in [claim.id for claim in said.outcome.per_target[0].claims]
    assert said.outcome.overall == "verified-with-exceptions"
    raw = server.raw()
    assert not [v for v in going if v in raw]


def test_where_others_write_a_deletion_that_harms_a_row_is_rolled_back(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No look afterwards could tell our doing from theirs, so it is told while nobody can write."""
    harm = "UPDATE public.person SET memo = 'x' WHERE id = 1"

    def harmful(connection: "psycopg.Connection[Any]", content: Any) -> None:
        delete_(connection, content)
        connection.execute(harm)

    delete_ = deleting._delete
    monkeypatch.setattr(deleting, "_delete", harmful)
    before = server.run("SELECT * FROM person ORDER BY id", database=database)
    with closing(opened(server, database, others_write=True)) as backend:
        with pytest.raises(Failed, match="rows that stay"):
            next(backend.erase(REWRITE, None))
        assert server.run("SELECT * FROM person ORDER BY id", database=database) == before
        harm = "SELECT 1"
        assert next(backend.erase(REWRITE, None)).done == 20


@pytest.fixture
def on_xfs() -> Iterator[RunningServer]:
    """A server on XFS, with 200 rows of 400 that leave."""
    settings = {"max_prepared_transactions": "1", "wal_level": "minimal", "max_wal_senders": "0"}
    settings["logging_collector"] = "on"  # into the data directory: all that is searched lies on one disk
    with running_server(kind="xfs", megabytes=400, settings=settings) as server:
        server.run("CREATE DATABASE d")
        server.run(
            "CREATE TABLE person (id int PRIMARY KEY, leaves boolean, name text)",
            "INSERT INTO person SELECT n, n % 2 = 0, md5(n::text || random()) FROM generate_series(1, 400) n",
            "ANALYZE person",
            "CHECKPOINT",
            database="d",
        )
        yield server


def whole_on_xfs(server: RunningServer, bench: Workbench, more: str, *, technique: str, device: bool) -> Any:
    """Run a job and return its certificate."""
    job = bench.whole(job_text(server, "d", technique=technique, device=device) + more)
    assert server.run("SELECT count(*) FROM person", database="d") == [(200,)]
    return verify(job.certificate, [bench.agent.public], 1, None).certificate


@pytest.mark.campaign
@pytest.mark.parametrize("technique", ["", "swap-and-shred"])
def test_on_xfs_freed_blocks_are_named_and_lower_the_claim(
    on_xfs: RunningServer, tmp_path: Path, technique: str
) -> None:
    said = whole_on_xfs(on_xfs, Workbench(tmp_path), "", technique=technique, device=False)
    assert any("blocks that nobody can name" in e.sentence.text for e in said.exceptions)
    assert said.outcome.overall == "executed-unverified"


@pytest.mark.campaign
@pytest.mark.parametrize("technique", ["", "swap-and-shred"])
def test_on_xfs_a_fill_of_the_free_space_leaves_nothing_on_the_device(
    on_xfs: RunningServer, tmp_path: Path, technique: str
) -> None:
    going = values(on_xfs, "d")
    fill = f'[[free_space]]\nid = "disk"\nfolder = "{on_xfs.data}"\nmargin = 0\n'
    said = whole_on_xfs(on_xfs, Workbench(tmp_path), fill, technique=technique, device=True)
    assert not any("blocks that nobody can name" in e.sentence.text for e in said.exceptions)
    assert said.outcome.overall != "executed-unverified"
    raw = on_xfs.raw()
    assert not [v for v in going if v in raw]


def test_pg_dirtyread_finds_the_rows_after_a_deletion_and_none_after_us(
    server: RunningServer, database: str
) -> None:
    server.run("ALTER TABLE person DROP memo", "CREATE EXTENSION pg_dirtyread", database=database)
    dead = (
        "SELECT name FROM pg_dirtyread('person') AS t (xmax xid, name text, dropped_4 text) "
        "WHERE xmax <> 0 OR dropped_4 IS NOT NULL"
    )
    with closing(opened(server, database)) as backend:
        cursors = backend.erase(REWRITE, None)
        next(cursors)
        assert len(server.run(dead, database=database)) == 40, "the control: deleted rows, and dropped values"
        list(cursors)
    assert server.run(dead, database=database) == []


# --- integrity


def test_tables_are_checked_before_and_after_and_rows_compared_after_a_restart(
    server: RunningServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(opened(server, database)) as backend:
        assert "no-integrity-check" in backend.inspect().offers[0].limits
    server.run("CREATE SCHEMA checks", "CREATE EXTENSION amcheck SCHEMA checks", database=database)
    checked = []

    def seen(connection: "psycopg.Connection[Any]", tables: list[Table]) -> None:
        checked.append([table.name for table in tables])
        check_tables(connection, tables)

    monkeypatch.setattr("deleatur_plugins.postgresql.rewriting.check_tables", seen)
    with closing(opened(server, database)) as backend:
        assert "no-integrity-check" not in backend.inspect().offers[0].limits
        before = list(backend.bystanders())
        list(backend.erase(REWRITE, None))
    assert checked == [["person"], ["person"]]
    server.control("-m", "fast", "restart", "-l", str(server.sockets / "log"))
    with closing(opened(server, database)) as backend:
        assert list(backend.bystanders()) == before


@pytest.mark.parametrize("part", ["person", "person_pkey"])
def test_what_is_damaged_already_is_refused_before_anything_changes(
    server: RunningServer, database: str, part: str
) -> None:
    server.run("CREATE EXTENSION amcheck", "VACUUM FREEZE person", "CHECKPOINT", database=database)
    ((path, rows),) = server.run(
        f"SELECT pg_relation_filepath('{part}'), count(*) FROM person", database=database
    )
    server.control("-m", "fast", "stop")
    with (server.data / str(path)).open("r+b") as file:
        file.seek(0 if part == "person" else 8192)
        page = bytearray(file.read(8192))
        if part == "person":
            page[24:28] = struct.pack("<I", 8191 | 1 << 15 | 40 << 17)  # a row that lies beyond its page
        else:
            page[24:28], page[28:32] = page[28:32], page[24:28]  # two keys in the wrong order
        file.seek(0 if part == "person" else 8192)
        file.write(page)
    server.run_without_checksums()
    try:
        with closing(opened(server, database)) as backend, pytest.raises((Refused, Failed)) as told:
            next(backend.erase(REWRITE, None))
        assert ("amcheck finds" if part == "person" else "is damaged (XX002)") in str(told.value)
        assert server.run("SELECT count(*) FROM person WHERE id > 2", database=database) == [(rows - 2,)]
    finally:
        server.control("-m", "fast", "restart", "-l", str(server.sockets / "log"))


# --- kills


def kill_server(server: RunningServer) -> None:
    """Kill the server and all of its processes at once, as a failing host would."""
    leader = int((server.data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(leader, signal.SIGSTOP)  # it begins no more, and who ends stays as long as it stands
    children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
    everybody = (leader, *map(int, children))
    for how in (
        signal.SIGSTOP,
        signal.SIGKILL,
    ):  # who sees the others die tidies up, and takes its files away
        for pid in everybody:
            with suppress(ProcessLookupError):  # it was ending when it was listed
                os.kill(pid, how)
    for pid in everybody:
        wait_until_dead(pid)
    # where nobody waits for the dead, as in a container, the server takes its old self for alive
    for left in (server.data / "postmaster.pid", *server.sockets.glob(".s.PGSQL*")):
        left.unlink()


def kill_and_start(server: RunningServer) -> None:
    kill_server(server)
    server.start()


def wait_until_dead(pid: int) -> None:
    for _ in range(1000):
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.01)
    pytest.fail("a killed server does not end")


@pytest.mark.parametrize("at", [1, 3, *(pytest.param(n, marks=pytest.mark.campaign) for n in (0, 2, 4))])
def test_a_server_killed_at_any_cursor_ends_at_the_same_zero(
    server: RunningServer, database: str, at: int
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    with closing(opened(server, database)) as backend:
        cursors = backend.erase(REWRITE, None)
        last = [next(cursors) for _ in range(at + 1)][-1]
    kill_server(server)
    server.start()
    for again in (last, None):  # the journal may have lost the last cursor, never more
        with closing(opened(server, database)) as backend:
            list(backend.erase(REWRITE, again))
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying
    assert server.run("SHOW wal_recycle") == [("on",)]
    assert [p.name for p in server.data.rglob("*deleatur*")] == []


ENTRIES = [(number, moment) for number in range(1, 15) for moment in ("before", "after")]


QUICK = (("agent", "", 9, "after"), ("server", "swap-and-shred", 10, "before"))


@pytest.mark.parametrize(
    ("who", "technique", "number", "moment"),
    [
        p if p in QUICK else pytest.param(*p, marks=pytest.mark.campaign)
        for p in ((w, t, *e) for w, t, e in product(("agent", "server"), ("", "swap-and-shred"), ENTRIES))
    ],
)
def test_a_job_killed_with_its_server_or_alone_at_any_entry_is_certified_after(
    server: RunningServer,
    database: str,
    tmp_path: Path,
    who: str,
    technique: str,
    number: int,
    moment: Moment,
) -> None:
    going, staying = values(server, database), values(server, database, "NOT leaves")
    bench = Workbench(tmp_path)
    job = bench.job(job_text(server, database, device=False, technique=technique))
    bench.plan(job)
    bench.approve(job)
    if who == "agent":
        assert run_killed_at_entry(lambda: bench.run(job), number, moment)
    else:
        with at_entry(number, moment, lambda: kill_and_start(server)) as entries, suppress(Transient):
            bench.run(job)
        assert len(entries) >= number
    if not job.certificate.exists():
        bench.run(job)
    checked = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert checked.verification[0].verdict == "CLEAN"
    raw = server.raw()
    assert [v for v in going if v in raw] == []
    assert values(server, database, "true") == staying


def test_no_connection_is_an_error_that_may_pass(server: RunningServer) -> None:
    target = Target(id="t", url="postgresql:///nowhere?host=/nonexistent", select=EVERYBODY)
    with closing(PostgresqlBackend.open(target, KEY)) as backend, pytest.raises(Transient):
        backend.inspect()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@host/db",
        "postgresql://host/db?password=secret",
        "postgresql://host",
        "postgresql://host:port/db",
        "postgresql://one,two/db",
        "postgresql://host/db#x",
    ],
)
def test_a_url_that_says_too_much_or_too_little_is_refused(url: str) -> None:
    with pytest.raises(Refused) as caught:
        PostgresqlBackend.open(Target(id="t", url=url, select=EVERYBODY), KEY)
    assert "secret" not in str(caught.value)


def test_the_driver_is_loaded_when_it_is_needed() -> None:
    code = "import sys, deleatur_plugins.postgresql; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
