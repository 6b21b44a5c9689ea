"""One file served through /dev/fuse whose sectors fail, lie or are slow, as told while it is in use.

`python faulty_file.py MOUNT TRUTH PIECE` mounts over the file MOUNT what the file TRUTH holds and serves at
most PIECE bytes a request, until its standard input ends. Each line of standard input is the JSON of a
`Faults`, or empty; each is answered with the JSON of the requests seen so far. TRUTH always holds what a
platter would: whoever wants to know what was really written reads it. The kernel's protocol is spoken
directly (linux/fuse.h, version 7.31): a mounted regular file needs no more than ten of its requests, and no
library has to be installed for them.
"""

import ctypes
import dataclasses
import enum
import errno
import json
import os
import random
import select
import signal
import stat
import struct
import sys
import time
from collections import Counter

SECTOR = 512
Ranges = tuple[tuple[int, int], ...]  # (first sector, number of sectors)


@dataclasses.dataclass(frozen=True)
class Faults:
    """What the device does wrong; ranges are in sectors of 512 bytes."""

    unreadable: Ranges = ()  # a read that touches one fails
    unwritable: Ranges = ()  # a write that touches one fails; what lies before it in the request is written
    dropped: Ranges = ()  # writes, discards and zeroing are acknowledged and not kept
    flipped: Ranges = ()  # read with one bit changed
    short: Ranges = ()  # a write ends before it and says so by its count
    attempts: int = 0  # so many times a sector fails before it works again; 0: for ever
    healing: bool = False  # a sector that was written becomes readable, as one that the drive replaces
    slow: float = 0.0  # seconds a request
    gone_after: int | None = None  # writes served before every request fails, as of a pulled drive
    volatile: bool = False  # what is written lies in a cache without power of its own, until it is flushed
    off: bool = False  # the power is off: of what was not flushed a part is lost, and every request fails
    off_after: int | None = None  # writes and flushes after which it goes off, in the midst of the next one
    killed: int = 0  # the process that ends in that instant, as on a host that loses its power
    chance: int = 0  # what part is lost: this seeds it

    @classmethod
    def bad(cls, *ranges: tuple[int, int]) -> "Faults":
        """Return sectors that can be neither read nor written."""
        return cls(unreadable=ranges, unwritable=ranges)


def first_in(ranges: Ranges, offset: int, size: int) -> list[int]:
    """List the sectors of `ranges` that a request touches, in order."""
    start, end = offset // SECTOR, -(-(offset + size) // SECTOR)
    touched = (range(max(start, first), min(end, first + count)) for first, count in ranges)
    return sorted({sector for part in touched for sector in part})


class Broken(Exception):
    """The request fails with this number of an error."""


