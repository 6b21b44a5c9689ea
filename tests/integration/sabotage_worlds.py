"""Four targets, one for each backend, with their jobs: the places where a saboteur may set to work."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from deleatur.api import Backend, hookimpl
from deleatur.archive.age import new_identity
from deleatur.documents import journal as j
from deleatur.documents.plan import Plan
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan
from deleatur.testing.keepers import keepers_text
from deleatur.testing.memory import Box, Index, MemoryBackend, Store, memory_url
from deleatur.testing.workbench import Workbench
from deleatur_plugins.file import FileBackend
from deleatur_plugins.sqlite import SqliteBackend

PEOPLE = [f"Ottilie Canary-{n} ottilie.{n}@example.org" for n in range(4)]
STAYING = [f"Willibald Stays-{n} willibald.{n}@example.org" for n in range(2)]
OTHERS = [f"Leberecht Other-{n} leberecht.{n}@example.com" for n in range(4)]
RECIPIENT = new_identity()[1]
HEAD = f"""
schema = "deleatur/job/v1"
name = "sabotage"
reason = "other"
authority = "a test"
requested_by = "tester"
{keepers_text(RECIPIENT)}"""
DEVICE = "[verification]\ndevice = true\n"


class World:
    """One target in `home`, one job in `job`, and whoever does something at a moment of the run."""

    scheme: ClassVar[str]
    base: ClassVar[type[Backend]]
    steps: ClassVar[tuple[str, ...]] = ("s1", "s2")
    at_the_end: ClassVar[str] = "complete@"  # a cursor that says that the first step is done

    def __init__(self, folder: Path, *, device: bool = False) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.build(PEOPLE)
        self.before = self.raw()
        self.bench = Workbench(folder, {self.scheme: self.base})
        self.bench.hooks.register(self, "saboteur")
        self.acts: dict[str, Callable[[], None]] = {}
        self.erased = 0  # steps that came to their end
        self.job: JobDirectory = self.bench.job(HEAD + (DEVICE if device else "") + self.target())

    @hookimpl
    def on_event(self, entry: j.Entry) -> None:
        """Count the steps that are done, and let whoever waits for this kind of entry act, once."""
        if isinstance(entry.event, j.Erased):
            self.erased += 1
        kind = type(entry.event).__name__.lower()
        if kind == "erased" and self.done:
            kind = "all-erased"
        self.acts.pop(kind, _nothing)()

    @property
    def done(self) -> bool:
        """Whether every step came to its end."""
        return self.erased >= len(self.steps)

    def closed(self) -> None:
        """Be told that a backend was closed: the first time after the erase, verify has looked once."""
        if self.done:
            self.acts.pop("verifying", _nothing)()

    def plan(self) -> Plan:
        return read_plan(self.job).plan

    def raw(self) -> bytes:
        """Return every byte of every file in the target's folder."""
        return b"\0".join(p.read_bytes() for p in sorted(self.home.rglob("*")) if p.is_file())

    def holds(self, values: list[str]) -> bool:
        raw = self.raw()
        return all(v.encode() in raw for v in values)

    def holds_any(self, values: list[str]) -> bool:
        raw = self.raw()
        return any(v.encode() in raw for v in values)

    def swap(self) -> None:
        """Put another target of the same kind under the same name."""
        shutil.rmtree(self.home)
        self.home.mkdir()
        self.build(OTHERS)

    def target(self) -> str:
        raise AssertionError

    def build(self, values: list[str]) -> None:
        raise AssertionError

    def add_newcomer(self) -> None:
        """Put something into the selection that nobody approved: the first of OTHERS."""
        raise AssertionError

    def hide(self) -> Callable[[], None]:
        """Take one unit out of sight and return what brings it back."""
        raise AssertionError

    def restore(self) -> None:
        """Bring back something that was erased."""
        raise AssertionError

    def leave_copy(self) -> None:
        """Leave a copy of a value on a surface that the backend declares."""
        raise AssertionError

    def copy_beside(self) -> None:
        """Leave a copy beside the target, where only the block device shows it."""
        (self.home / "copy").write_bytes(self.before)
        os.sync()

    def harm_neighbour(self) -> None:
        """Change something inside the target that must stay."""
        raise AssertionError


def _nothing() -> None:
    return None


class Memory(World):
    """A shelf of the memory backend's store, archived."""

    scheme, base, at_the_end = "memory", MemoryBackend, "box-99"

    def target(self) -> str:
        return f"""
[[target]]
id = "t"
url = "{memory_url(self.home / "store")}"
[[target.select]]
table = "people"
[[target.archive]]
table = "people"
columns = {{ number = {{ rule = "keep" }}, content = {{ rule = "drop" }} }}
"""

    def build(self, values: list[str]) -> None:
        shelves = {"people": [v.encode() for v in values], "other": [v.encode() for v in STAYING]}
        self.store = Store.create(self.home / "store", shelves)

    def add_newcomer(self) -> None:
        index = self.store.index()
        heap = self.store.folder / "heap"
        offset = heap.stat().st_size
        box = Box(number=99, shelf="people", offset=offset, length=len(OTHERS[0]))
        heap.write_bytes(heap.read_bytes() + OTHERS[0].encode())
        content = msgspec.json.encode(Index(store=index.store, boxes=(*index.boxes, box)))
        (self.store.folder / "index").write_bytes(content)

    def hide(self) -> Callable[[], None]:
        path = self.store.folder / "index"
        whole = self.store.index()
        box = next(b for b in whole.boxes if b.shelf == "people")
        path.write_bytes(msgspec.json.encode(Index(store=whole.store, boxes=_without(whole, box.number))))

        def back() -> None:
            now = self.store.index()
            path.write_bytes(msgspec.json.encode(Index(store=now.store, boxes=(box, *now.boxes))))

        return back

    def restore(self) -> None:
        with (self.store.folder / "heap").open("r+b") as heap:
            heap.write(PEOPLE[0].encode())
        self.leave_copy()

    def leave_copy(self) -> None:
        with (self.store.folder / "heap").open("ab") as heap:
            heap.write(PEOPLE[1].encode())

    def harm_neighbour(self) -> None:
        box = next(b for b in self.store.index().boxes if b.shelf == "other")
        self.store.write(box, b"\0" * box.length)


