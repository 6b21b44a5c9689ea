"""NVMe admin commands and their answers, as bytes. Pure: nothing is sent here.

Numbers are those of the NVM Express Base Specification (2.0, names of fields as there) and of the
NVM Command Set Specification; the offsets were tried on QEMU's controller and on a target of ours.
Rule kept: a field that is not wholly there is an error.
"""

import struct
from enum import IntEnum

from deleatur.devices.reply import little, printed, required
from deleatur.documents.place import Frozen
from deleatur.errors import Malformed, Refused
from deleatur.sanitize.heat import Heat

ALL_NAMESPACES = 0xFFFFFFFF  # Base §3.2.1.2: broadcast
IDENTIFY_BYTES = 4096  # Base §5.17
_HEALTH_BYTES = 512  # Base §5.16.1.3
_SANITIZE_BYTES = 512  # Base §5.16.1.25
_VERIFYING = 5  # Base 2.1 figure 291: SANS, Media Verification
_NOT_REPORTED = 0xFFFFFFFF  # of an estimate, same place
_DO_NOT_RETRY, _MORE = 0x4000, 0x2000  # of a status as the kernel returns it: bits 14 and 13
SANITIZE_IN_PROGRESS = 0x1D  # Base, Figure "Generic Command Status Values"
SANITIZE_FAILED = 0x1C

_STATUS = {  # SCT << 8 | SC; Base, Figures "Generic …", "Command Specific …", "Media … Status Values"
    0x000: "success",
    0x001: "invalid command opcode",
    0x002: "invalid field in the command",
    0x004: "data transfer error",
    0x005: "aborted by a loss of power",
    0x006: "internal error",
    0x007: "aborted on request",
    0x00B: "invalid namespace or format",
    0x00C: "command sequence error",
    0x015: "operation denied",
    SANITIZE_FAILED: "the last sanitize failed",
    SANITIZE_IN_PROGRESS: "a sanitize is in progress",
    0x020: "namespace is write protected",
    0x021: "command interrupted",
    0x082: "namespace not ready",
    0x083: "reservation conflict",
    0x084: "a format is in progress",
    0x109: "invalid log page",
    0x10A: "invalid format",
    0x123: "sanitize prohibited while the persistent memory region is enabled",
    0x280: "write fault",
    0x281: "read error of the medium",
    0x286: "access denied: the namespace is locked",
}


class AdminCommand(Frozen, frozen=True):
    """One admin command; the places of its data are the driver's business and stand as zeros."""

    opcode: int
    nsid: int = 0
    cdw10: int = 0
    cdw11: int = 0
    sends: bytes = b""
    receives: int = 0  # bytes that the controller returns
    timeout: float = 10.0  # seconds

    def block(self) -> bytes:
        """Return the 64 bytes of the submission queue entry: the evidence of what was sent."""
        return struct.pack("<BBHI32x6I", self.opcode, 0, 0, self.nsid, self.cdw10, self.cdw11, 0, 0, 0, 0)


def command_of(block: bytes) -> AdminCommand:
    """Return the command that `AdminCommand.block` wrote; how long it may take is not in it."""
    opcode, _, _, nsid, cdw10, cdw11 = struct.unpack_from(
        "<BBHI32xII", required(block, 64, "a command block")
    )
    return AdminCommand(opcode=opcode, nsid=nsid, cdw10=cdw10, cdw11=cdw11)


def plain_status(status: int) -> int:
    """Return type and code of a status, without the bits that say "more" and "do not retry"."""
    return status & 0x7FF


def status_words(status: int) -> str:
    """Say a status in words, with its number."""
    return f"{_STATUS.get(plain_status(status), 'status unknown to us')} (0x{status & 0xFFFF:04x})"


class SanitizeAction(IntEnum):
    """SANACT of the Sanitize command (Base §5.24)."""

    exit_failure_mode = 1
    block_erase = 2
    overwrite = 3
    crypto_erase = 4
    exit_media_verification = 5  # Base 2.1 figure 372


class SecureErase(IntEnum):
    """SES of the Format NVM command (Base §5.14)."""

    none = 0
    user_data = 1
    crypto = 2


def identify_controller() -> AdminCommand:
    """Ask who the controller is (Base §5.17.2.1, CNS 01h)."""
    return AdminCommand(opcode=0x06, cdw10=1, receives=IDENTIFY_BYTES)


