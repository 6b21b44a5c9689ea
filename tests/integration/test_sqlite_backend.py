"""The sqlite backend on real databases: nothing selected is left, nothing else is touched."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.api import (
    Condition,
    Failed,
    HeldRows,
    Locator,
    Refused,
    Selection,
    Target,
    Transient,
    Unsupported,
    Within,
)
from deleatur.documents.codec import encode_json
from deleatur_plugins.sqlite import SqliteBackend
from deleatur_plugins.sqlite.files import digest_of

from .sqlite_shop import GOES, SECRETS, SELECT, STEP, build, erase, files, going, hits, kept, target, url


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that holds nothing but the database; in memory, where nothing waits for a disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        yield Path(made)


def inspect(wanted: Target, secrets: dict[str, bytes] = SECRETS):
    return SqliteBackend.open(wanted, secrets).inspect()


# --- nothing is left


@pytest.mark.parametrize("mode", ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF", "WAL"])
def test_no_value_is_left_in_any_mode(folder: Path, mode: str) -> None:
    path = build(folder / "shop.db", mode)
    before = kept(path)
    assert hits(folder) == len(going()), "the control: every value is there"
    wanted = target(path)
    assert inspect(wanted).size == 20 * 5
    cursors = list(erase(wanted))
    assert cursors[-1].done == 20 * 5
    assert hits(folder) == 0
    assert sorted(os.listdir(folder)) == ["shop.db"], "something was left behind"
    assert kept(path) == before
    with closing(sqlite3.connect(path)) as database:
        (now,) = database.execute("PRAGMA journal_mode").fetchone()
        assert now == ("wal" if mode == "WAL" else "delete"), "only WAL is written in the file"
    assert not inspect(wanted).units


def test_the_wal_of_a_killed_program_is_shredded_too(folder: Path, tmp_path: Path) -> None:
    build(tmp_path / "live.db", "WAL")
    with closing(sqlite3.connect(tmp_path / "live.db", isolation_level=None)) as living:
        living.execute("PRAGMA wal_autocheckpoint=0")
        living.execute("UPDATE person SET letter = letter || '.'")
        for name in ("live.db", "live.db-wal"):
            (folder / name).write_bytes((tmp_path / name).read_bytes())
    before_wal = (folder / "live.db-wal").stat().st_size
    assert before_wal > 50_000, "the control: the content lies in the WAL"
    wanted = target(folder / "live.db")
    roles = [c.position.split(" ")[2] for c in erase(wanted) if c.position.startswith("shredded")]
    assert [r for r in roles if r.startswith("wal-")], "the old WAL was not shredded"
    assert hits(folder) == 0
    assert os.listdir(folder) == ["live.db"]


def test_a_whole_table_goes_and_its_counter_stays(folder: Path) -> None:
    path = folder / "a.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)")
        database.executemany("INSERT INTO t (v) VALUES (?)", [("a",), ("b",)])
        database.commit()
    list(erase(target(path, Selection(table="t"))))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM t").fetchone() == (0,)
        assert database.execute("SELECT seq FROM sqlite_sequence").fetchone() == (2,)


@pytest.mark.parametrize(
    "setup",
    [
        "PRAGMA page_size=1024; PRAGMA auto_vacuum=FULL; PRAGMA application_id=77; PRAGMA user_version=9",
        "PRAGMA page_size=8192; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA encoding='UTF-16le'",
    ],
)
def test_what_the_file_declares_is_kept(tmp_path: Path, setup: str) -> None:
    path = build(tmp_path / "shop.db", "WAL", setup=setup)
    os.chmod(path, 0o640)
    os.setxattr(path, "user.owner", b"shop")
    names = ("page_size", "auto_vacuum", "application_id", "user_version", "encoding", "journal_mode")

    def settings() -> list[object]:
        with closing(sqlite3.connect(path)) as database:
            return [database.execute(f"PRAGMA {name}").fetchone() for name in names]

    declared, before = settings(), kept(path)
    list(erase(target(path)))
    assert settings() == declared
    assert kept(path) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.getxattr(path, "user.owner") == b"shop"
    content = path.read_bytes()
    assert not [v for v in going() if v in content or v.decode().encode("utf-16-le") in content]


# --- refusals: by name, with the data intact


def refused(wanted: Target, words: list[str], kind: type[Exception] = Refused, secrets=SECRETS) -> None:
    folder = Path(wanted.url.removeprefix("sqlite://")).parent
    before = files(folder)
    with pytest.raises(kind) as caught:
        list(erase(wanted, secrets))
    for word in words:
        assert word in str(caught.value), f"{word!r} is not named in {caught.value}"
    assert "\n" not in str(caught.value)
    assert files(folder) == before, "a refusal changed something"


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_another_process_is_refused_by_name(folder: Path, mode: str) -> None:
    path = build(folder / "shop.db", mode)
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        "c.execute('SELECT count(*) FROM person').fetchone();"
        "print('open', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout is not None
        other.stdout.readline()
        assert any(f"process {other.pid}" in b for b in inspect(target(path)).blockers)
        refused(target(path), [f"process {other.pid}", "stop it"])
    finally:
        other.communicate()


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_second_connection_of_this_process_is_refused_by_name(folder: Path, mode: str) -> None:
    path = build(folder / "shop.db", mode)
    with closing(sqlite3.connect(path)) as second:
        second.execute("SELECT count(*) FROM person").fetchone()
        refused(target(path), [f"this process ({os.getpid()})"])
    list(erase(target(path)))
    assert hits(folder) == 0


@pytest.mark.parametrize("moment", ["copied", "deleted", "rebuilt"])
@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_write_between_copy_and_swap_is_detected(folder: Path, mode: str, moment: str) -> None:
    path = build(folder / "shop.db", mode)
    wanted = target(path)

    def erase_and_write() -> None:
        for cursor in erase(wanted):
            if cursor.position.startswith(moment):
                with closing(sqlite3.connect(path)) as other:
                    other.execute("INSERT INTO mail VALUES ('arrived late', 0)")
                    other.commit()

    with pytest.raises(Transient, match="wrote to the database meanwhile"):
        erase_and_write()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM mail").fetchone() == (41,), "the write was lost"
    assert os.listdir(folder) == ["shop.db"], "something was left behind"
    list(erase(wanted))
    assert hits(folder) == 0
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM mail").fetchone() == (21,)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_who_waits_for_the_old_database_never_writes_to_it(
    folder: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program opens the database while the swap reads it, and tries to write ever after."""
    path = build(folder / "shop.db", mode)
    waiting: list[sqlite3.Connection] = []

    def digest_and_open(fd: int) -> bytes:
        if os.path.lexists(f"{path}.deleatur-new"):  # inside the swap, after the look for users
            waiting.append(sqlite3.connect(path, timeout=0, isolation_level=None))
        return digest_of(fd)

    monkeypatch.setattr("deleatur_plugins.sqlite.rewriting.digest_of", digest_and_open)
    tries = 0
    for cursor in erase(target(path)):
        if waiting:
            tries += 1
            with pytest.raises(sqlite3.DatabaseError):
                waiting[0].execute("INSERT INTO mail VALUES ('would be lost', 0)")
        assert tries or not cursor.position.startswith("swapped")
    waiting[0].close()
    assert tries >= 2, "it was tried when the old file had its content still, and when it had not"
    assert hits(folder) == 0
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM mail").fetchone() == (20,)


