"""Write an object anew without the rows that go, and look that it holds exactly what must stay.

Rules kept: what must stay is read back from the server before anything goes; a new version counts only
where nobody else wrote one meanwhile, by the server's list; else ours is taken away again.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from deleatur.api import Failed, Refused, Transient
from deleatur_plugins.s3.connecting import NoAnswer, Session
from deleatur_plugins.s3.inside.content import Chosen, Content
from deleatur_plugins.s3.inside.reading import attributes, content_of, current, in_words
from deleatur_plugins.s3.inside.rules import GOES
from deleatur_plugins.s3.listing import Entry, listed

LARGEST = 5 << 30  # bytes of one request that writes an object (Amazon S3 quotas)
_CONFLICT = "somebody else wrote an object of the plan meanwhile; plan again"
_END = object()


def replace(session: Session, content: Content, chosen: Chosen) -> None:
    """Put a version in front of the one that goes, or take the one for it that an earlier run has put.

    Raises:
        Refused: another version came meanwhile, or the object is too large.
        Failed: what the server shows is not what must stay.
    """
    one = chosen.object
    # where it is not the current one any more, an earlier run was stopped after it wrote
    written = _write(session, content, chosen) if chosen.is_latest else str(one.told.get("VersionId", ""))
    newer = [e for e in _of_key(session, one.key) if e.id != chosen.entry.id and _after(e, chosen)]
    shown = current(session, one.key)
    ours = [entry for entry in newer if entry.id == written]
    if len(ours) != 1 or len(newer) != 1 or shown.get("VersionId") != written:
        if chosen.is_latest and written != chosen.entry.id:
            session.ask("DeleteObject", Key=one.key, VersionId=written)
        raise Refused(_CONFLICT)
    if not _is_what_stays(session, content, chosen, ours[0], shown):
        if chosen.is_latest:
            session.ask("DeleteObject", Key=one.key, VersionId=written)
            raise Failed("the object was not written as it must stay; the old version is current again")
        raise Refused(_CONFLICT)


def _after(entry: Entry, chosen: Chosen) -> bool:
    """Say whether an entry is none of those that were there when the object was looked at."""
    known = {e.id for e in (*chosen.object.versions, *chosen.object.markers)}
    if chosen.is_latest:
        return entry.id not in known
    shown = chosen.object.told.get("VersionId")  # may have the same second as the one before it
    return entry.id == shown or entry.modified > chosen.entry.modified


def _of_key(session: Session, key: str) -> list[Entry]:
    return [e for e in listed(session, key) if e.key == key and e.kind != "upload"]


def _write(session: Session, content: Content, chosen: Chosen) -> str:
    one = chosen.object
    body = Body(session, content, chosen)
    size = body.measure()
    if size > LARGEST:
        raise Refused(f"an object would have more than {LARGEST >> 30} GiB, the most that one request writes")
    kept = attributes(session, one.key, one.told)
    try:
        answer = session.ask(
            "PutObject", Key=one.key, Body=body, ContentLength=size, IfMatch=chosen.entry.etag, **kept
        )
    except NoAnswer as error:
        if error.code in ("PreconditionFailed", "412", "NoSuchKey"):
            raise Refused(_CONFLICT) from None
        if error.code in ("ConditionalRequestConflict", "409"):
            raise Transient("somebody else writes an object of the plan just now; try again") from None
        raise
    written = str(answer.get("VersionId", ""))
    if not written or written == chosen.entry.id:
        raise Failed("the server does not say under which version it wrote an object")
    return written


def _is_what_stays(
    session: Session, content: Content, chosen: Chosen, new: Entry, shown: dict[str, Any]
) -> bool:
    one = chosen.object
    before = (row.raw for row in content.rows(one, chosen.entry) if row.verdict != GOES)
    try:
        after = (row.raw if row.verdict != GOES else b"" for row in content.rows(one, new))
        same = all(here == there for here, there in zip_longest(before, after, fillvalue=_END))
    except Refused:
        return False
    old = session.ask("HeadObject", Key=one.key, VersionId=chosen.entry.id)
    kept = [list(in_words(attributes(session, one.key, told))) for told in (old, shown)]
    return same and kept[0] == kept[1]


class Body:
    """The bytes of a new object as a request reads them: made again each time it begins anew."""

    def __init__(self, session: Session, content: Content, chosen: Chosen) -> None:
        self._session = session
        self._content = content
        self._chosen = chosen
        self._size = 0
        self.seek(0)

    def measure(self) -> int:
        """Return how many bytes there are."""
        self._size = sum(map(len, self._chunks()))
        return self._size

    def _chunks(self) -> Iterator[bytes]:
        one = self._chosen.object
        return one.form.rewritten(content_of(self._session, self._chosen.entry), one.rule)

    def __len__(self) -> int:
        return self._size

    def seek(self, offset: int, whence: int = 0) -> int:
        """Begin anew; the client asks for no other place but the end."""
        if whence == 2:
            self._place = self._size
            return self._place
        self._source = self._chunks()
        self._rest, self._place = b"", 0
        while self._place < offset and self.read(min(offset - self._place, 1 << 16)):
            pass
        return self._place

    def tell(self) -> int:
        """Return how many bytes were read."""
        return self._place

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        parts, wanted = [], size
        while wanted != 0:
            if not self._rest:
                self._rest = next(self._source, b"")
                if not self._rest:
                    break
            taken = self._rest if wanted < 0 else self._rest[:wanted]
            self._rest = self._rest[len(taken) :]
            wanted = wanted if wanted < 0 else wanted - len(taken)
            parts.append(taken)
        out = b"".join(parts)
        self._place += len(out)
        return out
