"""Signals, closed streams, odd terminals, prompts: one line, a documented code, a job to resume."""

import json
import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deleatur.cli.group import COMMANDS
from deleatur.testing.workbench import signing_key
from deleatur.trust.dsse import IN_TOTO, decode_envelope, seal

from .hostile import PASSPHRASE, PROGRAM, Agent, Ended, file_target

NASTY = "\x1b[31m\x9b2J\u202e\u200e\n[red]:zap:\\"
HEAVY = (
    "rich",
    "msgspec",
    "cryptography",
    "pyarrow",
    "pluggy",
    "deleatur.engine",
    "deleatur.documents",
    "ssl",
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    return Agent(tmp_path_factory.mktemp("hostile") / "agent")


@pytest.fixture(scope="module")
def approved(agent: Agent) -> Path:
    """An approved job that nobody runs."""
    (agent.folder / "goal").write_text("precious")
    return agent.planned("approved", file_target(agent.folder / "goal"))


@pytest.fixture(scope="module")
def certified(agent: Agent) -> Path:
    """A job that has been run to its certificate."""
    (agent.folder / "done").write_text("precious")
    job = agent.planned("certified", file_target(agent.folder / "done"))
    assert agent.fork("run", job, "--json").code == 0
    return job


def test_help_loads_nothing_that_takes_long(agent: Agent) -> None:
    code = "import sys; sys.argv = ['deleatur', '--help']; from deleatur.cli.ending import run; run()"
    shown = f"{code}; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "deleatur.cli.group" in loaded
    assert [name for name in HEAVY if name in loaded] == []


# --- signals ----------------------------------------------------------------------------------------


def wait_for(happened: Any, process: "subprocess.Popen[bytes]") -> None:
    """Wait until something happened or the process has ended."""
    while process.poll() is None and not happened():
        time.sleep(0.001)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_any_signal_at_any_moment_leaves_a_job_that_can_be_resumed(agent: Agent, tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.mkdir()
    for number in range(40):
        (goal / f"{number}").write_bytes(os.urandom(300_000))
    job = agent.planned(str(tmp_path / "job"), file_target(goal))
    chance, interrupted = random.Random(7), 0
    for turn in range(7):
        number = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)[turn % 3]
        process = agent.start("resume" if (job / "journal.jsonl").exists() else "run", job, "--json")
        maps = Path(f"/proc/{process.pid}/maps")
        wait_for(lambda maps=maps: "_rust" in maps.read_text(), process)  # it loads what it needs
        if turn > 1:
            wanted = lines(job / "journal.jsonl") + chance.randint(1, 6)
            wait_for(lambda wanted=wanted: lines(job / "journal.jsonl") >= wanted, process)
            time.sleep(chance.uniform(0, 0.02))
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        ended = Ended(process.returncode, out.decode(), err.decode()).checked()
        assert ended.code in (130, 0), ended
        answer = ended.json()
        if ended.code == 0:
            break
        assert answer["error"] == "Interrupted"
        interrupted += 1
    assert interrupted >= 3
    assert agent.fork("resume", job).code == 0
    assert not goal.exists()
    assert agent.fork("verify", job / "certificate", "--key", "keys/agent.pub").code == 0


# A command whose destructor meets a stop, or fails: nothing can be raised out of a destructor.
DESTRUCTOR = """
import os, signal, sys, time
import deleatur.cli, deleatur.cli.ending

class Held:
    def __del__(self):
        {happens}

def run():
    Held()
    time.sleep(5)
    return 0

deleatur.cli.ending.run = run
deleatur.cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_that_a_destructor_swallows_comes_again(number: signal.Signals) -> None:
    program = DESTRUCTOR.format(happens=f"os.kill(os.getpid(), {int(number)})")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert Ended(ended.returncode, ended.stdout, ended.stderr).checked().code == 130


def test_what_a_destructor_raises_is_told_without_what_it_quotes() -> None:
    program = DESTRUCTOR.format(happens="raise ValueError('Ada Lovelace')").replace("5", "0")
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert ended.stderr == "deleatur: Failed: a defect of deleatur: ValueError; please report it\n"
    assert ended.returncode == 0


def test_a_signal_that_the_caller_ignores_stays_ignored(agent: Agent, certified: Path) -> None:
    process = agent.start(
        "verify", certified / "certificate", "--key", "keys/agent.pub", preexec_fn=ignore_hangup
    )
    maps = Path(f"/proc/{process.pid}/maps")
    wait_for(lambda: "_rust" in maps.read_text(), process)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 0


def ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


# --- streams ----------------------------------------------------------------------------------------


def printing(approved: Path, certified: Path) -> list[list[str]]:
    """Return commands that print, each with its arguments."""
    certificate = str(certified / "certificate")
    return [
        ["--help"],
        ["nonsense"],
        ["status", str(approved)],
        ["status", str(approved), "--json"],
        ["show", certificate],
        ["show", certificate, "--json"],
        ["verify", certificate, "--key", "keys/agent.pub"],
        ["verify", certificate, "--key", "keys/bob.pub", "--json"],
        ["plugins"],
    ]


def test_output_that_nobody_reads_ends_in_a_documented_code(
    agent: Agent, approved: Path, certified: Path
) -> None:
    for arguments in printing(approved, certified):
        reading, writing = os.pipe()
        os.close(reading)
        process = agent.start(*arguments, stdout=writing)
        os.close(writing)
        _, err = process.communicate(timeout=30)
        ended = Ended(process.returncode, "", err.decode())
        assert ended.code in (2, 4, 8), (arguments, ended)
        assert ended.err.count("\n") <= 1, (arguments, ended)
        assert "Traceback" not in ended.err
        writing = open_broken()
        process = agent.start(*arguments, stderr=subprocess.STDOUT, stdout=writing)
        os.close(writing)
        process.communicate(timeout=30)
        assert process.returncode in (2, 4, 8), arguments


def open_broken() -> int:
    """Return the writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def close_all() -> None:
    for descriptor in (0, 1, 2):
        os.close(descriptor)


def test_a_job_runs_with_every_standard_stream_closed(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "goal").write_text("precious")
    job = agent.planned(str(tmp_path / "job"), file_target(tmp_path / "goal"))
    process = agent.start("run", job, preexec_fn=close_all)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert agent.fork("verify", job / "certificate", "--key", "keys/agent.pub").code == 0
    assert b"deleatur" not in (job / "journal.jsonl").read_bytes().split(b"{", 1)[0]


def test_a_job_goes_on_when_nobody_reads_its_progress(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "goal").write_text("precious")
    job = agent.planned(str(tmp_path / "job"), file_target(tmp_path / "goal"))
    process = agent.start("run", job, stderr=open_broken())
    process.communicate(timeout=30)
    assert (process.returncode, (tmp_path / "goal").exists()) == (0, False)


def test_a_full_output_is_an_error_in_one_line(agent: Agent, certified: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = agent.start("show", certified / "certificate", stdout=full)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.count(b"\n")) == (2, 1), err
    assert b"No space left" in err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16", "cp1252"])
def test_any_encoding_of_the_terminal_is_printed_to(agent: Agent, certified: Path, encoding: str) -> None:
    process = agent.start("show", certified / "certificate", env={"PYTHONIOENCODING": encoding})
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, b"")
    assert "certificate of erasure" in out.decode(encoding)


