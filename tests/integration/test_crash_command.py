"""`deleatur run` as a person calls it, killed at drawn system calls and resumed: the same end.

Every call is tried in test_crash_campaign.py, without the command line around the job.
"""

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from deleatur.engine import key_ring
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import approve_job, now, plan_job, read_plan
from deleatur.engine.settings import load_settings
from deleatur.engine.setup import add_approver_key, make_settings
from deleatur.trust.keys import load_private, load_public
from deleatur.trust.verification import verify

from .crash_jobs import (
    CUSTODIAN,
    GONE,
    HEAD,
    HELD,
    STAY,
    bytes_of,
    forms_of,
    plant_database,
    rows_of,
    rows_text,
)
from .traced import CALLS

pytestmark = [pytest.mark.root, pytest.mark.campaign]
COMMAND = Path(sys.executable).with_name("deleatur")
SECRET = b"a pass phrase"


@pytest.fixture
def job(tmp_path: Path) -> JobDirectory:
    """A planned and approved job on a database, with settings and keys beside it."""
    make_settings(tmp_path, "ed25519", SECRET)
    add_approver_key(tmp_path, "alice", "ed25519", SECRET)
    add_approver_key(tmp_path, "bob", "p-256", SECRET)
    (tmp_path / "phrase").write_bytes(SECRET + b"\n")
    (tmp_path / "phrase").chmod(0o600)
    known = load_settings(tmp_path / "deleatur.toml")
    directory = JobDirectory(tmp_path / "job")
    text = HEAD + CUSTODIAN + rows_text(plant_database(tmp_path / "data"))
    directory.path.mkdir()
    directory.write_once(directory.job, text.encode())
    agent = load_private(known.agent_key, SECRET)
    approved = plan_job(
        directory,
        known.registry,
        planner=agent,
        approvers=known.approvers(),
        clock=now,
        holds=known.holds(),
    )
    for name in ("alice", "bob"):
        key = load_private(tmp_path / "keys" / f"{name}.key", SECRET)
        approve_job(directory, key, now, digest=approved.digest)
    return directory


def call(job: JobDirectory, verb: str, *strace: str) -> subprocess.CompletedProcess[str]:
    """Call the command, under strace if options for it are given."""
    folder = job.path.parent
    options = ["--settings", str(folder / "deleatur.toml"), "--passphrase-file", str(folder / "phrase")]
    prefix = ["strace", "-f", "-qq", *strace] if strace else []
    return subprocess.run(
        [*prefix, str(COMMAND), verb, str(job.path), *options],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )


def assert_well_ended(job: JobDirectory) -> None:
    """The certificate verifies, and the bytes bear it out."""
    folder = job.path.parent
    assert verify(job.certificate, [load_public(folder / "keys" / "agent.pub")], 1, None).evidence
    files, raw = b"".join(bytes_of(job.path)), b"".join(bytes_of(folder / "data"))
    for value in (value for person in GONE for value in person):
        assert not [f for f in forms_of(value) if f in files or f in raw]
    assert not [f for p in (*HELD, *STAY) for v in p for f in forms_of(v) if f in files]
    assert all(value in str(rows_of(folder / "data" / "shop.db")) for p in (*HELD, *STAY) for value in p[:2])
    assert sorted(os.listdir(folder / "data")) == ["beside.txt", "shop.db"]


def test_the_command_is_killed_and_resumed(job: JobDirectory, tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    for name in ("job", "data"):
        shutil.copytree(tmp_path / name, keep / name)
    traced = call(job, "run", "-o", str(tmp_path / "trace"), "-e", f"trace={CALLS}")
    assert traced.returncode == 0, traced.stderr
    assert_well_ended(job)
    most = Counter(
        re.findall(r"^\d+ +(\w+)\(", (tmp_path / "trace").read_text(errors="replace"), re.MULTILINE)
    )
    points = [(name, n) for name in ("fsync", "pwrite64", "write") for n in range(1, most[name] + 1)]
    kills = 0
    for name, n in random.Random(7).sample(points, 16):
        for folder in ("job", "data"):
            shutil.rmtree(tmp_path / folder)
            shutil.copytree(keep / folder, tmp_path / folder)
        inject = f"inject={name}:signal=KILL:when={n}"
        kills += call(job, "run", "-o", "/dev/null", "-e", f"trace={name}", "-e", inject).returncode != 0
        verb = "resume" if job.journal.exists() else "run"
        resumed = call(job, verb)
        assert resumed.returncode == 0, f"killed at {name} {n}: {resumed.stderr}"
        assert_well_ended(job)
        assert key_ring.fetch(f"spool:{read_plan(job).plan.id}") is None
    assert kills > 8
