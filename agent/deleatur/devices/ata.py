"""ATA commands, wrapped for SCSI, and their answers, as bytes. Pure: nothing is sent here.

Numbers are those of ACS-3 (words of IDENTIFY DEVICE, SANITIZE, SECURITY, HPA, Accessible Max Address),
ATA8-ACS (DCO) and SAT-3 (ATA PASS-THROUGH). Rules kept: a field that is not wholly there is an
error; the sanitize status of an idle drive says nothing of a command that was never sent.
"""

from typing import Literal

from deleatur.devices.reply import little, printed, required
from deleatur.devices.scsi import ScsiCommand
from deleatur.devices.sense import AtaRegisters
from deleatur.documents.place import Frozen
from deleatur.errors import Malformed, Refused

SECTOR = 512  # bytes of IDENTIFY DEVICE and of a password block
Direction = Literal["none", "in", "out"]
_PASSWORD = 32  # bytes, words 1-16
_PROTOCOLS: dict[Direction, int] = {"none": 3, "in": 4, "out": 5}  # SAT-3 table "PROTOCOL field"
_CK_COND, _FROM_DEVICE, _BLOCKS, _IN_COUNT = 0x20, 0x08, 0x04, 0x02  # byte 2 of the pass-through
SANITIZE = 0xB4
Kind = Literal["crypto", "block", "overwrite"]
_SANITIZES: dict[Kind, tuple[int, int]] = {  # feature, LBA: ACS-3 §7.36 to §7.41, the keys are ASCII
    "crypto": (0x0011, 0x43727970),
    "block": (0x0012, 0x426B4572),
    "overwrite": (0x0014, 0x4F57 << 32),
}
_REASONS = {1: "it failed", 2: "the drive does not know it", 3: "sanitize is frozen", 4: "antifreeze lock"}


class AtaCommand(Frozen, frozen=True):
    """One ATA command by its registers."""

    command: int
    features: int = 0  # 16 bits
    count: int = 0  # 16 bits
    lba: int = 0  # 48 bits
    device: int = 0x40  # LBA bit
    extended: bool = False  # a 48-bit command
    direction: Direction = "none"
    sends: bytes = b""
    timeout: float = 20.0  # seconds

    def wrapped(self) -> ScsiCommand:
        """Return the command as ATA PASS-THROUGH (16) (SAT-3 §12.2.2); without data it asks for registers."""
        flags = _BLOCKS | _IN_COUNT | (_FROM_DEVICE if self.direction == "in" else 0)
        if self.direction == "none":  # with data, Linux reads the registers while DRQ is set: no good end
            flags = _CK_COND
        low, high = (self.lba & 0xFFFFFF).to_bytes(3, "little"), (self.lba >> 24).to_bytes(3, "little")
        block = bytes(
            (
                0x85,
                _PROTOCOLS[self.direction] << 1 | self.extended,
                flags,
                self.features >> 8,
                self.features & 0xFF,
                self.count >> 8,
                self.count & 0xFF,
                high[0],
                low[0],
                high[1],
                low[1],
                high[2],
                low[2],
                self.device,
                self.command,
                0,
            )
        )
        return ScsiCommand(
            block=block,
            sends=self.sends,
            receives=SECTOR if self.direction == "in" else 0,
            timeout=self.timeout,
        )


def unwrapped(block: bytes) -> AtaCommand:
    """Return the registers of an ATA PASS-THROUGH (16), as `AtaCommand.wrapped` wrote it.

    Raises:
        Malformed: it is too short or something else.
    """
    protocols = {number: name for name, number in _PROTOCOLS.items()}
    required(block, 16, "a command block")
    protocol = protocols.get(block[1] >> 1 & 0xF)
    if block[0] != 0x85 or protocol is None:
        raise Malformed("not an ATA PASS-THROUGH (16) of ours", kind="other-command")
    b = block
    return AtaCommand(
        command=b[14],
        features=b[3] << 8 | b[4],
        count=b[5] << 8 | b[6],
        lba=int.from_bytes((b[8], b[10], b[12], b[7], b[9], b[11]), "little"),
        device=b[13],
        extended=bool(b[1] & 1),
        direction=protocol,
    )


