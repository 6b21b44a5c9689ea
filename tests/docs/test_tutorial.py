"""The tutorial is typed as it stands: its files are saved, its commands run, its output compared."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

TUTORIAL = "docs/tutorial/first-certificate.md"
BLOCK = re.compile(r"(?:^Save this as `([^`]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ANYTHING = "…"  # stands in shown output for what differs each time; alone on a line, for lines
END = "--end of output--"
ANSWERED = re.compile(r"^(Type the .*: ).*\n", re.MULTILINE)  # what the reader types goes to standard input


@dataclass
class Shown:
    """One command of a page, and the output that the page shows for it."""

    command: str
    output: str


def shown_commands(block: str) -> list[Shown]:
    """The commands of one console block."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [Shown(*part.split("\n", 1)) for part in parts]


def matches(shown: str, printed: str) -> bool:
    """Say whether what was printed is what the page shows, up to spaces and to what `…` stands for."""
    pattern = r"\s+".join(
        ".*".join(re.escape(word) for word in part.split(ANYTHING))
        for part in ANSWERED.sub("", shown).split()
    )
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def test_output_is_compared() -> None:
    assert matches("a …\nb\n", "a 17\nb\n")
    assert matches("…\nlast\n", "first\nsecond\nlast\n")
    assert not matches("a …\nb\n", "a 17\nc\n")
    assert not matches("valid: …\n", "invalid: 17\n")
    assert not matches("", "unexpected\n")
    assert matches("Type the name: first\nok\n", "ok\n")


def answers(command: str) -> str:
    """What the reader types after a command that shows a plan: the job's name and the digest's begin.

    The plan of `erase` is only there while it runs, so its answers wait for it.
    """
    called = re.search(r"deleatur (?:approve (\S+)|erase .*--job (\S+))", command)
    if called is None:
        return ""
    folder, name = (called[1], "first") if called[1] else (called[2], "erase")
    plan = f"{folder}/plan.json"
    return f" < <(until [ -s {plan} ]; do sleep 0.05; done; echo {name}; sha256sum {plan} | cut -c1-8)"


@dataclass
class Reader:
    """Somebody with a shell who types what a page shows."""

    shell: "subprocess.Popen[str]"

    def type_in(self, command: str) -> str:
        """Run one command and return what it printed, errors too."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f'{{ {command}{answers(command)}\n}} 2>&1; echo "{END} $?"\n')
        self.shell.stdin.flush()
        printed = ""
        for line in self.shell.stdout:
            before, end, code = line.partition(END)
            printed += before
            if end:
                assert int(code) == 0, f"$ {command}\n{printed}"
                break
        return re.sub(r"Type the [^:]*: ", "", printed)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader in an empty folder who has deleatur on the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "100", "HOME": str(tmp_path)}
    environment.pop("DELEATUR_SETTINGS", None)
    with subprocess.Popen(
        ["bash"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        yield Reader(shell)
        assert shell.stdin is not None
        shell.stdin.close()


def test_the_tutorial_does_what_it_shows(pages: dict[str, str], tmp_path: Path, reader: Reader) -> None:
    ran = []
    for name, language, content in BLOCK.findall(pages[TUTORIAL]):
        if name:
            (tmp_path / "first-certificate" / name).write_text(content, "utf-8")
            ran.append(name)
        elif language == "console":
            for shown in shown_commands(content):
                printed = reader.type_in(shown.command)
                assert matches(shown.output, printed), f"$ {shown.command}\n{printed}"
                ran.append(shown.command)
    assert len(ran) >= 22
    assert {"shop.py", "job/job.toml"} <= set(ran)
    assert list(tmp_path.iterdir()) == [], "the last step tidies up"


def test_the_short_way_of_the_readme_ends_in_a_certificate(
    pages: dict[str, str], tmp_path: Path, reader: Reader
) -> None:
    part = pages["README.md"].partition("## Your first own certificate")[2]
    (block,) = [content for _, _, content in BLOCK.findall(part.partition("\n## ")[0])]
    activate, *commands = shown_commands(block)
    assert activate.command == ". .venv/bin/activate"
    (tmp_path / "passphrase").write_text("instead of the terminal\n")
    reader.type_in(f"export DELEATUR_PASSPHRASE_FILE={tmp_path}/passphrase")
    printed = [reader.type_in(shown.command) for shown in commands]
    assert any(output.startswith("valid: certificate ") for output in printed)
    assert "not covered:" in printed[-1]
    assert not (tmp_path / "try" / "old-exports").exists()
    assert (tmp_path / "try" / "first" / "certificate" / "VERIFY.txt").exists()
    for command in commands_to_verify(pages["docs/howto/verify-a-certificate.md"]):
        reader.type_in(command)


def commands_to_verify(page: str) -> list[str]:
    """The commands of the page for those who receive a certificate, after what they have received."""
    shown = re.findall(r"^ *\$ (.*)$", page, re.MULTILINE)
    assert len(shown) == 3
    return [
        "mkdir received received/my-copies && cp -r first/certificate received && cd received",
        "cp ../keys/agent.pub . && cp agent.pub my-copies && cp certificate/targets/t1.txt my-target.txt",
        *shown,
    ]


def test_the_set_up_commands_of_the_readme_are_targets_of_make(root: Path, pages: dict[str, str]) -> None:
    asked = re.findall(r"^\$ make (\w+)", pages["README.md"], re.MULTILINE)
    assert asked == ["setup", "demo"]
    targets = re.findall(r"^(\w+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(asked) <= set(targets)


def test_the_picture_is_whole_small_and_loads_nothing(root: Path, pages: dict[str, str]) -> None:
    (name,) = re.findall(r"\]\(([^)]+\.svg)\)", pages["README.md"])
    picture = (root / name).read_text("utf-8")
    texts = " ".join(ElementTree.fromstring(picture).itertext()).replace("\N{NO-BREAK SPACE}", " ")
    for shown in ("plan of close-shop", "sha256:", "certificate of erasure", "which must stay"):
        assert shown in texts
    assert len(picture) < 100_000
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in picture
