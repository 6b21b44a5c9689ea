"""Open the device of a plan for the core's own reading: the backend says where, and is not believed.

Rule kept: what was opened is looked up by its number among all devices, and is the approved one by its
own marks, or nothing is read of it.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deleatur.devices.inventory import read_table
from deleatur.devices.opening import GONE, require_same
from deleatur.devices.temperature import cooled
from deleatur.documents.device import Device
from deleatur.documents.place import Inspection, Surface
from deleatur.documents.plan import PlannedTarget
from deleatur.engine.opening import Opener
from deleatur.errors import Refused, Transient
from deleatur.judge.interlocks import identity_of
from deleatur.sanitize.device import Medium, medium_of
from deleatur.sanitize.techniques import technique


@contextmanager
def held(
    opener: Opener, planned: PlannedTarget, surfaces: tuple[Surface, ...]
) -> Iterator[tuple[Surface, ...]]:
    """Yield `surfaces` to be searched; a target that is itself a device lies where it is found now.

    It is held open meanwhile, so that its number stays its own, and its path must lead to it afterwards too.

    Raises:
        Refused: it is no block device, not the one of the plan, or was another one while it was searched.
    """
    if not technique(planned.technique).stays or not any(s.is_device for s in surfaces):
        yield surfaces
        return
    with opener.fresh(planned) as (_, look):
        if look is None:
            raise Refused(f"{planned.id}: is gone, and should be there to be searched")
        now = {surface.name: surface for surface in look.surfaces}
        reached = tuple(now.get(surface.name, surface) for surface in surfaces)
        with opened_below(planned, look) as medium:
            yield reached
            number = os.fstat(medium.fd).st_rdev
            paths = [path for surface in reached if surface.is_device for path in surface.paths]
            if any(Path(path).stat().st_rdev != number for path in paths):
                raise Refused(f"{planned.id}: another device came to its path while it was searched; resume")


@contextmanager
def opened_below(planned: PlannedTarget, look: Inspection) -> Iterator[Medium]:
    """Open the device that a backend has just found to be the planned one, below its buffers.

    Raises:
        Refused: it is no block device, or not the one of the plan. Transient: it went away.
    """
    paths = [path for surface in look.surfaces if surface.is_device for path in surface.paths]
    try:
        fd = os.open(paths[0] if paths else os.devnull, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in GONE:
            raise Transient(f"{planned.id}: went away; attach it again and resume") from None
        raise
    try:
        yield cooled(medium_of(fd), _planned(fd, planned))
    finally:
        os.close(fd)


def _planned(fd: int, planned: PlannedTarget) -> Device:
    """Return what an open device is, if it is the one of the plan.

    Raises:
        Refused: it is another one.
    """
    status = os.fstat(fd)
    if not stat.S_ISBLK(status.st_mode) or medium_of(fd).size != planned.size:
        raise Refused(f"{planned.id}: is no block device of {planned.size} bytes, as planned; plan again")
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    name = Path(f"/sys/dev/block/{number}").resolve().name
    table = read_table(name)
    device = next((one for one in table.devices if one.number == number), None)
    if device is None or identity_of(table, device) != planned.identity:
        raise Refused(f"{planned.id}: what is to be read back is not the device of the plan; look again")
    require_same(fd, device)
    return device
