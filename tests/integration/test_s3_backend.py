"""Whole jobs on a bucket: exactly the plan goes, by another client's listing, also on servers that lie."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import pytest

from deleatur.engine.cycle import Agent, cycle
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import approve_job, read_plan
from deleatur.errors import DeleaturError, Failed, Refused, Residue, Transient
from deleatur.testing.workbench import Workbench
from deleatur.trust.following import follow
from deleatur.trust.verification import verify
from deleatur_plugins.s3 import S3Backend, answers, connecting, deleting, listing
from deleatur_plugins.s3.address import address_of
from deleatur_plugins.s3.connecting import Session
from deleatur_plugins.s3.rights import least_policy

from ..s3_proxy import Proxy, Request, Said, document, error, honest
from ..s3_server import KEY, SECRET, Client, Server, options_in, s3_server
from .s3_worlds import worlds

JOB = """
schema = "deleatur/job/v1"
name = "close-the-bucket"
reason = "contract-end"
authority = "board decision 7"
requested_by = "legal"

[[target]]
id = "bucket"
url = "{url}"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


@dataclass
class World:
    """A bucket with what goes and what stays, a scratch bucket, and a way to both."""

    client: Client
    proxy: Proxy
    folder: Path
    bucket: str
    scratch: str
    secrets: list[str] = field(default_factory=list)  # contents and names that no file may hold

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}/goes/?endpoint={self.proxy.endpoint}&scratch={self.scratch}"

    def fill(self, keys: int = 6, versions: int = 3, **headers: str) -> None:
        """Put versions, a marker on every second key, and an upload; and neighbours that stay."""
        for number in range(keys):
            name = f"goes/{uuid.uuid4().hex}"
            self.secrets.append(name)
            for _ in range(versions):
                self.secrets.append(uuid.uuid4().hex)
                self.client.put(self.bucket, name, self.secrets[-1].encode(), **headers)
            if number % 2:
                self.client.mark(self.bucket, name)
        self.client.begin(self.bucket, "goes/upload")
        self.client.put(self.bucket, "goes-not", b"a neighbour")
        self.client.put(self.bucket, "stays/1", b"another one")

    def left(self) -> list[tuple[str, str, str]]:
        return self.client.names(self.bucket, "goes/")

    def staying(self) -> list[tuple[str, str, str]]:
        return [one for one in self.client.names(self.bucket) if not one[1].startswith("goes/")]

    def planned(self, more: str = "") -> tuple[Workbench, JobDirectory]:
        bench = Workbench(self.folder, {"s3": S3Backend})
        directory = bench.job(JOB.format(url=self.url) + more)
        bench.plan(directory)
        bench.approve(directory)
        return bench, directory

    def changes(self) -> list[Request]:
        """Return what was sent to the target that could change it."""
        return [r for r in self.proxy.seen if r.writes and r.bucket == self.bucket]


