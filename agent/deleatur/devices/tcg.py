"""What a self-encrypting drive is told and answers by the TCG's protocol, as bytes. Pure: nothing is sent.

TCG Storage Architecture Core 2.01 (tokens and packets §3.2, status codes §5.1.5, StartSession §5.2.3), Opal
SSC 2.01 (Level 0 Discovery §3.1.1, Revert §5.1.2), Opal PSID feature set 1.00; numbers as in Linux 6.1,
block/sed-opal.c. Rules kept: a field that is not wholly there is an error; no status is no success.
"""

import struct
from enum import IntEnum
from typing import Literal

from deleatur.devices.reply import big, required
from deleatur.documents.place import Frozen
from deleatur.errors import Malformed

PROTOCOL, DISCOVERY = 0x01, 0x0001  # security protocol of the TCG; the ComID of Level 0 Discovery
ROOM = 2048  # bytes of each transfer: the least MaxComPacketSize that Opal asks for
HOST_SESSION = 105  # any number: it tells our session from others
_CALL, _END_OF_DATA, _END_OF_SESSION, _EMPTY = 0xF8, 0xF9, 0xFA, 0xFF
_LIST, _END_LIST, _NAME, _END_NAME = 0xF0, 0xF1, 0xF2, 0xF3
_MANAGER = bytes.fromhex("00000000000000ff")  # the session manager
_START, _SYNC = bytes.fromhex("000000000000ff02"), bytes.fromhex("000000000000ff03")
_ADMIN_SP, _REVERT = bytes.fromhex("0000020500000001"), bytes.fromhex("0000000600000202")
_PSID = bytes.fromhex("000000090001ff01")  # the authority of the label
_HEADERS = struct.Struct(">4xHHIII" + "IIIHHII" + "6xHI")  # ComPacket, packet, data subpacket
_DISCOVERY_HEADER = 48  # bytes

Ssc = Literal["", "enterprise", "opal-1", "opal-2", "opalite", "pyrite-1", "pyrite-2", "ruby"]
_SSCS: dict[int, Ssc] = {
    0x0100: "enterprise",
    0x0200: "opal-1",
    0x0203: "opal-2",
    0x0301: "opalite",
    0x0302: "pyrite-1",
    0x0303: "pyrite-2",
    0x0304: "ruby",
}


class Status(IntEnum):
    """How a method ended (Core §5.1.5)."""

    success = 0x00
    not_authorized = 0x01
    sp_busy = 0x03
    sp_failed = 0x04
    sp_disabled = 0x05
    sp_frozen = 0x06
    no_sessions_available = 0x07
    invalid_parameter = 0x0C
    malfunction = 0x0F
    authority_locked_out = 0x12
    fail = 0x3F


BUSY = (Status.sp_busy, Status.no_sessions_available)


def status_words(status: int | None) -> str:
    """Say a status in words, with its number."""
    if status is None:
        return "no status"
    known = {each.value: each.name.replace("_", " ") for each in Status}
    return f"{known.get(status, 'status unknown to us')} (0x{status:02x})"


class Discovery(Frozen, frozen=True):
    """What Level 0 Discovery says."""

    ssc: Ssc
    com_id: int  # the first of those that sessions go through
    encrypts: bool  # the medium is encrypted, always
    enabled: bool  # locking: somebody took the drive into possession
    locked: bool  # some of it cannot be read now

    @classmethod
    def decode(cls, content: bytes) -> "Discovery":
        """Read the features; of several security subsystem classes the last.

        Raises:
            Malformed: it is too short, or a feature is not wholly there.
        """
        end = 4 + big(required(content, _DISCOVERY_HEADER, "Level 0 Discovery"), 0, 4)
        required(content, end, "Level 0 Discovery")
        found: tuple[Ssc, int] = ("", 0)
        flags, at = 0, _DISCOVERY_HEADER
        while at + 4 <= end:
            code, length = big(content, at, 2), content[at + 3]
            body = content[at + 4 : at + 4 + length]
            required(body, length, "a feature of Level 0 Discovery")
            if code == 0x0002:
                flags = required(body, 1, "the locking feature")[0]
            elif code in _SSCS:
                found = _SSCS[code], big(required(body, 2, "a security subsystem class"), 0, 2)
            at += 4 + length
        return cls(
            ssc=found[0],
            com_id=found[1],
            encrypts=bool(flags & 0x08),
            enabled=bool(flags & 0x02),
            locked=bool(flags & 0x04),
        )


class Reply(Frozen, frozen=True):
    """What came back for a method, or for the opening of a session."""

    status: int | None  # None: it tells none
    host_session: int | None = None
    session: int | None = None  # the drive's number of the session that it opened