def identify_namespace(nsid: int) -> AdminCommand:
    """Ask how a namespace is made (NVM Command Set §4.1.5.1, CNS 00h)."""
    return AdminCommand(opcode=0x06, nsid=nsid, cdw10=0, receives=IDENTIFY_BYTES)


def active_namespaces(after: int = 0) -> AdminCommand:
    """Ask for the numbers of the active namespaces above `after` (Base §5.17.2.2, CNS 02h)."""
    return AdminCommand(opcode=0x06, nsid=after, cdw10=2, receives=IDENTIFY_BYTES)


def allocated_namespaces(after: int = 0) -> AdminCommand:
    """Ask for the numbers of all namespaces above `after`, attached to this controller or not (CNS 10h)."""
    return AdminCommand(opcode=0x06, nsid=after, cdw10=0x10, receives=IDENTIFY_BYTES)


def health_log() -> AdminCommand:
    """Ask for SMART / Health Information (Base §5.16.1.3, log 02h) of the whole controller."""
    return _log(0x02, _HEALTH_BYTES)


def sanitize_log() -> AdminCommand:
    """Ask for Sanitize Status (Base §5.16.1.25, log 81h)."""
    return _log(0x81, _SANITIZE_BYTES)


def _log(page: int, length: int) -> AdminCommand:
    return AdminCommand(
        opcode=0x02, nsid=ALL_NAMESPACES, cdw10=page | (length // 4 - 1) << 16, receives=length
    )


class LbaFormat(Frozen, frozen=True):
    """One way to lay out blocks (NVM Command Set, LBA Format Data Structure)."""

    metadata: int  # bytes beside each block
    block: int  # bytes; 0: not available


class IdentifyNamespace(Frozen, frozen=True):
    """What a namespace says of itself."""

    blocks: int  # NSZE
    capacity: int  # NCAP, blocks
    used: int  # NUSE, blocks
    format_index: int  # FLBAS 3:0 and 6:5
    metadata_at_end: bool  # FLBAS 4: metadata follows each block in the same buffer
    protection: int  # DPS 2:0, the type of protection information
    protection_first: bool  # DPS 3: it is the first bytes of the metadata
    shared: bool  # NMIC 0: other controllers may reach it
    nguid: str  # 32 hex digits, zeros: none
    eui64: str  # 16 hex digits, zeros: none
    formats: tuple[LbaFormat, ...]

    @property
    def block(self) -> int:
        """Bytes of one block as it is formatted now."""
        return self.formats[self.format_index].block

    @classmethod
    def decode(cls, content: bytes) -> "IdentifyNamespace":
        """Read the structure that `identify_namespace` asks for.

        Raises:
            Malformed: it is too short, or names a format that it does not list.
        """
        required(content, 384, "Identify Namespace")
        flbas, dps = content[26], content[29]
        formats = tuple(
            LbaFormat(
                metadata=little(content, at, 2),
                block=1 << content[at + 2] if content[at + 2] in _SHIFTS else 0,
            )
            for at in range(128, 128 + 4 * min(content[25] + 1, 64), 4)
        )
        index = flbas & 0xF | (flbas >> 5 & 3) << 4
        if index >= len(formats):
            raise Malformed(f"the namespace uses format {index} of {len(formats)}", kind="unknown-format")
        return cls(
            blocks=little(content, 0, 8),
            capacity=little(content, 8, 8),
            used=little(content, 16, 8),
            format_index=index,
            metadata_at_end=bool(flbas & 0x10),
            protection=dps & 7,
            protection_first=bool(dps & 8),
            shared=bool(content[30] & 1),
            nguid=content[104:120].hex(),
            eui64=content[120:128].hex(),
            formats=formats,
        )


_SHIFTS = range(9, 32)  # LBADS: "a value smaller than 9 is not supported"


def namespaces_of(content: bytes) -> tuple[int, ...]:
    """Read the list that `active_namespaces` asks for; it ends at the first zero."""
    required(content, IDENTIFY_BYTES, "the list of active namespaces")
    numbers = struct.unpack("<1024I", content[:IDENTIFY_BYTES])
    return numbers[: numbers.index(0)] if 0 in numbers else numbers


class IdentifyController(Frozen, frozen=True):
    """What a controller says of itself."""

    vendor: int  # PCI vendor, VID
    serial: str
    model: str
    firmware: str
    controller: int  # CNTLID
    version: tuple[int, int, int]
    shared: bool  # CMIC 1: the subsystem may have several controllers
    can_format: bool  # OACS 1
    can_manage_namespaces: bool  # OACS 3
    can_security: bool  # OACS 0: Security Send and Receive, which TCG Opal needs
    total: int  # TNVMCAP, bytes; 0: not reported
    unallocated: int  # UNVMCAP, bytes
    replay_protected: int  # RPMBS 2:0, number of replay protected memory blocks
    sanitize_crypto: bool  # SANICAP 0
    sanitize_block: bool  # SANICAP 1
    sanitize_overwrite: bool  # SANICAP 2
    media_verification: bool  # SANICAP 3
    no_deallocate_inhibited: bool  # SANICAP 29: NDAS is refused or ignored
    format_all: bool  # FNA 0: a format touches every namespace
    erase_all: bool  # FNA 1: a secure erase by format touches every namespace
    format_crypto: bool  # FNA 2: SES 2
    namespaces: int  # NN, the highest number that a namespace can have
    overheated: int  # WCTEMP, kelvin: from here on it is overheated; 0: not reported

    @property
    def sanitizes(self) -> tuple[SanitizeAction, ...]:
        """The sanitize actions that the controller says it has, strongest first."""
        can = (
            (SanitizeAction.crypto_erase, self.sanitize_crypto),
            (SanitizeAction.block_erase, self.sanitize_block),
            (SanitizeAction.overwrite, self.sanitize_overwrite),
        )
        return tuple(action for action, here in can if here)

    @classmethod
    def decode(cls, content: bytes) -> "IdentifyController":
        """Read the structure that `identify_controller` asks for.

        Raises:
            Malformed: it is too short.
        """
        required(content, IDENTIFY_BYTES, "Identify Controller")
        oacs, sanicap, fna = little(content, 256, 2), little(content, 328, 4), content[524]
        version = little(content, 80, 4)
        return cls(
            vendor=little(content, 0, 2),
            serial=printed(content[4:24]),
            model=printed(content[24:64]),
            firmware=printed(content[64:72]),
            controller=little(content, 78, 2),
            version=(version >> 16, version >> 8 & 0xFF, version & 0xFF),
            shared=bool(content[76] & 2),
            can_security=bool(oacs & 1),
            can_format=bool(oacs & 2),
            can_manage_namespaces=bool(oacs & 8),
            total=little(content, 280, 16),
            unallocated=little(content, 296, 16),
            replay_protected=little(content, 312, 4) & 7,
            sanitize_crypto=bool(sanicap & 1),
            sanitize_block=bool(sanicap & 2),
            sanitize_overwrite=bool(sanicap & 4),
            media_verification=bool(sanicap & 8),
            no_deallocate_inhibited=bool(sanicap & 1 << 29),
            format_all=bool(fna & 1),
            erase_all=bool(fna & 2),
            format_crypto=bool(fna & 4),
            namespaces=little(content, 516, 4),
            overheated=little(content, 266, 2),
        )


class HealthLog(Frozen, frozen=True):
    """What a controller says of its health."""

    warnings: int  # bits: 0 spare, 1 temperature, 2 reliability, 3 read-only, 4 backup of volatile memory
    kelvin: int  # composite temperature; 0: not reported
    spare: int  # percent of what there was
    used: int  # percent of the life that its maker expects; may pass 100
    hours: int  # powered on
    unsafe_shutdowns: int
    media_errors: int

    @property
    def celsius(self) -> int | None:
        """Composite temperature; None: not reported."""
        return self.kelvin - 273 if self.kelvin else None

    def heat(self, overheated: int) -> Heat | None:
        """Compare with WCTEMP; None: one of the two is not reported.

        Below it the controller's own warning (bit 1, Base Figure "SMART / Health Information") still
        counts: it has the hysteresis, if any, that the controller was given. That bit alone is no heat:
        it is set for cold, too.
        """
        if not (self.kelvin and overheated):
            return None
        if self.kelvin >= overheated:
            return Heat.hot
        return Heat.between if self.warnings & 2 else Heat.cool

    @classmethod
    def decode(cls, content: bytes) -> "HealthLog":
        """Read log 02h.

        Raises:
            Malformed: it is too short.
        """
        required(content, _HEALTH_BYTES, "the health log")
        kelvin = little(content, 1, 2)
        return cls(
            warnings=content[0],
            kelvin=kelvin,
            spare=content[3],
            used=content[5],
            hours=little(content, 128, 16),
            unsafe_shutdowns=little(content, 144, 16),
            media_errors=little(content, 160, 16),
        )


class SanitizeState(IntEnum):
    """SSTAT 2:0 (Base §5.16.1.25); numbers above are reserved."""

    never = 0
    done = 1
    running = 2
    failed = 3
    done_deallocated = 4  # done, and blocks were deallocated though the command asked not to


class SanitizeLog(Frozen, frozen=True):
    """What a controller says of the last sanitize: its own or anybody's."""

    progress: int  # SPROG, parts of 65,536
    state: SanitizeState | None  # None: a reserved number, which says nothing
    passes: int  # SSTAT 7:3, of an overwrite
    data_erased: bool  # SSTAT 8, Global Data Erased: no user data was written since
    cdw10: int  # SCDW10: the command that it answers to
    estimates: tuple[int | None, int | None, int | None]  # seconds: overwrite, block, crypto
    verifying: bool = False  # SSI 3:0 (Base 2.1 figure 291): in the Media Verification state

    def estimate(self, action: SanitizeAction) -> int | None:
        """Return the seconds that the controller says it needs; None: it does not say."""
        places = {
            SanitizeAction.overwrite: 0,
            SanitizeAction.block_erase: 1,
            SanitizeAction.crypto_erase: 2,
        }
        return self.estimates[places[action]] if action in places else None

    @classmethod
    def decode(cls, content: bytes) -> "SanitizeLog":
        """Read log 81h.

        Raises:
            Malformed: it is too short.
        """
        required(content, 37, "the sanitize log")
        status = little(content, 2, 2)
        known = {int(state): state for state in SanitizeState}
        seconds = [little(content, at, 4) for at in (8, 12, 16)]
        overwrite, block, crypto = (None if s == _NOT_REPORTED else s for s in seconds)
        return cls(
            progress=little(content, 0, 2),
            state=known.get(status & 7),
            passes=status >> 3 & 0x1F,
            data_erased=bool(status & 0x100),
            cdw10=little(content, 4, 4),
            estimates=(overwrite, block, crypto),
            verifying=content[36] & 0xF == _VERIFYING,
        )

    def encode(self) -> bytes:
        """Return the 512 bytes of the log; what is not in this structure is zero."""
        status = (self.state or 0) | self.passes << 3 | self.data_erased << 8
        seconds = [_NOT_REPORTED if s is None else s for s in self.estimates]
        told = struct.pack(
            "<HHI3I16xB", self.progress, status, self.cdw10, *seconds, self.verifying * _VERIFYING
        )
        return told.ljust(_SANITIZE_BYTES, b"\0")


def sanitize(action: SanitizeAction, *, keep_blocks: bool = False, verify: bool = False) -> AdminCommand:
    """Return the Sanitize command (Base §5.24); restricted completion mode, one pass of zeros.

    Args:
        keep_blocks: sets NDAS, so that a read afterwards shows the medium and not "deallocated".
        verify: sets EMVS (Base 2.1 figure 372), so that it stays where the medium can be read until it is
            told to leave; neither with an overwrite nor with `keep_blocks` (Base 2.1 §5.1.22).
    """
    passes = 1 if action is SanitizeAction.overwrite else 0
    bits = passes << 4 | keep_blocks << 9 | verify << 10
    return AdminCommand(opcode=0x84, cdw10=action | bits, timeout=60.0)


def security(protocol: int, specific: int, sends: bytes | None, length: int) -> AdminCommand:
    """Return Security Send, or Security Receive of `length` bytes if nothing is sent (Base §5.25, §5.26)."""
    ten = protocol << 24 | specific << 8
    if sends is None:
        return AdminCommand(opcode=0x82, cdw10=ten, cdw11=length, receives=length)
    return AdminCommand(opcode=0x81, cdw10=ten, cdw11=len(sends), sends=sends)


def format_namespace(
    nsid: int, now: IdentifyNamespace, erase: SecureErase, *, timeout: float
) -> AdminCommand:
    """Return Format NVM (Base §5.14) that erases and keeps block size, metadata and protection.

    Args:
        timeout: seconds; some controllers format for minutes before they answer.

    Raises:
        Refused: nothing would be erased.
    """
    if erase is SecureErase.none:
        raise Refused("a format that erases nothing is no technique")
    layout = now.format_index & 0xF | (now.format_index >> 4 & 3) << 12
    protection = now.metadata_at_end << 4 | now.protection << 5 | now.protection_first << 8
    return AdminCommand(opcode=0x80, nsid=nsid, cdw10=layout | protection | erase << 9, timeout=timeout)
