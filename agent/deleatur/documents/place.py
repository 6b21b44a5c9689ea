"""The nouns that every document and every backend share: where things are, never what they say."""

import unicodedata
from typing import Literal

import msgspec


class Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all structures of the documents: immutable, and no key that we do not know."""


class Identity(Frozen, frozen=True):
    """What tells one target from every other, for ever: a kind and its fields in fixed order."""

    kind: str
    fields: tuple[tuple[str, str], ...]

    def text(self) -> str:
        """Return the identity text that is a subject of the certificate (docs/spec/certificate.md).

        One `name value` line each, LF, UTF-8 in NFC, no quoting: a person can type it, and
        stock `sha256sum` can digest it. Control characters are shown as `\\xNN` so that a file
        name cannot add a line.
        """
        lines = [
            "erasure-target/v1",
            f"kind {self.kind}",
            *(f"{k} {_plain(v)}" for k, v in self.fields),
        ]
        return unicodedata.normalize("NFC", "\n".join(lines) + "\n")


def _plain(value: str) -> str:
    """Escape what could forge a line or hide a character; keep letters of every script."""
    return "".join(
        c
        if c.isprintable() and c != "\\"
        else "".join(f"\\x{b:02x}" for b in c.encode("utf-8", "surrogateescape"))
        for c in value
    )


class Unit(Frozen, frozen=True):
    """One part of a target that the plan approves for erasure: a file, a table's selected rows."""

    name: str  # safe to journal: "inode-1234", "table customers"; never content, never a file's name
    size: int  # bytes for files, rows for tables
    digest: str  # keyed digest (hex) of what identifies the unit; see `deleatur.sanitize.digest`


class Surface(Frozen, frozen=True):
    """A place where bytes of the target may survive, and how far we can look into it."""

    name: str
    reach: Literal["scannable", "attested", "out-of-reach"]
    paths: tuple[str, ...] = ()  # files, directory trees or block devices that the core reads raw
    reason: str = ""  # why it is not scannable, in words for the certificate


class Offer(Frozen, frozen=True):
    """A technique that this very target allows now."""

    technique: str  # an id of `deleatur.sanitize.techniques`
    limits: tuple[str, ...] = ()  # ids of vetted sentences that lower the claim


class Denial(Frozen, frozen=True):
    """A technique that this target does not allow now, and why."""

    technique: str
    reason: str


class Inspection(Frozen, frozen=True):
    """What a read-only look at a target found."""

    identity: Identity
    size: int  # bytes (or rows) to be erased; the total of the progress bar
    units: tuple[Unit, ...]
    offers: tuple[Offer, ...]  # strongest first
    denials: tuple[Denial, ...] = ()
    surfaces: tuple[Surface, ...] = ()
    blockers: tuple[str, ...] = ()  # each one alone refuses the job; named: pid, path, trigger
    held: tuple[Unit, ...] = ()  # what the target's holds keep out of the selection


class Locator(Frozen, frozen=True):
    """A place that can be probed. It says where, never what."""

    unit: str
    item: str = ""  # inside the unit, in the backend's own terms, such as "17/email"
    offset: int = 0  # bytes
    length: int = 0  # bytes; 0: the whole item


class Cursor(Frozen, frozen=True):
    """A durable point of an erase: everything up to `position` is gone and flushed."""

    position: str  # at most 200 printable ASCII characters, no content
    done: int  # bytes or rows of the step erased so far, for progress


class Pattern(Frozen, frozen=True):
    """Bytes that anyone can compute again: the AES-256-CTR keystream of `key`."""

    kind: Literal["aes-256-ctr"]
    key: str  # 64 hex digits


class Sampling(Frozen, frozen=True):
    """How many places are read after the erase, and which: fixed by `seed`."""

    mode: Literal["full", "sample"]
    count: int  # places per target to read; in full mode every place is read
    seed: str  # 64 hex digits
    confidence: str = "0.99"
    max_bad_fraction: str = "0.01"


class Step(Frozen, frozen=True):
    """One action on one target: what `Backend.erase` is asked to do."""

    id: str  # s1, s2, … in order
    target: str
    technique: str
    action: str  # one of the technique's actions
    compare: Literal["keystream", "absence"]  # how the core judges the result
    pattern: Pattern | None = None
