"""Small whole jobs to be killed, starved and cut off from the mains, and a strict judge of how they end.

Each scenario is built anew for every trial: a target with values that must go and values that must
stay, and a job that is planned and approved. The judge reads bytes, never what the job says of itself.
"""

import base64
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import duckdb
import pytest

from deleatur import errors
from deleatur.archive.age import new_identity
from deleatur.archive.package import open_archive
from deleatur.documents.decode import decode_plan
from deleatur.documents.plan import Plan
from deleatur.engine import jobs, key_ring
from deleatur.engine.directory import JobDirectory
from deleatur.engine.registry import record_digest
from deleatur.errors import DeleaturError, Refused, Transient
from deleatur.judge.fingerprint import key_id
from deleatur.testing.faults import list_calls
from deleatur.testing.keepers import keepers_text
from deleatur.testing.memory import Store, memory_url
from deleatur.testing.workbench import Workbench
from deleatur.trust.approval import approvers_in
from deleatur.trust.verification import verify
from deleatur_plugins.duckdb import DuckdbBackend
from deleatur_plugins.file import FileBackend
from deleatur_plugins.sqlite import SqliteBackend

HEAD = """
schema = "deleatur/job/v1"
name = "crash"
reason = "other"
authority = "a test"
requested_by = "tester"
"""
GOING = ("Ottilie Kanarienvogel-{n}", "ottilie.{n}@example.org", "+49 30 5550 77{n}1")
STAYING = ("Willibald Bleibtreu-{n}", "willibald.{n}@example.org", "+33 1 5550 88{n}2")
IDENTITY, RECIPIENT = new_identity()
LAST_FOUR = new_identity()
# without the digests of installed files
FIXED = {"file": FileBackend, "sqlite": SqliteBackend, "duckdb": DuckdbBackend}


def words(forms: Iterable[str], count: int, first: int = 0) -> list[tuple[str, ...]]:
    """Return `count` people, each as name, mail and telephone."""
    return [tuple(form.format(n=n) for form in forms) for n in range(first, first + count)]


GONE = words(GOING, 3)
HELD = words(STAYING, 1, 7)
STAY = words(STAYING, 2)
NAMED = {n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, DeleaturError)}
Content = dict[str, str]


@dataclass(frozen=True)
class Ending:
    """What a job leaves behind that must be the same however often it was stopped on the way."""

    states: tuple[tuple[str, str], ...]  # state and assurance of each target
    kept: object
    target: tuple[str, ...]  # names below the target's folder
    job: tuple[str, ...]  # names below the job's folder
    archive: object


