"""Swap areas and core dumps of this host: searched where the job asks, never changed, else not claimed."""

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deleatur.documents.place import DUMPS, SWAP
from deleatur.engine import looking
from deleatur.errors import Refused, Residue
from deleatur.sanitize import put_down
from deleatur.testing.workbench import Workbench
from deleatur_plugins.file import FileBackend
from deleatur_plugins.sqlite import SqliteBackend

from ..lab.jobs import predicate
from .loops import MIB, attached

pytestmark = pytest.mark.root
VALUE = b"Zoe Bergstroem, 14 Rue des Lilas, DE89370400440532013000\n"
PATIENCE = 60


def job(target: Path, *, swap: bool = True) -> str:
    return f"""
schema = "deleatur/job/v1"
name = "letters"
reason = "other"
authority = "a test"
requested_by = "tester"
[verification]
swap = {str(swap).lower()}
[[target]]
id = "letters"
url = "file://{target}"
"""


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "one.txt").write_bytes(VALUE * 90)
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path / "jobs", {"file": FileBackend})


@pytest.fixture
def dumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Yield the folder that this host keeps its core dumps in."""
    folder = tmp_path / "coredump"
    folder.mkdir()
    monkeypatch.setattr(put_down, "_FOLDERS", (folder,))
    return folder


@pytest.fixture(params=["with the value", "without it"])
def swap(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, bool]]:
    """Yield a swap area in use, and whether a program's page with the value lies in it."""
    image = tmp_path / "swap"
    image.write_bytes(bytes(8 * MIB))
    subprocess.run(["mkswap", image], check=True, timeout=PATIENCE, capture_output=True)
    if held := request.param == "with the value":
        with image.open("r+b") as file:
            file.seek(3 * MIB)
            file.write(VALUE * 70)
    with attached(image) as node:
        subprocess.run(["swapon", "--priority", "0", node], check=True, timeout=PATIENCE)
        try:
            yield node, held
        finally:
            subprocess.run(["swapoff", node], check=True, timeout=PATIENCE)


def limits(found: dict[str, Any]) -> set[str]:
    excepted = {each["sentence"]["id"] for each in found["exceptions"]}
    return {each["id"] for each in found["knownLimits"]} | excepted


def test_a_value_in_a_swap_area_is_residue(bench: Workbench, letters: Path, swap: tuple[str, bool]) -> None:
    node, held = swap
    before = Path(node).read_bytes()
    directory = bench.approved(job(letters))
    if held:
        with pytest.raises(Residue):
            bench.run(directory)
        report = next(directory.path.glob("residue-*.json")).read_text()
        assert SWAP in report
        assert node in report
        assert VALUE.decode().split(",", maxsplit=1)[0] not in report
    else:
        bench.run(directory)
        found = predicate(directory)
        assert {"process-memory-now", "surface-without-control"} <= limits(found)
        scanned = {s["name"]: s for s in found["verification"][0]["surfaces"]}
        assert scanned[SWAP]["bytesAfter"] == 8 * MIB
        assert not letters.exists()
    assert Path(node).read_bytes()[MIB:] == before[MIB:]


def test_a_job_that_does_not_ask_reads_none_and_says_so(
    bench: Workbench, letters: Path, swap: tuple[str, bool]
) -> None:
    found = predicate(bench.whole(job(letters, swap=False)))
    assert "process-memory" in limits(found)
    assert "process-memory-now" not in limits(found)
    assert swap[0]


def test_a_core_dump_that_holds_the_value_is_residue(bench: Workbench, letters: Path, dumps: Path) -> None:
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    limit = f"import os, resource as r; r.setrlimit(r.RLIMIT_CORE, ({most}, {most}))"
    program = f"{limit}; v = {VALUE!r} * 90; os.abort()"
    child = subprocess.run([sys.executable, "-c", program], cwd=dumps, timeout=PATIENCE, check=False)
    assert child.returncode == -signal.SIGABRT
    kept = [path for path in dumps.iterdir() if path.stat().st_size]
    assert kept, "core_pattern of this host leaves dumps in the folder of the program"
    directory = bench.approved(job(letters))
    with pytest.raises(Residue):
        bench.run(directory)
    assert DUMPS in next(directory.path.glob("residue-*.json")).read_text()
    assert all(path.exists() for path in kept)
    for path in kept:
        path.unlink()
    bench.run(directory)
    assert directory.certificate.exists()


def test_compressed_dumps_are_named_and_not_claimed(bench: Workbench, letters: Path, dumps: Path) -> None:
    (dumps / "core.shop.0.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    found = predicate(bench.whole(job(letters)))
    assert any(
        each["id"] == "surface-out-of-reach" and "files: 1" in each["text"] for each in found["knownLimits"]
    )


def test_what_cannot_be_read_of_a_swap_area_is_said(
    bench: Workbench, letters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swap area that is gone, or is neither file nor device, is no clean one."""
    listed = tmp_path / "swaps"
    listed.write_bytes(
        b"Filename Type Size Used Priority\n" + os.fsencode(tmp_path / "pipe") + b" file 8 0 -2\n"
    )
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(put_down, "_SWAPS", listed)
    found = predicate(bench.whole(job(letters)))
    assert "surface-unreadable" in limits(found)


def test_the_control_a_search_that_leaves_swap_out_claims_nothing_of_it(
    bench: Workbench, letters: Path, swap: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = looking.scanned_surfaces
    monkeypatch.setattr(
        looking,
        "scanned_surfaces",
        lambda planned, wanted: tuple(s for s in everything(planned, wanted) if not s.is_put_down),
    )
    found = predicate(bench.whole(job(letters)))
    assert swap[0]
    assert "process-memory-now" not in limits(found)
    assert "surface-not-read" in limits(found)


def test_a_job_without_files_cannot_ask(tmp_path: Path) -> None:
    database = tmp_path / "shop.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE person (name)")
        connection.execute("INSERT INTO person VALUES (?)", (VALUE.decode(),))
        connection.commit()
    text = job(database).replace("file://", "sqlite://")
    with pytest.raises(Refused, match="no target is of files"):
        Workbench(tmp_path / "jobs", {"sqlite": SqliteBackend}).approved(text)
