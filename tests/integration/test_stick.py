"""A database, a folder and a stick in one map: each is told by its identity, whatever is mounted there."""

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from deleatur.documents.datamap import DataMap
from deleatur.testing.workbench import Workbench

from .subject_office import mapped

pytestmark = pytest.mark.root

ROWS = "name,email\n" + "".join(f"Anna Berg {n},anna{n}@example.org\n" for n in range(20))


@contextmanager
def stick(image: Path, point: Path, uuid: str) -> Iterator[None]:
    """Plug in a stick: a file system of its own on a block device of its own."""
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-U", uuid, image], check=True)
    point.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", image, point], check=True)
    try:
        (point / "export").mkdir()
        (point / "export" / "customers.csv").write_text(ROWS)
        yield
    finally:
        subprocess.run(["umount", point], check=True)


def identities(datamap: DataMap) -> dict[str, dict[str, str]]:
    return {place.id: dict(place.identity) for place in datamap.place}


def test_each_place_is_told_by_its_identity(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "crm.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, email TEXT)")
        connection.execute("INSERT INTO customers VALUES (1, 'anna1@example.org')")
    (tmp_path / "laptop").mkdir()
    (tmp_path / "laptop" / "customers.csv").write_text(ROWS)
    bench = Workbench(tmp_path / "bench")
    point = tmp_path / "stick"

    def found() -> DataMap:
        places = {"crm": tmp_path / "crm.sqlite", "laptop": tmp_path / "laptop", "stick": point / "export"}
        return mapped(bench, **places)

    first, second = "8f0cbb4e-4a33-4f37-9d5f-2b1f5d1a0001", "8f0cbb4e-4a33-4f37-9d5f-2b1f5d1a0002"
    with stick(tmp_path / "one.img", point, first):
        datamap = found()
    names = identities(datamap)
    assert names["stick"]["file-system-uuid"] == first
    assert names["laptop"]["file-system-uuid"] != first
    assert names["laptop"]["inode"] == str((tmp_path / "laptop").stat().st_ino)
    assert names["crm"]
    assert len({tuple(place.identity) for place in datamap.place}) == 3
    assert datamap.people.found == 20  # counted once over all three
    with stick(tmp_path / "two.img", point, second):
        later = identities(found())
    assert later["stick"]["file-system-uuid"] == second  # another stick in the same place is another place
    assert later["laptop"] == names["laptop"]
