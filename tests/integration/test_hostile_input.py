"""Hostile selectors, paths and documents end in an exact match or a named refusal, and nothing changes."""

import json
import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from deleatur.archive.age import new_identity
from deleatur.errors import Malformed, Refused, Unsupported
from deleatur.testing.keepers import keepers_text
from deleatur.testing.workbench import Workbench

from .hostile import HEAD, Agent, Ended, content_of, file_target

GIB = 1 << 30
RECIPIENT = new_identity()[1]
PLACES = 14  # that take a name or a value
NASTY = "odd \"name'; DROP TABLE person; --"
PEOPLE = [
    "Ann",
    "' OR 1=1 --",
    "x'; DROP TABLE person; --",
    '" OR ""="',
    "%",
    "_",
    "NULL",
    "?",
    "\\",
    "''",
    "ann",
]
PAYLOADS = [
    *PEOPLE,
    "1) UNION SELECT name FROM person --",
    "person; DELETE FROM person",
    'person" --',
    "main.person",
    "sqlite_schema",
    "sqlite_master",
    "PERSON",
    "ｐerson",
    "person ",
    "rowid",
    "_rowid_",
    "name",
    "name COLLATE NOCASE",
    "*",
    "?1",
    "0x41",
    "load_extension('x')",
    "name\u0000",
    "na\u202eme",
    NASTY,
    "x" * 4096,
]
TABLES = {"person": len(PEOPLE), "visit": 3, NASTY: 2}
COLUMNS = {"id", "name", NASTY}


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    return Agent(tmp_path_factory.mktemp("hostile") / "agent")


