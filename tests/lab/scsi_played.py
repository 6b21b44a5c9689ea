"""A SCSI disk as commands and answers: SANITIZE with progress, FORMAT UNIT, and what any disk is asked.

Numbers are those of SPC-4 and SBC-4. It knows nothing of how commands arrive (`tcmu.py`).
"""

import struct
import time

from played import HOTTEST, Media, Mode

SECTOR = 512
# Sense keys and additional codes (SPC-4 annex D).
NO_SENSE, RECOVERED, NOT_READY, MEDIUM_ERROR, ILLEGAL, ABORTED = 0, 1, 2, 3, 5, 11
SANITIZE_RUNS, SANITIZE_FAILED = (0x04, 0x1B), (0x31, 0x03)
UNKNOWN_OPERATION, UNKNOWN_FIELD = (0x20, 0x00), (0x24, 0x00)
READS, WRITES = (0x28, 0x88), (0x2A, 0x8A)
KNOWN = {  # operation: length of its block; what REPORT SUPPORTED OPERATION CODES says
    0x00: 6, 0x03: 6, 0x04: 6, 0x12: 6, 0x15: 6, 0x1A: 6, 0x1B: 6, 0x25: 10, 0x28: 10, 0x2A: 10, 0x35: 10,
    0x48: 10, 0x4D: 10, 0x55: 10, 0x5A: 10, 0x88: 16, 0x8A: 16, 0x91: 16, 0x9E: 16, 0xA3: 12,
}  # fmt: skip
SERVICES = {0x48: (1, 2, 3, 0x1F), 0x9E: (0x10,), 0xA3: (0x0C,)}


class Sense(Exception):
    """The command ends with CHECK CONDITION and this sense data."""

    def __init__(self, key: int, code: tuple[int, int], progress: int | None = None) -> None:
        super().__init__(key, code)
        self.key, self.code, self.progress = key, code, progress

    def fixed(self) -> bytes:
        """Encode in the fixed format (SPC-4 §4.5.3)."""
        content = bytearray(18)
        content[0], content[2], content[7], content[12:14] = 0x70, self.key, 10, bytes(self.code)
        if self.progress is not None:
            content[15:18] = struct.pack(">BH", 0x80, self.progress)
        return bytes(content)

    def descriptors(self) -> bytes:
        """Encode in the descriptor format (SPC-4 §4.5.2)."""
        progress = b"" if self.progress is None else struct.pack(">BB2xBHx", 0x02, 6, 0x80, self.progress)
        return bytes([0x72, self.key, *self.code, 0, 0, 0, len(progress)]) + progress