class FaultyFile:
    """The bytes and their faults; knows nothing of the protocol."""

    def __init__(self, truth: int) -> None:
        self.truth = truth
        self.size = os.fstat(truth).st_size
        self.faults = Faults()
        kinds = ("read", "written", "discarded", "flushed", "bytes_written", "bytes_lost")
        self.counts = Counter(dict.fromkeys(kinds, 0))
        self._failed: Counter[tuple[str, int]] = Counter()
        self._healed: set[int] = set()
        self._written = 0
        self._cached: list[tuple[int, bytes]] = []  # what lay at a place before a write that is not flushed
        self._changed = 0  # writes and flushes

    def set_faults(self, faults: Faults) -> None:
        """Change what goes wrong, from the next request on."""
        self.faults = faults
        self._failed.clear()
        self._healed.clear()
        self._written = self._changed = 0
        if faults.off:
            self._lose()
        if not faults.volatile:
            self._cached.clear()

    def _begin(self, kind: str) -> None:
        self.counts[kind] += 1
        time.sleep(self.faults.slow)
        limit = self.faults.gone_after
        if self.faults.off or (limit is not None and self._written >= limit):
            raise Broken(errno.EIO)
        self._written += kind == "written"

    def _lose_power_in_time(self) -> None:
        """Go off if this write, which is in the cache, or this flush, which is not done, is the one."""
        self._changed += 1
        limit = self.faults.off_after
        if limit is None or self._changed <= limit:
            return
        if self.faults.killed:
            os.kill(self.faults.killed, signal.SIGKILL)
        self._lose()
        self.faults = dataclasses.replace(self.faults, off=True)
        raise Broken(errno.EIO)

    def _lose(self) -> None:
        """Take back of each write that was not flushed all, the end, or nothing, in no order."""
        chance = random.Random(self.faults.chance)
        while self._cached:
            offset, before = self._cached.pop()
            kept = chance.choice((0, chance.randrange(len(before)) // SECTOR * SECTOR, len(before)))
            self.counts["bytes_lost"] += os.pwrite(self.truth, before[kept:], offset + kept)

    def _failing(self, kind: str, ranges: Ranges, offset: int, size: int) -> int | None:
        """Return the first sector of a request that fails this time."""
        for sector in first_in(ranges, offset, size):
            if sector in self._healed and kind == "read":
                continue
            self._failed[kind, sector] += 1
            if not self.faults.attempts or self._failed[kind, sector] <= self.faults.attempts:
                return sector
        return None

    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes at `offset`, or raise `Broken`."""
        self._begin("read")
        if self._failing("read", self.faults.unreadable, offset, size) is not None:
            raise Broken(errno.EIO)
        content = bytearray(os.pread(self.truth, size, offset))
        for sector in first_in(self.faults.flipped, offset, size):
            content[max(sector * SECTOR - offset, 0)] ^= 1
        return bytes(content)

    def write(self, offset: int, content: bytes) -> int:
        """Keep what the faults let through and return how many bytes were taken, or raise `Broken`."""
        self._begin("written")
        failing = self._failing("write", self.faults.unwritable, offset, len(content))
        short = first_in(self.faults.short, offset, len(content))
        ends = [sector * SECTOR - offset for sector in (failing, *short[:1]) if sector is not None]
        taken = max(min([len(content), *ends]), 0)
        self._keep(offset, content[:taken])
        self._lose_power_in_time()
        if failing is not None:
            raise Broken(errno.EIO)
        return taken

    def zero(self, offset: int, size: int) -> None:
        """Make a range zero, as a discard or a request to write zeros does, or raise `Broken`."""
        self._begin("discarded")
        self._keep(offset, bytes(size))
        self._lose_power_in_time()

    def _keep(self, offset: int, content: bytes) -> None:
        self.counts["bytes_written"] += len(content)
        dropped = first_in(self.faults.dropped, offset, len(content))
        kept = bytearray(content)
        for sector in dropped:
            start = max(sector * SECTOR - offset, 0)
            end = min((sector + 1) * SECTOR - offset, len(content))
            kept[start:end] = os.pread(self.truth, end - start, offset + start)
        if self.faults.volatile:
            self._cached.append((offset, os.pread(self.truth, len(kept), offset)))
        os.pwrite(self.truth, kept, offset)
        if self.faults.healing:
            self._healed.update(first_in(self.faults.unreadable, offset, len(content)))

    def flush(self) -> None:
        """Answer a flush, or raise `Broken`."""
        self._begin("flushed")
        self._lose_power_in_time()
        self._cached.clear()


class Asked(enum.IntEnum):
    """The requests that a mounted regular file meets (enum fuse_opcode)."""

    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42
    FALLOCATE = 43


UNANSWERED = (Asked.FORGET, Asked.BATCH_FORGET, Asked.INTERRUPT)
# Flags of INIT: reads at once, big writes, more than 32 pages a request. Not direct I/O at once (1 << 15):
# the kernel would turn every short write into an error, and short writes are what is to be played.
INIT_FLAGS = 1 << 0 | 1 << 5 | 1 << 22
OPENED_DIRECT = 1 << 0 | 1 << 6  # around the page cache, several writes at once
PAGE = 4096
HEADER = struct.Struct("<IIQQIIIHH")
ANSWER = struct.Struct("<IiQ")


def attributes(file: FaultyFile) -> bytes:
    """Return a `fuse_attr_out` that stays true for an hour."""
    mode = stat.S_IFREG | 0o600
    return struct.pack("<QII6Q10I", 3600, 0, 0, 1, file.size, file.size // SECTOR, 0, 0, 0, 0, 0, 0,
                       mode, 1, 0, 0, 0, PAGE, 0)  # fmt: skip


def reply(file: FaultyFile, opcode: int, body: bytes, piece: int) -> bytes:
    """Return the answer to one request, or raise `Broken`."""
    match opcode:
        case Asked.INIT:
            pages = piece // PAGE
            return struct.pack("<4I2H2I2H8I", 7, 31, piece, INIT_FLAGS, 16, 12, piece, 1, pages, 0, *[0] * 8)
        case Asked.GETATTR | Asked.SETATTR:
            return attributes(file)
        case Asked.OPEN:
            return struct.pack("<QII", 1, OPENED_DIRECT, 0)
        case Asked.READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            return file.read(offset, size)
        case Asked.WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            return struct.pack("<II", file.write(offset, body[40 : 40 + size]), 0)
        case Asked.STATFS:
            return struct.pack("<5Q10I", 0, 0, 0, 0, 0, PAGE, 255, PAGE, *[0] * 7)
        case Asked.FSYNC:
            file.flush()
            return b""
        case Asked.RELEASE | Asked.FLUSH | Asked.DESTROY:
            return b""
        case Asked.FALLOCATE:  # punching a hole and zeroing, both of which leave zeros
            _, offset, size = struct.unpack_from("<QQQ", body)
            file.zero(offset, size)
            return b""
    raise Broken(errno.ENOSYS)


def answer_one(connection: int, file: FaultyFile, piece: int) -> bool:
    """Take one request from the kernel and answer it; return False once it is unmounted."""
    try:
        request = os.read(connection, piece + PAGE)
    except OSError as error:
        if error.errno == errno.ENODEV:  # unmounted
            return False
        if error.errno in (errno.ENOENT, errno.EINTR):  # the request was withdrawn
            return True
        raise
    _, opcode, unique, *_ = HEADER.unpack_from(request)
    if opcode in UNANSWERED:
        return True
    try:
        answer, failure = reply(file, opcode, request[HEADER.size :], piece), 0
    except Broken as broken:
        answer, failure = b"", -broken.args[0]
    os.writev(connection, [ANSWER.pack(ANSWER.size + len(answer), failure, unique), answer])
    return True


def mount(path: str, connection: int, piece: int) -> None:
    """Mount the served file over the file at `path`.

    Raises:
        OSError: it cannot be mounted.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    mode = stat.S_IFREG | 0o600
    options = f"fd={connection},rootmode={mode:o},user_id=0,group_id=0,allow_other,max_read={piece}"
    if libc.mount(b"faulty", path.encode(), b"fuse", 2 | 4, options.encode()):  # nosuid, nodev
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def main(path: str, truth: str, piece: int) -> None:
    """Serve until standard input ends or the file is unmounted."""
    file = FaultyFile(os.open(truth, os.O_RDWR | os.O_CLOEXEC))
    connection = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    mount(path, connection, piece)
    told = sys.stdin.fileno()
    while True:
        ready, _, _ = select.select([connection, told], [], [])
        if connection in ready and not answer_one(connection, file, piece):
            return
        if told in ready:
            line = sys.stdin.buffer.readline()
            if not line:
                return
            if line.strip():
                file.set_faults(Faults(**json.loads(line)))
            print(json.dumps(file.counts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
