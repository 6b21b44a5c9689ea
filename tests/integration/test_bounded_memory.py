"""What a job holds in memory does not grow with the database, but for what docs/reference/limits.md names."""

import random
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from deleatur.archive import new_identity, write_archive
from deleatur.documents.job import ArchivedTable, Rule, Selection, Target
from deleatur.documents.place import Identity, Sampling
from deleatur.documents.plan import PlannedTarget, PluginPin
from deleatur.testing.keepers import keepers
from deleatur_plugins.sqlite.rebuild import Rebuild

ROWS, BYTES = 100_000, 400  # 40 MB in the database, in pages that each deletion changes
FEW, NOTES, LONG = 10_000, 60_000, 2_000  # 120 MB of texts that are archived, after 20 MB


def peak() -> int:
    """Return the most memory that this process ever had, in bytes; getrusage would show its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def in_a_process_of_its_own(what: str, path: Path) -> tuple[int, int]:
    """Return how many rows it says it worked on, and by how much its memory grew, in bytes."""
    told = subprocess.run(
        [sys.executable, __file__, what, path], check=True, capture_output=True, text=True, timeout=300
    )
    rows, grown = map(int, told.stdout.split())
    return rows, grown


def test_rows_are_deleted_without_every_page_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB)")
        database.executemany("INSERT INTO notes VALUES (?, randomblob(?))", ((n, BYTES) for n in range(ROWS)))
    rows, grown = in_a_process_of_its_own("delete", path)
    assert rows == ROWS
    assert grown < ROWS * BYTES // 2


def test_records_are_archived_without_all_of_them_in_memory(tmp_path: Path) -> None:
    """Three parts are archived first: what one part needs, and what is loaded for it, does not count."""
    rows, grown = in_a_process_of_its_own("archive", tmp_path)
    assert rows == NOTES
    assert grown < NOTES * LONG * 3 // 4


def delete(path: Path) -> int:
    """Delete all rows of a copy; return how many."""
    target = Target(id="store", url=path.as_uri(), select=(Selection(table="notes"),))
    with Rebuild(path, target, {"digest-key": bytes(32)}) as rebuild:
        return rebuild.delete()


def archive(folder: Path, notes: int = NOTES) -> int:
    """Archive notes of nobody; return how many."""

    def records() -> Iterator[dict[str, object]]:
        chance = random.Random(0)
        for number in range(notes):
            yield {"id": number, "author": f"author {number}", "body": chance.randbytes(LONG // 2).hex()}

    rules = {"id": "keyed-hash", "author": "mask", "body": "drop"}
    columns = {column: Rule(rule=rule) for column, rule in rules.items()}
    written = write_archive(
        Path(tempfile.mkdtemp(dir=folder)),
        planned(ArchivedTable(table="notes", columns=columns)),
        {"notes": records},
        keepers(new_identity()[1]),
        job="bounded",
        plan_digest="0" * 64,
        key=bytes(range(32)),
        challenge=bytes(32),
    )
    return written.tables[0].rows


def planned(table: ArchivedTable) -> PlannedTarget:
    """Return a target that archives one table."""
    return PlannedTarget(
        id="store",
        target=Target(id="store", url="memory:/store", archive=(table,)),
        identity=Identity(kind="rows", fields=()),
        size=0,
        units=(),
        held=(),
        technique="rewrite",
        limits=(),
        surfaces=(),
        sampling=Sampling(mode="full", count=1, seed="0" * 64),
        plugin=PluginPin(distribution="none", version="0", record_digest="0", entry_point="none"),
    )


if __name__ == "__main__":
    work: dict[str, Callable[[Path], int]] = {"delete": delete, "archive": archive}
    place = Path(sys.argv[2])
    if sys.argv[1] == "archive":
        archive(place, FEW)
    before = peak()
    done = work[sys.argv[1]](place)
    print(done, peak() - before)
