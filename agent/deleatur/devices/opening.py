"""Open a block device so that nobody else uses it, and only if it is the one that was meant.

Rule kept: a path is resolved here, once, and what was opened is compared with what was meant, by
major:minor and by the kernel's number of this attachment; no file is ever made (`O_CREAT`).
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from deleatur.devices.places import number_in
from deleatur.documents.device import Device
from deleatur.errors import Refused, Transient

_BLKGETDISKSEQ = 0x80081280  # linux/fs.h, since 5.15
_BLKGETSIZE64 = 0x80081272  # linux/fs.h
_EXCLUSIVE = os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_LOOK = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW
_SECTOR = 512  # bytes in which sysfs counts, whatever the device's own
# What the kernel answers at the node of a device that was pulled.
GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM})


def open_exclusive(device: Device, *, flags: int = os.O_RDWR | os.O_DIRECT) -> int:
    """Return a descriptor of `device` that no mount, swap, mapping or other exclusive opener shares.

    Keep it open until the erase is done: closing it makes others look at the device again.

    Raises:
        Refused: it is in use, or what is attached at its path is another device now.
        Transient: it went away.
        OSError: it cannot be opened.
    """
    try:
        fd = os.open(device.path, flags | _EXCLUSIVE)
    except OSError as error:
        if error.errno in GONE:
            raise Transient(f"{device.path} went away; attach it again and resume") from None
        if error.errno != errno.EBUSY:  # claimed in the kernel (open(2))
            raise
        what = f"`deleatur devices {device.name}` shows by what"
        raise Refused(f"{device.path} is in use; {what}") from None
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(os.close, fd)
        require_same(fd, device)
        on_failure.pop_all()
    return fd


@contextlib.contextmanager
def opened_to_look(device: Device) -> Iterator[int]:
    """Open `device` for reading, beside whoever uses it.

    Raises:
        Refused: what lies at its path is another device now. OSError: it cannot be opened.
    """
    fd = os.open(device.path, _LOOK)
    try:
        require_same(fd, device)
        yield fd
    finally:
        os.close(fd)


def require_same(fd: int, device: Device) -> None:
    """Ask that an open descriptor is of the device that was seen before, with the same size.

    Raises:
        Refused: it is another one; the reason names what differs.
        OSError: the kernel does not answer.
    """
    status = os.fstat(fd)
    if not stat.S_ISBLK(status.st_mode):
        raise Refused(f"{device.path} is no block device")
    number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if number != device.number:
        raise Refused(f"{device.path} is device {number} now, and {device.number} was meant")
    if device.diskseq is not None and (found := _asked(fd, _BLKGETDISKSEQ)) != device.diskseq:
        raise Refused(f"{device.path} is attachment {found} now, and {device.diskseq} was meant: look again")
    if (size := size_of_open(fd)) != device.size:
        raise Refused(f"{device.path} has {size} bytes now, and {device.size} were seen: look again")
    if device.partition is not None:  # of the same size, it may begin elsewhere by now
        start = (number_in(Path("/sys/dev/block") / number / "start") or 0) * _SECTOR
        if start != device.partition.start:
            raise Refused(
                f"{device.path} begins at byte {start} now, and {device.partition.start} was seen: look again"
            )


def size_of_open(fd: int) -> int:
    """Return how many bytes the kernel says that an open device has. Raises OSError."""
    return _asked(fd, _BLKGETSIZE64)


def _asked(fd: int, request: int) -> int:
    buffer = bytearray(struct.calcsize("=Q"))
    fcntl.ioctl(fd, request, buffer)
    return int.from_bytes(buffer, sys.byteorder)
