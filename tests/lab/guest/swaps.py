"""Another device comes to the place of an approved one, by every way, and the approved one comes back."""

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from deleatur.documents.place import Cursor, Step
from deleatur_plugins.block.backend import BlockBackend

from ..direct import read
from ..drives import by_serial
from .uses import sh

LOOP = "loop6"
TURNS = 100  # looks for a drive that comes or goes, a tenth of a second apart
Swap = Callable[[str, str], contextlib.AbstractContextManager[tuple[Path, ...]]]  # yields what must stay


class Interrupted(BlockBackend):
    """A backend that does something between the engine's last look and its own."""

    then: ClassVar[Callable[[], object]] = staticmethod(lambda: None)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Do it, then go on."""
        type(self).then()
        yield from super().erase(step, after)


def node(drive: str) -> Path:
    """Return where the kernel shows a drive now."""
    return by_serial(drive) if "LAB" in drive else Path("/dev") / drive


def link(drive: str) -> Path:
    """Return the name by which jobs know a drive."""
    return Path(f"/dev/lab-{drive}")


def lead(drive: str, path: Path) -> None:
    link(drive).unlink(missing_ok=True)
    link(drive).symlink_to(path)


@contextlib.contextmanager
def link_led_elsewhere(approved: str, other: str) -> Iterator[tuple[Path, ...]]:
    lead(approved, node(other))
    try:
        yield node(approved), node(other)
    finally:
        lead(approved, node(approved))


@contextlib.contextmanager
def renamed_node(approved: str, other: str) -> Iterator[tuple[Path, ...]]:
    """The node of the approved one leads to the other, as after a hasty mv or mknod in /dev."""
    place = node(approved)
    away = place.rename(place.with_name(f"{place.name}.away"))
    os.mknod(place, stat.S_IFBLK | 0o600, node(other).stat().st_rdev)
    try:
        yield away, node(other)
    finally:
        away.replace(place)


@contextlib.contextmanager
def hot_swapped(approved: str, other: str) -> Iterator[tuple[Path, ...]]:
    """Both are taken off; the other one is put back and gets the letter of the approved one."""
    addresses = {drive: address(drive) for drive in (approved, other)}
    take_off(approved, other)
    for drive in (approved, other):  # so that the approved one has the lower letter
        put_back(drive, addresses[drive])
    place = node(approved)
    take_off(approved, other)
    put_back(other, addresses[other])
    assert node(other) == place
    try:
        yield (place,)
    finally:
        put_back(approved, addresses[approved])


def address(drive: str) -> str:
    """Return host:channel:target:unit."""
    return Path(f"/sys/class/block/{node(drive).name}/device").resolve().name


def take_off(*drives: str) -> None:
    nodes = [node(drive) for drive in drives]
    for path in nodes:
        Path(f"/sys/class/block/{path.name}/device/delete").write_text("1")
    for _ in range(TURNS):
        if not any(path.exists() for path in nodes):
            return
        time.sleep(0.1)
    raise AssertionError(f"{nodes} stay")


def put_back(drive: str, place: str) -> None:
    host, *rest = place.split(":")
    Path(f"/sys/class/scsi_host/host{host}/scan").write_text(" ".join(rest))
    for _ in range(TURNS):
        with contextlib.suppress(LookupError, OSError):
            read(node(drive), 0, 1)  # there is a node before the drive answers
            lead(drive, node(drive))
            return
        time.sleep(0.1)
    raise AssertionError(f"no {drive} at {place}")


@contextlib.contextmanager
def image_swapped(_approved: str, other: str) -> Iterator[tuple[Path, ...]]:
    """Behind the node of a loop device lies another image of the same size."""
    sh(f"losetup -d /dev/{LOOP}; losetup /dev/{LOOP} {other}")
    try:
        yield (Path("/dev") / LOOP,)
    finally:
        sh(f"losetup -d /dev/{LOOP}; losetup /dev/{LOOP} /tmp/first")


@contextlib.contextmanager
def at_the_last_moment(then: Callable[[], object]) -> Iterator[None]:
    Interrupted.then = staticmethod(then)
    try:
        yield
    finally:
        Interrupted.then = staticmethod(lambda: None)


@contextlib.contextmanager
def meanwhile(swap: Swap, approved: str, other: str) -> Iterator[tuple[Path, ...]]:
    """Do it after the engine has compared the device with the plan."""
    if swap is image_swapped:
        forbidden = Path(other)
    else:
        lead(other, node(other))
        forbidden = link(other)
    with (
        contextlib.ExitStack() as stack,
        at_the_last_moment(lambda: stack.enter_context(swap(approved, other))),
    ):
        yield (forbidden,)
