"""Recognize what lies on a block device by the magic bytes of its maker.

Rules kept: nothing is mounted and nothing is changed; every magic is looked for, not the first only;
the recognizing itself is pure, of bytes that were read.
"""

import os
import uuid
from collections.abc import Callable, Iterator

from deleatur.devices.opening import opened_to_look
from deleatur.documents.device import Device, Signature, SignatureRole
from deleatur.errors import Refused

Read = Callable[[int, int], bytes]  # offset and length in bytes; shorter at the end of the device
_KIB, _MIB = 1 << 10, 1 << 20

# name, role, offset of the magic in bytes, magic, offset of a 16-byte UUID in bytes or None; each from
# the header of the kernel's own driver or of the tool that writes it.
_FIXED: tuple[tuple[str, SignatureRole, int, bytes, int | None], ...] = (
    ("luks1", "encrypted", 0, b"LUKS\xba\xbe\x00\x01", None),  # cryptsetup, on-disk-format
    ("luks2", "encrypted", 0, b"LUKS\xba\xbe\x00\x02", None),
    ("bitlocker", "encrypted", 3, b"-FVE-FS-", None),  # dislocker
    ("bcache", "member", 4096 + 24, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), 4096 + 40),
    ("ceph-bluestore", "member", 0, b"bluestore block device\n", None),
    ("drbd", "member", 4096 - 4, b"\x83\x74\x02\x6b", None),
    ("dm-integrity", "member", 0, b"integrt\x00", None),  # drivers/md/dm-integrity.c
    ("vdo", "member", 0, b"dmvdo001", None),  # drivers/md/dm-vdo
    ("ext4", "file-system", 1080, b"\x53\xef", 1024 + 104),  # fs/ext4/ext4.h
    ("xfs", "file-system", 0, b"XFSB", 32),  # fs/xfs/libxfs/xfs_format.h
    ("btrfs", "file-system", 64 * _KIB + 64, b"_BHRfS_M", 64 * _KIB + 32),  # btrfs_tree.h
    ("f2fs", "file-system", 1024, b"\x10\x20\xf5\xf2", 1024 + 108),  # f2fs_fs.h
    ("bcachefs", "file-system", 4096 + 24, bytes.fromhex("c68573f666ce90a9d96a60cf803df7ef"), 4096 + 56),
    ("ntfs", "file-system", 3, b"NTFS    ", None),
    ("exfat", "file-system", 3, b"EXFAT   ", None),
    ("fat", "file-system", 82, b"FAT32   ", None),
    ("fat", "file-system", 54, b"FAT16   ", None),
    ("fat", "file-system", 54, b"FAT12   ", None),
    ("iso9660", "file-system", 32 * _KIB + 1, b"CD001", None),
    ("squashfs", "file-system", 0, b"hsqs", None),
    ("jfs", "file-system", 32 * _KIB, b"JFS1", None),
    ("reiserfs", "file-system", 64 * _KIB + 52, b"ReIsEr2Fs", None),
    ("vmfs", "file-system", 2 * _MIB, b"\x0d\xd0\x01\xc0", None),
)
_SWAP_PAGES = (4096, 8192, 16384, 65536)  # PAGE_SIZE of the machines that Linux runs on
_ZFS_LABEL = 256 * _KIB  # four labels: two at each end (openzfs, vdev_impl.h)
_ZFS_UBERBLOCKS = 128 * _KIB  # where they begin in a label
_ZFS_MAGIC = 0x00BAB10C


def signatures_on(device: Device) -> tuple[Signature, ...] | None:
    """Read and recognize what lies on a device; None if it cannot be read.

    A device without a medium, or without bytes, has no signature.
    """
    if device.size == 0:
        return ()
    try:
        with opened_to_look(device) as fd:
            return recognized(lambda offset, length: os.pread(fd, length, offset), device.size)
    except (OSError, Refused):  # another device came to its path: that one was not asked for
        return None


def recognized(read: Read, size: int) -> tuple[Signature, ...]:
    """Return every signature on a device of `size` bytes, by its offset. Raises what `read` raises."""
    found = [
        *_fixed(read),
        *_swap(read),
        *_lvm(read),
        *_md(read, size),
        *_zfs(read, size),
        *_tables(read),
    ]
    return tuple(sorted(found, key=lambda one: (one.offset, one.name)))


