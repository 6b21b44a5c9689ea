"""What the duckdb backend refuses, what it cannot see, and what a kill leaves."""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import duckdb
import pytest

from deleatur.api import (
    Condition,
    Gone,
    HeldTable,
    Refused,
    Selection,
    Surface,
    Target,
    Transient,
    Unsupported,
    Within,
)
from deleatur.errors import DeleaturError, Residue
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner
from deleatur.sanitize.usage import Usage
from deleatur.testing import faults
from deleatur.testing.trial import steps_of
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.duckdb import DuckdbBackend, ground, rewriting
from deleatur_plugins.duckdb.content import Content

KEY = {"digest-key": bytes(range(32))}
(REWRITE,) = steps_of("rewrite-and-shred", "t")
LEAVING = Condition(column="leaves", operator="=", value=True)
EVERYBODY = (Selection(table="person", where=(LEAVING,)),)
QUIET = {"temp_directory": ""}
PARTS = 6  # of the matrix of kills, each below two minutes

pytestmark = pytest.mark.root


@pytest.fixture(scope="module", params=["ext4", pytest.param("xfs", marks=pytest.mark.campaign)])
def disk(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Path, Path]]:
    mount, image = tmp_path_factory.mktemp("disk"), Path("/dev/shm") / f"deleatur-{uuid.uuid4().hex}"
    size, options = {"ext4": (24 << 20, ["-m", "0"]), "xfs": (320 << 20, [])}[request.param]
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run([f"mkfs.{request.param}", "-q", *options, image], check=True)
    subprocess.run(["mount", "-o", "loop,noatime", image, mount], check=True)
    try:
        yield mount, image
    finally:
        subprocess.run(["umount", mount], check=True)
        image.unlink()


@pytest.fixture
def path(disk: tuple[Path, Path], tmp_path: Path) -> Path:
    """Forty people, half of whom leave; half of all stand in the log only.

    Made elsewhere and copied: what the engine gave back while it was made would be found on the device.
    """
    path = tmp_path / f"d{uuid.uuid4().hex[:8]}.db"
    with closing(duckdb.connect(str(path), config=QUIET)) as connection:
        connection.execute("SET force_compression = 'uncompressed'; PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("CREATE TABLE person (id INTEGER, leaves BOOLEAN, name VARCHAR)")
        people = [(n, n % 2 == 0, uuid.uuid4().hex) for n in range(1, 41)]
        connection.executemany("INSERT INTO person VALUES (?, ?, ?)", people[:20])
        connection.execute("CHECKPOINT")
        connection.executemany("INSERT INTO person VALUES (?, ?, ?)", people[20:])
    for file in (path.with_name(f"{path.name}.wal"), path):
        shutil.copy(file, disk[0])
    return disk[0] / path.name


def run(path: Path, *statements: str) -> list[tuple[object, ...]]:
    with closing(duckdb.connect(str(path), config=QUIET)) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        for statement in statements:
            connection.execute(statement)
        return connection.fetchall()


def names(path: Path, leaves: str = "leaves") -> list[bytes]:
    with closing(duckdb.connect(str(path), config=QUIET, read_only=True)) as connection:
        rows = connection.execute(f"SELECT name FROM person WHERE {leaves} ORDER BY id").fetchall()
    return [name.encode() for (name,) in rows]


def found(disk: tuple[Path, Path], needles: list[bytes]) -> int:
    subprocess.run(["sync", "--file-system", disk[0]], check=True)
    raw = disk[1].read_bytes()
    return sum(needle in raw for needle in needles)


def stored_in_clear(path: Path, values: list[bytes]) -> int:
    raw = b"".join(p.read_bytes() for p in path.parent.glob(f"{path.name}*"))
    return sum(value in raw for value in values)


def opened(path: Path, **fields: object) -> DuckdbBackend:
    about = {"id": "t", "url": f"duckdb:{path}", "select": EVERYBODY, **fields}
    return DuckdbBackend.open(Target(**about), KEY)


def erase(path: Path, **fields: object) -> None:
    with closing(opened(path, **fields)) as backend:
        list(backend.erase(REWRITE, None))


def blockers(path: Path) -> str:
    with closing(opened(path)) as backend:
        return "\n".join(backend.inspect().blockers)


def refused(path: Path, **fields: object) -> str:
    with closing(opened(path, **fields)) as backend, pytest.raises(Refused) as caught:
        backend.inspect()
    return str(caught.value)


def job_text(path: Path) -> str:
    return f"""
schema = "deleatur/job/v1"
name = "leavers"
reason = "contract-end"
authority = "board decision 7 of 2026"
requested_by = "legal"

[verification]
device = true

[[target]]
id = "people"
url = "duckdb:{path}"

[[target.select]]
table = "person"
where = [{{ column = "leaves", operator = "=", value = true }}]
"""


def test_nothing_is_left_in_files_and_on_the_device(
    disk: tuple[Path, Path], path: Path, tmp_path: Path
) -> None:
    going, staying = names(path), names(path, "NOT leaves")
    assert found(disk, going) == len(going) == 20
    path.chmod(0o640)
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(path))
    certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
    assert certificate.verification[0].verdict == "CLEAN"
    assert "engine-check-not-run" in {sentence.id for sentence in certificate.known_limits}
    assert found(disk, going) == 0
    assert (names(path), names(path, "NOT leaves")) == ([], staying)
    assert path.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in path.parent.iterdir() if path.name in p.name or "held" in p.name] == [path.name]