@dataclass
class Scenario:
    """A job, and the folder that holds all of its targets."""

    bench: Workbench
    job: JobDirectory
    root: Path
    kept: Callable[[], object]

    def __post_init__(self) -> None:
        self.before = content_of(self.root)

    def plan_and_approve(self) -> None:
        """Plan, and approve twice; what is there already is not made again."""
        if not self.job.plan.exists():
            self.bench.plan(self.job)
        for key in self.bench.approvers:
            if key.key_id not in self.approved_by():
                self.bench.approve(self.job, [key])

    def approved_by(self) -> set[str]:
        """Return the key ids of the approvals that count."""
        plan = self.job.plan.read_bytes()
        envelopes = list(self.job.read_approvals().values())
        return {
            key_id(key) for envelope in envelopes for key in approvers_in(decode_plan(plan), plan, envelope)
        }

    def run(self) -> None:
        """Run or resume."""
        self.bench.run(self.job)

    def resume(self) -> DeleaturError | None:
        """Resume once, as a person would when whatever was wrong is over."""
        try:
            self.run()
        except DeleaturError as error:
            return error
        return None

    def ending(self) -> Ending:
        """Read how it ended; the certificate must verify, with its evidence."""
        checked = verify(self.job.certificate, [self.bench.agent.public], 1, None)
        assert checked.evidence
        assert self.key() is None, "the spool's key is still there"
        return Ending(
            states=tuple((o.state, o.assurance) for o in checked.certificate.outcome.per_target),
            kept=self.kept(),
            target=names_below(self.root),
            job=names_below(self.job.path),
            archive=self.archived(),
        )

    def archived(self) -> object:
        """Open the archive as its custodians do; rows of its parts belong together."""
        files = sorted(self.job.archive.glob("*.age")) if self.job.archive.exists() else []
        opened, tokens = {}, set()
        for file in files:
            identity = LAST_FOUR[0] if "+last-four" in file.name else IDENTITY
            tables = {n: t.to_pylist() for n, t in open_archive(file, identity).tables.items()}
            tokens |= {tuple(row.pop("last-four-row", "") for row in rows) for rows in tables.values()}
            opened[file.name] = tables
        assert len(tokens) <= 1
        return opened

    def key(self) -> bytes | None:
        """Return the spool's key, if the kernel still has it."""
        return key_ring.fetch(self.key_name())

    def key_name(self) -> str:
        """Return the name under which the kernel keeps the spool's key."""
        return f"spool:{self.plan().id}"

    def plan(self) -> Plan:
        """Return the plan."""
        return decode_plan(self.job.plan.read_bytes())

    def begun(self) -> set[str]:
        """Return the targets whose erase has begun, by the journal's whole entries."""
        content = self.job.journal.read_bytes() if self.job.journal.exists() else b""
        events = [json.loads(line)["event"] for line in content[: content.rfind(b"\n") + 1].splitlines()]
        steps = {event["step"] for event in events if event["kind"] == "erasing"}
        return {step.target for step in self.plan().steps if step.id in steps}

    def judge(self, error: DeleaturError | None, undisturbed: Ending, unsearched: Container[str] = ()) -> str:
        """Say how it ended, or fail: a certificate means gone, a refusal means untouched.

        `unsearched`: targets whose sampled values were lost, of which the certificate must say so.
        """
        going = [value for person in GONE for value in person]
        staying = [value for person in (*HELD, *STAY) for value in person]
        job = b"".join(bytes_of(self.job.path))
        told = [v for v in (*going, *staying) for form in forms_of(v) if form in job]
        assert not told, f"in a file of the job: {told[:3]}"
        if error is not None:
            assert isinstance(error, Refused | Transient), f"{type(error).__name__}: {error}"
            assert content_of(self.root) == self.before, f"refused, and the data changed: {error}"
            return "refused"
        raw = b"".join(bytes_of(self.root))
        left = [v for v in going for form in forms_of(v) if form in raw]
        assert not left, f"certified, and still there: {left[:3]}"
        now = self.ending()
        assert now.kept == undisturbed.kept
        assert now.target == undisturbed.target
        assert now.archive == undisturbed.archive
        assert set(now.job) == set(undisturbed.job)
        for target, then, here in zip(self.plan().targets, undisturbed.states, now.states, strict=True):
            assert here[0] == "executed-unverified" if target.id in unsearched else here == then
        return "certified"


def names_below(folder: Path) -> tuple[str, ...]:
    """Return the paths of everything below a folder."""
    return tuple(sorted(str(path.relative_to(folder)) for path in folder.rglob("*")))


def bytes_of(folder: Path) -> Iterator[bytes]:
    """Yield the name and the bytes of every file below a folder."""
    for path in sorted(folder.rglob("*")):
        yield str(path.relative_to(folder)).encode() + b"\n"
        if path.is_file():
            yield path.read_bytes()


