"""Delete exactly the approved entries, and go on until fresh listings show none of them.

Rules kept: nothing is deleted while a listing is read, for servers skip what lies behind a mark that
is gone; what was not approved is never named in a deletion; no error of a single key is lost; a hold is
not released, a retention not shortened; what is said to be deleted counts only when it is not listed.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from deleatur.api import Cursor, Failed, Refused, Secrets, Transient
from deleatur_plugins.s3.connecting import WORKERS, Denied, NoAnswer, Session, is_busy, is_denial
from deleatur_plugins.s3.content import Content
from deleatur_plugins.s3.listing import Entry, listed

BATCH = 1000  # versions in one request; the most that the interface allows
LISTINGS = 3  # complete ones, one after the other, that show nothing of the plan
_ROUNDS = 6  # of deletions; a server that still lists what it says to have deleted does not mean it
# Characters that a document cannot hold (XML 1.0 §2.2): such a key is named in the request's own line.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff\r]")
_CODE = re.compile(r"[A-Za-z0-9.]{1,60}", re.ASCII)


def approved_of(content: Content, secrets: Secrets) -> list[Entry]:
    """Return those of the selected entries that the plan lists, as far as the engine says what it lists."""
    told = secrets.get("approved-units")
    if told is None:
        return content.chosen
    digests = {unit["digest"] for unit in json.loads(told)["units"]}
    return [entry for entry in content.chosen if content.unit(entry).digest in digests]


def delete(session: Session, entries: Sequence[Entry], done: int) -> Iterator[Cursor]:
    """Delete these entries; yield a cursor for each batch, and one when fresh listings show none.

    Raises:
        Refused: the server refuses some of them; the others are gone.
        Transient: it was too busy for some of them.
        Failed: it says that they are deleted, and lists them.
    """
    left, errors = list(entries), Counter[str]()
    for number in range(1, _ROUNDS + 1):
        errors, batch = Counter(), 0
        for some in _in_turn(session, left):
            for size, refused in _batches(session, some):
                errors += refused
                batch += 1
                done += size if number == 1 else 0
                yield Cursor(position=f"round {number} batch {batch}", done=done)
        for _ in range(LISTINGS):
            if left := _still_there(session, entries):
                break
        else:
            yield Cursor(position=f"listed {LISTINGS} times without any", done=done)
            return
        if errors and not any(map(is_busy, errors)):
            break
    raise _left_behind(left, errors)


def _in_turn(session: Session, entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield versions and uploads, and then the markers of keys of which none of these is listed any more.

    A marker that goes before its version would let a plain request show what was deleted long ago.
    """
    markers = [entry for entry in entries if entry.kind == "marker"]
    others = [entry for entry in entries if entry.kind != "marker"]
    yield others
    if markers:
        shown = {entry.key for entry in _still_there(session, others)} if others else set()
        yield [entry for entry in markers if entry.key not in shown]


def _batches(session: Session, entries: Sequence[Entry]) -> Iterator[tuple[int, Counter[str]]]:
    """Delete in batches, some at a time; yield bytes and errors of each in order."""
    batches = [entries[first : first + BATCH] for first in range(0, len(entries), BATCH)]
    with ThreadPoolExecutor(WORKERS) as pool:
        for first in range(0, len(batches), WORKERS):
            some = batches[first : first + WORKERS]
            for batch, errors in zip(some, pool.map(lambda b: _delete(session, b), some), strict=True):
                yield sum(entry.size for entry in batch), errors


def _delete(session: Session, batch: Sequence[Entry]) -> Counter[str]:
    """Delete one batch; return how often the server refused a key, by its words for why."""
    together: list[Entry] = []
    errors = Counter[str]()
    for entry in batch:
        if entry.kind == "upload" or _NO_TEXT.search(entry.key):
            errors += _delete_alone(session, entry)
        else:
            together.append(entry)
    if not together:
        return errors
    named = [{"Key": entry.key, "VersionId": entry.id} for entry in together]
    answer = session.ask("DeleteObjects", Delete={"Objects": named, "Quiet": False})
    gone, refused = answer.get("Deleted", ()), answer.get("Errors", ())
    known = {entry.id for entry in together}
    if any(one.get("DeleteMarker") and one.get("DeleteMarkerVersionId") not in known for one in gone):
        raise Failed("the server adds markers where it was asked to delete versions; nothing more was sent")
    errors += Counter(_plain(str(one.get("Code", ""))) for one in refused)
    if (silent := len(named) - len(gone) - len(refused)) > 0:
        errors["NoWordOfIt"] += silent
    return errors


def _delete_alone(session: Session, entry: Entry) -> Counter[str]:
    try:
        if entry.kind == "upload":
            session.ask("AbortMultipartUpload", Key=entry.key, UploadId=entry.id)
        else:
            session.ask("DeleteObject", Key=entry.key, VersionId=entry.id)
    except Denied:
        return Counter({"AccessDenied": 1})
    except NoAnswer as error:
        return Counter({} if error.code == "NoSuchUpload" else {_plain(error.code): 1})
    return Counter()


def _still_there(session: Session, entries: Sequence[Entry]) -> list[Entry]:
    """List afresh; return what of these is there, whatever else its entry says by now."""
    now = listed(session, session.address.prefix)
    whole, names = set(now), {(entry.kind == "upload", *entry.name) for entry in now}
    left = [entry for entry in entries if (entry.kind == "upload", *entry.name) in names]
    # in a bucket without versions another object may lie under the name by now: it was not approved
    return [entry for entry in left if entry.id != "null" or entry in whole]


def _left_behind(left: Sequence[Entry], errors: Counter[str]) -> Exception:
    told = ", ".join(f"{code} {count}" for code, count in sorted(errors.items()))
    count = f"{len(left)} of the approved versions are still there"
    if not errors:
        return Failed(f"{count} although the server says that it deleted them; ask who runs it")
    if any(map(is_busy, errors)):
        return Transient(f"{count}: the server is too busy ({told}); resume later")
    if any(map(is_denial, errors)):
        return Refused(f"{count}: it refuses them ({told}): a lock, or too few rights; the others are gone")
    return Failed(f"{count}: it does not delete them ({told}); the others are gone")


def _plain(code: str) -> str:
    return code if _CODE.fullmatch(code) else "unknown"
