"""Rows of the sabotage table: the block device that is read is not the one below the target."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from deleatur.api import Backend, Inspection, filesystem_of
from deleatur.errors import Malformed, Residue

from .sabotage_cheats import UNVERIFIED, Cheat, only
from .sabotage_worlds import World

ON_DISK = ("file", "rows", "database")
_PIECE = 1 << 20  # bytes of one read


def _names(**changed: Any) -> Callable[[World], type[Backend]]:
    """Return a plugin that says something else of the block device below the target."""

    def rogue(world: World) -> type[Backend]:
        class Misnames(world.base):  # type: ignore[name-defined,misc]
            def inspect(self) -> Inspection:
                found: Inspection = super().inspect()
                told = (msgspec.structs.replace(s, **changed) if s.is_device else s for s in found.surfaces)
                return msgspec.structs.replace(found, surfaces=tuple(told))

        return Misnames

    return rogue


def _device_of(world: World) -> Path:
    return Path(filesystem_of(world.home).source)


def _copy(device: Path, image: Path) -> None:
    """Copy every byte that the device has now, zeros too, so that nothing of the image is a hole."""
    os.sync()
    with device.open("rb") as read, image.open("wb") as written:
        os.posix_fadvise(read.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # read by an earlier copy
        while piece := read.read(_PIECE):
            written.write(piece)


def _zero(image: Path) -> None:
    size = image.stat().st_size
    with image.open("r+b") as file:
        for offset in range(0, size, _PIECE):
            file.seek(offset)
            file.write(bytes(min(_PIECE, size - offset)))


def _image(world: World) -> Path:
    """Return a copy of the device as long as it is; beside its mount, because it would grow on it."""
    image = world.folder.parent.parent / "image"
    _copy(_device_of(world), image)
    return image


def shows_zeros(world: World) -> type[Backend]:
    """The device that is read holds zeros, before as after."""
    image = _image(world)
    _zero(image)
    return _names(paths=(str(image),))(world)


def shows_zeros_before(world: World) -> type[Backend]:
    """Zeros are read before the erase, and what truly lies on the device after it."""
    image = _image(world)
    _zero(image)
    world.acts["all-erased"] = lambda: _copy(_device_of(world), image)
    return _names(paths=(str(image),))(world)


def shows_zeros_after(world: World) -> type[Backend]:
    """What truly lies on the device is read before the erase, and zeros after it."""
    image = _image(world)
    world.acts["controlled"] = lambda: _zero(image)
    return _names(paths=(str(image),))(world)


def _row(name: str, act: Callable[[World], Any], backend: str, caught_by: str) -> Cheat:
    """Return a row that is played on one kind of target: the core alone reads, on each the same way."""
    ends = only(backend, ends=UNVERIFIED)
    return Cheat(name, "as the plugin", act, ends, f"**no claim**: {caught_by}", device=True)


SHOWN_BEFORE = "each surface must show the values before"
DEVICE = (
    _row("names a block device that shows zeros", shows_zeros, "database", SHOWN_BEFORE),
    _row(
        "names a block device that shows zeros before the erase only",
        shows_zeros_before,
        "rows",
        SHOWN_BEFORE,
    ),
    Cheat(
        "names a block device that shows zeros after the erase only",
        "as the plugin",
        shows_zeros_after,
        {"file": Residue, "rows": UNVERIFIED},
        "files are read back there; **no claim** else: a device must show what was just written to the file "
        "system above it",
        spares=False,
        device=True,
    ),
    Cheat(
        "says that the values need not lie on the block device",
        "as the plugin",
        _names(control="none"),
        only(*ON_DISK, ends=Malformed),
        "a plan that says so is none",
        device=True,
    ),
)
