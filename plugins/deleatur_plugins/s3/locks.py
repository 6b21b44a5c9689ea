"""What keeps a version back: a legal hold, or a retention that has not ended. Nothing here releases one."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from deleatur_plugins.s3.connecting import WORKERS, NoAnswer, Session
from deleatur_plugins.s3.listing import Entry

HELD, RETAINED = "legal hold of the bucket", "retention"
BY_BUCKET = (HELD, RETAINED)  # how each of the reasons begins
GOVERNED = f"{RETAINED} (governance) until "  # the one mode that somebody with the right may bypass
_NONE = frozenset(  # the servers' words for "there is none"
    {
        "NoSuchObjectLockConfiguration",  # Amazon S3
        "NoSuchObjectLegalHold",  # SeaweedFS 4.48, of a hold
        "ObjectLockConfigurationNotFoundError",  # SeaweedFS 4.48, of a retention
        "NoSuchVersion",  # the version itself is gone
        "NoSuchKey",
    }
)


def kept_back(session: Session, entries: Iterable[Entry]) -> Iterator[tuple[Entry, str]]:
    """Yield each entry with what keeps it back, "" for nothing; a marker or an upload cannot be locked."""
    with ThreadPoolExecutor(WORKERS) as pool:
        yield from pool.map(lambda e: (e, _lock_of(session, e)), entries)


def _lock_of(session: Session, entry: Entry) -> str:
    if entry.kind not in ("object", "empty"):
        return ""
    if _ask(session, "GetObjectLegalHold", entry).get("LegalHold", {}).get("Status") == "ON":
        return HELD
    answer = _ask(session, "GetObjectRetention", entry)
    until = answer.get("Retention", {}).get("RetainUntilDate")
    if not isinstance(until, datetime) or until <= _now(answer):
        return ""
    mode = str(answer["Retention"].get("Mode", "of an unknown mode")).lower()
    return f"{RETAINED} ({mode}) until {until.astimezone(UTC):%Y-%m-%d}"


def _ask(session: Session, question: str, entry: Entry) -> dict[str, Any]:
    try:
        return session.ask(question, Key=entry.key, VersionId=entry.id)
    except NoAnswer as error:
        if error.code in _NONE:
            return {}
        raise


def _now(answer: dict[str, Any]) -> datetime:
    """Return the server's own time, which decides; ours where it does not say."""
    told = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(told) if told else datetime.now(UTC)
