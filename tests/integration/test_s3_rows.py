"""Whole jobs on rows inside of objects: what stays is the same for other readers, what goes is nowhere."""

import gzip
import io
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan
from deleatur.errors import Failed, Refused, Residue
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.s3.inside import S3RowsBackend, reading, replacing

from ..journal_entries import Moment, at_entry, run_killed_at_entry
from ..s3_proxy import Proxy, Request, Said, error, honest
from ..s3_server import KEY, SECRET, Client, Server, options_in, s3_server
from .s3_worlds import worlds

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

JOB = """
schema = "deleatur/job/v1"
name = "one-customer"
reason = "subject-request"
authority = "request 7"
requested_by = "privacy"

[[target]]
id = "exports"
url = "{url}"
"""
SELECT = """
[[target.select]]
table = "{table}"
where = [{{ column = "{column}", operator = "in", values_from = "leavers.txt" }}]
"""
TABLES = (("*.csv*", "email"), ("*.jsonl*", "person.email"), ("*.parquet", "email"))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


def csv_of(people: list[tuple[str, str]]) -> bytes:
    rows = [f'"{mail}","{note}\r\nand ""more"""\r\n' for mail, note in people]
    return "\ufeffemail,note\r\n".encode() + "".join(rows).encode()


def jsonl_of(people: list[tuple[str, str]]) -> bytes:
    lines = [json.dumps({"person": {"email": mail}, "note": note}) + "\n" for mail, note in people]
    return "".join(lines).encode()


def parquet_of(people: list[tuple[str, str]]) -> bytes:
    out = io.BytesIO()
    table = pa.table({"email": [m for m, _ in people], "note": [n for _, n in people]})
    parquet.write_table(table, out, row_group_size=10, compression="zstd")
    return out.getvalue()


FORMS: dict[str, Callable[[list[tuple[str, str]]], bytes]] = {
    "a.csv": csv_of,
    "b.csv.gz": lambda people: gzip.compress(csv_of(people)),
    "c.csv.zst": lambda people: zstd.compress(csv_of(people)),
    "d.jsonl": jsonl_of,
    "e.jsonl.gz": lambda people: gzip.compress(jsonl_of(people)),
    "f.jsonl.zst": lambda people: zstd.compress(jsonl_of(people)),
    "g.parquet": parquet_of,
}


@dataclass
class World:
    """A bucket with people in objects of every form, of whom some leave."""

    client: Client
    proxy: Proxy
    folder: Path
    bucket: str
    scratch: str
    going: list[tuple[str, str]] = field(default_factory=list)
    staying: list[tuple[str, str]] = field(default_factory=list)

    def fill(self, *forms: str, old: bool = True) -> None:
        for n in range(30):
            person = (f"{uuid.uuid4().hex}@example.org", uuid.uuid4().hex)
            (self.going if n in (3, 4, 25) else self.staying).append(person)
        people = [*self.staying[:3], *self.going[:2], *self.staying[3:25], self.going[2], *self.staying[25:]]
        for name in forms or FORMS:
            if old:
                self.client.put(self.bucket, f"in/{name}", FORMS[name](people[:6]))
            self.client.put(
                self.bucket, f"in/{name}", FORMS[name](people), x_amz_meta_of="us", x_amz_tagging="team=a%20b"
            )
        self.client.put(self.bucket, "in/readme.txt", b"of no form")
        self.client.put(self.bucket, "out/a.csv", csv_of(people))

    def planned(self, *tables: tuple[str, str], more: str = "") -> tuple[Workbench, JobDirectory]:
        bench = Workbench(self.folder, {"s3-rows": S3RowsBackend})
        url = f"s3-rows://{self.bucket}/in/?endpoint={self.proxy.endpoint}&scratch={self.scratch}"
        text = "".join(SELECT.format(table=t, column=c) for t, c in tables or TABLES)
        directory = bench.job(JOB.format(url=url) + text + more, f"job-{uuid.uuid4().hex[:6]}")
        (directory.path / "leavers.txt").write_text("".join(f"{mail}\n" for mail, _ in self.going))
        bench.plan(directory)
        bench.approve(directory)
        return bench, directory

    def versions(self, prefix: str = "in/") -> Iterator[tuple[str, bytes]]:
        """Yield the content of every version, unpacked by readers that are not the plugin's."""
        for kind, key, id_ in self.client.names(self.bucket, prefix):
            if kind == "Version":
                yield key, unpacked(key, self.client.get(self.bucket, key, id_).body)

    def residue(self) -> list[str]:
        """Return the keys of versions that hold a value of somebody who leaves."""
        values = [value.encode() for person in self.going for value in person]
        return [key for key, content in self.versions() if any(value in content for value in values)]

    def current(self, name: str) -> bytes:
        return self.client.call("GET", self.bucket, f"in/{name}").body

    def assert_only_the_leavers_are_gone(self, *forms: str) -> None:
        assert self.residue() == []
        for name in forms or FORMS:
            if name.endswith(".parquet"):
                table = parquet.read_table(io.BytesIO(self.current(name)))
                assert list(zip(*table.to_pydict().values(), strict=True)) == self.staying
            else:
                assert unpacked(name, self.current(name)) == unpacked(name, FORMS[name](self.staying))
        assert self.current("readme.txt") == b"of no form"


