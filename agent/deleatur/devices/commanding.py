"""Erase a device by one of its own commands: which technique sends what."""

from collections.abc import Callable, Iterator

from deleatur.devices import erase_ata, erase_nvme, erase_scsi, scsi
from deleatur.devices.ata import Kind
from deleatur.devices.nvme import SanitizeAction, SecureErase
from deleatur.devices.scsi import SanitizeService
from deleatur.devices.waiting import DONE, Patience
from deleatur.documents.place import Cursor

Erase = Callable[[int, int, Cursor | None, Patience], Iterator[Cursor]]


def _nvme(action: SanitizeAction) -> Erase:
    return lambda fd, size, after, patience: erase_nvme.sanitize(fd, size, action, after, patience)


def _nvme_verified(action: SanitizeAction) -> Erase:
    return lambda fd, size, after, patience: erase_nvme.sanitize(
        fd, size, action, after, patience, verify=True
    )


def _leave(action: SanitizeAction) -> Erase:
    return lambda fd, size, after, patience: erase_nvme.leave_verification(fd, size, action, after, patience)


def _nvme_format(erase: SecureErase) -> Erase:
    return lambda fd, size, _after, _patience: erase_nvme.format_namespace(fd, size, erase)


def _scsi(action: SanitizeService) -> Erase:
    return lambda fd, size, after, patience: erase_scsi.erase_by(
        fd, size, scsi.sanitize(action), after, patience, what="a sanitize"
    )


def _scsi_format(fd: int, size: int, after: Cursor | None, patience: Patience) -> Iterator[Cursor]:
    return erase_scsi.erase_by(fd, size, scsi.format_unit(), after, patience, what="a format")


def _ata(kind: Kind) -> Erase:
    return lambda fd, size, after, patience: erase_ata.sanitize(fd, size, kind, after, patience)


def _ata_security(*, enhanced: bool) -> Erase:
    return lambda fd, size, after, _patience: erase_ata.security_erase(fd, size, after, enhanced=enhanced)


COMMANDS: dict[str, Erase] = {
    "nvme-sanitize-crypto": _nvme(SanitizeAction.crypto_erase),
    "nvme-sanitize-block": _nvme(SanitizeAction.block_erase),
    "nvme-sanitize-overwrite": _nvme(SanitizeAction.overwrite),
    "nvme-sanitize-crypto-verified": _nvme_verified(SanitizeAction.crypto_erase),
    "nvme-sanitize-block-verified": _nvme_verified(SanitizeAction.block_erase),
    "nvme-format": _nvme_format(SecureErase.user_data),
    "nvme-format-crypto": _nvme_format(SecureErase.crypto),
    "scsi-sanitize-crypto": _scsi(SanitizeService.crypto_erase),
    "scsi-sanitize-block": _scsi(SanitizeService.block_erase),
    "scsi-sanitize-overwrite": _scsi(SanitizeService.overwrite),
    "scsi-format": _scsi_format,
    "ata-sanitize-crypto": _ata("crypto"),
    "ata-sanitize-block": _ata("block"),
    "ata-sanitize-overwrite": _ata("overwrite"),
    "ata-security-erase": _ata_security(enhanced=False),
    "ata-security-erase-enhanced": _ata_security(enhanced=True),
}
# What ends a technique after the medium was read in the state that its command left it in.
_LEAVING: dict[str, Erase] = {
    "nvme-sanitize-crypto-verified": _leave(SanitizeAction.crypto_erase),
    "nvme-sanitize-block-verified": _leave(SanitizeAction.block_erase),
}


def erase_by_command(
    technique: str,
    fd: int,
    size: int,
    after: Cursor | None,
    patience: Patience | None = None,
    *,
    leaving: bool = False,
) -> Iterator[Cursor]:
    """Have the open device erase itself by `technique`, one of `COMMANDS`; yield how far it is.

    Keep the descriptor exclusive until the end. What the device says is its word and no more: markers
    that were written before must have changed. Nothing is sent before it is yielded that it will be, so
    that what is at work later is known to be ours; what was answered is yielded, good or not.

    `leaving`: end the state in which the command left the device to be read.

    Raises:
        Refused: it would reach more than the device, or the device is frozen or locked.
        Transient: such a command is running that is not ours.
        Failed: the device did not take it, failed, or stands still.
    """
    if after is not None and after.position == DONE:  # killed before the end of the step was entered
        return iter(())
    return (_LEAVING if leaving else COMMANDS)[technique](fd, size, after, patience or Patience())
