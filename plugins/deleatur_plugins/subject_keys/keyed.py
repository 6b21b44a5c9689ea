"""What is the same for all stores of keys: selecting, canaries, and destroying key by key.

Rules kept: a canary that was sealed under a key must fail because the key is not found, and for no
other reason; keys that nobody approved stay as they are.
"""

import base64
import hashlib
import heapq
import hmac
import json
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from deleatur.api import (
    Backend,
    Cursor,
    Denial,
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
)
from deleatur_plugins.subject_keys.selecting import Keys, chosen_names, held_names
from deleatur_plugins.subject_keys.store import NONCE, KeyNotFound

PREFIX = "key-"
_CANARY = "deleatur canary"  # the column of the canaries


@dataclass(frozen=True)
class Ground:
    """Where the keys of a store lie, and what that takes from a claim."""

    fields: tuple[tuple[str, str], ...]  # of its identity
    limits: tuple[str, ...]
    surfaces: tuple[Surface, ...]
    blockers: tuple[str, ...] = ()


class KeysBackend(Backend):
    """The keys of the subjects that a target selects, or all keys of a store."""

    technique: str  # the one that this store allows

    def __init__(self, store: Keys, target: Target, secrets: Secrets) -> None:
        """Take an open store, and see which keys the target means.

        Raises:
            Unsupported: the target has an archive.
            Refused: its selection is none of keys.
        """
        if target.archive:
            raise Unsupported(f"{target.id}: keys are not archived; archive what they seal")
        self._keys = store
        self._held = held_names(target, store, secrets)
        self._chosen = chosen_names(target, store, secrets)
        self._secrets = secrets

    def close(self) -> None:
        """Close the store."""
        self._keys.close()

    def inspect(self) -> Inspection:
        """Look at the keys that are there and selected."""
        names = self._selected()
        ground = self._ground(names)
        units = tuple(self._unit(name) for name in names)
        reasons = tuple(dict.fromkeys((*ground.blockers, *(r for n in names for r in self._against(n)))))
        offer = Offer(technique=self.technique, limits=(*ground.limits, "sealed-values"))
        return Inspection(
            identity=Identity(kind="key-store", fields=ground.fields),
            size=sum(unit.size for unit in units),
            units=units,
            offers=(offer,) if not reasons else (),
            denials=tuple(Denial(technique=self.technique, reason=reason) for reason in reasons),
            surfaces=ground.surfaces,
            blockers=reasons,
            held=tuple(self._unit(name) for name in self._keys.names() if name in self._held),
        )

    def sample(self, count: int | None, seed: bytes) -> Iterator[Locator]:
        """Name keys, each with a canary that is sealed under it now."""
        names = self._selected()
        if count is not None:
            ranked = heapq.nsmallest(count, ((_rank(seed, name), name) for name in names))
            names = sorted(name for _, name in ranked)
        for name in names:
            try:
                item = base64.b64encode(self._canary(name, b"canary" + seed)).decode()
            except KeyNotFound:
                continue
            except Refused:  # its destruction was begun
                item = ""
            yield Locator(unit=PREFIX + name, item=item)

    def probe(self, place: Locator) -> bytes | None:
        """Open the canary; None if the store says that there is no such key. Else what stands there."""
        name = place.unit.removeprefix(PREFIX)
        try:
            if place.item:
                self._keys.open_by_name(name, _CANARY, base64.b64decode(place.item))
        except KeyNotFound:
            return None
        except Refused:  # what stands there is not the key, or not any more: that is shown
            return self._damaged(name)
        return self._standing(name)

    def erase(self, step: Step, after: Cursor | None) -> Iterator[Cursor]:
        """Destroy each key that was approved, one after the other."""
        if (step.technique, step.action) != (self.technique, "destroy"):
            raise Unsupported(f"this key store knows {self.technique} with destroy, not {step.action}")
        if step.pattern is None:
            raise Refused(f"{step.id} has no pattern to overwrite with")
        stream = Keystream(step.pattern.key)
        self._settle(stream)
        done = after.done if after is not None else 0
        last = after.position if after is not None else ""
        for name in self._approved():
            if PREFIX + name > last:
                done += self._size(name)
                self._destroy(name, stream)
                yield Cursor(position=PREFIX + name, done=done)

    def _canary(self, name: str, seed: bytes) -> bytes:
        nonce = hmac.new(seed, name.encode(), hashlib.sha256).digest()[:NONCE]
        return self._keys.canary(name, _CANARY, nonce)

    def _selected(self) -> list[str]:
        return [name for name in self._keys.names() if name in self._chosen]

    def _approved(self) -> list[str]:
        names = self._selected()
        if "approved-units" in self._secrets:
            known = {unit["name"] for unit in json.loads(self._secrets["approved-units"])["units"]}
            if strangers := sum(PREFIX + name not in known for name in names):
                raise Refused(f"{strangers} keys were made after the approval; plan again")
        if reasons := [*self._ground(names).blockers, *(r for name in names for r in self._against(name))]:
            raise Refused("; ".join(reasons))
        return names

    # --- what each store does in its own way

    @abstractmethod
    def _ground(self, names: list[str]) -> Ground:
        """Say where the keys called `names` lie."""

    @abstractmethod
    def _unit(self, name: str) -> Unit:
        """Return the unit of one key; its digest is that of this very key."""

    @abstractmethod
    def _size(self, name: str) -> int:
        """Return how many bytes of one key are destroyed."""

    @abstractmethod
    def _against(self, name: str) -> Iterator[str]:
        """Yield why one key cannot be destroyed for good."""

    @abstractmethod
    def _standing(self, name: str) -> bytes | None:
        """Return what stands of a key where it lies; None when the store says that there is none."""

    @abstractmethod
    def _damaged(self, name: str) -> bytes | None:
        """Return what stands where a key does that opens nothing."""

    @abstractmethod
    def _settle(self, stream: Keystream) -> None:
        """Finish what a run that was killed left half done."""

    @abstractmethod
    def _destroy(self, name: str, stream: Keystream) -> None:
        """Destroy one key where it lies, durably."""


def _rank(seed: bytes, name: str) -> bytes:
    return hashlib.blake2b(name.encode(), key=seed[:64], digest_size=16).digest()