def test_a_program_with_the_old_database_open_is_named_on_resume(folder: Path) -> None:
    path = build(folder / "shop.db", "WAL")
    run = erase(target(path))
    for cursor in run:
        if cursor.position.startswith("rebuilt"):
            break
    run.close()
    os.link(path, f"{path}.deleatur-old")  # as a kill right after the swap leaves it
    Path(f"{path}.deleatur-new").rename(path)
    with open(f"{path}.deleatur-old", "rb"):
        assert f"this process ({os.getpid()})" in str(inspect(target(path)).blockers)
    assert list(erase(target(path), after=cursor))
    assert hits(folder) == 0


def test_a_trigger_that_keeps_a_copy_is_refused_by_name(folder: Path) -> None:
    path = build(folder / "shop.db")
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE audit (old_name TEXT);"
            "CREATE TRIGGER remember AFTER DELETE ON person BEGIN INSERT INTO audit VALUES (old.name); END"
        )
    refused(target(path), ["'audit'", "remember on person"])


def test_a_trigger_that_keeps_the_row_is_refused(folder: Path) -> None:
    path = build(folder / "shop.db")
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TRIGGER never BEFORE DELETE ON person BEGIN SELECT raise(IGNORE); END")
    refused(target(path), ["'person'", "still finds rows"])