# --- terminals --------------------------------------------------------------------------------------


def on_terminal(agent: Agent, *arguments: str | Path, typed: bytes = b"", **env: str) -> Ended:
    """Run the program on a terminal of its own, type into it, and return what it showed."""
    environment = agent.environment | {"TERM": "xterm", **env}
    environment = {name: value for name, value in environment.items() if value}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(agent.folder)
        os.execve(PROGRAM, ["deleatur", *map(str, arguments)], environment)
    shown, waiting = b"", typed.splitlines(keepends=True)
    while True:
        ready, _, _ = select.select([terminal], [], [], 30)
        try:
            part = os.read(terminal, 1 << 16) if ready else b""
        except OSError:  # the terminal closes with its last user
            part = b""
        if not part:
            break
        shown += part
        if waiting and shown.endswith(b": "):
            os.write(terminal, waiting.pop(0))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(terminal)
    return Ended(code, shown.decode().replace("\r\n", "\n"), "")


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(agent: Agent, certified: Path, env: dict[str, str]) -> None:
    commands = (
        ["show", certified / "certificate"],
        ["status", certified],
        ["plugins"],
        ["status", "nowhere"],
    )
    for command in commands:
        ended = on_terminal(agent, *command, **env)
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]", ended.out), ended
        assert "\x1b[" not in ended.out or "TERM" not in env, ended
    assert "\x1b[31m" in on_terminal(agent, "status", "nowhere").out


