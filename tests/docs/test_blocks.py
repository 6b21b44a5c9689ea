"""The examples of the pages are real: jobs and settings decode, Python runs, JSON is JSON."""

import ast
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest

from deleatur.archive.age import new_identity
from deleatur.archive.package import open_archive
from deleatur.cli.group import deleatur as command_line
from deleatur.documents.agent import Agent
from deleatur.documents.codec import decode_toml
from deleatur.documents.decode import decode_job
from deleatur.documents.gates import Member
from deleatur.documents.job import Job, Rule
from deleatur.documents.plan import RoleKeys
from deleatur.engine.settings import load_settings
from deleatur.engine.setup import add_approver_public, make_settings
from deleatur.errors import Malformed
from deleatur.testing.keepers import keepers_text
from deleatur.testing.workbench import Workbench
from deleatur.trust.keys import load_private

BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
HEAD = """schema = "deleatur/job/v1"
name = "x"
reason = "other"
authority = "x"
requested_by = "x"
"""
DATABASE = '[[target]]\nid = "x"\nurl = "sqlite:///x.sqlite"\n'
AGENT = 'schema = "deleatur/agent/v1"\n'
IDENTITY, RECIPIENT = new_identity()
APART_IDENTITY, APART = new_identity()
RECONCILIATION = "age1236rqtg035wglk2xywe6w8rw56nclvxqp3aqty9mqr5t357a53ksds5s4p"  # in the how-to
HOOKS = "docs/howto/holds-and-events.md"


def blocks(page: str, *languages: str) -> list[str]:
    """The code blocks of a page in one of the languages."""
    return [
        re.sub(rf"^{indent}", "", content, flags=re.MULTILINE)
        for indent, language, content in BLOCK.findall(page)
        if language in languages
    ]


def completed(fragment: str) -> str:
    """Make a whole job of an excerpt: with its head, and a target if it shows none."""
    if "schema =" in fragment:
        return fragment
    if re.match(r"\[\[?target\.", fragment):
        custody = keepers_text(RECIPIENT) if "[[target.archive]]" in fragment else ""
        return HEAD + custody + DATABASE + fragment
    return HEAD + fragment + ("" if "[[target]]" in fragment else DATABASE)


def is_job(block: str) -> bool:
    return "deleatur/job/v1" in block or bool(
        re.match(r"\[\[?(target|policy|verification|custody|paper)\b", block)
    )


def is_settings(block: str) -> bool:
    return "deleatur/agent/v1" in block or block.startswith(("[plugins]", "[keys]", "[holds]"))


def test_excerpts_are_completed_and_faults_are_seen() -> None:
    assert decode_job(completed('[[target.select]]\ntable = "t"\n').encode()).target[0].select
    assert decode_job(completed("[policy]\napprovals = 3\n").encode()).policy.approvals == 3
    with pytest.raises(Malformed):
        decode_job(completed("[policy]\napproval = 3\n").encode())


def test_every_job_on_a_page_is_a_job(pages: dict[str, str]) -> None:
    shown = 0
    for name, page in pages.items():
        for block in blocks(page, "toml"):
            if is_job(block):
                try:
                    decode_job(completed(block).encode())
                except Malformed as error:
                    pytest.fail(f"{name}: {error}\n{block}")
                shown += 1
    assert shown >= 10


def structs_under(kind: type) -> Iterator[type]:
    """A document's struct and every struct inside it, once each."""
    seen: list[type] = []
    waiting: list[object] = [kind]
    while waiting:
        thing = waiting.pop()
        waiting += get_args(thing)
        if isinstance(thing, type) and issubclass(thing, msgspec.Struct) and thing not in seen:
            seen.append(thing)
            waiting += [field.type for field in msgspec.structs.fields(thing)]
    yield from seen


def test_the_how_to_shows_every_key_of_a_job(pages: dict[str, str]) -> None:
    page = pages["docs/howto/write-a-job.md"] + pages["docs/howto/keep-an-archive.md"]
    page += pages["docs/howto/limit-reidentification.md"] + pages["docs/howto/fill-free-space.md"]
    structs = [kind for kind in structs_under(Job) if kind is not Rule]  # rules: docs/spec/archive.md
    assert {kind.__name__ for kind in structs} >= {
        "Job",
        "Target",
        "Condition",
        "Within",
        "Custodian",
    }
    missing = [
        f"{kind.__name__}.{field}"
        for kind in structs
        for field in kind.__struct_fields__  # type: ignore[attr-defined]
        if not re.search(rf"\b{field}\b", page)
    ]
    assert missing == []