def test_a_dangling_reference_is_refused_by_table(folder: Path) -> None:
    path = build(folder / "shop.db")
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE bill (of INTEGER REFERENCES person ON DELETE CASCADE); INSERT INTO bill VALUES (2);"
            "CREATE TABLE broken (of INTEGER REFERENCES person); INSERT INTO broken VALUES (999)"
        )
    refused(target(path), ["'bill'", "select those rows too"])
    both = Condition(
        column="of", operator="within", within=Within(table="person", column="id", where=(GOES,))
    )
    list(
        erase(target(path, Selection(table="person", where=(GOES,)), Selection(table="bill", where=(both,))))
    )
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM bill").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM broken").fetchone() == (1,), "broken before: left alone"


def test_a_selection_that_would_find_more_afterwards_is_refused(folder: Path) -> None:
    path = build(folder / "shop.db")
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE visit (of INTEGER); INSERT INTO visit VALUES (2), (77)")
    orphans = Condition(column="of", operator="not-within", within=Within(table="person", column="id"))
    refused(
        target(path, Selection(table="person", where=(GOES,)), Selection(table="visit", where=(orphans,))),
        ["'visit'"],
    )


@pytest.mark.parametrize("whose", [7, "7", b"7"])
@pytest.mark.parametrize("here", [7, "7", b"7", 7.0])
def test_columns_without_a_type_meet_in_whatever_form_they_hold_a_value(
    folder: Path, whose: object, here: object
) -> None:
    path = folder / "untyped.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE person (id, goes); CREATE TABLE visit (of, what TEXT)")
        database.executemany("INSERT INTO person VALUES (?, ?)", [(whose, 1), (8, 0), ("1e1", 1)])
        database.executemany("INSERT INTO visit VALUES (?, ?)", [(here, "theirs"), (8, "x"), (10, "y")])
        database.commit()
    leaving = Within(table="person", column="id", where=(GOES,))
    found = {
        operator: inspect(
            target(
                path,
                Selection(table="visit", where=(Condition(column="of", operator=operator, within=leaving),)),
            )
        ).size
        for operator in ("within", "not-within")
    }
    same = here != 7.0 or whose == 7  # a number with a fraction is no name of anybody
    assert found == {"within": 1, "not-within": 2} if same else {"within": 0, "not-within": 3}


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16LE", "UTF-16BE"])
def test_rows_without_a_number_go_by_their_primary_key(folder: Path, encoding: str) -> None:
    path = folder / "keyed.db"
    keys = [("ZQmail", 1), ("ZQMAIL2", b"ZQblob"), (b"ZQother", 2.5), (7, "ZQtext")]
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            f"PRAGMA encoding = '{encoding}';"
            "CREATE TABLE w (of, who TEXT COLLATE NOCASE, part, goes INTEGER, PRIMARY KEY (who, part)) "
            "WITHOUT ROWID; CREATE INDEX by_of ON w (of)"
        )
        for goes in (1, 0):
            for number, (who, part) in enumerate(keys):
                name = f"{who if isinstance(who, str) else number}-{'D' if goes else 'K'}"
                database.execute("INSERT INTO w VALUES (?, ?, ?, ?)", (f"of {name}", name, part, goes))
        database.commit()
        before = database.execute("SELECT * FROM w WHERE goes = 0 ORDER BY who").fetchall()
    held = HeldRows(
        id="one", reason="a matter", table="w",
        where=(Condition(column="who", operator="=", value="3-d"),),
    )  # fmt: skip
    wanted = target(path, Selection(table="w", where=(GOES,)))
    holding = Target(id="t", url=wanted.url, select=wanted.select, hold=(held,))
    with closing(SqliteBackend.open(holding, SECRETS)) as backend:
        look = backend.inspect()
        places = list(backend.sample(None, b""))
        values = {backend.probe(place) for place in places}
    assert [unit.size for unit in (*look.units, *look.held)] == [3, 1]
    assert {b"ZQmail-D", b"of ZQmail-D", b"ZQblob", b"of 2-D"} < values
    assert not [place for place in places if "ZQ" in place.item]
    list(SqliteBackend.open(holding, SECRETS).erase(STEP, None))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT * FROM w WHERE goes = 0 ORDER BY who").fetchall() == before
        assert database.execute("SELECT who FROM w WHERE goes = 1").fetchall() == [("3-D",)]
    names = [name.encode(encoding) for name in ("ZQmail-D", "ZQMAIL2-D", "2-D")]
    assert not [name for name in names if name in path.read_bytes()]
    assert all(backend.probe(place) is None for place in places)


