"""VERIFY.txt as it stands, run by bash with stock openssl, sha256sum and cosign; each has its tampered twin.

cosign comes with `make test` (packaging/peers.sh).
"""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from deleatur.testing.finished import AGENT, SECOND_AGENT, a_file, finished, some_rows
from deleatur.trust.folder import write_certificate
from deleatur.trust.keys import SigningKey

ALONE = [[AGENT], [SECOND_AGENT], [AGENT, SECOND_AGENT], [SECOND_AGENT, AGENT]]


def write(folder: Path, keys: list[SigningKey]) -> Path:
    job = finished(a_file(), some_rows())
    write_certificate(
        folder,
        plan_bytes=job.plan_bytes,
        journal_bytes=job.journal_bytes,
        approvals=job.approvals,
        keys=keys,
        issued_at="2026-03-01T12:00:00Z",
        certificate_id="certificate-0001",
    )
    return folder


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("stock") / "certificate", [AGENT, SECOND_AGENT])


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "certificate")
    return tmp_path / "certificate"


def commands(folder: Path) -> list[str]:
    """Every indented line of VERIFY.txt, literally; a part per numbered heading."""
    parts: list[str] = []
    for line in (folder / "VERIFY.txt").read_text().splitlines():
        if line[:1].isdigit():
            parts.append("")
        elif line.startswith("    "):
            parts[-1] += line + "\n"
    return parts


def run(folder: Path, script: str, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, "bash", "-c", script]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def run_part(folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    """Run part 1, which every other part needs, and one part more."""
    parts = commands(folder)
    return run(folder, parts[0] + parts[number - 1])


@pytest.mark.parametrize("keys", ALONE, ids=lambda keys: "+".join(key.public.name for key in keys))
def test_all_commands_run_as_they_stand(tmp_path: Path, keys: list[SigningKey]) -> None:
    folder = write(tmp_path / "certificate", keys)
    done = run(folder, "".join(commands(folder)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Verified") == len(keys)  # "Signature Verified Successfully", "Verified OK"
    assert done.stderr.count("Verified OK") == len(keys) + 2  # cosign: certificate and two approvals
    assert "approvals needed: 2" in done.stdout
    assert done.stdout.count(": OK") == 4 + len((folder / "evidence.sha256").read_text().splitlines())
    assert "A3/addressable" in done.stdout


@pytest.mark.root
def test_no_command_needs_a_network(sound: Path) -> None:
    done = run(sound, "".join(commands(sound)), "unshare", "--net")
    assert done.returncode == 0, done.stderr


def test_the_signed_bytes_are_those_that_we_sign(sound: Path) -> None:
    done = run(sound, commands(sound)[0] + 'cat "$work/signed"')
    payload = base64.b64decode(json.loads((sound / "certificate.dsse.json").read_bytes())["payload"])
    assert done.stdout.encode() == b"DSSEv1 28 application/vnd.in-toto+json %d %s" % (len(payload), payload)


@pytest.mark.parametrize("old_new", [("h-17", "h-18"), ("/srv/export", "/srv/exporT"), ("v1\n", "v1\n\n")])
def test_cosign_refuses_an_identity_that_differs_in_one_character(
    folder: Path, old_new: tuple[str, str]
) -> None:
    identity = folder / "targets" / "t1.txt"
    assert run_part(folder, 5).returncode == 0
    identity.write_text(identity.read_text().replace(*old_new))
    done = run_part(folder, 5)
    assert done.returncode != 0
    assert "no matching subject digest" in done.stderr


def test_cosign_knows_each_target_by_its_own_text(folder: Path) -> None:
    (folder / "targets" / "t1.txt").write_bytes((folder / "targets" / "t2.txt").read_bytes())
    assert run_part(folder, 5).returncode == 0
    assert run_part(folder, 3).returncode != 0  # sha256sum: t1.txt is not what was certified


def body_of(envelope: bytes, change: Callable[[bytes], bytes]) -> bytes:
    tree = json.loads(envelope)
    changed = change(base64.b64decode(tree["payload"]))
    return json.dumps(tree | {"payload": base64.b64encode(changed).decode()}).encode()


def test_openssl_and_cosign_refuse_a_changed_body(folder: Path) -> None:
    path = folder / "certificate.dsse.json"
    path.write_bytes(body_of(path.read_bytes(), lambda body: body.replace(b'"A3/', b'"A4/', 1)))
    assert run_part(folder, 2).returncode != 0
    assert run_part(folder, 5).returncode != 0


def test_openssl_and_cosign_refuse_another_signature(folder: Path) -> None:
    path = folder / "certificate.dsse.json"
    for number in (0, 1):
        tree = json.loads((folder / "certificate.dsse.json").read_bytes())
        signature = bytearray(base64.b64decode(tree["signatures"][number]["sig"]))
        signature[-1] ^= 1
        tree["signatures"][number]["sig"] = base64.b64encode(bytes(signature)).decode()
        sound = path.read_bytes()
        path.write_bytes(json.dumps(tree).encode())
        assert run_part(folder, 2).returncode != 0
        assert run_part(folder, 5).returncode != 0
        path.write_bytes(sound)


def test_openssl_and_cosign_refuse_the_key_of_somebody_else(folder: Path) -> None:
    shutil.copy(folder / "keys" / "planner.pub", folder / "keys" / "agent.pub")
    assert run_part(folder, 2).returncode != 0
    assert run_part(folder, 5).returncode != 0


def test_cosign_refuses_another_type(folder: Path) -> None:
    text = (folder / "VERIFY.txt").read_text()
    (folder / "VERIFY.txt").write_text(text.replace("erasure-certificate/v1", "erasure-approval/v1"))
    done = run_part(folder, 5)
    assert done.returncode != 0
    assert "invalid predicate type" in done.stderr


@pytest.mark.parametrize("name", ["plan.json", "journal.jsonl", "approvals/a1.dsse.json", "keys/agent.pub"])
def test_sha256sum_notices_changed_evidence(folder: Path, name: str) -> None:
    with (folder / name).open("ab") as file:
        file.write(b" ")
    done = run_part(folder, 3)
    assert done.returncode != 0
    assert f"{name}: FAILED" in done.stdout


def test_sha256sum_notices_another_list_of_evidence(folder: Path) -> None:
    lines = (folder / "evidence.sha256").read_text().splitlines(keepends=True)
    (folder / "evidence.sha256").write_text("".join(lines[1:]))
    assert "evidence.sha256: FAILED" in run_part(folder, 3).stdout


def test_cosign_refuses_the_approval_of_another_plan(folder: Path) -> None:
    assert run_part(folder, 6).returncode == 0
    plan = folder / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b"contract-end", b"contract-enD"))
    done = run_part(folder, 6)
    assert done.returncode != 0
    assert "no matching subject digest" in done.stderr


def test_cosign_refuses_an_approval_by_somebody_else(folder: Path) -> None:
    shutil.copy(folder / "keys" / "planner.pub", folder / "keys" / "security.pub")
    assert run_part(folder, 6).returncode != 0