def unpacked(key: str, content: bytes) -> bytes:
    if key.endswith(".gz"):
        return gzip.decompress(content)
    if key.endswith(".zst"):
        return zstd.decompress(content)
    if key.endswith(".parquet"):
        return repr(parquet.read_table(io.BytesIO(content)).to_pylist()).encode() + content
    return content


@pytest.fixture
def make_world(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    options_in(tmp_path, monkeypatch)
    with worlds(World, server, tmp_path) as make:
        yield make


def certificate(directory: JobDirectory, bench: Workbench) -> Any:
    return verify(directory.certificate, [bench.agent.public], 1, None).certificate


def test_the_rows_of_who_leaves_are_in_no_version_and_all_others_are_as_they_were(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PIECE", 512)  # so that each object takes several requests
    world = make_world()
    world.fill()
    bench, directory = world.planned()
    bench.run(directory)
    world.assert_only_the_leavers_are_gone()
    assert len(world.client.names(world.bucket, "in/")) == len(FORMS) + 1  # no old version, no upload
    told = world.client.call("HEAD", world.bucket, "in/a.csv").headers
    assert told["x-amz-meta-of"] == "us"
    tags = world.client.call("GET", world.bucket, "in/a.csv", tagging="")
    assert (tags.text("Key"), tags.text("Value")) == ("team", "a b")
    assert dict(world.versions("out/"))["out/a.csv"].count(b"@example.org") == 30
    said = certificate(directory, bench)
    (outcome,) = said.outcome.per_target
    assert (outcome.assurance, outcome.state) == ("A0/logical", "executed-unverified")
    assert {"provider-media", "old-versions-whole"} <= {limit.id for limit in said.known_limits} | {
        *outcome.limited_by
    }
    assert said.inventory[0].units_before == 2 * len(FORMS)
    written = b"".join(path.read_bytes() for path in directory.path.rglob("*") if path.is_file())
    written = written.replace((directory.path / "leavers.txt").read_bytes(), b"")
    values = [value for person in (*world.going, *world.staying) for value in person]
    assert [v for v in (*values, *FORMS, KEY, SECRET) if v.encode() in written] == []
    assert world.client.names(world.scratch) == []


def test_two_engines_read_the_new_parquet_and_what_was_not_concerned_is_the_same(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill("g.parquet", old=False)
    before = world.current("g.parquet")
    bench, directory = world.planned(TABLES[2])
    bench.run(directory)
    after = world.current("g.parquet")
    old, new = (parquet.ParquetFile(io.BytesIO(c)).metadata for c in (before, after))
    assert [new.row_group(n).num_rows for n in range(3)] == [8, 10, 9]
    for number in range(2):
        here, there = old.row_group(1).column(number), new.row_group(1).column(number)
        starts = [c.dictionary_page_offset or c.data_page_offset for c in (here, there)]
        size = here.total_compressed_size
        assert before[starts[0] : starts[0] + size] == after[starts[1] : starts[1] + size]
    path = world.folder / "new.parquet"
    path.write_bytes(after)
    assert duckdb.sql(f"SELECT email, note FROM '{path}'").fetchall() == world.staying


def _ends_well_after_a_kill(make_world: Callable[..., World], number: int, moment: Moment) -> bool:
    """Kill a job around one entry of its journal and resume it; say whether it came to that entry."""
    world = make_world()
    world.fill("a.csv", "g.parquet")
    bench, directory = world.planned(TABLES[0], TABLES[2])
    killed = run_killed_at_entry(lambda: bench.run(directory), number, moment)
    bench.run(directory)
    world.assert_only_the_leavers_are_gone("a.csv", "g.parquet")
    assert len(world.client.names(world.bucket, "in/")) == 3
    return killed


def _entries(make_world: Callable[..., World]) -> list[str]:
    """Return the kind of each entry of a whole run."""
    world = make_world()
    world.fill("a.csv", "g.parquet")
    bench, directory = world.planned(TABLES[0], TABLES[2])
    with at_entry(0, "before", lambda: None) as entries:
        bench.run(directory)
    return entries


def test_a_job_that_is_killed_at_a_cursor_ends_the_same(make_world: Callable[..., World]) -> None:
    entries = _entries(make_world)
    cursors = [number for number, kind in enumerate(entries, start=1) if kind == "Advanced"]
    assert len(cursors) >= 5
    for number in (cursors[0], cursors[1], cursors[-2]):
        assert _ends_well_after_a_kill(make_world, number, "before")


@pytest.mark.campaign
def test_a_job_that_is_killed_at_any_entry_ends_the_same(make_world: Callable[..., World]) -> None:
    for number in range(1, len(_entries(make_world)) + 1):
        for moment in get_args(Moment):
            assert _ends_well_after_a_kill(make_world, number, moment)


@pytest.mark.parametrize("coarse", [False, True])
def test_a_run_that_dies_after_it_wrote_takes_its_own_version_for_it(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, coarse: bool
) -> None:
    """Also where the server's clock is so coarse that both versions have one time."""
    true = replacing._of_key
    if coarse:
        at = "1970-01-01T00:00:00.000+00:00"
        monkeypatch.setattr(replacing, "_of_key", lambda *a: [e._replace(modified=at) for e in true(*a)])
    world = make_world()
    world.fill("a.csv", old=False)
    bench, directory = world.planned(TABLES[0])

    def dies(*_: object) -> bool:
        raise Failed("of a test")

    with monkeypatch.context() as patch:
        patch.setattr(replacing, "_is_what_stays", dies)
        with pytest.raises(Failed):
            bench.run(directory)
    assert len(world.client.names(world.bucket, "in/a.csv")) == 2
    puts = len([r for r in world.proxy.seen if r.method == "PUT" and r.bucket == world.bucket])
    bench.run(directory)
    assert len([r for r in world.proxy.seen if r.method == "PUT" and r.bucket == world.bucket]) == puts
    world.assert_only_the_leavers_are_gone("a.csv")


# --- somebody else writes


def _writes_first(world: World, content: bytes, *, hide: bool) -> Callable[[Request], Said]:
    """Let somebody write just before our request does, on a server that may ignore conditions."""
    waiting = [True]

    def judge(request: Request) -> Said:
        if request.method == "PUT" and request.bucket == world.bucket and waiting:
            waiting.clear()
            world.client.put(world.bucket, "in/a.csv", content)
            if hide:
                signed = {n: v for n, v in request.headers.items() if n.lower() != "if-match"}
                key = request.target.split("?")[0].split("/", 2)[2]
                world.client.put(world.bucket, key, request.body)
                told = world.client.call("HEAD", world.bucket, key).headers
                assert len(signed) < len(request.headers)
                return 200, {"x-amz-version-id": told["x-amz-version-id"], "ETag": told["etag"]}, b""
        return honest(request)

    return judge


@pytest.mark.parametrize("hide", [False, True], ids=["condition-kept", "condition-ignored"])
def test_who_writes_meanwhile_loses_nothing(make_world: Callable[..., World], hide: bool) -> None:
    world = make_world()
    world.fill("a.csv", old=False)
    bench, directory = world.planned(TABLES[0])
    theirs = csv_of([*world.staying, (f"{uuid.uuid4().hex}@example.org", "new")])
    world.proxy.judge = _writes_first(world, theirs, hide=hide)
    with pytest.raises(Refused, match="somebody else wrote"):
        bench.run(directory)
    assert world.current("a.csv") == theirs
    assert len(world.client.names(world.bucket, "in/a.csv")) == 2  # ours is taken away again
    assert not directory.certificate.exists()
    bench, directory = world.planned(TABLES[0])  # what is left is an old version
    bench.run(directory)
    assert world.current("a.csv") == theirs
    assert world.residue() == []


def test_an_object_that_was_written_after_the_plan_stops_the_job(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill("a.csv", old=False)
    bench, directory = world.planned(TABLES[0])
    world.client.put(world.bucket, "in/a.csv", csv_of(world.staying))
    before = world.client.names(world.bucket)
    with pytest.raises(Refused, match="changed since the plan"):
        bench.run(directory)
    assert world.client.names(world.bucket) == before


def test_a_row_that_somebody_writes_again_while_others_go_is_residue(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill("a.csv", old=False)
    bench, directory = world.planned(TABLES[0], more="\n")

    def judge(request: Request) -> Said:
        if request.deletes and request.bucket == world.bucket:
            world.proxy.judge = honest
            world.client.put(world.bucket, "in/z.csv", csv_of(world.going))
        return honest(request)

    world.proxy.judge = judge
    with pytest.raises((Residue, Failed, Refused)):
        bench.run(directory)
    assert not directory.certificate.exists()
    assert "in/z.csv" in world.residue()


def test_a_server_that_writes_something_else_loses_nothing(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill("a.csv", old=False)
    before = world.current("a.csv")
    bench, directory = world.planned(TABLES[0])

    def judge(request: Request) -> Said:
        if request.method == "PUT" and request.bucket == world.bucket:
            world.client.put(world.bucket, "in/a.csv", request.body[:-70], x_amz_meta_of="us")
            told = world.client.call("HEAD", world.bucket, "in/a.csv").headers
            return 200, {"x-amz-version-id": told["x-amz-version-id"]}, b""
        return honest(request)

    world.proxy.judge = judge
    with pytest.raises(Failed, match="the old version is current again"):
        bench.run(directory)
    assert world.current("a.csv") == before
    assert len(world.client.names(world.bucket, "in/a.csv")) == 1


# --- what is refused


def test_what_cannot_be_rewritten_is_refused_by_name_before_anything_goes(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill("a.csv", old=False)
    world.client.put(world.bucket, "in/b.csv", "email\nä\n".encode("latin-1"))
    with pytest.raises(Refused, match=r"object 2 of those that the job means.*record 2 is not UTF-8"):
        world.planned(TABLES[0])
    with pytest.raises(Refused, match=r"object 3 .*ends with none of"):
        world.planned(("*", "email"))
    assert not [r for r in world.proxy.seen if r.writes and r.bucket == world.bucket]


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("in/_delta_log/00000000000000000000.json", "Delta Lake"),
        ("_delta_log/00000000000000000000.json", "Delta Lake"),
        ("in/metadata/v1.metadata.json", "Apache Iceberg"),
        ("in/.hoodie/hoodie.properties", "Apache Hudi"),
    ],
)
def test_a_file_of_a_table_with_a_log_of_its_own_is_refused(
    make_world: Callable[..., World], key: str, name: str
) -> None:
    """Also where the log lies above the prefix, and where only an old version of it is left."""
    world = make_world()
    world.fill("a.csv", "g.parquet", old=False)
    world.client.put(world.bucket, key, b"{}")
    world.client.mark(world.bucket, key)
    with pytest.raises(Refused, match=f"a table of {name}"):
        world.planned(TABLES[2])
    assert not [r for r in world.proxy.seen if r.writes and r.bucket == world.bucket]
    world.planned(TABLES[0])  # a CSV file is of no such table


def test_folders_that_are_no_log_refuse_nothing(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill("g.parquet", old=False)
    world.client.put(world.bucket, "in/metadata/readme.txt", b"of no table")
    world.client.put(world.bucket, "in/of=x/_delta_log/a", b"not above the object")
    bench, directory = world.planned(TABLES[2])
    bench.run(directory)
    assert world.residue() == []


def test_a_server_that_does_not_show_the_current_version_does_not_make_an_old_one_of_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill("a.csv")
    world.proxy.judge = lambda r: (404, {}, b"") if r.method == "HEAD" and not r.words else honest(r)
    with pytest.raises(Refused, match=r"object 1 .*shows no current version of it"):
        world.planned(TABLES[0])
    world.proxy.judge = honest
    bench, directory = world.planned(TABLES[0])
    puts = [r for r in world.proxy.seen if r.method == "PUT"]
    assert puts == []

    def judge(request: Request) -> Said:
        hidden = request.method == "HEAD" and not request.words and request.bucket == world.bucket
        return (404, {}, b"") if hidden else honest(request)

    world.proxy.judge = judge
    with pytest.raises(Refused, match="shows no current version of it"):
        bench.run(directory)
    world.proxy.judge = honest
    bench.run(directory)
    world.assert_only_the_leavers_are_gone("a.csv")


def test_a_bucket_that_is_not_there_says_nothing_about_a_row(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill("a.csv", old=False)
    _, directory = world.planned(TABLES[0])
    target = read_plan(directory).plan.targets[0].target
    values = (directory.path / "leavers.txt").read_bytes()
    secrets = {"digest-key": directory.digest_key.read_bytes(), "values:leavers.txt": values}
    with closing(S3RowsBackend.open(target, secrets)) as backend:
        place = next(iter(backend.sample(None, b"")))
        assert backend.probe(place) is not None
        world.client.drop(world.bucket)
        with pytest.raises(Refused, match="the bucket is not there"):
            backend.probe(place)


def test_an_unfinished_upload_under_a_name_that_is_meant_is_refused(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill("a.csv", old=False)
    world.client.begin(world.bucket, "in/new.csv")
    with pytest.raises(Refused, match="1 unfinished uploads"):
        world.planned(TABLES[0])


@pytest.mark.parametrize(
    ("how", "match"),
    [({"versions": False}, "does not keep versions"), ({"locks": True}, "may lock versions")],
)
def test_a_bucket_without_versions_or_with_locks_is_refused(
    make_world: Callable[..., World], how: dict[str, bool], match: str
) -> None:
    world = make_world(**how)
    world.fill("a.csv", old=False)
    with pytest.raises(Refused, match=match):
        world.planned(TABLES[0])


def test_an_object_in_an_archive_is_refused(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill("a.csv", old=False)
    world.proxy.judge = lambda r: (
        error(403, "InvalidObjectState") if "versionId" in r.words and r.method == "GET" else honest(r)
    )
    with pytest.raises(Refused, match="archive class"):
        world.planned(TABLES[0])


def test_a_delimiter_that_the_url_names_divides_and_no_other(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill("d.jsonl", old=False)
    text = csv_of([*world.going, *world.staying]).replace(b",", b";")
    world.client.put(world.bucket, "in/a.csv", text)
    with pytest.raises(Refused, match="0 columns 'email'"):
        world.planned(TABLES[0])
    world.scratch += "&delimiter=semicolon"
    bench, directory = world.planned(TABLES[0])
    bench.run(directory)
    assert world.residue() == ["in/d.jsonl"]  # which nobody selected
    assert world.current("a.csv") == csv_of(world.staying).replace(b",", b";")
