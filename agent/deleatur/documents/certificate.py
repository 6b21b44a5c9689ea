"""The Certificate: what is claimed, in the in-toto Statement that is signed (docs/spec/certificate.md).

No floats, no personal data, times in UTC with `Z`, counts within what every JSON reader keeps
exact. Everything in it follows from plan and journal; a verifier computes it again.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from deleatur.documents.place import ArchivePart, Count, Exchange, Frozen, Name, Role
from deleatur.documents.place import Digest as Hex

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
# A name that nobody can own, until the project owns one: docs/adr/0014-type-uris-under-a-reserved-name.md
CertificateType = Literal["https://deleatur.example/attestation/erasure-certificate/v1"]
ApprovalType = Literal["https://deleatur.example/attestation/erasure-approval/v1"]
CERTIFICATE_TYPE: CertificateType = "https://deleatur.example/attestation/erasure-certificate/v1"
APPROVAL_TYPE: ApprovalType = "https://deleatur.example/attestation/erasure-approval/v1"

Time = Annotated[  # RFC 3339, UTC, seconds or milliseconds; no leap second
    str,
    Meta(
        pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
        r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{3})?Z\Z"
    ),
]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
State = Literal["verified", "verified-with-exceptions", "executed-unverified"]


class Part(Frozen, frozen=True, rename="camel"):
    """Base of all parts of a certificate: the names that in-toto documents use."""


class Digest(Part, frozen=True):
    """A digest of bytes that lie in the certificate's folder or archive."""

    sha256: Hex


class Subject(Part, frozen=True):
    """What the statement is about, by name and digest."""

    name: str
    digest: Digest


class Key(Part, frozen=True):
    """A public key: what counts is `spki`, what a person compares is `key_id`."""

    name: Name
    key_id: str
    spki: str


class PlanReference(Part, frozen=True):
    """The plan that was approved and carried out."""

    id: str
    digest: Digest
    created_at: Time
    job: Name
    job_digest: Hex
    reason: str
    authority: str
    requested_by: Name


class FilledRole(Part, frozen=True):
    """A role that the policy asked for, and the key that approved in it."""

    role: Role
    key_id: str


class Approvals(Part, frozen=True):
    """How many distinct keys the policy asked for, and which approved."""

    threshold: Count
    keys: tuple[Key, ...]
    roles: tuple[FilledRole, ...]


class CertifiedTarget(Part, frozen=True):
    """A target by the digest of its identity text, which is a subject of the statement."""

    id: Name
    kind: str
    identity_file: str
    identity_digest: Digest
    units: Count
    size: Count  # bytes of files, rows of tables
    held: Count  # units that a hold kept out of the selection


class Plugin(Part, frozen=True):
    """The exact code that moved the bytes."""

    distribution: str
    version: str
    record_digest: str
    entry_point: str


class Method(Part, frozen=True):
    """One step as it was carried out."""

    step: str
    target_id: Name
    technique: str
    title: str
    category: Literal["clear", "purge", "destroy", "logical-delete"]
    scope: Literal["addressable", "device-all", "logical", "key"]
    action: str
    pattern: Annotated[str, Meta(pattern=r"^(aes-256-ctr|bytes-[0-9a-f]{2,32}|none)\Z")]
    source: str
    plugin: Plugin
    commands: tuple[Exchange, ...]  # that the device was sent, in order, and its raw answers
    done: Count
    started_at: Time
    ended_at: Time


class Inventory(Part, frozen=True):
    """What an inspection found of the selection, before and after."""

    target_id: Name
    units_before: Count
    units_after: Count
    places_sampled: Count  # that held something before
    places_absent: Count  # of these, after
    places_present: Count


class Bound(Part, frozen=True):
    """What reads without a mismatch say about the places that were not read."""

    confidence: str
    max_bad_fraction: str
    formula: str


class Range(Part, frozen=True):
    """Neighbouring bytes of a device."""

    start: Count
    end: Count  # the byte after the last


