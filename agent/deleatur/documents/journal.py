"""The Journal: what happened and where, in `journal.jsonl` (docs/spec/journal.md).

One entry a line, hash-chained: `previous` is the SHA-256 of the line before it (the first entry
names the plan's digest instead), so no line can be changed, dropped or put between two others.
The journal never holds data: counts, places, keyed digests. `fold` lives in `deleatur.judge.fold`.
"""

from typing import Literal

from msgspec import UNSET, UnsetType

from deleatur.documents.chain import digest_of_line as digest_of_line
from deleatur.documents.chain import links
from deleatur.documents.codec import MAX_LINE, decode_canonical, encode_json
from deleatur.documents.place import (
    ArchivePart,
    Count,
    Digest,
    Exchange,
    Frozen,
    Instant,
    KeyedDigest,
    Name,
    Position,
    Ranges,
    StepId,
)

SCHEMA = "deleatur/journal/v1"
Verdict = Literal["CLEAN", "RESIDUE", "INCONCLUSIVE"]


class Event(Frozen, frozen=True, tag_field="kind"):
    """Base of all events; the tag is the class name in lower case."""


class Started(Event, frozen=True, tag="started"):
    """The job began, after the self-test; also written when it resumes."""

    schema: Literal["deleatur/journal/v1"]
    plan: Digest  # sha256 hex of plan.json
    selftests: Count  # known-answer tests that passed
    resumed: bool
    approved_by: tuple[str, ...]  # key ids of the approvals that counted


class Preflighted(Event, frozen=True, tag="preflighted"):
    """A target was opened and inspected again, and is what the plan says."""

    target: Name
    identity: Digest  # sha256 hex of the identity text
    units: Count


class Unheld(Event, frozen=True, tag="unheld"):
    """Every hold plugin was asked, one at a time, and none objected."""

    asked: tuple[str, ...]


class Passed(Event, frozen=True, tag="passed"):
    """A gate of the plan let the job through."""

    gate: Name
    digest: Digest  # sha256 hex of what it rests on
    counts: tuple[tuple[Name, Count], ...]  # what was counted, by the gate's own words


class ReachedRisk(Frozen, frozen=True):
    """How many rows agree in the quasi-identifiers, as counted in what was written."""

    k: Count  # rows in the smallest group
    l: Count | None  # noqa: E741  (fewest values of the sensitive column in a group)
    suppressed: Count  # rows whose quasi-identifiers were set to NULL: those values are in no archive
    rungs: Count  # of the ladder that were taken


class ArchivedRows(Frozen, frozen=True):
    """One table of the archive."""

    table: str
    rows: Count
    sha256: Digest  # of the Parquet file inside the archive
    risk: ReachedRisk | None = None  # None: the job names no quasi-identifiers


def package_of(target: str, part: ArchivePart) -> str:
    """Return what tells one package from all others of a job: a name has no `+`."""
    return target if part == "main" else f"{target}+{part}"


class Archived(Event, frozen=True, tag="archived"):
    """One part of a target's archive was written, read back and compared."""

    target: Name
    file: str  # name inside the job's archive folder
    sha256: Digest  # of the encrypted file
    size: Count  # bytes
    tables: tuple[ArchivedRows, ...]
    contents: Digest  # of the plain tar inside
    recipients: tuple[str, ...]  # age, in the order of the plan's custodians
    compared: Literal[
        "decrypted", "digest"
    ]  # read back as plain text before sealing, or sealed bytes by digest
    part: ArchivePart = "main"

    @property
    def package(self) -> str:
        """What tells this package from all others of the job."""
        return package_of(self.target, self.part)


class SurfaceScan(Frozen, frozen=True):
    """What a scan of one surface saw."""

    name: str
    size: Count  # bytes read
    hits: Count  # occurrences of any needle
    seen: Count  # distinct values that were seen
    unreadable: Count = 0  # bytes that could not be read
    disputed: Count = 0  # of the hits, those that not every scanner saw
    scanners: tuple[str, ...] = ()  # each searched every byte
    decoders: tuple[str, ...] = ()  # compressed values that were expanded and searched too
    reserved: Count = 0  # bytes that files had reserved and never written, on a device that could not be read
    live: Count = 0  # of its block devices, those that showed what had been written above them a moment ago


class WordScan(Frozen, frozen=True):
    """What a scan saw of the words by which indexes of words in the store's own files hold sampled values."""

    count: Count  # distinct words that were searched: nothing that must stay has them
    set_digest: KeyedDigest  # keyed digest of their set
    hits: Count
    seen: Count  # distinct words that were seen
    disputed: Count  # of the hits, those that not every scanner saw
    scanners: tuple[str, ...]


class Carving(Frozen, frozen=True):
    """What a program that recovers files saw on a whole device: counts by kind, never what."""

    program: Name
    version: str  # as it tells it
    sha256: Digest  # of the program file that ran
    kinds: tuple[tuple[Name, Count], ...]  # by the end of the names that it gave

    @property
    def files(self) -> int:
        """How many it saw, or at least so many: it is stopped when there are enough."""
        return sum(count for _, count in self.kinds)


class Controlled(Event, frozen=True, tag="controlled"):
    """The positive control: values sampled before the erase, and where the scanner saw them."""

    target: Name
    places: Count  # places sampled
    values: Count  # distinct values that became needles
    shared: Count  # values left out: they also stand in what must stay, or in the job's own conditions
    short: Count  # values left out because they are too short or too plain to mean anything
    seen: Count  # values that the scan saw before the erase, in any scannable surface
    set_digest: KeyedDigest  # keyed digest of the needle set
    surfaces: tuple[SurfaceScan, ...]
    keep_digest: KeyedDigest  # keyed digest of everything in the target that must stay; "" if nothing can
    words: WordScan | UnsetType = UNSET  # of a target with indexes of words
    carved: Carving | None = None  # by the program that the job asks for, of a whole device


