"""Run a function in a child process under strace, which counts, kills or fails its system calls.

The child is forked from here, so nothing is imported again, and waits until strace is attached: the
calls that strace counts are those of the function, from its first one on.
"""

import os
import re
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "fsync,fdatasync,sync_file_range,write,writev,pwrite64,pwritev,pwritev2,fallocate,ftruncate,truncate,"
    "rename,renameat,renameat2,link,linkat,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "setxattr,fsetxattr,removexattr,fremovexattr,fchmod,fchown"
)


@dataclass(frozen=True)
class Ended:
    """How a traced run ended."""

    killed: bool
    error: str  # name and text of the exception that ended the run; "" if none did


def traced(run: Callable[[], None], *options: str) -> Ended:
    """Fork, attach strace with `options`, run, and tell how it ended."""
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        _run_and_exit(run, there)
    there.close()
    strace = subprocess.Popen(["strace", "-f", "-p", str(child), *options], stderr=subprocess.PIPE, text=True)
    assert strace.stderr is not None
    attached = strace.stderr.readline()
    assert "attached" in attached, attached
    here.sendall(b"go")
    _, status = os.waitpid(child, 0)
    strace.communicate(timeout=60)
    said = b"".join(iter(lambda: here.recv(1 << 16), b""))
    here.close()
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or said, f"the child ended with wait status {status}"
    return Ended(killed, said.decode()[1:])


def counted(run: Callable[[], None], log: Path) -> list[tuple[str, int]]:
    """Run, and return each call (name, number) that can be injected.

    strace counts for each thread by itself, so where several threads call, the numbers are those
    of the busiest.
    """
    ended = traced(run, "-o", str(log), "-e", f"trace={CALLS}")
    assert not ended.killed
    assert not ended.error, ended.error
    each = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE))
    most: Counter[str] = Counter()
    for (_, call), number in each.items():
        most[call] = max(most[call], number)
    return [(call, n) for call in sorted(most) for n in range(1, most[call] + 1)]


def injected(run: Callable[[], None], call: str, number: int, fault: str) -> Ended:
    """Run with `fault`, such as `signal=KILL` or `error=EIO`, at the call of that number."""
    inject = f"inject={call}:{fault}:when={number}"
    return traced(run, "-o", "/dev/null", "-e", f"trace={call}", "-e", inject)


def _run_and_exit(run: Callable[[], None], parent: socket.socket) -> None:
    error = ""
    try:
        parent.recv(2)
        run()
    except BaseException as raised:  # noqa: BLE001 - the child has no caller; the parent is told
        error = f"{type(raised).__name__}: {raised}"
    finally:
        parent.sendall(b"." + error.encode())
        os._exit(0)
