"""The s3 backend keeps every promise of the contract, on a real server, seen by another client."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from deleatur.api import Condition, HeldRows, Target
from deleatur.testing.contract import BackendContract, MakeTarget, NewTrial, Planted, Raw
from deleatur_plugins.s3 import S3Backend, deleting

from ..s3_proxy import BehindProxy, Proxy, honest, proxied
from ..s3_server import Client, Server, options_in, s3_server

SECRETS = {"digest-key": bytes(range(32)), "values:held.txt": b""}
LIED_TO = {"test_not_knowing_is_not_gone", "test_an_io_error_is_not_swallowed"}
SMALL = 6  # versions in one request, so that a small target takes several


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with s3_server() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    with proxied(server.port) as standing:
        yield standing


@pytest.fixture(scope="module")
def buckets(server: Server) -> dict[bool, tuple[str, str]]:
    """Return a bucket and a scratch bucket, with versions and without."""

    def made(name: str, versions: bool) -> str:
        return server.client.make_bucket(f"{name}-{uuid.uuid4().hex}", versions=versions)

    return {kept: (made("target", kept), made("scratch", kept)) for kept in (True, False)}


class S3Contract(BehindProxy, BackendContract):
    """What buckets with and without versions share."""

    backend = S3Backend
    versions: ClassVar[bool]
    not_applicable: ClassVar = {
        "test_keystream_reads_back": "objects are not overwritten where they lie",
        "test_a_missing_key_is_an_error": "no step is compared with a pattern",
        "test_canaries_are_gone_below_the_interface": "nothing below the interface is claimed",
        "test_surfaces_hold_the_canaries_before": "no surface can be scanned from here",
        "test_records_round_trip": "objects are not archived",
        "test_a_kill_at_any_call_is_survived": "the server changes storage, not this process",
        "test_a_cursor_is_flushed": "the server flushes what it writes",
    }

    @pytest.fixture(autouse=True)
    def _surroundings(
        self, server: Server, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[None]:
        options_in(tmp_path, monkeypatch)
        monkeypatch.setattr(deleting, "BATCH", SMALL)
        self.client = server.client
        self.proxy = proxy
        yield
        proxy.judge = honest

    @pytest.fixture
    def make_target(
        self,
        request: pytest.FixtureRequest,
        server: Server,
        proxy: Proxy,
        buckets: dict[bool, tuple[str, str]],
    ) -> MakeTarget:
        endpoint = proxy.endpoint if request.node.originalname in LIED_TO else server.endpoint

        def make() -> Planted:
            return plant(self.client, endpoint, *buckets[self.versions])

        return make

    @pytest.fixture
    def raw(self) -> Raw:
        return lambda planted: self.client.contents(*_where(planted, around=True))

    def replace(self, planted: Planted) -> None:
        self.client.make_anew(_where(planted, around=False)[0], versions=self.versions)

    # a minute and more on a slow machine

    @pytest.mark.campaign
    def test_an_io_error_is_not_swallowed(self, trial: NewTrial) -> None:
        super().test_an_io_error_is_not_swallowed(trial)


class TestWithVersions(S3Contract):
    versions = True


class TestWithoutVersions(S3Contract):
    versions = False


def plant(client: Client, endpoint: str, bucket: str, scratch: str) -> Planted:
    """Put versions, markers and an upload under a prefix, with neighbours beside it and one that is held."""
    folder = f"t-{uuid.uuid4().hex[:12]}"
    contents = [uuid.uuid4().hex for _ in range(5)]
    names = [uuid.uuid4().hex for _ in range(2)]
    kept = [uuid.uuid4().hex for _ in range(3)]
    going = f"{folder}/goes/"
    older = uuid.uuid4().hex
    if client.put(bucket, f"{going}1", older.encode()) != "null":
        contents.append(older)  # of a version, which goes too
    for number, content in enumerate(contents[:5]):
        client.put(bucket, f"{going}{number}", content.encode())
    client.put(bucket, f"{going}{names[0]}", b"")
    client.put(bucket, f"{going}sub//{names[1]} ü+.txt", contents[0].encode())
    client.mark(bucket, f"{going}nothing")
    client.begin(bucket, f"{going}upload")
    client.put(bucket, f"{going}held", kept[0].encode())
    client.put(bucket, f"{folder}/goes-not", kept[1].encode())
    client.put(bucket, f"{folder}/stays", kept[2].encode())
    held = Condition(column="@key", operator="in", values_from="held.txt")
    target = Target(
        id="t",
        url=f"s3://{bucket}/{going}?endpoint={endpoint}&scratch={scratch}",
        hold=(HeldRows(id="open", reason="an open matter", table="objects", where=(held,)),),
    )
    stays = (f"{going}held", f"{folder}/goes-not", f"{folder}/stays")

    def staying() -> bytes:
        return b"\n".join(client.call("GET", bucket, key).body for key in stays)

    return Planted(
        target=target,
        secrets={**SECRETS, "values:held.txt": f"{going}held\n".encode()},
        canaries=tuple(c.encode() for c in contents),
        names=tuple(n.encode() for n in names),
        kept=tuple(k.encode() for k in kept),
        bystanders=staying,
    )


def _where(planted: Planted, *, around: bool) -> tuple[str, str]:
    bucket, _, path = planted.target.url.removeprefix("s3://").partition("?")[0].partition("/")
    return bucket, path.split("/")[0] + "/" if around else path