def content_of(folder: Path) -> Content:
    """Digest every file below a folder, but the index of a WAL, which has no content of its own."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
        if not path.name.endswith("-shm")
    }


@cache
def forms_of(value: str) -> tuple[bytes, ...]:
    """Return a value as it may lie in a file: UTF-8, UTF-16, hexadecimal, and base64 at any offset."""
    plain = value.encode()
    shifted = (base64.b64encode(bytes(n) + plain)[(0, 4, 4)[n] : -4] for n in range(3))
    codes = (value.encode("utf-16-le"), value.encode("utf-16-be"))
    return (plain, *codes, plain.hex().encode(), plain.hex().upper().encode(), *shifted)


def memory_job(folder: Path) -> Scenario:
    """A memory store with two shelves."""
    store = Store.create(
        folder / "store",
        {"people": [" ".join(p).encode() for p in GONE], "other": [" ".join(p).encode() for p in STAY]},
    )
    return Scenario(
        bench := Workbench(folder),
        bench.job(
            f'{HEAD}[[target]]\nid = "t"\nurl = "{memory_url(folder / "store")}"\n'
            '[[target.select]]\ntable = "people"\n'
        ),
        folder / "store",
        lambda: [store.read(box, 0, box.length) for box in store.index().boxes],
    )


def plant_tree(data: Path) -> str:
    """Make a tree whose content and names must go, with neighbours; return its part of a job."""
    (data / "tree" / "inner").mkdir(parents=True)
    for n, person in enumerate(GONE[:2]):
        (data / "tree" / ("inner" if n else "") / f"{person[0]}.txt").write_text(" ".join(person))
    for n, person in enumerate(STAY):
        (data / f"neighbour-{n}.txt").write_text(" ".join(person))
    return f'[[target]]\nid = "tree"\nurl = "file://{data / "tree"}"\n'


def neighbours(data: Path) -> list[bytes]:
    """Read the neighbours of the tree."""
    return [(data / f"neighbour-{n}.txt").read_bytes() for n in range(len(STAY))]


def file_job(folder: Path) -> Scenario:
    """A tree of two files in two folders."""
    text = plant_tree(folder / "data")
    bench = Workbench(folder, FIXED)
    return Scenario(bench, bench.job(HEAD + text), folder / "data", lambda: neighbours(folder / "data"))


SCHEMA = """
PRAGMA page_size = 1024;
PRAGMA journal_mode = WAL;
CREATE TABLE customer (id INTEGER PRIMARY KEY, country TEXT, open INTEGER, name TEXT UNIQUE, mail TEXT);
CREATE TABLE invoice (id INTEGER PRIMARY KEY, customer INTEGER, year INTEGER, total INTEGER, phone TEXT);
CREATE TABLE note (id INTEGER PRIMARY KEY, customer INTEGER, body TEXT);
CREATE VIRTUAL TABLE found USING fts5 (body, content='note', content_rowid='id');
CREATE TRIGGER note_gone AFTER DELETE ON note BEGIN
  INSERT INTO found (found, rowid, body) VALUES ('delete', old.id, old.body);
