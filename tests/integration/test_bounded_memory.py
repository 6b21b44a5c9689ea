"""What an erase holds in memory does not grow with the database."""

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from deleatur.documents.job import Selection, Target
from deleatur_plugins.sqlite.rebuild import Rebuild

ROWS, BYTES = 100_000, 400  # 40 MB in the database, in pages that each deletion changes


def peak() -> int:
    """Return the most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_rows_are_deleted_without_every_page_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB)")
        database.executemany("INSERT INTO notes VALUES (?, randomblob(?))", ((n, BYTES) for n in range(ROWS)))
    told = subprocess.run([sys.executable, __file__, path], check=True, capture_output=True, text=True)
    rows, grown = map(int, told.stdout.split())
    assert rows == ROWS
    assert grown < ROWS * BYTES // 2


def delete(path: Path) -> tuple[int, int]:
    """Delete all rows of a copy; return how many, and by how much memory grew, in bytes."""
    target = Target(id="store", url=path.as_uri(), select=(Selection(table="notes"),))
    before = peak()
    with Rebuild(path, target, {"digest-key": bytes(32)}) as rebuild:
        return rebuild.delete(), peak() - before


if __name__ == "__main__":
    print(*delete(Path(sys.argv[1])))
