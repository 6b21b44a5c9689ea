"""An NVMe drive played over TCP, with a Sanitize that QEMU's lacks and a Format that may lie.

`python nvme_target.py MODE PORT SECONDS` serves one namespace of 16 MiB on 127.0.0.1; the kernel's own
NVMe/TCP host makes a real /dev/nvmeXn1 of it. Modes: ok, lie, stuck, fail, hot (`played.Mode`); the signal
USR1 ends what is stuck, as a power cycle does with such drives. Sources:
NVM Express base specification 2.0 (commands, log pages), TCP transport specification 1.0 (units of the
protocol).
"""

import dataclasses
import signal
import socket
import struct
import sys
import threading

from played import HOTTEST, Media, Mode

SIZE, SECTOR = 16 << 20, 512
NAME = b"nqn.2026-11.lab:played"
LONGEST = 131072  # bytes of one transfer of data
CAPABILITIES = (
    127 | 1 << 16 | 30 << 24 | 1 << 37
)  # 128 entries, contiguous, 15 s to get ready, NVM command set
VERSION = 0x10400
SANITIZE_ABILITIES = 0b1111  # crypto, block, overwrite, verification
KEEP_BLOCKS, VERIFY = 1 << 9, 1 << 10  # NDAS, EMVS
ESTIMATES = (300, 3, 1)  # seconds for overwrite, block, crypto
OVERWRITE = 3
# Status codes, with "do not retry" where it would be of no use.
INVALID_OPCODE, INVALID_FIELD, SANITIZE_FAILED, SANITIZE_RUNS = 0x4001, 0x4002, 0x401C, 0x401D

Answer = tuple[bytes, int, int]  # data for the host, result, status


@dataclasses.dataclass(frozen=True)
class Command:
    """A submission queue entry."""

    raw: bytes

    def word(self, number: int) -> int:
        """Return the 32-bit word with this number."""
        return int(struct.unpack_from("<I", self.raw, 4 * number)[0])

    @property
    def opcode(self) -> int:
        return self.raw[0]

    @property
    def identity(self) -> int:
        return int(struct.unpack_from("<H", self.raw, 2)[0])

    @property
    def length(self) -> int:
        """How many bytes the host wants or brings (of its one SGL descriptor)."""
        return self.word(8)

    @property
    def place(self) -> tuple[int, int]:
        """Offset and number of bytes of a read or a write."""
        sector = struct.unpack_from("<Q", self.raw, 40)[0]
        return sector * SECTOR, ((self.word(12) & 0xFFFF) + 1) * SECTOR