def test_a_name_of_a_row_that_another_job_made_is_refused(folder: Path) -> None:
    path = folder / "keyed.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE w (who TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO w VALUES ('a')"
        )
    wanted = target(path, Selection(table="w"))
    (place,) = SqliteBackend.open(wanted, SECRETS).sample(None, b"")
    other = SqliteBackend.open(wanted, {"digest-key": bytes(32)})
    for item in (place.item, "1/who", "/who", "zzzz/who"):
        with pytest.raises(Failed, match="none of this backend's"):
            other.probe(Locator(unit="table w", item=item))


def test_copies_in_the_folder_are_named_by_their_first_bytes(folder: Path) -> None:
    path = build(folder / "shop.db", "WAL")
    wanted = target(path)
    before = sorted(os.listdir(folder))
    assert not [s for s in inspect(wanted).surfaces if "copies in the folder" in s.name]
    named = {"copy.old", "note.txt", "left-wal", "torn"}
    (folder / "copy.old").write_bytes(path.read_bytes())
    (folder / "note.txt").write_bytes(path.read_bytes())
    (folder / "left-wal").write_bytes(bytes.fromhex("377f0682") + b"pages")
    (folder / "torn").write_bytes(path.read_bytes()[:100])
    with closing(sqlite3.connect(folder / "other.db")) as database:
        database.execute("CREATE TABLE weather (day TEXT)")
    (folder / "empty").touch()
    (folder / "words.txt").write_bytes(b"SQLite format 4")
    (surface,) = [s for s in inspect(wanted).surfaces if "copies in the folder" in s.name]
    inodes = {f"inode-{(folder / name).stat().st_ino}" for name in named}
    assert set(surface.name.partition(": ")[2].split(", ")) == inodes
    assert surface.reach == "out-of-reach"
    assert sorted(os.listdir(folder)) == sorted([*before, *named, "other.db", "empty", "words.txt"])


