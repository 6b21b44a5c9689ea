"""Count what deleted customers leave behind: SQLite mode × secure_delete × step, then our sequence.

    .venv/bin/python benchmarks/sqlite_residue.py [--quick]

Half of the customers are deleted. Each has four values: a name and an e-mail (both indexed), head and
tail of a document (every tenth on overflow pages); the full-text case has a word of its own. Counted
are hits (customers) in the files, and in the raw bytes of the loop device with ext4 under them: that
part needs root. The databases are built elsewhere and copied there, so no block has a past. Prints a
table and `RESULT sqlite_residue FIGURE hits ok|short`: the hits that our sequence leaves over all
modes. Short means more than none, another row than the selected ones changed, a second connection was
not refused by name, or the control did not see what it must: then no 0 means anything.
"""

import hashlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import result
from deleatur.api import Condition, Pattern, Refused, Selection, Step, Target
from deleatur_plugins.sqlite import SqliteBackend

QUICK, LONG = 400, 5_000  # customers that go; as many stay
MODES = ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL")
VALUE = re.compile(rb"ZQD[NEBT](\d{8})-([0-9a-f]{12})")
WORD = re.compile(rb"zqd(\d{8})([0-9a-f]{12})")  # what a full-text index keeps of a word: not its start
STEP = Step(
    id="s1",
    target="crm",
    technique="rewrite-and-shred",
    action="rewrite",
    compare="absence",
    pattern=Pattern(kind="aes-256-ctr", key="5e" * 32),
)
SECRETS = {"digest-key": bytes(32)}
GOES = Condition(column="goes", operator="=", value=1)
SCHEMA = """
    CREATE TABLE customer (id INTEGER PRIMARY KEY, goes INTEGER, name TEXT, email TEXT UNIQUE, doc TEXT);
    CREATE INDEX by_name ON customer (name);
"""
WORDS = "CREATE VIRTUAL TABLE note USING fts5 (body, goes UNINDEXED);"


@dataclass
class Count:
    """Hits, and the distinct customers that they tell of."""

    hits: int = 0
    customers: set[int] = field(default_factory=set)

    def add(self, content: bytes) -> "Count":
        """Count in more bytes; a hit must fit its number, so that chance cannot make one."""
        for pattern in (VALUE, WORD):
            for match in pattern.finditer(content):
                number = int(match.group(1))
                if match.group(2) == tail(number).encode():
                    self.hits += 1
                    self.customers.add(number)
        return self

    def __str__(self) -> str:
        return f"{self.hits:,} ({len(self.customers):,})" if self.hits else "0"


def tail(number: int) -> str:
    """Return the part of a customer's values that only this customer has."""
    return hashlib.sha256(f"customer {number}".encode()).hexdigest()[:12]


def value(kind: str, number: int) -> str:
    """Return one value: even numbers go, odd ones stay."""
    return f"ZQ{'K' if number % 2 else 'D'}{kind}{number:08d}-{tail(number)}"


def build(path: Path, mode: str, rows: int, *, words: bool) -> None:
    """Build the database in memory's file system, with nothing deleted yet."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute(f"PRAGMA journal_mode={'WAL' if mode == 'WAL' else 'MEMORY'}")
        database.executescript(SCHEMA + (WORDS if words else ""))
        database.execute("BEGIN")
        for n in range(2 * rows):
            filler = "lorem ipsum " * (1000 if n % 20 < 2 else 30)
            doc = f"{value('B', n)} {filler} {value('T', n)}"
            database.execute(
                "INSERT INTO customer VALUES (?, ?, ?, ?, ?)",
                (n, 1 - n % 2, value("N", n), value("E", n) + "@example.org", doc),
            )
            if words:
                mark = "k" if n % 2 else "d"
                text = f"hello {tail(n)[::-1][:6]}zq{mark}{n:08d}{tail(n)}"
                database.execute("INSERT INTO note VALUES (?, ?)", (text, 1 - n % 2))
        database.execute("COMMIT")


def keep_digest(path: Path, *, words: bool) -> str:
    """Digest every row that stays."""
    digest = hashlib.sha256()
    with closing(sqlite3.connect(path)) as database:
        for row in database.execute("SELECT * FROM customer WHERE goes = 0 ORDER BY id"):
            digest.update(repr(row).encode())
        for row in database.execute("SELECT rowid, * FROM note WHERE goes = 0") if words else ():
            digest.update(repr(row).encode())
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
    return f"{sound} {digest.hexdigest()}"


@dataclass(frozen=True)
class Disk:
    """A folder to work in, and the raw bytes under it, or None without root."""

    folder: Path
    image: Path | None

    def files(self, *, journals: bool) -> Count:
        """Count in the database's file, or in what lies beside it."""
        count = Count()
        for path in sorted(self.folder.glob("crm.db*")):
            if (path.name != "crm.db") == journals:
                count.add(path.read_bytes())
        return count

    def all_files(self) -> Count:
        """Count in every file."""
        count = self.files(journals=False)
        for path in sorted(self.folder.glob("crm.db?*")):
            count.add(path.read_bytes())
        return count

    def raw(self) -> Count | None:
        """Count in the block device; None without root."""
        if self.image is None:
            return None
        subprocess.run(["sync", "--file-system", self.folder], check=True)
        return Count().add(self.image.read_bytes())


