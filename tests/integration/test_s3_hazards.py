"""Servers that only look like S3: each is refused before its bucket is touched, or what it says is true."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deleatur.errors import DeleaturError

from ..s3_hazards import HAZARDS, Hazard, hazard
from ..s3_proxy import Request, proxied
from ..s3_server import options_in
from .test_s3_backend import World

MakeWorld = Callable[[bool], World]
# What a request that changes something may say. These servers pass over any other word, and the request
# deletes the bucket, or writes over the object.
KNOWN_WORDS = {"versionId", "uploadId", "uploads", "delete"}


@pytest.fixture(scope="module", params=sorted(HAZARDS))
def server(request: pytest.FixtureRequest) -> Iterator[Hazard]:
    with hazard(request.param) as running:
        yield running


@pytest.fixture
def make_world(server: Hazard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeWorld]:
    options_in(tmp_path, monkeypatch, server.key)
    with proxied(server.client.port) as proxy:

        def make(versions: bool) -> World:
            names = [f"{name}-{uuid.uuid4().hex}" for name in ("target", "scratch")]
            for name in names:
                server.client.make_bucket(name, versions=False)
            if versions:
                xml = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
                for name in names:
                    server.client.call("PUT", name, body=xml, ok=False, versioning="")
            return World(server.client, proxy, tmp_path, *names)

        yield make


REFUSED = {  # server, whether it was asked to keep versions: what the job says
    ("fauxqs", True): "ListObjectVersions: AnswersSomethingElse",
    ("fauxqs", False): "ListObjectVersions: AnswersSomethingElse",
    ("juicefs", True): r"the scratch bucket cannot be looked at \(GetBucketVersioning: NotImplemented",
    ("juicefs", False): r"the scratch bucket cannot be looked at \(GetBucketVersioning: NotImplemented",
    ("moto", True): r"the scratch bucket cannot be looked at \(GetBucketVersioning: AnswersSomethingElse",
    ("moto", False): r"the scratch bucket cannot be looked at \(GetBucketVersioning: AnswersSomethingElse",
    ("rclone", True): "ListObjectVersions: NotImplemented",
    ("rclone", False): "ListObjectVersions: NotImplemented",
    ("swift", True): "failed its trial .* a listing in small pages shows other versions than a whole one",
}


@pytest.mark.parametrize("versions", [True, False])
def test_a_server_that_only_looks_alike_is_refused_and_its_bucket_untouched(
    server: Hazard, make_world: MakeWorld, versions: bool
) -> None:
    world = make_world(versions)
    keys = ["goes/1", "goes/2", "stays"]
    for key in keys:
        server.client.put(world.bucket, key, key.encode())
    expected = REFUSED.get((server.name, versions))
    if expected is None:
        assert _erased(world)
        keys = ["stays"]
    else:
        with pytest.raises(DeleaturError, match=expected):
            _erased(world)
        assert world.changes() == []
    assert [server.client.call("GET", world.bucket, key).body for key in keys] == [k.encode() for k in keys]
    assert server.client.call("GET", world.scratch, ok=False).status == 200, "the scratch bucket is gone"
    assert [r.target for r in world.proxy.seen if r.writes and not _known(r)] == []


def _erased(world: World) -> bool:
    bench, directory = world.planned()
    bench.run(directory)
    return world.left() == []


def _known(request: Request) -> bool:
    """Say whether a request names an object, or many of them, and nothing else."""
    words = request.words.keys()
    of_object = request.target.partition("?")[0].count("/") > 1
    return words <= KNOWN_WORDS and (of_object or (request.method == "POST" and words == {"delete"}))