def test_kinds_of_tables_that_cannot_be_selected_are_refused_by_name(folder: Path) -> None:
    path = build(folder / "shop.db")
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE VIEW v AS SELECT * FROM person; CREATE TABLE three (rowid, _rowid_, oid)"
        )
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE three")
    for name in ("v", "own_data", "found", "sqlite_sequence", "sqlite_schema", "PERSON", "nobody"):
        refused(target(path, Selection(table=name)), [repr(name)])
    with pytest.raises(Refused, match="no column"):
        inspect(
            target(path, Selection(table="person", where=(Condition(column="x", operator="=", value=1),)))
        )


def test_links_and_a_hot_journal_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    path = build(folder / "shop.db")
    (tmp_path / "link.db").symlink_to(path)
    with pytest.raises(Refused, match="symbolic link"):
        inspect(target(tmp_path / "link.db"))
    os.link(path, tmp_path / "second.db")
    assert any("2 names" in b for b in inspect(target(path)).blockers)
    refused(target(path), ["2 names"])
    (tmp_path / "second.db").unlink()
    pages = path.read_bytes()[:512]
    (folder / "shop.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + pages)
    refused(target(path), ["crashed"])
    with pytest.raises(Refused, match="crashed"):
        inspect(target(path))


def test_files_of_one_transaction_are_a_target_each(folder: Path) -> None:
    """Attached files are written by one transaction, and left by its crash with a journal each."""
    paths = [build(folder / name) for name in ("a.db", "b.db")]
    crash = (
        "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "d.execute('ATTACH ? AS b', sys.argv[2:]); d.execute('BEGIN');"
        "[d.execute(f'UPDATE {s}.person SET letter = 1') for s in ('main', 'b')]; d.execute('COMMIT')"
    )
    killed = ["strace", "-qq", "-o", "/dev/null", "-e", "inject=unlink:signal=KILL:when=1"]
    ran = subprocess.run([*killed, sys.executable, "-c", crash, *map(str, paths)], check=False, timeout=60)
    assert ran.returncode == -signal.SIGKILL
    assert len(list(folder.glob("a.db-mj*"))) == 1, "the control: the journal of both was not gone yet"
    for path in paths:
        with pytest.raises(Refused, match="crashed"):
            inspect(target(path))
    for path in paths:
        kept(path)  # whoever opens it rolls it back
        list(erase(target(path)))
    assert hits(folder) == 0
    assert sorted(os.listdir(folder)) == ["a.db", "b.db"]


def test_what_is_no_database_is_refused(folder: Path) -> None:
    (folder / "letter.db").write_bytes(b"dear friend" * 1000)
    with pytest.raises(Refused, match="does not begin"):
        inspect(target(folder / "letter.db"))
    letter = Target(id="t", url=url(folder / "letter.db"))
    assert any("does not begin" in b for b in inspect(letter).blockers)
    assert not inspect(Target(id="t", url=url(build(folder / "whole.db")))).blockers
    path = build(folder / "shop.db", "DELETE")
    damaged = bytearray(path.read_bytes())
    damaged[4096:8192] = bytes(4096)
    path.write_bytes(damaged)
    with pytest.raises(Refused, match="damaged"):
        list(erase(target(path)))
    assert path.read_bytes() == bytes(damaged)


@pytest.mark.parametrize(
    "bad",
    [
        "sqlite:relative.db",
        "sqlite://host/a.db",
        "sqlite:///a.db?mode=rwc",
        "sqlite:///a.db#x",
        "sqlite:///a/",
        "sqlite:///tmp/../etc/a.db",
        "sqlite:///a%00b",
        "sqlite:///tmp/%2e%2e/etc/a.db",
        "sqlite:///tmp/%ff.db",
    ],
)
def test_urls_that_say_something_else_are_refused(bad: str) -> None:
    with pytest.raises(Refused):
        SqliteBackend.open(Target(id="t", url=bad, select=(Selection(table="t"),)), SECRETS)


# --- what is held, approved, injected


def test_held_rows_stay_and_are_reported(folder: Path) -> None:
    path = build(folder / "shop.db")
    held = HeldRows(
        id="suit",
        reason="open",
        table="person",
        where=(Condition(column="id", operator="in", values=(2, 3, 4)),),
    )
    wanted = Target(id="t", url=url(path), select=(Selection(table="person", where=(GOES,)),), hold=(held,))
    look = inspect(wanted)
    assert [(u.name, u.size) for u in look.units] == [("table person", 18)]
    assert [(u.name, u.size) for u in look.held] == [("hold suit table person", 2)], "3 was not selected"
    list(erase(wanted))
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT id FROM person WHERE goes = 1").fetchall() == [(2,), (4,)]
    with pytest.raises(Refused, match="selects none"):
        SqliteBackend.open(Target(id="t", url=url(path), hold=(held,)), SECRETS)


def test_rows_that_changed_since_the_plan_are_refused(folder: Path) -> None:
    path = build(folder / "shop.db")
    wanted = target(path)
    look = inspect(wanted)
    secrets = {**SECRETS, "approved-units": encode_json({"units": look.units, "held": look.held})}
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE person SET letter = 'another' WHERE id = 2")
        database.commit()
    refused(wanted, ["changed since the plan"], secrets=secrets)
    look = inspect(wanted)
    secrets["approved-units"] = encode_json({"units": look.units, "held": look.held})
    list(erase(wanted, secrets))
    assert hits(folder) == 0


EVIL = [
    'person" --',
    "person'; DROP TABLE mail; --",
    'person" WHERE 1=1; DELETE FROM mail; --',
    "main.person",
    "person, mail",
    "(SELECT 1)",
    "sqlite_master",
    'x"y',
    "",
    "person\0",
    "ｐｅｒｓｏｎ",
]


@pytest.mark.parametrize("evil", [e for e in EVIL if e])
def test_no_selector_injects(folder: Path, evil: str) -> None:
    path = build(folder / "shop.db", rows=6)
    before = path.read_bytes()
    yes = Condition(column="goes", operator="=", value=1)
    names = [
        Selection(table=evil),
        Selection(table="person", where=(Condition(column=evil, operator="=", value=1),)),
        Selection(
            table="person",
            where=(Condition(column="id", operator="within", within=Within(table=evil, column="id")),),
        ),
        Selection(
            table="person",
            where=(Condition(column="id", operator="within", within=Within(table="person", column=evil)),),
        ),
    ]
    for selection in names:
        with pytest.raises(Refused):
            list(erase(target(path, selection)))
        with pytest.raises(Refused):
            inspect(target(path, selection))
    values = [
        Selection(table="person", where=(Condition(column="name", operator="=", value=evil), yes)),
        Selection(table="person", where=(Condition(column="name", operator="in", values=(evil,)), yes)),
        Selection(table="person", where=(Condition(column="name", operator="in", values_from="f"), yes)),
    ]
    for selection in values:
        assert inspect(target(path, selection), {**SECRETS, "values:f": evil.encode() + b"\n"}).size == 0
    assert path.read_bytes() == before


def test_names_that_need_quoting_work(folder: Path) -> None:
    path = folder / "odd name %41 ?#.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute('CREATE TABLE "a ""b"" table; --" ("col""umn /x" TEXT, "select" INTEGER)')
        database.executemany('INSERT INTO "a ""b"" table; --" VALUES (?, ?)', [("one", 1), ("two", 2)])
        database.commit()
    wanted = target(
        path,
        Selection(table='a "b" table; --', where=(Condition(column="select", operator="=", value=1),)),
    )
    backend = SqliteBackend.open(wanted, SECRETS)
    places = list(backend.sample(None, b""))
    assert [backend.probe(p) for p in places] == [b"one"]
    list(erase(wanted))
    assert [backend.probe(p) for p in places] == [None]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute('SELECT * FROM "a ""b"" table; --"').fetchall() == [("two", 2)]


@pytest.mark.parametrize(
    "condition",
    [
        Condition(column="id", operator="="),
        Condition(column="id", operator="=", values=(1,)),
        Condition(column="id", operator="in", value=1),
        Condition(column="id", operator="in", values=(1,), values_from="f"),
        Condition(column="id", operator="is-null", value=1),
        Condition(column="id", operator="within", value=1),
        Condition(column="id", operator="=", value=1 << 64),
        Condition(column="id", operator="=", value=float("nan")),
        Condition(column="id", operator="=", value="\ud800"),
        Condition(column="id", operator="in", values_from="missing"),
        Condition(column="id", operator="in", values_from="empty line"),
        Condition(column="id", operator="in", values_from="latin"),
    ],
)
def test_conditions_that_do_not_say_one_thing_are_refused(folder: Path, condition: Condition) -> None:
    path = build(folder / "shop.db", rows=4)
    secrets = {**SECRETS, "values:f": b"1\n", "values:empty line": b"1\n\n2\n", "values:latin": b"\xe9\n"}
    with pytest.raises(Refused) as caught:
        inspect(target(path, Selection(table="person", where=(condition,))), secrets)
    assert "person" in str(caught.value) or "'" in str(caught.value)


def test_what_another_job_left_does_not_pass_for_our_own_swap(folder: Path) -> None:
    path = build(folder / "shop.db")
    first = erase(target(path, SELECT[0]))
    for cursor in first:
        if cursor.position.startswith("swapped"):
            break
    first.close()
    assert (folder / "shop.db.deleatur-old").exists(), "the other job was killed right after its swap"
    list(erase(target(path)))
    assert hits(folder) == 0
    assert os.listdir(folder) == ["shop.db"]


def test_a_value_that_is_stored_nowhere_is_not_sampled(folder: Path) -> None:
    """The control would look for it in vain, and no erase of the table would ever count as verified."""
    path = folder / "computed.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE person (name TEXT, loud TEXT AS (upper(name)), twice TEXT AS (name || name) STORED)"
        )
        database.execute("INSERT INTO person VALUES ('Ottilie Canary')")
        database.commit()
    places = SqliteBackend.open(Target(id="t", url=url(path), select=(Selection(table="person"),)), SECRETS)
    assert [place.item for place in places.sample(None, b"")] == ["1/name", "1/twice"]


