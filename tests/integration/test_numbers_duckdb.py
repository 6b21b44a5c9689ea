"""Numbers of DuckDB that are not packed into bits: seen before the erase, gone after it, or found."""

import random
import struct
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from deleatur.api import Condition, Cursor, Selection, Target
from deleatur.documents.codec import encode_json
from deleatur.errors import Residue
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify
from deleatur_plugins.duckdb import DuckdbBackend
from deleatur_plugins.duckdb.rewriting import Rewriting

from ..job_of_leavers import job_of_leavers

ROWS = 60
DRAWN = random.Random(7)
ACCOUNTS = [(1 << 61) + DRAWN.getrandbits(60) for _ in range(ROWS)]
REFERENCES = [uuid.UUID(int=DRAWN.getrandbits(128)) for _ in range(ROWS)]


def stored(n: int) -> list[bytes]:
    """What a block has of a row, written down without the plugin."""
    first, *rest = REFERENCES[n].bytes
    return [struct.pack("<q", ACCOUNTS[n]), bytes([*reversed(rest), first ^ 0x80])]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Half of the rows stand in blocks, half in the log."""
    path = tmp_path / "bank.db"
    with closing(duckdb.connect(str(path), config={"temp_directory": ""})) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("CREATE TABLE account (leaves INT, number BIGINT, ref UUID, packed BIGINT)")
        rows = [(n % 2, ACCOUNTS[n], REFERENCES[n], (1 << 50) + n) for n in range(ROWS)]
        connection.executemany("INSERT INTO account VALUES (?, ?, ?, ?)", rows[: ROWS // 2])
        connection.execute("CHECKPOINT")
        connection.executemany("INSERT INTO account VALUES (?, ?, ?, ?)", rows[ROWS // 2 :])
    return path


def going() -> list[bytes]:
    return [value for n in range(1, ROWS, 2) for value in stored(n)]


def files(path: Path) -> bytes:
    return b"".join(part.read_bytes() for part in path.parent.glob(f"{path.name}*"))


def test_what_is_not_packed_is_shown_and_stands_in_the_files(path: Path) -> None:
    leaving = Selection(table="account", where=(Condition(column="leaves", operator="=", value=1),))
    target = Target(id="t", url=f"duckdb:{path}", select=(leaving,))
    with closing(DuckdbBackend.open(target, {"digest-key": bytes(32)})) as backend:
        shown = {backend.probe(place) for place in backend.sample(None, b"")}
    numbers = {str(ACCOUNTS[n]).encode() for n in range(1, ROWS, 2)}
    assert shown == numbers | {str(REFERENCES[n]).encode() for n in range(1, ROWS, 2)}
    raw = files(path)
    assert [value for value in going() if value not in raw] == []


def test_numbers_are_seen_before_and_gone_after(path: Path, tmp_path: Path) -> None:
    bench = Workbench(tmp_path)
    job = bench.whole(job_of_leavers(f"duckdb:{path}"))
    certificate = verify(job.certificate, [bench.agent.public], 1, None).certificate
    (verification,) = certificate.verification
    assert verification.needles is not None
    assert (verification.verdict, verification.needles.count) == ("CLEAN", len(going()))
    assert verification.needles.positive_control == len(going())
    raw = files(path)
    assert [value for value in going() if value in raw] == []
    said = encode_json(certificate).decode()
    assert '"packed-numbers-not-searched"' in said
    assert '"small-numbers-not-searched"' in said


def test_a_delete_that_leaves_numbers_in_blocks_is_found_out(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain_delete(self: Rewriting, after: Cursor | None) -> Iterator[Cursor]:
        with closing(duckdb.connect(str(path), config={"temp_directory": ""})) as connection:
            connection.execute("DELETE FROM account WHERE leaves = 1")
            connection.execute("CHECKPOINT")
        yield Cursor("deleted", ROWS // 2)

    monkeypatch.setattr(Rewriting, "run", plain_delete)
    with pytest.raises(Residue):
        Workbench(tmp_path).whole(job_of_leavers(f"duckdb:{path}"))
