"""Have an NVMe controller sanitize itself or format a namespace, and wait until it says so.

NVM Express Base Specification 2.0 §5.14 (Format NVM), §5.24 (Sanitize), §8.21. Rules kept: the log's
"done" counts only for the command that we sent, after the controller took it; a command that
reaches other namespaces is not sent while there are any.
"""

import fcntl
from collections.abc import Iterator

from deleatur.devices import nvme
from deleatur.devices.nvme import SanitizeAction, SanitizeState, SecureErase
from deleatur.devices.sending import NvmeReply, send_nvme
from deleatur.devices.waiting import (
    ACCEPTED,
    BEGUN,
    DONE,
    REFUSED,
    Look,
    Patience,
    exchange,
    was_accepted,
    watched,
)
from deleatur.documents.place import Cursor
from deleatur.errors import Failed, Refused, Transient

NVME_IOCTL_ID = 0x4E40  # linux/nvme_ioctl.h: the number of an open namespace
_FORMAT_TIME = 6 * 3600.0  # seconds; a controller formats before it answers, a large one for hours
_FORMAT_RUNNING = 0x084


def sanitize(
    fd: int,
    size: int,
    action: SanitizeAction,
    after: Cursor | None,
    patience: Patience,
    *,
    verify: bool = False,
) -> Iterator[Cursor]:
    """Sanitize the whole subsystem of an open namespace; yield how far it is.

    A sanitize survives a loss of power and of this program: the log is asked first. With `verify` it ends in
    the Media Verification state, in which reads show the medium; a loss of power ends that state, and then
    it is done again.

    Raises:
        Refused: the controller has other namespaces, which would go too.
        Transient: another sanitize is running.
        Failed: the command was not taken, failed, or stands still.
    """
    controller = refuse_others(fd, "a sanitize takes all namespaces")
    keep_blocks = not verify and not controller.no_deallocate_inhibited
    command = nvme.sanitize(action, keep_blocks=keep_blocks, verify=verify)
    log = _log(fd)
    running = log.state is SanitizeState.running
    if running and (after is None or log.cdw10 != command.cdw10):
        raise Transient("another sanitize than ours is running; wait until it ends, then resume")
    ended = not verify and was_accepted(after) and log.state in _DONE and log.cdw10 == command.cdw10
    if not running and not ended:
        yield Cursor(position=BEGUN, done=0)
        reply = send_nvme(fd, command)
        sent = exchange(command.block(), reply.raw(), reply.seconds)
        if not reply.good:
            yield Cursor(position=REFUSED, done=0, exchanges=(sent,))
        if reply.says(nvme.SANITIZE_IN_PROGRESS):
            raise Transient("another sanitize began a moment ago; wait until it ends, then resume")
        if not reply.good:
            raise Failed(f"the controller did not take the sanitize: {reply.words()}")
        yield Cursor(position=ACCEPTED, done=0, exchanges=(sent,))
    estimate = log.estimate(action)
    yield from watched(lambda: _look(fd, command, verify), size, estimate, patience, what="the sanitize")


def leave_verification(
    fd: int, size: int, action: SanitizeAction, after: Cursor | None, patience: Patience
) -> Iterator[Cursor]:
    """Leave the Media Verification state that `sanitize` ended in, and wait until all blocks are deallocated.

    That the controller is still in it shows that whatever was read since was read there: it is entered once
    for each sanitize, and a reset or a loss of power ends it (Base 2.1 §8.1.24.3.6).

    Raises:
        Failed: it is in that state no more, did not take the command, failed, or stands still.
    """
    started = nvme.sanitize(action, verify=True)
    if not was_accepted(after):
        log = _log(fd)
        if not log.verifying or log.cdw10 != started.cdw10:
            raise Failed(
                "the controller left its media verification state by itself, as after a loss of power: "
                "what was read may not have been the medium; plan again"
            )
        yield Cursor(position=BEGUN, done=0)
        command = nvme.sanitize(SanitizeAction.exit_media_verification)
        reply = send_nvme(fd, command)
        sent = exchange(command.block(), reply.raw(), reply.seconds)
        yield Cursor(position=ACCEPTED if reply.good else REFUSED, done=0, exchanges=(sent,))
        if not reply.good:
            raise Failed(f"the controller did not leave its media verification state: {reply.words()}")
    what = "the deallocation after the media verification"
    yield from watched(lambda: _look(fd, started, verify=False), size, None, patience, what=what)