@pytest.fixture(scope="module")
def database(agent: Agent) -> Path:
    path = agent.folder / "shop" / "crm.sqlite"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        odd = '"' + NASTY.replace('"', '""') + '"'
        connection.execute(f"CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, {odd} TEXT)")
        connection.execute("CREATE TABLE visit (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute(f"CREATE TABLE {odd} (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO person (name) VALUES (?)", [(name,) for name in PEOPLE])
        connection.executemany("INSERT INTO visit (name) VALUES (?)", [("Ann",), ("%",), ("' OR 1=1 --",)])
        connection.executemany(f"INSERT INTO {odd} (name) VALUES (?)", [("Ann",), ("Bob",)])
        connection.commit()
    return path


def toml(value: Any) -> str:
    """Return a TOML value: strings and arrays are spelt as in JSON, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def equal(value: str, column: str = "name") -> dict[str, Any]:
    return {"column": column, "operator": "=", "value": value}


def within(table: str, column: str, where: list[Any]) -> dict[str, Any]:
    return {
        "column": "name",
        "operator": "within",
        "within": {"table": table, "column": column, "where": where},
    }


KEEP = {"id": {"rule": "keep"}, "name": {"rule": "keep"}, NASTY: {"rule": "drop"}}
EVERYONE = {"table": "person", "where": []}
VISITORS = {"Ann", "%", "' OR 1=1 --"}


def selectors(payload: str) -> Iterator[tuple[str, dict[str, Any], int | None]]:
    """Yield each place of a target that takes a name or a value, and the rows that may go; None: refuse."""
    rows, same = TABLES.get(payload), PEOPLE.count(payload)
    column = 0 if payload in COLUMNS else None
    yield "table", {"select": [{"table": payload, "where": []}]}, rows
    yield "column", {"select": [{"table": "person", "where": [equal("nobody", payload)]}]}, column
    yield "value", {"select": [{"table": "person", "where": [equal(payload)]}]}, same
    listed = [{"column": "name", "operator": "in", "values": [payload, "nobody"]}]
    yield "values", {"select": [{"table": "person", "where": listed}]}, same
    inner = {"select": [{"table": "person", "where": [within(payload, "name", [])]}]}
    yield "within table", inner, {"person": len(PEOPLE), "visit": 3, NASTY: 1}.get(payload)
    inner = {"select": [{"table": "person", "where": [within("visit", payload, [])]}]}
    yield "within column", inner, {"name": 3, "id": 0}.get(payload)
    inner = {"select": [{"table": "person", "where": [within("visit", "name", [equal(payload)])]}]}
    yield "within value", inner, int(payload in VISITORS)
    inner = {"select": [{"table": "person", "where": [within("visit", "name", [equal("x", payload)])]}]}
    yield "within where column", inner, 0 if payload in ("id", "name") else None
    hold = {"id": "h", "reason": "open", "table": payload, "where": []}
    yield "hold table", {"select": [EVERYONE], "hold": [hold]}, 0 if payload == "person" else None
    hold = {"id": "h", "reason": "open", "table": "person", "where": [equal(payload)]}
    yield "hold value", {"select": [EVERYONE], "hold": [hold]}, len(PEOPLE) - same
    hold = {"id": "h", "reason": "open", "table": "person", "where": [equal("nobody", payload)]}
    yield "hold column", {"select": [EVERYONE], "hold": [hold]}, None if column is None else len(PEOPLE)
    kept = {"table": payload, "columns": KEEP, "where": []}
    yield "archive table", {"select": [EVERYONE], "archive": [kept]}, rows if payload == "person" else None
    kept = {"table": "person", "columns": {**KEEP, payload: {"rule": "keep"}}, "where": []}
    yield "archive column", {"select": [EVERYONE], "archive": [kept]}, None if column is None else len(PEOPLE)
    yield "technique", {"select": [EVERYONE], "technique": payload}, None


def asked(database: Path, target: dict[str, Any]) -> str:
    """Return the text of a job on the database."""
    fields = {"id": "crm", "url": f"sqlite://{database}", **target}
    lines = "\n".join(f"{key} = {toml(value)}" for key, value in fields.items())
    return f"{HEAD}{keepers_text(RECIPIENT)}[[target]]\n{lines}\n"


def planned_size(job: Path) -> int | None:
    """Return how many rows the plan in a job's directory lets go; None: there is no plan."""
    plan = job / "plan.json"
    return json.loads(plan.read_text("utf-8"))["targets"][0]["size"] if plan.exists() else None


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_a_hostile_name_or_value_is_an_exact_match_or_refused(
    agent: Agent, database: Path, tmp_path: Path, number: int
) -> None:
    payload, before = PAYLOADS[number], content_of(database.parent)
    bench = Workbench(tmp_path)
    for turn, (place, target, wanted) in enumerate(selectors(payload)):
        text = asked(database, target)
        if turn == number % PLACES:  # every place through the command line, with some of the payloads
            job = agent.job(f"j/{number}", text)
            code = agent.fork("plan", job, "--json").code
        else:
            job, code = tmp_path / place, 0
            try:
                bench.plan(bench.job(text, place))
            except (Malformed, Refused, Unsupported) as error:
                code = error.exit_code
        # a selection of nothing is refused, too: a job must say something
        assert (code == 0) == bool(wanted), (place, payload, code)
        assert planned_size(job) == (wanted or None), (place, payload)
        assert code in (0, 3, 4, 5)
    assert content_of(database.parent) == before


LISTED = {"column": "name", "operator": "in", "values_from": "values.txt"}
FROM_FILE = {"select": [{"table": "person", "where": [LISTED]}]}


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("Ann\n%\n", 2),
        ("' OR 1=1 --\nx'; DROP TABLE person; --\n", 2),
        ("\ufeffAnn\r\n", 1),
        ("?\n:name\n\x1b[31m\n", 1),
        ("Ann\x00\n", None),
        ("Ann\n\n", None),
        ("", None),
    ],
)
def test_the_lines_of_a_values_file_are_values(
    agent: Agent, database: Path, tmp_path: Path, content: str, wanted: int | None
) -> None:
    job = agent.job(str(tmp_path), asked(database, FROM_FILE))
    (job / "values.txt").write_text(content, encoding="utf-8")
    ended = agent.fork("plan", job, "--json")
    assert (ended.code, planned_size(job)) == ((0, wanted) if wanted else (4, None)), ended


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def folder(path: Path) -> None:
    path.mkdir()


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, GIB)


def latin(path: Path) -> None:
    path.write_bytes(b"Ann\n\xff\n")


