"""A self-encrypting SCSI disk: SECURITY PROTOCOL IN and OUT before the part that `tper_played.py` plays."""

import struct

from played import Media, Mode
from scsi_played import ILLEGAL, UNKNOWN_FIELD, ScsiDisk, Sense
from tper_played import Tper

IN, OUT = 0xA2, 0xB5  # SPC-4


class OpalDisk(ScsiDisk):
    """In mode `lie` it says that it reverted and keeps everything."""

    model = b"OPAL DISK       "

    def __init__(self, media: Media, serial: str) -> None:
        super().__init__(media, serial)
        self.tper = Tper(lambda: media.erase(None), "lie" if media.mode is Mode.LIE else "ok")

    def supported(self, block: bytes) -> bytes:
        if block[3] in (IN, OUT):
            return bytes([0, 3, 0, 12, block[3]]).ljust(16, b"\xff")
        return super().supported(block)

    def execute(self, block: bytes, brought: bytes, length: int) -> bytes:
        if block[0] not in (IN, OUT):
            return super().execute(block, brought, length)
        protocol, com_id, size = struct.unpack_from(">BH2xI", block, 1)
        if protocol == 0 and block[0] == IN:  # which protocols it knows (SPC-4 §7.7.1)
            return bytes([0] * 7 + [2, 0, 1])[:length]
        if protocol != 1:
            raise Sense(ILLEGAL, UNKNOWN_FIELD)
        if block[0] == IN:
            return self.tper.receive(com_id, size)[:length]
        if not self.tper.send(com_id, brought):
            raise Sense(ILLEGAL, UNKNOWN_FIELD)
        return b""
