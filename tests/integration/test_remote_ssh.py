"""A whole job on another host by a real sshd: it survives cut connections, and no secret leaves its place."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deleatur.archive import new_identity
from deleatur.engine.setup import add_approver_key, add_approver_public

from .ssh_host import DELEATUR, Office, key_for_ssh, office

pytestmark = pytest.mark.root  # sshd of another user than root lets nobody else in

ARCHIVED = """schema = "deleatur/job/v1"
name = "orders"
reason = "other"
authority = "decision 8"
requested_by = "operator"
[custody]
retain_until = "2036-12-31"
[[custody.custodian]]
name = "records"
recipient = "{records}"
[[custody.custodian]]
name = "board"
recipient = "{board}"
[[target]]
id = "shop"
url = "sqlite://{shop}"
[[target.select]]
table = "orders"
[[target.archive]]
table = "orders"
[target.archive.columns]
id = {{ rule = "drop" }}
text = {{ rule = "mask" }}
"""

SMALL = """#!{python}
from deleatur.engine.remote import serving
whole = serving.FarEnd._piece
def piece(self, name, offset):
    serving.MAX_PIECE = 256 if name.startswith("archive/") else 4 << 20
    return whole(self, name, offset)
serving.FarEnd._piece = piece
from deleatur.cli import main
main()
"""


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as made:
        yield made


def wait_for(what: Callable[[], object], worker: subprocess.Popen[bytes]) -> None:
    """Wait for something that must come while a process lives."""
    while not what():
        assert worker.poll() is None
        time.sleep(0.01)


class Watch(threading.Thread):
    """Look at the command lines and environments of all processes until it is told to stop."""

    def __init__(self) -> None:
        super().__init__()
        self.stop = threading.Event()
        self.seen: set[bytes] = set()
        self.looks = 0

    def run(self) -> None:
        while not self.stop.wait(0.02):
            self.looks += 1
            for folder in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        self.seen.add((folder / name).read_bytes())
                    except OSError:
                        continue


def test_a_whole_job_and_no_secret_where_it_does_not_belong(there: Office) -> None:
    watch = Watch()
    watch.start()
    control = subprocess.Popen([sys.executable, "-c", "input()", "planted-in-argv"], stdin=subprocess.PIPE)
    wait_for(lambda: any(b"planted-in-argv" in words for words in watch.seen), control)
    there.planned()
    run = there.remote("run", *there.secret("agent"))
    control.communicate(b"\n")
    watch.stop.set()
    watch.join()
    assert run.returncode == 0, run.stdout + run.stderr
    assert not (there.far / "exports").exists()
    checked = subprocess.run(
        [DELEATUR, "verify", there.job / "certificate", "--key", there.near / "agent.pub"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout.startswith("valid: ")
    assert any(b"remote\0serve" in words for words in watch.seen)
    assert watch.looks > 20
    for secret in there.secrets.values():
        assert not [words for words in watch.seen if secret.encode() in words]
        holding = [
            path
            for path in [*there.near.rglob("*"), *there.far.rglob("*")]
            if path.is_file() and path.parent != there.near and secret.encode() in path.read_bytes()
        ]
        assert holding == []
        assert secret not in run.stdout + run.stderr
    assert b"PRIVATE KEY" not in b"".join(
        path.read_bytes() for path in there.far_job.rglob("*") if path.is_file()
    )
    log = there.log.read_text()
    assert "server_input_channel_req" in log  # DEBUG1 lists every request of a session
    assert " request exec " in log
    assert "auth-agent-req" not in log


def test_cut_connections_and_a_host_that_is_away_do_not_stop_the_work(there: Office) -> None:
    there.planned()
    with (there.near / "out").open("wb") as out:
        near = subprocess.Popen(there.call("run", *there.secret("agent")), stdout=out, stderr=out)
    journal = there.far_job / "journal.jsonl"
    wait_for(lambda: journal.exists() and journal.stat().st_size, near)
    (worker,) = there.workers()
    os.kill(worker, signal.SIGSTOP)  # so that it is in the midst for as long as we need
    before = journal.read_bytes()
    there.cut()
    said = there.near / "out"
    wait_for(lambda: b"trying again" in said.read_bytes(), near)
    wait_for(lambda: b"connected to 127.0.0.1 again" in said.read_bytes(), near)
    there.stop()
    wait_for(lambda: said.read_bytes().count(b"cannot be reached") >= 1, near)
    assert there.workers() == [worker]
    near.send_signal(signal.SIGTERM)  # as Ctrl-C, which a shell may have its children ignore
    assert near.wait() == 130
    assert b"goes on: `deleatur remote follow" in said.read_bytes()
    there.start()
    os.kill(worker, signal.SIGCONT)
    follow = there.remote("follow")
    assert follow.returncode == 0, follow.stdout + follow.stderr
    assert (there.job / "certificate" / "certificate.dsse.json").exists()
    after = (there.job / "journal.jsonl").read_bytes()
    assert after == journal.read_bytes()
    assert after.startswith(before)
    assert after.count(b'"kind":"started"') == 1  # it was never begun again


def test_killed_work_is_gone_on_with(there: Office) -> None:
    there.planned()
    near = subprocess.Popen(
        there.call("run", *there.secret("agent")), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    journal = there.far_job / "journal.jsonl"
    wait_for(lambda: journal.exists() and journal.stat().st_size, near)
    (worker,) = there.workers()
    os.kill(worker, signal.SIGKILL)
    assert near.wait() == 6  # it ended without a word
    run = there.remote("run", *there.secret("agent"))
    assert run.returncode == 0, run.stdout + run.stderr
    assert b'"resumed":true' in (there.job / "journal.jsonl").read_bytes()


def test_another_host_key_login_or_program_is_refused_and_nothing_is_sent(there: Office) -> None:
    other = there.near / "other_host"
    key_for_ssh(other, "")
    kind, blob = other.with_suffix(".pub").read_text().split()[:2]
    ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY="
    stranger = there.near / "stranger"
    key_for_ssh(stranger, there.secrets["login"])
    older = there.near / "older"
    older.write_text(
        f"#!{sys.executable}\nimport deleatur\ndeleatur.__version__ = '0.0.9'\n"
        "from deleatur.cli import main\nmain()\n"
    )
    altered = there.near / "altered"
    altered.write_text(
        f"#!{sys.executable}\nfrom deleatur.engine import registry\n"
        "registry._urlsafe = lambda content: 'another'\nfrom deleatur.cli import main\nmain()\n"
    )
    for path in (older, altered):
        path.chmod(0o755)
    for changed, why in (
        ({"host_key": f"{kind} {blob}"}, "nothing was sent: ask whoever runs it"),
        ({"host_key": ecdsa}, "shows no ecdsa-sha2-nistp256 key"),
        ({"login": "../stranger"}, "does not let"),
        ({"program": "/nonexistent/deleatur"}, "ended with 127"),
        ({"program": "/bin/echo"}, "no deleatur of this version"),
        ({"program": str(older)}, "is '0.0.9', here it is"),
        ({"program": str(altered)}, "other files than here"),
    ):
        there.write_host(**changed)
        run = there.remote("plan", *there.secret("agent"))
        assert run.returncode == 4, run.stdout + run.stderr
        assert why in run.stderr
        assert run.stderr.count("\n") == 1
    assert not there.far_job.exists()
    there.write_host()
    assert there.remote("show").returncode == 0


def test_an_agent_logs_in_by_wish_and_only_then(there: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    held = there.near / "held"
    shutil.copy(there.near / "login", held)
    held.chmod(0o600)
    subprocess.run(
        ["ssh-keygen", "-q", "-p", "-P", there.secrets["login"], "-N", "", "-f", str(held)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    socket = there.near / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        wait_for(socket.exists, agent)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", str(held)], check=True, stderr=subprocess.DEVNULL)
        there.write_host(login="ssh-agent")
        assert there.remote("show").returncode == 0
        key_for_ssh(there.near / "stranger", there.secrets["login"])
        there.write_host(login="../stranger")  # the agent has the right key, and is not asked
        assert there.remote("show").returncode == 4
    finally:
        agent.kill()
        agent.wait()
    assert "auth-agent-req" not in there.log.read_text()


def test_a_host_that_comes_back_with_another_key_is_refused_and_the_work_goes_on(there: Office) -> None:
    there.planned()
    with (there.near / "out").open("wb") as out:
        near = subprocess.Popen(there.call("run", *there.secret("agent")), stdout=out, stderr=out)
    journal = there.far_job / "journal.jsonl"
    wait_for(lambda: journal.exists() and journal.stat().st_size, near)
    (worker,) = there.workers()
    os.kill(worker, signal.SIGSTOP)
    near.send_signal(signal.SIGSTOP)
    there.stop()
    (there.far / "host_key").rename(there.far / "true_key")
    key_for_ssh(there.far / "host_key", "")
    there.start()
    near.send_signal(signal.SIGCONT)
    assert near.wait() == 4
    assert b"nothing was sent: ask whoever runs it" in (there.near / "out").read_bytes()
    assert there.workers() == [worker]
    there.stop()
    (there.far / "true_key").rename(there.far / "host_key")
    there.start()
    os.kill(worker, signal.SIGCONT)
    follow = there.remote("follow")
    assert follow.returncode == 0, follow.stdout + follow.stderr


def test_archives_come_over_a_connection_that_is_cut(there: Office) -> None:
    shop = there.far / "shop.sqlite"
    with closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany(
            "INSERT INTO orders (text) VALUES (?)", ((f"order {n} of {n * 7919}",) for n in range(2000))
        )
    by_small_pieces = there.far / "deleatur"
    by_small_pieces.write_text(SMALL.format(python=sys.executable))
    by_small_pieces.chmod(0o755)
    there.write_host(program=str(by_small_pieces))
    (there.job / "job.toml").write_text(
        ARCHIVED.format(shop=shop, records=new_identity()[1], board=new_identity()[1])
    )
    add_approver_key(there.near, "bob", "ed25519", there.secrets["alice"].encode())
    add_approver_public(there.far, there.near / "keys" / "bob.pub")
    there.planned()
    there.approve("bob")
    run = there.remote("run", *there.secret("agent"))
    assert run.returncode == 0, run.stdout + run.stderr
    (sealed,) = (there.far_job / "archive").glob("*.tar.age")
    with (there.near / "out").open("wb") as out:
        near = subprocess.Popen(there.call("fetch"), stdout=out, stderr=out)
    partial = there.job / "archive" / f".{sealed.name}.fetched"
    wait_for(lambda: partial.exists() and partial.stat().st_size, near)
    near.send_signal(signal.SIGSTOP)
    assert 0 < partial.stat().st_size < sealed.stat().st_size
    there.cut()
    near.send_signal(signal.SIGCONT)
    assert near.wait() == 0, (there.near / "out").read_text()
    said = (there.near / "out").read_text()
    assert "connected to 127.0.0.1 again" in said
    assert f"fetched: {there.job / 'archive' / sealed.name}" in said
    for path in (there.far_job / "archive").iterdir():
        assert (there.job / "archive" / path.name).read_bytes() == path.read_bytes()
    subprocess.run(
        ["sha256sum", "--check", "--quiet", f"{sealed.name.removesuffix('.tar.age')}.sha256"],
        cwd=there.job / "archive",
        check=True,
    )
