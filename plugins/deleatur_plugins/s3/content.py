"""The entries of one target: which are selected, which are kept back, which must stay; and one place.

Rules kept: each version is a unit of its own, named by a keyed digest of all that tells it from others,
so that the plan is the list of what may go and holds no key; what is handed out names keys but sealed.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import compress, islice
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from deleatur.api import (
    Failed,
    Locator,
    Refused,
    Secrets,
    Target,
    Unit,
    keyed_digest,
    keyed_digest_of_set,
)
from deleatur_plugins.s3.answers import EXCERPT
from deleatur_plugins.s3.connecting import UPLOAD_ENDED, WORKERS, NoAnswer, Session
from deleatur_plugins.s3.describing import describing
from deleatur_plugins.s3.listing import PAGE, Entry, listed, lists_marker
from deleatur_plugins.s3.locks import BY_BUCKET, GOVERNED, kept_back
from deleatur_plugins.s3.selecting import asked_of, meets
from deleatur_plugins.s3.spool import Spool

BYPASSING = "delete-versions-bypassing-governance"  # the technique that a job has to name
MOST = 200_000  # versions in one plan, which lists each by its digest (some 200 bytes)
_TOO_MANY = f"more than {MOST} versions are selected; split the job by prefix: one plan lists no more"
_GONE = frozenset({"NoSuchVersion", "NoSuchKey"})
_ARCHIVED = "InvalidObjectState"  # it is there, and would have to be restored to be read


class Choice:
    """What a target selects, and what keeps some of it back."""

    def __init__(self, session: Session, target: Target, secrets: Secrets, *, locks: bool) -> None:
        self._session = session
        self._locks = locks
        self._bypasses = target.technique == BYPASSING
        self._asks = bool(asked_of(target))
        beside = describing(session)
        self._selections = [meets(secrets, beside, one.table, one.where) for one in target.select]
        self._holds = [(hold.id, meets(secrets, beside, hold.table, hold.where)) for hold in target.hold]

    def of(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
        """Yield what is selected, each with what keeps it back, "" for nothing."""
        some = self._judged(entries)
        if not self._locks:
            yield from some
            return
        while together := list(islice(some, PAGE)):
            yield from ((entry, words) for entry, words in together if words)
            for entry, words in kept_back(self._session, [entry for entry, words in together if not words]):
                if self._bypasses and words.startswith(GOVERNED):
                    yield entry.governed(words.removeprefix(GOVERNED)), ""
                else:
                    yield entry, words

    def _judged(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
        """Yield what is selected, each with the hold of the job that keeps it back."""
        if not self._asks:
            yield from ((entry, self._hold(entry)) for entry in entries if self._selected(entry))
            return
        left = iter(entries)
        with ThreadPoolExecutor(WORKERS) as pool:
            while together := list(islice(left, PAGE)):
                chosen = compress(together, pool.map(self._selected, together))
                yield from pool.map(lambda entry: (entry, self._hold(entry)), chosen)

    def _selected(self, entry: Entry) -> bool:
        return not self._selections or any(test(entry) for test in self._selections)

    def _hold(self, entry: Entry) -> str:
        return next((f"hold {id_}" for id_, test in self._holds if test(entry)), "")


class Going:
    """What is about to be deleted: of all that lies there, what is selected, free, and in the plan."""

    def __init__(self, choice: Choice, session: Session, secrets: Secrets) -> None:
        """List it into two spools: versions with uploads, and markers."""
        key, approved, kept = secrets["digest-key"], approved_in(secrets), set[str]()
        self.others, self.markers = Spool(), Spool()
        self.listed = 0
        with Spool() as markers:
            for entry, words in choice.of(self._counted(listed(session, session.address.prefix))):
                if words:
                    kept.add(entry.key)
                elif approved is None or digest_of(key, entry) in approved:
                    (markers if entry.kind == "marker" else self.others).add(entry)
            for entry in markers:
                if entry.key not in kept:  # else a plain request would show what is kept below it
                    self.markers.add(entry)

    def _counted(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.listed += 1
            yield entry

    @property
    def leaves(self) -> bool:
        """Whether something stays of what was listed."""
        return self.listed > len(self.others) + len(self.markers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.others.close()
        self.markers.close()


def approved_in(secrets: Secrets) -> frozenset[str] | None:
    """Return the digests that the plan lists; None as far as the engine does not say what it lists."""
    told = secrets.get("approved-units")
    if told is None:
        return None
    return frozenset(unit["digest"] for unit in json.loads(told)["units"])


def digest_of(key: bytes, entry: Entry) -> str:
    """Return the digest by which a plan names an entry."""
    return keyed_digest(key, b"entry", *entry.parts())


class Content:
    """What lies under the target's prefix now."""

    def __init__(self, session: Session, target: Target, secrets: Secrets, *, locks: bool) -> None:
        self._session = session
        self._key = secrets["digest-key"]
        self._choice = Choice(session, target, secrets, locks=locks)
        chosen: set[Entry] = set()
        self._held: dict[str, set[Entry]] = {}
        for entry, words in self._choice.of(listed(session, session.address.prefix)):
            self._held.setdefault(words, set()).add(entry) if words else chosen.add(entry)
            if len(chosen) > MOST:
                raise Refused(_TOO_MANY)
        self.governed = any(entry.kind == "governed" for entry in chosen)
        self.locked = any(words.startswith(BY_BUCKET) for words in self._held)
        self._leave_markers(chosen)
        self.chosen = sorted(chosen)

    def _leave_markers(self, chosen: set[Entry]) -> None:
        """Keep markers of keys of which a version is kept: without one, a plain request would show that."""
        kept = {entry.key for entries in self._held.values() for entry in entries}
        above = {entry for entry in chosen if entry.kind == "marker" and entry.key in kept}
        if above:
            self._held["markers of keys of which a version is kept"] = above
            chosen -= above

    # --- what goes, and what is kept back

    def units(self) -> tuple[Unit, ...]:
        """Return one unit for each version, marker and upload that is to go."""
        return tuple(self.unit(entry) for entry in self.chosen)

    def unit(self, entry: Entry) -> Unit:
        """Return the unit of one entry."""
        digest = digest_of(self._key, entry)
        kind = "version" if entry.kind in ("object", "empty") else entry.kind
        return Unit(name=f"{kind}-{digest[:24]}", size=entry.size, digest=digest)

    def held(self) -> tuple[Unit, ...]:
        """Return one unit for each reason why versions stay, with their number."""
        return tuple(self._held_unit(words, entries) for words, entries in sorted(self._held.items()))

    def _held_unit(self, words: str, entries: set[Entry]) -> Unit:
        together = (b"\0".join(entry.parts()) for entry in entries)
        return Unit(name=words, size=len(entries), digest=keyed_digest_of_set(self._key, together))

    # --- places

    def places(self) -> Iterator[Locator]:
        """Name each entry that is to go."""
        for entry in self.chosen:
            sealed = seal(
                self._key, "\0".join((entry.kind, entry.id, entry.key)).encode("utf-8", "surrogatepass")
            )
            yield Locator(unit=self.unit(entry).name, item=sealed)

    # --- what stays

    def bystanders(self) -> Iterator[bytes]:
        """Yield what the listing says of everything under the prefix that stays."""
        going = {entry.as_listed() for entry in self.chosen}
        for entry in listed(self._session, self._session.address.prefix):
            if entry not in going:
                yield b"\0".join(entry.parts())


