"""Tell one bucket from another of its name: by where it is, when it was made and whose it is.

Rules kept: only questions are asked; what the server does not tell is written down as that, so that an
answer which comes later, or comes no more, makes another target of it.
"""

from collections.abc import Iterator
from typing import Any

from deleatur.api import Failed
from deleatur_plugins.s3.connecting import Denied, NoAnswer, Session

NOT_TOLD = "not told"
_PAGE = 1000  # buckets; Amazon lets accounts with many ask for pages only
_MOST = 1000  # pages: a million buckets, as many as one account may have (Amazon S3 quotas)
_NO_CONSTRAINT = "us-east-1"  # what an empty answer means (Amazon S3 API, GetBucketLocation)


def identity_of(session: Session) -> tuple[tuple[str, str], ...]:
    """Return what tells this bucket from every other.

    Raises:
        Refused: it is not there.
        Failed: the server's list of buckets has no end.
    """
    address = session.address
    return (
        ("server", address.server),
        ("region", session.region),
        ("bucket", address.bucket),
        ("location", _location(session)),
        ("created", _created(session)),
        ("owner", _owner(session)),
    )


def _location(session: Session) -> str:
    try:
        told = session.ask("GetBucketLocation")
    except (Denied, NoAnswer):
        return NOT_TOLD
    return str(told.get("LocationConstraint") or _NO_CONSTRAINT)


def _created(session: Session) -> str:
    """Return when the bucket was made, as the list of this user's buckets has it."""
    try:
        moments = [
            one["CreationDate"] for one in _buckets(session) if one.get("Name") == session.address.bucket
        ]
        return " ".join(moment.isoformat(timespec="milliseconds") for moment in moments) or NOT_TOLD
    except (Denied, NoAnswer, KeyError):
        return NOT_TOLD


def _buckets(session: Session) -> Iterator[dict[str, Any]]:
    said: dict[str, Any] = {}
    for _ in range(_MOST):
        answer = session.ask_server("ListBuckets", Prefix=session.address.bucket, MaxBuckets=_PAGE, **said)
        yield from answer.get("Buckets", ())
        if not answer.get("ContinuationToken"):
            return
        said = {"ContinuationToken": answer["ContinuationToken"]}
    raise Failed("the server's list of buckets does not end")


def _owner(session: Session) -> str:
    """Return whose the bucket is; the list of buckets would only say who asks."""
    try:
        told = session.ask("GetBucketAcl")
    except (Denied, NoAnswer):
        return NOT_TOLD
    return str(told.get("Owner", {}).get("ID") or NOT_TOLD)
