"""A bucket as odd as real ones: exactly the plan goes, exactly what is held stands, says another SDK.

What is there before and after is listed by MinIO's client, which shares no code with boto3 or the plugin.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from minio import Minio

from deleatur.testing.workbench import Workbench
from deleatur_plugins.s3 import S3Backend

from ..radosgw_server import RadosGateway, rados_gateway
from ..s3_server import KEY, SECRET, Client, Server, options_in, s3_server
from .test_s3_backend import JOB, certificate

VERSIONS = 3  # of each key
_LONGEST = 1024  # bytes of a key, the most that the interface allows
ODD = (  # as every server takes them
    "a+b%2F c",
    "😀/ü",
    "quote\"'<&>",
    "dot.",
    "space ",
    "%00",
    "~!*()",
    "tab\tin it",
    "line\nend",
    "return\r",
    "delete\x7f",
    "combining \u0301 \u202e turned",
    "/".join("n" * ((_LONGEST - len("goes/") + 1) // 2)),
)
# SeaweedFS refuses these, writes them otherwise, or cannot delete them again.
STRANGE = (
    "a//b",
    "//",
    "../up",
    "./here",
    "control\x01",
    "back\\slash",
    "ends/",
    "k" * (_LONGEST - len("goes/")),
)
Listed = frozenset[tuple[str, str, str]]  # what it is, key, id


@dataclass(frozen=True)
class Kept:
    """Versions that no job may delete, by what keeps them back: key and id."""

    held: frozenset[tuple[str, str]]
    governed: frozenset[tuple[str, str]]
    complying: frozenset[tuple[str, str]]

    @property
    def all(self) -> frozenset[tuple[str, str]]:
        return self.held | self.governed | self.complying


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[Server | RadosGateway]:
    with ExitStack() as stack:
        yield stack.enter_context(s3_server() if request.param == "seaweedfs" else rados_gateway())


@pytest.mark.parametrize(
    ("server", "keys"),
    [
        ("seaweedfs", 40),  # more than a page of versions is refused there
        pytest.param("radosgw", 40, marks=pytest.mark.campaign),
        pytest.param("radosgw", 700, marks=pytest.mark.campaign),
    ],
    indirect=["server"],
)
def test_exactly_the_plan_goes_and_exactly_what_is_held_stands(
    server: Server | RadosGateway, keys: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options_in(tmp_path, monkeypatch)
    bucket, scratch = f"world-{keys}", f"scratch-{keys}"
    server.client.make_bucket(bucket, locks=True)
    server.client.make_bucket(scratch)
    odd = ODD + (STRANGE if isinstance(server, RadosGateway) else ())
    kept = _fill(server.client, bucket, keys, odd)
    before = _listed(server, bucket)
    planned = _planned(before, kept)
    assert {f"goes/{name}" for name in odd} <= {key for _, key, _ in planned}, (
        "the server names them otherwise"
    )

    bench = Workbench(tmp_path, {"s3": S3Backend})
    url = f"s3://{bucket}/goes/?endpoint={server.endpoint}&scratch={scratch}"
    directory = bench.job(JOB.format(url=url))
    bench.plan(directory)
    bench.approve(directory)
    (target,) = json.loads(directory.plan.read_bytes())["targets"]
    assert len(target["units"]) == len(planned)
    counts = {unit["name"]: unit["size"] for unit in target["held"]}
    assert counts.pop("legal hold of the bucket") == len(kept.held)
    assert counts.pop(f"retention (governance) until {_UNTIL:%Y-%m-%d}") == len(kept.governed)
    assert counts.pop(f"retention (compliance) until {_UNTIL:%Y-%m-%d}") == len(kept.complying)
    bench.run(directory)

    assert _listed(server, bucket) == before - planned
    for key, id_ in kept.all:
        assert server.client.get(bucket, key, id_).body == b"kept"
    told = certificate(directory, bench)
    assert told.inventory[0].units_before == len(planned)
    assert "locked-objects" in {one.sentence.id for one in told.exceptions}


_UNTIL = datetime.now(UTC) + timedelta(days=40)


def _fill(client: Client, bucket: str, keys: int, odd: tuple[str, ...]) -> Kept:
    """Put versions of every key; markers, uploads, holds and locks on some; and neighbours that stay."""
    names = [f"goes/{number:05}" for number in range(keys)] + [f"goes/{name}" for name in odd]
    lock = {"x_amz_object_lock_retain_until_date": f"{_UNTIL:%Y-%m-%dT%H:%M:%SZ}"}
    ways = (
        {"x_amz_object_lock_legal_hold": "ON"},
        {"x_amz_object_lock_mode": "GOVERNANCE", **lock},
        {"x_amz_object_lock_mode": "COMPLIANCE", **lock},
    )

    def put(name: str, content: bytes, **how: str) -> tuple[str, str]:
        return name, client.put(bucket, name, content, **how)

    with ThreadPoolExecutor(8) as pool:
        for version in range(VERSIONS):
            list(pool.map(partial(put, content=f"{version}".encode()), names))
        kept = [
            frozenset(pool.map(partial(put, content=b"kept", **way), names[number:keys:20]))
            for number, way in enumerate(ways)
        ]
        list(pool.map(lambda name: client.mark(bucket, name), names[::4]))
        list(pool.map(lambda name: client.begin(bucket, f"{name}/upload"), names[: keys : keys // 10]))
    for name in ("goes", "goes-not", "goes ", "stays/goes/1"):
        client.put(bucket, name, b"a neighbour")
    return Kept(*kept)


def _listed(server: Server | RadosGateway, bucket: str) -> Listed:
    """List everything that the bucket has, by another SDK."""
    client = Minio(f"127.0.0.1:{server.port}", access_key=KEY, secret_key=SECRET, secure=False)
    found = {
        ("marker" if one.is_delete_marker else "version", one.object_name, one.version_id)
        for one in client.list_objects(bucket, recursive=True, include_version=True)
    }
    uploads = client._list_multipart_uploads(bucket, encoding_type="url")
    assert not uploads.is_truncated
    return frozenset(found | {("upload", one.object_name, one.upload_id) for one in uploads.uploads})


def _planned(listed: Listed, kept: Kept) -> Listed:
    """Return what a job on goes/ has to delete: all but what is kept, and the markers above that."""
    below = {key for key, _ in kept.all}
    return frozenset(
        (kind, key, id_)
        for kind, key, id_ in listed
        if key.startswith("goes/") and (key, id_) not in kept.all and not (kind == "marker" and key in below)
    )
