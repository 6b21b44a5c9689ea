"""Ask the kernel what a loop device is attached to: sysfs tells a path only, which can be another file.

Rule kept: what is not answered stays as sysfs told it.
"""

import contextlib
import fcntl
import os
import struct

import msgspec

from deleatur.devices.opening import opened_to_look
from deleatur.documents.device import Device
from deleatur.errors import Refused

_LOOP_GET_STATUS64 = 0x4C05  # linux/loop.h
_STATUS = struct.Struct("=5Q4I64s64s32s2Q")  # same place, struct loop_info64


def attached_to(device: Device) -> Device:
    """Return a loop device with its file's inode or, over a block device, its number, by whatever node.

    Devices of other kinds, and loop devices without anything below, are returned as they are.
    """
    if device.kind != "loop" or not device.backing:
        return device
    room = bytearray(_STATUS.size)
    with contextlib.suppress(OSError, Refused), opened_to_look(device) as fd:
        fcntl.ioctl(fd, _LOOP_GET_STATUS64, room)
        system, inode, below, offset, *_ = _STATUS.unpack(room)
        return msgspec.structs.replace(
            device,
            backing_inode=f"{os.major(system)}:{os.minor(system)} {inode}",
            backing_number=f"{os.major(below)}:{os.minor(below)}" if below else device.backing_number,
            backing_offset=offset,
        )
    return device
