"""Drives behind the ioctl boundary: they follow the standards, or lie, as they are told.

What they answer follows the NVMe/TCP target and the TCMU disk of the project's research, which were
tried against the kernel's own drivers; the ATA answers follow what Linux 6.1 gave for QEMU's disk.
"""

import ctypes
import errno
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from deleatur.devices import ata, inventory, sending
from deleatur.devices.erase_nvme import NVME_IOCTL_ID
from deleatur.devices.waiting import Patience
from deleatur.documents.device import Device

from .lab.tper_played import Tper

SIZE = 1 << 20  # bytes


def as_drives(patch: pytest.MonkeyPatch) -> None:
    """Have loop devices pass for whole drives: what takes a whole subsystem is sent to no other device."""
    attached = inventory.attached_to

    def drive(device: Device) -> Device:
        found = attached(device)
        return replace(found, kind="disk") if found.kind == "loop" else found

    patch.setattr(inventory, "attached_to", drive)


@dataclass
class Drive:
    """A medium, a clock that only tests move, and the way in which the drive behaves.

    mode: ok, lie (says done and erases nothing), stuck (stands at 655), fail, forget (no trace of the
    command), refuse (takes no command), deaf (the adapter does not understand).
    """

    mode: str = "ok"
    now: float = 0.0
    takes: float = 10.0  # seconds that an erase needs
    medium: bytearray = field(default_factory=lambda: bytearray(b"\xa5" * SIZE))
    sent: list[int] = field(default_factory=list)  # codes of commands that erase or set something
    running_since: float | None = None

    @property
    def patience(self) -> Patience:
        """Wait by the drive's clock."""
        return Patience(interval=1.0, still=60.0, sleep=self.sleep, clock=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def progress(self) -> int:
        """Parts of 65,536; a stuck drive stands where a family of real ones does (nvme-cli #1784)."""
        if self.running_since is None:
            return 0xFFFF
        return (
            655
            if self.mode == "stuck"
            else min(65534, int(65536 * (self.now - self.running_since) / self.takes))
        )

    def ended(self) -> bool:
        """End what runs when its time is over; say whether it did just now."""
        over = self.running_since is not None and self.now - self.running_since >= self.takes
        if not over or self.mode == "stuck":
            return False
        self.running_since = None
        if self.mode not in ("lie", "fail"):
            self.medium[:] = bytes(SIZE)
        return True

    def ioctl(self, _fd, request, packed=None):
        """Answer as the kernel does."""
        if request == NVME_IOCTL_ID:
            return 1
        if request == sending.NVME_IOCTL_ADMIN_CMD:
            return self._nvme(packed)
        if request == sending.SG_IO:
            return self._scsi(packed)
        raise OSError(errno.ENOTTY, "no such ioctl")

    def _nvme(self, packed):
        fields = sending._NVME.unpack(packed)
        opcode, nsid, address, length, ten = fields[0], fields[3], fields[7], fields[9], fields[10]
        content = bytearray(ctypes.string_at(address, length)) if length else bytearray()
        status = self.admin(opcode, nsid, ten, content)
        if length:
            ctypes.memmove(address, bytes(content), length)
        return status

    def _scsi(self, packed):
        fields = list(sending._SG.unpack(packed))
        direction, count, length, data, block, sense_at = (fields[n] for n in (1, 2, 5, 6, 7, 8))
        command = ctypes.string_at(block, count)
        sends = ctypes.string_at(data, length) if direction == -2 else b""
        host = 7 if self.mode == "deaf" and self.erases(command) else 0
        status, sense, content = self.command(command, sends)
        if direction == -3:
            content = content[:length]
            ctypes.memmove(data, content, len(content))
            fields[19] = length - len(content)
        ctypes.memmove(sense_at, sense, len(sense))
        fields[13], fields[16], fields[17] = status, len(sense), host
        fields[18] = 8 if sense else 0
        packed[:] = sending._SG.pack(*fields)
        return 0

    def erases(self, block: bytes) -> bool:
        ata_erase = block[0] == 0x85 and (block[14] == 0xF4 or (block[14] == 0xB4 and block[4] != 0))
        return ata_erase or block[0] in (0x48, 0x04)


@dataclass
class NvmeDrive(Drive):
    """A controller with one namespace or more."""

    namespaces: tuple[int, ...] = (1,)
    state: int = 0
    cdw10: int = 0
    fna: int = 4
    verifies: bool = True  # it has the Media Verification state
    verifying: bool = False

    def lose_power(self) -> None:
        """End the Media Verification state, as a loss of power does (Base 2.1 §8.1.24.3.6)."""
        if self.verifying:
            self.verifying, self.state = False, 1

    def admin(self, opcode: int, nsid: int, ten: int, content: bytearray) -> int:
        if self.ended():
            self._end()
        if opcode == 0x06:
            return self._identify(ten & 0xFF, content)
        if opcode == 0x02:
            return self._log(ten & 0xFF, content)
        if opcode == 0x84:
            return self._sanitize(ten)
        if opcode == 0x80:
            return self._format(ten)
        return 0x4001

    def _end(self) -> None:
        left = self.sent[-1:] == [0x84 << 8]
        if self.mode == "fail":
            self.state = 3
        elif self.cdw10 >> 10 & 1 and not left and self.mode != "skip":
            self.verifying = True  # and the state stays 2, sanitizing
        else:
            self.state = 1

    def _identify(self, cns: int, content: bytearray) -> int:
        if cns == 1:
            struct.pack_into("<H", content, 256, 2 | 8)
            struct.pack_into("<I", content, 328, 7 | self.verifies << 3)
            content[524] = self.fna
        elif cns == 0:
            struct.pack_into("<3Q", content, 0, SIZE // 512, SIZE // 512, 0)
            content[128 + 2] = 9
        elif cns in (2, 0x10):
            struct.pack_into(f"<{len(self.namespaces)}I", content, 0, *self.namespaces)
        return 0

    def _log(self, page: int, content: bytearray) -> int:
        if page != 0x81:
            return 0x4109
        struct.pack_into("<HHI3I", content, 0, self.progress(), self.state, self.cdw10, 300, 3, 1)
        content[36] = 5 * self.verifying
        return 0

    def _sanitize(self, ten: int) -> int:
        if ten & 7 == 5:
            return self._leave()
        if ten >> 10 & 1 and (not self.verifies or ten >> 9 & 1 or ten & 7 == 3):
            return 0x4002  # Base 2.1 §5.1.22
        if self.state == 2:
            return 0x401D
        if self.mode == "refuse":
            return 0x4286
        self.sent.append(0x84)
        if self.mode != "forget":
            self.state, self.cdw10, self.running_since = 2, ten, self.now
        return 0

    def _leave(self) -> int:
        if not self.verifying or self.mode == "refuse-to-leave":
            return 0x4002
        self.sent.append(0x84 << 8)
        if self.mode != "stay":
            self.verifying, self.running_since = False, self.now
        return 0

    def _format(self, ten: int) -> int:
        if self.mode in ("refuse", "fail"):
            return 0x410A
        self.sent.append(0x80)
        self.now += self.takes
        if self.mode != "lie":
            self.medium[:] = bytes(SIZE)
        return 0


@dataclass
class OpalNvme(NvmeDrive):
    """A controller before the part that speaks the TCG's protocol."""

    tper: Tper | None = None

    def admin(self, opcode: int, nsid: int, ten: int, content: bytearray) -> int:
        assert self.tper is not None
        if opcode in (0x81, 0x82) and ten >> 24 != 1:
            return 0x4002
        if opcode == 0x81:
            return 0 if self.tper.send(ten >> 8 & 0xFFFF, bytes(content)) else 0x4004
        if opcode == 0x82:
            content[:] = self.tper.receive(ten >> 8 & 0xFFFF, len(content))
            return 0
        return super().admin(opcode, nsid, ten, content)


def fixed_sense(key: int, asc: int, ascq: int, progress: int | None = None) -> bytes:
    """Return sense data of the fixed format."""
    sense = bytearray(18)
    sense[0], sense[2], sense[7], sense[12], sense[13] = 0x70, key, 10, asc, ascq
    if progress is not None:
        sense[15] = 0x80
        sense[16:18] = progress.to_bytes(2, "big")
    return bytes(sense)


@dataclass
class ScsiDrive(Drive):
    """A disk with SANITIZE and FORMAT UNIT."""

    failed: bool = False
    formatting: bool = False

    def command(self, block: bytes, sends: bytes) -> tuple[int, bytes, bytes]:
        if self.ended() and self.mode == "fail":
            self.failed = True
        if block[0] == 0x03:
            return 0, b"", self._state()
        if block[0] in (0x48, 0x04):
            return self._erase(block)
        return 2, fixed_sense(5, 0x20, 0), b""

    def _state(self) -> bytes:
        if self.running_since is not None:
            return fixed_sense(2, 4, 4 if self.formatting else 0x1B, self.progress())
        return fixed_sense(3, 0x31, 1 if self.formatting else 3) if self.failed else fixed_sense(0, 0, 0)

    def _erase(self, block: bytes) -> tuple[int, bytes, bytes]:
        if self.mode == "refuse":
            return 2, fixed_sense(5, 0x20, 0), b""
        self.sent.append(block[0])
        self.formatting, self.failed = block[0] == 0x04, False
        if self.mode == "instant":  # QEMU's FORMAT UNIT: GOOD at once, and nothing erased
            return 0, b"", b""
        self.running_since = self.now
        return 0, b"", b""


@dataclass
class OpalScsi(ScsiDrive):
    """A disk before the part that speaks the TCG's protocol."""

    tper: Tper | None = None

    def command(self, block: bytes, sends: bytes) -> tuple[int, bytes, bytes]:
        assert self.tper is not None
        com_id = int.from_bytes(block[2:4], "big")
        if block[0] == 0xB5:
            return (0, b"", b"") if self.tper.send(com_id, sends) else (2, fixed_sense(0xB, 0, 0), b"")
        if block[0] == 0xA2:
            return 0, b"", self.tper.receive(com_id, int.from_bytes(block[6:10], "big"))
        return super().command(block, sends)


@dataclass
class AtaDrive(Drive):
    """A drive behind a SCSI translation, with Sanitize and Security.

    aborts: `linux` answers a failed command as Linux 6.1 does, `sat` as the standard says,
    `descriptor` in the other format.
    """

    aborts: str = "linux"
    enabled: bool = False
    locked: bool = False
    frozen: bool = False
    failed: bool = False
    password: bytes = b""
    fixed_only: bool = False  # a bridge that knows no descriptor format

    def command(self, block: bytes, sends: bytes) -> tuple[int, bytes, bytes]:
        if self.ended() and self.mode == "fail":
            self.failed = True
        if block[0] == 0x15:
            return (2, fixed_sense(5, 0x24, 0), b"") if self.fixed_only else (0, b"", b"")
        if block[0] != 0x85:
            return 2, fixed_sense(5, 0x20, 0), b""
        sent = ata.unwrapped(block)
        if sent.command == 0xEC:
            return self._good(content=self._identity())
        if sent.command == 0xB4:
            return self._sanitize(sent)
        return self._security(sent, sends)

    def words(self) -> dict[int, int]:
        """Words of IDENTIFY DEVICE."""
        security = 1 | self.enabled << 1 | self.locked << 2 | self.frozen << 3 | 1 << 5
        return {59: 0xF000, 82: 2, 83: 0x400, 89: 1, 90: 1, 100: SIZE // 512, 128: security}

    def _identity(self) -> bytes:
        content = bytearray(512)
        for word, value in self.words().items():
            struct.pack_into("<H", content, 2 * word, value)
        content[510] = 0xA5
        content[511] = -sum(content) % 256
        return bytes(content)

    def _good(self, count: int = 0, lba: int = 0, content: bytes = b"") -> tuple[int, bytes, bytes]:
        if self.fixed_only:
            sense = bytearray(fixed_sense(1, 0, 0x1D))
            sense[3:7] = 0, 0x50, 0x40, count & 0xFF
            sense[8] = (0x40 if count >> 8 else 0) | (0x20 if lba >> 24 else 0)
            sense[9:12] = (lba & 0xFFFFFF).to_bytes(3, "little")
            return 2, bytes(sense), content
        low, high = (lba & 0xFFFFFF).to_bytes(3, "little"), (lba >> 24).to_bytes(3, "little")
        body = bytes(
            (9, 12, 1, 0, count >> 8, count & 0xFF, high[0], low[0], high[1], low[1], high[2], low[2])
        )
        return 2, bytes((0x72, 1, 0, 0x1D, 0, 0, 0, 14)) + body + bytes((0x40, 0x50)), content

    def _aborted(self, lba: int = 0) -> tuple[int, bytes, bytes]:
        if self.aborts == "descriptor":
            body = bytes((9, 12, 1, 4, 0, 0, 0, lba & 0xFF, 0, 0, 0, 0, 0x40, 0x51))
            return 2, bytes((0x72, 0xB, 0, 0, 0, 0, 0, 14)) + body, b""
        sense = bytearray(fixed_sense(0xB, 0, 0))
        if self.aborts == "sat":
            sense[3:7] = 4, 0x51, 0x40, 0
            sense[9] = lba
        else:
            sense[8:12] = 4, 0x51, 0x40, 0
        return 2, bytes(sense), b""

    def _sanitize(self, sent: ata.AtaCommand) -> tuple[int, bytes, bytes]:
        if sent.features == 0:
            if self.failed:
                return self._aborted(1)
            if self.running_since is not None:
                return self._good(0x4000, self.progress())
            return self._good(0x8000 | (0x2000 if self.frozen else 0), 0xFFFF)  # "done", also at rest
        if self.mode == "refuse" or self.running_since is not None:
            return self._aborted(2)
        self.sent.append(0xB4)
        self.failed, self.running_since = False, self.now
        return self._good(0x4000)

    def _security(self, sent: ata.AtaCommand, sends: bytes) -> tuple[int, bytes, bytes]:
        given = sends[2:34]
        if self.frozen or (sent.command in (0xF2, 0xF4, 0xF6) and given != self.password):
            return self._aborted()
        self.sent.append(sent.command)
        if sent.command == 0xF1:
            self.password, self.enabled = given, True
        elif sent.command == 0xF2:
            self.locked = False
        elif sent.command == 0xF6:
            self.password, self.enabled = b"", False
        elif sent.command == 0xF4:
            return self._security_erase()
        return self._good()

    def _security_erase(self) -> tuple[int, bytes, bytes]:
        if self.mode == "refuse":
            return self._aborted()
        if self.mode == "forget":  # says good, and neither erases nor takes the password away
            return self._good()
        self.now += self.takes
        if self.mode != "lie":
            self.medium[:] = bytes(SIZE)
        self.password, self.enabled = b"", False
        return self._good()


@dataclass
class HidingDrive(AtaDrive):
    """A drive that keeps sectors from the host, by one way or two.

    mode: ok, lie (says good and shows no more), refuse (aborts what would show more), half (shows half).
    """

    way: str = "hpa"  # hpa, amac; none: by an overlay only
    real: int = 2 * SIZE // 512  # sectors
    native: int = 2 * SIZE // 512  # what an overlay leaves of them
    shown: int = SIZE // 512
    overlay_frozen: bool = False
    lasting: int = SIZE // 512  # shown after a power-up
    resized: Callable[[int], None] = lambda _sectors: None  # the host's side of it

    def words(self) -> dict[int, int]:
        found = super().words()
        found[59] |= 0x110
        found[82] |= (self.way == "hpa") << 10
        found[83] |= (self.native != self.real or self.overlay_frozen) << 11
        found[119] = (self.way == "amac") << 8
        return found | {100: self.shown & 0xFFFF, 101: self.shown >> 16}

    def command(self, block: bytes, sends: bytes) -> tuple[int, bytes, bytes]:
        if block[0] != 0x85:
            return super().command(block, sends)
        sent = ata.unwrapped(block)
        if sent.command in (0x27, 0x78) and not sent.features:
            return self._good(lba=self.native - 1)
        if sent.command in (0x37, 0x78):
            return self._set(sent.lba + 1, lasting=sent.command == 0x78 or bool(sent.count & 1))
        if sent.command == 0xB1:
            return self._overlay(sent.features)
        if sent.command == 0xC6:
            self.sent.append(0xC6)
            return self._good()
        return super().command(block, sends)

    def power_cycle(self) -> None:
        """Switch it off and on: what was not lasting is as before."""
        self._show(self.lasting)

    def _set(self, sectors: int, *, lasting: bool) -> tuple[int, bytes, bytes]:
        if self.mode == "refuse" or sectors > self.native:
            return self._aborted()
        self.sent.append(0x78 if self.way == "amac" else 0x37)
        if self.mode == "half":
            sectors = (self.shown + sectors) // 2
        if self.mode != "lie":
            self.lasting = sectors if lasting else self.lasting
            self._show(sectors)
        return self._good(lba=sectors - 1)

    def _overlay(self, feature: int) -> tuple[int, bytes, bytes]:
        if self.overlay_frozen or (feature == 0xC0 and (self.mode == "refuse" or self.shown < self.native)):
            return self._aborted()  # a protected area must go first (ATA8-ACS)
        if feature == 0xC2:
            content = bytearray(512)
            content[6:14] = (self.real - 1).to_bytes(8, "little")
            content[510] = 0xA5
            content[511] = -sum(content) % 256
            return self._good(content=bytes(content))
        self.sent.append(0xB1)
        if self.mode != "lie":
            self.native = self.lasting = self.real
            self._show(self.real)
        return self._good()

    def _show(self, sectors: int) -> None:
        self.shown = sectors
        self.resized(sectors)
