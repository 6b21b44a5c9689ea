"""The examples of the pages are real: jobs and settings decode, Python runs, JSON is JSON."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import msgspec
import pytest

from deleatur.cli.group import deleatur as command_line
from deleatur.documents.agent import Agent
from deleatur.documents.codec import decode_toml
from deleatur.documents.decode import decode_job
from deleatur.documents.job import Job, Rule
from deleatur.engine.settings import load_settings
from deleatur.engine.setup import add_approver_public, make_settings
from deleatur.errors import Malformed
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
        return HEAD + DATABASE + fragment
    return HEAD + fragment + ("" if "[[target]]" in fragment else DATABASE)


def is_job(block: str) -> bool:
    return "deleatur/job/v1" in block or bool(
        re.match(r"\[\[?(target|policy|verification|custodian)\b", block)
    )


def is_settings(block: str) -> bool:
    return "deleatur/agent/v1" in block or block.startswith(("[plugins]", "[keys]"))


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
    page = pages["docs/howto/write-a-job.md"]
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
