"""Delete exactly the approved entries, and go on until fresh listings show none of them.

Rules kept: nothing is deleted while a listing is read, for servers skip what lies behind a mark that
is gone; what was not approved is never named in a deletion; no error of a single key is lost; a hold is
not released, a retention not shortened, and bypassed only where the plan lists the version as governed;
what is said to be deleted counts only when it is not listed.
"""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice

from deleatur.api import Cursor, Failed, Refused, Transient
from deleatur_plugins.s3.connecting import (
    UPLOAD_ENDED,
    WORKERS,
    Denied,
    NoAnswer,
    Session,
    is_busy,
    is_denial,
)
from deleatur_plugins.s3.listing import Entry, listed
from deleatur_plugins.s3.spool import Spool

BATCH = 1000  # versions in one request; the most that the interface allows
LISTINGS = 3  # complete ones, one after the other, that show nothing of the plan
_ROUNDS = 6  # of deletions; a server that still lists what it says to have deleted does not mean it
_BYPASS: Mapping[str, bool] = {"BypassGovernanceRetention": True}  # of versions whose approval says so
# Characters that a document cannot hold (XML 1.0 §2.2): such a key is named in the request's own line.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff\r]")
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}", re.ASCII)


def delete(session: Session, others: Spool, markers: Spool, done: int) -> Iterator[Cursor]:
    """Delete these entries; yield a cursor for each batch, and one when fresh listings show none.

    Raises:
        Refused: the server refuses some of them; the others are gone.
        Transient: it was too busy for some of them.
        Failed: it says that they are deleted, and lists them.
    """
    with ExitStack() as spools:
        for number in range(1, _ROUNDS + 1):
            errors = Counter[str]()
            for batch, (size, refused) in enumerate(_in_turn(session, others, markers), 1):
                errors += refused
                done += size if number == 1 else 0
                yield Cursor(position=f"round {number} batch {batch}", done=done)
            for _ in range(LISTINGS):
                left = [*map(spools.enter_context, _still_there(session, others, markers))]
                if any(map(len, left)):
                    others, markers = left
                    break
            else:
                yield Cursor(position=f"listed {LISTINGS} times without any", done=done)
                return
            if errors and not any(map(is_busy, errors)):
                break
        raise _left_behind(len(others) + len(markers), errors)


def _in_turn(session: Session, others: Spool, markers: Spool) -> Iterator[tuple[int, Counter[str]]]:
    """Delete versions and uploads, and then the markers of keys of which none of these is listed any more.

    A marker that goes before its version would let a plain request show what was deleted long ago.
    """
    yield from _batches(session, others)
    if len(markers):
        (left,) = _still_there(session, others) if len(others) else (Spool(),)
        with left:
            shown = {entry.key for entry in left}
        yield from _batches(session, (entry for entry in markers if entry.key not in shown))


def _batches(session: Session, entries: Iterable[Entry]) -> Iterator[tuple[int, Counter[str]]]:
    """Delete in batches, some at a time; yield bytes and errors of each in order."""
    left = iter(entries)
    waiting = deque[tuple[int, Future[Counter[str]]]]()
    with ThreadPoolExecutor(WORKERS) as pool, _cancelled(waiting):
        while batch := list(islice(left, min(BATCH, session.batch_size))):
            waiting.append((sum(entry.size for entry in batch), pool.submit(_delete, session, batch)))
            while len(waiting) > WORKERS:
                size, one = waiting.popleft()
                yield size, one.result()
        for size, one in waiting:
            yield size, one.result()


@contextmanager
def _cancelled(waiting: deque[tuple[int, Future[Counter[str]]]]) -> Iterator[None]:
    """Send nothing more of what waits when the work ends early."""
    try:
        yield
    finally:
        for _, one in waiting:
            one.cancel()


def _delete(session: Session, batch: Sequence[Entry]) -> Counter[str]:
    """Delete one batch; return how often the server refused a key, by its words for why."""
    free: list[Entry] = []
    governed: list[Entry] = []
    errors = Counter[str]()
    for entry in batch:
        if entry.kind == "upload" or _NO_TEXT.search(entry.key):
            errors += _delete_alone(session, entry)
        else:
            (governed if entry.kind == "governed" else free).append(entry)
    return errors + _delete_together(session, free, {}) + _delete_together(session, governed, _BYPASS)


def _delete_together(session: Session, together: Sequence[Entry], how: Mapping[str, bool]) -> Counter[str]:
    errors = Counter[str]()
    if not together:
        return errors
    rows = session.delete_batch(session.address.bucket, [entry.name for entry in together], **how)
    known = {entry.id for entry in together}
    told = Counter(kind for kind, _ in rows)
    for kind, row in rows:
        if row.get("DeleteMarker") == "true" and row.get("DeleteMarkerVersionId", "") not in known:
            raise Failed(
                "the server adds markers where it was asked to delete versions; nothing more was sent"
            )
        if kind == "Error":
            errors[_plain(row.get("Code", ""))] += 1
    if (silent := len(together) - told["Deleted"] - told["Error"]) > 0:
        errors["NoWordOfIt"] += silent
    return errors


def _delete_alone(session: Session, entry: Entry) -> Counter[str]:
    try:
        if entry.kind == "upload":
            session.ask("AbortMultipartUpload", Key=entry.key, UploadId=entry.id)
        else:
            how = _BYPASS if entry.kind == "governed" else {}
            session.ask("DeleteObject", Key=entry.key, VersionId=entry.id, **how)
    except Denied:
        return Counter({"AccessDenied": 1})
    except NoAnswer as error:
        return Counter({} if error.code in UPLOAD_ENDED else {_plain(error.code): 1})
    return Counter()


def _still_there(session: Session, *spools: Spool) -> list[Spool]:
    """List afresh; return what of each spool is there, whatever else its entry says by now.

    Of the listing a number for each entry is held (64 bits, by a key of this process): one that is alike by
    chance is sent once more, as it was approved.
    """
    now = {_number(entry) for entry in listed(session, session.address.prefix)}
    return [Spool.of(entry for entry in (spool if now else ()) if _number(entry) in now) for spool in spools]


def _number(entry: Entry) -> int:
    # in a bucket without versions another object may lie under the name by now: it was not approved
    return (
        hash(entry.as_listed()) if entry.id == "null" else hash((entry.kind == "upload", entry.key, entry.id))
    )


def _left_behind(left: int, errors: Counter[str]) -> Exception:
    told = ", ".join(f"{code} {count}" for code, count in sorted(errors.items()))
    count = f"{left} of the approved versions are still there"
    if not errors:
        return Failed(f"{count} although the server says that it deleted them; ask who runs it")
    if any(map(is_busy, errors)):
        return Transient(f"{count}: the server is too busy ({told}); resume later")
    if any(map(is_denial, errors)):
        return Refused(f"{count}: it refuses them ({told}): a lock, or too few rights; the others are gone")
    return Failed(f"{count}: it does not delete them ({told}); the others are gone")


def _plain(code: str) -> str:
    return code if _CODE.fullmatch(code) else "unknown"
