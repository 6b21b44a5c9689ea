"""The printed sheet: somebody outside opens the archive by its commands alone, and it is one page."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from deleatur.cli.group import deleatur
from deleatur.engine.keeping import sheet_of
from deleatur.errors import Refused
from deleatur.testing.workbench import signing_key
from deleatur.trust.keys import public_pem

from .custody_world import IDENTITY, CustodyWorld

STOCK = ("age", "bash", "ls", "openssl", "sha256sum", "tar")  # and nothing else is on the drill's PATH


class Page(HTMLParser):
    """What a person reads on the page."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.commands: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._inside = ""
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._inside = tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._inside == "pre" and data.strip():
            self.commands += data.splitlines()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CustodyWorld]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = CustodyWorld(tmp_path_factory.mktemp("kept"), monkeypatch).planned()
        world.refusal()
        world.copy()
        yield world


@pytest.fixture
def medium(kept: CustodyWorld, tmp_path: Path) -> Path:
    """The medium, years later, on a computer that has only what the sheet names."""
    shutil.copytree(kept.media["mine"], tmp_path / "medium")
    (tmp_path / "medium" / "key.txt").write_text(IDENTITY + "\n")
    (tmp_path / "bin").mkdir()
    for name in STOCK:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return tmp_path / "medium"


def drill(medium: Path, commands: list[str]) -> subprocess.CompletedProcess[str]:
    """Type the commands one after the other, without a network."""
    words = [shutil.which("unshare") or "unshare", "--net"] if os.geteuid() == 0 else []
    return subprocess.run(
        [*words, shutil.which("bash") or "bash", "-eu", "-o", "pipefail", "-c", "\n".join(commands)],
        cwd=medium,
        env={"PATH": str(medium.parent / "bin")},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_somebody_outside_opens_it_by_the_sheet_alone(kept: CustodyWorld, medium: Path) -> None:
    page = Page(sheet_of(kept.media["mine"] / kept.archived.file))
    done = drill(medium, page.commands)
    assert done.returncode == 0, done.stderr
    assert "Verified Successfully" in done.stdout
    digests = re.findall(r"^([0-9a-f]{64})  ", done.stdout, re.M)
    assert len(digests) == 2
    assert all(digest in page.text for digest in digests)  # the two that are compared by eye
    assert done.stdout.splitlines()[-1] == "invoices"
    (part,) = (medium / "close-shop-crm/data/tables/invoices").glob("*.csv")
    assert len(part.read_text().splitlines()) == 1 + 240


@pytest.mark.parametrize("damage", ["archive", "list", "key", "inside"])
def test_the_drill_fails_where_something_is_wrong(kept: CustodyWorld, medium: Path, damage: str) -> None:
    commands = Page(sheet_of(kept.media["mine"] / kept.archived.file)).commands
    match damage:
        case "archive":
            path = medium / kept.archived.file
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        case "list":
            path = medium / "close-shop-crm.sha256"
            other = path.read_text().replace(kept.archived.sha256, "0" * 64)
            path.write_text(other)
        case "key":
            (medium / "key.txt").write_text("AGE-SECRET-KEY-1" + "Q" * 58 + "\n")
        case "inside":
            at = commands.index("cd close-shop-crm")
            commands.insert(at, "cd close-shop-crm; echo x >> data/schema.json; cd ..")
    assert drill(medium, commands).returncode != 0


def test_a_sheet_is_made_only_of_what_the_agent_signed(kept: CustodyWorld, medium: Path) -> None:
    archive = medium / kept.archived.file
    (medium / "agent.pub").write_bytes(public_pem(signing_key("agent", 99).public))
    with pytest.raises(Refused, match="is not what the agent signed beside it"):
        sheet_of(archive)
    shutil.copy(kept.media["mine"] / "agent.pub", medium)
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(Refused, match="is not what the agent signed"):
        sheet_of(archive)
    (medium / "agent.pub").unlink()
    with pytest.raises(Refused, match=r"agent\.pub is not there; a sheet is made where a copy lies"):
        sheet_of(archive)


def test_a_name_that_would_run_in_the_commands_is_refused(kept: CustodyWorld, medium: Path) -> None:
    for name in ("x;reboot;.tar.age", "-x.tar.age", "$(id).tar.age", "x y.tar.age"):
        (medium / name).write_bytes(b"")
        with pytest.raises(Refused, match="is no archive of ours"):
            sheet_of(medium / name)


def test_it_is_one_page_and_loads_and_runs_nothing(kept: CustodyWorld, tmp_path: Path) -> None:
    page = tmp_path / "sheet.html"
    words = ["custody", "sheet", str(kept.media["mine"] / kept.archived.file), f"--out={page}"]
    result = CliRunner().invoke(deleatur, words, standalone_mode=False)
    assert result.exception is None
    assert isinstance(CliRunner().invoke(deleatur, words, standalone_mode=False).exception, Refused)
    read = Page(page.read_bytes())
    assert not read.tags & {"script", "img", "link", "iframe", "a"}
    assert "records (alone), board (2 of 3 shares)" in read.text
    assert "invoices: 240" in read.text
    assert "2036-12-31" in read.text
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={tmp_path / 'sheet.pdf'}"]
    subprocess.run(["chromium", *flags, page.as_uri()], capture_output=True, timeout=60, check=True)
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "sheet.pdf").read_bytes())) == 1