@pytest.mark.parametrize("columns", ["40", "1", "10000"])
def test_a_terminal_of_any_width(agent: Agent, approved: Path, certified: Path, columns: str) -> None:
    commands = (["show", certified / "certificate"], ["status", approved], ["plugins"], ["--help"])
    for command in commands:
        ended = agent.fork(*command, env={"COLUMNS": columns})
        assert ended.code == 0, ended
        if columns == "40" and command != ["--help"]:
            assert max(map(len, ended.out.splitlines())) <= 40, ended.out


def test_progress_on_a_terminal_ends_with_the_cursor_shown(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "goal").write_bytes(os.urandom(1 << 20))
    job = agent.planned(str(tmp_path / "job"), file_target(tmp_path / "goal"))
    ended = on_terminal(agent, "run", job)
    assert ended.code == 0
    assert ended.out.rfind("\x1b[?25h") >= ended.out.rfind("\x1b[?25l")
    assert "certificate: " in ended.out


# --- prompts ----------------------------------------------------------------------------------------


def test_an_approval_needs_somebody_who_answers(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "goal").write_text("precious")
    job = agent.job(str(tmp_path / "job"), file_target(tmp_path / "goal"))
    digest = agent.fork("plan", job, "--json").json()["sha256"]
    wrong = [None, b"", b"\n\n", b"hostile", b"hostile\n", b"hostile\n00000000\n", b"HOSTILE\n", bytes(9000)]
    for given in (*wrong, b"\xff\xfe\n", b"hostile\n" + digest[:7].encode() + b"\n"):
        ended = agent.fork("approve", job, "--key", "keys/alice.key", given=given)
        assert ended.code == 4, (given, ended)
        assert agent.fork("approve", job, "--key", "keys/alice.key", "--json", given=given).json()
        assert not (job / "approvals").exists()
    for given in ("", "sha256:", digest[:8], digest.upper(), digest[:-1], f"sha512:{digest}", "x" * 9000):
        ended = agent.fork("approve", job, "--key", "keys/alice.key", "--digest", given)
        assert ended.code == 4, (given, ended)
    right = b"hostile\n" + digest[:8].encode() + b"\n"
    assert agent.fork("approve", job, "--key", "keys/alice.key", given=right).code == 0


def test_a_passphrase_is_asked_for_on_the_terminal_only(agent: Agent, tmp_path: Path) -> None:
    (tmp_path / "goal").write_text("precious")
    job = agent.job(str(tmp_path / "job"), file_target(tmp_path / "goal"))
    without = {"DELEATUR_PASSPHRASE_FILE": ""}
    for given in (None, PASSPHRASE + b"\n"):
        ended = agent.run("plan", job, given=given, env=without)
        assert ended.code == 4
        assert "--passphrase-file" in ended.err
    for typed, code in ((b"wrong\n", 4), (b"\n", 4), (b"\x04", 4), (b"\x03", 130), (PASSPHRASE + b"\n", 0)):
        ended = on_terminal(agent, "plan", job, typed=typed, **without)
        assert ended.code == code, (typed, ended)
        assert "Traceback" not in ended.out
        assert PASSPHRASE.decode() not in ended.out


# --- what is printed --------------------------------------------------------------------------------