def start_session(com_id: int, psid: bytes) -> bytes:
    """Return what opens a session with the Admin SP as the authority of the label."""
    return _packet(
        com_id,
        0,
        0,
        bytes((_CALL,))
        + _bytes(_MANAGER)
        + _bytes(_START)
        + bytes((_LIST,))
        + _unsigned(HOST_SESSION)
        + _bytes(_ADMIN_SP)
        + _unsigned(1)  # it may write
        + _named(0, psid)  # the challenge
        + _named(3, _PSID)  # the authority that signs
        + _END_OF_CALL,
    )


def revert(com_id: int, session: int) -> bytes:
    """Return the Revert of the Admin SP: the medium's keys and all settings go, and the session too."""
    call = bytes((_CALL,)) + _bytes(_ADMIN_SP) + _bytes(_REVERT) + bytes((_LIST,)) + _END_OF_CALL
    return _packet(com_id, session, HOST_SESSION, call)


def end_session(com_id: int, session: int) -> bytes:
    """Return what closes a session."""
    return _packet(com_id, session, HOST_SESSION, bytes((_END_OF_SESSION,)))


_END_OF_CALL = bytes((_END_LIST, _END_OF_DATA, _LIST, 0, 0, 0, _END_LIST))


def reply_of(content: bytes) -> Reply | None:
    """Read an answer; None: there is none yet, ask again.

    Raises:
        Malformed: it is cut, or no token stream of the TCG.
    """
    fields = _HEADERS.unpack(required(content, _HEADERS.size, "an answer of the TCG")[: _HEADERS.size])
    whole, packet, kind, length = fields[4], fields[11], fields[12], fields[13]
    if not (whole and packet and length):  # nothing in it (Core §3.2.3)
        return None
    if kind:
        raise Malformed("an answer of the TCG carries no data", kind="other-answer")
    if whole < _HEADERS.size - 20 or length > whole - (_HEADERS.size - 20):
        raise Malformed("an answer of the TCG has lengths that do not fit", kind="short-answer")
    end = _HEADERS.size + length
    tokens = _tokens(required(content, end, "an answer of the TCG")[_HEADERS.size : end])
    status = None
    if _END_OF_DATA in tokens:
        after = tokens[tokens.index(_END_OF_DATA) + 1 :]
        if len(after) >= 5 and after[0] == _LIST and after[4] == _END_LIST and isinstance(after[1], tuple):
            status = after[1][0]
    opened = tokens[:4] == [_CALL, _MANAGER, _SYNC, _LIST]
    numbers = [t[0] for t in tokens[4:6] if isinstance(t, tuple)] if opened else []
    if len(numbers) != 2:
        return Reply(status=status)
    return Reply(status=status, host_session=numbers[0], session=numbers[1])


def _packet(com_id: int, session: int, host_session: int, payload: bytes) -> bytes:
    """Wrap tokens, and fill up to whole sectors."""
    padded = payload + bytes(-len(payload) % 4)
    sub = len(padded) + 12
    headers = _HEADERS.pack(
        com_id, 0, 0, 0, sub + 24, session, host_session, 0, 0, 0, 0, sub, 0, len(payload)
    )
    return (headers + padded).ljust(ROOM, b"\0")


def _unsigned(number: int) -> bytes:
    if number < 0x40:
        return bytes((number,))
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    return bytes((0x80 | len(raw),)) + raw


def _bytes(raw: bytes) -> bytes:
    if len(raw) < 16:
        return bytes((0xA0 | len(raw),)) + raw
    return bytes((0xD0 | len(raw) >> 8, len(raw) & 0xFF)) + raw


def _named(number: int, raw: bytes) -> bytes:
    return bytes((_NAME, number)) + _bytes(raw) + bytes((_END_NAME,))


Token = int | bytes | tuple[int]  # a control token, bytes, or a number in a tuple of its own


def _tokens(raw: bytes) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(raw):
        first = raw[at]
        if first >= 0xF0:
            found += [] if first == _EMPTY else [first]
            at += 1
            continue
        if first < 0x80:
            found.append((first & 0x3F,))
            at += 1
            continue
        head, length, binary = _atom(raw, at, first)
        body = required(raw[at + head :], length, "a token of the TCG")[:length]
        found.append(body if binary else (int.from_bytes(body),))
        at += head + length
    return found


def _atom(raw: bytes, at: int, first: int) -> tuple[int, int, bool]:
    """Return the bytes of its head, those that follow, and whether they are no number."""
    if first < 0xC0:
        return 1, first & 0x0F, bool(first & 0x20)
    if first < 0xE0:
        return 2, (first & 0x07) << 8 | required(raw[at:], 2, "a token of the TCG")[1], bool(first & 0x10)
    return 4, big(required(raw[at:], 4, "a token of the TCG"), 1, 3), bool(first & 0x02)