class ScsiDisk:
    """What each command answers."""

    vendor, model = b"PLAYED  ", b"SCSI DISK       "

    def __init__(self, media: Media, serial: str) -> None:
        self.media, self.serial = media, serial.encode()
        self.descriptor_sense = False

    @property
    def size(self) -> int:
        """How many bytes it shows."""
        return self.media.size

    def execute(self, block: bytes, brought: bytes, length: int) -> bytes:
        """Return the data that a command answers, of at most `length` bytes.

        Raises:
            Sense: it does not end well, or ends well with something to say.
        """
        operation = block[0]
        if operation == 0x12:
            return self.inquiry(block)[:length]
        if operation == 0x03:
            return self.now().fixed()[:length]
        if operation == 0xA3:
            return self.supported(block)[:length]
        running = self.now()
        if running.key and not (operation == 0x48 and not self.media.running):
            raise running
        return self.when_ready(operation, block, brought)[:length]

    def now(self) -> Sense:
        """Return what a REQUEST SENSE says."""
        if self.media.running:
            return Sense(NOT_READY, SANITIZE_RUNS, self.media.progress)
        if self.media.failed:
            return Sense(MEDIUM_ERROR, SANITIZE_FAILED)
        return Sense(NO_SENSE, (0, 0))

    def when_ready(self, operation: int, block: bytes, brought: bytes) -> bytes:
        """Answer a command that a running or failed sanitize refuses."""
        sectors = self.size // SECTOR
        if operation in READS or operation in WRITES:
            return self.transfer(operation, block, brought)
        match operation:
            case 0x00 | 0x1B | 0x35 | 0x91:  # TEST UNIT READY, START STOP, SYNCHRONIZE CACHE
                return b""
            case 0x25:
                return struct.pack(">II", sectors - 1, SECTOR)
            case 0x9E:
                return struct.pack(">QI", sectors - 1, SECTOR).ljust(32, b"\0")
            case 0x1A | 0x5A:
                return self.mode_pages(operation, block)
            case 0x15 | 0x55:
                self.select(brought, header=4 if operation == 0x15 else 8)
                return b""
            case 0x4D:
                return self.log_page(block[2])
            case 0x04:
                self.format_unit()
                return b""
            case 0x48:
                self.sanitize(block)
                return b""
        raise Sense(ILLEGAL, UNKNOWN_OPERATION)

    def inquiry(self, block: bytes) -> bytes:
        """Answer INQUIRY and its pages: supported pages, serial, designators."""
        if not block[1] & 1:
            return bytes([0, 0, 6, 2, 31, 0, 0, 2]) + self.vendor + self.model + b"0001"
        return self.page(block[2])

    def page(self, page: int) -> bytes:
        """Return a page of vital product data."""
        name = self.vendor + self.model + self.serial
        pages = {
            0x00: bytes([0x00, 0x80, 0x83]),
            0x80: self.serial,
            0x83: bytes([0x02, 0x01, 0x00, len(name)]) + name,  # of ASCII, by the vendor's name
        }
        if page not in pages:
            raise Sense(ILLEGAL, UNKNOWN_FIELD)
        return struct.pack(">BBH", 0, page, len(pages[page])) + pages[page]

    def supported(self, block: bytes) -> bytes:
        """Answer REPORT SUPPORTED OPERATION CODES for one command (SPC-4 §6.35)."""
        if block[1] & 0x1F != 0x0C or block[2] & 7 not in (1, 2, 3):
            raise Sense(ILLEGAL, UNKNOWN_FIELD)
        operation, service = block[3], struct.unpack_from(">H", block, 4)[0]
        size = KNOWN.get(operation, 0)
        if not size or (operation in SERVICES and block[2] & 7 != 1 and service not in SERVICES[operation]):
            return bytes([0, 1, 0, 0])
        return bytes([0, 3]) + struct.pack(">H", size) + bytes([operation]).ljust(size, b"\xff")

    def transfer(self, operation: int, block: bytes, brought: bytes) -> bytes:
        """Read or write sectors."""
        first, count = struct.unpack_from(">IxH" if operation in (0x28, 0x2A) else ">QI", block, 2)
        start, end = first * SECTOR, (first + count) * SECTOR
        if end > self.size:
            raise Sense(ILLEGAL, (0x21, 0x00))
        well = self.media.move(end - start)
        if operation in READS:
            return bytes(self.media.content[start:end])
        if well:
            self.media.content[start:end] = brought[: end - start]
        return b""

    def mode_pages(self, operation: int, block: bytes) -> bytes:
        """Answer MODE SENSE: the control page, which alone can be changed here, when it is asked for."""
        page = (
            bytes([0x0A, 10, self.descriptor_sense << 2]) + bytes(9)
            if block[2] & 0x3F in (0x0A, 0x3F)
            else b""
        )
        if operation == 0x1A:
            return bytes([3 + len(page), 0, 0, 0]) + page
        return struct.pack(">HBBHH", 6 + len(page), 0, 0, 0, 0) + page

    def log_page(self, told: int) -> bytes:
        """Answer LOG SENSE of the Temperature page (SPC-4 §7.3.21), which alone is known."""
        if told & 0x3F != 0x0D:
            raise Sense(ILLEGAL, UNKNOWN_FIELD)
        both = ((0, self.media.celsius()), (1, HOTTEST))
        return bytes([0x0D, 0, 0, 12]) + b"".join(struct.pack(">HBBxB", n, 3, 2, said) for n, said in both)

    def select(self, brought: bytes, header: int) -> None:
        """Take MODE SELECT of the control page: the format of sense data."""
        page = brought[header:]
        if len(page) >= 3 and page[0] & 0x3F == 0x0A:
            self.descriptor_sense = bool(page[2] & 4)

    def format_unit(self) -> None:
        """Erase everything by FORMAT UNIT, which ends when it is done."""
        if self.media.mode is Mode.FAIL:
            raise Sense(MEDIUM_ERROR, (0x31, 0x01))
        self.media.erase(b"\0")

    def sanitize(self, block: bytes) -> None:
        """Begin a sanitize, or leave a failed one behind (SBC-4 §5.30)."""
        service = block[1] & 0x1F
        if service == 0x1F:
            self.media.failed = False
        elif service in (1, 2, 3):
            self.media.begin(None if service == 3 else b"\0")
            if not block[1] & 0x80:  # without IMMED it answers when it is over
                time.sleep(self.media.seconds + 0.05)
                if self.now().key:
                    raise self.now()
        else:
            raise Sense(ILLEGAL, UNKNOWN_FIELD)
