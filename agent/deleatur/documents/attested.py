"""What people attest with their keys: the signed statements about what nobody of ours measured.

The same form as a certificate (docs/spec/attested.md): an in-toto Statement in a DSSE envelope, its
subjects the files that it rests on. It never says more than A1, attested.
"""

from typing import Literal

import msgspec

from deleatur.documents.certificate import Day, Digest, Key, Part, Sentence, State, Subject, Time
from deleatur.documents.codec import decode_canonical
from deleatur.documents.destruction import Handover, Item, Missing, Treatment
from deleatur.documents.place import Count, Frozen, Name
from deleatur.documents.vendors import Qualification
from deleatur.errors import Malformed

# Names that nobody can own, until the project owns one: docs/adr/0014-type-uris-under-a-reserved-name.md
DestructionType = Literal["https://deleatur.example/attestation/physical-destruction/v1"]
ProcessorsType = Literal["https://deleatur.example/attestation/processor-destruction/v1"]
BundleType = Literal["https://deleatur.example/attestation/bundle/v1"]
DESTRUCTION_TYPE: DestructionType = "https://deleatur.example/attestation/physical-destruction/v1"
PROCESSORS_TYPE: ProcessorsType = "https://deleatur.example/attestation/processor-destruction/v1"
BUNDLE_TYPE: BundleType = "https://deleatur.example/attestation/bundle/v1"
MAX_ATTESTED = 16 << 20  # bytes; ten thousand pieces have under 4 MB

AttestedState = Literal["attested", "attested-with-exceptions"]
_HEAD = {"type_": "_type", "predicate_type": "predicateType"}


class Performer(Part, frozen=True):
    """Who destroyed, by which qualifications on the day, and the key that says so."""

    id: Name
    name: str
    operator: Name
    trained_until: Day
    key: Key
    certificates: tuple[Qualification, ...]


class Evidence(Part, frozen=True):
    """A file that shows it, by digest."""

    file: str
    kind: Literal["video", "photo", "paper"]
    digest: Digest
    size: Count
    shows: tuple[str, ...]  # serials


class Entry(Part, frozen=True):
    """The day that it is about, and when it was entered: by the clock of whoever signed first."""

    about: Day
    entered_at: Time
    days_late: Count


class AttestedDestruction(Part, frozen=True):
    """The predicate: what was attested of a physical destruction, and by whom."""

    schema_version: Literal["deleatur/attested-destruction/v1"]
    id: Name
    job: str
    authority: str
    place: str
    started_at: Time
    ended_at: Time
    entry: Entry
    retain_until: Day
    performer: Performer
    witnesses: tuple[Key, ...]
    items: tuple[Item, ...]
    custody: tuple[Handover, ...]
    treatments: tuple[Treatment, ...]
    exceptions: tuple[Missing, ...]
    evidence: tuple[Evidence, ...]
    state: AttestedState
    assurance: Literal["A1"]
    sentences: tuple[Sentence, ...]


class AttestedProcessor(Part, frozen=True):
    """One processor, and its own word if it came."""

    id: Name
    name: str
    covers: str
    asked: Day
    state: Literal["attested", "missing"]
    received: Day | None  # None: no certificate came
    says: str
    certificate: Digest | None  # None: no certificate came


class AttestedProcessors(Part, frozen=True):
    """The predicate: which certificates of processors came, and which did not."""

    schema_version: Literal["deleatur/attested-processors/v1"]
    id: Name
    job: str
    entry: Entry
    retain_until: Day
    officer: Key
    processors: tuple[AttestedProcessor, ...]
    state: AttestedState
    assurance: Literal["A1", "A0"]
    sentences: tuple[Sentence, ...]


class BundledCertificate(Part, frozen=True):
    """The certificate of the job, by the digest of its envelope."""

    id: str
    digest: Digest
    retain_until: Day
    state: State


class BundledRecord(Part, frozen=True):
    """A record of destruction, by the digest of its envelope."""

    id: Name
    folder: str
    digest: Digest
    retain_until: Day
    state: AttestedState
    assurance: Literal["A1", "A0"]
    days_late: Count


class Bundle(Part, frozen=True):
    """The predicate: what was put together for someone who asks."""

    schema_version: Literal["deleatur/bundle/v1"]
    made_at: Time
    maker: Key
    certificates: tuple[BundledCertificate, ...]  # of one job: one, or none
    records: tuple[BundledRecord, ...]


class DestructionStatement(Frozen, frozen=True, rename=_HEAD):
    """The in-toto Statement of a physical destruction."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: DestructionType
    predicate: AttestedDestruction


class ProcessorsStatement(Frozen, frozen=True, rename=_HEAD):
    """The in-toto Statement of the certificates of processors."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: ProcessorsType
    predicate: AttestedProcessors


class BundleStatement(Frozen, frozen=True, rename=_HEAD):
    """The in-toto Statement of a bundle; its subject is the list of its files."""

    type_: Literal["https://in-toto.io/Statement/v1"]
    subject: tuple[Subject, ...]
    predicate_type: BundleType
    predicate: Bundle


class _Head(msgspec.Struct, rename=_HEAD):
    predicate_type: str


def predicate_type(body: bytes) -> str:
    """Return the type that a statement gives itself, so that the right decoder reads it.

    Raises:
        Malformed: it has none.
    """
    try:
        return msgspec.json.decode(body, type=_Head).predicate_type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("not a statement with a predicateType", kind="syntax") from None


def decode_attested(body: bytes) -> DestructionStatement | ProcessorsStatement:
    """Decode the statement of a record.

    Raises:
        Malformed: what docs/spec/attested.md forbids.
    """
    if predicate_type(body) == PROCESSORS_TYPE:
        return decode_canonical(body, ProcessorsStatement, limit=MAX_ATTESTED)
    return decode_canonical(body, DestructionStatement, limit=MAX_ATTESTED)


def decode_bundle(body: bytes) -> BundleStatement:
    """Decode the statement of a bundle.

    Raises:
        Malformed: what docs/spec/attested.md forbids.
    """
    return decode_canonical(body, BundleStatement, limit=MAX_ATTESTED)
