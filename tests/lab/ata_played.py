"""An ATA disk behind a SCSI bridge, as commands and answers: IDENTIFY DEVICE, SANITIZE and SECURITY.

Numbers are those of ACS-3 (commands, words) and SAT-3 (ATA PASS-THROUGH). Modes `frozen` and `locked`
begin as a firmware or an owner leaves a drive: frozen until it has been without power, locked until
`PASSWORD` is given.
"""

import dataclasses
import struct
import time

from played import HOTTEST, Media, Mode
from scsi_played import ABORTED, RECOVERED, SECTOR, ScsiDisk, Sense

PASSWORD = b"the owner's".ljust(32, b"\0")
READY, ABORT = 0x50, 0x51  # status registers
SANITIZES = {  # feature: key in the LBA, what is there afterwards (ACS-3 §7.36 to §7.41)
    0x11: (0x43727970, None),
    0x12: (0x426B4572, b"\0"),
    0x14: (0x4F57 << 32, b"\0"),
}
FAILED, UNSUPPORTED, FROZEN = 1, 2, 3  # why a sanitize was refused, in the LBA
HIDING = (0x37, 0x78, 0xB1, 0xC6)  # SET MAX ADDRESS EXT, Accessible Max Address, DCO, SET MULTIPLE MODE
DONE, RUNNING, IS_FROZEN = 1 << 15, 1 << 14, 1 << 13  # status in the count


@dataclasses.dataclass
class Registers:
    """What a command leaves in the registers."""

    error: int = 0
    count: int = 0
    lba: int = 0
    status: int = READY

    def descriptor(self) -> bytes:
        """Encode as the ATA status return descriptor (SAT-3 §12.2.6)."""
        low, high = (self.lba & 0xFFFFFF).to_bytes(3, "little"), (self.lba >> 24).to_bytes(3, "little")
        mixed = bytes(value for pair in zip(high, low, strict=True) for value in pair)
        return (
            bytes([0x09, 12, 1, self.error])
            + struct.pack(">H", self.count)
            + mixed
            + bytes([0x40, self.status])
        )


class AtaSense(Sense):
    """Sense data that carry registers."""

    def __init__(self, registers: Registers) -> None:
        good = registers.status == READY
        super().__init__(RECOVERED if good else ABORTED, (0x00, 0x1D) if good else (0x00, 0x00))
        self.registers = registers

    def descriptors(self) -> bytes:
        content = self.registers.descriptor()
        return bytes([0x72, self.key, *self.code, 0, 0, 0, len(content)]) + content

    fixed = descriptors  # registers fit into no other


