"""Bring the commands of a kernel's SCSI target to a disk that is played here (TCM userspace).

`python tcmu.py /dev/uioN KIND MODE SECONDS SERIAL`, KIND one of `KINDS`. The ring is that of
linux/target_core_user.h, version 2: a mailbox, then entries of which each names the command's block and its
data by offsets into the mapped memory.
"""

import mmap
import os
import struct
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ata_played import AtaDisk
from hiding_played import WAYS, HidingDisk
from opal_played import OpalDisk
from played import Media, Mode
from scsi_played import ScsiDisk, Sense

SIZE = 16 << 20
KINDS: dict[str, Callable[[Media, str], ScsiDisk]] = {
    "scsi": ScsiDisk,
    "ata": AtaDisk,
    "opal": OpalDisk,
    **{way: partial(HidingDisk, way) for way in WAYS},
}
PLACE_OF_RING, PLACE_OF_HEAD, PLACE_OF_TAIL = 4, 12, 64
COMMAND = 1  # TCMU_OP_CMD; the other is padding
GOOD, CHECK_CONDITION = 0, 2
SENSE_BYTES = 96


class Ring:
    """The memory that the kernel and this program share."""

    def __init__(self, uio: str) -> None:
        self._descriptor = os.open(uio, os.O_RDWR | os.O_CLOEXEC)
        size = int(Path(f"/sys/class/uio/{Path(uio).name}/maps/map0/size").read_text(), 16)
        self._memory = mmap.mmap(self._descriptor, size)
        self._start, self._length = struct.unpack_from("<II", self._memory, PLACE_OF_RING)

    def serve(self, disk: ScsiDisk) -> None:
        """Answer commands until killed."""
        while True:
            os.write(self._descriptor, struct.pack("<I", 0))  # what was answered may be taken
            os.read(self._descriptor, 4)
            while (tail := self._word(PLACE_OF_TAIL)) != self._word(PLACE_OF_HEAD):
                length = self._word(self._start + tail)
                if length & 7 == COMMAND:
                    self._answer(self._start + tail, disk)
                struct.pack_into("<I", self._memory, PLACE_OF_TAIL, (tail + (length & ~7)) % self._length)

    def _word(self, place: int) -> int:
        return int(struct.unpack_from("<I", self._memory, place)[0])

    def _answer(self, entry: int, disk: ScsiDisk) -> None:
        pieces, _, _, place = struct.unpack_from("<III4xQ", self._memory, entry + 8)
        parts = [
            struct.unpack_from("<QQ", self._memory, entry + 48 + 16 * number) for number in range(pieces)
        ]
        brought = b"".join(self._memory[base : base + length] for base, length in parts)
        block = self._memory[place : place + 16]
        sense, status = b"", GOOD
        try:
            answer = disk.execute(block, brought, len(brought))
        except Sense as told:
            answer, status = b"", CHECK_CONDITION
            sense = told.descriptors() if disk.descriptor_sense else told.fixed()
        for base, length in parts:
            piece, answer = answer[:length], answer[length:]
            self._memory[base : base + len(piece)] = piece
        struct.pack_into("<BBHI", self._memory, entry + 8, status, 0, 0, 0)
        self._memory[entry + 16 : entry + 16 + SENSE_BYTES] = sense.ljust(SENSE_BYTES, b"\0")


def main(uio: str, kind: str, mode: str, seconds: float, serial: str) -> None:
    """Serve until killed."""
    ring = Ring(uio)
    print("serving", flush=True)
    ring.serve(KINDS[kind](Media(SIZE, Mode(mode), seconds), serial))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]), sys.argv[5])