class Erasing(Event, frozen=True, tag="erasing"):
    """A step is about to change the target. Written before the first change."""

    step: StepId


class Advanced(Event, frozen=True, tag="advanced"):
    """A cursor: everything of the step up to `position` is gone and flushed."""

    step: StepId
    position: Position
    done: Count
    outage: Count = 0  # milliseconds for which others had to wait on the way here, measured by the backend
    failed: Ranges = ()  # of a device, on the way here: the medium took no writing there
    exchanges: tuple[Exchange, ...] = ()  # commands that the device was sent on the way here


class Erased(Event, frozen=True, tag="erased"):
    """The backend came to the end of a step."""

    step: StepId
    done: Count


class Challenged(Event, frozen=True, tag="challenged"):
    """A seed was drawn, after the erase, that fixes which places of a step are read back."""

    step: StepId
    seed: Digest  # 32 random bytes, hex


class Lay(Frozen, frozen=True):
    """Where units lie after they were overwritten, against where they lay when the plan was made."""

    in_place: Count  # units that lie where they lay
    moved: Count  # that lie elsewhere now
    kept: Count  # whose blocks others hold too
    untold: Count  # of which nobody tells where they lie
    moved_units: tuple[str, ...]  # of many the first
    on_device: Count  # bytes read on the block device itself, beside the file system


class Compared(Event, frozen=True, tag="compared"):
    """Places were read back through a fresh handle and compared with what must be there."""

    step: StepId
    mode: Literal["full", "sample"]
    population: Count  # places that exist
    read: Count  # places read
    size: Count  # bytes read
    mismatches: Count
    unreadable: Count
    surfaces: tuple[SurfaceScan, ...]  # the residue scan of the files before they lose their names
    differ: Ranges = ()  # of a device: what did not read back as the pattern; of many the first
    unread: Ranges = ()  # of a device: what could not be read back, all of it
    lay: Lay | None = None  # of files


class Filling(Event, frozen=True, tag="filling"):
    """The free space of a file system is about to be overwritten. Written before the first change."""

    fill: Name


class Filled(Event, frozen=True, tag="filled"):
    """The free space was overwritten and, before it was given back, read back on the block device."""

    fill: Name
    written: Count  # bytes
    left: Count  # bytes that were free then and neither overwritten nor part of the margin
    control: Count  # places read on the device before they were overwritten
    control_equal: Count  # of these, places that held the keystream already: the comparison sees nothing
    population: Count  # places that were overwritten
    read: Count  # places read back
    size: Count  # bytes read back
    mismatches: Count
    reserved: Count  # bytes that files had reserved and never written: written now
    reserved_left: Count  # bytes of such blocks in files that were in use
    files_left: Count  # those files


class Verified(Event, frozen=True, tag="verified"):
    """Everything that could be looked at after the erase has been looked at."""

    target: Name
    verdict: Verdict
    reason: str  # why INCONCLUSIVE or RESIDUE, in words without data
    absent: Count  # sampled places that the storage itself says are gone
    present: Count  # sampled places that can still be read
    remaining: Count  # units of the selection that a fresh inspection still finds
    values: Count  # needles searched; 0 when the spool is lost
    surfaces: tuple[SurfaceScan, ...]
    keep_digest: KeyedDigest
    words: WordScan | UnsetType = UNSET  # of a target whose control had some
    carved: Carving | None = None  # as at the control, and of the same device


class KeyErased(Event, frozen=True, tag="key-erased"):
    """The key of the archives' tokens was overwritten where it lay, and removed."""

    key: Literal["tokens"]


class Certified(Event, frozen=True, tag="certified"):
    """The certificate was written, read back and verified."""

    certificate: str  # its id
    sha256: Digest  # of certificate.dsse.json


class Reported(Event, frozen=True, tag="reported"):
    """Residue was found: a report was written, and there will be no certificate."""

    sha256: Digest  # of residue.json


class Stopped(Event, frozen=True, tag="stopped"):
    """The run ended before its end: a refusal, an error, or a person. It may be resumed."""

    exit_code: int
    error: str  # class of the error; its text goes to the operator, not into the chain


AnyEvent = (
    Started
    | Preflighted
    | Unheld
    | Passed
    | Archived
    | Controlled
    | Erasing
    | Advanced
    | Erased
    | Challenged
    | Compared
    | Filling
    | Filled
    | Verified
    | KeyErased
    | Certified
    | Reported
    | Stopped
)


class Entry(Frozen, frozen=True):
    """One line of the journal."""

    n: Count  # 0, 1, 2, … without gaps
    at: Instant
    previous: Digest  # sha256 hex of the line before, without its newline; for n = 0 the plan's digest
    event: AnyEvent


def line_of(entry: Entry) -> bytes:
    """Return the one line, newline included, in which `entry` is written."""
    return encode_json(entry)


def decode_entry(line: bytes) -> Entry:
    """Decode one line of a journal, newline included.

    Raises:
        Malformed: not an entry, or not written the canonical way.
    """
    return decode_canonical(line, Entry, limit=MAX_LINE)


def read_chain(content: bytes, plan_digest: str) -> tuple[list[Entry], int]:
    """Return the entries of a journal and the length in bytes of its sound part.

    A last line without newline was torn by a crash: it never happened, and is left out. The caller
    cuts the file to the sound part before it appends.

    Raises:
        Malformed: `broken-chain`: a line was changed, dropped, put in or belongs to another plan.
    """
    sound = content.rfind(b"\n") + 1
    lines = (text + b"\n" for text in content[:sound].split(b"\n")[:-1])
    return list(links(lines, plan_digest, decode_entry)), sound
