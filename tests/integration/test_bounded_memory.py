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
from deleatur.archive.memory import give_back_memory
from deleatur.desensitize.arrow import keep_memory
from deleatur.documents.job import ArchivedTable, Rule, Selection, Target
from deleatur.documents.plan import PlannedTarget
from deleatur.testing.finished import planned_for
from deleatur.testing.keepers import keepers
from deleatur_plugins.sqlite.rebuild import Rebuild

ROWS, BYTES = 100_000, 400  # 40 MB in the database, in pages that each deletion changes
PIECES, PIECE = 64, 1 << 20  # bytes that a step needed
FEW, NOTES, LONG = 10_000, 60_000, 2_000  # 120 MB of texts that are archived, after 20 MB


def memory(line: str) -> int:
    """Return what this process has in memory, or had at most, in bytes; getrusage would show its parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(told.split()[1]) << 10 for told in lines if told.startswith(line))


def in_a_process_of_its_own(what: str, path: Path) -> tuple[int, int]:
    """Return the two numbers that it prints, of rows and bytes."""
    told = subprocess.run(
        [sys.executable, __file__, what, path], check=True, capture_output=True, text=True, timeout=300
    )
    first, second = map(int, told.stdout.split())
    return first, second


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


def test_what_a_step_needed_goes_back_to_the_system_after_it(tmp_path: Path) -> None:
    kept, given_back = in_a_process_of_its_own("give-back", tmp_path)
    assert kept > PIECES * PIECE // 2
    assert given_back > kept * 3 // 4


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

    columns = {"id": Rule(rule="keyed-hash"), "author": Rule(rule="mask"), "body": Rule(rule="drop")}
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
    return planned_for(Target(id="store", url="memory:/store", archive=(table,)))


def give_back() -> tuple[int, int]:
    """Return how many bytes the allocator keeps of pieces that are free, and how many it then gives back."""
    keep_memory()
    pieces = [bytearray(PIECE) for _ in range(PIECES)]
    above = bytearray(PIECE)  # the heap does not end with what is freed
    most = memory("VmRSS")
    least = most - len(pieces) * len(above)
    del pieces
    kept = memory("VmRSS") - least
    give_back_memory()
    return kept, kept + least - memory("VmRSS")


def measured(work: Callable[[Path], int], path: Path) -> tuple[int, int]:
    """Return how many rows were worked on, and by how much the most memory grew, in bytes."""
    before = memory("VmHWM")
    return work(path), memory("VmHWM") - before


if __name__ == "__main__":
    what, place = sys.argv[1], Path(sys.argv[2])
    if what == "give-back":
        print(*give_back())
    elif what == "delete":
        print(*measured(delete, place))
    else:
        archive(place, FEW)
        print(*measured(archive, place))
