"""Have an ATA drive show the sectors that it hides, and see that it does and that the kernel does.

READ NATIVE MAX ADDRESS EXT and SET MAX ADDRESS EXT (host protected area) and DEVICE CONFIGURATION RESTORE
(ATA8-ACS), GET NATIVE and SET ACCESSIBLE MAX ADDRESS EXT (ACS-3). Rules kept: a good status is no size, so
the drive is asked again, and the kernel too; a drive that shows more or less than planned is not written.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from deleatur.devices import ata
from deleatur.devices.opening import size_of_open
from deleatur.devices.passing import evidence, identified, registers_of, sent
from deleatur.devices.sending import send_scsi
from deleatur.devices.waiting import DONE, Patience
from deleatur.documents.device import Device
from deleatur.documents.place import Cursor
from deleatur.errors import Failed, Transient

_SYSFS = Path("/sys/dev/block")
_NOTICES = Patience(interval=0.5, still=20.0)
_CLOSED = (
    "the drive did not give up {}: switch it off and on, then resume; if that does not help, plan without"
)


def lift_hidden(fd: int, device: Device, size: int, patience: Patience = _NOTICES) -> Iterator[Cursor]:
    """Lift every hidden area of an open drive, so that it has `size` bytes; yield what was sent and answered.

    The protected area is lifted until the next power-up; a lowered address and an overlay, for good. A drive
    that shows everything already is left as it is.

    Raises:
        Failed: it aborted a command, shows another size than planned, or the kernel does.
        Transient: the kernel took it off to look at it anew.
    """
    wanted = size // device.logical_block
    if identified(fd).sectors < wanted:
        yield from _raised(fd)
    if (now := identified(fd)).sectors < wanted and now.overlay:
        words = _CLOSED.format("its configuration overlay")
        yield from sent(fd, ata.overlay_restore(), words)
        yield from _raised(fd)
    shown = identified(fd).sectors
    if shown != wanted:
        raise Failed(
            f"the drive shows {shown} sectors and {wanted} were planned, whatever it answered; plan again, "
            "or destroy the medium"
        )
    yield from _noticed(fd, device, size, patience)
    yield Cursor(position=DONE, done=size)


def _raised(fd: int) -> Iterator[Cursor]:
    """Raise the last address to the highest that the drive names, in its own way."""
    now = identified(fd)
    if now.accessible_max:
        asks, what = ata.native_accessible(), "the sectors behind its lowered address"
    elif now.hpa:
        asks, what = ata.read_native_max(), "its host protected area"
    else:
        return
    reply = yield from sent(fd, asks, "the drive does not say how many sectors it has")
    last = registers_of(reply).lba
    if last is None:
        raise Failed("the drive said how many sectors it has in a form that has no room for it; plan again")
    if last + 1 > now.sectors:  # right after the question: the drive asks for that order
        sets = ata.set_accessible(last) if now.accessible_max else ata.set_max(last, lasting=False)
        yield from sent(fd, sets, _CLOSED.format(what))


def _noticed(fd: int, device: Device, size: int, patience: Patience) -> Iterator[Cursor]:
    """Have the kernel ask for the size again, and wait until it shows it.

    After SET MULTIPLE MODE, here with the number that is set already, Linux's libata identifies a drive
    anew; what is written to `rescan` brings the new size from there to the block device.
    """
    began = patience.clock()
    if size_of_open(fd) != size and (count := identified(fd).multiple):
        command = ata.set_multiple(count)
        reply = send_scsi(fd, command.wrapped())
        yield Cursor(position="command c6", done=0, exchanges=(evidence(command, reply),))
    while (seen := size_of_open(fd)) != size:
        if not (_SYSFS / device.number).exists():
            raise Transient(f"{device.path} went away when it showed its sectors; wait for it, then resume")
        if patience.clock() - began > patience.still:
            raise Failed(
                f"the drive shows {size} bytes and the kernel {seen}; plug the drive in again, then resume"
            )
        with contextlib.suppress(OSError):  # of a device without a bus; its size decides
            (_SYSFS / device.number / "device/rescan").write_text("1")
        patience.sleep(patience.interval)
