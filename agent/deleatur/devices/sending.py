"""Send commands to devices through the kernel, and say what came back: the one room that does so.

NVME_IOCTL_ADMIN_CMD of linux/nvme_ioctl.h, SG_IO of scsi/sg.h (struct sg_io_hdr, interface 'S').
Rules kept: "good" needs every one of the kernel's status fields; what cannot be told is "unknown",
never good; no command waits longer than its own time.
"""

import ctypes
import fcntl
import struct
import time
from typing import Literal

from deleatur.devices.nvme import AdminCommand, plain_status, status_words
from deleatur.devices.scsi import SENSE_BYTES, ScsiCommand
from deleatur.devices.sense import Sense
from deleatur.documents.place import Frozen
from deleatur.errors import Malformed

NVME_IOCTL_ADMIN_CMD = 0xC0484E41  # _IOWR('N', 0x41, struct nvme_admin_cmd), 72 bytes
SG_IO = 0x2285
_NVME = struct.Struct("<BBHIIIQQII6III")
_SG = struct.Struct("<iiBBHIQQQIIi4xQBBBBHHiII4x")  # pointers of 64 bits
_TO_DEVICE, _FROM_DEVICE, _NO_DATA = -2, -3, -1  # SG_DXFER_*
_CHECK_CONDITION = 2  # SAM-5 §5.3.1
_DRIVER_SENSE = 8  # DRIVER_SENSE: sense data are there, which is no error of the driver
Outcome = Literal["good", "failed", "unknown"]


class NvmeReply(Frozen, frozen=True):
    """What a controller answered."""

    status: int  # as the kernel returns it; 0: accepted
    result: int  # dword 0 of the completion
    content: bytes
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the controller took the command."""
        return self.status == 0

    def words(self) -> str:
        """Say the status in words."""
        return status_words(self.status)

    def raw(self) -> str:
        """Return status and result as hex: the evidence of what came back."""
        return f"{self.status & 0xFFFF:04x} {self.result:08x}"

    def says(self, status: int) -> bool:
        """Say whether this is the status, whatever the bits beside it."""
        return plain_status(self.status) == status


class ScsiReply(Frozen, frozen=True):
    """What a device, its adapter and its driver answered."""

    status: int
    host: int
    driver: int
    sense: bytes
    content: bytes
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """Judge all three status fields; an ATA command with registers by these.

        A host status says that the adapter did not get an answer it understood: the command may
        have been done. ATA PASS-THROUGH with registers ends as "check condition" when it is good.
        """
        if self.host or self.driver & ~_DRIVER_SENSE:
            return "unknown"
        if self.status == 0:
            return "good"
        found = self.decoded()
        if self.status == _CHECK_CONDITION and found is not None and found.ata is not None:
            told = (found.key, found.asc, found.ascq) in ((0, 0, 0x1D), (1, 0, 0x1D))
            return "good" if told and found.ata.good and not found.deferred else "failed"
        return "failed"

    def decoded(self) -> Sense | None:
        """Return the sense data; None: there are none that can be read."""
        try:
            return Sense.decode(self.sense)
        except Malformed:
            return None

    def words(self) -> str:
        """Say all status fields in words."""
        found = self.decoded()
        why = found.words() if found is not None else "no sense data"
        return f"status {self.status:02x}, host {self.host:02x}, driver {self.driver:02x}: {why}"

    def raw(self) -> str:
        """Return all status fields and the sense data as hex: the evidence of what came back."""
        return f"{self.status:02x} {self.host:02x} {self.driver:02x} {self.sense.hex()}".rstrip()


def _milliseconds(seconds: float) -> int:
    """Return a time as the kernel takes it: 32 bits, whatever time a drive says that it needs."""
    return min(round(seconds * 1000), 0xFFFFFFFF)


def send_nvme(fd: int, command: AdminCommand) -> NvmeReply:
    """Send an admin command and wait for its completion.

    Raises OSError: the kernel did not pass it on.
    """
    length = len(command.sends) or command.receives
    room = ctypes.create_string_buffer(command.sends, max(length, 1))
    address = ctypes.addressof(room) if length else 0
    packed = bytearray(
        _NVME.pack(
            command.opcode,
            0,
            0,
            command.nsid,
            0,
            0,
            0,
            address,
            0,
            length,
            command.cdw10,
            command.cdw11,
            0,
            0,
            0,
            0,
            _milliseconds(command.timeout),
            0,
        )
    )
    began = time.monotonic()
    status = fcntl.ioctl(fd, NVME_IOCTL_ADMIN_CMD, packed)
    seconds = time.monotonic() - began
    return NvmeReply(
        status=status,
        result=_NVME.unpack(packed)[-1],
        content=room.raw[: command.receives],
        seconds=seconds,
    )


def send_scsi(fd: int, command: ScsiCommand) -> ScsiReply:
    """Send a command and wait for its answer.

    Raises OSError: the kernel did not pass it on.
    """
    length = len(command.sends) or command.receives
    direction = _TO_DEVICE if command.sends else _FROM_DEVICE if command.receives else _NO_DATA
    block = ctypes.create_string_buffer(command.block, len(command.block))
    room = ctypes.create_string_buffer(command.sends, max(length, 1))
    sense = ctypes.create_string_buffer(SENSE_BYTES)
    packed = bytearray(
        _SG.pack(
            ord("S"),
            direction,
            len(command.block),
            SENSE_BYTES,
            0,
            length,
            ctypes.addressof(room),
            ctypes.addressof(block),
            ctypes.addressof(sense),
            _milliseconds(command.timeout),
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        )
    )
    began = time.monotonic()
    fcntl.ioctl(fd, SG_IO, packed)
    seconds = time.monotonic() - began
    told = _SG.unpack(packed)
    status, sense_length, host, driver, left = told[13], told[16], told[17], told[18], told[19]
    received = max(0, command.receives - max(0, left)) if command.receives else 0
    return ScsiReply(
        status=status,
        host=host,
        driver=driver,
        sense=sense.raw[: min(sense_length, SENSE_BYTES)],
        content=room.raw[:received],
        seconds=seconds,
    )
