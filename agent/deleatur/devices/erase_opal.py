"""Have a self-encrypting drive revert to how it left its maker, by its label, and ask what it became.

The medium gets another key, so that what was written under the old one is noise. Rules kept: the PSID goes
to the drive and nowhere else, so an answer that repeats it is not kept; a method without a status failed.
"""

from collections.abc import Callable, Generator, Iterator
from typing import NamedTuple

from deleatur.devices import erase_nvme, nvme, scsi, tcg
from deleatur.devices.sending import NvmeReply, ScsiReply, send_nvme, send_scsi
from deleatur.devices.tcg import Discovery, Reply, Status
from deleatur.devices.waiting import BEGUN, DONE, REFUSED, Patience, exchange
from deleatur.documents.device import REVERTING
from deleatur.documents.place import Cursor, Exchange
from deleatur.errors import Failed, Malformed, Refused, Transient

_KEPT = 160  # bytes of an answer that are evidence: headers and tokens of every answer that we ask for


class Passed(NamedTuple):
    """What a transfer brought: the raw words of the bus, the bytes, and whether it went well."""

    block: bytes
    raw: str
    content: bytes
    seconds: float
    good: bool
    words: str


Pass = Callable[[int, bytes | None], Passed]  # a ComID; what is sent, None: receive


def passing(fd: int, *, over_nvme: bool) -> Pass:
    """Return how security commands reach an open drive: NVMe's own, or those of SCSI, also before ATA."""

    def through_nvme(com_id: int, sends: bytes | None) -> Passed:
        command = nvme.security(tcg.PROTOCOL, com_id, sends, tcg.ROOM)
        reply: NvmeReply = send_nvme(fd, command)
        return Passed(command.block(), reply.raw(), reply.content, reply.seconds, reply.good, reply.words())

    def through_scsi(com_id: int, sends: bytes | None) -> Passed:
        command = scsi.security(tcg.PROTOCOL, com_id, sends, tcg.ROOM)
        reply: ScsiReply = send_scsi(fd, command)
        good = reply.outcome == "good"
        return Passed(command.block, reply.raw(), reply.content, reply.seconds, good, reply.words())

    return through_nvme if over_nvme else through_scsi


def discovered(via: Pass) -> Discovery:
    """Ask what the drive is and how it stands: Level 0 Discovery.

    Raises:
        Failed: it does not answer. Malformed: it answers something else.
    """
    told = via(tcg.DISCOVERY, None)
    if not told.good:
        raise Failed(f"the drive does not answer the discovery of the TCG: {told.words}")
    return Discovery.decode(told.content)


def revert_by_psid(
    fd: int,
    size: int,
    after: Cursor | None,
    psid: bytes,
    *,
    over_nvme: bool,
    patience: Patience | None = None,
) -> Iterator[Cursor]:
    """Open a session with the Admin SP by the PSID, revert it, and see that no locking is left.

    Done again after a loss of power: a session does not outlast it, and a second revert is harmless.

    Raises:
        Refused: the drive encrypts nothing, is locked, or has other namespaces, which would go too.
        Transient: another session is open.
        Failed: the PSID is wrong, or the drive did not revert, or does not answer.
    """
    if after is not None and after.position == DONE:
        return
    via, wait = passing(fd, over_nvme=over_nvme), patience or Patience()
    if over_nvme:
        erase_nvme.refuse_others(fd, "a revert takes all namespaces")
    found = discovered(via)
    if found.ssc not in REVERTING or not found.encrypts:
        raise Refused("the drive does not say that it encrypts its medium and changes the key at a revert")
    yield Cursor(position=BEGUN, done=0)
    opened = yield from _asked(via, found.com_id, tcg.start_session(found.com_id, psid), psid, wait)
    if opened.status in tcg.BUSY:
        raise Transient(
            "the drive has another session open; end it, or switch the drive off and on, then resume"
        )
    if opened.status == Status.not_authorized:
        raise Failed("the drive does not know this PSID; compare it with the label, then resume")
    if opened.status != Status.success or opened.session is None or opened.host_session != tcg.HOST_SESSION:
        raise Failed(f"the drive opened no session: {tcg.status_words(opened.status)}")
    ended = yield from _asked(via, found.com_id, tcg.revert(found.com_id, opened.session), psid, wait)
    if ended.status != Status.success:
        via(found.com_id, tcg.end_session(found.com_id, opened.session))
        raise Failed(f"the drive did not revert: {tcg.status_words(ended.status)}")
    if discovered(via).enabled:
        raise Failed("the drive says that it reverted, and its locking is enabled still: it reverted nothing")
    yield Cursor(position=DONE, done=size)


def _asked(
    via: Pass, com_id: int, sends: bytes, psid: bytes, patience: Patience
) -> Generator[Cursor, None, Reply]:
    """Send a method, wait for its answer, and yield both; a drive answers when it is done.

    Raises:
        Failed: the transfer failed, or no answer came, or one that nobody can read.
    """
    told = via(com_id, sends)
    yield Cursor(position="sent" if told.good else REFUSED, done=0, exchanges=(_evidence(told, psid),))
    if not told.good:
        raise Failed(f"the drive did not take a command of the TCG: {told.words}")
    began = patience.clock()
    while True:
        told = via(com_id, None)
        try:
            reply = tcg.reply_of(told.content) if told.good else None
        except Malformed as error:
            yield Cursor(position=REFUSED, done=0, exchanges=(_evidence(told, psid),))
            raise Failed(f"the drive answered something that nobody can read: {error.what}") from None
        if reply is not None:
            yield Cursor(position="answered", done=0, exchanges=(_evidence(told, psid),))
            return reply
        if not told.good or patience.clock() - began > patience.still:
            yield Cursor(position=REFUSED, done=0, exchanges=(_evidence(told, psid),))
            raise Failed(
                f"the drive gave no answer ({told.words}); nothing is erased for sure: switch it off and on, "
                "then resume"
            )
        patience.sleep(patience.interval)


def _evidence(told: Passed, psid: bytes) -> Exchange:
    """Return block and raw answer; not the bytes of one in which the PSID stands."""
    content = b"" if psid in told.content else told.content[:_KEPT].rstrip(b"\0")
    return exchange(told.block, f"{told.raw} {content.hex()}".rstrip(), told.seconds)