def test_a_forged_certificate_drives_no_terminal(agent: Agent, certified: Path, tmp_path: Path) -> None:
    envelope = (certified / "certificate/certificate.dsse.json").read_bytes()
    statement = json.loads(decode_envelope(envelope).payload)
    forged = tmp_path / "certificate.dsse.json"
    shown = 0
    fields = {tuple(k for k in place if isinstance(k, str)): place for place in texts(statement, ())}
    for place in fields.values():
        changed = json.loads(json.dumps(statement))
        node = changed
        for key in place[:-1]:
            node = node[key]
        node[place[-1]] += NASTY
        payload = json.dumps(changed, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        forged.write_bytes(seal(payload, IN_TOTO, [signing_key("agent", 1)]))
        ended = agent.fork("show", forged)
        assert ended.code in (0, 8), ended
        if r"\x1b[31m\x9b2J\u202e\u200e\n[red]:zap:" in re.sub(r"\s*│\n│ *", "", ended.out):
            shown += 1
    assert shown >= 5


def texts(node: Any, place: tuple[Any, ...]) -> Any:
    """Yield the path of every text of a document."""
    if isinstance(node, str):
        yield place
    elif isinstance(node, dict | list):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from texts(child, (*place, key))


def test_what_the_caller_names_is_escaped_in_errors(agent: Agent) -> None:
    odd = b"\x1b[31m\xff\n\xe2\x80\xae[red]"
    for arguments in (
        [b"plan", odd],
        [b"run", b"--settings", odd, b"."],
        [b"verify", b".", b"--key", odd],
        [b"verify", odd, b"--key", b"keys/agent.pub"],
        [b"show", odd],
        [b"erase", odd, b"--job", b"new", b"--approver-key", odd],
        [b"plugin", b"new", odd],
        [b"completion", odd],
        [b"init", b".", b"--approver", odd],
        [b"demo", b"new", b"--customers", odd],
        [odd],
        [b"--" + odd],
        [b"plan", b"--passphrase-file", odd, b"."],
    ):
        for more in ([], [b"--json"]):
            ended = agent.fork(*arguments, *more)
            assert ended.code in (2, 4, 8), (arguments, ended)
            if more and arguments[0] != b"completion":
                ended.json()


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "..", "", "a b", "A", "1a", "class", "file", "x" * 31, "a.b", "a\n", "ä", "-r"]
)
def test_a_plugin_name_that_could_be_a_path_writes_nothing(agent: Agent, tmp_path: Path, name: str) -> None:
    ended = agent.fork("plugin", "new", "--folder", tmp_path / "new", "--json", "--", name)
    assert ended.code == 4, ended
    assert list(tmp_path.iterdir()) == []


def test_json_of_every_command_is_one_object(agent: Agent, approved: Path, tmp_path: Path) -> None:
    (tmp_path / "goal").write_text("precious")
    (tmp_path / "other").write_text("precious")
    job = agent.job(str(tmp_path / "job"), file_target(tmp_path / "goal"))
    digest = agent.fork("plan", job, "--json").json()["sha256"]
    assert agent.fork("approve", job, "--key", "keys/bob.key", "--digest", digest, "--json").json()
    assert agent.fork("approve", job, "--key", "keys/alice.key", "--digest", digest, "--json").json()
    certificate = str(job / "certificate")
    good: dict[str, list[Any]] = {
        "plan": [agent.job(str(tmp_path / "again"), file_target(tmp_path / "other"))],
        "run": [job],
        "resume": [job],
        "status": [job],
        "verify": [certificate, "--key", "keys/agent.pub"],
        "show": [certificate],
        "plugins": [],
        "selftest": [],
        "init": [tmp_path / "init"],
        "demo": [tmp_path / "demo", "--customers", "40"],
    }
    for command, arguments in good.items():
        ended = agent.fork(command, *arguments, "--json")
        assert (ended.code, bool(ended.json())) == (0, True), ended
    ended = agent.fork("plugin", "new", "example", "--folder", tmp_path, "--json")
    assert (ended.code, len(ended.json()["files"])) == (0, 6)
    assert {*good, "plugin", "approve", "erase", "completion"} <= set(COMMANDS)
    for command in COMMANDS:
        ended = agent.fork(command, "--nonsense", "--json")
        assert (ended.code, ended.json()["error"]) == (2, "Usage")


def test_the_short_way_asks_and_prints_one_object(agent: Agent, tmp_path: Path) -> None:
    goal = tmp_path / "goal"
    goal.write_text("precious")
    call = ["erase", f"file://{goal}", "--approver-key", "keys/alice.key", "--json", "--job"]
    for given in (None, b"erase\n", b"erase\n00000000\n"):
        ended = agent.run(*call, tmp_path / f"job-{given!r}", given=given)
        assert (ended.code, goal.exists()) == (4, True)
        assert ended.json()
    process = agent.start(*call, tmp_path / "job", stdin=subprocess.PIPE)
    plan = tmp_path / "job/plan.json"
    wait_for(plan.exists, process)
    digest = subprocess.run(["sha256sum", plan], capture_output=True, text=True, check=True).stdout
    out, err = process.communicate(f"erase\n{digest[:8]}\n".encode(), timeout=60)
    ended = Ended(process.returncode, out.decode(), err.decode()).checked()
    assert (ended.code, goal.exists(), ended.json()["state"]) == (0, False, "certified")
    assert "plan of erase" in ended.err
    assert agent.run(*call, tmp_path / "job", given=b"").code == 4
