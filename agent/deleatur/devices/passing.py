"""Pass ATA commands to a drive, through SCSI, and keep what was sent and what came back.

Rule kept: what a password block held is in no evidence.
"""

from collections.abc import Generator

from deleatur.devices import ata, scsi
from deleatur.devices.ata import AtaCommand, AtaIdentity
from deleatur.devices.erase_scsi import require_good
from deleatur.devices.sending import ScsiReply, send_scsi
from deleatur.devices.sense import AtaRegisters
from deleatur.devices.waiting import exchange
from deleatur.documents.place import Cursor, Exchange
from deleatur.errors import Malformed


def speaks_ata(fd: int, vendor: str) -> bool:
    """Say whether a drive takes ATA commands; behind a USB bridge, if that says so (SAT-3, page 89h)."""
    return vendor == "ATA" or send_scsi(fd, scsi.inquiry(0x89)).outcome == "good"


def identified(fd: int) -> AtaIdentity:
    """Return who the drive is and how it is now.

    Raises:
        Failed: it does not say.
    """
    reply = send_scsi(fd, ata.identify().wrapped())
    return AtaIdentity.decode(require_good(reply, "the drive does not say who it is"))


def sent(fd: int, command: AtaCommand, otherwise: str) -> Generator[Cursor, None, ScsiReply]:
    """Send a command, yield what was answered, good or not, and return it.

    Raises:
        Failed: it was not good; `otherwise` says what that means.
    """
    reply = send_scsi(fd, command.wrapped())
    yield Cursor(position=f"command {command.command:02x}", done=0, exchanges=(evidence(command, reply),))
    require_good(reply, otherwise)
    return reply


def registers_of(reply: ScsiReply) -> AtaRegisters:
    """Return the registers of an answer that must have them.

    Raises:
        Malformed: it has none.
    """
    sense = reply.decoded()
    if sense is None or sense.ata is None:
        raise Malformed(f"an ATA answer without registers: {reply.words()}", kind="short-answer")
    return sense.ata


def evidence(command: AtaCommand, reply: ScsiReply) -> Exchange:
    """Return the command block and the raw answer."""
    return exchange(command.wrapped().block, reply.raw(), reply.seconds)
