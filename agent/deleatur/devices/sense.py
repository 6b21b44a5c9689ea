"""Sense data: why a SCSI device did not simply say "good", in both of its formats. Pure.

Sources: SPC-4 §4.5 (fixed 70h/71h, descriptor 72h/73h); SAT-3 §12.2.2.6 (registers of an ATA
command); Linux 6.1 ata_gen_passthru_sense, which puts them at bytes 8-11 of the fixed format where
SAT has 3-6. Rule kept: an aborted ATA command is a failure in every format.
"""

from deleatur.devices.reply import big, required
from deleatur.documents.place import Frozen
from deleatur.errors import Malformed

FIXED, DESCRIPTOR = (0x70, 0x71), (0x72, 0x73)
_KEYS = (  # SPC-4 table "Sense key descriptions"
    "no sense",
    "recovered error",
    "not ready",
    "medium error",
    "hardware error",
    "illegal request",
    "unit attention",
    "data protect",
    "blank check",
    "vendor specific",
    "copy aborted",
    "aborted command",
    "reserved",
    "volume overflow",
    "miscompare",
    "completed",
)
_MEANINGS = {  # ASC, ASCQ; SPC-4 annex "ASC/ASCQ assignments"
    (0x00, 0x1D): "ATA registers are available",
    (0x04, 0x04): "a format is in progress",
    (0x04, 0x1B): "a sanitize is in progress",
    (0x20, 0x00): "the command is not known",
    (0x21, 0x04): "unaligned write command",
    (0x24, 0x00): "invalid field in the command",
    (0x26, 0x00): "invalid field in the parameter list",
    (0x31, 0x00): "the format of the medium is damaged",
    (0x31, 0x01): "a format failed",
    (0x31, 0x03): "a sanitize failed",
    (0x44, 0x00): "internal target failure",
    (0x74, 0x71): "the logical unit is locked",
}
ERR, DF, BSY = 0x01, 0x20, 0x80  # of the status register: ACS-3 §6.2
ABRT = 0x04  # of the error register: ACS-3 §6.3


class AtaRegisters(Frozen, frozen=True):
    """What an ATA device left in its registers."""

    error: int
    status: int
    device: int
    count: int | None  # None: more than the format of the answer can hold
    lba: int | None

    @property
    def good(self) -> bool:
        """Whether the command ended without error, by the device's own status."""
        return not self.status & (ERR | DF | BSY) and self.status != 0


class Sense(Frozen, frozen=True):
    """What sense data say."""

    key: int
    asc: int
    ascq: int
    deferred: bool  # it speaks of an earlier command
    progress: int | None  # parts of 65,536; None: not reported
    ata: AtaRegisters | None

    def words(self) -> str:
        """Say it in words, with its numbers."""
        meaning = _MEANINGS.get((self.asc, self.ascq), "meaning unknown to us")
        registers = (
            "" if self.ata is None else f"; ATA error {self.ata.error:02x} status {self.ata.status:02x}"
        )
        return f"{_KEYS[self.key]}, {meaning} ({self.key:x}/{self.asc:02x}/{self.ascq:02x}){registers}"

    @classmethod
    def decode(cls, content: bytes) -> "Sense":
        """Read sense data of either format.

        Raises:
            Malformed: too short, or of no format that SPC-4 knows.
        """
        code = required(content, 1, "sense data")[0] & 0x7F
        if code in FIXED:
            return _fixed(content, deferred=code == FIXED[1])
        if code in DESCRIPTOR:
            return _described(content, deferred=code == DESCRIPTOR[1])
        raise Malformed(f"sense data of the unknown format {code:02x}", kind="unknown-format")


def _fixed(content: bytes, *, deferred: bool) -> Sense:
    required(content, 14, "sense data")
    key, asc, ascq = content[2] & 0xF, content[12], content[13]
    progress = big(content, 16, 2) if len(content) >= 18 and content[15] & 0x80 and key in (0, 2) else None
    ata = _fixed_registers(content) if key == 0xB or (key, asc, ascq) == (1, 0, 0x1D) else None
    return Sense(key=key, asc=asc, ascq=ascq, deferred=deferred, progress=progress, ata=ata)


def _fixed_registers(content: bytes) -> AtaRegisters | None:
    """Return the registers where SAT has them, else where Linux 6.1 leaves those of a failed command."""
    if any(content[3:7]):
        error, status, device, count = content[3:7]
        flags, low = content[8], int.from_bytes(content[9:12], "little")
        return AtaRegisters(
            error=error,
            status=status,
            device=device,
            count=None if flags & 0x40 else count,
            lba=None if flags & 0x20 else low,
        )
    if any(content[8:12]):
        error, status, device, count = content[8:12]
        return AtaRegisters(error=error, status=status, device=device, count=count, lba=None)
    return None


def _described(content: bytes, *, deferred: bool) -> Sense:
    required(content, 8, "sense data")
    progress, ata, at = None, None, 8
    end = min(len(content), 8 + content[7])
    while at + 2 <= end:
        kind, length = content[at], content[at + 1]
        body = content[at : min(at + 2 + length, end)]
        if kind == 0x02 and len(body) >= 7 and body[4] & 0x80:  # sense key specific
            progress = big(body, 5, 2)
        elif kind == 0x09 and len(body) >= 14:  # ATA Status Return: SAT-3 table "ATA Status Return"
            ata = _returned(body)
        at += 2 + length
    key = content[1] & 0xF
    return Sense(key=key, asc=content[2], ascq=content[3], deferred=deferred, progress=progress, ata=ata)


def _returned(body: bytes) -> AtaRegisters:
    """Read the descriptor: high and low halves of each register lie side by side."""
    extended = body[2] & 1
    low = body[7] | body[9] << 8 | body[11] << 16
    high = body[6] | body[8] << 8 | body[10] << 16
    return AtaRegisters(
        error=body[3],
        count=body[4] << 8 | body[5] if extended else body[5],
        lba=high << 24 | low if extended else low,
        device=body[12],
        status=body[13],
    )