@pytest.mark.parametrize("make", [pipe, link, folder, endless, huge, latin])
def test_a_values_file_that_is_none_is_refused(
    agent: Agent, database: Path, tmp_path: Path, make: Any
) -> None:
    job = agent.job(str(tmp_path), asked(database, FROM_FILE))
    make(job / "values.txt")
    ended = agent.fork("plan", job, "--json")
    assert ended.code in (2, 3, 4), ended
    assert "values.txt" in ended.json()["text"]
    assert planned_size(job) is None


@pytest.mark.parametrize("name", ["../values.txt", "/etc/hostname", "a/../../../etc/passwd", "./values.txt"])
def test_a_values_file_elsewhere_selects_what_it_says_and_shows_nothing(
    agent: Agent, database: Path, tmp_path: Path, name: str
) -> None:
    where = {"select": [{"table": "person", "where": [{**LISTED, "values_from": name}]}]}
    job = agent.job(str(tmp_path / "job"), asked(database, where))
    ended = agent.fork("plan", job, "--json")
    assert ended.code == 4, ended
    assert planned_size(job) is None
    assert "root:" not in ended.out


URLS = {  # of targets, and the exit code; %s is a folder with a file in it
    "file:///..%s": 4,
    "file://%s/../%s": 4,
    "file://%s/.": 4,
    "file://%s//file": 4,
    "file://%s/": 4,
    "file://%s/link": 4,
    "file://%s/link/file": 4,
    "file://%s/file/file": 4,
    "file://%s/pipe": 4,
    "file://%s/nothing": 4,
    "file://%s/file%%00": 4,
    "file://%s/%%1b[31mred": 4,
    "file://%s/%%e2%%80%%aeelif": 4,
    "file://%s/%%ff": 4,
    "file://%s/file?x=1": 4,
    "file://%s/file#x": 4,
    "file://other.example%s/file": 4,
    "file://": 4,
    "file:": 4,
    "file:///": 4,
    "file:///proc/self/mem": 4,
    "file:///dev/null": 4,
    "FILE://%s/file": 3,
    "%s/file": 3,
    "": 3,
    "javascript:alert(1)": 3,
    "nosuch://%s/file": 3,
    "file://user:geheim@host%s/file": 3,
    "sftp://user:geheim@host/x": 3,
    "sqlite://%s/file": 3,
    "file://%s/a\\nb": 3,
    "file://%s/a\\u202eb": 3,
    "file://%s/file\\u0000": 3,
}


@pytest.mark.parametrize("number", range(len(URLS)))
def test_a_hostile_url_is_refused(agent: Agent, tmp_path: Path, number: int) -> None:
    url, code = list(URLS.items())[number]
    goal = tmp_path / "goal"
    goal.mkdir()
    (goal / "file").write_text("precious")
    (goal / "link").symlink_to(goal)
    os.mkfifo(goal / "pipe")
    before = content_of(goal)
    filled = url % ((str(goal),) * url.replace("%%", "").count("%s"))
    text = f'[policy]\napprovals = 1\n[[target]]\nid = "x"\nurl = "{filled}"\n'
    ended = agent.fork("plan", agent.job(str(tmp_path / "job"), text), "--json")
    assert ended.code == code, (filled, ended)
    assert planned_size(tmp_path / "job") is None
    assert "geheim" not in ended.out
    assert content_of(goal) == before


@pytest.mark.parametrize(
    "name", ["../x", "/etc", "", ".", "..", "a/b", "-x", "\\u0000", "x" * 65, "a\\nb", "ä"]
)
def test_a_name_that_could_be_a_path_is_malformed(agent: Agent, tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"
    file.write_text("precious")
    part = file_target(file)
    for number, text in enumerate(
        (HEAD.replace("hostile", name) + part, HEAD + part.replace('"files"', f'"{name}"'))
    ):
        job = agent.job(str(tmp_path / f"job{number}"), text)
        assert agent.fork("plan", job, "--json").code == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "job0", "job1"]


