"""Erase a whole database: its file, its journals and what the project left, overwritten and removed.

Rules kept: the database's own file goes last, because it carries the identity; every file is found
again by its neutral name after a kill.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from deleatur.api import (
    Cursor,
    Failed,
    Gone,
    Keystream,
    Locator,
    Refused,
    Unit,
    covered,
    found_again,
    keyed_digest,
    overwrite_in_place,
    read_below_cache,
    remove,
)
from deleatur_plugins.sqlite.connecting import MAGIC
from deleatur_plugins.sqlite.files import SIDECARS, Files

_PLACE = 1 << 16  # bytes of one place


@dataclass(frozen=True)
class Part:
    """One file of the database, under the name that it has now."""

    suffix: str
    name: str
    status: os.stat_result

    @property
    def unit(self) -> str:
        """Its name in documents."""
        return f"inode-{self.status.st_ino}"


class Whole:
    """All files of one database."""

    def __init__(self, files: Files, key: bytes) -> None:
        self._files = files
        self._key = key

    def parts(self) -> tuple[Part, ...]:
        """Return the files that are there, the database's own last.

        Raises:
            Gone: none is.
            Refused: one is a link, or no file.
        """
        found = []
        for suffix in (*SIDECARS, *self._files.ours(), ""):
            name = found_again(self._files.folder, self._files.name + suffix, self._key)
            if name is not None:
                status = os.stat(name, dir_fd=self._files.folder, follow_symlinks=False)
                if not stat.S_ISREG(status.st_mode):
                    raise Refused(
                        f"inode-{status.st_ino} is a symbolic link or no file; name the file itself"
                    )
                found.append(Part(suffix, name, status))
        if not found:
            raise Gone("the database is not there")
        return tuple(found)

    def database(self) -> os.stat_result:
        """Return the status of the database's own file, which is the last to go."""
        last = self.parts()[-1]
        if last.suffix:
            raise Gone("the database is not there, only files beside it; erase them with a file target")
        return last.status

    def begins_as_database(self) -> bool:
        """Say whether the database's own file has the first bytes of one."""
        with self._opened(self.parts()[-1], os.O_RDONLY) as fd:
            return os.pread(fd.number, len(MAGIC), 0) == MAGIC

    def units(self) -> tuple[Unit, ...]:
        """Return one unit for each file."""
        return tuple(
            Unit(
                name=part.unit,
                size=sum(end - start for start, end in self._ranges(part)),
                digest=keyed_digest(
                    self._key,
                    b"database file",
                    part.suffix.encode(),
                    f"{part.status.st_ino} {part.status.st_size} {part.status.st_mtime_ns}".encode(),
                ),
            )
            for part in self.parts()
        )

    def places(self) -> Iterator[Locator]:
        """Yield places that together cover every file."""
        for part in self.parts():
            for start, end in self._ranges(part):
                for offset in range(start, end, _PLACE):
                    yield Locator(part.unit, "", offset, min(_PLACE, end - offset))

    def probe(self, place: Locator) -> bytes | None:
        """Read a place below the page cache; None when its file, or that part of it, is gone."""
        try:
            parts = self.parts()
        except Gone:
            return None
        for part in parts:
            if part.unit == place.unit:
                with self._opened(part, os.O_RDONLY) as fd:
                    return read_below_cache(fd.number, place.offset, place.length) or None
        return None

    def overwrite(self, keystream: Keystream, after: Cursor | None) -> Iterator[Cursor]:
        """Overwrite every file in place, from the cursor's place on."""
        unit, _, offset = after.position.partition(" ") if after else ("", "", "0")
        parts = self.parts()
        known = [part.unit for part in parts]
        skip = known.index(unit) if unit in known else 0
        begin = int(offset) if unit in known else 0
        done = sum(part.status.st_size for part in parts[:skip])
        self._files.refuse_users()
        with self._files.exclusively():
            for part in parts[skip:]:
                with self._opened(part, os.O_RDWR) as fd:
                    for position in overwrite_in_place(fd.number, keystream, part.unit, begin):
                        yield Cursor(f"{part.unit} {position}", done + position)
                begin = 0
                done += part.status.st_size

    def remove(self, keystream: Keystream) -> Iterator[Cursor]:
        """Remove every file, its name first; the database's own comes last.

        Raises:
            Refused: a file does not read as the keystream, so its content would stay on the disk.
        """
        self._files.refuse_users()
        done = 0
        try:
            parts = self.parts()
        except Gone:  # done before, and killed before the journal said so
            return
        for part in parts:
            if not self._overwritten(part, keystream):
                raise Refused(
                    f"{part.unit} was not overwritten by this job, so it is not removed; plan again"
                )
        for part in parts:
            if part.name == self._files.name + part.suffix:
                remove(self._files.folder, part.name, self._key)
            else:  # a kill came after the name was taken away
                os.unlink(part.name, dir_fd=self._files.folder)
                os.fsync(self._files.folder)
            done += part.status.st_size
            yield Cursor(f"removed {part.unit}", done)

    def _overwritten(self, part: Part, keystream: Keystream) -> bool:
        with self._opened(part, os.O_RDONLY) as fd:
            return all(
                read_below_cache(fd.number, offset, min(_PLACE, end - offset))
                == keystream.read(part.unit, offset, min(_PLACE, end - offset))
                for start, end in covered(fd.number)
                for offset in range(start, end, _PLACE)
            )

    def _ranges(self, part: Part) -> tuple[tuple[int, int], ...]:
        with self._opened(part, os.O_RDONLY) as fd:
            return covered(fd.number)

    def _opened(self, part: Part, flags: int) -> "_Descriptor":
        return _Descriptor(self._files.folder, part, flags)


class _Descriptor:
    """An open file that is certainly the part."""

    def __init__(self, folder: int, part: Part, flags: int) -> None:
        self.number = os.open(part.name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        if not os.path.samestat(os.fstat(self.number), part.status):
            os.close(self.number)
            raise Failed(f"{part.unit} was replaced while it was opened")

    def __enter__(self) -> "_Descriptor":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)