def test_a_hold_on_a_table_that_nothing_is_selected_from_is_refused(folder: Path) -> None:
    path = build(folder / "shop.db")
    hold = HeldRows(id="complaint", reason="open", table="mail")
    wanted = Target(id="t", url=url(path), select=(Selection(table="person", where=(GOES,)),), hold=(hold,))
    with pytest.raises(Refused, match="hold 'complaint' names 'mail', from which nothing is selected"):
        inspect(wanted)


def test_a_hold_by_a_file_holds_numbers_of_a_column_without_a_type(folder: Path) -> None:
    path = folder / "cases.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE file (number, name TEXT)")
        for number in (7000003, "7000004", "007", 7, 8):
            database.execute("INSERT INTO file VALUES (?, 'somebody')", (number,))
        database.commit()
    listed = (Condition(column="number", operator="in", values_from="court"),)
    hold = HeldRows(id="court", reason="a suit", table="file", where=listed)
    wanted = Target(id="t", url=url(path), select=(Selection(table="file"),), hold=(hold,))
    secrets = {**SECRETS, "values:court": b"7000003\n7000004\n007\n"}
    assert [unit.size for unit in inspect(wanted, secrets).held] == [3]
    list(erase(wanted, secrets))
    with closing(sqlite3.connect(path)) as database:
        left = database.execute("SELECT number FROM file").fetchall()
    assert left == [(7000003,), ("7000004",), ("007",)]


