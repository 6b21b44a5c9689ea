"""`deleatur erase URL` as a person meets it: each passphrase is asked for once."""

from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from deleatur.cli import approve, erase, keys
from deleatur.engine import key_ring
from deleatur.engine.jobs import write_short_job
from deleatur.engine.setup import add_approver_key, make_settings
from deleatur.errors import Refused


def test_each_passphrase_is_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_settings(tmp_path, "ed25519", b"one")
    add_approver_key(tmp_path, "alice", "ed25519", b"two")
    target = tmp_path / "exports"
    target.mkdir()
    (target / "list.csv").write_text("\n".join(str(n) for n in range(1000)))
    asked: list[str] = []
    secrets = {"agent.key": b"one", "alice.key": b"two"}

    def passphrase(what: str) -> bytes:
        asked.append(what)
        return secrets[what]

    monkeypatch.setattr(keys, "ask_secret", passphrase)
    monkeypatch.setattr(key_ring, "harden_process", lambda: None)  # it would last for all later tests
    job = tmp_path / "job"
    plan = job / "plan.json"

    def typed(question: str) -> str:
        return "erase" if "name" in question else sha256(plan.read_bytes()).hexdigest()[:8]

    monkeypatch.setattr(approve, "ask", typed)
    options = ["--settings", tmp_path / "deleatur.toml", "--approver-key", tmp_path / "keys/alice.key"]
    run = CliRunner().invoke(erase.command, [str(o) for o in (f"file://{target}", "--job", job, *options)])
    assert run.exception is None
    assert (job / "certificate" / "VERIFY.txt").exists()
    assert not target.exists()
    assert asked == ["agent.key", "alice.key"]


def test_a_refused_request_can_be_made_again_in_its_directory(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'exports'}"
    first = write_short_job(tmp_path / "job", url, "decision 7")
    assert write_short_job(tmp_path / "job", url, "decision 7").read_job() == first.read_job()
    with pytest.raises(Refused, match="written once"):
        write_short_job(tmp_path / "job", f"{url}/other", "decision 7")
    first.write_once(first.plan, b"{}")
    with pytest.raises(Refused, match="written once"):
        write_short_job(tmp_path / "job", url, "decision 7")