def test_every_settings_file_on_a_page_decodes(pages: dict[str, str]) -> None:
    shown = [block for page in pages.values() for block in blocks(page, "toml") if is_settings(block)]
    for block in shown:
        whole = block if "schema =" in block else AGENT + block
        if "[keys]" not in whole:
            whole += '[keys]\nagent = "x"\n'
        assert decode_toml(whole.encode(), Agent).plugins.trusted
    assert len(shown) >= 4


SHOP = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, country TEXT, email TEXT);
CREATE TABLE message (written_on TEXT, status TEXT, archived_as TEXT);
CREATE TABLE session (token TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER);
CREATE TABLE order_line (order_id INTEGER, article TEXT);
CREATE TABLE complaint (customer_id INTEGER, status TEXT);
CREATE TABLE invoice (id INTEGER PRIMARY KEY, number TEXT, customer_id INTEGER, billed_to TEXT,
    tax_number TEXT, card TEXT, issued_on TEXT, city TEXT, net_cents INTEGER);
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The shop that the examples of the how-to talk about."""
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "list.csv").write_text("\n".join(str(n) for n in range(1000)))
    database = sqlite3.connect(tmp_path / "crm.sqlite")
    database.executescript(SHOP)
    for n in range(60):
        mail = f"customer-{n}@example.org"
        database.execute("INSERT INTO customer VALUES (?, ?, ?)", (n, "DE" if n % 3 else "AT", mail))
        database.execute("INSERT INTO orders VALUES (?, ?)", (n, n))
        database.execute("INSERT INTO order_line VALUES (?, ?)", (n, f"article {n * 7919}"))
        database.execute("INSERT INTO complaint VALUES (?, ?)", (n, "open" if n % 5 == 0 else "closed"))
        database.execute("INSERT INTO message VALUES (?, ?, NULL)", (f"20{n % 30:02}-03-04", "closed"))
        database.execute("INSERT INTO session VALUES (?)", (f"token-{n * 104729}",))
        numbers = (
            f"{n:011}",
            f"4111 1111 1111 {9000 - n:04}",
            f"2025-01-{n % 28 + 1:02}",
            f"City {n}",
            n * 1999,
        )
        invoice = (n, f"INV-{n:05}", n, f"Person number {n * 31337}", *numbers)
        database.execute(f"INSERT INTO invoice VALUES ({', '.join('?' * 9)})", invoice)
    database.commit()
    database.close()
    return tmp_path


def test_every_job_of_the_how_to_can_be_planned_and_its_archive_run(
    pages: dict[str, str], shop: Path
) -> None:
    bench = Workbench(shop / "jobs")
    alice, bob = (key.public.spki for key in bench.approvers)
    bench.roles = (RoleKeys(role="finance", keys=(alice,)), RoleKeys(role="legal", keys=(bob,)))
    bench.people = tuple(
        Member(name=key.public.name, keys=(key.public.spki,), trained_until="2027-01-31")
        for key in bench.approvers
    )
    jobs = [completed(block) for block in blocks(pages["docs/howto/write-a-job.md"], "toml") if is_job(block)]
    planned = []
    for number, job in enumerate(jobs):
        here = re.sub(r"sqlite:///[^\"]+", f"sqlite://{shop}/crm.sqlite", job)
        here = re.sub(
            r"age1[0-9a-z]+", RECIPIENT, here.replace("file:///srv/shop/", f"file://{shop}/"), count=1
        ).replace(RECONCILIATION, APART)
        directory = bench.job(here, f"job-{number}")
        (directory.path / "papers").mkdir()
        (directory.path / "papers" / "impact.pdf").write_bytes(b"%PDF-1.7")
        (directory.path / "requests.txt").write_text("customer-7@example.org\ncustomer-8@example.org\n")
        planned.append((directory, bench.plan(directory).plan))
    assert len(planned) >= 10
    assert [
        target.size for _, plan in planned for target in plan.targets if "requests.txt" in str(target)
    ] == [2]
    assert any(target.held for _, plan in planned for target in plan.targets)
    ((directory, _),) = [(d, plan) for d, plan in planned if plan.targets[0].target.archive]
    bench.approve(directory)
    bench.run(directory)
    assert directory.certificate.exists()
    apart, package = sorted(directory.archive.glob("*.age"))
    rows = open_archive(package, IDENTITY).tables["invoice"].to_pylist()
    endings = open_archive(apart, APART_IDENTITY).tables["invoice"].to_pylist()
    assert len(rows) == len(endings) == 60
    assert rows[7]["number"] == "INV-00007"
    assert endings[7] == {"card": "****8993", "last-four-row": rows[7]["last-four-row"]}
    assert "Person" not in str(rows)


def keys_of(kind: type) -> Iterator[str]:
    """The keys of a document, those of its tables with the table's name."""
    for field in msgspec.structs.fields(kind):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from (f"{field.name}.{key}" for key in keys_of(field.type))
        else:
            yield field.name