BOMBS = {
    "nested arrays": "x = " + "[" * 200_000,
    "nested tables": "x = " + "{a = " * 100_000,
    "dotted key": "a." * 200_000 + "a = 1",
    "dotted table": "[" + "a." * 200_000 + "a]",
    "large number": "x = " + "9" * 400_000,
    "many keys": "\n".join(f"k{n} = 1" for n in range(70_000)),
    "many tables": "\n".join(["[[x]]"] * 100_000),
    "long text": f'x = "{"a" * 900_000}"',
    "comment": "#" * 900_000,
    "open quote": 'x = """' + '"' * 900_000,
    "escapes": 'x = "' + "\\" * 900_000,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_in_a_job_or_settings_is_malformed_within_seconds(
    agent: Agent, tmp_path: Path, bomb: str
) -> None:
    job = agent.job(str(tmp_path), HEAD + BOMBS[bomb])
    ended = agent.fork("plan", job, "--json")
    assert ended.code == 3, ended
    assert ended.json()["text"].startswith("job.toml")
    assert len(ended.out) < 400
    assert agent.fork("plan", job, "--json", "--settings", job / "job.toml").code == 3


JSON_BOMBS = {
    "nested": b"[" * 300_000,
    "nested objects": b'{"a":' * 100_000,
    "number": b'{"schema":' + b"9" * 400_000 + b"}\n",
    "keys": b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}\n",
    "same key": b"{" + b",".join([b'"k":1'] * 100_000) + b"}\n",
    "text": b'"' + b"a" * 4_000_000 + b'"\n',
    "surrogates": b'"' + b"\\ud800" * 100_000 + b'"\n',
    "nothing": b"",
    "zeros": bytes(1 << 20),
    "noise": os.urandom(1 << 16),
}


@pytest.mark.parametrize("bomb", JSON_BOMBS)
def test_a_bomb_in_a_plan_an_approval_or_a_certificate_is_named(
    agent: Agent, tmp_path: Path, bomb: str
) -> None:
    job = agent.job(str(tmp_path / "job"), file_target(tmp_path / "x"))
    (job / "plan.json").write_bytes(JSON_BOMBS[bomb])
    for command in ("status", "run", "resume"):
        ended = agent.fork(command, job, "--json")
        assert ended.code in (3, 4), ended
        assert len(ended.json()["text"]) < 400
    envelope = tmp_path / "certificate.dsse.json"
    envelope.write_bytes(JSON_BOMBS[bomb])
    assert agent.fork("verify", envelope, "--key", "keys/agent.pub", "--json").code == 8
    assert agent.fork("show", envelope, "--json").code == 8
    assert agent.fork("verify", tmp_path, "--key", "keys/agent.pub", "--json").code == 8


@pytest.fixture(scope="module")
def planned(agent: Agent) -> Path:
    """A planned and approved job on one file that nobody runs; tests change copies of it."""
    (agent.folder / "shop" / "file").write_text("precious")
    return agent.planned("planned", file_target(agent.folder / "shop" / "file"))


@pytest.mark.parametrize(
    ("document", "code"),
    [("job.toml", 3), ("plan.json", 3), ("approvals/approval-x.dsse.json", 3), ("journal.jsonl", 3)],
)
def test_a_document_of_one_gibibyte_is_not_read(
    agent: Agent, database: Path, planned: Path, tmp_path: Path, document: str, code: int
) -> None:
    job = tmp_path / "job"
    shutil.copytree(planned, job)
    huge(job / document)
    before = content_of(database.parent)
    for command in ("run", "status", "resume"):
        if command == "status" and document not in ("plan.json", "journal.jsonl"):
            continue  # it has no need of the others
        process = agent.start(command, job, "--json", preexec_fn=small)
        out, err = process.communicate(timeout=60)
        ended = Ended(process.returncode, out.decode(), err.decode()).checked()
        expected = 4 if (document, command) in (("journal.jsonl", "run"),) else code
        expected = 4 if command == "resume" and document != "journal.jsonl" else expected
        assert ended.code == expected, (command, ended)
        ended.json()
    assert content_of(database.parent) == before
    assert (job / document).stat().st_size == GIB


def small() -> None:
    """Allow the program 900 MiB of memory: a gibibyte does not fit."""
    resource.setrlimit(resource.RLIMIT_AS, (900 << 20, 900 << 20))
