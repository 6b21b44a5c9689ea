"""Overwrite every sector that the host can address, by one of the named ways: one pass is one step."""

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from deleatur.api import (
    STANDARDS,
    Cursor,
    Device,
    Medium,
    Refused,
    Step,
    cooled,
    laid,
    medium_of,
    open_exclusive,
    overwrite_device,
)

TECHNIQUES = tuple(standard.id for standard in STANDARDS)


def limits_of(technique: str) -> tuple[str, ...]:
    """Return the ids of the sentences that a standard adds: bytes that repeat say less than a keystream."""
    return ("repeating-pattern",) if any(s.id == technique and s.repeats for s in STANDARDS) else ()


def overwrite(
    device: Device, unit: str, step: Step, after: Cursor | None, size: int | None = None
) -> Iterator[Cursor]:
    """Do one pass over `device`, opened for this process alone; yield the durable byte and what failed.

    `size`: bytes from its beginning; None: all of it.

    Raises:
        Refused: the step has no pattern, or the device is in use. Transient: it went away.
        Failed: it stays too hot.
    """
    if step.pattern is None:
        raise Refused(f"{step.id} has no pattern, so nothing could be compared afterwards")
    pattern = laid(step.pattern)
    fd = open_exclusive(device)
    try:
        begin = int(after.position) if after is not None else 0
        medium = _first(cooled(medium_of(fd), device), size)
        with closing(overwrite_device(medium, pattern, unit, begin)) as passing:
            for written in passing:  # closed, and at rest, before the device is
                yield Cursor(position=str(written.position), done=written.position, failed=written.failed)
    finally:
        os.close(fd)


def _first(medium: Medium, size: int | None) -> Medium:
    return medium if size is None else replace(medium, size=size)