class Aborted(Exception):
    """The drive aborts the command; the reason stands in the LBA."""

    def __init__(self, reason: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason


class AtaDisk(ScsiDisk):
    """A SCSI disk as seen from outside, with the registers of ATA behind the pass-through."""

    vendor, model = b"ATA     ", b"PLAYED ATA DISK "

    def __init__(self, media: Media, serial: str) -> None:
        super().__init__(media, serial)
        self.frozen = media.mode is Mode.FROZEN
        self.password = PASSWORD if media.mode is Mode.LOCKED else b""
        self.locked = bool(self.password)
        self.prepared = self.was_cut = False

    def execute(self, block: bytes, brought: bytes, length: int) -> bytes:
        if block[0] in (0x85, 0xA1):
            return self.passed_through(block, brought)[:length]
        if block[0] in (0x04, 0x48, 0x4D):  # SAT of this bridge translates none of them
            raise Sense(5, (0x20, 0x00))
        if self.locked and block[0] in (0x28, 0x88, 0x2A, 0x8A):
            raise Sense(7, (0x74, 0x71))  # data protect
        return super().execute(block, brought, length)

    def passed_through(self, block: bytes, brought: bytes) -> bytes:
        """Run one command by its registers.

        Raises:
            AtaSense: it was aborted, or its registers were asked for.
        """
        if block[0] == 0x85:
            features, count = struct.unpack_from(">HH", block, 3)
            lba = int.from_bytes((block[8], block[10], block[12], block[7], block[9], block[11]), "little")
            command = block[14]
        else:
            features, count, lba, command = block[3], block[4], int.from_bytes(block[5:8], "little"), block[9]
        registers, content = Registers(), b""
        try:
            if command == 0x2F:
                content = self._statistics(lba)
            elif command in (0xEC, 0x27, 0xE5, 0xE7, 0xEA):
                content = self._plain(command, registers)
            elif command == 0xB4:
                self._sanitize(features, count, lba, registers)
            elif command in HIDING:
                content = self.hiding(command, features, lba, registers)
            else:
                self._security(command, brought)
        except Aborted as aborted:
            raise AtaSense(Registers(error=0x04, lba=aborted.reason, status=ABORT)) from None
        if block[2] & 0x20 and not content:
            raise AtaSense(registers)
        return content

    def _plain(self, command: int, registers: Registers) -> bytes:
        if command == 0xEC:
            return self.identify()
        if command == 0x27:  # READ NATIVE MAX ADDRESS EXT
            registers.lba = self.media.size // SECTOR - 1
        elif command == 0xE5:
            registers.count = 0xFF  # CHECK POWER MODE: active
        return b""

    def _statistics(self, lba: int) -> bytes:
        """Return a page of a log: of the Device Statistics that of temperatures (ACS-3 §A.5.7) alone."""
        if lba != 0x0504:
            raise Aborted
        content = bytearray(SECTOR)
        content[0], content[2] = 1, 5
        for at, said in ((0x08, self.media.celsius()), (0x58, HOTTEST)):
            content[at], content[at + 7] = said, 0xC0
        return bytes(content)

    def hiding(self, command: int, features: int, lba: int, registers: Registers) -> bytes:
        """Hide sectors, or show them; this drive knows no way to."""
        raise Aborted

    def identify(self) -> bytes:
        """Return IDENTIFY DEVICE (ACS-3 §7.12), with its checksum."""
        words = self.words()
        content = struct.pack("<255H", *words[:255]) + b"\xa5"
        return content + bytes([-sum(content) & 0xFF])

    def words(self) -> list[int]:
        """Return the words of IDENTIFY DEVICE."""
        words = [0] * 256
        sectors = self.size // SECTOR
        for first, count, text in ((10, 10, self.serial), (23, 4, b"1.0"), (27, 20, b"PLAYED ATA DISK")):
            words[first : first + count] = struct.unpack(f">{count}H", text.ljust(2 * count)[: 2 * count])
        words[0], words[49], words[53], words[217] = 0x0040, 0x0F00, 0x0006, 1
        words[59] = 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15  # SANITIZE, all three kinds
        words[60:62] = sectors & 0xFFFF, sectors >> 16
        words[80], words[82], words[83], words[84] = 0x03F0, 1 << 1 | 1, 1 << 14 | 1 << 10 | 1 << 13, 1 << 14
        words[85], words[86], words[87] = bool(self.password) << 1 | 1, 1 << 10 | 1 << 13, 1 << 14
        words[89] = words[90] = 1  # 2 minutes
        words[100:102] = sectors & 0xFFFF, sectors >> 16
        words[128] = 0x21 | bool(self.password) << 1 | self.locked << 2 | self.frozen << 3
        return words

    def _sanitize(self, feature: int, count: int, lba: int, registers: Registers) -> None:
        runs = self.media.running
        if feature == 0:
            if count & 1:
                self.media.failed = False
            if self.media.failed:
                raise Aborted(FAILED)
        elif self.frozen:
            raise Aborted(FROZEN)
        elif feature not in SANITIZES or runs or self.locked:
            raise Aborted(UNSUPPORTED)
        else:
            key, fill = SANITIZES[feature]
            if lba & ~0xFFFFFFFF != key & ~0xFFFFFFFF or (key >> 32 == 0 and lba != key):
                raise Aborted(UNSUPPORTED)
            self.media.begin(fill)
            runs = True
        registers.count = (RUNNING if runs else DONE) | (
            IS_FROZEN if self.frozen else 0
        )  # idle says "done" too
        registers.lba = self.media.progress if runs else 0xFFFF

    def _security(self, command: int, brought: bytes) -> None:
        prepared, self.prepared = self.prepared, False
        if self.frozen:
            raise Aborted
        given = brought[2:34]
        match command:
            case 0xF1 if not self.locked:  # SET PASSWORD
                self.password = given
            case 0xF2 if given == self.password:  # UNLOCK
                self.locked = False
            case 0xF3:  # ERASE PREPARE
                self.prepared = True
            case 0xF4 if prepared and self.password and given == self.password:  # ERASE UNIT
                self._security_erase()
            case 0xF5:  # FREEZE LOCK
                self.frozen = True
            case 0xF6 if self.password and not self.locked and given == self.password:  # DISABLE PASSWORD
                self.password = b""
            case _:
                raise Aborted

    def _security_erase(self) -> None:
        """Erase and answer when it is over; a stuck drive ends this one too, or its line would be dead."""
        time.sleep(self.media.seconds)
        if self.media.mode is Mode.FAIL:
            raise Aborted
        if self.media.mode is Mode.CUT and not self.was_cut:  # begun, and after the power-up locked
            self.was_cut = self.locked = True
            raise Aborted
        self.media.erase(b"\0")
        self.password, self.locked = b"", False
