"""Read one version of an object, piece by piece, and what the server says of it beside its content.

Rule kept: each request names the version, and an answer of another length than was asked for is an error.
"""

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, cast
from urllib.parse import urlencode

from deleatur.api import Failed, Refused
from deleatur_plugins.s3.connecting import NoAnswer, Session
from deleatur_plugins.s3.listing import Entry

PIECE = 4 << 20  # bytes of one request
_GONE = frozenset({"NoSuchVersion", "NoSuchKey"})
_NOTHING_SHOWN = frozenset({"NoSuchKey", "404"})  # of HeadObject, whose answer has its status only
_ARCHIVED = "InvalidObjectState"
_KEPT = (  # of the answer about an object: given with its next version again
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires",
    "Metadata", "SSEKMSKeyId", "ServerSideEncryption", "StorageClass", "WebsiteRedirectLocation",
)  # fmt: skip


class _Version(io.RawIOBase):
    """The content of one version."""

    def __init__(self, session: Session, entry: Entry) -> None:
        self._session = session
        self._entry = entry
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._entry.size}[whence]
        self._place = max(base + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        size = min(len(view), self._entry.size - self._place)
        if size <= 0:
            return 0
        view[:size] = read_range(self._session, self._entry, self._place, size)
        self._place += size
        return size


def content_of(session: Session, entry: Entry) -> BinaryIO:
    """Return a version as a file that can be read from anywhere."""
    return cast(BinaryIO, io.BufferedReader(_Version(session, entry), PIECE))


def read_range(session: Session, entry: Entry, start: int, size: int) -> bytes:
    """Return some bytes of a version.

    Raises:
        Refused: it lies in an archive.
        Failed: the server answers with something else.
        NoAnswer: as the server says.
    """
    asked = f"bytes={start}-{start + size - 1}"
    try:
        answer = session.ask("GetObject", Key=entry.key, VersionId=entry.id, Range=asked)
    except NoAnswer as error:
        if error.code == _ARCHIVED:
            raise Refused("it lies in an archive class; have it restored first") from None
        raise
    with answer["Body"] as body:
        content: bytes = body.read()
    if len(content) != size:
        raise Failed("the server answers with another number of bytes than was asked for")
    return content


def is_there(session: Session, entry: Entry) -> bool:
    """Say whether a version can be asked for; False only when the server says that there is none."""
    try:  # not HeadObject: its answer has no words, so that a missing bucket would count too
        answer = session.ask("GetObject", Key=entry.key, VersionId=entry.id, Range="bytes=0-0")
    except NoAnswer as error:
        if error.code in _GONE:
            return False
        if error.code == _ARCHIVED:
            return True
        raise
    answer["Body"].close()
    return True


def current(session: Session, key: str) -> dict[str, Any]:
    """Return what the server says of the version that a plain request shows; {}: it shows none."""
    try:  # one that was written before the bucket kept versions may be shown without an id
        return {"VersionId": "null", **session.ask("HeadObject", Key=key)}
    except NoAnswer as error:
        if error.code in _NOTHING_SHOWN:
            return {}
        raise


def attributes(session: Session, key: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return what the next version of an object is given again: headers, metadata and tags."""
    found = {name: told[name] for name in _KEPT if told.get(name)}
    tags = session.ask("GetObjectTagging", Key=key, VersionId=told["VersionId"]).get("TagSet", ())
    if tags:
        found["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in tags])
    return found


def in_words(found: dict[str, Any]) -> Iterator[bytes]:
    """Yield attributes in a fixed order, to be compared."""
    for name in sorted(found):
        value = found[name]
        text = repr(sorted(value.items())) if isinstance(value, dict) else str(value)
        yield f"{name} {text}".encode("utf-8", "surrogatepass")
