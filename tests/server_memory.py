"""Jobs that look into the memory of a server, and how much of some values stands there."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from deleatur.api import Backend, Step, Surface
from deleatur.sanitize.needles import NeedleSet
from deleatur.sanitize.scan import Scanner

JOB = """
schema = "deleatur/job/v1"
name = "asks"
reason = "contract-end"
authority = "board decision 7 of 2026"
requested_by = "legal"
[verification]
memory = true
[[target]]
id = "t"
url = "{url}"
"""


def job_with_memory(url: str, more: str = "") -> str:
    """Return the text of a job that searches memory; `more` stands below its target."""
    return JOB.format(url=url) + more


def erased(backend: Backend, step: Step, going: Sequence[bytes]) -> tuple[Surface, ...]:
    """Erase values of which the server's memory holds every one; return the surfaces."""
    surfaces = backend.inspect().surfaces
    assert seen_in_memory(surfaces, going) == len(going), "the control"
    list(backend.erase(step, None))
    return surfaces


def seen_in_memory(surfaces: Iterable[Surface], values: Iterable[bytes]) -> int:
    """Return how many of the values the memory among some surfaces holds; all of it must be readable."""
    (memory,) = (surface for surface in surfaces if surface.in_memory)
    plain = replace(memory, decoders=())  # none of these values is compressed
    scan = Scanner(NeedleSet.of(values)).scan_surface(plain, lambda _size: None).scan
    assert scan.unreadable == 0
    return scan.seen
