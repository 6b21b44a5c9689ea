"""A program at which somebody presses Ctrl-C again and again, to see what is still written after its end.

`python pressed.py pieces` writes pieces to a file, closes it and prints how many were written after that;
`joined` does the same where the threads are only joined; `devices` prints how many of two devices came to
their cursor before the run went on without them.
"""

import os
import signal
import sys
import threading
import time

from deleatur.engine.together import perform_together
from deleatur.sanitize import pipeline

PRESSED = 6  # times
late: list[int] = []


def press() -> None:
    """Press Ctrl-C, as a person who does not want to wait."""
    main = threading.main_thread().ident
    assert main is not None
    for _ in range(PRESSED):
        time.sleep(0.05)
        signal.pthread_kill(main, signal.SIGINT)


def pieces() -> None:
    """Write slow pieces, and close the file under them if the pipeline lets us."""
    closed: list[bool] = []

    def slow(offset: int, _room: memoryview) -> None:
        for part in range(8):
            time.sleep(0.1)
            if closed:
                late.append(offset + part)

    try:
        for _ in pipeline.in_order(((at, 8) for at in range(0, 800, 8)), slow, threads=4, room=8):
            pass
    finally:
        closed.append(True)


def devices() -> None:
    """Work on two devices."""
    halt = threading.Event()
    ended: list[int] = []

    def work() -> None:
        assert halt.wait(10)
        time.sleep(0.6)
        ended.append(1)

    try:
        perform_together([work, work], halt)
    finally:
        late.extend([1] * (2 - len(ended)))


def main(what: str) -> None:
    """Do it, wait for what comes late, and say how much that was."""
    hand = threading.Thread(target=press)
    stopped = False
    try:
        hand.start()
        devices() if what == "devices" else pieces()
    except KeyboardInterrupt:
        stopped = True
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        try:
            time.sleep(0.05)
        except KeyboardInterrupt:
            continue
    print(stopped, len(late), flush=True)
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.argv[1] == "joined":
        pipeline._come_to_rest = lambda pool, *_: pool.shutdown(cancel_futures=True)
    main(sys.argv[1])
