"""Several pieces at once, each in a page-aligned buffer of its own, their results in order.

Rule kept: nobody comes out of here while a piece is under way, however often somebody asks it to stop:
whoever called closes what the pieces write to, and its number may be given to another file at once.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

from deleatur.sanitize.buffers import buffers_of
from deleatur.sanitize.pace import keep_pace

Piece = tuple[int, int]  # offset and length, bytes
R = TypeVar("R")

_GLANCE = 0.01  # seconds between two looks whether all pieces have ended


def in_order(
    pieces: Iterable[Piece], work: Callable[[int, memoryview], R], *, threads: int, room: int
) -> Iterator[tuple[Piece, R]]:
    """Call `work(offset, buffer)` for each piece, `threads` at a time; yield piece and result in order.

    The buffer is as long as the piece, `room` bytes at most, page aligned as direct I/O needs it. One
    thread, or none for no pieces, is the caller's own. Not more than twice `threads` pieces are begun
    and not yet yielded, so that memory stays bounded. Whoever stops early, or meets an error, waits for
    the pieces that are under way.
    """
    if threads < 2:
        buffer = buffers_of(1, room)[0] if threads else memoryview(b"")
        yield from ((piece, work(piece[0], buffer[: piece[1]])) for piece in _paced(pieces))
        return
    idle: SimpleQueue[memoryview] = SimpleQueue()
    for buffer in buffers_of(threads, room):
        idle.put(buffer)
    stopped = Event()

    def do(piece: Piece) -> R | None:
        buffer = idle.get()
        try:
            return None if stopped.is_set() else work(piece[0], buffer[: piece[1]])
        finally:
            idle.put(buffer)

    coming = _paced(pieces)
    pool = ThreadPoolExecutor(threads)
    begun: deque[tuple[Piece, Future[R | None]]] = deque()
    try:
        begun.extend((p, pool.submit(do, p)) for p in islice(coming, 2 * threads))
        while begun:
            piece, future = begun.popleft()
            result: R = future.result()  # type: ignore[assignment]  # None only once nobody asks any more
            begun.extend((p, pool.submit(do, p)) for p in islice(coming, 1))
            yield piece, result
    finally:
        _come_to_rest(pool, stopped, idle, threads)


def _paced(pieces: Iterable[Piece]) -> Iterator[Piece]:
    for piece in pieces:
        keep_pace(piece[1])
        yield piece


def _come_to_rest(
    pool: ThreadPoolExecutor, stopped: Event, idle: "SimpleQueue[memoryview]", threads: int
) -> None:
    """Begin nothing more, and wait until every buffer is back: whoever holds one still writes.

    Joining the threads would not do: of one that is joined when a person presses Ctrl-C, Python says
    from then on that it has ended (3.11, threading.Thread.join).
    """
    while True:
        try:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            while idle.qsize() < threads:
                time.sleep(_GLANCE)
        except KeyboardInterrupt:  # the one that brought us here is on its way already
            continue
        return
