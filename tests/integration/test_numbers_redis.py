"""Numbers as Redis keeps them, in digits and in eight bytes: seen before the erase, gone after it."""

import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.api import Cursor, Selection, Target
from deleatur.documents.codec import encode_json
from deleatur.errors import Residue
from deleatur.sanitize.decoders import DECODERS
from deleatur.sanitize.needles import is_large
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.redis import RedisBackend
from deleatur_plugins.redis.resaving import Resaving

from ..job_of_leavers import job_of_leavers
from ..redis_server import Server, server_on_a_disk

KINDS = ("string", "hash", "list", "set", "field")
ROWS = 20

pytestmark = pytest.mark.root


def number(kind: str, n: int) -> int:
    sign = -1 if n % 3 == 0 else 1
    return sign * ((1 << 40) + 98_765_432_123 * (n + ROWS * KINDS.index(kind)))


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server_on_a_disk(appendonly="no") as server:
        yield server


@pytest.fixture
def server(running: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """Numbers of those who go and of those who stay; only a snapshot, in which digits are rare."""
    monkeypatch.delenv("DELEATUR_REDIS_OPTIONS", raising=False)
    with running.connected() as client:
        client.flushall()
        for n in range(1, ROWS + 1):
            whose = "going" if n % 2 else "staying"
            client.set(f"{whose}:s:{n}", number("string", n))
            client.hset(f"{whose}:h:{n}", mapping={"account": number("hash", n), "small": 4711})
            client.hset(f"{whose}:f:{n}", mapping={str(number("field", n)): 1})
            client.rpush(f"{whose}:l:{n}", number("list", n), 1 << 33)
            client.sadd(f"{whose}:m:{n}", number("set", n))
        client.bgsave()
    running.idle()
    running.settle()
    return running


def going() -> list[int]:
    return [number(kind, n) for kind in KINDS for n in range(1, ROWS + 1, 2)]


def in_files(server: Server, value: int) -> bool:
    server.settle()
    raw = b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
    return struct.pack("<q", value) in raw or str(value).encode() in raw


def test_each_number_lies_in_digits_or_in_eight_bytes(server: Server) -> None:
    raw = (server.data / "dump.rdb").read_bytes()
    texts = {value for value in going() if str(value).encode() in raw}
    eights = {value for value in going() if struct.pack("<q", value) in raw}
    assert texts == {number("string", n) for n in range(1, ROWS + 1, 2)}
    assert eights == set(going()) - texts
    memory = server.memory()
    assert [
        v for v in going()[::9] if struct.pack("<q", v) not in memory and str(v).encode() not in memory
    ] == []


def test_numbers_are_seen_before_and_gone_after(server: Server, tmp_path: Path) -> None:
    with closing(RedisBackend.open(_target(server), {"digest-key": bytes(32)})) as backend:
        shown = {backend.probe(place) for place in backend.sample(None, b"")}
    assert {str(value).encode() for value in going()} < shown
    assert not shown & {b"4711", str(1 << 33).encode()}
    bench = Workbench(tmp_path)
    job = bench.whole(job_of_leavers(server.url(), 'table = "going:*"'))
    certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
    (verification,) = certificate.verification
    assert verification.needles is not None
    assert (verification.verdict, verification.needles.count) == ("CLEAN", len(shown))
    assert verification.needles.positive_control == len(shown)
    assert not any(in_files(server, value) for value in going())
    assert all(in_files(server, number(kind, n)) for kind in KINDS for n in range(2, ROWS + 1, 2))
    assert '"small-numbers-not-searched"' in encode_json(certificate).decode()


def test_numbers_that_are_left_in_eight_bytes_are_found_out(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a killed save of the server leaves: the numbers alone, as the members of a set."""
    with server.connected() as client:
        client.sadd("other", *(v for v in going() if v < 0))
        left = client.dump("other")
        client.delete("other")
    assert b"going" not in left
    assert not any(str(value).encode() in left for value in going())
    run = Resaving.run

    def forgetful(self: Resaving, after: Cursor | None) -> Iterator[Cursor]:
        yield from run(self, after)
        (server.data / "temp-7.rdb").write_bytes(left)

    monkeypatch.setattr(Resaving, "run", forgetful)
    try:
        with pytest.raises(Residue):
            Workbench(tmp_path).whole(job_of_leavers(server.url(), 'table = "going:*"'))
    finally:
        (server.data / "temp-7.rdb").unlink(missing_ok=True)


def _target(server: Server) -> Target:
    return Target(id="t", url=server.url(), select=(Selection(table="going:*"),))


@settings(max_examples=20)
@given(numbers=st.sets(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=40))
def test_any_large_number_is_kept_in_one_of_the_forms(running: Server, numbers: set[int]) -> None:
    with running.connected() as client:
        client.delete("every", "string")
        client.sadd("every", *numbers)
        client.set("string", min(numbers))
        kept = client.dump("every") + client.dump("string")
    kept += b"".join(
        plain for _, plain in DECODERS["redis"](kept, 0, len(kept), 0)
    )  # sets that it compressed
    for value in filter(is_large, numbers):
        assert struct.pack("<q", value) in kept or str(value).encode() in kept
