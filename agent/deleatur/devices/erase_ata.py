"""Have an ATA drive sanitize itself or erase itself under its password, and wait until it says so.

ACS-3 §4.17 (Sanitize), §4.18 (Security); SAT-3 for the way through SCSI. Rules kept: a drive at rest
says "done" of a sanitize that nobody began, so only a command that it took counts; an aborted command
is a failure in whatever form the answer comes; after a security erase no password may be left.
"""

from collections.abc import Iterator

from deleatur.devices import ata, scsi
from deleatur.devices.ata import AtaIdentity, Kind, SanitizeStatus
from deleatur.devices.erase_scsi import require_good
from deleatur.devices.passing import evidence, identified, registers_of, sent
from deleatur.devices.sending import ScsiReply, send_scsi
from deleatur.devices.waiting import (
    ACCEPTED,
    BEGUN,
    DONE,
    REFUSED,
    Look,
    Patience,
    was_accepted,
    watched,
)
from deleatur.documents.place import Cursor
from deleatur.errors import Failed, Malformed, Refused, Transient

PASSWORD = b"deleatur"  # written in the manual, so that whoever finds a drive that we left locked can open it
_UNKNOWN_TIME = 24 * 3600.0  # seconds for an erase of which the drive does not say how long it takes
_LEAST_TIME = 3600.0  # seconds; some drives say "2 minutes" and mean more


def sanitize(fd: int, size: int, kind: Kind, after: Cursor | None, patience: Patience) -> Iterator[Cursor]:
    """Sanitize the drive; yield how far it is.

    Raises:
        Refused: its sanitize feature set is frozen.
        Transient: a sanitize is running that this job did not begin.
        Failed: the command was not taken, failed, or stands still.
    """
    send_scsi(fd, scsi.descriptor_sense())  # who does not know it answers as before, and is seen below
    status, failure = _status(fd)
    if status is not None and status.frozen:
        raise Refused("its sanitize feature set is frozen until the next power-up; switch it off and on")
    running = status is not None and status.running
    if running and after is None:
        raise Transient("a sanitize that is not ours is running; wait until it ends, then resume")
    if failure or not (running or was_accepted(after)):
        yield Cursor(position=BEGUN, done=0)
        command = ata.sanitize(kind)
        reply = send_scsi(fd, command.wrapped())
        if reply.outcome != "good":
            yield Cursor(position=REFUSED, done=0, exchanges=(evidence(command, reply),))
            raise Failed(f"the drive did not take the sanitize: {reply.outcome}: {_refusal(reply)}")
        yield Cursor(position=ACCEPTED, done=0, exchanges=(evidence(command, reply),))
    yield from watched(lambda: _look(fd), size, None, patience, what="the sanitize")


def _look(fd: int) -> Look:
    asked = ata.sanitize_status()
    reply = send_scsi(fd, asked.wrapped())
    kept = evidence(asked, reply)
    try:
        status = SanitizeStatus.decode(registers_of(reply))
    except Refused as error:
        return Look("failed", 0, str(error), kept)
    except Malformed as error:
        return Look("unclear", 0, str(error), kept)
    if status.running:
        return Look("running", status.progress, "running", kept)
    if status.done:
        return Look("done", status.progress, "done", kept)
    return Look("unclear", 0, "the drive says neither that it works nor that it is done", kept)


def _status(fd: int) -> tuple[SanitizeStatus | None, str]:
    """Return the status, or why there is none: the last sanitize failed."""
    try:
        return SanitizeStatus.decode(registers_of(send_scsi(fd, ata.sanitize_status().wrapped()))), ""
    except Refused as error:
        return None, str(error)


def security_erase(fd: int, size: int, after: Cursor | None, *, enhanced: bool) -> Iterator[Cursor]:
    """Set a password, erase, and see that the drive took the password away; yield what was done.

    A loss of power on the way leaves the drive locked by our password: then it is unlocked first.

    Raises:
        Refused: the drive is frozen, locked, or has a password that is not ours.
        Failed: a command was aborted, or the password is still set: then it is taken away first.
    """
    before = identified(fd)
    if after is None:
        _refuse_unable(before, enhanced=enhanced)
        yield Cursor(position=BEGUN, done=0)
    elif before.locked:
        yield from sent(
            fd, ata.unlock(PASSWORD), "it is locked by a password that is not ours: unlock it first"
        )
        before = identified(fd)
    _refuse_unable(before, enhanced=enhanced)
    if before.enabled:  # of a run that was killed: our own password opens it
        words = "a password is set that is not ours: take it away first"
        yield from sent(fd, ata.disable_password(PASSWORD), words)
    yield from sent(fd, ata.set_password(PASSWORD), "the drive did not take a password")
    yield from sent(fd, ata.erase_prepare(), "the drive did not prepare to erase")
    minutes = before.enhanced_minutes if enhanced else before.erase_minutes
    timeout = max(2 * 60.0 * minutes, _LEAST_TIME) if minutes else _UNKNOWN_TIME
    command = ata.security_erase(PASSWORD, enhanced=enhanced, timeout=timeout)
    reply = send_scsi(fd, command.wrapped())
    said = evidence(command, reply)
    left = identified(fd).enabled
    good = reply.outcome == "good" and not left
    yield Cursor(position=DONE if good else REFUSED, done=size if good else 0, exchanges=(said,))
    if left:
        kept = f"the drive keeps the password {PASSWORD.decode()!r}"
        yield from sent(fd, ata.disable_password(PASSWORD), kept)
    require_good(reply, "the drive did not erase")
    if left:
        raise Failed("the drive still had its password after the erase: it erased nothing for sure")


def _refuse_unable(seen: AtaIdentity, *, enhanced: bool) -> None:
    if not seen.security or (enhanced and not seen.enhanced):
        raise Refused("the drive says that it does not offer this erase")
    if seen.frozen:
        raise Refused(
            "its security feature set is frozen; suspend and resume the host, or plug the drive in again"
        )
    if seen.locked:
        raise Refused("it is locked by a password; unlock it first")
    if seen.expired:
        raise Refused("its count of wrong passwords is used up until the next power-up")


def _refusal(reply: ScsiReply) -> str:
    sense = reply.decoded()
    return reply.words() if sense is None or sense.ata is None else ata.refusal(sense.ata)
