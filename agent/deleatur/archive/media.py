"""Tell which disks a folder really lies on, so that one medium behind two paths never counts as two.

The truth is sysfs and the mount table of Linux: partitions, mappings, arrays, images and btrfs are
followed down to whole disks. What cannot be told, or lies in memory, is refused.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deleatur.errors import Refused
from deleatur.sanitize.mounts import mounts

SYSFS: Final = Path("/sys")
MOUNTS: Final = Path("/proc/self/mountinfo")
_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "rootfs", "zram"})
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "9p", "virtiofs"})
_SERIALS = ("serial", "device/serial", "device/wwid", "wwid", "device/cid")  # of virtio, NVMe, SCSI, MMC
_DEPTH = 16  # layers under one folder


def disks_of(path: Path) -> tuple[str, ...]:
    """Return the disks or the server that the folder or file at `path` lies on.

    A disk is its serial number; one that tells none, the name of its device.

    Raises:
        Refused: it lies in memory, or the system does not tell on what.
        FileNotFoundError: it is not there.
    """
    return tuple(sorted({*_disks(path.stat().st_dev, path, 0)}))


def _disks(device: int, path: Path, depth: int) -> Iterator[str]:
    """Yield the disks of a file system by its device number."""
    number = f"{os.major(device)}:{os.minor(device)}"
    node = SYSFS / "dev" / "block" / number
    if depth > _DEPTH:
        raise Refused(f"{path}: lies on more layers than can be followed")
    if node.exists():
        yield from _below(node.resolve(), path, depth)
        return
    kind, source = _mounted(number, path)
    if kind in _MEMORY:
        raise Refused(f"{path}: lies in memory ({kind}), which is no medium to keep anything on")
    if kind in _NETWORK:
        yield f"{kind.removesuffix('4')} {source.removeprefix('//').partition(':')[0].partition('/')[0]}"
        return
    at = Path(source)
    if not (at.is_absolute() and at.exists() and stat.S_ISBLK(at.stat().st_mode)):
        raise Refused(f"{path}: the system does not tell on which disk it lies ({kind}); use another place")
    yield from _disks(at.stat().st_rdev, path, depth + 1)


def _below(node: Path, path: Path, depth: int) -> Iterator[str]:
    """Go down from a block device to the disks that it is made of."""
    if depth > _DEPTH:
        raise Refused(f"{path}: lies on more layers than can be followed")
    if (node / "partition").exists():
        node = node.parent
    backing = node / "loop" / "backing_file"
    under = sorted((node / "slaves").iterdir()) if (node / "slaves").is_dir() else []
    if backing.exists():
        yield from _disks(_device_of_image(backing, path), path, depth + 1)
    elif under:
        for layer in under:
            yield from _below(layer.resolve(), path, depth + 1)
    elif node.name.startswith("zram") or node.name.startswith("ram"):
        raise Refused(f"{path}: lies in memory ({node.name}), which is no medium to keep anything on")
    else:
        yield _serial(node)


def _device_of_image(backing: Path, path: Path) -> int:
    image = Path(backing.read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n"))
    try:
        return image.stat().st_dev
    except OSError:
        raise Refused(f"{path}: lies in an image that is not there any more; use another place") from None


def _serial(node: Path) -> str:
    for name in _SERIALS:
        try:
            text = (node / name).read_text(encoding="utf-8", errors="replace").strip("\0 \n")
        except OSError:
            continue
        if text:
            return " ".join(text.split())
    return node.name


def _mounted(number: str, path: Path) -> tuple[str, str]:
    """Return type and source of a mounted file system, as proc(5) writes them."""
    for mount in mounts(MOUNTS.read_bytes()):
        if mount.number == number:
            return mount.kind, mount.source
    raise Refused(f"{path}: the system does not tell on which disk it lies; use another place")