def identify() -> AtaCommand:
    """Ask who the drive is: IDENTIFY DEVICE (ACS-3 §7.12)."""
    return AtaCommand(command=0xEC, count=1, direction="in")


def sanitize(kind: Kind) -> AtaCommand:
    """Return the SANITIZE command of a kind (ACS-3 §7.36); an overwrite is one pass of zeros."""
    feature, lba = _SANITIZES[kind]
    count = 1 if kind == "overwrite" else 0
    return AtaCommand(command=SANITIZE, features=feature, count=count, lba=lba, extended=True)


def sanitize_status() -> AtaCommand:
    """Ask how a sanitize goes: SANITIZE STATUS EXT (ACS-3 §7.41); clears no failure."""
    return AtaCommand(command=SANITIZE, extended=True)


def set_password(password: bytes) -> AtaCommand:
    """Return SECURITY SET PASSWORD of a user, security level high (ACS-3 §7.45)."""
    return AtaCommand(command=0xF1, count=1, direction="out", sends=_password(0, password))


def erase_prepare() -> AtaCommand:
    """Return SECURITY ERASE PREPARE, which must come right before the erase (ACS-3 §7.42)."""
    return AtaCommand(command=0xF3)


def security_erase(password: bytes, *, enhanced: bool, timeout: float) -> AtaCommand:
    """Return SECURITY ERASE UNIT (ACS-3 §7.43), which answers when it is done: after hours, maybe."""
    content = _password(0x02 if enhanced else 0, password)
    return AtaCommand(command=0xF4, count=1, direction="out", sends=content, timeout=timeout)


def unlock(password: bytes) -> AtaCommand:
    """Return SECURITY UNLOCK (ACS-3 §7.46), which a drive with a password needs after a loss of power."""
    return AtaCommand(command=0xF2, count=1, direction="out", sends=_password(0, password))


def disable_password(password: bytes) -> AtaCommand:
    """Return SECURITY DISABLE PASSWORD (ACS-3 §7.41)."""
    return AtaCommand(command=0xF6, count=1, direction="out", sends=_password(0, password))


def _password(word: int, password: bytes) -> bytes:
    if len(password) > _PASSWORD:
        raise Refused(f"a password of an ATA drive has at most {_PASSWORD} bytes, not {len(password)}")
    return (word.to_bytes(2, "little") + password.ljust(_PASSWORD, b"\0")).ljust(SECTOR, b"\0")


def read_native_max() -> AtaCommand:
    """Ask for the highest address that there would be without HPA: READ NATIVE MAX ADDRESS EXT, 27h."""
    return AtaCommand(command=0x27, extended=True)


def set_max(lba: int, *, lasting: bool) -> AtaCommand:
    """Return SET MAX ADDRESS EXT, 37h; not lasting: until the drive is switched off."""
    return AtaCommand(command=0x37, count=int(lasting), lba=lba, extended=True)


def set_multiple(count: int) -> AtaCommand:
    """Return SET MULTIPLE MODE, C6h: how many sectors a drive hands over at a time."""
    return AtaCommand(command=0xC6, count=count)


def overlay_identify() -> AtaCommand:
    """Ask what a device configuration overlay may hide: DCO IDENTIFY, B1h/C2h (ATA8-ACS)."""
    return AtaCommand(command=0xB1, features=0xC2, count=1, direction="in")


def overlay_restore() -> AtaCommand:
    """Return DCO RESTORE, B1h/C0h, which lifts the overlay."""
    return AtaCommand(command=0xB1, features=0xC0)


def native_accessible() -> AtaCommand:
    """Ask for the true highest address: GET NATIVE MAX ADDRESS EXT, 78h/0 (ACS-3 §7.1)."""
    return AtaCommand(command=0x78, extended=True)


