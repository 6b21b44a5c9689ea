"""Killed or failed at any system call, SQLite's own included: the path opens, and a resume ends well.

strace sends SIGKILL, or makes the call fail, on entering the n-th call of a kind. The normal tests take
a part of the matrix that covers every kind of call; `campaign` takes all of it.
"""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from .sqlite_shop import build, going

CALLS = "fsync,fdatasync,pwrite64,write,ftruncate,rename,renameat,renameat2,link,linkat,unlink,unlinkat"
WALK = Path(__file__).with_name("sqlite_walk.py")
ROWS = 8
NAMED = ("OSError: [Errno", "deleatur.errors.Refused: ", "deleatur.errors.Transient: ")


def walk(folder: Path, *strace: str, may_fail: bool = False) -> int:
    """Erase in a process of its own, under strace; return its exit code."""
    command = [sys.executable, str(WALK), str(folder / "shop.db"), str(folder.parent / "journal")]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    prefix = ["strace", "-f", "-qq", *strace] if strace else []
    done = subprocess.run([*prefix, *command], env=environment, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if not line.startswith(" ")]
    named = errors and errors[-1].startswith(NAMED)
    assert "Traceback" not in done.stderr or (may_fail and named), done.stderr
    return done.returncode


def content(path: Path) -> tuple[object, ...]:
    """Read everything of the database, as a program would that opens it."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return tuple(
            database.execute(f"SELECT rowid, * FROM {table} ORDER BY rowid").fetchall()
            for table in ("person", "mail", "own")
        )


@pytest.fixture(scope="module", params=["WAL", pytest.param("PERSIST", marks=pytest.mark.campaign)])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """A database as a killed program left it, its content before and after, and every call of the erase."""
    base = tmp_path_factory.mktemp("shop")
    build(base / "live.db", request.param, rows=ROWS)
    pristine = base / "pristine"
    pristine.mkdir()
    with closing(sqlite3.connect(base / "live.db", isolation_level=None)) as living:
        living.execute("PRAGMA synchronous=OFF")
        living.execute(f"PRAGMA journal_mode={request.param}")
        living.execute("UPDATE person SET letter = letter || '.'")
        for suffix in ("", "-wal", "-journal"):
            if (base / f"live.db{suffix}").exists():
                shutil.copyfile(base / f"live.db{suffix}", pristine / f"shop.db{suffix}")
    traced = base / "traced" / "store"
    shutil.copytree(pristine, traced)
    before = content_of_copy(pristine, base)
    log = base / "trace"
    assert walk(traced, "-o", str(log), "-e", f"trace=access,faccessat,faccessat2,{CALLS}") == 0
    after = content(traced / "shop.db")
    assert after != before
    return {"pristine": pristine, "before": before, "after": after, "calls": points(log.read_text())}


def content_of_copy(pristine: Path, base: Path) -> tuple[object, ...]:
    shutil.copytree(pristine, base / "looked-at")
    return content(base / "looked-at" / "shop.db")


def points(trace: str) -> list[tuple[str, int]]:
    """Return (call, number) of every call of the erase; strace counts each kind from the start."""
    counts: Counter[str] = Counter()
    found, inside = [], False
    for line in trace.splitlines():
        call = re.match(r"\d+\s+(\w+)\(", line)
        if call is None:
            continue
        if "/the-erase-" in line:
            inside = "begins" in line
        counts[call.group(1)] += 1
        if inside and call.group(1) in CALLS.split(","):
            found.append((call.group(1), counts[call.group(1)]))
    return found


def hit_and_resume(shop: dict[str, object], folder: Path, call: str, number: int, hit: str) -> None:
    """Kill or fail one call, look, resume, look."""
    store = folder / "store"
    shutil.copytree(shop["pristine"], store)
    inject = f"inject={call}:{hit}:when={number}"
    failed = walk(store, "-o", "/dev/null", "-e", f"trace={call}", "-e", inject, may_fail="error" in hit)
    assert failed or "error" in hit, "SQLite may do without a call that fails, nobody without its life"
    looked = folder / "looked"
    shutil.copytree(store, looked)
    now = content(looked / "shop.db")
    assert now in (shop["before"], shop["after"]), f"a mixture after a kill at {call} {number}"
    assert walk(store) == 0, f"no resume after a kill at {call} {number}"
    assert os.listdir(store) == ["shop.db"], f"left behind after a kill at {call} {number}"
    raw = (store / "shop.db").read_bytes()
    assert not [v for v in values() if v in raw], f"residue after a kill at {call} {number}"
    assert content(store / "shop.db") == shop["after"]
    shutil.rmtree(folder)


def values() -> list[bytes]:
    """Return the values of the selected rows that stand in no other table."""
    return [v + b"l" for v in going(ROWS)]


def test_a_kill_at_a_call_of_each_kind_is_survived(shop: dict[str, object], tmp_path: Path) -> None:
    calls = shop["calls"]
    assert isinstance(calls, list)
    assert len(calls) > 40, "the control: the trace saw the erase"
    assert {"linkat", "renameat", "unlinkat", "fsync", "pwrite64"} <= {call for call, _ in calls}
    last = {call: (call, number) for call, number in calls}
    for n, (call, number) in enumerate(last.values()):
        hit_and_resume(shop, tmp_path / str(n), call, number, "signal=KILL")


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_write_that_fails_is_survived(shop: dict[str, object], tmp_path: Path, error: str) -> None:
    calls = shop["calls"]
    assert isinstance(calls, list)
    writes = [point for point in calls if point[0] in ("pwrite64", "fsync")]
    for n, (call, number) in enumerate(writes[:: len(writes) // 4]):
        hit_and_resume(shop, tmp_path / str(n), call, number, f"error={error}")


@pytest.mark.campaign
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_every_write_that_fails_is_survived(shop: dict[str, object], tmp_path: Path, error: str) -> None:
    calls = shop["calls"]
    assert isinstance(calls, list)
    for n, (call, number) in enumerate(calls):
        hit_and_resume(shop, tmp_path / str(n), call, number, f"error={error}")


@pytest.mark.campaign
def test_a_kill_at_every_call_is_survived(shop: dict[str, object], tmp_path: Path) -> None:
    calls = shop["calls"]
    assert isinstance(calls, list)
    for n, (call, number) in enumerate(calls):
        hit_and_resume(shop, tmp_path / str(n), call, number, "signal=KILL")
