"""The Ledger of a notice: who was told and when, in `ledger.jsonl` (docs/spec/ledger.md).

Subjects stand in it by keyed digest only. One entry a line, hash-chained as the journal is; the
first entry names a keyed digest of the notice's key, so no ledger can be carried to another notice.
"""

from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.codec import MAX_LINE, decode_canonical, encode_json
from deleatur.documents.place import Count, Digest, Frozen, Instant

SCHEMA = "deleatur/ledger/v1"
MOST_SUBJECTS = 5000  # in one entry: a line stays far below 1 MiB

Channel = Literal["email", "phone", "postal", "app"]
CHANNELS: tuple[Channel, ...] = ("email", "phone", "postal", "app")  # in the order of trying
Language = Literal["zh", "en", "de"]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
Subjects = Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=MOST_SUBJECTS)]  # keyed digests
Status = Annotated[str, Meta(pattern=r"^([245]\.[0-9]{1,3}\.[0-9]{1,3})?\Z")]  # RFC 3463; "": not said


class Happened(Frozen, frozen=True, tag_field="kind"):
    """Base of all events of a ledger; the tag is the class name in lower case."""


class LetterDigest(Frozen, frozen=True):
    """What was written in one language."""

    language: Language
    digest: Digest  # sha256 hex of the letter with no name in it


class Opened(Happened, frozen=True, tag="opened"):
    """A command began to write letters, or to read what came back."""

    schema: Literal["deleatur/ledger/v1"]
    cut_off: Day  # the last day to write back, as the letters say
    letters: tuple[LetterDigest, ...]
    boot: Digest  # sha256 hex of the kernel's boot id
    uptime: Count  # seconds since that boot; no change of the clock moves it


class Handing(Happened, frozen=True, tag="handing"):
    """Letters are about to leave. Written before the first byte: nobody is written to twice."""

    channel: Channel
    language: Language
    subjects: Subjects


class Told(Happened, frozen=True, tag="told"):
    """The mail server took the letters over."""

    channel: Channel
    subjects: Subjects


class Deferred(Happened, frozen=True, tag="deferred"):
    """The letters did not leave, and may be tried again."""

    channel: Channel
    subjects: Subjects


class Delivered(Happened, frozen=True, tag="delivered"):
    """An imported log says that the letters arrived."""

    channel: Channel
    subjects: Subjects


class Undelivered(Happened, frozen=True, tag="undelivered"):
    """The letters did not arrive: the server refused them, or an imported log says so."""

    channel: Channel
    status: Status
    subjects: Subjects


class Replied(Happened, frozen=True, tag="replied"):
    """The subjects wrote back: what is theirs is held."""

    subjects: Subjects


class Settled(Happened, frozen=True, tag="settled"):
    """The matter of these subjects is settled: what is theirs is held no longer."""

    subjects: Subjects


class Sealed(Happened, frozen=True, tag="sealed"):
    """The end of a command: a signature over the line before, and so over all of the chain."""

    spki: str  # base64 of the signer's SubjectPublicKeyInfo
    signature: str  # base64, over `sealed_text(previous)`


AnyHappened = Opened | Handing | Told | Deferred | Delivered | Undelivered | Replied | Settled | Sealed


class LedgerEntry(Frozen, frozen=True):
    """One line of the ledger."""

    n: Count  # 0, 1, 2, … without gaps
    at: Instant  # never before the entry above
    previous: Digest  # sha256 hex of the line before; for n = 0 the keyed digest of ANCHOR
    event: AnyHappened


ANCHOR = b"ledger of a notice, deleatur/ledger/v1"


def ledger_line(entry: LedgerEntry) -> bytes:
    """Return the one line, newline included, in which `entry` is written."""
    return encode_json(entry)


def decode_ledger_entry(line: bytes) -> LedgerEntry:
    """Decode one line of a ledger, newline included.

    Raises:
        Malformed: not an entry, or not written the canonical way.
    """
    return decode_canonical(line, LedgerEntry, limit=MAX_LINE)


def sealed_text(previous: str) -> bytes:
    """Return what a seal signs: the digest of the line before it, and what that is a line of."""
    return b"seal of a ledger, deleatur/ledger/v1\n" + previous.encode() + b"\n"
