"""What the place of the database allows: blockers, limits of the claim, surfaces.

Rules kept: everything that this user cannot see lowers the claim or refuses; inodes and pids are
named, never what stands in the file.
"""

import os

from deleatur.api import (
    Denial,
    Extent,
    FileSystem,
    Surface,
    Usage,
    extents,
    immutable,
    journals_data,
    overwrites_in_place,
)
from deleatur_plugins.sqlite.files import LONGEST, SIDECARS, Files

_ROOM = 3  # a copy and the new database beside the old one; the third part is for the file system


def blockers_of(files: Files, system: FileSystem, now: Usage) -> tuple[str, ...]:
    """Return each reason that alone forbids to erase here and now."""
    found = [f"the database is open in {user}; stop it" for user in files.users(now)[:20]]
    if system.read_only:
        found.append(f"the {system.type} file system is mounted read-only; mount it for writing")
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=files.folder, effective_ids=True):
        found.append("this user may not create files beside the database; run as its owner or as root")
    if len(os.fsencode(files.name)) > LONGEST:
        found.append(f"the database's name is longer than {LONGEST} bytes; rename it")
    for suffix in ("", *SIDECARS):
        status = files.status(suffix)
        if status is None:
            continue
        links = [other for other in map(files.status, files.ours()) if other is not None]
        if status.st_nlink > 1 + sum(os.path.samestat(other, status) for other in links):
            found.append(f"inode-{status.st_ino} has {status.st_nlink} names; remove the others")
        with files.opened(suffix, os.O_RDONLY) as fd:
            if immutable(fd):
                found.append(f"inode-{status.st_ino} is immutable or append-only; run chattr -i -a on it")
            if any(extent.is_(Extent.SHARED) for extent in extents(fd) or ()):
                found.append(
                    f"inode-{status.st_ino} shares blocks with another file (reflink, snapshot); remove that"
                )
    return tuple(found)


def limits_of(files: Files, system: FileSystem, now: Usage, *, whole: bool) -> tuple[str, ...]:
    """Return the ids of the sentences that lower the claim."""
    flags = 0
    journalled, exempt, mapped = system.data_journal, True, True
    for suffix in ("", *SIDECARS):
        if files.size(suffix):
            with files.opened(suffix, os.O_RDONLY) as fd:
                journalled |= journals_data(fd)
                exempt &= overwrites_in_place(fd)
                runs = extents(fd)
                mapped &= runs is not None
                for run in runs or ():
                    flags |= run.flags
    known = system.in_place or system.copy_on_write or system.network or system.memory
    found = {
        "copy-on-write": system.copy_on_write and not exempt,
        "compressed-extents": bool(flags & Extent.ENCODED),
        "placement-unknown": not mapped and (system.in_place or system.copy_on_write),
        "data-journal": journalled,
        "network-file-system": system.network,
        "memory-file-system": system.memory,
        "unknown-file-system": not known,
        "flash": system.flash,
        "layered-device": system.layered,
        "directory-names": whole,
        "open-files-unseen": now.unseen > 0,
        "earlier-free-blocks": True,
        "numbers-not-searched": not whole,
    }
    return tuple(name for name, applies in found.items() if applies)


def denial_of(files: Files, technique: str) -> tuple[Denial, ...]:
    """Deny what there is no room for: the rewrite needs two more databases beside this one."""
    status = os.fstatvfs(files.folder)
    need, free = _ROOM * files.database().st_size, status.f_bavail * status.f_frsize
    if free >= need:
        return ()
    return (
        Denial(
            technique=technique, reason=f"it needs {need} free bytes beside the database, {free} are there"
        ),
    )


def surfaces_of(files: Files, system: FileSystem) -> tuple[Surface, ...]:
    """Name every place where bytes of the rows may survive."""
    device = "block device under the file system"
    if system.source and os.access(system.source, os.R_OK):
        below = Surface(name=device, reach="scannable", paths=(system.source,))
    else:
        reason = "this user may not read it" if system.source else f"{system.type} has none on this host"
        below = Surface(name=device, reach="out-of-reach", reason=reason)
    flash = Surface(
        name="flash over-provisioning",
        reach="out-of-reach",
        reason="the device remaps blocks; replaced ones cannot be addressed by the host",
    )
    return (
        Surface(
            name="database files",
            reach="scannable",
            paths=tuple(str(files.path) + suffix for suffix in ("", *SIDECARS, *files.ours())),
        ),
        below,
        Surface(
            name="journals and temporary files of earlier transactions",
            reach="out-of-reach",
            reason="the file system has their blocks back; only a scan of the block device reaches them",
        ),
        Surface(
            name="copies elsewhere (backups, exports, replicas)",
            reach="out-of-reach",
            reason="they are no part of the target, and no list of them exists on this host",
        ),
        Surface(
            name="memory of programs that had the database open",
            reach="out-of-reach",
            reason="they had ended before the erase, and their memory and swap are not read",
        ),
        *((flash,) if system.flash else ()),
    )
