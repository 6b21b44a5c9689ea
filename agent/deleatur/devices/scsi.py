"""SCSI commands and their answers, as bytes. Pure: nothing is sent here.

Numbers are those of SPC-4 (INQUIRY, VPD pages, REPORT SUPPORTED OPERATION CODES, REQUEST SENSE) and
SBC-4 (READ CAPACITY, SANITIZE, FORMAT UNIT). Rule kept: a field that is not wholly there is an error.
"""

from enum import IntEnum
from typing import Literal

from deleatur.devices.reply import big, printed, required
from deleatur.documents.place import Frozen
from deleatur.errors import Malformed

SENSE_BYTES = 252  # SPC-4 §4.5: the longest sense data


class ScsiCommand(Frozen, frozen=True):
    """One command, with what goes along and what is expected back."""

    block: bytes  # the command descriptor block
    sends: bytes = b""
    receives: int = 0  # bytes
    timeout: float = 20.0  # seconds


class SanitizeService(IntEnum):
    """Service actions of SANITIZE (SBC-4 §5.30)."""

    overwrite = 0x01
    block_erase = 0x02
    crypto_erase = 0x03
    exit_failure_mode = 0x1F


def inquiry(page: int | None = None, *, receives: int = 252) -> ScsiCommand:
    """Ask who the device is, or for a page of its vital product data (SPC-4 §6.6)."""
    block = bytes((0x12, page is not None, page or 0, receives >> 8, receives & 0xFF, 0))
    return ScsiCommand(block=block, receives=receives)


def test_unit_ready() -> ScsiCommand:
    """Ask whether the device takes commands (SPC-4 §6.47)."""
    return ScsiCommand(block=bytes(6))


def request_sense() -> ScsiCommand:
    """Ask how far a sanitize or format is (SPC-4 §6.39), in the fixed format."""
    return ScsiCommand(block=bytes((0x03, 0, 0, 0, SENSE_BYTES, 0)), receives=SENSE_BYTES)


def read_capacity() -> ScsiCommand:
    """Ask for the number of blocks, READ CAPACITY (16) (SBC-4 §5.21)."""
    return ScsiCommand(block=bytes((0x9E, 0x10)) + bytes(8) + (32).to_bytes(4, "big") + bytes(2), receives=32)


def read_capacity_10() -> ScsiCommand:
    """Ask for the number of blocks of a small or old device, READ CAPACITY (10) (SBC-4 §5.20)."""
    return ScsiCommand(block=bytes((0x25,)) + bytes(9), receives=8)


def supported(operation: int, service: int | None = None) -> ScsiCommand:
    """Ask whether one command is known, REPORT SUPPORTED OPERATION CODES (SPC-4 §6.35)."""
    option = 1 if service is None else 2
    block = bytes((0xA3, 0x0C, option, operation)) + (service or 0).to_bytes(2, "big")
    return ScsiCommand(block=block + (64).to_bytes(4, "big") + bytes(2), receives=64)


def security(protocol: int, specific: int, sends: bytes | None, length: int) -> ScsiCommand:
    """Return SECURITY PROTOCOL OUT, or IN of `length` bytes where nothing is sent (SPC-4 §6.40, §6.41)."""
    code, count = (0xA2, length) if sends is None else (0xB5, len(sends))
    block = bytes((code, protocol)) + specific.to_bytes(2) + bytes(2) + count.to_bytes(4) + bytes(2)
    return ScsiCommand(block=block, sends=sends or b"", receives=0 if sends is not None else length)


def sanitize(action: SanitizeService) -> ScsiCommand:
    """Return SANITIZE that answers at once and works on (SBC-4 §5.30); one pass of zeros for overwrite.

    Zeros go as a pattern of four bytes. A failed sanitize stays failed until the next one (AUSE 0).
    """
    pattern = bytes((1, 0, 0, 4)) + bytes(4) if action is SanitizeService.overwrite else b""
    block = bytes((0x48, 0x80 | action)) + bytes(5) + len(pattern).to_bytes(2, "big") + bytes(1)
    return ScsiCommand(block=block, sends=pattern)


def format_unit() -> ScsiCommand:
    """Return FORMAT UNIT that answers at once and works on (SBC-4 §5.4); defects as the device knows them.

    FMTDATA with a short parameter header, whose IMMED bit is set.
    """
    return ScsiCommand(block=bytes((0x04, 0x10, 0, 0, 0, 0)), sends=bytes((0, 0x02, 0, 0)))