def value_at(session: Session, key: bytes, item: str) -> bytes | None:
    """Return what can be read at one place; None when the server says that there is no such version.

    Of an object, its first bytes; of a marker, an upload, an empty or an archived object, its key.
    """
    try:
        kind, id_, name = unseal(key, item).decode("utf-8", "surrogatepass").split("\0", 2)
    except ValueError:
        raise Failed("the place is none of this backend's") from None
    itself = name.encode("utf-8", "surrogatepass")
    if kind == "marker":
        return itself if lists_marker(session, name, id_) else None
    try:
        if kind == "upload":
            session.ask("ListParts", Key=name, UploadId=id_, MaxParts=1)
            return itself
        asked: dict[str, Any] = {"Range": f"bytes=0-{EXCERPT - 1}"} if kind == "object" else {}
        answer = session.ask("GetObject", Key=name, VersionId=id_, **asked)
        with answer["Body"] as body:
            content: bytes = body.read(EXCERPT)
    except NoAnswer as error:
        if error.code in (_GONE if kind != "upload" else UPLOAD_ENDED):
            return None
        if error.code == _ARCHIVED:
            return itself
        raise
    return content or itself


def seal(key: bytes, content: bytes) -> str:
    """Encrypt a name, the same one always alike (AES-SIV, RFC 5297)."""
    return base64.urlsafe_b64encode(_siv(key).encrypt(content, None)).decode()


def unseal(key: bytes, sealed: str) -> bytes:
    """Decrypt a name. Raises Failed when the place is none of this job's."""
    try:
        return _siv(key).decrypt(base64.urlsafe_b64decode(sealed), None)
    except (InvalidTag, ValueError):
        raise Failed("the place is none of this backend's") from None


def _siv(key: bytes) -> AESSIV:
    return AESSIV(hashlib.blake2b(b"names of objects", key=key).digest())


def refuse_archive(target: Target) -> None:
    """Refuse a target that wants records kept.

    Raises:
        Refused: it has an archive.
    """
    if target.archive:
        raise Refused(
            "objects cannot be archived by this job yet; copy what must stay before, by other means"
        )