def test_the_control_a_delete_and_a_checkpoint_leave_them(disk: tuple[Path, Path], path: Path) -> None:
    going = names(path)
    run(path, "DELETE FROM person WHERE leaves", "CHECKPOINT", "VACUUM")
    assert found(disk, going) > 0


@pytest.mark.parametrize(
    ("compression", "format_", "decoders", "verdict"),
    [
        ("dict_fsst", "latest", ("duckdb", "zstd"), "CLEAN"),
        ("dict_fsst", "latest", (), "INCONCLUSIVE"),
        ("fsst", "v1.0.0", ("duckdb", "zstd"), "CLEAN"),
    ],
)
def test_compressed_values_are_seen_with_the_decoder_and_end_inconclusive_without(
    compression: str, format_: str, decoders: tuple[str, ...], verdict: str,
    disk: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """More text than a block of 256 KiB holds: DuckDB leaves a dictionary that fits into one in clear."""
    monkeypatch.setattr(ground, "_COMPRESSED", decoders)
    made = tmp_path / f"c{uuid.uuid4().hex[:8]}.db"
    with closing(duckdb.connect(config=QUIET)) as connection:
        connection.execute(f"ATTACH '{made}' AS d (STORAGE_VERSION '{format_}'); USE d")
        connection.execute(
            "CREATE TABLE person AS SELECT n AS id, n % 2 = 0 AS leaves, "
            "'a name that repeats itself, and at some length, for ' || md5(n::VARCHAR) AS name "
            "FROM range(10000) AS r (n)"
        )
        connection.execute("CHECKPOINT d")
        stored = connection.execute(
            "SELECT DISTINCT lower(compression) FROM pragma_storage_info('person')"
            " WHERE segment_type = 'VARCHAR'"
        ).fetchall()
        assert stored == [(compression,)]
    path = disk[0] / made.name
    shutil.copy(made, path)
    going, staying = names(path), names(path, "NOT leaves")
    assert stored_in_clear(path, going) == 0
    bench = Workbench(tmp_path)
    job = bench.whole(job_text(path).replace("device = true", "device = true\nneedles = 1000"))
    (verification,) = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification
    assert verification.verdict == verdict
    if verdict == "CLEAN":
        assert [scan.decoders for scan in verification.surfaces if scan.bytes_before] == [decoders] * 2
    else:
        assert "the control saw only 0 of 1000 values" in verification.reason
    assert (names(path), names(path, "NOT leaves")) == ([], staying)


def test_freed_blocks_are_expanded_in_the_file_and_on_the_device(
    disk: tuple[Path, Path], tmp_path: Path
) -> None:
    """A delete with a checkpoint, and a removed file: what the search with its decoder still sees."""
    path = disk[0] / f"f{uuid.uuid4().hex[:8]}.db"
    run(
        path,
        "CREATE TABLE person AS SELECT n AS id, n % 2 = 0 AS leaves, 'the name of number ' || md5(n::VARCHAR)"
        " AS name FROM range(20000) AS r (n)",
        "CHECKPOINT",
    )
    needles = NeedleSet.of(names(path)[::20])

    def seen(place: Path) -> int:
        subprocess.run(["sync", "--file-system", disk[0]], check=True, timeout=60)
        surface = Surface(name="here", reach="scannable", paths=(str(place),), decoders=("duckdb",))
        return len(Scanner(needles).scan_surface(surface, lambda _: None).seen)

    assert seen(path) == seen(disk[1]) == needles.values == 500
    run(path, "DELETE FROM person WHERE leaves", "CHECKPOINT")
    assert names(path) == []
    assert seen(path) > 400
    path.unlink()
    assert seen(disk[1]) > 400


def test_the_format_of_the_file_is_kept(disk: tuple[Path, Path]) -> None:
    path = disk[0] / f"old-{uuid.uuid4().hex[:8]}.db"
    with closing(duckdb.connect(config=QUIET)) as connection:
        connection.execute(f"ATTACH '{path}' AS d (STORAGE_VERSION 'v1.2.0')")
        connection.execute("CREATE TABLE d.person AS SELECT 1 AS id, true AS leaves, 'x' AS name")
    before = path.read_bytes()[12:20]
    erase(path)
    assert path.read_bytes()[12:20] == before
    assert names(path) == []


# --- killed


def test_a_kill_after_the_swap_leaves_a_log_that_is_not_taken_for_the_new_files(
    disk: tuple[Path, Path], path: Path
) -> None:
    going, staying = names(path), names(path, "NOT leaves")

    def stopping(way: rewriting.Rewriting, removed: Path) -> None:
        if removed.suffix == ".wal" and not removed.name.startswith("."):
            raise KeyboardInterrupt
        removed.unlink(missing_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriting.Rewriting, "_remove", stopping)
        with pytest.raises(KeyboardInterrupt):
            erase(path)
    assert path.with_name(f"{path.name}.wal").exists()
    with closing(opened(path)) as backend:
        assert backend.inspect().units == ()
        assert backend.inspect().blockers == ()
    erase(path)
    assert found(disk, going) == 0
    assert names(path, "NOT leaves") == staying


def test_a_log_that_came_after_the_swap_is_not_removed(disk: tuple[Path, Path], path: Path) -> None:
    going = names(path)
    with closing(opened(path)) as backend:
        next(backend.erase(REWRITE, None))
        run(path, "INSERT INTO person VALUES (99, false, 'came later')")
        assert path.with_name(f"{path.name}.wal").exists()
    erase(path)
    assert found(disk, going) == 0
    assert b"came later" in names(path, "NOT leaves")


# --- beside others


STAYING = Condition(column="leaves", operator="=", value=False)


@pytest.mark.parametrize("at", ["swapped", "shredded", "finished"])
def test_what_another_job_left_unfinished_is_finished_and_never_taken_for_ours(
    disk: tuple[Path, Path], path: Path, at: str
) -> None:
    first, second = names(path), names(path, "NOT leaves AND id < 20")
    staying = names(path, "NOT leaves AND id > 20")
    with closing(opened(path)) as backend:  # killed there
        last = next(c for c in backend.erase(REWRITE, None) if c.position.startswith(at))
    few = Condition(column="id", operator="<", value=20)
    theirs = {"id": "other", "select": (Selection(table="person", where=(STAYING, few)),)}
    with closing(opened(path, **theirs)) as other:
        assert other.inspect().size == len(second) == 10
    erase(path, **theirs)
    assert names(path, "true") == staying
    assert found(disk, first + second) == 0
    with closing(opened(path)) as backend:
        assert [c.done for c in backend.erase(REWRITE, last)][-1] == 20
    assert names(path, "true") == staying
    assert [p.name for p in path.parent.iterdir() if path.name in p.name or "held" in p.name] == [path.name]


def test_rows_that_came_after_the_swap_are_not_erased_unapproved(path: Path) -> None:
    from deleatur.documents.codec import encode_json

    with closing(opened(path)) as backend:
        look = backend.inspect()
    known = {**KEY, "approved-units": encode_json({"units": look.units, "held": look.held})}
    target = Target(id="t", url=f"duckdb:{path}", select=EVERYBODY)
    with closing(DuckdbBackend.open(target, known)) as backend:
        last = next(backend.erase(REWRITE, None))
    run(path, "INSERT INTO person VALUES (99, true, 'came later')")
    with (
        closing(DuckdbBackend.open(target, known)) as backend,
        pytest.raises(Refused, match="since the plan"),
    ):
        list(backend.erase(REWRITE, last))
    assert names(path) == [b"came later"]
    for left in path.parent.glob(".deleatur-held-*"):  # other tests of this disk count them
        left.unlink()


def test_what_a_killed_run_had_written_anew_is_overwritten_too(disk: tuple[Path, Path], path: Path) -> None:
    """It holds rows that stay, and this or a later job may have to erase them."""
    staying = names(path, "NOT leaves")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriting.Rewriting, "_read_back", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(path)
    assert path.with_name(f".{path.name}.deleatur-new").exists()
    everybody = (Selection(table="person"),)
    erase(path, id="later", select=everybody)
    assert names(path, "true") == []
    assert found(disk, staying) == 0


def test_two_runs_at_once_are_refused(path: Path) -> None:
    with closing(opened(path)) as backend, closing(opened(path, id="other")) as other:
        cursors = backend.erase(REWRITE, None)
        next(cursors)
        with pytest.raises(Transient, match="another run works with the crash journal"):
            next(other.erase(REWRITE, None))
        assert [c.position for c in cursors][-1] == "finished"


def another_process(path: Path, statement: str) -> int:
    """Write from another process and leave the log; return how that ended."""
    script = (
        f"import duckdb; c = duckdb.connect({str(path)!r}, config={QUIET}); "
        f"c.execute('PRAGMA disable_checkpoint_on_shutdown'); c.execute({statement!r})"
    )
    return subprocess.run(
        [sys.executable, "-c", script], check=False, stderr=subprocess.DEVNULL, timeout=60
    ).returncode


def test_nobody_writes_between_the_second_names_and_the_swap(disk: tuple[Path, Path], path: Path) -> None:
    run(path, "CHECKPOINT")
    assert not path.with_name(f"{path.name}.wal").exists()
    honest, ended = rewriting.LinkShredder.hold, []
    came = uuid.uuid4().hex

    def hold(links: rewriting.LinkShredder, paths: list[Path]) -> object:
        held = honest(links, paths)
        if path in paths:  # not only what a killed run left
            ended.append(another_process(path, f"INSERT INTO person VALUES (100, true, '{came}')"))
        return held

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rewriting.LinkShredder, "hold", hold)
        erase(path)
    assert ended == [1]
    assert names(path) == []
    assert found(disk, [came.encode()]) == 0