@contextmanager
def disk(room: Path, rows: int) -> Iterator[Disk]:
    """Make a fresh ext4 in a file and mount it; without root, only a folder."""
    folder = Path(tempfile.mkdtemp(dir=room))
    if os.geteuid() != 0:
        yield Disk(folder, None)
        return
    image = room / "image"
    with image.open("wb") as file:
        file.truncate((16 << 20) + rows * (40 << 10))
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)
    try:
        yield Disk(folder, image)
    finally:
        subprocess.run(["umount", folder], check=True)
        image.unlink()


def plant(made: Disk, room: Path, mode: str, rows: int, *, words: bool = False) -> tuple[Path, str]:
    """Copy a fresh database to the disk, with a journal where its mode keeps one; digest what stays.

    A program is still at work on the original, so the copy is what a killed program leaves.
    """
    source, path = room / "built.db", made.folder / "crm.db"
    build(source, mode, rows, words=words)
    kept = keep_digest(source, words=words)
    with closing(sqlite3.connect(source, isolation_level=None)) as living:
        if words and mode in ("WAL", "PERSIST"):
            living.execute(f"PRAGMA journal_mode={mode}")
            living.execute("UPDATE customer SET doc = doc || '.' WHERE goes = 1 AND id < 200")
        for suffix in ("", "-wal", "-journal"):
            if Path(f"{source}{suffix}").exists():
                shutil.copyfile(f"{source}{suffix}", f"{path}{suffix}")
    for left in room.glob("built.db*"):
        left.unlink()
    return path, kept


def shown(count: Count | None) -> str:
    return "needs root" if count is None else str(count)