_DONE = (SanitizeState.done, SanitizeState.done_deallocated)


def _look(fd: int, sent: nvme.AdminCommand, verify: bool) -> Look:
    """Ask how far the sanitize is that `sent` began; `verify`: it ends in the Media Verification state."""
    asked = nvme.sanitize_log()
    reply = send_nvme(fd, asked)
    content = _answered(reply, "the sanitize log")
    log = nvme.SanitizeLog.decode(content)
    evidence = exchange(asked.block(), f"{reply.raw()} {content[:37].hex()}", reply.seconds)
    if log.cdw10 != sent.cdw10:
        words = f"the log speaks of another command ({log.cdw10:08x}, ours was {sent.cdw10:08x})"
        return Look("unclear", 0, words, evidence)
    if verify and log.verifying:
        return Look("done", log.progress, "in its media verification state", evidence)
    if log.state is SanitizeState.running:
        return Look("running", 0 if log.verifying else log.progress, "running", evidence)
    if verify and log.state in _DONE:
        return Look("unclear", 0, "it ended and did not enter its media verification state", evidence)
    if log.state in _DONE:
        return Look("done", log.progress, "done", evidence)
    if log.state is SanitizeState.failed:
        return Look("failed", 0, "the controller says that it failed", evidence)
    return Look("unclear", 0, "the controller shows no trace of the command that it took", evidence)


def _log(fd: int) -> nvme.SanitizeLog:
    return nvme.SanitizeLog.decode(_answered(send_nvme(fd, nvme.sanitize_log()), "the sanitize log"))


def format_namespace(fd: int, size: int, erase: SecureErase) -> Iterator[Cursor]:
    """Format an open namespace with erase, keeping its layout; yield once, when it answered.

    There is no log of a format: the word is one status, and doing it again is harmless.

    Raises:
        Refused: the controller formats or erases all namespaces at once, and has others.
        Transient: a format is running.
        Failed: the command was not taken or failed.
    """
    controller = _controller(fd)
    if controller.format_all or controller.erase_all:
        _refuse_others(fd, controller, "this controller's format takes all namespaces")
    nsid = fcntl.ioctl(fd, NVME_IOCTL_ID)
    asked = send_nvme(fd, nvme.identify_namespace(nsid))
    now = nvme.IdentifyNamespace.decode(_answered(asked, "Identify Namespace"))
    command = nvme.format_namespace(nsid, now, erase, timeout=_FORMAT_TIME)
    reply = send_nvme(fd, command)
    sent = exchange(command.block(), reply.raw(), reply.seconds)
    if not reply.good:
        yield Cursor(position=REFUSED, done=0, exchanges=(sent,))
    if reply.says(_FORMAT_RUNNING):
        raise Transient("a format is running; wait until it ends, then resume")
    if not reply.good:
        raise Failed(f"the controller did not format: {reply.words()}")
    yield Cursor(position=DONE, done=size, exchanges=(sent,))


def _controller(fd: int) -> nvme.IdentifyController:
    reply = send_nvme(fd, nvme.identify_controller())
    return nvme.IdentifyController.decode(_answered(reply, "Identify Controller"))


def refuse_others(fd: int, why: str) -> nvme.IdentifyController:
    """Return what the controller says of itself; raise Refused if it has other namespaces."""
    controller = _controller(fd)
    _refuse_others(fd, controller, why)
    return controller


def _refuse_others(fd: int, controller: nvme.IdentifyController, why: str) -> None:
    """Raise if the controller has more than one namespace, seen by this host or not."""
    if controller.shared and not controller.can_manage_namespaces:
        raise Refused(f"{why}, and this one cannot say which other controllers of its subsystem have")
    asked = nvme.allocated_namespaces() if controller.can_manage_namespaces else nvme.active_namespaces()
    found = nvme.namespaces_of(_answered(send_nvme(fd, asked), "the list of namespaces"))
    if len(found) != 1:
        raise Refused(
            f"{why}, and there are {len(found)} of them: {', '.join(map(str, found[:20]))}; "
            "erase each by a technique of its own"
        )


def _answered(reply: NvmeReply, what: str) -> bytes:
    if not reply.good:
        raise Failed(f"the controller did not answer with {what}: {reply.words()}")
    return reply.content