def test_nobody_writes_while_it_is_looked_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest, ended = Content.held, []

    def held(looked: Content) -> object:
        ended.append(another_process(path, "INSERT INTO person VALUES (100, true, 'came')"))
        return honest(looked)

    monkeypatch.setattr(Content, "held", held)
    with closing(opened(path)) as backend:
        look = backend.inspect()
        assert (ended, look.size) == ([1], 20)
        places = list(backend.sample(None, bytes(32)))
        assert backend.probe(places[0]) is not None
        list(backend.bystanders())  # opens the file again, and closes it
        assert another_process(path, "INSERT INTO person VALUES (100, true, 'came')") == 1
    assert another_process(path, "INSERT INTO person VALUES (100, true, 'came')") == 0


@pytest.mark.parametrize("kind", ["checkpoint", "recovery"])
def test_a_checkpoint_that_was_cut_off_is_refused_by_name(path: Path, kind: str) -> None:
    left = path.with_name(f"{path.name}.wal.{kind}")
    shutil.copy(path.with_name(f"{path.name}.wal"), left)
    assert f"left a .wal.{kind} beside the database" in blockers(path)
    with pytest.raises(Refused, match="let DuckDB open it for writing"):
        erase(path)
    assert len(names(path)) == 20
    left.unlink(missing_ok=True)


