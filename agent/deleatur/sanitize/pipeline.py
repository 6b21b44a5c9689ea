"""Several pieces at once, each in a page-aligned buffer of its own, their results in order."""

import mmap
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

Piece = tuple[int, int]  # offset and length, bytes
R = TypeVar("R")


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
        buffer = memoryview(mmap.mmap(-1, room)) if threads else memoryview(b"")
        yield from ((piece, work(piece[0], buffer[: piece[1]])) for piece in pieces)
        return
    idle: SimpleQueue[memoryview] = SimpleQueue()
    for _ in range(threads):
        idle.put(memoryview(mmap.mmap(-1, room)))

    def do(piece: Piece) -> R:
        buffer = idle.get()
        try:
            return work(piece[0], buffer[: piece[1]])
        finally:
            idle.put(buffer)

    coming = iter(pieces)
    with ThreadPoolExecutor(threads) as pool:
        begun: deque[tuple[Piece, Future[R]]] = deque(
            (p, pool.submit(do, p)) for p in islice(coming, 2 * threads)
        )
        try:
            while begun:
                piece, future = begun.popleft()
                result = future.result()
                begun.extend((p, pool.submit(do, p)) for p in islice(coming, 1))
                yield piece, result
        finally:
            pool.shutdown(cancel_futures=True)