def _fixed(read: Read) -> Iterator[Signature]:
    for name, role, offset, magic, at in _FIXED:
        if read(offset, len(magic)) != magic:
            continue
        named = _uuid(read(at, 16)) if at is not None else ""
        if name in ("luks1", "luks2"):
            named = read(168, 40).split(b"\0")[0].decode("ascii", "replace")
        yield Signature(name=name, role=role, offset=offset, uuid=named)


def _swap(read: Read) -> Iterator[Signature]:
    for page in _SWAP_PAGES:
        magic = read(page - 10, 10)
        if magic in (b"SWAPSPACE2", b"SWAP-SPACE"):  # include/linux/swap.h
            yield Signature(name="swap", role="swap", offset=page - 10, uuid=_uuid(read(1024 + 12, 16)))
        elif magic in (b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001"):
            yield Signature(name="hibernation", role="member", offset=page - 10)


def _lvm(read: Read) -> Iterator[Signature]:
    for sector in range(4):  # LVM2: the label stands in one of the first four sectors
        label = read(sector * 512, 512)
        if label[:8] == b"LABELONE" and label[24:32] == b"LVM2 001":
            name = label[32:64].decode("ascii", "replace")
            yield Signature(name="lvm2", role="member", offset=sector * 512, uuid=name)


def _md(read: Read, size: int) -> Iterator[Signature]:
    """Look for the super blocks of Linux software RAID at the places of its four formats (md_p.h)."""
    places = {"1.1": 0, "1.2": 4096}
    if size >= 128 * _KIB:
        places["1.0"] = (size // 512 - 16 & ~7) * 512  # 8 to 12 KiB before the end
        places["0.90"] = (size & ~(64 * _KIB - 1)) - 64 * _KIB
    for version, offset in places.items():
        block = read(offset, 64)
        if len(block) < 64:
            continue
        for order in ("little", "big") if version == "0.90" else ("little",):
            word = [int.from_bytes(block[at : at + 4], order) for at in (0, 4)]
            if word[0] == 0xA92B4EFC and (word[1] == 1 if version != "0.90" else word[1] == 0):
                named = _uuid(block[16:32]) if version != "0.90" else ""
                yield Signature(name=f"md-{version}", role="member", offset=offset, uuid=named)


def _zfs(read: Read, size: int) -> Iterator[Signature]:
    """Look into the four labels of a ZFS member: two at the start and two at the end, in 256 KiB steps."""
    end = size // _ZFS_LABEL * _ZFS_LABEL
    starts = (0, _ZFS_LABEL, end - 2 * _ZFS_LABEL, end - _ZFS_LABEL)
    for start in dict.fromkeys(at for at in starts if at >= 0):
        ring = read(start + _ZFS_UBERBLOCKS, _ZFS_LABEL - _ZFS_UBERBLOCKS)
        heads = {ring[at : at + 8] for at in range(0, len(ring), 1024)}
        if heads & {_ZFS_MAGIC.to_bytes(8, "little"), _ZFS_MAGIC.to_bytes(8, "big")}:
            yield Signature(name="zfs", role="member", offset=start)


def _tables(read: Read) -> Iterator[Signature]:
    sector = read(0, 512)
    if sector[510:512] == b"\x55\xaa" and _partitions_in(sector):
        yield Signature(name="mbr", role="table", offset=0)
    for block in (512, 4096):  # UEFI: the second logical block
        head = read(block, 92)
        if head[:8] == b"EFI PART":
            yield Signature(name="gpt", role="table", offset=block, uuid=_little_uuid(head[56:72]))


def _partitions_in(sector: bytes) -> bool:
    """Say whether a boot sector holds a table: a file system's own has code or nothing in its place."""
    entries = [sector[446 + 16 * i : 462 + 16 * i] for i in range(4)]
    return all(e[0] in (0, 0x80) for e in entries) and any(e[4] and any(e[12:16]) for e in entries)


def _uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw)) if len(raw) == 16 and any(raw) else ""


def _little_uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes_le=raw)) if len(raw) == 16 and any(raw) else ""