def test_a_kill_at_some_calls_ends_at_the_same_zero(disk: tuple[Path, Path], path: Path) -> None:
    ends_at_zero(disk, path, lambda calls: [(n, "before") for n in faults.spread(len(calls), 5)])


@pytest.mark.campaign
@pytest.mark.parametrize("part", range(PARTS))
def test_a_kill_at_any_call_ends_at_the_same_zero(disk: tuple[Path, Path], path: Path, part: int) -> None:
    ends_at_zero(disk, path, lambda calls: faults.kill_points(calls, len(calls))[part::PARTS])


def ends_at_zero(
    disk: tuple[Path, Path],
    path: Path,
    chosen: Callable[[Sequence[str]], Iterable[tuple[int, faults.Moment]]],
) -> None:
    """Kill a run at the chosen points among its calls that change storage; another run ends what it began."""
    going, staying = names(path), names(path, "NOT leaves")
    copies = {p: p.read_bytes() for p in (path, path.with_name(f"{path.name}.wal"))}
    calls = faults.list_calls(partial(erase, path))
    for n, moment in chosen(calls):
        for copy, content in copies.items():
            copy.write_bytes(content)  # into the same blocks, where it can
        said = f"killed {moment} call {n} of {len(calls)}, {calls[n - 1]}"
        assert faults.run_killed_at(partial(erase, path), n, moment).killed, said
        erase(path)
        assert found(disk, going) == 0, said
        assert (names(path), names(path, "NOT leaves")) == ([], staying), said
        left = [p.name for p in path.parent.iterdir() if path.name in p.name or "held" in p.name]
        assert left == [path.name], said


