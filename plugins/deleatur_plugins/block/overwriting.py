"""Overwrite every sector that the host can address, by one of the named ways: one pass is one step."""

import os
from collections.abc import Iterator

from deleatur.api import (
    STANDARDS,
    Cursor,
    Device,
    Refused,
    Step,
    laid,
    medium_of,
    open_exclusive,
    overwrite_device,
)

TECHNIQUES = tuple(standard.id for standard in STANDARDS)


def overwrite(device: Device, unit: str, step: Step, after: Cursor | None) -> Iterator[Cursor]:
    """Do one pass over `device`, opened for this process alone; yield the durable byte and what failed.

    Raises:
        Refused: the step has no pattern, or the device is in use. Transient: it went away.
    """
    if step.pattern is None:
        raise Refused(f"{step.id} has no pattern, so nothing could be compared afterwards")
    pattern = laid(step.pattern)
    fd = open_exclusive(device)
    try:
        begin = int(after.position) if after is not None else 0
        for written in overwrite_device(medium_of(fd), pattern, unit, begin):
            yield Cursor(position=str(written.position), done=written.position, failed=written.failed)
    finally:
        os.close(fd)
