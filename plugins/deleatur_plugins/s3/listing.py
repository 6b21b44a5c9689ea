"""List all versions, markers and unfinished uploads under a prefix, and believe no page too much.

Rules kept: a listing goes on until the server says that it is complete; one that does not get on is an
error; what a page, or the next one, says twice counts once; what lies outside of the prefix is not of the
listing; no more than two pages are in memory.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote_plus

from deleatur.api import Failed, Refused
from deleatur_plugins.s3.answers import Row
from deleatur_plugins.s3.connecting import NoAnswer, Session

PAGE = 1000  # entries; the most that the interface allows
_LENGTH = len("2026-11-23T00:00:00.000Z")
_DIGITS = 18  # of a size; the largest object of Amazon S3 needs fourteen
Kind = Literal["object", "empty", "marker", "upload", "governed"]


class Entry(NamedTuple):
    """One version, delete marker or unfinished upload."""

    key: str
    id: str  # of the version or the upload; "null" in a bucket without versions
    kind: Kind
    etag: str
    size: int  # bytes
    modified: str  # RFC 3339, UTC; of an upload, when it began
    until: str = ""  # of a governed version, when its retention ends, as the approvers saw it

    @property
    def name(self) -> tuple[str, str]:
        """What a deletion names."""
        return self.key, self.id

    def governed(self, until: str) -> "Entry":
        """Return it as one whose retention, in governance mode, is bypassed by an approval."""
        return self._replace(kind="governed", until=until)

    def as_listed(self) -> "Entry":
        """Return it as a listing has it, which says nothing of retentions."""
        kind: Kind = "object" if self.size else "empty"
        return self._replace(kind=kind, until="") if self.kind == "governed" else self

    def parts(self) -> tuple[bytes, ...]:
        """Return what makes it this one and no other."""
        until = (self.until,) if self.until else ()
        fields = (self.key, self.id, self.kind, self.etag, str(self.size), self.modified, *until)
        return tuple(field.encode("utf-8", "surrogatepass") for field in fields)


def listed(session: Session, prefix: str, *, bucket: str = "", page: int = 0) -> Iterator[Entry]:
    """Yield everything under a prefix: versions and markers, and then uploads, as the server lists them."""
    where = bucket or session.address.bucket
    size = page or PAGE
    last: set[Entry] = set()
    for entries in chain(_versions(session, where, prefix, size), _uploads(session, where, prefix, size)):
        now = dict.fromkeys(entries)
        yield from (entry for entry in now if entry not in last)
        last = set(now)


def refuse_lost(count: int, *, stays: bool) -> None:
    """Refuse what cannot be seen on a server whose pages leave entries out.

    Where nothing stays, what was left out shows when all else is gone, and nothing is certified. One page of
    each kind leaves nothing out.

    Raises:
        Refused: it took more than one page to list so many, and others may hide among what stays.
    """
    if stays and count >= PAGE:
        raise Refused(
            "this server's listings leave out entries where they take more than one page, and nobody would "
            f"see them among what stays; name prefixes with fewer than {PAGE} versions, or erase a whole one"
        )


def lists_marker(session: Session, key: str, id_: str) -> bool:
    """Say whether a delete marker is listed; servers differ in what they answer when one is asked for."""
    found = chain.from_iterable(_versions(session, session.address.bucket, key, PAGE))
    return any((entry.key, entry.id, entry.kind) == (key, id_, "marker") for entry in found)


def _versions(session: Session, bucket: str, prefix: str, page: int) -> Iterator[list[Entry]]:
    marks: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    while True:
        answer = session.ask("ListObjectVersions", Bucket=bucket, Prefix=prefix, MaxKeys=page, **marks)
        said = answer["said"]
        plain = unquote_plus if said.get("EncodingType") == "url" else str
        entries = list(_of_rows(answer["rows"], prefix, plain))
        yield entries
        if said.get("IsTruncated") != "true":
            return
        marks = _onward(said, seen, KeyMarker="NextKeyMarker", VersionIdMarker="NextVersionIdMarker")
        if "KeyMarker" in marks:
            marks["KeyMarker"] = _marker(marks["KeyMarker"], entries, plain)


def _of_rows(rows: list[Row], prefix: str, plain: Callable[[str], str]) -> Iterator[Entry]:
    """Return the versions and markers of one page. Raises as `_checked`."""
    for element, told in rows:
        if element not in ("Version", "DeleteMarker"):
            continue
        key = told.get("Key", "")
        key = plain(key) if "%" in key or "+" in key else key
        id_, moment = told.get("VersionId", ""), _moment(told.get("LastModified", ""))
        if element == "DeleteMarker":
            yield _checked(Entry(key, id_, "marker", "", 0, moment), prefix)
            continue
        size = _size(told.get("Size", ""))
        kind: Kind = "object" if size else "empty"
        yield _checked(Entry(key, id_, kind, told.get("ETag", ""), size, moment), prefix)


def _size(told: str) -> int:
    if not (told.isascii() and told.isdigit()) or len(told) > _DIGITS:
        raise NoAnswer("ListObjectVersions", "SizeNotReadable")
    return int(told)


def _moment(told: str) -> str:
    """Return a moment as entries have it.

    Raises:
        NoAnswer: it is none, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise NoAnswer("ListObjectVersions", "TimeNotReadable") from None
    if len(told) == _LENGTH and (told[7], told[19], told[-1]) == ("-", ".", "Z"):  # as most servers write it
        return f"{told[:-1]}+00:00"
    if moment.tzinfo is None:
        raise NoAnswer("ListObjectVersions", "TimeNotReadable")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _uploads(session: Session, bucket: str, prefix: str, page: int) -> Iterator[list[Entry]]:
    marks: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    while True:
        answer = session.ask(
            "ListMultipartUploads", Bucket=bucket, Prefix=prefix, MaxUploads=page, EncodingType="url", **marks
        )
        encoded = answer.get("EncodingType") == "url"
        entries: list[Entry] = []
        for upload in answer.get("Uploads", ()):
            key = unquote_plus(upload.get("Key", "")) if encoded else upload.get("Key", "")
            begun = upload.get("Initiated")
            moment = (
                begun.astimezone(UTC).isoformat(timespec="milliseconds")
                if isinstance(begun, datetime)
                else ""
            )
            entries.append(_checked(Entry(key, upload.get("UploadId", ""), "upload", "", 0, moment), prefix))
        yield entries
        if not answer.get("IsTruncated"):
            return
        marks = _onward(answer, seen, KeyMarker="NextKeyMarker", UploadIdMarker="NextUploadIdMarker")
        if encoded and "KeyMarker" in marks:
            marks["KeyMarker"] = _marker(marks["KeyMarker"], entries, unquote_plus)