class Placement(Part, frozen=True):
    """What became of the blocks in which files lay: one of three, or nobody tells."""

    in_place: Count  # files overwritten where they lay
    freed: Count  # that lie elsewhere now: their old blocks were given up, and not overwritten
    not_reached: Count  # whose blocks others hold, or that pass through what no overwrite reaches
    not_told: Count
    freed_units: tuple[str, ...]  # of many the first
    not_reached_units: tuple[str, ...]  # those that others hold; of many the first
    bytes_on_device: Count  # read back on the block device itself


class Comparison(Part, frozen=True):
    """Places read back through a fresh handle and compared with what was written."""

    step: str
    compare: Literal["keystream", "pattern", "marked", "changed"]
    mode: Literal["full", "sample"]
    population: Count
    sampled: Count
    bytes_read: Count
    mismatches: Count
    unreadable: Count
    seed: str  # of a sample: drawn after the erase, it fixes the places; "" when every place was read
    not_written: tuple[Range, ...]  # where the medium refused, at least once
    not_read: tuple[Range, ...]  # what the medium did not show: an exception
    bound: Bound | None  # None: every place was read, or the medium did not show every one
    placement: Placement | None  # None: nothing of it is a file that tells where it lies
    at: Time


class Needles(Part, frozen=True):
    """Values sampled before the erase and searched after it; the first search is the control."""

    set_digest: str  # keyed
    count: Count
    left_out_shared: Count
    left_out_short: Count
    positive_control: Count  # distinct values that the scanner saw before the erase
    searched: Count
    hits: Count
    bound: Bound | None  # None: every place gave its value, or the search is not conclusive


class ScannedSurface(Part, frozen=True):
    """One surface, read raw before and after."""

    name: str
    reach: Literal["scannable", "attested", "out-of-reach"]
    reason: str
    control: Literal["own", "none"]  # none: it need not hold the values before, so it shows no more than hits
    bytes_before: Count
    values_seen_before: Count
    bytes_at_compare: Count  # while overwritten files still have their names
    hits_at_compare: Count
    bytes_after: Count
    hits_after: Count
    unreadable_after: Count
    scanners: tuple[str, ...]  # that each searched every byte, before and after
    decoders: tuple[str, ...]  # of compressed values, expanded and searched before and after
    disputed: Count  # occurrences, before and after, that not every scanner saw


class Words(Part, frozen=True):
    """Words by which indexes of words in the store held sampled values; the first search is the control."""

    set_digest: str  # keyed
    count: Count  # distinct words, none of which anything has that stays
    positive_control: Count  # of them, those that the scanner saw before the erase
    searched: Count
    hits: Count
    disputed: Count  # occurrences, before and after, that not every scanner saw
    scanners: tuple[str, ...]


class Kept(Part, frozen=True):
    """Keyed digests over everything in the target that had to stay; empty if nothing had to."""

    before: str
    after: str


class TargetVerification(Part, frozen=True):
    """What was looked at after the erase."""

    target_id: Name
    verdict: Literal["CLEAN", "INCONCLUSIVE"]
    reason: str
    comparisons: tuple[Comparison, ...]
    needles: Needles
    surfaces: tuple[ScannedSurface, ...]
    kept: Kept
    as_at: Time
    words: Words | UnsetType = UNSET  # of a target that has indexes of words


class Sentence(Part, frozen=True):
    """A vetted sentence by its id, as it reads."""

    id: str
    text: str


class FilledSpace(Part, frozen=True):
    """The free space of a file system, overwritten and read back on its block device."""

    id: Name
    file_system: str
    identity_digest: Digest  # of its identity text
    target_ids: tuple[Name, ...]  # that lie on it, as far as they could be read
    planned: Count  # bytes
    margin: Count  # bytes left to other programs
    written: Count  # bytes
    left: Count  # bytes that no file could get
    control: Count  # places that the comparison saw differ before
    population: Count
    sampled: Count  # places read back
    bytes_read: Count
    mismatches: Count
    bound: Bound | None  # None: every place was read
    reserved_written: Count  # bytes that files had reserved and never written
    reserved_left: Count  # of files in use
    claims: tuple[Sentence, ...]
    at: Time


