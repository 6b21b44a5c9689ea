"""Ask a drive itself who it is, what it can do and how it is; only commands that change nothing.

Rule kept: what is not answered, or not in a way that can be read, stays None.
"""

import contextlib
import errno
import fcntl
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from deleatur.devices import ata, nvme, scsi
from deleatur.devices.erase_opal import discovered, passing
from deleatur.devices.opening import opened_to_look
from deleatur.devices.passing import speaks_ata
from deleatur.devices.places import attribute
from deleatur.devices.sending import ScsiReply, send_nvme, send_scsi
from deleatur.devices.sense import Sense
from deleatur.documents.device import (
    AtaCommands,
    Device,
    Erasing,
    Health,
    HiddenAreas,
    Medium,
    NvmeCommands,
    Opal,
    ScsiCommands,
    Security,
)
from deleatur.errors import Failed, Malformed, Refused

_OPAL_STATUS = 0x800870EC  # linux/sed-opal.h: IOC_OPAL_GET_STATUS, since 6.1
_OPAL_SUPPORTED, _OPAL_ENABLED, _OPAL_LOCKED = 0x1, 0x4, 0x8  # same place, OPAL_FL_…
_FAILED, _FROZEN = 1, 3  # ACS-3 table "Sanitize Device Error Reason"
_CONTROLLERS = Path("/sys/class/nvme")
_SANITIZE, _FORMAT_UNIT = 0x48, 0x04  # SBC-4
_SECURITY_IN = 0xA2  # SPC-4
_ERASING: dict[nvme.SanitizeState | None, Erasing] = {
    nvme.SanitizeState.running: "running",
    nvme.SanitizeState.failed: "failed",
}
_ERASING_SCSI: dict[tuple[int, int], Erasing] = {  # ASC, ASCQ
    (0x04, 0x04): "running",
    (0x04, 0x1B): "running",
    (0x31, 0x01): "failed",
    (0x31, 0x03): "failed",
}


def asked(device: Device) -> Device:
    """Return `device` with what the drive answers now; devices that are no drive are returned as they are."""
    if device.kind != "disk" or device.size == 0:
        return device
    with contextlib.suppress(OSError, Malformed):
        if device.bus == "nvme" and device.controller:
            device = _nvme(device)
    with contextlib.suppress(OSError, Refused), opened_to_look(device) as fd:
        device = _opal(device, fd)
        if device.bus in ("ata", "scsi", "sas", "fibre", "iscsi", "usb"):
            device = msgspec.structs.replace(device, erasing=_erasing_scsi(fd))
            device = _scsi(device, fd)
            device = _ata(device, fd)
        device = _discovered(device, fd)
    return device


@contextlib.contextmanager
def _opened_controller(path: str) -> Iterator[int]:
    """Open the character device of a controller. Raises OSError: what lies at its path is another one."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        status = os.fstat(fd)
        number = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        if not stat.S_ISCHR(status.st_mode) or number != attribute(_CONTROLLERS / Path(path).name / "dev"):
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        yield fd
    finally:
        os.close(fd)


def _nvme(device: Device) -> Device:
    with _opened_controller(device.controller) as fd:
        reply = send_nvme(fd, nvme.identify_controller())
        health = send_nvme(fd, nvme.health_log())
    if not reply.good:
        return device
    found = nvme.IdentifyController.decode(reply.content)
    offered = NvmeCommands(
        format=found.can_format,
        format_crypto=found.can_format and found.format_crypto,
        format_reaches_all=found.format_all or found.erase_all,
        sanitize_crypto=found.sanitize_crypto,
        sanitize_block=found.sanitize_block,
        sanitize_overwrite=found.sanitize_overwrite,
        no_deallocate_inhibited=found.no_deallocate_inhibited,
        media_verification=found.media_verification,
        security_protocol=found.can_security,
    )
    state = None
    if health.good:
        log = nvme.HealthLog.decode(health.content)
        state = Health(
            passed=log.warnings == 0,
            celsius=log.celsius,
            used_percent=log.used,
            spare_percent=log.spare,
            media_errors=log.media_errors,
            hours=log.hours,
        )
    erasing: Erasing | None = None
    if found.sanitizes:
        with _opened_controller(device.controller) as fd:
            told = send_nvme(fd, nvme.sanitize_log())
        if told.good:
            last = nvme.SanitizeLog.decode(told.content)
            erasing = "verifying" if last.verifying else _ERASING.get(last.state)
    return msgspec.structs.replace(device, nvme=offered, health=state, erasing=erasing)


def _opal(device: Device, fd: int) -> Device:
    buffer = bytearray(8)
    try:
        fcntl.ioctl(fd, _OPAL_STATUS, buffer)
    except OSError:  # the kernel, or the drive, knows no Opal
        return device
    flags = int.from_bytes(buffer[:4], sys.byteorder)
    found = Opal(
        supported=bool(flags & _OPAL_SUPPORTED),
        locking_enabled=bool(flags & _OPAL_ENABLED),
        locked=bool(flags & _OPAL_LOCKED),
    )
    return msgspec.structs.replace(device, opal=found)


def _discovered(device: Device, fd: int) -> Device:
    """Ask a drive that takes security commands what it is by the TCG; else the kernel's word stands."""
    kinds = (device.nvme, device.ata or device.scsi)
    if not any(kind is not None and kind.security_protocol for kind in kinds):
        return device
    try:
        found = discovered(passing(fd, over_nvme=device.bus == "nvme"))
    except (Failed, Malformed):
        return device
    told = Opal(
        supported=bool(found.ssc),
        ssc=found.ssc,
        encrypts=found.encrypts,
        locking_enabled=found.enabled,
        locked=found.locked,
    )
    return msgspec.structs.replace(device, opal=told)


