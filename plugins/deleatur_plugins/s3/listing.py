"""List all versions, markers and unfinished uploads under a prefix, and believe no page too much.

Rules kept: a listing goes on until the server says that it is complete; one that does not get on is an
error; what a page says twice counts once; what lies outside of the prefix is not of the listing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import unquote_plus

from deleatur.api import Failed
from deleatur_plugins.s3.connecting import Session

PAGE = 1000  # entries; the most that the interface allows
Kind = Literal["object", "empty", "marker", "upload"]


@dataclass(frozen=True, order=True)
class Entry:
    """One version, delete marker or unfinished upload."""

    key: str
    id: str  # of the version or the upload; "null" in a bucket without versions
    kind: Kind
    etag: str
    size: int  # bytes
    modified: str  # RFC 3339, UTC; of an upload, when it began

    @property
    def name(self) -> tuple[str, str]:
        """What a deletion names."""
        return self.key, self.id

    def parts(self) -> tuple[bytes, ...]:
        """Return what makes it this one and no other."""
        fields = (self.key, self.id, self.kind, self.etag, str(self.size), self.modified)
        return tuple(field.encode("utf-8", "surrogatepass") for field in fields)


def listed(session: Session, prefix: str, *, bucket: str = "", page: int = 0) -> list[Entry]:
    """Return everything under a prefix, in order: versions, markers and uploads."""
    where = bucket or session.address.bucket
    size = page or PAGE
    found = {*_versions(session, where, prefix, size), *_uploads(session, where, prefix, size)}
    return sorted(found)


def lists_marker(session: Session, key: str, id_: str) -> bool:
    """Say whether a delete marker is listed; servers differ in what they answer when one is asked for."""
    found = _versions(session, session.address.bucket, key, PAGE)
    return any((entry.key, entry.id, entry.kind) == (key, id_, "marker") for entry in found)


def _versions(session: Session, bucket: str, prefix: str, page: int) -> Iterator[Entry]:
    marks: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    while True:
        answer = session.ask("ListObjectVersions", Bucket=bucket, Prefix=prefix, MaxKeys=page, **marks)
        for version in answer.get("Versions", ()):
            size = int(version.get("Size", 0))
            kind: Kind = "object" if size else "empty"
            yield _entry(version, prefix, "VersionId", kind, version.get("ETag", ""), size)
        for marker in answer.get("DeleteMarkers", ()):
            yield _entry(marker, prefix, "VersionId", "marker", "", 0)
        if not answer.get("IsTruncated"):
            return
        marks = _onward(answer, seen, KeyMarker="NextKeyMarker", VersionIdMarker="NextVersionIdMarker")


def _uploads(session: Session, bucket: str, prefix: str, page: int) -> Iterator[Entry]:
    marks: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    while True:
        answer = session.ask(
            "ListMultipartUploads", Bucket=bucket, Prefix=prefix, MaxUploads=page, EncodingType="url", **marks
        )
        encoded = answer.get("EncodingType") == "url"
        for upload in answer.get("Uploads", ()):
            key = unquote_plus(upload["Key"]) if encoded else upload["Key"]
            known = {**upload, "Key": key, "LastModified": upload.get("Initiated")}
            yield _entry(known, prefix, "UploadId", "upload", "", 0)
        if not answer.get("IsTruncated"):
            return
        marks = _onward(answer, seen, KeyMarker="NextKeyMarker", UploadIdMarker="NextUploadIdMarker")
        if encoded:
            marks["KeyMarker"] = unquote_plus(marks["KeyMarker"])


def _entry(told: dict[str, Any], prefix: str, id_: str, kind: Kind, etag: str, size: int) -> Entry:
    """Return one entry as the server tells it.

    Raises:
        Failed: it was not asked for, or lacks what tells it from others.
    """
    key, named, moment = told.get("Key", ""), told.get(id_, ""), told.get("LastModified")
    if not key.startswith(prefix):
        raise Failed("the server lists keys that lie outside of the prefix; nothing of it is believed")
    if not named or not isinstance(moment, datetime):
        raise Failed("the server lists entries without an id or a time; they cannot be told from others")
    modified = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return Entry(key, named, kind, etag, size, modified)


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
