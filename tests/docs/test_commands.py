"""Every command line that a page shows can be typed: the command and each of its options exist."""

import re
import shlex

import click
import pytest

from deleatur.cli.group import deleatur as command_line

BLOCK = re.compile(r"^```(?:console|sh|shell|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
IN_PROSE = re.compile(r"`(deleatur [^`]+)`")


def shown_commands(page: str) -> list[str]:
    """The command lines of a page that call deleatur: in its blocks after `$ ` or `# `, and in its prose."""
    found = []
    for block in BLOCK.findall(page):
        for line in re.findall(r"^[$#] (.+)$", block.replace("\\\n", " "), re.MULTILINE):
            called = re.search(r"(?:^|[ ;|&/])(deleatur .*)$", line)
            if called:
                found.append(called[1])
    return found + IN_PROSE.findall(page)


def complaints(line: str) -> list[str]:
    """What of a command line does not exist; words in capitals and angle brackets stand for arguments."""
    command: click.Command = command_line
    context = click.Context(command, info_name="deleatur")
    words = shlex.split(re.split(r" [|;&>]|  #", line)[0])[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(context, words[0])
        if inner is None:
            return [f"no command {words[0]!r} in: {line}"]
        context = click.Context(inner, info_name=words.pop(0), parent=context)
        command = inner
    options = {name for parameter in command.get_params(context) for name in (*parameter.opts, "-h")}
    used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return [f"no option {option} in: {line}" for option in sorted(used - options)]


def test_a_wrong_command_or_option_is_seen() -> None:
    block = "```console\n$ sudo .venv/bin/deleatur nosuch \\\n  --a 1\nout\n# deleatur run\n```\n"
    page = f"text `deleatur verify X` and\n{block}"
    assert shown_commands(page) == ["deleatur nosuch    --a 1", "deleatur run", "deleatur verify X"]
    assert complaints("deleatur nosuch --a 1") == ["no command 'nosuch' in: deleatur nosuch --a 1"]
    assert complaints("deleatur verify --nosuch x") == ["no option --nosuch in: deleatur verify --nosuch x"]
    assert complaints("deleatur --help | head") == []


def test_every_command_that_a_page_shows_can_be_typed(pages: dict[str, str]) -> None:
    wrong = [
        f"{name}: {complaint}"
        for name, page in pages.items()
        for line in shown_commands(page)
        for complaint in complaints(line)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "name",
    ["demo", "init", "plan", "approve", "run", "resume", "status", "verify", "show", "erase", "selftest"],
)
def test_every_command_of_the_walk_is_in_the_reference(pages: dict[str, str], name: str) -> None:
    assert f"\n## {name}\n" in pages["docs/reference/commands.md"]
