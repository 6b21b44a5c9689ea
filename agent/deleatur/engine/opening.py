"""Open targets: absolute URLs, the secrets that a backend may see, and fresh handles.

Every open checks the plugin against the plan and the identity against the plan; a handle that
erased is never the handle that verifies.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from msgspec.structs import replace

from deleatur.backend import Backend, Secrets
from deleatur.documents.codec import encode_json
from deleatur.documents.job import ArchivedTable, Target, conditions_of
from deleatur.documents.place import Inspection
from deleatur.documents.plan import PlannedTarget, PluginPin
from deleatur.documents.rules import PATHLESS_SCHEMES
from deleatur.engine.decorators import retrying, throttled
from deleatur.engine.directory import JobDirectory
from deleatur.engine.reading import read_plain
from deleatur.engine.registry import scheme_of
from deleatur.errors import Gone, Refused
from deleatur.sanitize.digest import keyed_digest
from deleatur.sanitize.pace import Pace

Registry = Callable[[str], tuple[type[Backend], PluginPin]]
KEY_SIZE = 32  # bytes
ATTEMPTS, DELAY = 4, 0.5  # in all at most 3.5 s of waiting, then the job stops and can be resumed
MAX_VALUES = 256 << 20  # bytes of one values_from file


def absolute(target: Target, directory: Path) -> Target:
    """Return `target` with a relative path of its URL resolved against the job's directory."""
    parts = urlsplit(target.url)
    if parts.netloc or parts.path.startswith("/") or parts.scheme in PATHLESS_SCHEMES:
        return target
    path = os.path.normpath(directory / unquote(parts.path, errors="surrogateescape"))
    encoded = quote(path, errors="surrogateescape")
    url = urlunsplit((scheme_of(target.url), "", encoded, parts.query, parts.fragment))
    whole = url if url.partition(":")[2].startswith("//") else url.replace(":", "://", 1)
    return replace(target, url=whole)


def make_digest_key(directory: JobDirectory) -> bytes:
    """Return the job's key for keyed digests, made on first use and destroyed when the job ends."""
    if not directory.digest_key.exists():
        directory.write_once(directory.digest_key, secrets.token_bytes(KEY_SIZE))
    return read_digest_key(directory)


def read_digest_key(directory: JobDirectory) -> bytes:
    """Return the job's key for keyed digests.

    Raises:
        Refused: it is missing or cut, so nothing of the plan can be compared any more.
    """
    return _key(directory.digest_key)


def make_token_key(directory: JobDirectory) -> bytes:
    """Return the key of the archives' tokens, made for the first archive and erased before the certificate.

    Raises:
        Refused: it is cut short.
    """
    if not directory.token_key.exists():
        directory.write_once(directory.token_key, secrets.token_bytes(KEY_SIZE))
    return _key(directory.token_key)


def _key(path: Path) -> bytes:
    try:
        key = read_plain(path, KEY_SIZE)
    except FileNotFoundError:
        key = b""
    if len(key) != KEY_SIZE:
        raise Refused(f"{path.name} of the job is missing or damaged; make a new job")
    return key


def values_files(target: Target) -> tuple[str, ...]:
    """Return the names of the operator's value files that the target's conditions use."""
    return tuple(sorted({c.values_from for c in conditions_of(target) if c.values_from is not None}))


def secrets_for(target: Target, key: bytes, directory: Path) -> dict[str, bytes]:
    """Return what a backend may know besides its target."""
    values = {f"values:{n}": _values(directory / n) for n in values_files(target)}
    return {"digest-key": key, **values}


def _values(path: Path) -> bytes:
    try:
        return read_plain(path, MAX_VALUES)
    except FileNotFoundError:
        raise Refused(f"the values file {path} is missing") from None


def values_digest(opened_with: Secrets) -> str:
    """Return a keyed digest of the operator's value files; "" if there are none."""
    names = sorted(n for n in opened_with if n.startswith("values:"))
    if not names:
        return ""
    return keyed_digest(opened_with["digest-key"], *(x for n in names for x in (n.encode(), opened_with[n])))


class Opener:
    """Opens the planned targets of one job, freshly each time."""

    def __init__(self, registry: Registry, directory: JobDirectory, key: bytes, *, pace: Pace | None) -> None:
        self._registry = registry
        self._directory = directory
        self.pace = pace
        self.key = key

    @contextmanager
    def fresh(self, planned: PlannedTarget) -> Iterator[tuple[Backend, Inspection | None]]:
        """Open a planned target and inspect it; None if the storage says that it is gone.

        Raises:
            Refused: another plugin, other values, or another target than planned.
        """
        kind, pin = self._registry(scheme_of(planned.target.url))
        if pin != planned.plugin:
            raise Refused(
                f"{planned.id}: planned with {planned.plugin.distribution} {planned.plugin.version}, "
                "and other code is installed now; install that again, or plan again"
            )
        known = secrets_for(planned.target, self.key, self._directory.path)
        if values_digest(known) != planned.values_digest:
            raise Refused(f"{planned.id}: a values_from file changed since the plan; plan again")
        known["approved-units"] = encode_json({"units": planned.units, "held": planned.held})
        known["approved-outage"] = str(planned.outage).encode()
        backend = self._decorated(kind.open(planned.target, known))
        try:
            yield backend, same_identity(backend, planned)
        finally:
            backend.close()

    def rows(self, planned: PlannedTarget, wanted: ArchivedTable) -> Iterator[dict[str, Any]]:
        """Yield the rows of a planned target that meet the conditions of `wanted`, every column of them.

        The caller has opened it `fresh` just before: that says whether it is the planned one.
        """
        kind, _ = self._registry(scheme_of(planned.target.url))
        asked = replace(planned.target, archive=(wanted,))
        backend = kind.open(asked, secrets_for(asked, self.key, self._directory.path))
        try:
            yield from backend.records(wanted.table)
        finally:
            backend.close()

    def _decorated(self, backend: Backend) -> Backend:
        """Put around every backend what concerns them all."""
        patient = retrying(backend, ATTEMPTS, DELAY)
        return patient if self.pace is None else throttled(patient, self.pace)


def same_identity(backend: Backend, planned: PlannedTarget) -> Inspection | None:
    """Inspect and compare the identity with the plan's; None if the target is gone.

    Raises:
        Refused: it is another target.
    """
    try:
        look = backend.inspect()
    except Gone:
        return None
    if look.identity != planned.identity:
        changed = sorted(k for k, _ in set(look.identity.fields) ^ set(planned.identity.fields))
        raise Refused(f"{planned.id}: not the target of the plan ({', '.join(changed)} differ); plan again")
    if look.shown not in (planned.size, planned.shown, None):
        sizes = " or ".join(str(size) for size in dict.fromkeys((planned.shown, planned.size)) if size)
        raise Refused(f"{planned.id}: shows {look.shown} bytes now, and {sizes} were planned; plan again")
    return look


def identity_digest(planned: PlannedTarget) -> str:
    """Return the SHA-256 (hex) of the identity text, as the certificate's subject has it."""
    return hashlib.sha256(planned.identity.text().encode()).hexdigest()
