"""Overwrite the free space that a plan names, and read it back before it is given back.

Rules kept: the file system is the planned one, looked at anew; nothing is held when this ends, however it
ends; what could not be reached is told, never left out.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deleatur.documents.job import FreeSpace, Verification
from deleatur.documents.journal import Filled
from deleatur.documents.place import Identity, Inspection
from deleatur.documents.plan import PlannedFill
from deleatur.engine.progress import Progress
from deleatur.errors import Failed, Refused
from deleatur.judge.free_space import SeenSpace, chosen_places
from deleatur.sanitize.filesystem import FileSystem, filesystem_of
from deleatur.sanitize.filling import SpaceFill
from deleatur.sanitize.free_blocks import can_flush_journal, free
from deleatur.sanitize.keystream import Keystream
from deleatur.sanitize.unwritten import Reserved, write_reserved


def look_at(asked: Sequence[FreeSpace], looks: dict[str, Inspection], directory: Path) -> list[SeenSpace]:
    """Look at the file systems to be filled, and which targets (by id) lie on them only. Changes nothing.

    Raises:
        Refused: a folder cannot be opened.
    """
    resolved = [_absolute(space, directory) for space in asked]
    numbers = {_number(space.folder): space.id for space in resolved}
    on = {target: _on(look, numbers) for target, look in looks.items()}
    return [_seen(space, tuple(t for t, ids in on.items() if space.id in ids)) for space in resolved]


def _absolute(space: FreeSpace, directory: Path) -> FreeSpace:
    folder = os.path.normpath(directory / space.folder)
    return FreeSpace(id=space.id, folder=folder, margin=space.margin)


def _on(look: Inspection, numbers: dict[int, str]) -> set[str]:
    """Return the fills that a target lies on; none if any of its files lies elsewhere."""
    readable = [s for s in look.surfaces if s.reach == "scannable" and not s.is_device]
    paths = [path for surface in readable for path in surface.paths if os.path.lexists(path)]
    found = [numbers.get(os.lstat(path).st_dev, "") for path in paths]
    return set() if "" in found else set(found)


def _number(folder: str) -> int:
    try:
        return os.lstat(folder).st_dev
    except OSError as error:
        raise Refused(
            f"the free space of a folder was asked for that cannot be seen: {error.strerror}"
        ) from None


def _seen(space: FreeSpace, targets: tuple[str, ...]) -> SeenSpace:
    with _opened(space.folder) as folder:
        system = filesystem_of(folder)
        found = {"flash": system.flash, "layered-device": system.layered}
        return SeenSpace(
            asked=space,
            identity=_identity(system),
            size=free(folder),
            limits=tuple(name for name, applies in found.items() if applies),
            blockers=tuple(_blockers(system, folder)),
            targets=targets,
        )


def _identity(system: FileSystem) -> Identity:
    fields = (("type", system.type), ("uuid", system.uuid), ("mount-point", system.mount_point))
    return Identity(kind="file-system", fields=fields)


def _blockers(system: FileSystem, folder: int) -> Iterator[str]:
    """Yield every reason why a fill would not reach the old blocks, or could not show that it did."""
    if system.copy_on_write:
        yield f"{system.type} copies on write: old blocks stay in snapshots and shared extents"
    elif system.type not in ("ext4", "xfs"):
        yield f"a fill was shown to reach the free blocks of ext4 and XFS only, and this is {system.type}"
    elif os.geteuid() != 0:
        yield "the reserve and the block device are out of reach for this user: run as root"
    elif not system.source or not os.access(system.source, os.R_OK):
        yield "its block device cannot be read on this host, so nothing could be read back"
    elif system.read_only:
        yield "it is mounted read-only"
    elif system.data_journal:
        yield "it writes data through its journal: mount it with data=ordered"
    elif not can_flush_journal(folder):
        yield "ext4 cannot flush its journal here, which needs Linux 5.14"


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"the folder of a free space cannot be opened: {error.strerror}") from None
    try:
        yield fd
    finally:
        os.close(fd)


def check_space(fill: PlannedFill) -> None:
    """Compare a file system with the plan.

    Raises:
        Refused: it is another one, or it cannot be filled any more.
    """
    with _opened(fill.asked.folder) as folder:
        _check(fill, folder)


def _check(fill: PlannedFill, folder: int) -> FileSystem:
    system = filesystem_of(folder)
    if _identity(system) != fill.identity:
        raise Refused(f"{fill.id}: not the file system of the plan; mount that one, or plan again")
    if blockers := [*_blockers(system, folder)]:
        raise Refused(f"{fill.id}: {'; '.join(blockers)}")
    return system


def fill_space(fill: PlannedFill, wanted: Verification, run: int, progress: Progress) -> Filled:
    """Overwrite one free space for the `run`th time, and read it back on the block device.

    Raises:
        Refused: it is another file system than planned.
        Failed: the comparison cannot tell what was written from what was not.
        OSError: the device failed; everything is given back.
    """
    with _opened(fill.asked.folder) as folder:
        system = _check(fill, folder)
        reserved = Reserved()
        for reserved in write_reserved(folder):
            progress("reserved", fill.id, reserved.size, 0)
        device = os.open(system.source, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
        try:
            unit = f"{fill.id} run {run}"
            with SpaceFill(
                folder, device, Keystream(fill.pattern.key), unit, margin=fill.asked.margin
            ) as space:
                return _filled(fill, wanted, space, reserved, progress)
        finally:
            os.close(device)


def _filled(
    fill: PlannedFill,
    wanted: Verification,
    space: SpaceFill,
    reserved: Reserved,
    progress: Progress,
) -> Filled:
    for written in space.overwrite():
        progress("fill", fill.id, written, max(fill.size, written))
    for look in space.read_back(lambda population: chosen_places(fill, wanted, population)):
        progress("read-back", fill.id, look.size, space.written if wanted.mode == "full" else 0)
    control = space.control
    if control.differing < control.read:
        raise Failed(
            f"{fill.id}: the block device already held what had not been written, so reading it back shows "
            "nothing; look at the device"
        )
    left = space.give_back() if not look.differing else space.left()
    return Filled(
        fill=fill.id,
        written=space.written,
        left=left,
        control=control.read,
        control_equal=control.read - control.differing,
        population=look.population,
        read=look.read,
        size=look.size,
        mismatches=look.differing,
        reserved=reserved.size,
        reserved_left=reserved.left,
        files_left=reserved.files_left,
    )
