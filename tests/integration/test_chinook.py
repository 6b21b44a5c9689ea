"""The whole walk on a real database: every customer and invoice of one country, Chinook's Germany.

What is erased must be in the raw bytes before, and in none after: not in the database, not in any
file of the job, and not on the block device under both. What stays must be the same, row by row.
"""

import hashlib
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.archive.age import new_identity
from deleatur.archive.package import open_archive
from deleatur.engine.directory import JobDirectory
from deleatur.testing.workbench import Workbench
from deleatur.trust.verification import verify

from .chinook_germany import alone, every_file, going, job_text, personal

GOING = going()


def rows(database: Path, *, staying: bool) -> dict[str, str]:
    """Digest every row of every table that stays (or goes), by table."""
    connection = sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)
    tables = [
        r[0] for r in connection.execute("SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1")
    ]
    digests = {}
    for table in tables:
        condition = GOING.get(table, "0")
        where = f"NOT ({condition})" if staying else condition
        digest = hashlib.sha256()
        for row in connection.execute(f'SELECT rowid, * FROM "{table}" WHERE {where} ORDER BY rowid'):
            digest.update(repr(row).encode())
        digests[table] = digest.hexdigest()
    connection.close()
    return digests


def personal_values(database: Path) -> list[bytes]:
    """Return the values of the customers that go, without those that also stand in what stays."""
    connection = sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)
    rows = connection.execute(personal()).fetchall()
    stays = ""
    for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
        for row in connection.execute(f'SELECT * FROM "{table}" WHERE NOT ({GOING.get(table, "0")})'):
            stays += "\0".join(map(str, row)) + "\n"
    connection.close()
    return alone(rows, stays)


def found(content: bytes, values: list[bytes]) -> list[bytes]:
    return [v for v in values if v in content or v.decode().encode("utf-16-le") in content]


def walk(folder: Path, source: Path, *, device: bool) -> tuple[Workbench, JobDirectory, str]:
    database = folder / "chinook.sqlite"
    identity, recipient = new_identity()
    bench = Workbench(folder)
    job = bench.job(job_text(f"sqlite://{database}", recipient, device=device))
    bench.plan(job)
    bench.approve(job)
    assert rows(database, staying=True) == rows(source, staying=True)
    bench.run(job)
    return bench, job, identity


def assert_done(bench: Workbench, job: JobDirectory, identity: str, database: Path, source: Path) -> None:
    assert rows(database, staying=True) == rows(source, staying=True)
    empty = hashlib.sha256().hexdigest()
    assert {rows(database, staying=False)[t] for t in GOING} == {empty}
    checked = verify(job.certificate, [bench.agent.public], 1, None)
    archive = next(iter(checked.certificate.archives))
    opened = open_archive(job.archive / archive.file, identity)
    invoices = opened.tables["Invoice"]
    assert invoices.num_rows == archive.tables[0].rows == 28
    assert "BillingAddress" not in invoices.column_names
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.data
def test_a_country_is_erased_from_every_file(tmp_path: Path, data_folder: Path) -> None:
    source = data_folder / "chinook.sqlite"
    folder = tmp_path / "host"
    folder.mkdir()
    shutil.copyfile(source, folder / "chinook.sqlite")
    values = personal_values(source)
    assert len(values) > 15
    assert found(every_file(folder), values) == values
    bench, job, identity = walk(folder, source, device=False)
    assert found(every_file(folder), values) == []
    assert_done(bench, job, identity, folder / "chinook.sqlite", source)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[tuple[Path, Path, str]]:
    """Mount a fresh ext4 from an image file; yield mount point, image and loop device."""
    image, point = tmp_path / "disk.img", tmp_path / "mnt"
    with image.open("wb") as file:
        file.truncate(96 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    loop = subprocess.run(
        ["losetup", "--find", "--show", image], check=True, capture_output=True, text=True
    ).stdout.strip()
    point.mkdir()
    try:
        subprocess.run(["mount", loop, point], check=True)
        yield point, image, loop
    finally:
        subprocess.run(["umount", point], check=True)
        subprocess.run(["losetup", "--detach", loop], check=True)


@pytest.mark.root
@pytest.mark.data
def test_a_country_is_erased_from_the_raw_device(mounted: tuple[Path, Path, str], data_folder: Path) -> None:
    point, image, _ = mounted
    source = data_folder / "chinook.sqlite"
    shutil.copyfile(source, point / "chinook.sqlite")
    subprocess.run(["sync", "-f", point], check=True)
    values = personal_values(source)
    assert found(image.read_bytes(), values) == values
    bench, job, identity = walk(point, source, device=True)
    subprocess.run(["sync", "-f", point], check=True)
    assert found(every_file(point), values) == []
    assert found(image.read_bytes(), values) == []
    assert_done(bench, job, identity, point / "chinook.sqlite", source)
    verification = verify(job.certificate, [bench.agent.public], 1, None).certificate.verification[0]
    device = next(s for s in verification.surfaces if s.name.startswith("block device"))
    assert device.bytes_after >= 96 << 20
    assert device.hits_after == 0
    assert device.values_seen_before > 0
    assert verification.verdict == "CLEAN"
