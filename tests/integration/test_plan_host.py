"""A plan runs on the host that it names: on another one it is refused before anything is opened."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deleatur.api import Refused
from deleatur.engine import machine
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan
from deleatur.engine.setup import add_approver_key, make_settings
from deleatur.testing.workbench import Workbench

from .ssh_host import DELEATUR

JOB = """schema = "deleatur/job/v1"
name = "leavers"
reason = "other"
authority = "decision 7"
requested_by = "operator"
[policy]
approvals = {approvals}
[[target]]
id = "exports"
url = "file://{target}"
"""
HERE, ELSEWHERE = "0123456789abcdef" * 2, "fedcba9876543210" * 2


@pytest.fixture
def machine_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "machine-id"
    path.write_text(HERE + "\n")
    monkeypatch.setattr(machine, "_MACHINE_ID", path)
    monkeypatch.setattr("socket.gethostname", lambda: "files-1")
    return path


def approved(bench: Workbench) -> JobDirectory:
    exports = bench.folder / "exports"
    exports.mkdir()
    (exports / "list.csv").write_text("Ottilie Canary\n" * 100)
    return bench.approved(JOB.format(target=exports, approvals=2))


def test_the_plan_names_its_host_and_not_its_machine_id(tmp_path: Path, machine_id: Path) -> None:
    directory = approved(Workbench(tmp_path))
    host = read_plan(directory).plan.host
    assert host.name == "files-1"
    assert len(host.machine) == 64
    assert hashlib.sha256(bytes.fromhex(HERE)).hexdigest() != host.machine
    for path in directory.path.rglob("*"):
        assert not path.is_file() or HERE.encode() not in path.read_bytes()
    machine_id.write_text(HERE)  # the newline is no part of it
    assert machine.this_host() == host


@pytest.mark.parametrize(
    ("name", "there", "why"),
    [
        ("files-2", HERE, "was made on the host files-1, and this one is files-2"),
        ("files-1", ELSEWHERE, "another machine that is called files-1 too"),
        ("files-2", ELSEWHERE, "this one is files-2"),
        ("files-1", "", "another machine that is called files-1 too"),
        ("files-1", "uninitialized\n", "another machine that is called files-1 too"),
        ("", HERE, "this one is unknown"),
    ],
)
def test_another_name_or_machine_is_refused_and_nothing_is_opened(
    tmp_path: Path, machine_id: Path, monkeypatch: pytest.MonkeyPatch, name: str, there: str, why: str
) -> None:
    bench = Workbench(tmp_path)
    directory = approved(bench)
    opened: list[str] = []
    registry = bench.registry
    monkeypatch.setattr(bench, "registry", lambda scheme: opened.append(scheme) or registry(scheme))
    monkeypatch.setattr("socket.gethostname", lambda: name)
    machine_id.write_text(there)
    with pytest.raises(Refused, match=why):
        bench.run(directory)
    assert opened == []
    assert not directory.journal.exists()
    monkeypatch.setattr("socket.gethostname", lambda: "files-1")
    machine_id.write_text(HERE)
    bench.run(directory)
    assert opened != []
    monkeypatch.setattr("socket.gethostname", lambda: "desk")
    bench.run(directory)  # certified: nothing is left to do, and it may be read anywhere


@pytest.mark.parametrize("there", ["", "uninitialized\n", HERE.upper(), HERE + "00", None])
def test_a_host_without_machine_id_is_known_by_its_name_alone(
    tmp_path: Path, machine_id: Path, monkeypatch: pytest.MonkeyPatch, there: str | None
) -> None:
    if there is None:
        machine_id.unlink()
    else:
        machine_id.write_text(there)
    bench = Workbench(tmp_path)
    directory = approved(bench)
    assert read_plan(directory).plan.host.machine == ""
    machine_id.write_text(ELSEWHERE)
    with pytest.raises(Refused, match="another machine"):
        bench.run(directory)
    machine_id.unlink()
    monkeypatch.setattr("socket.gethostname", lambda: "files-2")
    with pytest.raises(Refused, match="this one is files-2"):
        bench.run(directory)
    monkeypatch.setattr("socket.gethostname", lambda: "files-1")
    bench.run(directory)


def test_a_machine_id_that_cannot_be_read_is_not_one_that_is_not_there(
    tmp_path: Path, machine_id: Path
) -> None:
    machine_id.unlink()
    machine_id.mkdir()
    with pytest.raises(Refused, match="cannot be read"):
        machine.this_host()


def test_a_name_of_any_bytes_is_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: os.fsdecode(b"files-\xff"))
    assert machine.this_host().name == "files-\ufffd"


@pytest.mark.root
def test_a_host_in_namespaces_of_its_own_is_another_host(tmp_path: Path) -> None:
    """The command itself, under another name and with another machine-id of the kernel's own making."""
    exports, job = tmp_path / "exports", tmp_path / "job"
    exports.mkdir()
    job.mkdir()
    (exports / "list.csv").write_text("Ottilie Canary\n" * 100)
    (job / "job.toml").write_text(JOB.format(target=exports, approvals=1))
    make_settings(tmp_path, "ed25519", b"unused")
    add_approver_key(tmp_path, "alice", "ed25519", b"unused")
    (tmp_path / "secret").write_text("unused\n")
    words = ["--settings", str(tmp_path / "deleatur.toml"), "--passphrase-file", str(tmp_path / "secret")]

    def called(*before: str, command: str = "run") -> subprocess.CompletedProcess[str]:
        asked = [*before, str(DELEATUR), command, str(job), *words]
        return subprocess.run(asked, capture_output=True, text=True, check=False)

    plan = called(command="plan")
    assert plan.returncode == 0, plan.stderr
    assert f"host       {machine.this_host().name}" in plan.stdout
    digest = hashlib.sha256((job / "plan.json").read_bytes()).hexdigest()
    key = ["--key", str(tmp_path / "keys/alice.key"), "--passphrase-file", str(tmp_path / "secret")]
    shown = subprocess.run(
        [str(DELEATUR), "approve", str(job), *key, "--digest", digest],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"machine {machine.this_host().machine[:8]}" in shown.stdout
    (tmp_path / "id").write_text(ELSEWHERE + "\n")
    unshare = shutil.which("unshare") or "unshare"
    named = 'hostname files-2 && exec "$@"'
    bound = f'mount --bind {tmp_path / "id"} /etc/machine-id && exec "$@"'
    for flag, script, why in (
        ("--uts", named, "this one is files-2"),
        ("--mount", bound, "with another machine-id"),
    ):
        refused = called(unshare, flag, "sh", "-c", script, "sh")
        assert refused.returncode == 4, refused.stdout + refused.stderr
        assert why in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert (exports / "list.csv").exists()
    assert not (job / "journal.jsonl").exists()
    done = called()
    assert done.returncode == 0, done.stderr
    assert not exports.exists()
