"""What the ground that a store's files lie on takes from a claim, and what of it can be searched.

Rule kept: what the kernel does not say lowers the claim; nothing is followed and nothing is changed.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from deleatur.documents.place import Surface
from deleatur.sanitize.filesystem import Extent, FileSystem, extents, journals_data, overwrites_in_place


def opened_in_turn(paths: Iterable[Path]) -> Iterator[int]:
    """Yield a descriptor for reading of each file, which is open until the next one is asked for."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)


def limits_of_files(system: FileSystem, files: Iterable[int]) -> tuple[str, ...]:
    """Return the ids of the sentences that lower a claim about open files of one file system."""
    flags, journalled, exempt, mapped = 0, system.data_journal, True, True
    for fd in files:
        runs = extents(fd)
        journalled |= journals_data(fd)
        exempt &= overwrites_in_place(fd)
        mapped &= runs is not None
        for run in runs or ():
            flags |= run.flags
    found = {
        "copy-on-write": system.copy_on_write and not exempt,
        "shared-extents": bool(flags & Extent.SHARED),
        "compressed-extents": bool(flags & Extent.ENCODED),
        "inline-data": bool(flags & (Extent.INLINE | Extent.TAIL)),
        "placement-unknown": not mapped and (system.in_place or system.copy_on_write),
        "data-journal": journalled,
        "network-file-system": system.network,
        "memory-file-system": system.memory,
        "unknown-file-system": not (
            system.in_place or system.copy_on_write or system.network or system.memory
        ),
        "flash": system.flash,
        "layered-device": system.layered,
    }
    return tuple(name for name, applies in found.items() if applies)


def surfaces_below(
    system: FileSystem, decoders: tuple[str, ...] = (), beside: Iterable[FileSystem] = ()
) -> tuple[Surface, ...]:
    """Name what lies below a file system: its block device, and of flash what no host can address.

    `beside` are others on which files of the target lie: their devices are read too, or none is.
    """
    systems = (system, *beside)
    sources = tuple(dict.fromkeys(s.source for s in systems if s.source))
    device = "block device under the file system"
    if sources and all(os.access(source, os.R_OK) for source in sources):
        below = Surface(name=device, reach="scannable", paths=sources, decoders=decoders)
    else:
        reason = "this user may not read it" if sources else f"{system.type} has none on this host"
        below = Surface(name=device, reach="out-of-reach", reason=reason)
    reserve = Surface(
        name="flash over-provisioning",
        reach="out-of-reach",
        reason="the device remaps blocks; replaced ones cannot be addressed by the host",
    )
    return (below, reserve) if any(s.flash for s in systems) else (below,)