def _erasing_scsi(fd: int) -> Erasing | None:
    """Ask first of all: while a disk erases itself the kernel tries each read again until it is over."""
    reply = send_scsi(fd, scsi.request_sense())
    with contextlib.suppress(Malformed):
        if reply.outcome == "good":
            found = Sense.decode(reply.content)
            return _ERASING_SCSI.get((found.asc, found.ascq))
    return None


def _scsi(device: Device, fd: int) -> Device:
    offered = {
        name: _supports(fd, _SANITIZE, service)
        for name, service in (
            ("sanitize_crypto", scsi.SanitizeService.crypto_erase),
            ("sanitize_block", scsi.SanitizeService.block_erase),
            ("sanitize_overwrite", scsi.SanitizeService.overwrite),
        )
    }
    offered["format_unit"] = _supports(fd, _FORMAT_UNIT, None)
    offered["security_protocol"] = _supports(fd, _SECURITY_IN, None)
    known = {name: said for name, said in offered.items() if said is not None}
    serial = device.serial or _unit_serial(fd)
    commands = ScsiCommands(**known) if known else None
    return msgspec.structs.replace(device, serial=serial, scsi=commands)


def _supports(fd: int, operation: int, service: int | None) -> bool | None:
    reply = send_scsi(fd, scsi.supported(operation, service))
    with contextlib.suppress(Malformed):
        if reply.outcome == "good":
            return {"yes": True, "no": False, "unknown": None}[scsi.support_of(reply.content)]
    return None


def _unit_serial(fd: int) -> str:
    reply = send_scsi(fd, scsi.inquiry(0x80))
    with contextlib.suppress(Malformed):
        if reply.outcome == "good":
            return scsi.serial_of(reply.content)
    return ""


def _ata(device: Device, fd: int) -> Device:
    if not speaks_ata(fd, device.vendor):
        return device
    reply = send_scsi(fd, ata.identify().wrapped())
    try:
        if reply.outcome != "good":
            return device
        found = ata.AtaIdentity.decode(reply.content)
    except Malformed:
        return device
    frozen, erasing = _sanitize_state(fd) if found.sanitize else (False, None)
    offered = AtaCommands(
        sanitize=found.sanitize,
        sanitize_crypto=found.sanitize_crypto,
        sanitize_block=found.sanitize_block,
        sanitize_overwrite=found.sanitize_overwrite,
        antifreeze=found.antifreeze,
        security_protocol=found.trusted,
        sanitize_frozen=frozen,
    )
    security = Security(
        supported=found.security,
        enabled=found.enabled,
        locked=found.locked,
        frozen=found.frozen,
        expired=found.expired,
        enhanced=found.enhanced,
        minutes=found.erase_minutes,
        enhanced_minutes=found.enhanced_minutes,
    )
    medium: Medium = device.medium
    if found.rotation is not None:
        medium = "magnetic" if found.rotation else "flash"
    return msgspec.structs.replace(
        device,
        vendor="" if device.vendor == "ATA" else device.vendor,
        model=found.model or device.model,
        serial=found.serial or device.serial,
        firmware=found.firmware or device.firmware,
        medium=medium,
        ata=offered,
        security=security,
        erasing=erasing or device.erasing,
        hidden=_hidden(fd, found),
    )


def _sanitize_state(fd: int) -> tuple[bool | None, Erasing | None]:
    """Return whether a sanitize is frozen (None: the drive did not say), and what became of the last one."""
    sense = send_scsi(fd, ata.sanitize_status().wrapped()).decoded()
    if sense is None or sense.ata is None:
        return None, None
    try:
        status = ata.SanitizeStatus.decode(sense.ata)
    except Refused:  # Linux 6.1 drops the reason; the one that this question has of its own is a failure
        reason = _FAILED if sense.ata.lba is None else sense.ata.lba & 0xFF
        frozen = {_FAILED: False, _FROZEN: True}.get(reason)
        return frozen, "failed" if reason == _FAILED else None
    except Malformed:
        return None, None
    return status.frozen, "running" if status.running else None


def _hidden(fd: int, found: ata.AtaIdentity) -> HiddenAreas:
    """Ask in the drive's own way for its whole size: ACS-3's, else the host protected area's."""
    factory, unread = None, False
    if found.overlay:
        reply = send_scsi(fd, ata.overlay_identify().wrapped())
        with contextlib.suppress(Malformed):
            if reply.outcome == "good":
                factory = ata.Overlay.decode(reply.content).sectors
        unread = factory is None
    by: Literal["hpa", "amac", "none"] = "amac" if found.accessible_max else "hpa" if found.hpa else "none"
    native: int | None = found.sectors
    if by != "none":
        asks = ata.native_accessible() if by == "amac" else ata.read_native_max()
        native = _last_address(fd, asks)
    return HiddenAreas(native_sectors=native, factory_sectors=factory, by=by, overlay_unread=unread)


def _last_address(fd: int, command: ata.AtaCommand) -> int | None:
    registers = _registers(send_scsi(fd, command.wrapped()))
    return None if registers is None or registers[1] is None else registers[1] + 1


def _registers(reply: ScsiReply) -> tuple[int | None, int | None] | None:
    """Return the count and the address that a good ATA command returned."""
    sense = reply.decoded()
    if reply.outcome != "good" or sense is None or sense.ata is None:
        return None
    return sense.ata.count, sense.ata.lba