@pytest.fixture
def make_world(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    options_in(tmp_path, monkeypatch)
    monkeypatch.setattr(connecting, "_FIRST_WAIT", 0.001)
    with worlds(World, server, tmp_path) as make:
        yield make


def certificate(directory: JobDirectory, bench: Workbench) -> Any:
    return verify(directory.certificate, [bench.agent.public], 1, None).certificate


# --- whole jobs


def test_every_version_goes_and_nothing_else_and_no_file_tells_what_it_was(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    before = world.staying()
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []
    assert world.staying() == before
    told = certificate(directory, bench)
    (outcome,) = told.outcome.per_target
    assert (outcome.assurance, outcome.state) == ("A0/logical", "executed-unverified")
    assert "provider-media" in outcome.limited_by
    assert told.inventory[0].units_before == 6 * 3 + 3 + 1
    assert told.inventory[0].places_absent == 6 * 3 + 3 + 1
    written = b"".join(path.read_bytes() for path in directory.path.rglob("*") if path.is_file())
    assert [s for s in (*world.secrets, KEY, SECRET) if s.encode() in written] == []
    assert world.client.names(world.scratch) == []


def test_a_bucket_without_versions_goes_too_and_the_certificate_says_what_that_means(
    make_world: Callable[..., World],
) -> None:
    world = make_world(versions=False)
    world.fill(versions=1)
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []
    assert "unversioned-objects" in {s.id for s in certificate(directory, bench).known_limits}


def test_what_is_locked_or_held_stays_counted_with_its_end_and_nothing_is_released(
    make_world: Callable[..., World],
) -> None:
    world = make_world(locks=True)
    world.fill()
    until = datetime.now(UTC) + timedelta(days=40)
    lock = {"x_amz_object_lock_retain_until_date": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    kept = {
        world.client.put(world.bucket, "goes/a", b"1", x_amz_object_lock_mode="GOVERNANCE", **lock),
        world.client.put(world.bucket, "goes/b", b"2", x_amz_object_lock_mode="COMPLIANCE", **lock),
        world.client.put(world.bucket, "goes/b", b"3", x_amz_object_lock_mode="COMPLIANCE", **lock),
        world.client.put(world.bucket, "goes/c", b"4", x_amz_object_lock_legal_hold="ON"),
    }
    world.client.mark(world.bucket, "goes/c")  # without it, a plain request would show the held version
    kept_names = {(one[1], one[2]) for one in world.left() if one[1] in _ABC}
    assert len(kept_names) == 5
    bench, directory = world.planned()
    bench.run(directory)
    assert {(key, id_) for _, key, id_ in world.left()} == kept_names
    assert kept
    plan = json.loads(directory.plan.read_bytes())
    held = {unit["name"]: unit["size"] for unit in plan["targets"][0]["held"]}
    assert held == {
        f"retention (governance) until {until:%Y-%m-%d}": 1,
        f"retention (compliance) until {until:%Y-%m-%d}": 2,
        "legal hold of the bucket": 1,
        "markers of keys of which a version is kept": 1,
    }
    assert world.client.call("GET", world.bucket, "goes/c", ok=False).status == 404
    exceptions = {e.sentence.id for e in certificate(directory, bench).exceptions}
    assert "locked-objects" in exceptions
    for request in world.proxy.seen:
        assert not ({"legal-hold", "retention"} & request.words.keys() and request.writes)
        assert not [name for name in request.headers if "bypass" in name.lower()]


_ABC = ("goes/a", "goes/b", "goes/c")
_BYPASSING = 'technique = "delete-versions-bypassing-governance"\n'


def _locked(world: World, until: datetime) -> dict[str, str]:
    """Lock a version of each key of _ABC; hold the last one too; return their ids by key."""
    lock = {"x_amz_object_lock_retain_until_date": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    governed = {"x_amz_object_lock_mode": "GOVERNANCE", **lock}
    return {
        "goes/a": world.client.put(world.bucket, "goes/a", b"1", **governed),
        "goes/b": world.client.put(world.bucket, "goes/b", b"2", x_amz_object_lock_mode="COMPLIANCE", **lock),
        "goes/c": world.client.put(
            world.bucket, "goes/c", b"3", x_amz_object_lock_legal_hold="ON", **governed
        ),
    }


def _bypasses(request: Request) -> bool:
    return any(name.lower() == "x-amz-bypass-governance-retention" for name in request.headers)


def test_governance_is_bypassed_for_exactly_what_an_approval_that_names_the_bucket_lists(
    make_world: Callable[..., World],
) -> None:
    world = make_world(locks=True)
    world.fill()
    ids = _locked(world, datetime.now(UTC) + timedelta(days=40))
    bench = Workbench(world.folder, {"s3": S3Backend})
    directory = bench.job(JOB.format(url=world.url) + _BYPASSING)
    bench.plan(directory)
    approved = read_plan(directory)
    for typed in ({}, {"bucket": world.scratch[-8:]}):
        with pytest.raises(Refused, match="name of bucket does not end with what was typed"):
            approve_job(directory, bench.approvers[0], bench.clock, digest=approved.digest, typed=typed)
    for key in bench.approvers:
        approve_job(directory, key, bench.clock, digest=approved.digest, typed={"bucket": world.bucket[-8:]})
    bench.run(directory)
    assert {one[1:] for one in world.left()} == {(key, ids[key]) for key in ("goes/b", "goes/c")}
    bypassing = [request for request in world.proxy.seen if _bypasses(request)]
    assert {one for request in bypassing for one in _batch(request)} == {("goes/a", ids["goes/a"])}
    told = certificate(directory, bench)
    assert {m.technique for m in told.method} == {"delete-versions-bypassing-governance"}
    assert "governance-bypassed" in {limit.id for limit in told.known_limits}
    assert "locked-objects" in {e.sentence.id for e in told.exceptions}


def test_a_job_that_does_not_name_it_bypasses_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(locks=True)
    world.fill()
    ids = _locked(world, datetime.now(UTC) + timedelta(days=40))
    bench, directory = world.planned()
    bench.run(directory)
    assert {one[2] for one in world.left()} == {*ids.values()}
    assert not any(map(_bypasses, world.proxy.seen))
    assert "governance-bypassed" not in {limit.id for limit in certificate(directory, bench).known_limits}


def test_a_version_under_compliance_is_named_with_its_end_and_goes_by_a_second_job_after_it(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(locks=True)
    world.fill()
    until = (datetime.now(UTC) + timedelta(seconds=15)).replace(microsecond=0)
    lock = {"x_amz_object_lock_retain_until_date": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    kept = world.client.put(world.bucket, "goes/b", b"2", x_amz_object_lock_mode="COMPLIANCE", **lock)
    bench, directory = world.planned(_BYPASSING)  # of which compliance takes no notice
    bench.run(directory)
    assert [one[1:] for one in world.left()] == [("goes/b", kept)]
    held = {unit["name"] for unit in json.loads(directory.plan.read_bytes())["targets"][0]["held"]}
    assert held == {f"retention (compliance) until {until:%Y-%m-%d}"}
    assert "locked-objects" in {e.sentence.id for e in certificate(directory, bench).exceptions}
    while datetime.now(UTC) <= until + timedelta(seconds=1):
        time.sleep(0.2)
    monkeypatch.setattr(bench, "clock", lambda: datetime.now(UTC))
    agent = Agent(bench.registry, bench.agent, [k.public for k in bench.approvers], bench.clock, bench.holds)
    (turn,) = cycle(directory.path.parent, agent)
    assert turn.state == "drafted"
    assert turn.follower is not None
    second = JobDirectory(turn.follower)
    bench.approve(second)
    bench.run(second)
    assert world.left() == []
    assert "locked-objects" not in {e.sentence.id for e in certificate(second, bench).exceptions}
    earlier, later = (verify(d.certificate, [bench.agent.public], 1, None) for d in (directory, second))
    assert [(one.target, one.size, one.until) for one in follow(earlier, [])] == [
        ("bucket", 1, f"{until:%Y-%m-%d}")
    ]
    assert follow(earlier, [later]) == ()


def test_who_bypasses_without_an_approval_is_seen(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the tests around it."""
    true = deleting._delete_together
    monkeypatch.setattr(deleting, "_delete_together", lambda s, some, _: true(s, some, deleting._BYPASS))
    world = make_world(locks=True)
    world.fill()
    bench, directory = world.planned()
    bench.run(directory)
    assert any(map(_bypasses, world.proxy.seen))


@pytest.mark.parametrize("change", ["longer", "compliance", "held", "newly governed"])
def test_a_lock_that_changed_since_the_approval_is_not_bypassed(
    make_world: Callable[..., World], change: str
) -> None:
    world = make_world(locks=True)
    world.fill()
    until = datetime.now(UTC) + timedelta(days=40)
    ids = _locked(world, until)
    free = world.client.put(world.bucket, "goes/free", b"4")
    bench, directory = world.planned(_BYPASSING)
    later = until + timedelta(days=40 if change == "longer" else 0)
    mode = "COMPLIANCE" if change == "compliance" else "GOVERNANCE"
    date = f"<RetainUntilDate>{later:%Y-%m-%dT%H:%M:%SZ}</RetainUntilDate>"
    retention = f"<Retention><Mode>{mode}</Mode>{date}</Retention>"
    bypass = {"x_amz_bypass_governance_retention": "true"} if change == "compliance" else {}
    if change == "held":
        hold = b"<LegalHold><Status>ON</Status></LegalHold>"
        world.client.call("PUT", world.bucket, "goes/a", hold, legal_hold="", versionId=ids["goes/a"])
    elif change == "newly governed":
        world.client.call("PUT", world.bucket, "goes/free", retention.encode(), retention="", versionId=free)
    else:
        world.client.call(
            "PUT", world.bucket, "goes/a", retention.encode(), retention="", versionId=ids["goes/a"], **bypass
        )
    before = world.left()
    with pytest.raises(Refused, match="changed since the plan"):
        bench.run(directory)
    assert world.left() == before


def test_who_lacks_the_right_to_bypass_is_told_and_the_others_are_gone(
    make_world: Callable[..., World],
) -> None:
    world = make_world(locks=True)
    world.fill()
    ids = _locked(world, datetime.now(UTC) + timedelta(days=40))

    def judge(request: Request) -> Said:
        if _bypasses(request):
            refused = "".join(
                f"<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>" for key, _ in _batch(request)
            )
            return document(f"<DeleteResult>{refused}</DeleteResult>")
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned(_BYPASSING)
    with pytest.raises(Refused, match=r"1 of the approved versions .*: it refuses them \(AccessDenied 1\)"):
        bench.run(directory)
    assert {one[2] for one in world.left()} == {*ids.values()}
    assert "s3:BypassGovernanceRetention" in least_policy(
        address_of(world.url), ["BypassGovernanceRetention"]
    )
    assert "s3:BypassGovernanceRetention" not in least_policy(address_of(world.url))
    world.proxy.judge = honest
    bench.run(directory)
    assert ids["goes/a"] not in {one[2] for one in world.left()}


def test_listed_keys_and_prefixes_go_and_a_time_leaves_what_is_newer(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    for key in ("goes/anna/1", "goes/anna-2/1", "goes/bert", "goes/carl"):
        world.client.put(world.bucket, key, uuid.uuid4().hex.encode())
    edge = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    more = f"""
[[target.select]]
table = "objects"
where = [
    {{ column = "@prefix", operator = "in", values_from = "prefixes.txt" }},
    {{ column = "@modified", operator = "<", value = "{edge.isoformat()}" }},
]

[[target.select]]
table = "objects"
where = [{{ column = "@key", operator = "in", values_from = "keys.txt" }}]
"""
    bench = Workbench(world.folder, {"s3": S3Backend})
    directory = bench.job(JOB.format(url=world.url) + more)
    (directory.path / "prefixes.txt").write_text("goes/anna/\n")
    (directory.path / "keys.txt").write_text("goes/bert\n")
    bench.plan(directory)
    bench.approve(directory)
    while datetime.now(UTC) < edge + timedelta(seconds=1):
        time.sleep(0.05)
    world.client.put(world.bucket, "goes/anna/1", b"written after the plan")
    bench.run(directory)
    assert [key for _, key, _ in world.left()] == ["goes/anna-2/1", "goes/anna/1", "goes/carl"]


def _described(world: World) -> dict[str, str]:
    """Put two versions of each key that differ in a tag and in metadata; return their ids by words."""
    ids = {}
    for key in ("goes/a", "goes/b"):
        for person in ("anna", "bert"):
            told = {"x_amz_tagging": f"subject={person}&kind=letter", "x_amz_meta_subject": person}
            ids[f"{key} {person}"] = world.client.put(world.bucket, key, person.encode(), **told)
    ids["goes/a none"] = world.client.put(world.bucket, "goes/a", b"nobody's")
    world.client.mark(world.bucket, "goes/b")
    world.client.begin(world.bucket, "goes/upload")
    return ids


@pytest.mark.parametrize(
    ("where", "goes"),
    [
        ('{ column = "@tag:subject", operator = "in", values_from = "people.txt" }', {"anna"}),
        ('{ column = "@meta:Subject", operator = "in", values_from = "people.txt" }', {"anna"}),
        ('{ column = "@tag:subject", operator = "is-null" }', {"none"}),
        ('{ column = "@meta:subject", operator = "is-null" }', {"none"}),
        ('{ column = "@tag:kind", operator = "not-null" }', {"anna", "bert"}),
        (
            '{ column = "@meta:subject", operator = "not-null" }, '
            '{ column = "@tag:subject", operator = "in", values_from = "people.txt" }',
            {"anna"},
        ),
        ('{ column = "@version", operator = "in", values_from = "versions.txt" }', {"bert"}),
    ],
)
def test_versions_go_by_their_tags_their_metadata_or_their_ids_and_all_others_stay(
    make_world: Callable[..., World], where: str, goes: set[str]
) -> None:
    world = make_world()
    ids = _described(world)
    before = world.left()
    bench = Workbench(world.folder, {"s3": S3Backend})
    more = f'\n[[target.select]]\ntable = "objects"\nwhere = [{where}]\n'
    directory = bench.job(JOB.format(url=world.url) + more)
    (directory.path / "people.txt").write_text("anna\n")
    versions = [f"{id_} {name.partition(' ')[0]}" for name, id_ in ids.items() if name.endswith("bert")]
    (directory.path / "versions.txt").write_text("\n".join(versions) + "\n")
    bench.plan(directory)
    bench.approve(directory)
    bench.run(directory)
    going = {id_ for name, id_ in ids.items() if name.rpartition(" ")[2] in goes}
    assert going
    assert world.left() == [one for one in before if one[2] not in going]


def _of_another_version(request: Request) -> Said:
    """As servers that know no versions of metadata: they answer of the newest one."""
    if request.method == "HEAD" and "versionId" in request.words:
        request.target = request.target.partition("?")[0]
        bucket, _, key = request.target.removeprefix("/").partition("/")
        answer = Client(_port(request)).call("HEAD", bucket, key, ok=False)
        return answer.status, dict(answer.headers), b""
    return honest(request)


def _object_for_its_tags(request: Request) -> Said:
    """As servers that do not know the word: they answer with the object."""
    if "tagging" in request.words:
        bucket, _, key = request.target.partition("?")[0].removeprefix("/").partition("/")
        return 200, {}, Client(_port(request)).call("GET", bucket, key, ok=False).body
    return honest(request)


@pytest.mark.parametrize(
    ("judge", "column", "words"),
    [
        (_of_another_version, "@meta:subject", "AnswersOfAnotherVersion"),
        (_object_for_its_tags, "@tag:subject", "GetObjectTagging: AnswersSomethingElse"),
        (lambda r: error(403, "AccessDenied") if "tagging" in r.words else honest(r), "@tag:subject",
         "too few rights: s3:GetObjectTagging s3:GetObjectVersionTagging; the least policy"),
        (lambda r: error(403, "") if r.method == "HEAD" else honest(r), "@meta:subject", "too few rights"),
    ],
)  # fmt: skip
def test_what_stands_beside_a_version_is_not_guessed(
    make_world: Callable[..., World], judge: Callable[[Request], Said], column: str, words: str
) -> None:
    world = make_world()
    _described(world)
    world.proxy.judge = judge
    bench = Workbench(world.folder, {"s3": S3Backend})
    where = f'{{ column = "{column}", operator = "in", values_from = "people.txt" }}'
    directory = bench.job(
        JOB.format(url=world.url) + f'\n[[target.select]]\ntable = "objects"\nwhere = [{where}]\n'
    )
    (directory.path / "people.txt").write_text("anna\n")
    with pytest.raises(DeleaturError, match=words):
        bench.plan(directory)
    assert world.changes() == []
    world.proxy.judge = honest
    bench.plan(directory)  # the control


def test_a_tag_that_changes_after_the_plan_stops_the_job(make_world: Callable[..., World]) -> None:
    world = make_world()
    ids = _described(world)
    bench = Workbench(world.folder, {"s3": S3Backend})
    where = '{ column = "@tag:subject", operator = "in", values_from = "people.txt" }'
    directory = bench.job(
        JOB.format(url=world.url) + f'\n[[target.select]]\ntable = "objects"\nwhere = [{where}]\n'
    )
    (directory.path / "people.txt").write_text("anna\n")
    bench.plan(directory)
    bench.approve(directory)
    before = world.left()
    tags = b"<Tagging><TagSet><Tag><Key>subject</Key><Value>carl</Value></Tag></TagSet></Tagging>"
    world.client.call("PUT", world.bucket, "goes/a", tags, tagging="", versionId=ids["goes/a anna"])
    with pytest.raises(Refused, match="changed since the plan"):
        bench.run(directory)
    assert world.left() == before


@pytest.mark.parametrize(
    "where",
    [
        '{ column = "@tag:", operator = "is-null" }',
        '{ column = "@meta:", operator = "not-null" }',
        '{ column = "@tag:subject", operator = "in", values = ["anna"] }',
        '{ column = "@meta:subject", operator = "<", value = "b" }',
        '{ column = "@version", operator = "in", values_from = "people.txt" }',
        '{ column = "@version", operator = "is-null" }',
    ],
)
def test_a_condition_that_says_too_little_or_a_name_in_the_job_is_refused(
    make_world: Callable[..., World], where: str
) -> None:
    world = make_world()
    bench = Workbench(world.folder, {"s3": S3Backend})
    more = f'\n[[target.select]]\ntable = "objects"\nwhere = [{where}]\n'
    directory = bench.job(JOB.format(url=world.url) + more)
    (directory.path / "people.txt").write_text("anna\n")
    with pytest.raises(Refused) as caught:
        bench.plan(directory)
    assert "anna" not in str(caught.value)


def test_odd_names_go_by_their_exact_name(make_world: Callable[..., World]) -> None:
    world = make_world()
    odd = ("goes/a b+c%2F", "goes/ü/😀", "goes/x//y/", "goes/quote\"'<&>", "goes" + "/n" * 510)
    for key in odd:
        world.client.put(world.bucket, key, b"1")
        world.client.put(world.bucket, key, b"2")
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []


def _suspend(world: World, bucket: str) -> None:
    xml = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"
    world.client.call("PUT", bucket, body=xml, versioning="")


def test_a_bucket_that_keeps_versions_no_more_is_tried_in_one_like_it(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    _suspend(world, world.bucket)
    world.client.put(world.bucket, "goes/since", b"written since")
    for scratch in (world.scratch, make_world(versions=False).scratch):
        world.scratch, world.folder = scratch, world.folder / "x"
        with pytest.raises(Refused, match="make them alike"):
            world.planned()
    alike = make_world()
    _suspend(world, alike.scratch)
    world.scratch, world.folder = alike.scratch, world.folder / "y"
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []


# --- what came in between


def test_a_version_that_came_after_the_plan_stops_the_job_and_nothing_goes(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    bench, directory = world.planned()
    world.client.put(world.bucket, "goes/new", b"new")
    before = world.left()
    with pytest.raises(Refused, match="1 selected units changed since the plan"):
        bench.run(directory)
    assert world.left() == before


def _with_location(request: Request) -> Said:
    """As Amazon's answer; SeaweedFS 4.48 puts it into a document of another kind."""
    told = document("<LocationConstraint>eu-west-1</LocationConstraint>")
    return told if request.method == "GET" and "location" in request.words else honest(request)


def _stopped(world: World) -> tuple[Workbench, JobDirectory]:
    """Run a job until the server refuses all further deletions."""
    world.proxy.judge = _with_location
    bench, directory = world.planned()
    world.proxy.judge = lambda r: (
        error(403, "AccessDenied") if r.deletes and r.bucket == world.bucket else _with_location(r)
    )
    with pytest.raises(Refused, match=r"refuses|denied"):
        bench.run(directory)
    world.proxy.judge = _with_location
    world.proxy.seen.clear()
    return bench, directory


@pytest.mark.parametrize("begun", [False, True])
def test_a_bucket_that_was_made_anew_is_not_the_one_of_the_plan(
    make_world: Callable[..., World], begun: bool
) -> None:
    """All that was planned is absent there, and nobody knows what became of it."""
    world = make_world()
    world.fill()
    bench, directory = _stopped(world) if begun else world.planned()
    world.client.make_anew(world.bucket)
    with pytest.raises(Refused, match=r"not the target of the plan \(created.* differ\)"):
        bench.run(directory)
    assert world.changes() == []
    assert not directory.certificate.exists()


@pytest.mark.parametrize("begun", [False, True])
def test_a_bucket_that_is_not_there_does_not_count_as_erased(
    make_world: Callable[..., World], begun: bool
) -> None:
    world = make_world()
    world.fill()
    bench, directory = _stopped(world) if begun else world.planned()
    world.client.drop(world.bucket)
    with pytest.raises(Refused, match="the bucket is not there, and nobody says what became of it"):
        bench.run(directory)
    assert not directory.certificate.exists()


@pytest.mark.parametrize(
    ("word", "answer", "name"),
    [
        ("location", document("<LocationConstraint>moon-1</LocationConstraint>"), "location"),
        ("location", error(403, "AccessDenied"), "location"),
        (
            "acl",
            document("<AccessControlPolicy><Owner><ID>another</ID></Owner></AccessControlPolicy>"),
            "owner",
        ),
        ("acl", document("<ListBucketResult><Name>falls through</Name></ListBucketResult>"), "owner"),
        ("max-buckets", error(501, "NotImplemented"), "created"),
    ],
)
def test_a_bucket_of_which_the_server_says_something_else_is_another(
    make_world: Callable[..., World], word: str, answer: Said, name: str
) -> None:
    world = make_world()
    world.fill()
    bench, directory = _stopped(world)
    world.proxy.judge = lambda r: answer if r.method == "GET" and word in r.words else _with_location(r)
    with pytest.raises(Refused, match=rf"not the target of the plan \({name}.* differ\)"):
        bench.run(directory)
    assert world.changes() == []
    world.proxy.judge = _with_location
    bench.run(directory)  # the control: with the answers of the plan it goes on
    assert world.left() == []


def test_the_certificate_says_that_a_bucket_was_known_by_its_name_only(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    world.proxy.judge = lambda r: error(403, "AccessDenied") if "max-buckets" in r.words else honest(r)
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []
    assert "bucket-by-name" in {limit.id for limit in certificate(directory, bench).known_limits}


def test_a_list_of_buckets_without_an_end_is_an_error(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()
    endless = "<ListAllMyBucketsResult><ContinuationToken>on</ContinuationToken></ListAllMyBucketsResult>"
    world.proxy.judge = lambda r: document(endless) if "max-buckets" in r.words else honest(r)
    with pytest.raises(Failed, match="the server's list of buckets does not end"):
        world.planned()


def test_the_region_that_the_surroundings_name_is_of_the_identity(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world()
    regions = []
    for region in ("eu-west-1", "cn-north-1"):  # in which the same name may be another bucket's
        monkeypatch.setenv("AWS_DEFAULT_REGION", region)
        with closing(Session(address_of("s3://bucket/"))) as session:
            regions.append(session.region)
    assert regions == ["eu-west-1", "cn-north-1"]


def test_a_version_that_comes_while_others_go_survives_and_is_reported(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    bench, directory = world.planned()
    came: list[str] = []

    def judge(request: Request) -> Said:
        if request.deletes and request.bucket == world.bucket and not came:
            came.append(world.client.put(world.bucket, world.secrets[0], b"came in between"))
        return honest(request)

    world.proxy.judge = judge
    with pytest.raises(Residue):
        bench.run(directory)
    assert [key for _, key, _ in world.left()] == [world.secrets[0]]
    assert world.client.call("GET", world.bucket, world.secrets[0]).body == b"came in between"


# --- servers that fail their trial: nothing reaches the target


def _claims_versions(request: Request) -> Said:
    if request.method == "GET" and "versioning" in request.words:
        return document("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
    return honest(request)


def _deletes_the_current_one(request: Request) -> Said:
    if request.method == "POST" and "delete" in request.words:
        request.body = re.sub(rb"<VersionId>.*?</VersionId>", b"", request.body)
        return _unsigned(request)
    return honest(request)


def _takes_an_abort_for_a_deletion(request: Request) -> Said:
    if request.method == "DELETE" and "uploadId" in request.words:
        bucket, _, key = request.target.partition("?")[0].removeprefix("/").partition("/")
        answer = Client(_port(request)).call("DELETE", bucket, key)
        return answer.status, {}, answer.body
    return honest(request)


def _loses_the_second_marker(request: Request) -> Said:
    answer = honest(request)
    if request.lists and "version-id-marker" in request.words:
        named = request.words["key-marker"].encode()
        body = re.sub(
            rb"<Version>\s*<Key>%s</Key>.*?</Version>" % re.escape(named), b"", answer[2], flags=re.S
        )
        return answer[0], answer[1], body
    return answer


def _shows_what_is_gone(request: Request) -> Said:
    answer = honest(request)
    if request.method == "GET" and "versionId" in request.words and answer[0] == 404:
        return 200, {}, b"1"
    return answer


def _shows_more_than_was_written(request: Request) -> Said:
    answer = honest(request)
    if request.method == "GET" and "versionId" in request.words and answer[0] == 200:
        return 200, answer[1], answer[2] + b"0" * (1 << 20)
    return answer


def _port(request: Request) -> int:
    return int(request.pass_on.__self__.server.upstream)  # type: ignore[attr-defined]


def _unsigned(request: Request) -> Said:
    """Send a changed batch under the test's own signature."""
    answer = Client(_port(request)).call("POST", request.bucket, "", request.body, delete="")
    return answer.status, {"Content-Type": "application/xml"}, answer.body


def _lists_names_as_they_are_and_says_otherwise(request: Request) -> Said:
    answer = honest(request)
    if not request.lists:
        return answer
    raw = re.sub(rb"<Key>.*?</Key>", lambda m: unquote_to_bytes(m[0]), answer[2], flags=re.S)
    return answer[0], answer[1], raw


@pytest.mark.parametrize(
    ("judge", "versions", "words"),
    [
        (_lists_names_as_they_are_and_says_otherwise, True, "does not list those that were written"),
        (_claims_versions, False, "says that it keeps versions"),
        (_deletes_the_current_one, True, "deletes another version than the one that was named"),
        (_takes_an_abort_for_a_deletion, True, "end of an upload changes something else"),
        (_loses_the_second_marker, True, "small pages shows other versions"),
        (_shows_what_is_gone, True, "shows a version that it has deleted"),
        (_shows_more_than_was_written, True, "shows another version than was named"),
    ],
)
def test_a_server_that_fails_its_trial_is_refused_before_the_target_is_touched(
    make_world: Callable[..., World], judge: Callable[[Request], Said], versions: bool, words: str
) -> None:
    world = make_world(versions=versions)
    world.fill(versions=1)
    world.proxy.judge = judge
    bench, directory = world.planned()
    before = world.left()
    with pytest.raises(Refused, match=words):
        bench.run(directory)
    assert world.changes() == []
    assert world.left() == before


# --- servers that pass it and lie about the target: none left, or a named failure


def _batch(request: Request) -> list[tuple[str, str]]:
    found = [e for e in ElementTree.fromstring(request.body).iter() if e.tag.rpartition("}")[2] == "Object"]
    return [tuple(child.text or "" for child in one)[:2] for one in found]  # type: ignore[misc]


def _without(request: Request, dropped: Callable[[int], bool]) -> Said:
    """Delete a batch but for some entries, and say that all went."""
    some = [one for number, one in enumerate(_batch(request)) if not dropped(number)]
    objects = "".join(f"<Object><Key>{k}</Key><VersionId>{v}</VersionId></Object>" for k, v in some)
    if some:
        request_body = f"<Delete>{objects}</Delete>".encode()
        Client(_port(request)).call("POST", request.bucket, "", request_body, delete="")
    told = "".join(f"<Deleted><Key>{k}</Key><VersionId>{v}</VersionId></Deleted>" for k, v in _batch(request))
    return document(f"<DeleteResult>{told}</DeleteResult>")


def test_deletions_that_are_dropped_with_a_good_answer_are_sent_again(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill(keys=40)
    counted = [0]

    def judge(request: Request) -> Said:
        if request.method == "POST" and "delete" in request.words and request.bucket == world.bucket:
            first, counted[0] = counted[0], counted[0] + len(_batch(request))
            return _without(request, lambda number: (first + number) % 100 == 7)
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []
    assert counted[0] > 40 * 3 + 20, "nothing was dropped"


def _unmarked(world: World) -> tuple[str, str, str]:
    """Return a version without a marker above it."""
    marked = {key for kind, key, _ in world.left() if kind == "DeleteMarker"}
    return [one for one in world.left() if one[0] == "Version" and one[1] not in marked][-1]


def test_a_marker_stays_as_long_as_a_version_below_it_does(make_world: Callable[..., World]) -> None:
    """Without it, a plain request would show what its owner deleted long ago."""
    world = make_world()
    world.fill()
    below = world.client.put(world.bucket, "goes/marked", b"deleted long ago")
    world.client.mark(world.bucket, "goes/marked")
    both = {one for one in world.left() if one[1] == "goes/marked"}
    assert len(both) == 2
    shown: list[int] = []

    def judge(request: Request) -> Said:
        if request.method == "POST" and "delete" in request.words and request.bucket == world.bucket:
            shown.append(Client(_port(request)).call("GET", world.bucket, "goes/marked", ok=False).status)
            going = _batch(request)
            return _without(request, lambda number: going[number] == ("goes/marked", below))
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    with pytest.raises(Failed, match="2 of the approved versions are still there"):
        bench.run(directory)
    assert {*world.left()} == both
    assert {*shown, world.client.call("GET", world.bucket, "goes/marked", ok=False).status} == {404}
    world.proxy.judge = honest
    bench.run(directory)
    assert world.left() == []


def test_a_server_that_never_deletes_one_version_is_named(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()
    last = _unmarked(world)

    def judge(request: Request) -> Said:
        if request.method == "POST" and "delete" in request.words and request.bucket == world.bucket:
            going = _batch(request)
            return _without(request, lambda number: going[number] == last[1:])
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    with pytest.raises(Failed, match="1 of the approved versions are still there although the server says"):
        bench.run(directory)
    assert world.left() == [last]


def test_the_refusal_of_one_key_among_many_is_not_lost(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()
    last = _unmarked(world)

    def judge(request: Request) -> Said:
        if request.method == "POST" and "delete" in request.words and request.bucket == world.bucket:
            going = _batch(request)
            _without(request, lambda number: going[number] == last[1:])
            gone = "".join(f"<Deleted><Key>{k}</Key></Deleted>" for k, v in going if (k, v) != last[1:])
            refused = f"<Error><Key>{last[1]}</Key><Code>AccessDenied</Code></Error>"
            return document(f"<DeleteResult>{gone}{refused if last[1:] in going else ''}</DeleteResult>")
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    with pytest.raises(Refused, match=r"1 of the approved versions .*: it refuses them \(AccessDenied 1\)"):
        bench.run(directory)
    assert world.left() == [last]
    world.proxy.judge = honest
    bench.run(directory)
    assert world.left() == []


def test_a_server_that_is_too_busy_for_one_key_is_asked_again_in_the_next_round(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    last, busy = _unmarked(world), []

    def judge(request: Request) -> Said:
        if request.method == "POST" and "delete" in request.words and request.bucket == world.bucket:
            going = _batch(request)
            if last[1:] in going and not busy:
                busy.append(request)
                _without(request, lambda number: going[number] == last[1:])
                gone = "".join(f"<Deleted><Key>{k}</Key></Deleted>" for k, v in going if (k, v) != last[1:])
                refused = f"<Error><Key>{last[1]}</Key><Code>TooManyRequests</Code></Error>"
                return document(f"<DeleteResult>{gone}{refused}</DeleteResult>")
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    bench.run(directory)
    assert busy
    assert world.left() == []


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (429, "TooManyRequests"), (500, "InternalError")]
)
def test_batches_that_come_too_fast_for_a_server_are_sent_again(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    world = make_world()
    world.fill(keys=10)
    monkeypatch.setattr(deleting, "BATCH", 4)
    refused: list[Request] = []
    batches = [0]

    def judge(request: Request) -> Said:
        if request.method == "POST" and "delete" in request.words and request.bucket == world.bucket:
            batches[0] += 1
            if batches[0] % 3 == 1:
                refused.append(request)
                return error(status, code)
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    bench.run(directory)
    assert len(refused) > 2
    assert world.left() == []


def test_a_server_that_is_always_too_busy_is_named_and_the_job_goes_on_later(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    world.proxy.judge = lambda r: (
        error(503, "SlowDown") if r.method == "POST" and r.bucket == world.bucket else honest(r)
    )
    bench, directory = world.planned()
    with pytest.raises(Transient, match=r"DeleteObjects: the server is busy \(SlowDown\)"):
        bench.run(directory)
    world.proxy.judge = honest
    bench.run(directory)
    assert world.left() == []


def test_pages_that_skip_what_lies_behind_a_deleted_mark_leave_nothing(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As radosgw 16 does: the rest of a key is not listed when the version that a page ended with is gone."""
    world = make_world()
    world.fill(keys=10)
    monkeypatch.setattr(listing, "PAGE", 4)
    monkeypatch.setattr(deleting, "BATCH", 4)
    skipped: list[str] = []

    def judge(request: Request) -> Said:
        mark = request.words.get("version-id-marker")
        lists = request.lists and request.bucket == world.bucket
        if lists and mark and mark not in {one[2] for one in world.left()}:
            skipped.append(mark)
            bucket = {n.replace("-", "_"): v for n, v in request.words.items() if n != "version-id-marker"}
            answer = Client(_port(request)).call("GET", request.bucket, **bucket)
            return answer.status, {"Content-Type": "application/xml"}, answer.body
        return honest(request)

    world.proxy.judge = judge
    assert _delete_behind_the_cursor(world) > 0, "the server does not skip"
    assert skipped
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []


def _delete_behind_the_cursor(world: World) -> int:
    """List a page, delete it, list the next: what is left afterwards. Of a bucket beside the target."""
    session = Session(address_of(world.url))
    marks: dict[str, str] = {}
    before = len(world.left())
    while True:
        page = session.ask("ListObjectVersions", Prefix="goes/", MaxKeys=4, **marks)
        named = [(one["Key"], one["VersionId"]) for _, one in page["rows"]]
        if named:
            session.delete_batch(world.bucket, named)
        said = page["said"]
        if said["IsTruncated"] != "true":
            break
        marks = {"KeyMarker": said["NextKeyMarker"], "VersionIdMarker": said["NextVersionIdMarker"]}
    session.close()
    left = [one for one in world.left() if one[0] != "Upload"]
    assert len(left) < before
    return len(left)


def test_a_listing_that_shows_the_same_page_for_ever_is_an_error(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    world.fill()
    monkeypatch.setattr(listing, "PAGE", 4)
    pages: list[Said] = []

    def judge(request: Request) -> Said:
        if request.lists and request.bucket == world.bucket:
            pages.append(honest(request) if not pages else pages[0])
            return pages[-1]
        return honest(request)

    world.proxy.judge = judge
    with pytest.raises(Failed, match="listing does not get on"):
        world.planned()


def test_pages_that_lead_in_a_circle_are_an_error(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    world.fill()
    monkeypatch.setattr(listing, "PAGE", 4)
    pages: list[Said] = []

    def judge(request: Request) -> Said:
        if request.lists and request.bucket == world.bucket:
            assert len(pages) < 20, "asked for ever"
            pages.append(honest(request) if len(pages) < 2 else pages[-2])
            return pages[-1]
        return honest(request)

    world.proxy.judge = judge
    with pytest.raises(Failed, match="listing does not get on"):
        world.planned()


@pytest.mark.parametrize("code", ["broken", "dated"])
def test_an_answer_that_cannot_be_read_is_named_and_not_quoted(
    make_world: Callable[..., World], code: str
) -> None:
    world = make_world()
    world.fill()
    secret = world.secrets[0].encode()

    def judge(request: Request) -> Said:
        answer = honest(request)
        if not (request.lists and request.bucket == world.bucket):
            return answer
        old = rb"<LastModified>.*?</LastModified>"
        new = b"<LastModified>%s</LastModified>" % secret if code == "dated" else b"<LastModified>\1"
        return answer[0], answer[1], re.sub(old, new.replace(b"\1", b"\\x01"), answer[2], flags=re.S)

    world.proxy.judge = judge
    with pytest.raises(DeleaturError) as caught:
        world.planned()
    assert world.secrets[0] not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda body: body + b" " * answers.MOST, "AnswerTooLarge"),
        (lambda body: body + b"<x></x>" * 100_000, "AnswerNotReadable"),
        (lambda body: body.replace(b"</Name>", b"</Name>" + b"<x></x>" * 100_000), "AnswerTooLarge"),
        (lambda body: body.replace(b"</Name>", b"</Name>" + b"<x>" * 20 + b"</x>" * 20), "AnswerTooLarge"),
        (lambda body: b'<!DOCTYPE a [<!ENTITY b "c">]>' + body, "AnswerDeclaresNames"),
        (lambda body: body.decode().encode("utf-16"), "AnswerDeclaresNames"),
        (lambda body: body.replace(b"<Key>", b"<Key>\0"), "AnswerDeclaresNames"),
        (lambda body: re.sub(rb"<Size>\d+", b"<Size>-1", body), "SizeNotReadable"),
        (lambda body: re.sub(rb"<Size>\d+", b"<Size>" + b"9" * 5000, body), "SizeNotReadable"),
        (lambda body: body.replace(b"Z</LastModified>", b"</LastModified>"), "TimeNotReadable"),
    ],
)
def test_an_answer_beyond_its_bounds_is_named_and_nothing_goes(
    make_world: Callable[..., World], spoil: Callable[[bytes], bytes], words: str
) -> None:
    world = make_world()
    world.fill()
    bench, directory = world.planned()
    before, spoiled = world.left(), []

    def judge(request: Request) -> Said:
        answer = honest(request)
        if not (request.lists and request.bucket == world.bucket):
            return answer
        spoiled.append(spoil(answer[2]))
        assert spoiled[-1] != answer[2]
        return answer[0], answer[1], spoiled[-1]

    world.proxy.judge = judge
    with pytest.raises(Failed, match=words):
        bench.run(directory)
    assert world.left() == before
    world.proxy.judge = honest
    bench.run(directory)  # the control: with the server's own answer it goes on
    assert world.left() == []


def test_an_answer_that_is_cut_off_is_asked_for_again(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()
    cut: list[bytes] = []

    def judge(request: Request) -> Said:
        answer = honest(request)
        if request.bucket == world.bucket and (request.lists or request.deletes) and len(cut) % 2 == 0:
            cut.append(answer[2])
            return answer[0], {**answer[1], "X-Cut-Off": "1"}, answer[2]
        cut.append(b"")
        return answer

    world.proxy.judge = judge
    bench, directory = world.planned()
    bench.run(directory)
    assert [one for one in cut if one]
    assert world.left() == []


def _plan_and_run(world: World) -> None:
    bench, directory = world.planned()
    bench.run(directory)


@pytest.mark.parametrize("of", ["page", "object"])
def test_an_answer_without_an_end_does_not_hold_the_job(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    world = make_world()
    world.fill()
    monkeypatch.setattr(answers, "DEADLINE", 0.5)
    world.proxy.judge = lambda request: (
        (200, {"X-No-End": "1"}, b"<ListVersionsResult>")
        if request.bucket == world.bucket
        and (request.lists if of == "page" else request.method == "GET" and "versionId" in request.words)
        else honest(request)
    )
    before = world.left()
    with pytest.raises(Transient, match="the answer does not end in time"):
        _plan_and_run(world)
    assert world.left() == before


def test_a_server_that_is_not_there_is_no_word_about_a_bucket(make_world: Callable[..., World]) -> None:
    world = make_world()
    address = address_of(f"s3://{world.bucket}/?endpoint=http://127.0.0.1:9")
    with closing(Session(address)) as session, pytest.raises(Transient, match="not reachable"):
        session.ask("GetBucketVersioning")


@pytest.mark.parametrize("line", ["access-key =", "secret-key =", "session-token ="])
def test_an_empty_credential_does_not_let_the_surroundings_say_who_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    given = {"access-key": "access-key = a", "secret-key": "secret-key = b", line.split()[0]: line}
    options = tmp_path / "empty.ini"
    options.write_text("\n".join(["[client]", *given.values(), ""]))
    options.chmod(0o600)
    monkeypatch.setenv("DELEATUR_S3_OPTIONS", str(options))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SOMEBODYELSE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "theirs")
    with pytest.raises(Refused, match="a name without a value"):
        Session(address_of("s3://bucket/?endpoint=http://127.0.0.1:9"))


def test_a_page_that_comes_twice_counts_once(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    world.fill()
    monkeypatch.setattr(listing, "PAGE", 4)

    def judge(request: Request) -> Said:
        answer = honest(request)
        if request.lists and request.bucket == world.bucket:
            twice = re.sub(rb"(<Version>.*?</Version>)", rb"\1\1", answer[2], flags=re.S)
            return answer[0], answer[1], twice
        return answer

    world.proxy.judge = judge
    bench, directory = world.planned()
    assert len(json.loads(directory.plan.read_bytes())["targets"][0]["units"]) == 6 * 3 + 3 + 1
    bench.run(directory)
    assert world.left() == []


def test_a_server_that_wants_another_checksum_gets_it(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()

    def judge(request: Request) -> Said:
        names = {name.lower() for name in request.headers}
        if request.method == "POST" and "delete" in request.words and "content-md5" not in names:
            return error(400, "InvalidRequest")
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []


# --- what stops a job by name


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "AccessDenied", "too few rights: s3:ListBucketVersions; the least policy"),
        (403, "ExpiredToken", "renew them and resume"),
        (404, "NoSuchBucket", "the bucket is not there"),
        (429, "TooManyRequests", "the server is busy"),
        (429, "429", "the server is busy"),
        (403, "RequestTimeTooSkewed", "the clock of this host is wrong"),
        (400, "SomethingElse", "SomethingElse; the server's text is not passed on"),
    ],
)
def test_a_listing_that_is_refused_is_no_empty_one(
    make_world: Callable[..., World], status: int, code: str, words: str
) -> None:
    world = make_world()
    world.fill()
    world.proxy.judge = lambda request: error(status, code) if request.lists else honest(request)
    with pytest.raises(DeleaturError, match=words):
        world.planned()


def test_an_error_with_a_good_status_is_an_error(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()
    busy = document("<Error><Code>InternalError</Code></Error>")
    world.proxy.judge = lambda request: busy if request.lists else honest(request)
    with pytest.raises(Transient, match="ListObjectVersions: the server is busy"):
        world.planned()


def test_missing_rights_are_named_and_the_least_policy_is_printed_as_json(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    world.proxy.judge = lambda r: error(403, "AccessDenied") if "replication" in r.words else honest(r)
    with pytest.raises(Refused) as caught:
        world.planned()
    told = str(caught.value)
    assert "too few rights: s3:GetReplicationConfiguration; the least policy: {" in told
    policy = least_policy(address_of(world.url))
    assert policy in told
    assert json.loads(policy)["Statement"][1]["Resource"] == [
        f"arn:aws:s3:::{world.bucket}/goes/*",
        f"arn:aws:s3:::{world.scratch}/*",
    ]


def test_what_the_bucket_feeds_and_what_it_does_not_say_stands_among_the_surfaces(
    make_world: Callable[..., World],
) -> None:
    world = make_world()
    world.fill()
    answers = {
        "replication": "<ReplicationConfiguration><Rule><Status>Enabled</Status><Destination>"
        "<Bucket>arn:aws:s3:::far</Bucket></Destination></Rule></ReplicationConfiguration>",
        "logging": "<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket></LoggingEnabled>"
        "</BucketLoggingStatus>",
        "inventory": "<ListInventoryConfigurationsResult><InventoryConfiguration><Destination>"
        "<S3BucketDestination><Bucket>arn:aws:s3:::reports</Bucket></S3BucketDestination></Destination></InventoryConfiguration>"
        "</ListInventoryConfigurationsResult>",
        "encryption": "<ListBucketResult><Name>falls through</Name></ListBucketResult>",
    }

    def judge(request: Request) -> Said:
        known = [xml for word, xml in answers.items() if word in request.words]
        return document(known[0]) if known and request.method == "GET" else honest(request)

    world.proxy.judge = judge
    _, directory = world.planned()
    surfaces = json.loads(directory.plan.read_bytes())["targets"][0]["surfaces"]
    names = {surface["name"]: surface["reason"] for surface in surfaces}
    assert {
        "replica arn:aws:s3:::far",
        "access logs in logs",
        "inventory reports in arn:aws:s3:::reports",
    } <= names.keys()
    assert names["encryption of the bucket"].startswith("not known: the server does not answer")
    assert {surface["reach"] for surface in surfaces} == {"out-of-reach"}


def test_a_bucket_that_wants_a_persons_token_is_refused(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()

    def judge(request: Request) -> Said:
        if request.method == "GET" and "versioning" in request.words and request.bucket == world.bucket:
            return document(
                "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"
                "</VersioningConfiguration>"
            )
        return honest(request)

    world.proxy.judge = judge
    with pytest.raises(Refused, match="MFA delete"):
        world.planned()


def test_an_upload_that_may_not_be_ended_stops_nothing_else(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()
    world.client.begin(world.bucket, "goes/upload too")

    def judge(request: Request) -> Said:
        if request.method == "DELETE" and request.bucket == world.bucket:
            return error(403, "AccessDenied")
        return honest(request)

    world.proxy.judge = judge
    bench, directory = world.planned()
    with pytest.raises(Refused, match=r"2 of the approved versions .*: it refuses them \(AccessDenied 2\)"):
        bench.run(directory)
    assert [kind for kind, _, _ in world.left()] == ["Upload"] * 2
    world.proxy.judge = honest
    bench.run(directory)
    assert world.left() == []


def test_without_a_scratch_bucket_that_is_alike_nothing_is_planned(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.fill()
    other = make_world(versions=False)
    for scratch, words in (
        (other.scratch, "make them alike"),
        (world.bucket, "the target's own"),
        ("not-there-at-all", "cannot be looked at"),
    ):
        world.scratch, world.folder = scratch, world.folder / "x"
        with pytest.raises(Refused, match=words):
            world.planned()


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3://bucket/prefix",
        "s3://user:key@bucket/",
        "s3://bucket/?endpoint=http://elsewhere.example.org",
        "s3://bucket/?endpoint=ftp://127.0.0.1",
        "s3://bucket/?endpoint=https://user@host.example.org",
        "s3://bucket/?endpoint=https://host.example.org/path",
        "s3://bucket/?access_key=1",
        "s3://bucket/?region=",
        "s3://bucket/?region=eu central",
        "s3://bucket/#part",
        "s3://bucket/?endpoint=https://:secret@host.example.org",
        "s3://bucket/?endpoint=https://[x",
        "s3://bucket/?endpoint=https://host.example.org:port",
        "s3://[/",
        "s3://bucket/?scratch=one&scratch=two",
        "s3://bucket/a\tb/",
    ],
)
def test_a_url_that_says_too_much_or_too_little_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        address_of(url)


def test_nothing_of_the_surroundings_leads_to_another_server(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world()
    world.fill()
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    bench, directory = world.planned()
    bench.run(directory)
    assert world.left() == []
