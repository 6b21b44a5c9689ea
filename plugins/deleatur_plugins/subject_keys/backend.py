"""Destroy the data keys of subjects: what was sealed under them opens no more, wherever its copies lie.

Rules kept: a key is overwritten where it lies before its name goes; a canary that was sealed under it must
fail because the key is not found, and for no other reason; keys that nobody approved stay as they are.
"""

import base64
import hashlib
import heapq
import hmac
import json
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from deleatur.api import (
    Backend,
    Condition,
    Cursor,
    Denial,
    Extent,
    FileSystem,
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
    extents,
    filesystem_of,
    generation,
    keyed_digest,
    limits_of_files,
    listed_values,
    opened_in_turn,
    overwrite_in_place,
    refuse_ambiguous,
    surfaces_below,
)
from deleatur_plugins.subject_keys.store import BLOCK, KEY, NONCE, KeyNotFound, KeyStore, open_quietly

TECHNIQUE = "crypto-erase"
TABLE, COLUMN = "keys", "subject"
_CANARY = "deleatur canary"  # the column of the canaries
_PREFIX = "key-"


class SubjectKeysBackend(Backend):
    """The keys of the subjects that a target selects, or all keys of a store."""

    def __init__(self, path: str, store: KeyStore, target: Target, secrets: Secrets) -> None:
        self._path = path
        self._store = store
        held = (n for part in target.hold for n in _named(part.table, part.where, store, secrets))
        self._held = frozenset(held)
        self._chosen = frozenset(_chosen(target, store, secrets)) - self._held
        self._secrets = secrets

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Open the store with its key-encryption key, which the URL names: `?kek=/path`."""
        if target.archive:
            raise Unsupported(f"{target.id}: keys are not archived; archive what they seal")
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

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def inspect(self) -> Inspection:
        """Look at the keys that are there and selected."""
        system = filesystem_of(self._path)
        status = Path(self._path).lstat()
        units = tuple(self._unit(name) for name in self._selected())
        reasons = tuple(dict.fromkeys(r for name in self._selected() for r in self._against(name)))
        files = (self._file(name) for name in self._selected())
        limits = limits_of_files(system, opened_in_turn(file for file in files if not file.is_symlink()))
        return Inspection(
            identity=Identity(
                kind="key-store",
                fields=(
                    ("path", self._path),
                    ("file-system", system.type),
                    ("file-system-uuid", system.uuid),
                    ("inode", str(status.st_ino)),
                    ("generation", str(_generation(self._path))),
                ),
            ),
            size=sum(unit.size for unit in units),
            units=units,
            offers=(Offer(technique=TECHNIQUE, limits=(*limits, "sealed-values")),) if not reasons else (),
            denials=tuple(Denial(technique=TECHNIQUE, reason=reason) for reason in reasons),
            surfaces=_surfaces(self._path, system),
            blockers=reasons,
            held=tuple(self._unit(name) for name in self._store.names() if name in self._held),
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name keys, each with a canary that is sealed under it now."""
        names = self._selected()
        if count is not None:
            ranked = heapq.nsmallest(count, ((_rank(seed, name), name) for name in names))
            names = sorted(name for _, name in ranked)
        for name in names:
            nonce = hmac.new(b"canary" + seed, name.encode(), hashlib.sha256).digest()[:NONCE]
            try:
                item = base64.b64encode(self._store.canary(name, _CANARY, nonce)).decode()
            except KeyNotFound:
                continue
            except Refused:  # its destruction was begun
                item = ""
            yield Locator(unit=_PREFIX + name, item=item)

    def probe(self, place: Locator) -> bytes | None:
        """Open the canary; None if the store says that there is no such key. Else what stands there."""
        name = place.unit.removeprefix(_PREFIX)
        try:
            if place.item:
                self._store.open_by_name(name, _CANARY, base64.b64decode(place.item))
            return self._store.wrapped(name)
        except KeyNotFound:
            return None
        except Refused:  # what stands there is not the key, or not any more: that is shown
            return self._store.content(name)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Overwrite and remove each key that was approved, one after the other."""
        if (step.technique, step.action) != (TECHNIQUE, "destroy"):
            raise Unsupported(f"a key store knows {TECHNIQUE} with destroy, not {step.action}")
        if step.pattern is None:
            raise Refused(f"{step.id} has no pattern to overwrite with")
        stream = Keystream(step.pattern.key)
        names = self._approved()
        done = after.done if after is not None else 0
        last = after.position if after is not None else ""
        for name in names:
            if _PREFIX + name > last:
                self._destroy(name, stream)
                done += BLOCK
                yield Cursor(position=_PREFIX + name, done=done)

    def bystanders(self) -> Iterator[bytes]:
        """Yield the keys that stay."""
        chosen = set(self._selected())
        for name in self._store.names():
            if name not in chosen:
                yield self._store.content(name)

    def _selected(self) -> list[str]:
        return [name for name in self._store.names() if name in self._chosen]

    def _approved(self) -> list[str]:
        names = self._selected()
        if "approved-units" in self._secrets:
            known = {unit["name"] for unit in json.loads(self._secrets["approved-units"])["units"]}
            if strangers := sum(_PREFIX + name not in known for name in names):
                raise Refused(f"{strangers} keys were made after the approval; plan again")
        if reasons := [r for name in names for r in self._against(name)]:
            raise Refused("; ".join(reasons))
        return names

    def _against(self, name: str) -> Iterator[str]:
        status = self._file(name).lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            yield f"{_PREFIX}{name[:16]} is no file of its own: a second name keeps a wrapped copy; remove it"
            return
        for fd in opened_in_turn([self._file(name)]):
            if any(extent.is_(Extent.SHARED) for extent in extents(fd) or ()):
                yield (
                    f"{_PREFIX}{name[:16]} shares its block with another file (reflink, snapshot), "
                    "which keeps a wrapped copy; remove that"
                )

    def _file(self, name: str) -> Path:
        return Path(self._path) / "keys" / name

    def _unit(self, name: str) -> Unit:
        digest = keyed_digest(self._secrets["digest-key"], b"key", name.encode(), self._store.content(name))
        return Unit(name=_PREFIX + name, size=BLOCK, digest=digest)

    def _destroy(self, name: str, stream: Keystream) -> None:
        """Overwrite the block of one key, then remove its name."""
        folder = os.open(Path(self._path) / "keys", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                for _ in overwrite_in_place(fd, stream, _PREFIX + name):
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


def _chosen(target: Target, store: KeyStore, secrets: Secrets) -> Iterator[str]:
    """Yield the names of the keys that are selected: all, where nothing is."""
    if not target.select:
        yield from store.names()
    for part in target.select:
        yield from _named(part.table, part.where, store, secrets)


def _named(table: str, where: tuple[Condition, ...], store: KeyStore, secrets: Secrets) -> Iterator[str]:
    if table != TABLE:
        raise Refused(f"a key store has one table, {TABLE}, and not {table[:80]!r}")
    if not where:
        yield from store.names()
        return
    if len(where) != 1 or where[0].column != COLUMN or where[0].operator not in ("=", "in"):
        raise Refused(f"keys are selected by one condition: {COLUMN} = a value, or in a list")
    condition = where[0]
    refuse_ambiguous(table, condition)
    if condition.values_from is not None:
        yield from map(store.name_of, listed_values(secrets, condition.values_from))
        return
    for value in condition.values or (condition.value,):
        if not isinstance(value, str):
            raise Refused(f"{COLUMN} is a text; write it in quotes")
        yield store.name_of(value)


def _generation(path: str) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return generation(fd)
    finally:
        os.close(fd)


def _rank(seed: bytes, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=seed[:64], digest_size=16).digest()


def _surfaces(path: str, system: FileSystem) -> tuple[Surface, ...]:
    """Name every place where a key may survive."""
    return (
        Surface(name="key store", reach="scannable", paths=(path,)),
        *surfaces_below(system),
        Surface(
            name="memory of the programs that sealed and opened",
            reach="out-of-reach",
            reason="their memory and swap are not read; stop them, and a key they held is gone with them",
        ),
        Surface(
            name="copies elsewhere (backups of the key store, snapshots)",
            reach="out-of-reach",
            reason="they are no part of the target, and no list of them exists on this host",
        ),
    )