def test_every_setting_and_variable_is_in_the_reference(pages: dict[str, str]) -> None:
    page = pages["docs/reference/settings.md"]
    described = re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE)
    context = click.Context(command_line)
    commands = [command_line.get_command(context, name) for name in command_line.list_commands(context)]
    variables = {option.envvar for each in commands if each for option in each.params if option.envvar}
    assert len(variables) == 2
    assert sorted(described) == sorted([*keys_of(Agent), *map(str, variables), "NO_COLOR"])


def test_every_script_on_a_page_can_be_read_by_a_shell(pages: dict[str, str]) -> None:
    shown = [block for page in pages.values() for block in blocks(page, "sh")]
    for block in shown:
        run = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True)
        assert (run.returncode, run.stderr) == (0, ""), block
    assert shown


def test_a_key_that_stock_openssl_made_approves(pages: dict[str, str], tmp_path: Path) -> None:
    commands = re.findall(r"^\$ (openssl .*)$", pages["docs/howto/keys-and-approvals.md"], re.MULTILINE)
    assert len(commands) == 2
    for command, passphrase in zip(commands, (" -passout pass:x", " -passin pass:x"), strict=True):
        subprocess.run(command + passphrase, shell=True, cwd=tmp_path, check=True, capture_output=True)
    make_settings(tmp_path, "ed25519", b"y")
    added = add_approver_public(tmp_path, tmp_path / "alice.pub")
    signing = load_private(tmp_path / "alice.key", b"x")
    assert (added.name, added.key_id) == ("alice", signing.key_id)
    assert load_settings(tmp_path / "deleatur.toml").approvers() == (signing.public,)


def test_every_other_toml_is_toml(pages: dict[str, str]) -> None:
    for page in pages.values():
        for block in blocks(page, "toml"):
            assert tomllib.loads(block)


def test_every_python_block_can_be_read(pages: dict[str, str]) -> None:
    shown = [block for page in pages.values() for block in blocks(page, "python")]
    for block in shown:
        ast.parse(block)
    assert len(shown) >= 5


def test_the_hooks_of_the_how_to_pass_their_own_test(pages: dict[str, str], tmp_path: Path) -> None:
    page = pages[HOOKS]
    modules = dict(
        re.findall(r"Save this as `(\w+\.py)`:\n\n```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    )
    assert set(modules) == {"legal_holds.py", "siem.py"}
    test = blocks(page, "python")[-1]
    assert test not in modules.values()
    for name, content in {**modules, "test_hooks.py": test}.items():
        (tmp_path / name).write_text(content, "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", tmp_path / "t", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (run.returncode, "1 passed" in run.stdout) == (0, True), run.stdout
    (packed,) = [b for b in blocks(page, "toml") if "deleatur.hooks" in b]
    points = tomllib.loads(packed)["project"]["entry-points"]["deleatur.hooks"]
    assert {f"{module}.py" for module in points.values()} == set(modules)


def test_the_observer_of_the_how_to_tells_what_it_says(
    pages: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import syslog

    from deleatur.documents.journal import Certified, Entry, Erased

    told: list[str] = []
    monkeypatch.setattr(syslog, "syslog", told.append)
    (source,) = [b for b in blocks(pages[HOOKS], "python") if "syslog" in b]
    module: dict[str, object] = {}
    exec(source, module)
    for event in (Erased(step="s1", done=1), Certified(certificate="c1", sha256="0" * 64)):
        entry = Entry(n=1, at="2026-11-22T12:00:00.000Z", previous="0" * 64, event=event)
        module["on_event"](entry)  # type: ignore[operator]
    assert told == ['{"deleatur": "Certified", "at": "2026-11-22T12:00:00.000Z"}']