END;
"""
GERMAN = '{ column = "country", operator = "=", value = "DE" }'
OPEN = '{{ column = "open", operator = "=", value = {} }}'
OF = (
    '{{ column = "customer", operator = "within", '
    'within = {{ table = "customer", column = "id", where = [{}] }} }}'
)
ROWS = "".join(
    f'[[target.select]]\ntable = "{table}"\nwhere = [{where}]\n'
    for table, where in (
        ("note", OF.format(GERMAN)),
        ("invoice", OF.format(GERMAN)),
        ("customer", GERMAN),
    )
)
HOLDS = "".join(
    f'[[target.hold]]\nid = "case-{table}"\nreason = "a case is open"\ntable = "{table}"\nwhere = [{where}]\n'
    for table, where in (
        ("note", OF.format(OPEN.format(1))),
        ("invoice", OF.format(OPEN.format(1))),
        ("customer", OPEN.format(1)),
    )
)
ARCHIVE = f"""
[[target.archive]]
table = "invoice"
where = [{OF.format(GERMAN + ", " + OPEN.format(0))}]
[target.archive.columns]
id = {{ rule = "keep" }}
customer = {{ rule = "drop" }}
year = {{ rule = "keep" }}
total = {{ rule = "keep" }}
phone = {{ rule = "drop" }}
"""
CUSTODIAN = keepers_text(RECIPIENT)
APART = f"""
[[custody.custodian]]
name = "reconciliation"
recipient = "{LAST_FOUR[1]}"
shares = {{ needed = 2, of = 3 }}
part = "last-four"
"""


@cache
def database() -> dict[str, bytes]:
    """Return a database and its WAL, by suffix, as a killed program left them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as living:
            living.execute("PRAGMA synchronous = OFF")
            living.executescript(SCHEMA)
            living.execute("BEGIN")
            for number, (country, case, person) in enumerate(
                [("DE", 0, p) for p in GONE] + [("DE", 1, p) for p in HELD] + [("FR", 0, p) for p in STAY]
            ):
                name, mail, phone = person
                living.execute(
                    "INSERT INTO customer VALUES (?, ?, ?, ?, ?)", (number, country, case, name, mail)
                )
                living.execute(
                    "INSERT INTO invoice VALUES (?, ?, 2025, ?, ?)", (number, number, 100 + number, phone)
                )
                living.execute(
                    "INSERT INTO note VALUES (?, ?, ?)", (number, number, f"{name} called from {phone}")
                )
            living.execute("INSERT INTO found (found) VALUES ('rebuild')")
            living.execute("COMMIT")
            return {s: path.with_name(path.name + s).read_bytes() for s in ("", "-wal")}


def plant_database(folder: Path) -> Path:
    """Put the database into a folder, and something beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, content in database().items():
        (folder / f"shop.db{suffix}").write_bytes(content)
    (folder / "beside.txt").write_text(" ".join(STAY[0]))
    return folder / "shop.db"


def rows_of(path: Path) -> object:
    """Read what the database holds, and that its full-text index finds it."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = [
            database.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            for table in ("customer", "invoice", "note")
        ]
        found = database.execute("SELECT rowid FROM found WHERE found MATCH 'called'").fetchall()
        assert len(found) == len(tables[0])
        return tables


def rows_text(path: Path) -> str:
    """Return the part of a job that erases the rows of one country, except those that are held."""
    return f'[[target]]\nid = "crm"\nurl = "sqlite://{path}"\n' + ROWS + HOLDS + ARCHIVE


def sqlite_job(folder: Path) -> Scenario:
    """Rows of a database in WAL mode with a full-text index, some held, some archived."""
    path = plant_database(folder / "data")
    bench = Workbench(folder, FIXED)
    job = bench.job(HEAD + CUSTODIAN + rows_text(path))
    return Scenario(bench, job, folder / "data", lambda: rows_of(path))


def whole_job(folder: Path) -> Scenario:
    """A whole database with its WAL."""
    path = plant_database(folder / "data")
    bench = Workbench(folder, FIXED)
    job = bench.job(f'{HEAD}[[target]]\nid = "db"\nurl = "sqlite://{path}"\n')
    return Scenario(bench, job, folder / "data", lambda: (folder / "data" / "beside.txt").read_bytes())


def shop_job(folder: Path) -> Scenario:
    """Rows of a database with last four digits apart, and a folder: two targets in one job."""
    path = plant_database(folder / "data" / "crm")
    tree = plant_tree(folder / "data" / "sales")
    bench = Workbench(folder, FIXED)
    rows = rows_text(path).replace('phone = { rule = "drop" }', 'phone = { rule = "keep-last-4" }')
    job = bench.job(HEAD + CUSTODIAN + APART + rows + tree)
    kept = lambda: (rows_of(path), neighbours(folder / "data" / "sales"))  # noqa: E731
    return Scenario(bench, job, folder / "data", kept)


