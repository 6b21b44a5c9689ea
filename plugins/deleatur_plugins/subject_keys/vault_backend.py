"""Have OpenBao or Vault delete keys of its transit engine, and ask it for each of them afterwards.

Rules kept: what only the service says is not claimed as seen; a key that could leave it is refused, for a
copy would open everything; what protects a key from deletion is taken away by who owns it, not by a job.
"""

import json
from collections.abc import Iterator
from typing import Self

from deleatur.api import Keystream, Refused, Secrets, Surface, Target, Unit, digest_key, keyed_digest
from deleatur_plugins.subject_keys.backend import MEMORY
from deleatur_plugins.subject_keys.keyed import PREFIX, Ground, KeysBackend
from deleatur_plugins.subject_keys.store import KEY, KeyNotFound
from deleatur_plugins.subject_keys.vault import VaultAddress, VaultKeyStore

_LEAVING = ("exportable", "allow_plaintext_backup", "imported_key")  # the first two can never be taken back


class VaultKeysBackend(KeysBackend):
    """Keys in a key service."""

    technique = "crypto-erase-by-service"

    def __init__(self, store: VaultKeyStore, target: Target, secrets: Secrets) -> None:
        super().__init__(store, target, secrets)
        self._store = store
        self._key = digest_key(secrets)

    @classmethod
    def open(cls, target: Target, secrets: Secrets) -> Self:
        """Ask the service for its engine, with the token of the option file."""
        return cls(VaultKeyStore(VaultAddress.of(target.url), digest_key(secrets)), target, secrets)

    def bystanders(self) -> Iterator[bytes]:
        """Yield of each key that stays what only this key can make."""
        chosen = set(self._selected())
        for name in self._store.names():
            if name not in chosen:
                yield name.encode() + self._mark(name)

    def _ground(self, names: list[str]) -> Ground:  # noqa: ARG002 - all lie in one service
        address = self._store.address
        fields = (
            ("service", address.endpoint),
            ("namespace", address.namespace or "none"),
            ("cluster", self._store.cluster()),
            ("mount", address.mount),
            ("engine", self._store.engine),
        )
        surface = Surface(
            name="storage, snapshots and replicas of the key service",
            reach="attested",
            reason="keys lie there under the service's own key; a snapshot that is restored brings them back",
        )
        return Ground(fields, ("attested-by-key-service",), (surface, MEMORY))

    def _mark(self, name: str) -> bytes:
        try:
            return self._store.shown(name)
        except Refused:  # out of use, and still there
            return json.dumps(self._store.facts(name), sort_keys=True).encode()

    def _unit(self, name: str) -> Unit:
        digest = keyed_digest(self._key, b"key", name.encode(), self._mark(name))
        return Unit(name=PREFIX + name, size=self._size(name), digest=digest)

    def _size(self, name: str) -> int:
        return KEY * len(self._store.facts(name)["keys"])

    def _against(self, name: str) -> Iterator[str]:
        told, facts = f"{PREFIX}{name[:16]}", self._store.facts(name)
        if any(facts.get(word) is not False for word in _LEAVING):
            yield f"{told} was made elsewhere, or could leave the service: a copy may be anywhere"
        if facts.get("deletion_allowed") is not True:
            yield f"{told} is protected from deletion; who owns it sets deletion_allowed"

    def _standing(self, name: str) -> bytes | None:
        try:
            return self._mark(name)
        except KeyNotFound:
            return None

    def _damaged(self, name: str) -> bytes | None:
        return self._standing(name)

    def _settle(self, stream: Keystream) -> None:
        """Nothing lies half done: a key is there, or it is not."""

    def _destroy(self, name: str, stream: Keystream) -> None:  # noqa: ARG002 - the service overwrites, or not
        self._store.destroy(name)
