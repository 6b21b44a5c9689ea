"""Erase files and directory trees: overwrite in place, read back, rename, truncate, unlink.

Rules kept: only what was approved is touched; nothing is unlinked unless its content reads back as
the step's keystream; every stage is safe to do again; symbolic links are removed, never followed.
"""

import errno
import hashlib
import heapq
import json
import os
import stat
from collections.abc import Iterator
from typing import Self

from deleatur.api import (
    Backend,
    Contents,
    Cursor,
    FileSystem,
    Gone,
    Identity,
    Inspection,
    Keystream,
    Locator,
    Offer,
    Refused,
    Secrets,
    Step,
    Surface,
    Target,
    Unsupported,
    access_to,
    encrypted_below,
    filesystem_of,
    flush_journal,
    found_again,
    generation,
    on_device,
    overwrite_in_place,
    put_down,
    read_below_cache,
    remove,
    remove_directory,
    settle,
    surfaces_below,
)
from deleatur_plugins.file.content import (
    begun,
    mark_begun,
    overwrite_attributes,
    overwritten,
    places,
    read_attribute,
    starts,
    strip,
)
from deleatur_plugins.file.holdings import holdings
from deleatur_plugins.file.survey import Survey, survey
from deleatur_plugins.file.tree import (
    Entry,
    nameless,
    open_parent,
    open_quietly,
    open_same,
    path_of,
    reach,
    walk,
)

TECHNIQUE = "overwrite-and-remove"
_BATCH_BYTES = 64 << 20  # bytes between two cursors
_BATCH_ENTRIES = 256  # entries between two cursors: a journal entry costs a flush of its own
_COMPLETE = "complete"


