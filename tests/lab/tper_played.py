"""The part of a self-encrypting drive that speaks as the TCG says: discovery, a session by the PSID, Revert.

Bytes are those of TCG Storage Core 2.01 and Opal SSC 2.01, written down here on their own, so that the
agent's way to write them is compared with another one. `enum Way` says how it misleads.
"""

import enum
import struct
from collections.abc import Callable

PSID = b"PLAYEDPSID0123456789ABCDEFGHIJKL"
COM_ID, SESSION = 0x07FE, 0x1001
START = bytes.fromhex("f8 a8 00000000000000ff a8 000000000000ff02 f0")
SYNC = bytes.fromhex("f8 a8 00000000000000ff a8 000000000000ff03 f0")
ADMIN_SP = bytes.fromhex("a8 0000020500000001 01 f2 00")
AUTHORITY = bytes.fromhex("f3 f2 03 a8 000000090001ff01 f3 f1 f9 f0 00 00 00 f1")
REVERT = bytes.fromhex("f8 a8 0000020500000001 a8 0000000600000202 f0 f1 f9 f0 00 00 00 f1")
NOT_AUTHORIZED, NO_SESSIONS, FAILED = 0x01, 0x07, 0x3F


class Way(enum.StrEnum):
    """How it behaves."""

    OK = "ok"
    LIE = "lie"  # says that it reverted, and keeps its key
    STUCK = "stuck"  # never answers the revert
    CUT = "cut"  # the power goes in the midst of the first revert, before anything changed
    FAIL = "fail"  # ends the revert with FAIL
    KEEP = "keep"  # says that it reverted, and has its locking enabled still
    ECHO = "echo"  # repeats what it was sent in its answer
    BUSY = "busy"  # has no session to give
    TORN = "torn"  # its answer is cut


class Tper:
    """What it is sent, and what it answers; `erase` is what a new key does to the medium."""

    def __init__(
        self, erase: Callable[[], None], way: str = "ok", ssc: int = 0x0203, flags: int = 0x0B
    ) -> None:
        self._erase, self.way, self._ssc, self._flags = erase, Way(way), ssc, flags
        self._answer = b""
        self._open = self._was_cut = False
        self.reverts = 0

    def send(self, com_id: int, content: bytes) -> bool:
        """Take what comes by Security Send; say whether the transfer went well."""
        (length,) = struct.unpack_from(">I", content, 52)
        payload = content[56 : 56 + length]
        if com_id != COM_ID or struct.unpack_from(">H", content, 4)[0] != COM_ID:
            return False
        if payload.startswith(START):
            self._answer = self._packed(self._start(payload[len(START) :]), session=0)
        elif payload == REVERT and self._open and struct.unpack_from(">I", content, 20)[0] == SESSION:
            return self._revert()
        else:
            self._open = False
            self._answer = self._packed(b"\xfa" if payload == b"\xfa" else _ended(FAILED))
        if self.way is Way.ECHO:
            self._answer += payload
        return True

    def receive(self, com_id: int, length: int) -> bytes:
        """Return what Security Receive brings."""
        if com_id == 1:
            return self.discovery().ljust(length, b"\0")[:length]
        answer, self._answer = self._answer, b""
        if not answer:  # a ComPacket that says: not ready
            answer = struct.pack(">4xHHIII", com_id, 0, 1, 0, 0)
        return answer.ljust(length, b"\0")[:length]

    def discovery(self) -> bytes:
        """Return Level 0 Discovery: TPer, Locking and the security subsystem class."""
        features = struct.pack(">HBB12x", 0x0001, 0x10, 12)
        features += struct.pack(">HBBB11x", 0x0002, 0x10, 12, self._flags)
        features += struct.pack(">HBBHH12x", self._ssc, 0x10, 16, COM_ID, 1)
        return struct.pack(">II40x", 44 + len(features), 1) + features

    def _start(self, rest: bytes) -> bytes:
        host, rest = rest[:2], rest[2:]
        told = rest[len(ADMIN_SP) : -len(AUTHORITY)]
        known = b"\xd0" + bytes((len(PSID),)) + PSID
        if self.way is Way.BUSY:
            return SYNC + b"\xf1\xf9" + _status(NO_SESSIONS)
        if not rest.startswith(ADMIN_SP) or not rest.endswith(AUTHORITY) or told != known:
            return SYNC + b"\xf1\xf9" + _status(NOT_AUTHORIZED)
        self._open = True
        return SYNC + host + b"\x82" + struct.pack(">H", SESSION) + b"\xf1\xf9" + _status(0)

    def _revert(self) -> bool:
        self._open = False
        if self.way is Way.CUT and not self._was_cut:
            self._was_cut, self._answer = True, b""
            return False
        self.reverts += 1
        if self.way is Way.STUCK:
            return True
        if self.way is Way.FAIL:
            self._answer = self._packed(_ended(FAILED))
            return True
        if self.way is not Way.LIE:
            self._erase()
        if self.way is not Way.KEEP:
            self._flags &= ~0x02
        self._answer = self._packed(_ended(0))
        if self.way is Way.TORN:
            self._answer = self._answer[:58] + b"\xdf\xff"
        return True

    def _packed(self, payload: bytes, session: int = SESSION) -> bytes:
        padded = payload + bytes(-len(payload) % 4)
        part = struct.pack(">6xHI", 0, len(payload)) + padded
        packet = struct.pack(">IIIHHII", session, 105, 0, 0, 0, 0, len(part)) + part
        return struct.pack(">4xHHIII", COM_ID, 0, 0, 0, len(packet)) + packet


def _status(status: int) -> bytes:
    return bytes((0xF0, status, 0, 0, 0xF1))


def _ended(status: int) -> bytes:
    return b"\xf0\xf1\xf9" + _status(status)