# --- rogues


def test_a_writer_that_writes_too_much_or_too_little_is_found_out(path: Path) -> None:
    before, staying = path.read_bytes(), names(path, "NOT leaves")
    honest = rewriting.Rewriting._write

    def cheating(statement: str) -> None:
        def write(way: rewriting.Rewriting, session: rewriting.Session, old: rewriting.Content) -> None:
            honest(way, session, old)
            session.run(statement)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rewriting.Rewriting, "_write", write)
            with pytest.raises(DeleaturError, match="nothing was changed"):
                erase(path)
        assert path.read_bytes() == before

    cheating(f"INSERT INTO {rewriting.NEW}.person SELECT * FROM {rewriting.OLD}.person WHERE leaves LIMIT 1")
    cheating(f"DELETE FROM {rewriting.NEW}.person WHERE id = 1")
    cheating(f"CREATE TABLE {rewriting.NEW}.more (a INTEGER)")
    erase(path)
    assert names(path, "NOT leaves") == staying


def test_old_files_that_are_not_overwritten_are_found_out(path: Path, tmp_path: Path) -> None:
    honest = rewriting.LinkShredder.hold
    with pytest.MonkeyPatch.context() as patch:  # the log alone has a second name
        patch.setattr(rewriting.LinkShredder, "hold", lambda links, paths: honest(links, [*paths][1:]))
        with pytest.raises(Residue):
            Workbench(tmp_path).whole(job_text(path))


# --- what is in the way, and what is selected


