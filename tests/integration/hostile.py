"""An agent for tests of the command line: its keys, its jobs, and the real program in processes of its own.

`run` starts the installed `deleatur`. `fork` runs the same `main` in a fork of the test's process,
which saves the start and allows thousands of hostile inputs. Both are checked against what the
reference promises of every end: a documented code, one line of error, nothing that drives a terminal.
"""

import json
import os
import re
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

import deleatur.cli.ending  # what a fork needs is loaded once, here
import deleatur.engine.jobs  # noqa: F401
import deleatur_plugins.file
import deleatur_plugins.sqlite  # noqa: F401
from deleatur.cli import main
from deleatur.testing.workbench import signing_key
from deleatur.trust.keys import public_pem

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("deleatur")
_TABLE = (ROOT / "docs/reference/exit-codes.md").read_text("utf-8").partition("<!-- end -->")[0]
CODES = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", _TABLE, re.MULTILINE)}
CODES["Usage"] = 2  # the page says so below its table
PASSPHRASE = b"a passphrase of the tests"
ERROR = re.compile(r"deleatur: (\w+): ([^\n]+)\n")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def checked(self) -> "Ended":
        """Assert what the reference promises of every command; return itself."""
        said = f"{self}"
        assert self.code in {0, *CODES.values()}, said
        for text in (self.out, self.err):
            assert "Traceback" not in text, said
            assert 'File "' not in text, said
            assert not [c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs")], said
        if self.code and not self.out.startswith("{"):
            last = self.err.splitlines(keepends=True)[-1:]
            found = ERROR.fullmatch("".join(last))
            assert found is not None, said
            named = {name.lower(): code for name, code in CODES.items()}
            assert named[found[1]] == self.code, said
        return self

    def json(self) -> dict[str, Any]:
        """Return the one JSON object on standard output."""
        assert self.out.count("\n") == 1, self
        answer = json.loads(self.out)
        assert isinstance(answer, dict), self
        if self.code:
            assert answer.keys() == {"error", "text", "exit_code"}, self
            assert (answer["exit_code"], CODES[answer["error"]]) == (self.code, self.code), self
        return answer


class Agent:
    """A folder with settings, keys that open fast, and whatever a test puts beside them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "keys").mkdir(parents=True)
        for number, name in enumerate(("agent", "alice", "bob"), 1):
            key = signing_key(name, number)
            (folder / f"keys/{name}.pub").write_bytes(public_pem(key.public))
            (folder / f"keys/{name}.key").write_bytes(
                wrapped(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32))
            )
        (folder / "passphrase").write_bytes(PASSPHRASE + b"\n")
        (folder / "deleatur.toml").write_text(
            'schema = "deleatur/agent/v1"\n[keys]\nagent = "keys/agent.key"\n'
            'approvers = ["keys/alice.pub", "keys/bob.pub"]\n'
        )
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "DELEATUR_PASSPHRASE_FILE": str(folder / "passphrase"),
            "DELEATUR_SETTINGS": str(folder / "deleatur.toml"),
        }

    def start(self, *arguments: str | bytes | Path, **options: Any) -> "subprocess.Popen[bytes]":
        """Start the installed program and return its process."""
        environment = self.environment | options.pop("env", {})
        defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([PROGRAM, *arguments], cwd=self.folder, env=environment, **defaults | options)

    def run(
        self, *arguments: str | bytes | Path, given: bytes | None = None, env: Mapping[str, str] = {}
    ) -> Ended:
        """Run the installed program to its end."""
        stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
        with self.start(*arguments, stdin=stdin, env=dict(env)) as process:
            out, err = process.communicate(given, timeout=60)
        return Ended(process.returncode, out.decode(), err.decode()).checked()

    def fork(
        self, *arguments: str | bytes | Path, given: bytes | None = None, env: Mapping[str, str] = {}
    ) -> Ended:
        """Run the same program in a fork of this process."""
        read_out, write_out = os.pipe()
        read_err, write_err = os.pipe()
        read_in, write_in = os.pipe()
        os.write(write_in, given or b"")  # a few lines each: no pipe fills up
        os.close(write_in)
        child = os.fork()
        if child == 0:
            environment = self.environment | dict(env)
            self._become((read_in, write_out, write_err), [os.fsdecode(a) for a in arguments], environment)
        for descriptor in (read_in, write_out, write_err):
            os.close(descriptor)
        with os.fdopen(read_err, "rb") as err, os.fdopen(read_out, "rb") as out:
            said = out.read().decode(), err.read().decode()
        return Ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), *said).checked()

    def _become(
        self, streams: tuple[int, int, int], arguments: list[str], environment: Mapping[str, str]
    ) -> None:
        """Be the program, in a child that never returns."""
        code = 99
        try:
            signal.alarm(60)
            for number, descriptor in enumerate(streams):
                os.dup2(descriptor, number)
            os.chdir(self.folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["deleatur", *arguments]
            sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
            main()
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 98
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def job(self, name: str, text: str) -> Path:
        """Make a job directory from the text of a job.toml, the head left to us."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        (path / "job.toml").write_text(text if text.startswith("schema") else HEAD + text, encoding="utf-8")
        return path

    def planned(self, name: str, text: str) -> Path:
        """Make a job, plan it and approve it as often as its policy asks."""
        job = self.job(name, text)
        assert self.fork("plan", job, "--json").code == 0
        digest = self.fork("status", job, "--json").json()["plan"]
        for who in ("alice", "bob"):
            assert (
                self.fork("approve", job, "--key", f"keys/{who}.key", "--digest", digest, "--json").code == 0
            )
        return job


HEAD = """\
schema = "deleatur/job/v1"
name = "hostile"
reason = "other"
authority = "a test"
requested_by = "tester"
"""


def file_target(path: str | Path) -> str:
    """Return the part of a job.toml that names one file or folder."""
    return f'[[target]]\nid = "files"\nurl = "file://{path}"\n'


def wrapped(private: Any) -> bytes:
    """Return a private key as PKCS#8 under the passphrase of the tests, quick to open."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE))


def content_of(folder: Path, *, but: Iterable[str] = ()) -> dict[str, bytes]:
    """Return every file below a folder, links by their goal, so that two looks can be compared."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.fsencode(os.readlink(path))
        elif path.is_file() and name not in but:
            found[name] = path.read_bytes()
    return found
