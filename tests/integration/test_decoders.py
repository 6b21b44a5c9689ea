"""Real compressed values: a plain scan is INCONCLUSIVE, and with its decoder a store shows them all."""

import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.mariadb_server import server_on_a_disk
from tests.postgresql_server import RunningServer, running_server

from deleatur.documents.journal import Controlled, SurfaceScan
from deleatur.documents.place import Surface
from deleatur.judge.evidence import verdict
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner

ROWS = 60
WORDS = ["".join(chr(97 + (n * k) % 26) for k in (3, 7, 11, 5, 17)) + f"{n:02d} " for n in range(99)]


def needle(row: int) -> str:
    """Words that stood in the text before, in an order of their own: what a compressor takes for copies."""
    return "".join(random.Random(row).sample(WORDS, 5)).strip()


def short_text(row: int) -> str:
    """A text that is compressed to less than a row's room, with the needle in its middle."""
    return "".join(WORDS) + "lorem ipsum " * 200 + needle(row) + " dolor sit amet" * 100


def long_text(row: int) -> str:
    """A text that is compressed to several chunks, with the needle near its end."""
    words = random.Random(row + 1000)
    return "".join(WORDS) + "".join(words.choice(WORDS) for _ in range(5000)) + needle(row) + " ." * 50


def scan(*paths: Path, decoders: tuple[str, ...]) -> SurfaceScan:
    values = [needle(row).encode() for row in range(ROWS)]
    surface = Surface(name="files", reach="scannable", paths=tuple(map(str, paths)), decoders=decoders)
    return Scanner(NeedleSet.of(values)).scan_surface(surface, lambda _: None).scan


def ruling(before: SurfaceScan) -> tuple[str, str]:
    """What the judge says of a control that saw this, and of a scan afterwards that saw nothing."""
    after = SurfaceScan(
        name="files", size=1, hits=0, seen=0, scanners=before.scanners, decoders=before.decoders
    )
    control = Controlled(
        target="t", places=ROWS, values=ROWS, shared=0, short=0, seen=before.seen, set_digest="",
        surfaces=(before,), keep_digest="",
    )  # fmt: skip
    files = Surface(name="files", reach="scannable")
    return verdict((files,), control, [after], sampled=True, values=ROWS, present=0, remaining=0)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server() as started:
        yield started


@pytest.mark.root
@pytest.mark.parametrize("method", ["pglz", "lz4"])
@pytest.mark.parametrize("text", [short_text, long_text], ids=["in its row", "in chunks"])
def test_values_of_postgresql_are_seen_with_its_decoder_only(
    server: RunningServer, method: str, text: Callable[[int], str]
) -> None:
    table = f"{method}_{text.__name__}"
    server.run(f"CREATE TABLE {table} (id int, doc text COMPRESSION {method})")
    with server.connect() as connection, connection.cursor() as cursor:
        rows = [(row, text(row)) for row in range(ROWS)]
        cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s)".encode(), rows)
    server.run("CHECKPOINT")
    names = server.run(
        "SELECT pg_relation_filepath(c.oid), pg_relation_filepath(c.reltoastrelid) FROM pg_class c"
        f" WHERE relname = '{table}'"
    )[0]
    files = [server.data / name for name in names]
    in_chunks = files[1].stat().st_size > 0
    assert in_chunks == (text is long_text)
    off, on = scan(*files, decoders=()), scan(*files, decoders=("postgresql",))
    assert off.seen < ROWS // 2
    assert ruling(off)[0] == "INCONCLUSIVE"
    assert f"the control saw only {off.seen} of {ROWS} values" in ruling(off)[1]
    assert (on.seen, on.disputed, on.unreadable) == (ROWS, 0, 0)
    assert ruling(on) == ("CLEAN", "")
    server.run(f"DELETE FROM {table}", f"VACUUM (TRUNCATE off) {table}", "CHECKPOINT")
    assert scan(*files, decoders=("postgresql",)).seen > ROWS * 3 // 4  # dead space is decoded too
    on_device = scan(server.image, decoders=("postgresql",))
    assert on_device.seen > ROWS * 3 // 4


@pytest.mark.root
def test_values_of_innodb_are_seen_with_zlib_only() -> None:
    with server_on_a_disk() as server:
        server.run(
            "CREATE DATABASE shop",
            "CREATE TABLE shop.docs (id INT PRIMARY KEY, doc MEDIUMTEXT)"
            " ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8",
        )
        for row in range(ROWS):
            server.run(f"INSERT INTO shop.docs VALUES ({row}, '{short_text(row)}')")
        server.settle()
        file = server.data / "shop" / "docs.ibd"
        off, on = scan(file, decoders=()), scan(file, decoders=("zlib",))
    assert off.seen < ROWS // 2
    assert ruling(off)[0] == "INCONCLUSIVE"
    assert (on.seen, on.disputed, on.unreadable) == (ROWS, 0, 0)


PROVIDERS = {"bzip2": "bzip2", "lz4": "innodb", "lzma": "xz", "snappy": "innodb", "zlib": "zlib"}


@pytest.mark.root
def test_pages_of_innodb_are_seen_whatever_compressed_them() -> None:
    """MariaDB's page compression by each of its providers but lzo; and freed pages, on the device."""
    with server_on_a_disk() as server:
        server.run("CREATE DATABASE shop")
        for provider in PROVIDERS:
            if provider != "zlib":
                server.run(f"INSTALL SONAME 'provider_{provider}'")
            server.run(
                f"SET GLOBAL innodb_compression_algorithm = '{provider}'",
                f"CREATE TABLE shop.{provider} (id INT PRIMARY KEY, doc MEDIUMTEXT) PAGE_COMPRESSED=1",
            )
            values = ",".join(f"({row}, '{short_text(row)}')" for row in range(ROWS))
            server.run(f"INSERT INTO shop.{provider} VALUES {values}")
        server.settle()
        for provider, decoder in PROVIDERS.items():
            file = server.data / "shop" / f"{provider}.ibd"
            off, on = scan(file, decoders=()), scan(file, decoders=(decoder,))
            assert (off.seen, ruling(off)[0]) == (0, "INCONCLUSIVE"), provider
            assert (on.seen, on.disputed, on.unreadable) == (ROWS, 0, 0), provider
            assert ruling(on) == ("CLEAN", ""), provider


def test_values_of_redis_are_seen_with_its_decoder_only() -> None:
    folder = Path(tempfile.mkdtemp(prefix="deleatur-redis-", dir="/tmp"))
    path = folder / "s"
    words = ["redis-server", "--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if path.exists():
                break
            time.sleep(0.05)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            with client.makefile("rwb") as stream:
                for row in range(ROWS):
                    stream.write(command("SET", f"row {row}", short_text(row)))
                stream.write(command("SAVE"))
                stream.flush()
                assert [stream.readline() for _ in range(ROWS + 1)] == [b"+OK\r\n"] * (ROWS + 1)
        dump = folder / "dump.rdb"
        off, on = scan(dump, decoders=()), scan(dump, decoders=("redis",))
        assert off.seen < ROWS // 2
        assert ruling(off)[0] == "INCONCLUSIVE"
        assert (on.seen, on.disputed) == (ROWS, 0)
        assert ruling(on) == ("CLEAN", "")
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def command(*words: str) -> bytes:
    coded = [word.encode() for word in words]
    return b"*%d\r\n" % len(coded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in coded)