def set_accessible(lba: int) -> AtaCommand:
    """Return SET ACCESSIBLE MAX ADDRESS EXT, 78h/1; it lasts."""
    return AtaCommand(command=0x78, features=1, lba=lba, extended=True)


class Overlay(Frozen, frozen=True):
    """What DCO IDENTIFY says: the largest size that the drive could show."""

    sectors: int

    @classmethod
    def decode(cls, content: bytes) -> "Overlay":
        """Read the structure (ATA8-ACS, words 3-6: maximum LBA).

        Raises:
            Malformed: it is too short, or its checksum is wrong: that is how false finds come about.
        """
        _checked(content, "DCO IDENTIFY")
        return cls(sectors=little(content, 6, 8) + 1)


class SanitizeStatus(Frozen, frozen=True):
    """What SANITIZE STATUS EXT says; idle drives say "done" too."""

    done: bool  # COUNT 15
    running: bool  # COUNT 14
    frozen: bool  # COUNT 13
    antifreeze: bool  # COUNT 12
    progress: int  # LBA 15:0, parts of 65,536

    @classmethod
    def decode(cls, registers: AtaRegisters) -> "SanitizeStatus":
        """Read the registers of a status command.

        Raises:
            Refused: the drive says that the sanitize failed, or why it took no command.
            Malformed: the answer came in a format that has no room for the registers.
        """
        if not registers.good:
            raise Refused(refusal(registers))
        if registers.count is None or registers.lba is None:
            raise Malformed("the sanitize status came without its upper bytes", kind="short-answer")
        return cls(
            done=bool(registers.count & 0x8000),
            running=bool(registers.count & 0x4000),
            frozen=bool(registers.count & 0x2000),
            antifreeze=bool(registers.count & 0x1000),
            progress=registers.lba & 0xFFFF,
        )


def refusal(registers: AtaRegisters) -> str:
    """Say why the drive refused a sanitize (ACS-3 table "Sanitize Device Error Reason")."""
    reason = _REASONS.get((registers.lba or 0) & 0xFF, "it gives no reason")
    return f"the drive aborted: {reason} (error {registers.error:02x}, status {registers.status:02x})"


