"""Ask a drive how hot it is, and from where on it is too hot by its own word; commands that change nothing.

Rule kept: what a drive does not say of itself is not known; no limit of ours takes its place.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from deleatur.devices import nvme
from deleatur.devices.ata import AtaCommand
from deleatur.devices.passing import speaks_ata
from deleatur.devices.reply import big, required
from deleatur.devices.scsi import ScsiCommand
from deleatur.devices.sending import send_nvme, send_scsi
from deleatur.documents.device import Device
from deleatur.documents.place import Frozen
from deleatur.errors import Malformed
from deleatur.sanitize.device import Medium
from deleatur.sanitize.heat import Cooling, Heat, watching

_PAGE = 0x0D  # SPC-4 §7.3.21: Temperature log page
_CURRENT_VALUES = 0b01 << 6  # SPC-4 §6.8: page control of LOG SENSE
_NOT_SAID = 0xFF  # SPC-4 §7.3.21
_STATISTICS, _TEMPERATURES = 0x04, 0x05  # ACS-3 §A.5: the log, and its page
_CURRENT, _HIGHEST = 0x08, 0x58  # ACS-3 §A.5.7: temperature now, and the specified maximum
_SECTOR = 512  # bytes of a page of that log
_ATTEMPTS = 2  # before a drive counts as one that does not say: a command may fail once
_SCSI = frozenset({"ata", "scsi", "sas", "fibre", "iscsi", "usb"})


class Temperature(Frozen, frozen=True):
    """What a drive says, in degrees Celsius."""

    celsius: int
    highest: int  # at which it may be operated

    @property
    def heat(self) -> Heat:
        """Compare the two; such drives name no second limit from which on they have cooled."""
        return Heat.hot if self.celsius >= self.highest else Heat.cool


def log_sense() -> ScsiCommand:
    """Ask a SCSI drive for its Temperature log page (SPC-4 §6.8)."""
    block = bytes((0x4D, 0, _CURRENT_VALUES | _PAGE, 0, 0, 0, 0, 0, _NOT_SAID, 0))
    return ScsiCommand(block=block, receives=_NOT_SAID)


def read_statistics() -> AtaCommand:
    """Ask an ATA drive for the temperatures of its Device Statistics: READ LOG EXT, 2Fh (ACS-3 §7.24)."""
    return AtaCommand(
        command=0x2F, count=1, lba=_TEMPERATURES << 8 | _STATISTICS, extended=True, direction="in"
    )


def of_log_page(content: bytes) -> Temperature | None:
    """Read the Temperature log page; None: it lacks the temperature or the reference temperature.

    Raises:
        Malformed: it is another page, or torn.
    """
    if required(content, 4, "a log page")[0] & 0x3F != _PAGE or content[1]:
        raise Malformed("the device answered with another log page", kind="wrong-answer")
    said, at, end = dict[int, int](), 4, 4 + big(content, 2, 2)
    while at < end:
        code, length = big(content, at, 2), big(content, at + 3, 1)
        if length >= 2:
            said[code] = big(content, at + 5, 1)
        at += 4 + length
    now, highest = said.get(0, _NOT_SAID), said.get(1, _NOT_SAID)
    return None if _NOT_SAID in (now, highest) else Temperature(celsius=now, highest=highest)


def of_statistics(content: bytes) -> Temperature | None:
    """Read the page of temperatures of the Device Statistics; None: one of the two is not said.

    Raises:
        Malformed: it is another page, or too short.
    """
    if required(content, _SECTOR, "device statistics")[2] != _TEMPERATURES:
        raise Malformed("the device answered with another page of statistics", kind="wrong-answer")
    now, highest = _statistic(content, _CURRENT), _statistic(content, _HIGHEST)
    return None if now is None or highest is None else Temperature(celsius=now, highest=highest)


def _statistic(content: bytes, at: int) -> int | None:
    """Return a signed byte whose quadword says that it is supported and valid (ACS-3 §A.5.1)."""
    both = content[at + 7] >> 6 == 0b11
    return int.from_bytes(content[at : at + 1], signed=True) if both else None


def cooled(medium: Medium, device: Device) -> Medium:
    """Return `medium` so that what is read and written there pauses while `device` says it is too hot.

    A device that is no drive, or says nothing of its temperature, is returned as it is.
    """
    for way in _ways(medium.fd, device):
        if any(way() is not None for _ in range(_ATTEMPTS)):
            return replace(medium, begin=Cooling(way, *watching()).begin)
    return medium


def _ways(fd: int, device: Device) -> list[Callable[[], Heat | None]]:
    if device.kind != "disk":
        return []
    if device.bus == "nvme":
        return [partial(_asked, _nvme, fd)]
    if device.bus not in _SCSI:
        return []
    is_ata = device.ata is not None or speaks_ata(fd, device.vendor)
    ways = [_ata, _scsi] if is_ata else [_scsi]
    return [partial(_asked, way, fd) for way in ways]


def _asked(way: Callable[[int], Heat | None], fd: int) -> Heat | None:
    with suppress(OSError, Malformed):
        return way(fd)
    return None


def _nvme(fd: int) -> Heat | None:
    identity, health = send_nvme(fd, nvme.identify_controller()), send_nvme(fd, nvme.health_log())
    if not (identity.good and health.good):
        return None
    overheated = nvme.IdentifyController.decode(identity.content).overheated
    return nvme.HealthLog.decode(health.content).heat(overheated)


def _ata(fd: int) -> Heat | None:
    reply = send_scsi(fd, read_statistics().wrapped())
    said = of_statistics(reply.content) if reply.outcome == "good" else None
    return said.heat if said is not None else None


def _scsi(fd: int) -> Heat | None:
    reply = send_scsi(fd, log_sense())
    said = of_log_page(reply.content) if reply.outcome == "good" else None
    return said.heat if said is not None else None
