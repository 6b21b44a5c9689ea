"""Try on a scratch bucket what this server does, before anything of the target is touched.

Rules kept: servers that only look like S3 delete another version than the one that was named, keep none
of those that they claim, or take the end of an upload for a deletion; such a server is refused by name,
and none of these calls has reached the target by then.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from deleatur.api import Failed, Refused
from deleatur_plugins.s3.connecting import UPLOAD_ENDED, NoAnswer, Session
from deleatur_plugins.s3.facts import Facts
from deleatur_plugins.s3.listing import Entry, listed

_LONGEST = 64  # bytes, more than the trial ever writes
_OTHER_CHECKSUM = frozenset(
    {"InvalidRequest", "MissingContentMD5", "InvalidDigest", "BadDigest", "InvalidArgument", "NotImplemented"}
)


def blocker(session: Session, facts: Facts) -> str:
    """Say why the scratch bucket will not do, "" when it will; only asks."""
    address = session.address
    if not address.scratch:
        return "name an empty bucket on the same server to try it in: scratch=BUCKET in the URL"
    if address.scratch == address.bucket:
        return "the scratch bucket is the target's own; name another one"
    try:
        status = str(session.ask("GetBucketVersioning", Bucket=address.scratch).get("Status", "never"))
    except (Refused, NoAnswer) as error:
        return f"the scratch bucket cannot be looked at ({error})"
    if status != facts.versioning:  # a bucket that keeps none any more is not as one that never did
        return f"the scratch bucket keeps versions: {status}, the target: {facts.versioning}; make them alike"
    if _locks_by_default(session):
        return "the scratch bucket locks what is written there; name one without a default retention"
    return ""


def _locks_by_default(session: Session) -> bool:
    try:
        answer = session.ask("GetObjectLockConfiguration", Bucket=session.address.scratch)
    except (Refused, NoAnswer):  # without locks, or without a word of them: what is written is seen to go
        return False
    return bool(answer.get("ObjectLockConfiguration", {}).get("Rule"))


class Canary:
    """One trial of a server, under a prefix of its own in the scratch bucket."""

    def __init__(self, session: Session, *, versions: bool) -> None:
        self._session = session
        self._versions = versions
        self._prefix = f"deleatur-canary-{secrets.token_hex(8)}/"
        # names that a server which encodes them once too often, or too seldom, would list as others
        self._one, self._two = f"{self._prefix}one+%2B ü", f"{self._prefix}two"
        self._three = f"{self._prefix}three"

    def sing(self) -> bool:
        """Try everything; say whether a listing in pages shows all that a listing in one shows.

        Raises:
            Refused: the server does something else than it says; the target was not touched.
        """
        with self._tidy():
            if self._versions:
                self._try_versions()
            else:
                self._try_single()
            for key in (self._two, self._three):  # with an object of that name, and without
                self._try_upload(key)
            return self._pages_are_whole()

    def _try_versions(self) -> None:
        ids = [self._put(self._one, text) for text in (b"1", b"2", b"3")]
        self._put(self._two, b"4")
        entries = self._entries()
        _require(
            len(entries) == 4 and {e.id for e in entries if e.key == self._one} == {*ids},
            "it says that it keeps versions, and does not list those that were written",
        )
        _require(
            entries == self._entries(page=1), "a listing in small pages shows other versions than a whole one"
        )
        left = [e for e in entries if e.name != (self._one, ids[0])]
        for _ in range(2):  # the second time there is no such version any more
            self._delete(self._one, ids[0])
            _require(self._entries() == left, "it deletes another version than the one that was named")
        _require(self._read(self._one, ids[0]) is None, "it shows a version that it has deleted")
        _require(self._read(self._one, ids[1]) == b"2", "it shows another version than was named")
        self._ask("DeleteObject", Key=self._one)
        markers = [e for e in self._entries() if e.kind == "marker"]
        _require(len(markers) == 1, "a deletion leaves no marker")
        self._delete(*markers[0].name)
        _require(self._entries() == left, "it does not take a marker away again")

    def _try_single(self) -> None:
        self._put(self._one, b"1")
        self._put(self._two, b"2")
        entries = self._entries()
        _require([e.key for e in entries] == [self._one, self._two], "it does not list what was written")
        _require(
            entries == self._entries(page=1), "a listing in small pages shows other objects than a whole one"
        )
        for _ in range(2):
            self._delete(*entries[0].name)
            _require(self._entries() == entries[1:], "it deletes another object than the one that was named")
        _require(self._read(*entries[0].name) is None, "it shows an object that it has deleted")

    def _try_upload(self, key: str) -> None:
        """See that the end of an upload ends the upload, and deletes no object of the same name."""
        before = self._entries()
        id_ = str(self._ask("CreateMultipartUpload", Key=key).get("UploadId", ""))
        uploads = [e for e in self._entries() if e.kind == "upload"]
        _require([e.name for e in uploads] == [(key, id_)], "it does not list an unfinished upload")
        self._ask("ListParts", Key=key, UploadId=id_)
        self._ask("AbortMultipartUpload", Key=key, UploadId=id_)
        _require(self._entries() == before, "the end of an upload changes something else, or ends nothing")
        try:
            self._ask("ListParts", Key=key, UploadId=id_)
        except NoAnswer as error:
            _require(error.code in UPLOAD_ENDED, f"asked for an upload that was ended it says {error.code}")
        else:
            raise _refusal("it shows an upload that was ended")

    def _pages_are_whole(self) -> bool:
        """Compare pages with a whole listing of names that go on as folders, and others with a smaller sign.

        SeaweedFS 4.48 walks folders, and calls the next page by a name: what comes after the folder and sorts
        before it is on no page.
        """
        for name in ("folder/1", "folder/2", "folder", "folder-1"):
            with suppress(NoAnswer):  # some take no object beside a folder of its name
                self._put(f"{self._prefix}{name}", b"5")
        for name in ("folder/1", "folder-1"):
            self._ask("CreateMultipartUpload", Key=f"{self._prefix}{name}")
        try:
            return self._entries() == self._entries(page=1)
        except Failed:  # the pages do not get on
            return False

    # --- the calls

    def _ask(self, question: str, **said: Any) -> dict[str, Any]:
        return self._session.ask(question, Bucket=self._session.address.scratch, **said)

    def _put(self, key: str, content: bytes) -> str:
        return str(self._ask("PutObject", Key=key, Body=content).get("VersionId", ""))

    def _entries(self, page: int = 0) -> list[Entry]:
        bucket = self._session.address.scratch
        return sorted({*listed(self._session, self._prefix, bucket=bucket, page=page)})

    def _delete(self, key: str, id_: str) -> None:
        """Delete one version in a batch; learn by the first one which checksum the server wants."""
        bucket = self._session.address.scratch
        try:
            rows = self._session.delete_batch(bucket, [(key, id_)])
        except NoAnswer as error:
            if error.code not in _OTHER_CHECKSUM:
                raise
            self._session.use_md5()
            rows = self._session.delete_batch(bucket, [(key, id_)])
        refused = [kind for kind, _ in rows if kind == "Error"]
        _require(not refused, "it refuses to delete what was just written")

    def _read(self, key: str, id_: str) -> bytes | None:
        try:
            answer = self._ask("GetObject", Key=key, VersionId=id_)
        except NoAnswer as error:
            if error.code in ("NoSuchVersion", "NoSuchKey"):
                return None
            raise _refusal(f"asked for a deleted version it says {error.code}") from None
        with answer["Body"] as body:
            return bytes(body.read(_LONGEST))  # a server may answer without an end

    @contextmanager
    def _tidy(self) -> Iterator[None]:
        """Take away what was written, also after a refusal; what the server keeps is empty of content."""
        try:
            yield
        finally:
            for entry in self._entries():
                if entry.kind == "upload":
                    self._ask("AbortMultipartUpload", Key=entry.key, UploadId=entry.id)
                else:
                    self._ask("DeleteObject", Key=entry.key, VersionId=entry.id)


def _require(so: bool, else_: str) -> None:
    if not so:
        raise _refusal(else_)


def _refusal(why: str) -> Refused:
    return Refused(f"the server failed its trial in the scratch bucket: {why}; the target was not touched")
