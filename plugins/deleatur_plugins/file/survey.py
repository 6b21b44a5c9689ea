"""Look at every entry of the target once: units, and each reason to refuse or to claim less.

Rules kept: nothing is changed, access times included where the kernel allows it; a reason names
inodes, pids and devices, never files; what this user may not see lowers the claim or refuses.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from deleatur.api import (
    Extent,
    FileSystem,
    Kept,
    Unit,
    Usage,
    can_flush_journal,
    covered,
    extents,
    holders,
    immutable,
    in_words,
    journals_data,
    keyed_digest,
    lies,
    mount_points,
    opened_here,
    overwrites_in_place,
    subvolume,
    usage,
)
from deleatur_plugins.file.content import access_lists, attributes
from deleatur_plugins.file.thumbnails import Thumbnails
from deleatur_plugins.file.tree import Entry, nameless, open_same, walk

_SHOWN = 20  # reasons of one kind that are listed; the rest is counted


@dataclass
class Survey:
    """What was found. `limits` are ids of vetted sentences, in the order of their discovery."""

    units: dict[str, Unit] = field(default_factory=dict)
    size: int = 0
    limits: dict[str, None] = field(default_factory=dict)
    blockers: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    thumbnails: Thumbnails = field(default_factory=Thumbnails)
    _paths: dict[str, list[bytes]] = field(default_factory=dict)
    _links: dict[str, int] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _shared: dict[str, frozenset[tuple[int, int]] | None] = field(default_factory=dict)  # unit: who else
    _volume: int = 0  # the target's own subvolume
    journal_goes: bool = False  # ext4's journal can be erased here
    journalled: bool = False  # and has to be: what is to be erased passes through it

    def block(self, kind: str, reason: str) -> None:
        """Add a reason to refuse, and count those beyond what a person reads."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._counts[kind] <= _SHOWN:
            self.blockers.append(reason)

    def strike(self, unit: str) -> bool:
        """Take one name of a unit off the list; False when it has none left: the entry came in since."""
        names = self._paths.get(unit)
        if not names:
            return False
        names.pop()
        return True

    def limit(self, identifier: str) -> None:
        """Add a limit once."""
        self.limits.setdefault(identifier)

    def journal(self, identifier: str) -> None:
        """Note that bytes pass through the journal: it is erased after the overwrite, or limits the claim."""
        if self.journal_goes:
            self.journalled = True
        else:
            self.limit(identifier)


def survey(
    parent: int, name: str, path: str, system: FileSystem, digest_key: bytes, *, leave_shared: bool
) -> Survey:
    """Walk the target and return everything that the plan must know of it.

    Raises FileNotFoundError when it is not there, and OSError when a part cannot be read.
    """
    found = Survey(journal_goes=system.type == "ext4" and can_flush_journal(parent))
    open_now, ours = usage(), opened_here()
    root = os.stat(name, dir_fd=parent, follow_symlinks=False)
    _whole(found, path, system, open_now)
    for entry in walk(parent, name):
        _in_use(found, entry, open_now, ours)
        _permission(found, entry)
        found._paths.setdefault(entry.unit, []).append(entry.path)
        if entry.regular:
            _regular(found, entry, system, digest_key)
            found.thumbnails.look(path + os.fsdecode(entry.path))
        elif entry.directory:
            _add(found, entry, _directory(found, entry, root.st_dev), digest_key)
        elif stat.S_ISLNK(entry.status.st_mode):
            found.limit("symlink-text")
            if _leads_out(path, entry):
                found.limit("links-elsewhere")
            _add(found, entry, 0, digest_key)
        else:
            found.block("special", f"{entry.unit} is a fifo, socket or device; remove it, or name files only")
    for unit, count in found._links.items():
        inside = len(found._paths[unit])
        if count > inside:
            found.block(
                "links",
                f"{unit} has {count} names, {inside} of them in the target: its content would go from all; "
                "remove the other names, or add them to the target's folder",
            )
    _judge_shared(found, leave_shared=leave_shared)
    if found.thumbnails.found:
        found.limit("thumbnails-left")
    for kind, count in found._counts.items():
        if count > _SHOWN:
            found.blockers.append(f"and {count - _SHOWN} more of the kind: {kind}")
    return found


def _leads_out(path: str, entry: Entry) -> bool:
    """Say whether a symbolic link leads to something outside of the target: that is never followed."""
    root = Path(os.path.realpath(Path(path).parent)) / Path(path).name
    there = Path(os.path.realpath(path + os.fsdecode(entry.path)))
    return os.path.lexists(there) and not there.is_relative_to(root)


def unit_digest(key: bytes, paths: list[bytes], status: os.stat_result) -> str:
    """Return the keyed digest of what identifies a unit: names, inode and, of a file, size and mtime.

    A directory's time changes with what is done inside it, so it is left out.
    """
    facts = [status.st_ino, stat.S_IFMT(status.st_mode)]
    if not stat.S_ISDIR(status.st_mode):
        facts += [status.st_size, status.st_mtime_ns]
    return keyed_digest(key, b"file unit", *(str(fact).encode() for fact in facts), *sorted(paths))