class AtaIdentity(Frozen, frozen=True):
    """What a drive says of itself in IDENTIFY DEVICE (ACS-3 §7.12.7; the word is named)."""

    serial: str  # 10-19
    firmware: str  # 23-26
    model: str  # 27-46
    wwn: str  # 108-111, 16 hex digits; zeros: none
    sectors: int  # 100-103 where there are 48-bit addresses, else 60-61
    sector: int  # bytes, 117-118
    physical: int  # bytes, 106
    rotation: int | None  # 217: turns a minute; 0: does not turn; None: not reported
    multiple: int  # 59, bits 7:0 where bit 8 says so: sectors handed over at a time; 0: not reported
    sanitize: bool  # 59, bit 12
    sanitize_crypto: bool  # 59, bit 13
    sanitize_overwrite: bool  # 59, bit 14
    sanitize_block: bool  # 59, bit 15
    antifreeze: bool  # 59, bit 10
    trusted: bool  # 48, bit 0: TRUSTED SEND and RECEIVE
    encrypts: bool  # 69, bit 4: all user data are encrypted
    hpa: bool  # 82, bit 10: a host protected area is possible
    overlay: bool  # 83, bit 11: a device configuration overlay is possible
    accessible_max: bool  # 119, bit 8: its address can be lowered in the way of ACS-3
    security: bool  # 82, bit 1, and 128, bit 0
    enabled: bool  # 128, bit 1: a password is set
    locked: bool  # 128, bit 2
    frozen: bool  # 128, bit 3
    expired: bool  # 128, bit 4: too many wrong passwords
    enhanced: bool  # 128, bit 5: enhanced erase is possible
    erase_minutes: int | None  # 89; None: not reported
    enhanced_minutes: int | None  # 90
    trims: bool  # 169, bit 0

    @property
    def sanitizes(self) -> tuple[Kind, ...]:
        """The sanitize commands that the drive says it has, strongest first."""
        if not self.sanitize:
            return ()
        can: tuple[tuple[Kind, bool], ...] = (
            ("crypto", self.sanitize_crypto),
            ("block", self.sanitize_block),
            ("overwrite", self.sanitize_overwrite),
        )
        return tuple(kind for kind, here in can if here)

    @classmethod
    def decode(cls, content: bytes) -> "AtaIdentity":
        """Read the 512 bytes.

        Raises:
            Malformed: too short, not of an ATA disk, or its checksum is wrong.
        """
        _checked(content, "IDENTIFY DEVICE")
        if _word(content, 0) & 0x8000:
            raise Malformed("this is no ATA disk", kind="other-device")
        return cls(
            serial=_text(content, 10, 20),
            firmware=_text(content, 23, 27),
            model=_text(content, 27, 47),
            wwn="".join(f"{_word(content, n):04x}" for n in range(108, 112)),
            sectors=_sectors(content),
            sector=_sector(content),
            physical=_sector(content) << (_word(content, 106) & 0xF if _valid(content, 106, 13) else 0),
            rotation={0: None, 1: 0, 0xFFFF: None}.get(_word(content, 217), _word(content, 217)),
            multiple=_word(content, 59) & 0xFF if _bit(content, 59, 8) else 0,
            sanitize=_bit(content, 59, 12),
            sanitize_crypto=_bit(content, 59, 13),
            sanitize_overwrite=_bit(content, 59, 14),
            sanitize_block=_bit(content, 59, 15),
            antifreeze=_bit(content, 59, 10),
            trusted=_valid(content, 48, 0),
            encrypts=_bit(content, 69, 4),
            hpa=_bit(content, 82, 10),
            overlay=_bit(content, 83, 11),
            accessible_max=_bit(content, 119, 8),
            security=_bit(content, 82, 1) and _bit(content, 128, 0),
            enabled=_bit(content, 128, 1),
            locked=_bit(content, 128, 2),
            frozen=_bit(content, 128, 3),
            expired=_bit(content, 128, 4),
            enhanced=_bit(content, 128, 5),
            erase_minutes=_minutes(_word(content, 89)),
            enhanced_minutes=_minutes(_word(content, 90)),
            trims=_bit(content, 169, 0),
        )


def _checked(content: bytes, what: str) -> None:
    """Raise if `content` is not a sector with a right checksum, where it says that it has one (word 255)."""
    required(content, SECTOR, what)
    if content[510] == 0xA5 and sum(content[:SECTOR]) % 256:
        raise Malformed(f"the checksum of {what} is wrong", kind="checksum")


def _word(content: bytes, number: int) -> int:
    return little(content, 2 * number, 2)


def _bit(content: bytes, number: int, bit: int) -> bool:
    return bool(_word(content, number) >> bit & 1)


def _valid(content: bytes, number: int, bit: int) -> bool:
    """Say whether a word that proves itself (bit 15 clear, 14 set) has `bit` set."""
    return _word(content, number) >> 14 == 1 and _bit(content, number, bit)


def _text(content: bytes, first: int, end: int) -> str:
    """Return a text of words, whose bytes are swapped."""
    raw = content[2 * first : 2 * end]
    return printed(bytes(raw[n ^ 1] for n in range(len(raw))))


def _sectors(content: bytes) -> int:
    return little(content, 200, 8) if _bit(content, 83, 10) else little(content, 120, 4)


def _sector(content: bytes) -> int:
    words = little(content, 234, 4)  # 117-118
    return 2 * words if _valid(content, 106, 12) and words else SECTOR


def _minutes(word: int) -> int | None:
    """Return the time of an erase: units of 2 minutes, of 15 bits where bit 15 says so (ACS-3)."""
    units = word & 0x7FFF if word & 0x8000 else word & 0xFF
    return 2 * units or None