def test_values_from_a_file_select_exactly_them(folder: Path) -> None:
    path = build(folder / "shop.db")
    secrets = {**SECRETS, "values:who": b"2\r\n4\n6"}
    chosen = Selection(table="person", where=(Condition(column="id", operator="in", values_from="who"),))
    assert inspect(target(path, chosen), secrets).size == 3


# --- Chinook


@pytest.mark.data
def test_the_customers_of_one_country(folder: Path, data_folder: Path) -> None:
    path = folder / "chinook.sqlite"
    path.write_bytes((data_folder / "chinook.sqlite").read_bytes())
    german = Condition(column="Country", operator="=", value="Germany")
    customers = Within(table="Customer", column="CustomerId", where=(german,))
    theirs = Condition(column="CustomerId", operator="within", within=customers)
    invoices = Within(table="Invoice", column="InvoiceId", where=(theirs,))
    wanted = target(
        path,
        Selection(table="Customer", where=(german,)),
        Selection(table="Invoice", where=(theirs,)),
        Selection(
            table="InvoiceLine", where=(Condition(column="InvoiceId", operator="within", within=invoices),)
        ),
    )
    backend = SqliteBackend.open(wanted, SECRETS)
    assert {u.name: u.size for u in backend.inspect().units} == {
        "table Customer": 4,
        "table Invoice": 28,
        "table InvoiceLine": 152,
    }
    places = list(backend.sample(None, b""))
    stays = list(backend.bystanders())
    staying = b"".join(stays)
    values = {v for v in map(backend.probe, places) if v and len(v) > 5 and v not in staying}
    assert len(values) > 20
    assert all(v in path.read_bytes() for v in values), "the control: each value is seen before"
    list(erase(wanted))
    assert not [v for v in values if v in path.read_bytes()]
    assert list(backend.bystanders()) == stays
    assert {backend.probe(p) for p in places} == {None}