class Controller:
    """The drive itself: what each command answers; knows nothing of the transport."""

    def __init__(self, media: Media) -> None:
        self.media = media
        self.registers = {0x14: 0, 0x1C: 0}
        self.last_sanitize = 0
        self.verifying = False  # in the Media Verification state (Base 2.1 §8.1.24.3.6)
        self.left = False  # that state was left
        self.untouched = False  # nothing was written since the last sanitize ended ("global data erased")

    def fabrics(self, command: Command) -> Answer:
        """Answer connect, property get and property set."""
        offset, value = command.word(11), struct.unpack_from("<Q", command.raw, 48)[0]
        match command.raw[4]:
            case 0:
                self.registers[offset] = value
                if offset == 0x14:  # configuration: ready as soon as enabled, shut down as soon as told
                    self.registers[0x1C] = (value & 1) | (2 << 2 if value >> 14 & 3 else 0)
                return b"", 0, 0
            case 1:
                return b"", 1, 0
            case 4:
                return b"", {0: CAPABILITIES, 8: VERSION}.get(offset, self.registers.get(offset, 0)), 0
        return b"", 0, INVALID_OPCODE

    def admin(self, command: Command) -> Answer | None:
        """Answer an admin command; None for the one that waits for something to happen, which never does."""
        match command.opcode:
            case 0x02:
                return self.log_page(command.word(10) & 0xFF)[: command.length], 0, 0
            case 0x06:
                return self.identify(command.word(10) & 0xFF, command.length)
            case 0x09 | 0x0A | 0x18:  # set features, get features, keep alive
                return b"", 0, 0
            case 0x0C:  # asynchronous event request
                return None
            case 0x80:
                return b"", 0, self.format(command.word(10) >> 9 & 7)
            case 0x84:
                return b"", 0, self.sanitize(command.word(10))
        return b"", 0, INVALID_OPCODE

    def identify(self, structure: int, length: int) -> Answer:
        match structure:
            case 0:
                content = self._namespace()
            case 1:
                content = self._controller()
            case 2:
                content = struct.pack("<I", 1)
            case 3:
                content = bytes([1, 8, 0, 0]) + b"PLAYED01"
            case _:
                return b"", 0, INVALID_FIELD
        return content.ljust(4096, b"\0")[:length], 0, 0

    def _namespace(self) -> bytes:
        content = bytearray(4096)
        struct.pack_into("<QQQ", content, 0, *[SIZE // SECTOR] * 3)
        content[130] = 9  # sectors of 2**9 bytes
        return bytes(content)

    def _controller(self) -> bytes:
        content = bytearray(4096)
        content[4:24], content[24:64], content[64:72] = (
            b"PLAYED01".ljust(20),
            b"Played NVMe".ljust(40),
            b"1.0".ljust(8),
        )
        content[77] = LONGEST.bit_length() - 13
        struct.pack_into("<HI", content, 78, 1, VERSION)
        content[111] = 1  # an I/O controller
        struct.pack_into("<H", content, 256, 1 << 1)  # Format NVM
        struct.pack_into("<H", content, 266, HOTTEST + 273)
        struct.pack_into("<H", content, 320, 10)  # keep alive in steps of 1 s
        struct.pack_into("<I", content, 328, SANITIZE_ABILITIES)
        content[512:514] = b"\x66\x44"  # sizes of queue entries
        struct.pack_into("<HI", content, 514, 64, 1)
        content[524], content[525] = 0b100, 1  # Format erases by key too; a volatile cache
        struct.pack_into("<I", content, 536, 1 | 1 << 20)  # SGLs, and data within the command
        content[768 : 768 + len(NAME)] = NAME
        struct.pack_into("<II", content, 1792, 4 + 8192 // 16, 1)
        content[1803] = 1
        return bytes(content)

    def log_page(self, page: int) -> bytes:
        if page == 0x02:  # health: the temperature in kelvin, all of the spare left
            return struct.pack("<BHB", 0, self.media.celsius() + 273, 100).ljust(512, b"\0")
        if page != 0x81:
            return bytes(4096)
        runs = self.media.running
        self._end_processing()
        runs |= self.verifying
        state = 2 if runs else 3 if self.media.failed else 1 if self.media.done else 0
        state |= (self.media.done and self.untouched) << 8
        progress = self.media.progress if runs and not self.verifying else 0xFFFF
        told = struct.pack("<HHI3I", progress, state, self.last_sanitize, *ESTIMATES)
        return (told.ljust(36, b"\0") + bytes([5 * self.verifying])).ljust(512, b"\0")

    def _end_processing(self) -> None:
        """Enter the Media Verification state, once, where the sanitize asked for it."""
        wanted = self.last_sanitize & VERIFY and not self.left
        if wanted and self.media.done and not self.media.running:
            self.verifying = True

    def format(self, secure_erase: int) -> int:
        if self.media.running:
            return SANITIZE_RUNS
        if secure_erase > 2:
            return INVALID_FIELD
        if self.media.mode is Mode.FAIL:
            return 0x6  # internal error
        self.media.erase(b"\0")
        return 0

    def sanitize(self, told: int) -> int:
        action = told & 7
        if action == 5 and self.verifying:
            self.verifying, self.left = False, True
            return 0
        if self.media.running or self.verifying:
            return SANITIZE_RUNS
        if told & VERIFY and (action == OVERWRITE or told & KEEP_BLOCKS):
            return INVALID_FIELD
        if action == 1:  # leave the failure behind
            self.media.failed = False
        elif action in (2, 3, 4):
            self.last_sanitize, self.untouched, self.left = told, True, False
            self.media.begin({2: b"\0", 3: b"\0"}.get(action))
        else:
            return INVALID_FIELD
        return 0

    def refuses_data(self) -> int:
        """Return the status with which reads and writes fail now, or 0."""
        return SANITIZE_RUNS if self.media.running else SANITIZE_FAILED if self.media.failed else 0

    def write(self, offset: int, content: bytes) -> None:
        if self.media.move(len(content)):
            self.media.content[offset : offset + len(content)] = content
        self.untouched = False


class Connection:
    """One queue: takes units of the protocol from a socket and answers them."""

    def __init__(self, connected: socket.socket, controller: Controller, lock: threading.Lock) -> None:
        self.socket, self.controller, self.lock = connected, controller, lock
        self.queue = self.head = 0
        self.awaited: dict[int, list[int]] = {}  # command: offset, bytes wanted, bytes here

    def serve(self) -> None:
        """Answer until the host closes."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                kind, _, _, start, length = struct.unpack("<BBBBI", self._take(8))
                self._unit(kind, self._take(length - 8), start - 8)
        except (EOFError, OSError):  # the host went
            self.socket.close()

    def _unit(self, kind: int, body: bytes, start: int) -> None:
        if kind == 0:  # the connection begins
            self.socket.sendall(struct.pack("<BBBBIHBBI", 1, 0, 128, 0, 128, 0, 0, 0, LONGEST) + bytes(112))
        elif kind == 4:
            self._command(Command(body[:64]), body[64:])
        elif kind == 6:  # data that was asked for
            identity, _, at, length = struct.unpack_from("<HHII", body)
            offset, wanted, _ = awaited = self.awaited[identity]
            with self.lock:
                self.controller.write(offset + at, body[start : start + length])
            awaited[2] += length
            if awaited[2] >= wanted:
                del self.awaited[identity]
                self._respond(identity)

    def _command(self, command: Command, brought: bytes) -> None:
        self.head += 1
        with self.lock:
            if command.opcode == 0x7F:
                if command.raw[4] == 1:
                    self.queue = struct.unpack_from("<H", command.raw, 42)[0]
                answer: Answer | None = self.controller.fabrics(command)
            elif self.queue == 0:
                answer = self.controller.admin(command)
            else:
                answer = self._transfer(command, brought)
        if answer is not None:
            content, result, status = answer
            if content:
                self.socket.sendall(
                    struct.pack(
                        "<BBBBIHHIII",
                        7,
                        4,
                        24,
                        24,
                        24 + len(content),
                        command.identity,
                        0,
                        0,
                        len(content),
                        0,
                    )
                    + content
                )
            self._respond(command.identity, result, status)

    def _transfer(self, command: Command, brought: bytes) -> Answer | None:
        """Answer a command of the I/O queue; None if its data must be asked for first."""
        if command.opcode == 0:  # flush
            return b"", 0, 0
        if command.opcode not in (1, 2):
            return b"", 0, INVALID_OPCODE
        if refused := self.controller.refuses_data():
            return b"", 0, refused
        if command.opcode == 1 and self.controller.verifying:
            return b"", 0, SANITIZE_RUNS
        offset, length = command.place
        if command.opcode == 2:
            self.controller.media.move(length)
            return bytes(self.controller.media.content[offset : offset + length]), 0, 0
        if brought:
            self.controller.write(offset, brought[:length])
            return b"", 0, 0
        self.awaited[command.identity] = [offset, length, 0]
        self.socket.sendall(struct.pack("<BBBBIHHIII", 9, 0, 24, 0, 24, command.identity, 1, 0, length, 0))
        return None

    def _respond(self, identity: int, result: int = 0, status: int = 0) -> None:
        entry = struct.pack("<QHHHH", result, self.head & 0xFFFF, self.queue, identity, status << 1)
        self.socket.sendall(struct.pack("<BBBBI", 5, 0, 24, 0, 24) + entry)

    def _take(self, count: int) -> bytes:
        parts = []
        while count:
            part = self.socket.recv(count)
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def main(mode: str, port: int, seconds: float) -> None:
    """Serve until killed."""
    media = Media(SIZE, Mode(mode), seconds)
    signal.signal(signal.SIGUSR1, lambda *_: media.cure())
    controller, lock = Controller(media), threading.Lock()
    with socket.create_server(("127.0.0.1", port)) as server:
        print("listening", flush=True)
        while True:
            connected, _ = server.accept()
            threading.Thread(target=Connection(connected, controller, lock).serve, daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
