"""Have a device erase itself by a command of its own, between markers written before and read after."""

import mmap
import os
from collections.abc import Iterator

from deleatur.api import (
    COMMANDS,
    LEAVE,
    Cursor,
    Device,
    Pattern,
    Refused,
    Step,
    erase_by_command,
    laid,
    marker_places,
    open_exclusive,
    revert_by_psid,
)
from deleatur_plugins.block import psid

TECHNIQUES = (*COMMANDS, psid.TECHNIQUE)
# What takes every namespace of a subsystem; a format asks its controller whether it does.
WHOLE = frozenset(name for name in TECHNIQUES if name.startswith("nvme-sanitize-")) | {psid.TECHNIQUE}


def command(device: Device, unit: str, step: Step, after: Cursor | None) -> Iterator[Cursor]:
    """Write the markers, or send the command and wait for its end, with `device` open for this process alone.

    Raises:
        Refused: the step has no pattern, the device is in use, or its command would reach other data too.
        Transient: a command is running that is not ours. Failed: the device did not say that it is done.
    """
    if step.pattern is None:
        raise Refused(f"{step.id} has no pattern, so no marker could be told from other data")
    fd = open_exclusive(device)
    try:
        if step.action == "mark":
            mark(fd, device.size, unit, step.pattern)
            yield Cursor(position="marked", done=device.size)
        elif step.technique == psid.TECHNIQUE:
            label, over_nvme = psid.psid_of(device), device.bus == "nvme"
            yield from revert_by_psid(fd, device.size, after, label, over_nvme=over_nvme)
        else:
            leaving = step.action == LEAVE
            yield from erase_by_command(step.technique, fd, device.size, after, leaving=leaving)
    finally:
        os.close(fd)


def mark(fd: int, size: int, unit: str, pattern: Pattern) -> None:
    """Write every marker, and flush. Raises OSError: a medium that takes no writing is no medium to mark."""
    stream = laid(pattern)
    for offset, length in marker_places(size, pattern.key):
        view = stream.lay(unit, offset, memoryview(mmap.mmap(-1, length)))
        done = 0
        while done < length:
            written = os.pwrite(fd, view[done:], offset + done)
            if written == 0:
                raise OSError(5, "the device wrote nothing and gave no reason")
            done += written
    os.fdatasync(fd)