def test_what_is_in_the_way_is_named(path: Path) -> None:
    holding = (
        f"import duckdb, sys; c = duckdb.connect({str(path)!r}, read_only=True); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert f"({other.pid}); close it there" in blockers(path)
        other.communicate(b"\n")
    assert blockers(path) == ""
    run(path, "COMMENT ON TABLE person IS 'who'", "CREATE TABLE made (a INTEGER, b INTEGER AS (a + 1))")
    second = path.with_name(f"{path.name}.bak")
    second.hardlink_to(path)
    told = blockers(path)
    second.unlink()
    assert "1 comments would be lost" in told
    assert "table 'made' has a generated column" in told
    assert "has 2 names; remove the others" in told


@pytest.mark.parametrize("unseen", [0, 1])
def test_programs_that_cannot_be_looked_into_lower_the_claim(
    path: Path, monkeypatch: pytest.MonkeyPatch, unseen: int
) -> None:
    monkeypatch.setattr("deleatur_plugins.duckdb.backend.usage", lambda: Usage(users={}, unseen=unseen))
    with closing(opened(path)) as backend:
        assert ("open-files-unseen" in backend.inspect().offers[0].limits) == bool(unseen)


def test_rows_that_refer_to_those_that_go_must_be_selected_too(path: Path) -> None:
    run(
        path,
        "CREATE TABLE who (id INTEGER PRIMARY KEY, leaves BOOLEAN)",
        "CREATE TABLE bought (id INTEGER, who INTEGER REFERENCES who (id))",
        "INSERT INTO who VALUES (1, true), (2, false)",
        "INSERT INTO bought VALUES (1, 1), (2, 2)",
    )
    whose = Selection(table="who", where=(LEAVING,))
    with closing(opened(path, select=(whose,))) as backend:
        assert "rows of 'bought' refer to rows that would go" in "\n".join(backend.inspect().blockers)
    with pytest.raises(Refused, match="rows of 'bought' refer"):
        erase(path, select=(whose,))
    leavers = Within(table="who", column="id", where=(LEAVING,))
    theirs = Selection(table="bought", where=(Condition(column="who", operator="within", within=leavers),))
    erase(path, select=(whose, theirs))
    assert run(path, "SELECT id FROM bought") == [(2,)]


@pytest.mark.parametrize(
    ("column", "value"),
    [("id", "secret-word"), ("name", 0), ("leaves", 1), ("leaves", "yes"), ("id", 1.5), ("none", 1)],
)
def test_a_value_of_another_kind_is_refused_and_never_quoted(path: Path, column: str, value: object) -> None:
    where = (Condition(column=column, operator="=", value=value),)
    assert "secret-word" not in refused(path, select=(Selection(table="person", where=where),))


def test_names_and_values_are_never_read_as_sql(path: Path) -> None:
    evil = "x\"; DROP TABLE person; -- '%s\\"
    quoted, told = evil.replace('"', '""'), evil.replace("'", "''")
    run(
        path,
        f'CREATE TABLE "{quoted}" ("{quoted}" VARCHAR)',
        f"INSERT INTO \"{quoted}\" VALUES ('{told}'), ('stays')",
    )
    where = (Condition(column=evil, operator="=", value=evil),)
    erase(path, select=(Selection(table=evil, where=where),))
    assert run(path, f'SELECT * FROM "{quoted}"') == [("stays",)]
    assert len(names(path, "true")) == 40


def test_what_changed_since_the_plan_is_refused(path: Path) -> None:
    from deleatur.documents.codec import encode_json

    with closing(opened(path)) as backend:
        look = backend.inspect()
    known = {**KEY, "approved-units": encode_json({"units": look.units, "held": look.held})}
    run(path, "UPDATE person SET name = 'another' WHERE id = 2")
    target = Target(id="t", url=f"duckdb:{path}", select=EVERYBODY)
    with (
        closing(DuckdbBackend.open(target, known)) as backend,
        pytest.raises(Refused, match="since the plan"),
    ):
        list(backend.erase(REWRITE, None))
    assert len(names(path)) == 20


def test_what_is_no_database_is_refused(path: Path, tmp_path: Path) -> None:
    with closing(opened(tmp_path / "none.db")) as backend, pytest.raises(Gone):
        backend.inspect()
    other = tmp_path / "other.db"
    other.write_bytes(bytes(4096))
    assert "is no database of DuckDB" in refused(other)
    for url in ("duckdb://host/x", "duckdb:/x?y", "duckdb:x", "duckdb:/x#y"):
        with pytest.raises(Refused):
            DuckdbBackend.open(Target(id="t", url=url, select=EVERYBODY), KEY)


def test_the_engine_is_loaded_when_it_is_needed(path: Path) -> None:
    asked = "import sys, deleatur_plugins.duckdb; sys.exit('duckdb' in sys.modules)"
    subprocess.run([sys.executable, "-c", asked], check=True)
    with closing(opened(path)) as backend, pytest.raises(Unsupported):
        list(backend.erase(steps_of("overwrite-and-remove", "t")[0], None))


def test_a_map_shows_tables_columns_and_keys(path: Path) -> None:
    run(path, "CREATE SCHEMA s", "CREATE TABLE s.t (a INTEGER PRIMARY KEY, b INTEGER REFERENCES s.t (a))")
    with closing(opened(path)) as backend:
        tables = [h for h in backend.contents().holdings if isinstance(h, HeldTable)]
        shown = {t.name: ([(c.name, c.stored_as, c.references) for c in t.columns], t.rows) for t in tables}
        assert len(list(tables[0].read())) == 40
    assert shown == {
        "person": ([("id", "INTEGER", ""), ("leaves", "BOOLEAN", ""), ("name", "VARCHAR", "")], 40),
        "s.t": ([("a", "INTEGER", ""), ("b", "INTEGER", "s.t.a")], 0),
    }
