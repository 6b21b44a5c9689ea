"""What the place of the database allows: blockers, limits of the claim, surfaces.

Rules kept: everything that this user cannot see lowers the claim or refuses; inodes and pids are
named, never what stands in the file.
"""

import os
from collections.abc import Iterator

from deleatur.api import (
    Denial,
    Extent,
    FileSystem,
    Surface,
    Usage,
    extents,
    immutable,
    limits_of_files,
    surfaces_below,
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
    found = {
        "directory-names": whole,
        "open-files-unseen": now.unseen > 0,
        "earlier-free-blocks": True,
        "small-numbers-not-searched": not whole,
    }
    below = limits_of_files(system, _opened(files))
    return (*below, *(name for name, applies in found.items() if applies))


def _opened(files: Files) -> Iterator[int]:
    """Yield a descriptor of each file that holds something, open until the next one is asked for."""
    for suffix in ("", *SIDECARS):
        if files.size(suffix):
            with files.opened(suffix, os.O_RDONLY) as fd:
                yield fd


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


def surfaces_of(files: Files, system: FileSystem, decoders: tuple[str, ...] = ()) -> tuple[Surface, ...]:
    """Name every place where bytes of the rows may survive, and by which decoders they are seen."""
    return (
        Surface(
            name="database files",
            reach="scannable",
            paths=tuple(str(files.path) + suffix for suffix in ("", *SIDECARS, *files.ours())),
            decoders=decoders,
        ),
        *surfaces_below(system, decoders),
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
    )
