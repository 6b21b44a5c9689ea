"""Numbers as SQLite stores them: seen before the erase, gone after it, found when an erase leaves them."""

import math
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deleatur.api import Condition, Cursor, Selection, Target
from deleatur.documents.codec import encode_json
from deleatur.errors import Residue
from deleatur.sanitize.needles import is_fine, is_large
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.sqlite import SqliteBackend
from deleatur_plugins.sqlite.joined import varint
from deleatur_plugins.sqlite.rewriting import Rewriting

from ..job_of_leavers import job_of_leavers

JOB = job_of_leavers("sqlite:../bank.sqlite")
ROWS = 40
SHARED = 1_234_567_890_123


def row(n: int) -> tuple[int, int, int, float]:
    """A row number, a number of six bytes, one of eight, and one with a fraction: no text."""
    sign = -1 if n % 4 == 0 else 1
    return (
        (1 << 41) + 7_654_321 * n,
        sign * (1 << 40) + sign * 98_765_432 * n,
        0x1234567890ABCD * (n + 1),
        n * math.pi,
    )


def stored(n: int) -> list[bytes]:
    """What a file has of it, written down without the plugin."""
    number, six, eight, real = row(n)
    groups = [number >> 7 * k & 0x7F for k in range(5, -1, -1)]
    return [
        bytes([*(g | 0x80 for g in groups[:-1]), groups[-1]]),
        six.to_bytes(6, "big", signed=True),
        struct.pack(">q", eight),
        struct.pack(">d", real),
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "bank.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE account "
            "(id INTEGER PRIMARY KEY, six, eight INT, real REAL, leaves, same, whole REAL)"
        )
        database.execute("CREATE INDEX by_six ON account (six)")
        for n in range(1, ROWS + 1):
            cells = (*row(n), n % 2, SHARED, 7e12)
            database.execute("INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?)", cells)
        database.commit()
    return path


def going() -> list[bytes]:
    return [value for n in range(1, ROWS + 1, 2) for value in stored(n)]


def test_what_the_backend_shows_of_a_number_is_what_lies_in_the_file(path: Path) -> None:
    leaving = Selection(table="account", where=(Condition(column="leaves", operator="=", value=1),))
    target = Target(id="t", url=f"sqlite:{path}", select=(leaving,))
    with closing(SqliteBackend.open(target, {"digest-key": bytes(32)})) as backend:
        shown = [backend.probe(place) for place in backend.sample(None, b"")]
    assert sorted(v for v in shown if v) == sorted([*going(), *[SHARED.to_bytes(6, "big")] * (ROWS // 2)])
    raw = path.read_bytes()
    assert [value for value in going() if value not in raw] == []


def test_numbers_are_seen_before_and_gone_after(path: Path, tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    certificate = verify(bench.whole(JOB).certificate, [bench.agent.public], 1, None).certificate
    (verification,) = certificate.verification
    assert verification.needles is not None
    assert (verification.verdict, verification.needles.count) == ("CLEAN", len(going()))
    assert verification.needles.positive_control == len(going())
    assert verification.needles.left_out_shared == 1
    raw = path.read_bytes()
    assert [value for value in going() if value in raw] == []
    assert all(value in raw for n in range(2, ROWS + 1, 2) for value in stored(n))
    limits = encode_json(certificate).decode()
    assert '"small-numbers-not-searched"' in limits
    assert '"numbers-not-searched"' not in limits


def test_a_delete_that_leaves_numbers_in_free_space_is_found_out(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain_delete(self: Rewriting, after: Cursor | None) -> Iterator[Cursor]:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA secure_delete = OFF")
            gone = database.execute("DELETE FROM account WHERE leaves = 1").rowcount
            database.commit()
        yield Cursor(f"deleted {gone}", gone)

    monkeypatch.setattr(Rewriting, "run", plain_delete)
    with pytest.raises(Residue):
        Workbench(tmp_path).whole(JOB)


WHOLE = st.integers(-(1 << 63), (1 << 63) - 1)


@settings(max_examples=40)
@given(numbers=st.lists(WHOLE, min_size=1, max_size=8, unique=True), real=st.floats(allow_nan=False))
def test_any_number_stands_in_the_file_as_it_is_shown(numbers: list[int], real: float) -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b REAL)")
        database.executemany("INSERT INTO t VALUES (?, ?, ?)", [(n, n, real) for n in numbers])
        raw = database.serialize()
    for number in filter(is_large, numbers):
        size = 6 if -(1 << 47) <= number < 1 << 47 else 8
        assert number.to_bytes(size, "big", signed=True) in raw
        assert varint(number) in raw
    assert not is_fine(real) or struct.pack(">d", real) in raw