class FileBackend(Backend):
    """One file or directory tree of this host, named by a `file:` URL."""

    def __init__(
        self, path: str, parent: int, key: bytes, approved: dict[str, str] | None, *, leave_shared: bool
    ) -> None:
        self._path = path
        self._leave_shared = leave_shared
        self._parent = parent
        self._base = path.rpartition("/")[2]
        self._key = key
        self._approved = approved  # unit name -> digest; None before there is a plan
        self._places: dict[str, bytes] = {}
        self._system: FileSystem | None = None

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Open the directory that holds the target, without following any symbolic link."""
        if target.select or target.hold or target.archive:
            raise Unsupported(
                f"{target.id}: a file has no rows to select, hold or archive; name a database's own URL"
            )
        path = path_of(target.url)
        if not path.isprintable():
            raise Refused(
                f"{target.id}: the target's own path is not printable UTF-8; name the folder that holds it"
            )
        approved = None
        if "approved-units" in secrets:
            units = json.loads(secrets["approved-units"])["units"]
            approved = {unit["name"]: unit["digest"] for unit in units}
        return cls(path, open_parent(path), secrets["digest-key"], approved, leave_shared=target.leave_shared)

    def close(self) -> None:
        """Close the directory that holds the target."""
        os.close(self._parent)

    def inspect(self) -> Inspection:
        """Look at every entry below the target, and at the file system under it."""
        name = self._name()
        fd = open_quietly(self._parent, name, os.O_PATH)
        try:
            system = filesystem_of(fd)
            identity = self._identity(name, os.fstat(fd), system)
        finally:
            os.close(fd)
        found = self._survey(name, system)
        return Inspection(
            identity=identity,
            size=found.size,
            units=tuple(sorted(found.units.values(), key=lambda unit: unit.name)),
            offers=(Offer(technique=TECHNIQUE, limits=tuple(found.limits)),),
            surfaces=_surfaces(self._path, system, found.thumbnails.in_words()),
            blockers=tuple(found.blockers),
            kept=tuple(found.kept),
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name places of at most 1 MiB that together cover every byte that is overwritten."""
        everything = self._all_places()
        if count is None:
            yield from everything
            return
        ranked = ((_rank(seed, place), number, place) for number, place in enumerate(everything))
        chosen = heapq.nsmallest(count, ranked, key=lambda item: item[:2])
        for _, _, place in sorted(chosen, key=lambda item: item[1]):
            yield place

    def probe(self, place: Locator) -> bytes | None:
        """Read a place below the page cache; None when the tree has no such inode, or it ends before."""
        fd = self._open_unit(place.unit)
        if fd is None:
            return None
        try:
            with nameless(place.unit):
                if place.item:
                    return read_attribute(fd, place)
                size = os.fstat(fd).st_size
                length = place.length or size - place.offset
                return read_below_cache(fd, place.offset, length) if place.offset < size else None
        finally:
            os.close(fd)

    def below(self, place: Locator) -> tuple[tuple[int, int], ...]:
        """Say where ext4 or XFS keeps a place of a file, once nothing of it waits in the journal."""
        fd = None if place.item else self._open_unit(place.unit)
        if fd is None:
            return ()
        try:
            with nameless(place.unit):
                self._system = self._system or filesystem_of(fd)  # a target lies on one file system
                return on_device(fd, self._system, place.offset, place.length)
        finally:
            os.close(fd)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Overwrite what was approved, or remove what was overwritten.

        Raises:
            Gone: there is nothing to overwrite. Refused: the target cannot be erased now, or holds
            what nobody approved.
        """
        if step.technique != TECHNIQUE or step.action not in ("overwrite", "remove"):
            raise Unsupported(f"files know {TECHNIQUE} with overwrite and remove, not {step.action}")
        if step.pattern is None:
            raise Refused(f"{step.id} has no pattern, so nothing could be compared afterwards")
        stream = Keystream(step.pattern.key)
        if step.action == "overwrite":
            yield from self._overwrite(stream, after)
        else:
            yield from self._remove(stream, after)

    def contents(self) -> Contents:
        """Show every file below the target, and each thing that cannot be read; links are not followed."""
        name = self._name()
        fd = open_quietly(self._parent, name, os.O_PATH)
        try:
            system, status = filesystem_of(fd), os.fstat(fd)
        finally:
            os.close(fd)
        encrypted, by = encrypted_below(system.source)
        return Contents(
            identity=self._identity(name, status, system),
            encrypted=encrypted,
            encryption=by,
            access=access_to(status),
            holdings=holdings(self._parent, name),
        )

    # --- looking -----------------------------------------------------------------------------

    def _name(self) -> str:
        """Return the target's name now, which after a kill may be a neutral one.

        Raises:
            Gone: its directory says so. Refused: a symbolic link stands there.
        """
        with nameless("the target"):
            name = found_again(self._parent, self._base, self._key)
            if name is None:
                raise Gone("the target is not there")
            status = os.stat(name, dir_fd=self._parent, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            raise Refused("the target is a symbolic link; name what it points to, or the folder it lies in")
        return name

    def _survey(self, name: str, system: FileSystem) -> Survey:
        return survey(self._parent, name, self._path, system, self._key, leave_shared=self._leave_shared)

    def _identity(self, name: str, status: os.stat_result, system: FileSystem) -> Identity:
        directory = stat.S_ISDIR(status.st_mode)
        number = 0
        if directory or stat.S_ISREG(status.st_mode):
            fd = open_quietly(self._parent, name, os.O_RDONLY)
            try:
                number = generation(fd)
            finally:
                os.close(fd)
        return Identity(
            kind="directory-tree" if directory else "file",
            fields=(
                ("path", self._path),
                ("file-system", system.type),
                ("file-system-uuid", system.uuid),
                ("inode", str(status.st_ino)),
                ("generation", str(number)),
            ),
        )

    def _entries(self) -> Iterator[Entry]:
        """Walk the target; nothing when it is gone."""
        try:
            name = self._name()
        except Gone:
            return
        yield from walk(self._parent, name)

    def _all_places(self) -> Iterator[Locator]:
        seen = set()
        for entry in self._entries():
            if not (entry.regular or entry.directory) or entry.unit in seen:
                continue
            seen.add(entry.unit)
            fd = open_same(entry, os.O_RDONLY)
            try:
                with nameless(entry.unit):
                    named = list(places(fd, entry))
            finally:
                os.close(fd)
            yield from named

    def _open_unit(self, unit: str) -> int | None:
        """Open a unit where it was last seen, else where a new walk finds it; None: nowhere."""
        known = self._places.get(unit)
        if known is not None:
            fd = reach(self._parent, self._base, known, unit)
            if fd is not None:
                return fd
        self._places = {}
        opened = None
        for entry in self._entries():
            self._places[entry.unit] = entry.path
            if entry.unit == unit and opened is None:
                opened = open_same(entry, os.O_RDONLY)
        return opened

    def _look(self) -> Survey:
        """Survey once more at the moment of the erase, and refuse what was not approved."""
        name = self._name()
        fd = open_quietly(self._parent, name, os.O_PATH)
        try:
            system = filesystem_of(fd)
        finally:
            os.close(fd)
        found = self._survey(name, system)
        if found.blockers:
            raise Refused("; ".join(found.blockers))
        if self._approved is not None:
            strangers = len(found.units.keys() - self._approved.keys())
            if strangers:
                raise Refused(
                    f"{strangers} entries came into the target after the approval; "
                    "move them out, or plan again"
                )
        return found

    # --- overwrite ---------------------------------------------------------------------------

    def _overwrite(self, stream: Keystream, after: Cursor | None) -> Iterator[Cursor]:
        """Overwrite every file and attribute, in the order of the walk."""
        found = self._look()
        resumed, _, offset = (after.position if after else "@").partition("@")
        if resumed == _COMPLETE:
            return
        if resumed not in found.units:
            resumed = ""  # renamed or never begun: from the start, once more
        done = reported = entries = 0
        seen = set()
        for entry in self._entries():
            if entry.unit in seen or not (entry.regular or entry.directory):
                continue
            seen.add(entry.unit)
            size = found.units[entry.unit].size if entry.unit in found.units else 0
            begin = 0
            if resumed and entry.unit != resumed:
                done += size
                continue
            if resumed:
                resumed = ""
                begin = int(offset)
            for position in self._overwrite_entry(entry, found, stream, begin):
                yield Cursor(position=f"{entry.unit}@{position}", done=done + min(position, size))
                reported = done + min(position, size)
            done += size
            entries += 1
            if done - reported >= _BATCH_BYTES or entries % _BATCH_ENTRIES == 0:
                yield Cursor(position=f"{entry.unit}@{entry.status.st_size}", done=done)
                reported = done
        self._erase_journal(found)
        yield Cursor(position=f"{_COMPLETE}@", done=done)

    def _erase_journal(self, found: Survey) -> None:
        """Let ext4 write what its journal holds to its place, and zero the journal: old bytes stand in it."""
        if found.journalled:
            settle(self._parent)
            flush_journal(self._parent)

    def _overwrite_entry(self, entry: Entry, found: Survey, stream: Keystream, begin: int) -> Iterator[int]:
        """Overwrite one file; yield the durable offsets inside it."""
        fd = open_same(entry, os.O_RDWR if entry.regular else os.O_RDONLY | os.O_DIRECTORY)
        try:
            with nameless(entry.unit):
                if entry.regular:
                    self._check_unchanged(fd, entry, found, stream)
                    for offset in overwrite_in_place(fd, stream, entry.unit, begin):
                        if offset < entry.status.st_size:
                            yield offset
                overwrite_attributes(fd, entry.unit, stream)
        finally:
            os.close(fd)

    def _check_unchanged(self, fd: int, entry: Entry, found: Survey, stream: Keystream) -> None:
        """Refuse a file that is neither as approved nor already begun by this step."""
        if self._approved is None:
            return
        now = os.fstat(fd)
        looked = found.units.get(entry.unit)
        same = looked is not None and looked.digest == self._approved.get(entry.unit)
        still = (now.st_size, now.st_mtime_ns) == (entry.status.st_size, entry.status.st_mtime_ns)
        if not (same and still) and not begun(fd, entry.unit, stream):
            raise Refused(f"{entry.unit} was changed after the approval; plan again")
        mark_begun(fd, stream)

    # --- remove ------------------------------------------------------------------------------

    def _remove(self, stream: Keystream, after: Cursor | None) -> Iterator[Cursor]:
        """Remove every entry whose content reads back as the keystream, the deepest first."""
        done = after.done if after else 0
        try:
            found = self._look()
        except Gone:  # done before, and killed before the journal said so
            yield Cursor(position=f"{_COMPLETE}@", done=done)
            return
        self._refuse_strangers(stream)
        strangers = entries = 0
        for entry in self._entries():
            # an inode that was freed a moment ago may be a stranger's by now: each name counts once
            if not found.strike(entry.unit) or not self._remove_entry(entry, stream):
                strangers += 1
                continue
            if entry.unit in found.units:
                done += found.units.pop(entry.unit).size
            entries += 1
            if entries % _BATCH_ENTRIES == 0:
                yield Cursor(position=f"removed@{entries}", done=done)
        if strangers:
            raise _not_ours(strangers)
        yield Cursor(position=f"{_COMPLETE}@", done=done)

    def _refuse_strangers(self, stream: Keystream) -> None:
        """Look at the first block of every file before anything is removed; each is read whole later."""
        strangers = 0
        for entry in self._entries():
            if entry.regular:
                fd = open_same(entry, os.O_RDONLY)
                try:
                    with nameless(entry.unit):
                        strangers += not starts(fd, entry.unit, stream)
                finally:
                    os.close(fd)
        if strangers:
            raise _not_ours(strangers)

    def _remove_entry(self, entry: Entry, stream: Keystream) -> bool:
        """Remove one entry; False when it holds something that this step did not overwrite."""
        with nameless(entry.unit):
            if stat.S_ISLNK(entry.status.st_mode):
                remove(entry.parent, entry.name, self._key, inode=entry.status.st_ino)
                return True
            if not (entry.regular or entry.directory):
                return False
            fd = open_same(entry, os.O_RDWR if entry.regular else os.O_RDONLY | os.O_DIRECTORY)
            try:
                if entry.regular and not overwritten(fd, entry.unit, stream):
                    return False
                if entry.directory and os.listdir(fd):  # noqa: PTH208 - pathlib knows no descriptors
                    return False
                strip(fd)
            finally:
                os.close(fd)
            if entry.regular:
                remove(entry.parent, entry.name, self._key, inode=entry.status.st_ino)
                return True
            try:
                remove_directory(entry.parent, entry.name, self._key)
            except OSError as error:
                if error.errno == errno.ENOTEMPTY:  # something came in a moment ago
                    return False
                raise
            return True


def _not_ours(strangers: int) -> Refused:
    return Refused(
        f"{strangers} entries of the target do not hold this job's pattern or are not empty folders: "
        "they came or changed after the overwrite and stay; move them out, or plan again"
    )


def _rank(seed: bytes, place: Locator) -> bytes:
    """Return a number that the seed fixes, so that the same places are drawn each time."""
    text = f"{place.unit} {place.item} {place.offset}".encode()
    return hashlib.blake2b(text, key=seed[:64], digest_size=16).digest()


def _surfaces(path: str, system: FileSystem, thumbnails: str) -> tuple[Surface, ...]:
    """Name every place where bytes of the target may survive; `thumbnails`: where some were found."""
    pictures = Surface(name="thumbnails of its files", reach="out-of-reach", reason=thumbnails)
    return (
        Surface(name="files", reach="scannable", paths=(path,)),
        *surfaces_below(system),
        *((pictures,) if thumbnails else ()),
        *put_down(),
        Surface(
            name="copies elsewhere (backups, snapshots, editor copies, thumbnails, core dumps)",
            reach="out-of-reach",
            reason="they are no part of the target, and no list of them exists on this host",
        ),
    )
