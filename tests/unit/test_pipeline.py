"""Whoever presses Ctrl-C again and again never closes a file under what is still written to it."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deleatur.engine.together import perform_together
from deleatur.sanitize.pipeline import in_order

PROGRAM = Path(__file__).with_name("pressed.py")


def pressed(what: str) -> tuple[bool, int]:
    """Return whether the program was stopped, and how much was done after that."""
    done = subprocess.run(
        [sys.executable, PROGRAM, what], capture_output=True, text=True, timeout=60, check=True
    )
    stopped, late = done.stdout.split()
    return stopped == "True", int(late)


@pytest.mark.parametrize("what", ["pieces", "devices"])
def test_nothing_is_written_after_its_file_was_closed(what: str) -> None:
    assert pressed(what) == (True, 0)


def test_where_threads_are_only_joined_something_is() -> None:
    """The control: Python takes a thread for ended, once Ctrl-C was pressed while it was joined."""
    stopped, late = pressed("joined")
    assert stopped
    assert late


class PressedMeanwhile(list[Callable[[], None]]):
    """Works of which the first runs when Ctrl-C is pressed, before the second begins."""

    def __iter__(self) -> Iterator[Callable[[], None]]:
        yield self[0]
        raise KeyboardInterrupt


def test_ctrl_c_while_works_are_begun_waits_for_those_that_run() -> None:
    halt, ended = threading.Event(), threading.Event()

    def work() -> None:
        if halt.wait(5):
            time.sleep(0.2)
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        perform_together(PressedMeanwhile([work, work]), halt)
    assert ended.is_set()


def test_a_piece_that_fails_waits_for_the_others() -> None:
    ended: list[int] = []
    begun = threading.Barrier(4, timeout=60)

    def work(offset: int, _room: memoryview) -> None:
        begun.wait()  # one that had not begun yet would not be waited for
        if offset == 0:
            raise OSError(5, "bad")
        time.sleep(0.2)
        ended.append(offset)

    with pytest.raises(OSError, match="bad"):
        list(in_order(((at, 1) for at in range(4)), work, threads=4, room=1))
    assert sorted(ended) == [1, 2, 3]