class Bench:
    """Runs the cases, prints their rows, and remembers what must hold."""

    def __init__(self, room: Path, rows: int) -> None:
        self.room, self.rows = room, rows
        self.left = 0
        self.wrong: list[str] = []

    def expect(self, holds: bool, otherwise: str) -> None:
        """Remember what does not hold."""
        if not holds:
            self.wrong.append(otherwise)

    def row(self, *cells: object) -> None:
        """Print one row of the table."""
        print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)

    def plainly(self, mode: str, secure: str) -> None:
        """DELETE and VACUUM as a program would, in one mode."""
        with disk(self.room, self.rows) as made:
            path, _ = plant(made, self.room, mode, self.rows)
            before = made.all_files()
            self.expect(
                len(before.customers) == self.rows, f"{mode}: the control does not see every customer"
            )
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                database.execute(f"PRAGMA journal_mode={mode}")
                database.execute(f"PRAGMA secure_delete={secure}")
                database.execute("DELETE FROM customer WHERE goes = 1")
                if mode == "WAL":
                    database.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
                deleted = [made.files(journals=False), made.files(journals=True), made.raw()]
                database.execute("VACUUM")
            vacuumed = [made.all_files(), made.raw()]
            if secure == "OFF":
                seen = deleted[0]
                assert seen is not None
                self.expect(
                    len(seen.customers) > 0.9 * self.rows,
                    f"{mode}: DELETE left less than it is known to leave",
                )
            self.row(f"{mode}, {secure}", *map(shown, deleted), *map(shown, vacuumed))

    def full_text(self) -> None:
        """Deleted words stay in a full-text index, secure_delete or not."""
        with disk(self.room, self.rows) as made:
            path, _ = plant(made, self.room, "MEMORY", self.rows, words=True)
            with closing(sqlite3.connect(path, isolation_level=None)) as database:
                database.execute("PRAGMA journal_mode=MEMORY")
                database.execute("PRAGMA secure_delete=ON")
                database.execute("DELETE FROM customer WHERE goes = 1")
                database.execute("DELETE FROM note WHERE goes = '1' OR goes = 1")
                deleted = [made.files(journals=False), made.files(journals=True), made.raw()]
                database.execute("INSERT INTO note (note) VALUES ('optimize')")
            optimized = [made.all_files(), made.raw()]
            words = deleted[0]
            assert words is not None
            self.expect(bool(words.hits), "FTS5: DELETE left no word, which it is known to leave")
            self.row("MEMORY, ON, FTS5; then 'optimize'", *map(shown, deleted), *map(shown, optimized))

    def ours(self, mode: str) -> None:
        """Run the backend's sequence on full-text tables too, with an earlier journal lying there."""
        with disk(self.room, self.rows) as made:
            path, kept = plant(made, self.room, mode, self.rows, words=True)
            beside, before = made.files(journals=True), made.all_files()
            self.expect(
                len(before.customers) == self.rows, f"{mode}: the control does not see every customer"
            )
            if mode in ("WAL", "PERSIST"):
                self.expect(beside.hits > 0, f"{mode}: the control sees no customer in the journal")
            rows = list(SqliteBackend.open(target(path), SECRETS).erase(STEP, None))[-1].done
            files, raw = made.all_files(), made.raw()
            self.left += files.hits + (raw.hits if raw else 0)
            names = [p.name for p in made.folder.glob("crm*")]
            same = keep_digest(path, words=True) == kept
            self.expect(same, f"{mode}: a row that stays was changed")
            self.expect(rows == 2 * self.rows, f"{mode}: {rows} rows erased")
            self.expect(names == ["crm.db"], f"{mode}: left {names} behind")
            note = "rows that stay identical" if same else "ROWS CHANGED"
            self.row(f"**ours**, {mode}, FTS5", files, f"0, was {shown(beside)}", shown(raw), note, "")

    def second_connection(self, mode: str) -> None:
        """With a second connection open the backend must refuse by name, and change nothing."""
        with disk(self.room, self.rows) as made:
            path, _ = plant(made, self.room, mode, self.rows, words=True)
            with closing(sqlite3.connect(path)) as second:
                second.execute("SELECT count(*) FROM customer").fetchone()
                before = path.read_bytes()
                try:
                    list(SqliteBackend.open(target(path), SECRETS).erase(STEP, None))
                    said = "NOT REFUSED"
                except Refused as error:
                    said = "refused by name" if str(os.getpid()) in str(error) else "REFUSED WITHOUT A NAME"
                self.expect(said == "refused by name", f"{mode}, second connection open: {said}")
                self.expect(path.read_bytes() == before, f"{mode}: a refusal changed the database")
            self.row(f"**ours**, {mode}, second connection open", said, "", "", "", "")


def target(path: Path) -> Target:
    """Return the rows that go, as a job names them."""
    return Target(
        id="crm",
        url=path.as_uri().replace("file:", "sqlite:"),
        select=(Selection(table="customer", where=(GOES,)), Selection(table="note", where=(GOES,))),
    )


def main(arguments: list[str]) -> int:
    """Print the table and the result."""
    rows = QUICK if "--quick" in arguments else LONG
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        bench = Bench(Path(name), rows)
        print(
            f"{rows:,} customers deleted, {rows:,} stay; SQLite {sqlite3.sqlite_version}; hits (customers)\n"
        )
        bench.row("mode, secure_delete", "database", "journal/WAL", "raw", "VACUUM: files", "raw")
        bench.row(*["---"] * 6)
        for mode in MODES:
            for secure in ("OFF", "FAST", "ON"):
                bench.plainly(mode, secure)
        bench.full_text()
        for mode in MODES:
            bench.ours(mode)
        for mode in ("DELETE", "WAL"):
            bench.second_connection(mode)
    for wrong in bench.wrong:
        print(f"does not hold: {wrong}")
    return result("sqlite_residue", str(bench.left), "hits", good=bench.left == 0 and not bench.wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
