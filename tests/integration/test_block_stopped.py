"""Stop the agent in the midst of an overwrite, as `kill -STOP` or a debugger does, and let it go on."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deleatur.sanitize.patterns import laid
from deleatur.testing.workbench import Workbench

from ..lab.jobs import job, pattern_of, predicate
from .loops import MIB, loop_over

pytestmark = pytest.mark.root
SIZE = 128 * MIB
RUN = """
import sys
from pathlib import Path
from deleatur.engine.directory import JobDirectory
from deleatur.testing.workbench import Workbench
Workbench(Path(sys.argv[1])).run(JobDirectory(Path(sys.argv[1]) / "job"))
"""


def written(device: str) -> int:
    """Return how many bytes the kernel has written to a loop device (`Documentation/block/stat.rst`)."""
    return 512 * int(Path(f"/sys/block/{Path(device).name}/stat").read_text().split()[6])


def is_stopped(process: "subprocess.Popen[bytes]") -> bool:
    """Say whether every thread of a process stands still; False when it has ended."""
    try:
        states = [task.read_text() for task in Path(f"/proc/{process.pid}/task").glob("*/stat")]
    except OSError:
        return False
    return bool(states) and all(state.rpartition(")")[2].split()[0] == "T" for state in states)


def stop(process: "subprocess.Popen[bytes]") -> bool:
    """Stop a process; return False when it has ended before."""
    process.send_signal(signal.SIGSTOP)
    while process.poll() is None:
        if is_stopped(process):
            return True
        time.sleep(0.001)
    return False


def test_an_overwrite_that_is_stopped_and_goes_on_skips_nothing(tmp_path: Path) -> None:
    bench, chance = Workbench(tmp_path / "jobs"), random.Random(11)
    moments: set[int] = set()  # how far the overwrite was, at each stop in its midst
    with loop_over(tmp_path / "image", os.urandom(SIZE)) as loop:
        directory = bench.approved(job(loop.path))
        before = written(loop.path)
        process = subprocess.Popen([sys.executable, "-c", RUN, bench.folder])
        try:
            while process.poll() is None and written(loop.path) == before:
                time.sleep(0.001)
            while stop(process):
                halted = written(loop.path)
                time.sleep(chance.uniform(0.001, 0.02))
                assert written(loop.path) == halted
                if 0 < halted - before < SIZE:
                    moments.add(halted)
                process.send_signal(signal.SIGCONT)
                time.sleep(chance.uniform(0, 0.01))
        finally:
            process.kill()
            process.wait(30)
        assert len(moments) >= 3
        assert process.returncode == 0
        assert loop.file.read_bytes() == laid(pattern_of(directory)).read("device", 0, SIZE)
    assert predicate(directory)["outcome"]["perTarget"][0]["assurance"] == "A3/addressable"
