"""The agent that runs here is copied to a host that has only Python, compared there, used, and removed."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from msgspec.structs import replace

from deleatur.documents.host import Host
from deleatur.engine.remote import bootstrap, copying
from deleatur.errors import Refused

from .ssh_host import office

PYTHON = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")


class Piped:
    """The other host's Python without a network; what is sent may be changed on its way."""

    def __init__(self, words: str, change: Callable[[bytes], bytes] = lambda part: part) -> None:
        self.process = subprocess.Popen(
            ["sh", "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.change = change
        self.parts = 0

    def send(self, part: bytes) -> None:
        assert self.process.stdin is not None
        self.parts += 1
        self.process.stdin.write(part if self.parts == 1 else self.change(part))
        self.process.stdin.flush()

    def exchange(self, _question: bytes) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host whose copy is small: what is needed beside the agent's own files is left out."""
    monkeypatch.setattr(copying, "_needed", lambda *_: {"click": distribution("click")})
    return Host(
        schema="deleatur/host/v1",
        address="far",
        user="erasure",
        host_key="ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFueSBvdGhlciBrZXkgd291bGQgYmUgcmVmdXNlZC4=",
        login="login",
        signer="agent.pub",
        program=str(tmp_path / "far" / "agent" / "deleatur"),
        folder="/srv/jobs/leavers",
        python=PYTHON,
    )


@pytest.fixture
def far(tmp_path: Path) -> Path:
    path = tmp_path / "far"
    path.mkdir()
    return path


def copied(host: Host, change: Callable[[bytes], bytes] = lambda part: part) -> bool:
    talk = Piped(copying.command(host, "take"), change)
    try:
        return copying.copy_agent(host, talk, ())
    finally:
        talk.close()


def removed(host: Host) -> None:
    talk = Piped(copying.command(host, "remove"))
    try:
        copying.remove_agent(host, talk)
    finally:
        talk.close()


def test_it_is_copied_once_replaced_by_another_and_removed(
    host: Host, far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert copied(host)
    agent = far / "agent"
    assert agent.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in agent.rglob("*"))
    assert (agent / "lib" / "deleatur" / "policy" / "default.toml").exists()
    assert (agent / "lib" / "deleatur_plugins" / "file").is_dir()
    assert [*agent.rglob("*.pyc")] == []
    before = agent.stat().st_ino
    assert not copied(host)
    assert agent.stat().st_ino == before
    monkeypatch.setattr(copying, "_LAUNCHER", copying._LAUNCHER + "# of another version\n")
    assert copied(host)
    assert agent.stat().st_ino != before
    removed(host)
    assert [*far.iterdir()] == []
    with pytest.raises(Refused, match="is not there"):
        removed(host)


def flipped(part: bytes) -> bytes:
    return part[:-1] + bytes([part[-1] ^ 1])


def test_a_copy_that_arrives_changed_is_not_kept(host: Host, far: Path) -> None:
    with pytest.raises(Refused, match="arrived changed"):
        copied(host, flipped)
    assert [*far.iterdir()] == []


def test_a_copy_that_breaks_off_is_not_kept(host: Host, far: Path) -> None:
    talk = Piped(copying.command(host, "take"))
    talk.exchange(b"")
    talk.send(b'{"size": 1000, "sha256": "' + b"0" * 64 + b'"}\n')
    talk.send(b"x" * 999)
    told, _ = talk.process.communicate()
    assert "ended early" in json.loads(told)["fault"]
    assert [*far.iterdir()] == []


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "lib/../../evil"])
def test_a_copy_writes_nowhere_else(
    host: Host, far: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(copying, "_files", lambda _: [("a", Path(PYTHON))])
    monkeypatch.setattr(copying, "_LIBRARY", name)
    with pytest.raises(Refused, match="something else than files"):
        copied(host)
    assert [*far.iterdir()] == []


def test_a_folder_that_is_no_copy_is_neither_replaced_nor_removed(host: Host, far: Path) -> None:
    (far / "agent").mkdir(0o700)
    (far / "agent" / "mine").write_text("mine")
    for work in (copied, removed):
        with pytest.raises(Refused, match="is no copy of the agent"):
            work(host)
    assert (far / "agent" / "mine").read_text() == "mine"


def test_a_folder_that_others_could_swap_is_not_taken(host: Host, far: Path) -> None:
    far.chmod(0o777)
    for work in (copied, removed):
        with pytest.raises(Refused, match="could swap agent"):
            work(host)
    (far / "agent").symlink_to("/")
    far.chmod(0o755)
    for work in (copied, removed):
        with pytest.raises(Refused, match="is a link"):
            work(host)


@pytest.mark.parametrize(
    ("key", "other"),
    [("python", "3.6"), ("platform", "linux-aarch64"), ("implementation", "pypy"), ("library", "musl")],
)
def test_another_python_or_machine_is_refused_before_anything_is_sent(
    host: Host, far: Path, monkeypatch: pytest.MonkeyPatch, key: str, other: str
) -> None:
    here = bootstrap.kind()
    monkeypatch.setattr(bootstrap, "kind", lambda: here | {key: other})
    with pytest.raises(Refused, match="and the agent here is compiled for"):
        copied(host)
    assert [*far.iterdir()] == []


@pytest.mark.parametrize("said", ["", "Python 2.7\n", "[]\n", '{"kind": {}}\n', "\x1b[2J\n"])
def test_what_is_no_python_is_refused(host: Host, said: str) -> None:
    class Strange(Piped):
        def exchange(self, _question: bytes) -> bytes:
            return said.encode()

    talk = Strange("true")
    with pytest.raises(Refused, match="answers what no Python of ours says"):
        copying.copy_agent(host, talk, ())
    talk.close()


def test_without_a_python_in_the_document_nothing_is_copied(host: Host) -> None:
    with pytest.raises(Refused, match="names no `python`"):
        copying.command(replace(host, python=None), "take")


def test_what_the_agent_needs_is_found_and_what_is_missing_is_refused() -> None:
    found = copying._needed("deleatur", frozenset(), {})
    assert {"deleatur", "click", "cryptography", "cffi", "msgspec", "numpy", "pluggy", "rich"} <= {*found}
    assert not {"pyarrow", "paramiko", "pytest"} & {*found}
    assert "pyarrow" in copying._needed("deleatur", frozenset({"archive"}), {})
    with pytest.raises(Refused, match="has no extra nothing"):
        copying._needed("deleatur", frozenset({"nothing"}), {})


@pytest.mark.root
def test_a_job_is_done_by_a_copy_and_the_copy_is_removed(tmp_path: Path) -> None:
    with office(tmp_path) as there:
        program = there.far / "agent" / "deleatur"
        there.write_host(program=str(program), python=PYTHON)
        assert there.remote("show").returncode == 4  # no agent is there yet
        first = there.remote("copy")
        assert first.returncode == 0, first.stdout + first.stderr
        assert first.stdout == f"copied: {program} on 127.0.0.1\n"
        assert there.remote("copy").stdout == f"there already: {program} on 127.0.0.1\n"
        alone = subprocess.run(
            [PYTHON, "-I", "-c", "import deleatur"], capture_output=True, text=True, check=False
        )
        assert "No module named" in alone.stderr  # so what works below is the copy
        there.planned()
        run = there.remote("run", *there.secret("agent"))
        assert run.returncode == 0, run.stdout + run.stderr
        assert not (there.far / "exports").exists()
        assert (there.job / "certificate" / "certificate.dsse.json").exists()
        removing = there.remote("remove")
        assert removing.returncode == 0, removing.stderr
        assert not program.parent.exists()
        assert (there.far / "deleatur.toml").exists()
        assert (there.far_job / "certificate").is_dir()
        older = there.far / "python"
        older.write_text('#!/bin/sh\necho \'{"fault": "", "there": "", "kind": {"python": "2.7"}}\'\n')
        older.chmod(0o755)
        there.write_host(program=str(program), python=str(older))
        refused = there.remote("copy")
        assert refused.returncode == 4
        assert "has 2.7, and the agent here is compiled for" in refused.stderr
        assert refused.stderr.count("\n") == 1
