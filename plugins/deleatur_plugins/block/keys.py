"""Find the bytes of a LUKS container that hold its keys; they are overwritten like any other."""

import os

from deleatur.api import Device, Refused, key_area, opened_to_look

TECHNIQUE = "luks-erase"


def has_header(device: Device) -> bool:
    """Say whether a LUKS header lies at the beginning of the device."""
    return any(found.name in ("luks1", "luks2") for found in device.signatures or ())


def end_of(device: Device) -> int:
    """Return how many bytes at its beginning hold headers and key slots.

    Raises:
        Refused: no LUKS header lies there, or keys may lie elsewhere.
    """
    with opened_to_look(device) as fd:
        try:
            return key_area(lambda offset, length: os.pread(fd, length, offset), device.size)
        except Refused as refused:
            raise Refused(f"{device.name}: {refused}") from None
