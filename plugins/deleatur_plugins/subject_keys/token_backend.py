"""Destroy the data keys of subjects in a PKCS#11 token, and shred their files where the token is SoftHSM.

Rules kept: what only the token says is not claimed as seen; a file of SoftHSM's is held by a second name
before its key is destroyed, and overwritten after it.
"""

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from deleatur.api import (
    Failed,
    Keystream,
    LinkShredder,
    Secrets,
    Surface,
    Target,
    Unit,
    filesystem_of,
    keyed_digest,
    limits_of_files,
    opened_in_turn,
    surfaces_below,
)
from deleatur_plugins.subject_keys.backend import COPIES, MEMORY, marks_of, shared_by_another
from deleatur_plugins.subject_keys.keyed import PREFIX, Ground, KeysBackend
from deleatur_plugins.subject_keys.softhsm import SoftHsmFiles
from deleatur_plugins.subject_keys.store import KEY
from deleatur_plugins.subject_keys.token import TokenAddress, TokenKeyStore

_SHREDDED, _TOLD = "crypto-erase", "crypto-erase-by-token"
_JOURNAL = ".deleatur-journal"


class TokenKeysBackend(KeysBackend):
    """Keys in a token."""

    def __init__(
        self, store: TokenKeyStore, files: SoftHsmFiles | None, target: Target, secrets: Secrets
    ) -> None:
        super().__init__(store, target, secrets)
        self._store = store
        self._files = files
        self._lying: dict[str, list[tuple[Path, bytes]]] = {}  # of each key, its files and what they hold
        self.technique = _SHREDDED if files is not None else _TOLD

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Log in to the token, with the PIN of the file that the URL names."""
        address = TokenAddress.of(target.url)
        with ExitStack() as opened:
            store = opened.enter_context(TokenKeyStore(address))
            files = SoftHsmFiles(address.softhsm, store.token.serial, store.pin) if address.softhsm else None
            made = cls(store, files, target, secrets)
            opened.pop_all()
            return made

    def bystanders(self) -> Iterator[bytes]:
        """Yield of each key that stays what only this key can make."""
        chosen = set(self._selected())
        for name in self._store.names():
            if name not in chosen:
                yield name.encode() + self._mark(name)

    def _ground(self, names: list[str]) -> Ground:
        token = self._store.token
        told = (token.label, token.serial.decode("ascii", "replace"), token.manufacturer_id, token.model)
        fields = (
            *zip(("token", "serial", "manufacturer", "model"), told, strict=True),
            ("store", self._store.check_value()),
        )
        strangers = self._store.strangers()
        blockers = (
            (f"the token holds {strangers} secret keys of somebody else: whether one is a copy is not known",)
            if strangers
            else ()
        )
        if self._files is None:
            surface = Surface(
                name="token",
                reach="attested",
                reason="keys cannot leave it, so what it keeps of a destroyed one is its maker's word",
            )
            return Ground(fields, ("attested-by-token",), (surface, MEMORY, COPIES), blockers)
        self._lying = self._files.wrapped()
        folder = self._files.folder
        system = filesystem_of(str(folder))
        limits = limits_of_files(system, opened_in_turn(path for name in names for path in self._paths(name)))
        surface = Surface(name="files of the token", reach="scannable", paths=(str(folder),))
        return Ground(
            fields=(
                *fields,
                ("path", str(folder)),
                ("file-system-uuid", system.uuid),
                *marks_of(str(folder)),
            ),
            limits=limits,
            surfaces=(surface, *surfaces_below(system), MEMORY, COPIES),
            blockers=blockers,
        )

    def _paths(self, name: str) -> list[Path]:
        return [path for path, _ in self._lying.get(name, [])]

    def _mark(self, name: str) -> bytes:
        return self._canary(name, b"mark" + self._secrets["digest-key"])

    def _unit(self, name: str) -> Unit:
        digest = keyed_digest(self._secrets["digest-key"], b"key", name.encode(), self._mark(name))
        return Unit(name=PREFIX + name, size=self._size(name), digest=digest)

    def _size(self, name: str) -> int:
        return KEY * self._store.count(name)

    def _against(self, name: str) -> Iterator[str]:
        told = f"{PREFIX}{name[:16]}"
        if not self._store.confined(name):
            yield f"{told} was made elsewhere, or could leave the token: a copy may be anywhere"
        if self._files is None:
            return
        paths = self._paths(name)
        if len(paths) != self._store.count(name):
            yield f"{told} has {len(paths)} files in the folder of the token; is that its folder?"
        for path in paths:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
                yield f"{told} is no file of its own: a second name keeps a wrapped copy; remove it"
                return
            yield from shared_by_another(path, told)

    def _standing(self, name: str) -> bytes:
        if self._files is not None and name not in self._lying:
            self._lying = self._files.wrapped()
        return b"".join(wrapped for _, wrapped in self._lying.get(name, []))

    def _damaged(self, name: str) -> bytes:
        return self._standing(name)

    def _settle(self, stream: Keystream) -> None:
        """Shred the file of a key that was destroyed just before a kill; let go of the others."""
        if self._files is not None and (journal := self._files.folder / _JOURNAL).exists():
            with LinkShredder(journal) as links:
                links.release(links.in_use())
                for _ in links.shred(stream):
                    continue
                links.finish()

    def _destroy(self, name: str, stream: Keystream) -> None:
        """Hold the files of a key, have the token destroy it, and shred what the token gave up."""
        if self._files is None:
            self._store.destroy(name)
            return
        with LinkShredder(self._files.folder / _JOURNAL) as links:
            links.hold(self._paths(name))
            self._store.destroy(name)
            if links.in_use():
                raise Failed(f"the token says that {PREFIX}{name[:16]} is destroyed, and keeps its file")
            for _ in links.shred(stream):
                continue
            links.finish()