def descriptor_sense() -> ScsiCommand:
    """Ask for sense data in the descriptor format: MODE SELECT of the control page (SPC-4 §7.5.8).

    D_SENSE is set, everything else zero: libata, which translates for ATA drives, knows no more.
    """
    page = bytes((0x0A, 0x0A, 0x04)) + bytes(9)
    return ScsiCommand(block=bytes((0x15, 0x10, 0, 0, 4 + len(page), 0)), sends=bytes(4) + page)


class Inquiry(Frozen, frozen=True):
    """What a device says of itself."""

    kind: int  # peripheral device type: 0 direct access, 14h zoned, 5 optical …
    removable: bool
    vendor: str
    product: str
    revision: str

    @classmethod
    def decode(cls, content: bytes) -> "Inquiry":
        """Read standard INQUIRY data (SPC-4 §6.6.2).

        Raises:
            Malformed: it is too short.
        """
        required(content, 36, "INQUIRY data")
        return cls(
            kind=content[0] & 0x1F,
            removable=bool(content[1] & 0x80),
            vendor=printed(content[8:16]),
            product=printed(content[16:32]),
            revision=printed(content[32:36]),
        )


def page_of(content: bytes, page: int) -> bytes:
    """Return the content of one page of vital product data (SPC-4 §7.8).

    Raises:
        Malformed: it is cut short, or another page: some bridges answer with what they like.
    """
    required(content, 4, "vital product data")
    if content[1] != page:
        raise Malformed(f"the device answered with page {content[1]:02x}, not {page:02x}", kind="other-page")
    return required(content, 4 + big(content, 2, 2), f"page {page:02x}")[4 : 4 + big(content, 2, 2)]


def serial_of(content: bytes) -> str:
    """Return the serial number of page 80h (SPC-4 §7.8.16)."""
    return printed(page_of(content, 0x80))


class Designator(Frozen, frozen=True):
    """One name of page 83h (SPC-4 §7.8.5)."""

    association: int  # 0: of the logical unit
    kind: int  # 3: NAA, 2: EUI-64, 1: T10, 8: text
    value: str  # hex digits, or the text


def designators_of(content: bytes) -> tuple[Designator, ...]:
    """Return the names of page 83h.

    Raises:
        Malformed: a name is cut short.
    """
    body, at, found = page_of(content, 0x83), 0, []
    while at < len(body):
        required(body, at + 4, "page 83")
        codes, kind, length = body[at] & 0xF, body[at + 1], body[at + 3]
        raw = required(body, at + 4 + length, "page 83")[at + 4 : at + 4 + length]
        value = raw.hex() if codes == 1 else printed(raw)
        found.append(Designator(association=kind >> 4 & 3, kind=kind & 0xF, value=value))
        at += 4 + length
    return tuple(found)


class Characteristics(Frozen, frozen=True):
    """What page B1h says of the medium (SBC-4 §6.6.2)."""

    rotation: int | None  # turns a minute; 0: does not turn; None: not reported
    zoned: int  # 0: not reported, 1: host aware, 2: managed by the device


def characteristics_of(content: bytes) -> Characteristics:
    """Read page B1h.

    Raises:
        Malformed: it is too short.
    """
    body = required(page_of(content, 0xB1), 5, "page b1")
    rate = big(body, 0, 2)
    rotation = {0: None, 1: 0}.get(rate, rate)
    return Characteristics(rotation=rotation, zoned=body[4] >> 4 & 3)


class Capacity(Frozen, frozen=True):
    """How large a device is."""

    blocks: int
    block: int  # bytes of a logical block
    physical: int  # bytes of a physical block
    protection: int  # type of protection information; 0: none
    thin: bool  # LBPME: blocks can be unmapped

    @classmethod
    def decode(cls, content: bytes) -> "Capacity":
        """Read the answer to READ CAPACITY (16).

        Raises:
            Malformed: it is too short.
        """
        required(content, 16, "READ CAPACITY (16)")
        block = big(content, 8, 4)
        return cls(
            blocks=big(content, 0, 8) + 1,
            block=block,
            physical=block << (content[13] & 0xF),
            protection=(content[12] >> 1 & 7) + 1 if content[12] & 1 else 0,
            thin=bool(content[14] & 0x80),
        )


Support = Literal["unknown", "no", "yes"]


def support_of(content: bytes) -> Support:
    """Read what REPORT SUPPORTED OPERATION CODES says of one command (SPC-4 §6.35.3).

    Raises:
        Malformed: it is too short.
    """
    code = required(content, 4, "the list of commands")[1] & 7
    return "no" if code == 1 else "yes" if code in (3, 5) else "unknown"