@cache
def analysts() -> dict[str, bytes]:
    """Return a database of DuckDB and its log, by suffix: half of the rows stand in the log only."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.duckdb"
        with closing(duckdb.connect(str(path), config={"temp_directory": ""})) as living:
            living.execute("PRAGMA disable_checkpoint_on_shutdown; SET force_compression = 'uncompressed'")
            living.execute("CREATE TABLE customer (country TEXT, name TEXT, mail TEXT, phone TEXT)")
            people = [("DE", *p) for p in GONE] + [("FR", *p) for p in STAY]
            for half in (people[::2], people[1::2]):
                living.execute("CHECKPOINT")
                living.executemany("INSERT INTO customer VALUES (?, ?, ?, ?)", half)
        return {s: path.with_name(path.name + s).read_bytes() for s in ("", ".wal")}


def duckdb_job(folder: Path) -> Scenario:
    """Rows of a database of DuckDB with its log."""
    path = folder / "data" / "shop.duckdb"
    path.parent.mkdir()
    for suffix, content in analysts().items():
        path.with_name(path.name + suffix).write_bytes(content)

    def kept() -> object:
        with closing(duckdb.connect(str(path), read_only=True)) as living:
            return living.execute("SELECT * FROM customer ORDER BY ALL").fetchall()

    bench = Workbench(folder, FIXED)
    rows = f'[[target.select]]\ntable = "customer"\nwhere = [{GERMAN}]\n'
    job = bench.job(f'{HEAD}[[target]]\nid = "olap"\nurl = "duckdb:{path}"\n{rows}')
    return Scenario(bench, job, folder / "data", kept)


JOBS: dict[str, Callable[[Path], Scenario]] = {
    "memory": memory_job,
    "file": file_job,
    "sqlite": sqlite_job,
    "whole": whole_job,
    "shop": shop_job,
    "duckdb": duckdb_job,
}


class Trials:
    """A folder in which one scenario is built, tried and removed, again and again."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self._trials = 0
        self.faults = 0  # that arrived, where the test counts them
        self.outcomes: Counter[str] = Counter()
        with self.trial() as scenario:
            scenario.run()
            self.undisturbed = scenario.ending()
            scenario.judge(None, self.undisturbed)
            assert all(value in str(scenario.kept()) for value in STAY[0][:2]), (
                "the yardstick itself is wrong"
            )

    @contextmanager
    def draft(self) -> Iterator[Scenario]:
        """Build, and afterwards leave nothing: no folder, and no key in the kernel."""
        self._trials += 1
        folder = self._folder / f"trial-{self._trials}"
        folder.mkdir()
        scenario = JOBS[self.kind](folder)
        try:
            yield scenario
        finally:
            if scenario.job.plan.exists():
                key_ring.destroy(scenario.key_name())
            shutil.rmtree(folder)

    @contextmanager
    def trial(self) -> Iterator[Scenario]:
        """Build, plan and approve; afterwards leave nothing."""
        with self.draft() as scenario:
            scenario.plan_and_approve()
            yield scenario

    def calls(self) -> tuple[str, ...]:
        """Return the calls of a whole run that change storage."""
        with self.trial() as scenario:
            return list_calls(scenario.run)

    def judge(self, what: str, scenario: Scenario, unsearched: Container[str] = ()) -> None:
        """Resume, judge, and count; `what` was done to the job stands in a failure's message."""
        error = scenario.resume()
        try:
            self.outcomes[scenario.judge(error, self.undisturbed, unsearched)] += 1
        except (AssertionError, DeleaturError, OSError, sqlite3.Error) as wrong:
            raise AssertionError(f"{self.kind}, {what}: {wrong}; the resume: {error}") from wrong


@cache
def digest_of_the_agent() -> str:
    """Return the digest of all installed files of the agent, which no trial changes."""
    return record_digest(distribution("deleatur"), "deleatur")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, nobody_else: None) -> None:
    """Digest what is installed once, and not for each plan."""
    monkeypatch.setattr(jobs, "record_digest", lambda *_: digest_of_the_agent())


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder in memory, where nothing is asked of a disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        yield Path(folder)
