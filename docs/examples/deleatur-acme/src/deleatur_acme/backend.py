"""Erase a shelf of Acme: a folder of `.box` files beside a label.

A shelf goes as a whole: every box, and nothing else in the folder. Boxes are named by inode
number wherever something is written down, because file names may be data. Rules that this code
keeps: nothing changes before the first `next()`; a cursor follows the flush, never precedes it;
"not there" is said only after the folder was read.
"""

import hmac
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Self
from urllib.parse import unquote, urlsplit

from deleatur.api import (
    Backend,
    Cursor,
    Failed,
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
    Unit,
    Unsupported,
    keyed_digest,
)

LABEL = "shelf.label"  # the shelf's serial number, written when the shelf is made
PIECE = 1 << 20  # bytes of one place, and of one write


class Box(NamedTuple):
    """One file of the shelf."""

    inode: int
    size: int  # bytes
    name: str  # stays in this process: it may be data

    @property
    def unit(self) -> str:
        """The name that may be written down."""
        return f"inode-{self.inode}"


class AcmeBackend(Backend):
    """`acme:///folder`: one shelf."""

    def __init__(self, folder: int, path: str, digest_key: bytes) -> None:
        self.folder = folder  # a descriptor: the folder cannot be swapped under us
        self.path = path
        self.digest_key = digest_key

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Open the folder; raises `Gone` if it is not there, `Refused` if it is not a shelf."""
        if target.select or target.hold or target.archive:
            raise Unsupported("a shelf goes as a whole; remove select, hold and archive from the target")
        path = unquote(urlsplit(target.url).path, errors="surrogateescape")
        try:
            folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise Gone("the shelf is not there") from None
        return cls(folder, path, secrets["digest-key"])

    def inspect(self) -> Inspection:
        """List the boxes, and what stands in the way."""
        boxes = self._boxes()
        return Inspection(
            identity=Identity(
                kind="acme-shelf",
                fields=(("label", self._label()), ("inode", str(os.fstat(self.folder).st_ino))),
            ),
            size=sum(box.size for box in boxes),
            units=tuple(map(self._unit, boxes)),
            offers=(
                # We do not look at the file system, so we may not say that it overwrites in place.
                Offer(technique="overwrite-and-remove", limits=("unknown-file-system", "directory-names")),
            ),
            surfaces=(
                Surface(name="files of the shelf", reach="scannable", paths=(self.path,)),
                Surface(
                    name="free blocks under the shelf",
                    reach="out-of-reach",
                    reason="a shelf does not know its block device",
                ),
            ),
            blockers=tuple(self._blockers()),
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name pieces of boxes, chosen by their keyed digests under `seed`."""
        places = [
            Locator(unit=box.unit, offset=offset, length=min(PIECE, box.size - offset))
            for box in self._boxes()
            for offset in range(0, box.size, PIECE)
        ]
        if count is not None:
            places.sort(key=lambda p: hmac.digest(seed, f"{p.unit} {p.offset}".encode(), "sha256"))
        yield from places[:count]

    def probe(self, place: Locator) -> bytes | None:
        """Read a piece; None only if the folder was read and has no such box."""
        for box in self._boxes():
            if box.unit == place.unit:
                with self._opened(box, os.O_RDONLY) as file:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)  # read the medium, not our cache
                    return os.pread(file, place.length or box.size - place.offset, place.offset)
        return None

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Overwrite, or remove, one box after the other in the order of their inode numbers."""
        treat = self._treatment(step)
        done = after.done if after else 0
        last = int(after.position.removeprefix("inode-")) if after else 0
        for box in self._boxes():
            if box.inode > last:
                treat(box)
                done += box.size
                yield Cursor(position=box.unit, done=done)

    def bystanders(self) -> Iterator[bytes]:
        """Yield everything else in the folder: its name and, of a file, its content."""
        for name in self._names():
            if not name.endswith(".box"):
                yield os.fsencode(name)
                if stat.S_ISREG(os.lstat(name, dir_fd=self.folder).st_mode):
                    yield self._read(name)

    def close(self) -> None:
        """Close the folder."""
        os.close(self.folder)

    def _treatment(self, step: Step) -> Callable[[Box], None]:
        match (step.technique, step.action):
            case ("overwrite-and-remove", "overwrite"):
                if step.pattern is None:
                    raise Failed(f"step {step.id} has no pattern to overwrite with; plan the job again")
                return partial(self._overwrite, Keystream(step.pattern.key))
            case ("overwrite-and-remove", "remove"):
                return self._remove
        raise Unsupported(f"a shelf does not know {step.action[:80]!r} of {step.technique[:80]!r}")

    def _names(self) -> list[str]:
        with os.scandir(self.folder) as entries:
            return sorted(entry.name for entry in entries)

    def _boxes(self) -> list[Box]:
        boxes = []
        for name in self._names():
            if name.endswith(".box"):
                status = os.lstat(name, dir_fd=self.folder)
                boxes.append(Box(status.st_ino, status.st_size, name))
        return sorted(boxes)

    def _blockers(self) -> Iterator[str]:
        for box in self._boxes():
            status = os.lstat(box.name, dir_fd=self.folder)
            if not stat.S_ISREG(status.st_mode):
                yield f"{box.unit} is a link, a folder or a device, not a box; move it away"
            elif status.st_nlink > 1:
                yield f"{box.unit} has {status.st_nlink} names; remove the others first"

    def _unit(self, box: Box) -> Unit:
        digest = keyed_digest(self.digest_key, box.unit.encode(), os.fsencode(box.name))
        return Unit(name=box.unit, size=box.size, digest=digest)

    def _label(self) -> str:
        try:
            return self._read(LABEL).decode("ascii").strip()
        except FileNotFoundError:
            raise Refused(f"the folder has no {LABEL}: it is not a shelf; check the url") from None
        except UnicodeDecodeError:
            raise Refused(f"the {LABEL} is not ASCII: it is not a shelf; check the url") from None

    def _overwrite(self, keystream: Keystream, box: Box) -> None:
        with self._opened(box, os.O_WRONLY) as file:
            offset = 0
            while offset < box.size:
                piece = keystream.read(box.unit, offset, min(PIECE, box.size - offset))
                offset += os.pwrite(file, piece, offset)
            os.fsync(file)

    def _remove(self, box: Box) -> None:
        with self._opened(box, os.O_RDONLY):
            os.unlink(box.name, dir_fd=self.folder)
        os.fsync(self.folder)

    @contextmanager
    def _opened(self, box: Box, flags: int) -> Iterator[int]:
        """Open the box, and make sure that it is the file that was listed, with no other name."""
        file = os.open(box.name, flags | os.O_NOFOLLOW, dir_fd=self.folder)
        try:
            status = os.fstat(file)
            if status.st_ino != box.inode or status.st_nlink != 1 or not stat.S_ISREG(status.st_mode):
                raise Refused(f"{box.unit} was swapped or linked meanwhile; look into it, then resume")
            yield file
        finally:
            os.close(file)

    def _read(self, name: str) -> bytes:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self.folder)
        with os.fdopen(file, "rb") as opened:
            return opened.read()
