"""The entries of one target: which are selected, which are kept back, which must stay; and one place.

Rules kept: each version is a unit of its own, named by a keyed digest of all that tells it from others,
so that the plan is the list of what may go and holds no key; what is handed out names keys but sealed.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

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
from deleatur_plugins.s3.connecting import NoAnswer, Session
from deleatur_plugins.s3.listing import Entry, listed, lists_marker
from deleatur_plugins.s3.locks import kept_back
from deleatur_plugins.s3.selecting import meets

MOST = 200_000  # versions in one plan, which lists each by its digest (some 200 bytes)
_EXCERPT = 4096  # bytes read of one object: what the core keeps of a sampled place
_GONE = frozenset({"NoSuchVersion", "NoSuchKey"})
_ARCHIVED = "InvalidObjectState"  # it is there, and would have to be restored to be read


class Content:
    """What lies under the target's prefix now."""

    def __init__(self, session: Session, target: Target, secrets: Secrets, *, locks: bool) -> None:
        self._session = session
        self._key = secrets["digest-key"]
        selections = [meets(secrets, selection.table, selection.where) for selection in target.select]
        holds = [(hold.id, meets(secrets, hold.table, hold.where)) for hold in target.hold]
        self.entries = listed(session, session.address.prefix)
        self.chosen: list[Entry] = []
        self.locked = False  # whether the bucket itself keeps some of them back
        self._held: dict[str, list[Entry]] = {}
        for entry in self.entries:
            if selections and not any(test(entry) for test in selections):
                continue
            by = next((f"hold {id_}" for id_, test in holds if test(entry)), "")
            self._held.setdefault(by, []).append(entry) if by else self.chosen.append(entry)
        if locks:
            self._set_apart()
        self._leave_markers()

    def _set_apart(self) -> None:
        """Take out of the selection what the bucket itself keeps back."""
        free: list[Entry] = []
        for entry, words in kept_back(self._session, self.chosen):
            self._held.setdefault(words, []).append(entry) if words else free.append(entry)
        self.locked = len(free) < len(self.chosen)
        self.chosen = free

    def _leave_markers(self) -> None:
        """Keep markers of keys of which a version is kept: without one, a plain request would show that."""
        kept = {entry.key for entries in self._held.values() for entry in entries}
        above = {entry for entry in self.chosen if entry.kind == "marker" and entry.key in kept}
        if above:
            self._held["markers of keys of which a version is kept"] = sorted(above)
            self.chosen = [entry for entry in self.chosen if entry not in above]

    # --- what goes, and what is kept back

    def units(self) -> tuple[Unit, ...]:
        """Return one unit for each version, marker and upload that is to go."""
        return tuple(self.unit(entry) for entry in self.chosen)

    def unit(self, entry: Entry) -> Unit:
        """Return the unit of one entry."""
        digest = keyed_digest(self._key, b"entry", *entry.parts())
        kind = "upload" if entry.kind == "upload" else "marker" if entry.kind == "marker" else "version"
        return Unit(name=f"{kind}-{digest[:24]}", size=entry.size, digest=digest)

    def held(self) -> tuple[Unit, ...]:
        """Return one unit for each reason why versions stay, with their number."""
        return tuple(self._held_unit(words, entries) for words, entries in sorted(self._held.items()))

    def _held_unit(self, words: str, entries: list[Entry]) -> Unit:
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
        going = set(self.chosen)
        for entry in self.entries:
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
        asked: dict[str, Any] = {"Range": f"bytes=0-{_EXCERPT - 1}"} if kind == "object" else {}
        answer = session.ask("GetObject", Key=name, VersionId=id_, **asked)
        with answer["Body"] as body:
            content: bytes = body.read(_EXCERPT)
    except NoAnswer as error:
        if error.code in (_GONE if kind != "upload" else {"NoSuchUpload"}):
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


def too_many(entries: int) -> str:
    """Say that a target has more entries than one plan lists."""
    return f"{entries} versions are selected; split the job by prefix: one plan lists {MOST} at most"


def refuse_archive(target: Target) -> None:
    """Refuse a target that wants records kept.

    Raises:
        Refused: it has an archive.
    """
    if target.archive:
        raise Refused(
            "objects cannot be archived by this job yet; copy what must stay before, by other means"
        )