def test_rows_are_not_erased_by_overwriting_nor_files_by_rewriting(folder: Path) -> None:
    path = build(folder / "shop.db", rows=4)
    before = files(folder)
    with pytest.raises(Unsupported):
        list(SqliteBackend.open(Target(id="t", url=url(path)), SECRETS).erase(STEP, None))
    assert files(folder) == before


def test_every_other_kind_of_table_stays(folder: Path) -> None:
    path = build(folder / "shop.db")
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE w (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;"
            "INSERT INTO w VALUES ('b', x'00'), ('a', 1);"
            "CREATE VIRTUAL TABLE area USING rtree (id, x0, x1); INSERT INTO area VALUES (7, 1, 2);"
            "CREATE VIRTUAL TABLE vocabulary USING fts5vocab (own, row);"
            "CREATE TABLE made (a INTEGER, b AS (a + 1) STORED, c AS (a * 2));"
            "INSERT INTO made (a) VALUES (5);"
            "CREATE TABLE strict_one (a INTEGER, rowid TEXT) STRICT; INSERT INTO strict_one VALUES (1, 'x');"
            "CREATE VIEW people AS SELECT name FROM person"
        )
    tables = ("w", "area", "made", "strict_one")

    def others() -> list[object]:
        with closing(sqlite3.connect(path)) as database:
            return [database.execute(f"SELECT * FROM {t}").fetchall() for t in tables]

    before, rows = others(), kept(path)
    staying = b"".join(SqliteBackend.open(target(path), SECRETS).bystanders())
    assert b"strict_one" in staying
    list(erase(target(path)))
    assert others() == before
    assert kept(path) == rows
    assert hits(folder) == 0
    list(erase(target(path, Selection(table="made"), Selection(table="strict_one"))))
    assert others() == [*before[:2], [], []]


def test_a_full_text_index_without_its_text_is_refused(folder: Path) -> None:
    path = build(folder / "shop.db")
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIRTUAL TABLE blind USING fts5 (body, content='')")
    with pytest.raises(Refused, match="'blind' indexes words without their text"):
        inspect(target(path))
    refused(target(path), ["'blind'"])
