"""What every statement about something attested needs: its files, its days, its keys. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from deleatur.documents.attested import Entry
from deleatur.documents.certificate import Digest, Key, Subject
from deleatur.documents.plan import PublicKey
from deleatur.errors import Refused
from deleatur.judge.fingerprint import key_id
from deleatur.judge.periods import add_years


@dataclass(frozen=True)
class FileFact:
    """A file by what is in it."""

    sha256: str  # hex
    size: int  # bytes


def subjects(files: Mapping[str, FileFact]) -> tuple[Subject, ...]:
    """Return the files that a statement rests on, as its subjects."""
    return tuple(Subject(name=n, digest=Digest(sha256=f.sha256)) for n, f in sorted(files.items()))


def entry_of(about: str, entered_at: str) -> Entry:
    """Return the day that a record is about, when it was entered, and how many days later.

    Raises:
        Refused: it was entered before it happened, which nobody can attest.
    """
    if entered_at < about:
        raise Refused(
            f"it is about {about[:10]} and entered on {entered_at[:10]}: nobody attests what will be"
        )
    days = (date.fromisoformat(entered_at[:10]) - date.fromisoformat(about[:10])).days
    return Entry(about=about[:10], entered_at=entered_at, days_late=days)


def kept_until(about: str, years: int) -> str:
    """Return the last day on which a record must still be there.

    Raises:
        Refused: the calendar does not go on so long.
    """
    try:
        return add_years(date.fromisoformat(about[:10]), years).isoformat()
    except OverflowError:
        raise Refused(f"{years} years after {about[:4]} no calendar goes on") from None


def known_key(key: PublicKey) -> Key:
    """Return a key as statements name it.

    Raises:
        Invalid: it is none that we use.
    """
    return Key(name=key.name, key_id=key_id(key), spki=key.spki)