def _without(index: Index, number: int) -> tuple[Any, ...]:
    return tuple(b for b in index.boxes if b.number != number)


class Tree(World):
    """A directory tree of the file backend."""

    scheme, base = "file", FileBackend

    def target(self) -> str:
        return f'[[target]]\nid = "t"\nurl = "{(self.home / "tree").as_uri()}"\n'

    def build(self, values: list[str]) -> None:
        tree = self.home / "tree"
        (tree / "inner").mkdir(parents=True)
        for n, value in enumerate(values):
            (tree / ("inner" if n % 2 else "") / f"{n}.txt").write_text(value)
        for n, value in enumerate(STAYING):
            (self.home / f"beside-{n}.txt").write_text(value)

    def add_newcomer(self) -> None:
        (self.home / "tree" / "new.txt").write_text(OTHERS[0])

    def hide(self) -> Callable[[], None]:
        file = self.home / "tree" / "0.txt"
        if not file.exists():
            return _nothing
        file.rename(self.home / "hidden.txt")
        return lambda: (self.home / "hidden.txt").rename(file) and None

    def restore(self) -> None:
        (self.home / "tree").mkdir()
        (self.home / "tree" / "0.txt").write_text(PEOPLE[0])


class Rows(World):
    """Rows of a SQLite database, archived."""

    scheme, base, steps, at_the_end = "sqlite", SqliteBackend, ("s1",), "shredded 4 old"

    @property
    def database(self) -> Path:
        return self.home / "shop.sqlite"

    def target(self) -> str:
        where = 'where = [{ column = "goes", operator = "=", value = 1 }]'
        return f"""
[[target]]
id = "t"
url = "{self.database.as_uri().replace("file:", "sqlite:")}"
[[target.select]]
table = "person"
{where}
[[target.archive]]
table = "person"
{where}
columns = {{ id = {{ rule = "keep" }}, goes = {{ rule = "keep" }}, name = {{ rule = "drop" }} }}
"""

    def build(self, values: list[str]) -> None:
        rows = [(1, v) for v in values] + [(0, v) for v in STAYING]
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=PERSIST").fetchall()
            connection.execute("CREATE TABLE person (id INTEGER PRIMARY KEY, goes INTEGER, name TEXT)")
            connection.executemany("INSERT INTO person (goes, name) VALUES (?, ?)", rows)
            connection.execute("UPDATE person SET name = name || '.'")  # the journal keeps what it was

    def sql(self, text: str, *values: object) -> list[Any]:
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            return connection.execute(text, values).fetchall()

    def add_newcomer(self) -> None:
        self.sql("INSERT INTO person (goes, name) VALUES (1, ?)", OTHERS[0])

    def hide(self) -> Callable[[], None]:
        row = self.sql("SELECT id, goes, name FROM person WHERE goes = 1 LIMIT 1")[0]
        self.sql("DELETE FROM person WHERE id = ?", row[0])
        return lambda: self.sql("INSERT INTO person VALUES (?, ?, ?)", *row) and None

    def restore(self) -> None:
        self.sql("INSERT INTO person VALUES (1, 1, ?)", PEOPLE[0] + ".")

    def leave_copy(self) -> None:
        """Leave a sound WAL in which a row came and went, as a program that was killed would."""
        wal = self.database.with_name("shop.sqlite-wal")
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.execute("INSERT INTO person VALUES (1, 1, ?)", (PEOPLE[0] + ".",))
            connection.execute("DELETE FROM person WHERE id = 1")
            left = {path: path.read_bytes() for path in (self.database, wal)}
        for path, content in left.items():
            path.write_bytes(content)

    def harm_neighbour(self) -> None:
        self.sql("DELETE FROM person WHERE id = 6")


class Whole(Rows):
    """A whole SQLite database with the journal that a transaction left."""

    steps = ("s1", "s2")

    def target(self) -> str:
        return f'[[target]]\nid = "t"\nurl = "{self.database.as_uri().replace("file:", "sqlite:")}"\n'

    @property
    def at_the_end(self) -> str:  # type: ignore[override]
        return f"inode-{self.database.stat().st_ino} {self.database.stat().st_size}"

    def add_newcomer(self) -> None:
        self.database.with_name("shop.sqlite-wal").write_text(OTHERS[0])

    def hide(self) -> Callable[[], None]:
        journal = self.database.with_name("shop.sqlite-journal")
        if not journal.exists():
            return _nothing
        journal.rename(self.home / "hidden")
        return lambda: (self.home / "hidden").rename(journal) and None

    def restore(self) -> None:
        self.build(PEOPLE)

    def leave_copy(self) -> None:
        self.database.with_name("shop.sqlite-wal").write_bytes(self.before)


WORLDS: dict[str, type[World]] = {"memory": Memory, "file": Tree, "rows": Rows, "database": Whole}
