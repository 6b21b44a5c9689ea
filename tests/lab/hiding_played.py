"""An ATA disk that hides half of its sectors: by a protected area, a lowered address or an overlay.

Numbers are those of ATA8-ACS (SET MAX ADDRESS EXT, device configuration overlay) and ACS-3 (Accessible Max
Address). In mode `lie` it answers that it shows them, and shows no more than before.
"""

from ata_played import SECTOR, Aborted, AtaDisk, Registers
from played import Media, Mode

WAYS = ("hpa", "amac", "dco")


class HidingDisk(AtaDisk):
    """It shows `shown` sectors until it is told to show more."""

    def __init__(self, way: str, media: Media, serial: str) -> None:
        self.way, self.shown = way, media.size // SECTOR // 2
        super().__init__(media, serial)

    @property
    def size(self) -> int:
        return self.shown * SECTOR

    def words(self) -> list[int]:
        words = super().words()
        words[59] |= 0x110
        words[82] |= (self.way == "hpa") << 10
        words[83] |= (self.way == "dco") << 11
        words[119] |= (self.way == "amac") << 8
        return words

    def hiding(self, command: int, features: int, lba: int, registers: Registers) -> bytes:
        whole = self.media.size // SECTOR
        match self.way, command, features:
            case _, 0xC6, _:
                pass
            case "hpa", 0x37, _:
                self._show(lba + 1)
            case "amac", 0x78, 0:
                registers.lba = whole - 1
            case "amac", 0x78, 1:
                self._show(lba + 1)
            case "dco", 0xB1, 0xC0:
                self._show(whole)
            case "dco", 0xB1, 0xC2:
                content = bytes(6) + (whole - 1).to_bytes(8, "little") + bytes(496) + b"\xa5"
                return content + bytes([-sum(content) & 0xFF])
            case _:
                raise Aborted
        return b""

    def _show(self, sectors: int) -> None:
        if sectors > self.media.size // SECTOR:
            raise Aborted
        if self.media.mode is not Mode.LIE:
            self.shown = sectors
