"""Where markers lie on a device before it erases itself: a part of its plan, the same for every reader.

Pure. The device cannot tell them from other data; that all of them changed shows that its command did
something everywhere we looked, and nothing more.
"""

from collections.abc import Iterator, Sequence

from deleatur.documents.journal import Compared
from deleatur.documents.place import Exchange, Step
from deleatur.judge.sampling import positions

MARKER = 1 << 20  # bytes of one marker; a multiple of every sector in use
MARKERS = 32  # beside the first and the last place


def marker_places(size: int, key: str) -> tuple[tuple[int, int], ...]:
    """Return offset and length (bytes) of each marker on a device of `size` bytes, in order.

    `key` (hex) is that of the step's keystream. A small device is marked from end to end.
    """
    population = -(-size // MARKER)
    if not population:
        return ()
    numbers = {0, population - 1, *positions(bytes.fromhex(key), population, MARKERS)}
    return tuple((n * MARKER, min(MARKER, size - n * MARKER)) for n in sorted(numbers))


def unmarked(step: Step, found: Compared, exchanges: Sequence[Exchange], size: int) -> Iterator[str]:
    """Yield what is missing of a comparison of markers on a device of `size` bytes, in words."""
    wanted = marker_places(size, step.pattern.key) if step.pattern is not None else ()
    if not wanted or found.population != len(wanted) or found.read + found.unreadable < len(wanted):
        yield "was not read back at every marker"
    if step.compare == "changed" and not exchanges:
        yield "is said to be done, and the journal names no command that the device was sent"