def _whole(found: Survey, path: str, system: FileSystem, open_now: Usage) -> None:
    """Note what holds for the file system, not for one file."""
    for applies, identifier in (
        (system.network, "network-file-system"),
        (system.memory, "memory-file-system"),
        (system.flash, "flash"),
        (system.layered, "layered-device"),
        (
            not (system.in_place or system.copy_on_write or system.network or system.memory),
            "unknown-file-system",
        ),
        (open_now.unseen > 0, "open-files-unseen"),
    ):
        if applies:
            found.limit(identifier)
    if system.data_journal:
        found.journal("data-journal")
    if system.read_only:
        found.block("read-only", f"the {system.type} file system is mounted read-only; mount it for writing")
    inside = sum(p == path or p.startswith(path + "/") for p in mount_points())
    if inside:
        found.block("mounts", f"{inside} mount points lie in the target; unmount them")
    found.limit("directory-names")


def _in_use(found: Survey, entry: Entry, open_now: Usage, ours: frozenset[tuple[int, int]]) -> None:
    key = (entry.status.st_dev, entry.status.st_ino)
    for pid, command in open_now.users.get(key, ()):
        who = f"process {pid} ({command})" if pid else command
        found.block("open", f"{entry.unit} is in use by {who}; end it, then plan again")
    if key in ours:
        found.block(
            "own", f"{entry.unit} is in use by deleatur itself; run it and keep the job outside the target"
        )


def _permission(found: Survey, entry: Entry) -> None:
    """Refuse early what this user could not write or list."""
    mode = os.W_OK | (os.X_OK | os.R_OK if entry.directory else 0)
    if stat.S_ISLNK(entry.status.st_mode):
        return
    if not os.access(entry.name, mode, dir_fd=entry.parent, effective_ids=True):
        found.block("permission", f"{entry.unit} cannot be changed by this user; run as its owner or as root")


def _directory(found: Survey, entry: Entry, device: int) -> int:
    """Return the bytes of its attributes; its names are no bytes that can be overwritten."""
    if entry.status.st_dev != device:
        found.block("foreign", f"{entry.unit} is another file system or subvolume; unmount or remove it")
        return 0
    fd = open_same(entry, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with nameless(entry.unit):
            _flags_and_lists(found, entry, fd)
            return sum(len(os.getxattr(fd, name)) for name in attributes(fd))
    finally:
        os.close(fd)


def _regular(found: Survey, entry: Entry, system: FileSystem, digest_key: bytes) -> None:
    if entry.status.st_nlink > 1:
        found._links[entry.unit] = entry.status.st_nlink
    fd = open_same(entry, os.O_RDONLY)
    try:
        with nameless(entry.unit):
            _flags_and_lists(found, entry, fd)
            if journals_data(fd):
                found.journal("data-journal")
            mapped = extents(fd)
            inline = _placement(found, entry, mapped, exact=system.in_place or system.copy_on_write)
            if any(extent.is_(Extent.SHARED) for extent in mapped or ()):
                found._shared[entry.unit] = holders(fd, system.type, mapped or ())
                found._volume = subvolume(fd, system.type)
            where = lies(fd, system.type, mapped or ())
            if system.copy_on_write and (inline or not overwrites_in_place(fd)):
                found.limit("copy-on-write")
            size = sum(end - start for start, end in covered(fd))
            size += sum(len(os.getxattr(fd, name)) for name in attributes(fd))
    finally:
        os.close(fd)
    _add(found, entry, size, digest_key, where)


def _flags_and_lists(found: Survey, entry: Entry, fd: int) -> None:
    if immutable(fd):
        found.block("immutable", f"{entry.unit} is immutable or append-only; run chattr -i -a on it")
    if attributes(fd) or access_lists(fd):
        found.limit("extended-attributes")


def _placement(found: Survey, entry: Entry, mapped: tuple[Extent, ...] | None, *, exact: bool) -> bool:
    """Judge where the bytes lie; say whether any lie in the inode."""
    if mapped is None:
        if exact and entry.status.st_size:
            found.limit("placement-unknown")
        return False
    flags = 0
    for extent in mapped:
        flags |= extent.flags
    if flags & (Extent.INLINE | Extent.TAIL):
        found.journal("inline-data")
    if flags & (Extent.UNKNOWN | Extent.DELALLOC):
        found.limit("placement-unknown")
    if flags & Extent.ENCODED and not flags & Extent.ENCRYPTED:
        found.limit("compressed-extents")
    return bool(flags & Extent.INLINE)


def _judge_shared(found: Survey, *, leave_shared: bool) -> None:
    """Refuse files whose blocks others hold, or name the others where the job leaves them.

    Files of the target that share with each other only are written to new blocks, and the old ones go
    with the last of them: the comparison of places tells.
    """
    inside = {(found._volume, int(unit.removeprefix("inode-"))) for unit in found.units}
    for unit, holding in found._shared.items():
        others = None if holding is None else holding - inside
        if others is not None and not others and leave_shared:
            continue
        words = in_words(others if others else holding)
        if leave_shared:
            found.kept.append(Kept(unit=unit, by=words))
            found.limit("shared-extents")
        else:
            found.block(
                "shared",
                f"{unit} shares blocks with another file (reflink or snapshot: {words}), where its content "
                "would stay; remove the other copy, or let the job say `leave_shared = true`",
            )


def _add(found: Survey, entry: Entry, size: int, digest_key: bytes, where: str = "") -> None:
    """Add the unit, or a further name of it."""
    if entry.unit not in found.units:
        found.size += size
    digest = unit_digest(digest_key, found._paths[entry.unit], entry.status)
    found.units[entry.unit] = Unit(name=entry.unit, size=size, digest=digest, lies=where)
