"""How much of some values stands in the memory of whoever works in a folder."""

from collections.abc import Iterable

from msgspec.structs import replace

from deleatur.api import Surface
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner


def seen_in_memory(surfaces: Iterable[Surface], values: Iterable[bytes]) -> int:
    """Return how many of the values the memory among some surfaces holds; all of it must be readable."""
    (memory,) = (surface for surface in surfaces if surface.in_memory)
    plain = replace(memory, decoders=())  # none of these values is compressed
    scan = Scanner(NeedleSet.of(values)).scan_surface(plain, lambda _size: None).scan
    assert scan.unreadable == 0
    return scan.seen
