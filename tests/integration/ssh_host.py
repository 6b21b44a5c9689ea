"""Another host: an sshd of its own on the loopback, with a folder, settings and keys that are not ours."""

import getpass
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deleatur.engine.setup import add_approver_key, add_approver_public, make_settings

DELEATUR = Path(sys.executable).parent / "deleatur"
SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin") or "/usr/sbin/sshd"
JOB = """schema = "deleatur/job/v1"
name = "leavers"
reason = "other"
authority = "decision 7"
requested_by = "operator"
[policy]
approvals = 1
[[target]]
id = "exports"
url = "file://{target}"
"""


@dataclass
class Office:
    """The near side, a folder with a job, an approver's key and a key for SSH; and the far side beside it."""

    near: Path
    far: Path
    port: int
    secrets: dict[str, str]  # of its own: other tests run at the same time
    sshd: subprocess.Popen[bytes] | None = None
    log: Path = field(default=Path())

    @property
    def job(self) -> Path:
        return self.near / "job"

    @property
    def far_job(self) -> Path:
        return self.far / "jobs" / "leavers"

    def write_host(self, **changed: str) -> None:
        """Write host.toml as it must be, but for what is changed."""
        kind, blob = (self.far / "host_key.pub").read_text().split()[:2]
        document = {
            "schema": "deleatur/host/v1",
            "address": "127.0.0.1",
            "user": getpass.getuser(),
            "host_key": f"{kind} {blob}",
            "login": "../login",
            "signer": "../agent.pub",
            "program": str(DELEATUR),
            "folder": str(self.far_job),
            "settings": str(self.far / "deleatur.toml"),
        } | changed
        lines = [f'{key} = "{value}"\n' for key, value in document.items()]
        (self.job / "host.toml").write_text("".join(lines) + f"port = {self.port}\n")

    def start(self) -> None:
        """Start sshd and wait until it listens."""
        Path("/run/sshd").mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            words = [SSHD, "-D", "-e", "-f", str(self.far / "sshd_config")]
            self.sshd = subprocess.Popen(words, stderr=log, stdin=subprocess.DEVNULL)
        for _ in range(500):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        """Stop sshd and whatever sessions it has."""
        if self.sshd is not None:
            self.cut()
            self.sshd.kill()
            self.sshd.wait()
            self.sshd = None

    def cut(self) -> None:
        """Kill the sessions of our sshd, as a lost connection looks to both ends."""
        assert self.sshd is not None
        children = Path(f"/proc/{self.sshd.pid}/task/{self.sshd.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), 9)

    def workers(self) -> list[int]:
        """The processes that work on the far job without a connection."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.far_job).encode() in words and b"serve" not in words:
                found.append(int(folder.name))
        return found

    def secret(self, name: str) -> list[str]:
        """The option that names a file with a passphrase."""
        return [
            "--login-passphrase-file" if name == "login" else "--passphrase-file",
            str(self.near / f"{name}.txt"),
        ]

    def call(self, *words: str, login: bool = True) -> list[str]:
        """A command line of `deleatur remote` for the job."""
        return [
            str(DELEATUR),
            "remote",
            words[0],
            str(self.job),
            *words[1:],
            *(self.secret("login") if login else []),
        ]

    def remote(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `deleatur remote`."""
        return subprocess.run(self.call(*words), capture_output=True, text=True, check=False, cwd=self.near)

    def planned(self) -> None:
        """Plan there, approve here."""
        run = self.remote("plan", "--json", *self.secret("agent"))
        assert run.returncode == 0, run.stdout + run.stderr
        self.approve()

    def approve(self, name: str = "alice") -> None:
        """Approve the plan that was fetched, with a key that stays here."""
        digest = hashlib.sha256((self.job / "plan.json").read_bytes()).hexdigest()
        words = [str(DELEATUR), "approve", str(self.job), "--key", str(self.near / f"keys/{name}.key")]
        subprocess.run([*words, "--digest", digest, *self.secret("alice")], check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def key_for_ssh(path: Path, passphrase: str) -> None:
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(words, check=True)


@contextmanager
def office(folder: Path, target_bytes: int = 100_000) -> Iterator[Office]:
    """Make both sides and start sshd."""
    near, far = folder / "near", folder / "far"
    passphrases = {name: secrets.token_hex(8) for name in ("agent", "alice", "login")}
    for made in (near / "job", far / "jobs", far / "exports"):
        made.mkdir(parents=True)
    make_settings(near, "ed25519", b"unused")
    add_approver_key(near, "alice", "ed25519", passphrases["alice"].encode())
    make_settings(far, "ed25519", passphrases["agent"].encode())
    add_approver_public(far, near / "keys" / "alice.pub")
    shutil.copy(far / "keys" / "agent.pub", near / "agent.pub")
    for name, secret in passphrases.items():
        (near / f"{name}.txt").write_text(secret + "\n")
    key_for_ssh(far / "host_key", "")
    key_for_ssh(near / "login", passphrases["login"])
    (far / "exports" / "list.csv").write_bytes(b"".join(b"%09d\n" % n for n in range(target_bytes // 10)))
    (near / "job" / "job.toml").write_text(JOB.format(target=far / "exports"))
    port = free_port()
    (far / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {far / 'host_key'}\nPidFile none\n"
        f"AuthorizedKeysFile {near / 'login.pub'}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nAllowAgentForwarding yes\nLogLevel DEBUG1\nSetEnv HOME={far}\n"
    )
    made = Office(near, far, port, passphrases, log=far / "sshd.log")
    made.write_host()
    made.start()
    try:
        yield made
    finally:
        made.stop()
        for worker in made.workers():
            os.kill(worker, 9)
