"""Destroy the data keys of subjects: what was sealed under them opens no more, wherever its copies lie.

Rule kept: a key is overwritten where it lies before its name goes.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from deleatur.api import (
    Extent,
    Keystream,
    Refused,
    Secrets,
    Surface,
    Target,
    Unit,
    extents,
    filesystem_of,
    generation,
    keyed_digest,
    limits_of_files,
    opened_in_turn,
    overwrite_in_place,
    surfaces_below,
)
from deleatur_plugins.subject_keys.keyed import PREFIX, Ground, KeysBackend
from deleatur_plugins.subject_keys.store import BLOCK, KEY, KeyNotFound, KeyStore, open_quietly

MEMORY = Surface(
    name="memory of the programs that sealed and opened",
    reach="out-of-reach",
    reason="their memory and swap are not read; stop them, and a key they held is gone with them",
)
COPIES = Surface(
    name="copies elsewhere (backups of the key store, snapshots)",
    reach="out-of-reach",
    reason="they are no part of the target, and no list of them exists on this host",
)


class SubjectKeysBackend(KeysBackend):
    """Keys that lie in a folder, one file each."""

    technique = "crypto-erase"

    def __init__(self, path: str, store: KeyStore, target: Target, secrets: Secrets) -> None:
        super().__init__(store, target, secrets)
        self._path = path
        self._store = store

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Open the store with its key-encryption key, which the URL names: `?kek=/path`."""
        parts = urlsplit(target.url)
        paths = parse_qs(parts.query).get("kek", [])
        if parts.netloc or len(paths) != 1 or not Path(paths[0]).is_absolute():
            raise Refused(f"{target.id}: write subject-keys:///folder?kek=/file, both on this host")
        path = unquote(parts.path)
        with ExitStack() as opened:
            store = opened.enter_context(KeyStore(path, _kek(paths[0], target.id)))
            made = cls(path, store, target, secrets)
            opened.pop_all()
            return made

    def bystanders(self) -> Iterator[bytes]:
        """Yield the keys that stay."""
        chosen = set(self._selected())
        for name in self._store.names():
            if name not in chosen:
                yield self._store.content(name)

    def _ground(self, names: list[str]) -> Ground:
        system = filesystem_of(self._path)
        files = opened_in_turn(file for file in map(self._file, names) if not file.is_symlink())
        store = Surface(name="key store", reach="scannable", paths=(self._path,))
        return Ground(
            fields=(
                ("path", self._path),
                ("file-system", system.type),
                ("file-system-uuid", system.uuid),
                *marks_of(self._path),
            ),
            limits=limits_of_files(system, files),
            surfaces=(store, *surfaces_below(system), MEMORY, COPIES),
        )

    def _against(self, name: str) -> Iterator[str]:
        status = self._file(name).lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            yield f"{PREFIX}{name[:16]} is no file of its own: a second name keeps a wrapped copy; remove it"
            return
        yield from shared_by_another(self._file(name), f"{PREFIX}{name[:16]}")

    def _file(self, name: str) -> Path:
        return Path(self._path) / "keys" / name

    def _unit(self, name: str) -> Unit:
        digest = keyed_digest(self._secrets["digest-key"], b"key", name.encode(), self._store.content(name))
        return Unit(name=PREFIX + name, size=BLOCK, digest=digest)

    def _size(self, _name: str) -> int:
        return BLOCK

    def _standing(self, name: str) -> bytes | None:
        try:
            return self._store.wrapped(name)
        except KeyNotFound:
            return None

    def _damaged(self, name: str) -> bytes | None:
        return self._store.content(name)

    def _settle(self, stream: Keystream) -> None:
        """Do nothing: the name of a key that is half overwritten is still there, and it comes again."""

    def _destroy(self, name: str, stream: Keystream) -> None:
        """Overwrite the block of one key, then remove its name."""
        folder = os.open(Path(self._path) / "keys", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                for _ in overwrite_in_place(fd, stream, PREFIX + name):
                    continue
            finally:
                os.close(fd)
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)
        finally:
            os.close(folder)


def _kek(path: str, target: str) -> bytes:
    try:
        fd = open_quietly(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, KEY + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise Refused(f"{target}: the key-encryption key cannot be read: {error.strerror}") from None


def shared_by_another(file: Path, told: str) -> Iterator[str]:
    """Yield a reason when another file shares blocks with this one."""
    for fd in opened_in_turn([file]):
        if any(extent.is_(Extent.SHARED) for extent in extents(fd) or ()):
            yield (
                f"{told} shares its block with another file (reflink, snapshot), "
                "which keeps a wrapped copy; remove that"
            )


def marks_of(path: str) -> tuple[tuple[str, str], ...]:
    """Return what tells a folder from a later one at its path."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return (("inode", str(os.fstat(fd).st_ino)), ("generation", str(generation(fd))))
    finally:
        os.close(fd)