def _marker(told: str, entries: list[Entry], plain: Callable[[str], str]) -> str:
    """Return the key after which the next page begins.

    Ceph's gateway (16.2.15) encodes the keys of a page and not its marker: one that is the page's last key as
    it stands is not decoded once more.
    """
    return told if entries and told == entries[-1].key else plain(told)


def _checked(entry: Entry, prefix: str) -> Entry:
    """Return an entry that can be told from others.

    Raises:
        Failed: it was not asked for, or lacks what tells it from others.
    """
    if not entry.key.startswith(prefix):
        raise Failed("the server lists keys that lie outside of the prefix; nothing of it is believed")
    if not entry.id or not entry.modified:
        raise Failed("the server lists entries without an id or a time; they cannot be told from others")
    return entry


def _onward(answer: dict[str, Any], seen: set[tuple[str, ...]], **names: str) -> dict[str, str]:
    """Return where the next page begins, and note it in `seen`.

    Raises:
        Failed: it begins where an earlier one did, or nowhere: the listing would never be complete.
    """
    onward = {mark: str(answer[name]) for mark, name in names.items() if answer.get(name)}
    place = tuple(onward.get(mark, "") for mark in names)
    if not onward or place in seen:
        raise Failed("the server's listing does not get on, and says that it is not complete")
    seen.add(place)
    return onward