class ReidentificationRisk(Part, frozen=True):
    """How far the archived rows of a table still single somebody out."""

    quasi_identifiers: tuple[str, ...]
    wanted_k: Count
    k: Count  # rows in the smallest group that agrees in all quasi-identifiers
    sensitive: str | None
    wanted_l: Count | None
    l: Count | None  # noqa: E741  (fewest values of the sensitive column in a group)
    suppressed_rows: Count
    generalised: tuple[str, ...]  # columns that were made coarser than their rule, `born to decade`
    sentence: Sentence  # what became of the suppressed values


class ArchivedTableReference(Part, frozen=True):
    """One table of an archive."""

    table: str
    rows: Count
    digest: Digest
    risk: ReidentificationRisk | None  # None: not measured


class Keeper(Part, frozen=True):
    """A custodian of an archive."""

    name: Name
    recipient: str
    opens: str  # "alone", or "2 of 3 shares"


class ArchiveReference(Part, frozen=True):
    """Desensitized records that were kept before the erase."""

    target_id: Name
    part: ArchivePart
    file: str
    digest: Digest
    size: Count
    contents: Digest  # of the plain tar inside
    custodians: tuple[Keeper, ...]
    retain_until: Day
    compared: Literal["decrypted", "digest"]
    token_key: Sentence  # what became of the key of its tokens
    tables: tuple[ArchivedTableReference, ...]


class Counted(Part, frozen=True):
    """A number by the word of who counted."""

    name: Name
    count: Count


class Condition(Part, frozen=True):
    """A gate of the plan that let the job through, each time that it was asked."""

    gate: Name
    digest: Digest  # of what it rests on
    counts: tuple[Counted, ...]
    sentences: tuple[Sentence, ...]


class TargetException(Part, frozen=True):
    """Something that the evidence does not reach."""

    target_id: Name  # or a place of the data map that is no target
    type: str
    sentence: Sentence
    disposition: Literal["accepted"]


class Outcome(Part, frozen=True):
    """What may be said about one target."""

    target_id: Name
    state: State
    assurance: str  # level and scope, such as "A3/addressable"
    limited_by: tuple[str, ...]  # ids of what lowered the level
    claims: tuple[Sentence, ...]


class Outcomes(Part, frozen=True):
    """The outcome of each target, and the worst of them."""

    per_target: tuple[Outcome, ...]
    overall: State


class Times(Part, frozen=True):
    """When it happened, by the clock of the host that did it."""

    plan_created: Time
    first_destructive: Time
    last_destructive: Time
    verified: Time


class Evidence(Part, frozen=True):
    """The files that the certificate rests on."""

    journal: Digest
    journal_entries: Count
    selftests: Count


class MadeBy(Part, frozen=True):
    """The program that planned and ran the job."""

    agent: str
    version: str
    python: str
    record_digest: str


class Certificate(Part, frozen=True):
    """The predicate of the signed statement."""

    schema_version: Literal["deleatur/certificate/v1"]
    certificate_id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{7,63}\Z")]
    language: Literal["en"]
    issuers: tuple[Key, ...]
    issued_at: Time
    retain_until: Day
    plan: PlanReference
    planner: Key
    approvals: Approvals
    conditions: tuple[Condition, ...]
    targets: tuple[CertifiedTarget, ...]
    method: tuple[Method, ...]
    free_space: tuple[FilledSpace, ...]
    inventory: tuple[Inventory, ...]
    verification: tuple[TargetVerification, ...]
    archives: tuple[ArchiveReference, ...]
    exceptions: tuple[TargetException, ...]
    outcome: Outcomes
    copies_not_covered: Sentence
    known_limits: tuple[Sentence, ...]
    statements_not_recorded: tuple[str, ...]
    times: Times
    evidence: Evidence
    software: MadeBy
    previous: Literal["none"]


class Statement(Frozen, frozen=True, rename={"type_": "_type", "predicate_type": "predicateType"}):
    """The in-toto Statement (attestation framework, spec v1) that carries a certificate."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: CertificateType
    predicate: Certificate
