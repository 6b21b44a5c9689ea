"""Have a SCSI device sanitize or format itself, and wait until it says so.

SBC-4 §4.11 (sanitize operations), §5.30 (SANITIZE), §5.4 (FORMAT UNIT). Rules kept: an adapter that
did not understand the answer leaves "unknown", which is no success; the state is asked by REQUEST
SENSE only, since the kernel repeats reads until they go through; what has nothing to do with the
erase, such as a reset of the bus, is no end of it, and another erase at work is not ours.
"""

from collections.abc import Iterator

from deleatur.devices import scsi
from deleatur.devices.scsi import ScsiCommand
from deleatur.devices.sending import ScsiReply, send_scsi
from deleatur.devices.sense import Sense
from deleatur.devices.waiting import (
    ACCEPTED,
    BEGUN,
    REFUSED,
    WHOLE,
    Look,
    Patience,
    exchange,
    was_accepted,
    watched,
)
from deleatur.documents.place import Cursor
from deleatur.errors import Failed, Malformed, Transient

_MEDIUM_ERROR = 0x03
_SANITIZING, _FORMATTING = (0x04, 0x1B), (0x04, 0x04)  # ASC, ASCQ
_FAILURES = ((0x31, 0x00), (0x31, 0x01), (0x31, 0x03))
_AT_REST = (0x00, 0x01)  # sense keys: no sense, recovered error
_ATTENTION = 0x06
_ATTENTIONS = 8  # a device tells each of them once, before its state (SPC-4, REQUEST SENSE)
_FORMAT_UNIT = 0x04


def erase_by(
    fd: int, size: int, command: ScsiCommand, after: Cursor | None, patience: Patience, *, what: str
) -> Iterator[Cursor]:
    """Send a command that works on by itself, and yield how far it is.

    Raises:
        Transient: such a command is running, and this job did not send it, or another kind of erase.
        Failed: the command was not taken, failed, or stands still.
    """
    ours = _FORMATTING if command.block[0] == _FORMAT_UNIT else _SANITIZING
    before = _look(fd, ours)
    if before.state == "running" and after is None:
        raise Transient(f"{what} that is not ours is running; wait until it ends, then resume")
    if before.state == "failed" or (before.state != "running" and not was_accepted(after)):
        yield Cursor(position=BEGUN, done=0)
        reply = send_scsi(fd, command)
        sent = exchange(command.block + command.sends, reply.raw(), reply.seconds)
        if reply.outcome != "good":
            yield Cursor(position=REFUSED, done=0, exchanges=(sent,))
            raise Failed(f"the device did not take {what}: {reply.outcome}: {reply.words()}")
        yield Cursor(position=ACCEPTED, done=0, exchanges=(sent,))
    yield from watched(lambda: _look(fd, ours), size, None, patience, what=what)


def _look(fd: int, ours: tuple[int, int]) -> Look:
    """Return what the device says. Raises Transient: it does another erase than `ours`."""
    asked = scsi.request_sense()
    for _ in range(_ATTENTIONS):
        reply = send_scsi(fd, asked)
        evidence = exchange(asked.block, f"{reply.raw()} {reply.content[:32].hex()}", reply.seconds)
        if reply.outcome != "good":
            return Look("unclear", 0, f"its state cannot be asked: {reply.words()}", evidence)
        try:
            sense = Sense.decode(reply.content)
        except Malformed as error:
            return Look("unclear", 0, str(error), evidence)
        if sense.key != _ATTENTION:
            break
    code = (sense.asc, sense.ascq)
    if code == ours:
        return Look("running", min(sense.progress or 0, WHOLE), sense.words(), evidence)
    if code in (_SANITIZING, _FORMATTING):
        raise Transient("another erase than this job's is running; wait until it ends, then resume")
    if code in _FAILURES or sense.key == _MEDIUM_ERROR:
        return Look("failed", 0, f"the device says: {sense.words()}", evidence)
    if sense.key in _AT_REST:
        return Look("done", WHOLE, sense.words(), evidence)
    return Look("unclear", 0, f"the device says: {sense.words()}", evidence)


def require_good(reply: ScsiReply, what: str) -> bytes:
    """Return what came with an answer.

    Raises:
        Failed: it is not good by all that the device, its adapter and its driver say.
    """
    if reply.outcome != "good":
        raise Failed(f"{what}: {reply.outcome}: {reply.words()}")
    return reply.content
