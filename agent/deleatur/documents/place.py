"""The nouns that every document and every backend share: where things are, never what they say."""

import unicodedata
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

MAX_INTEGER = (1 << 53) - 1  # RFC 7493 §2.2: beyond it, other readers of JSON see another number

# `\Z`, not `$`: in Python `$` also matches before a newline at the end.
ArchivePart = Literal["main", "last-four"]  # each is sealed for custodians of its own
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
# Neither control characters nor marks that turn the direction of writing: both make a person
# approve something else than what stands there (Unicode TR 36 §2.5).
Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4096,
        pattern="^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]*\\Z",
    ),
]
Role = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\Z", max_length=64)]  # finance, legal …
Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]  # SHA-256, hex
KeyedDigest = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")]  # hex; "": there was nothing to digest
StepId = Annotated[str, Meta(pattern=r"^s[1-9][0-9]{0,8}\Z")]
Position = Annotated[str, Meta(pattern=r"^[ -~]{0,200}\Z")]  # printable ASCII, no content
Moment = Annotated[  # RFC 3339, UTC, seconds
    str, Meta(pattern=r"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z\Z")
]
Instant = Annotated[  # RFC 3339, UTC, milliseconds
    str, Meta(pattern=r"^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z\Z")
]


Code = Annotated[str, Meta(pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?|unknown)\Z")]  # of a law: ISO 3166-1, -2
CopyKind = Literal["replica", "backup", "export", "flow", "same-people"]


class Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all structures of the documents: immutable, and no key that we do not know."""


class PublicKey(Frozen, frozen=True):
    """A key by its SubjectPublicKeyInfo; `name` is a pseudonym and proves nothing."""

    name: Name
    spki: str  # base64 of the DER bytes


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
    size: Count  # bytes for files, rows for tables
    digest: Digest  # keyed digest (hex) of what identifies the unit; see `deleatur.sanitize.digest`
    lies: Annotated[str, Meta(pattern=r"^([0-9a-f]{32})?\Z")] = ""  # digest of where; "": nobody tells


class Kept(Frozen, frozen=True):
    """Blocks of a unit that an overwrite does not reach, because others hold them too."""

    unit: str
    by: Text  # numbers of inodes, subvolumes and devices; never a file's name


MEMORY_OF = "memory of who works in "  # and a folder: in place of a path, the memory of a server's processes


SWAP, DUMPS = "swap areas", "core dumps"  # names of surfaces: what a host puts down of memory


class Surface(Frozen, frozen=True):
    """A place where bytes of the target may survive, and how far we can look into it."""

    name: str
    reach: Literal["scannable", "attested", "out-of-reach"]
    paths: tuple[str, ...] = ()  # files, directory trees, block devices or memory that the core reads raw
    reason: str = ""  # why it is not scannable, in words for the certificate
    decoders: tuple[str, ...] = ()  # by name: of the compressed values that may lie in it
    # own: a scan must see the sampled values here before the erase, or it counts for nothing. none: they
    # need not lie here (a log of messages), so that a scan finds what is there and has shown nothing.
    control: Literal["own", "none"] = "own"

    @property
    def is_device(self) -> bool:
        """Whether this is what lies below the file system: read only if the job asks for it."""
        return self.name.startswith("block device")

    @property
    def is_put_down(self) -> bool:
        """Whether it is what this host keeps of memory on its disks: read only if the job asks for it."""
        return self.name in (SWAP, DUMPS)

    @property
    def in_memory(self) -> bool:
        """Whether it is the memory of processes, which moves and is asked before anything else is."""
        return any(path.startswith(MEMORY_OF) for path in self.paths)


class Offer(Frozen, frozen=True):
    """A technique that this very target allows now."""

    technique: str  # an id of `deleatur.sanitize.techniques`
    limits: tuple[str, ...] = ()  # ids of vetted sentences that lower the claim
    outage: Count = 0  # milliseconds: for how long at most others wait at one stretch; 0: they do not wait


class Denial(Frozen, frozen=True):
    """A technique that this target does not allow now, and why."""

    technique: str
    reason: str


class Inspection(Frozen, frozen=True):
    """What a read-only look at a target found."""

    identity: Identity
    size: Count  # bytes (or rows) to be erased; the total of the progress bar
    units: tuple[Unit, ...]
    offers: tuple[Offer, ...]  # strongest first
    denials: tuple[Denial, ...] = ()
    surfaces: tuple[Surface, ...] = ()
    blockers: tuple[str, ...] = ()  # each one alone refuses the job; named: pid, path, trigger
    held: tuple[Unit, ...] = ()  # what the target's holds keep out of the selection
    kept: tuple[Kept, ...] = ()  # what is left because others hold it too, as the job says
    shown: Count | None = (
        None  # bytes that a drive shows now, where `size` has those that it hides; None: all
    )


class Locator(Frozen, frozen=True):
    """A place that can be probed. It says where, never what."""

    unit: str
    item: str = ""  # inside the unit, in the backend's own terms, such as "17/email"
    offset: Count = 0  # bytes
    length: Count = 0  # bytes; 0: the whole item


Ranges = tuple[tuple[Count, Count], ...]  # first byte of each, and the byte after its last


class Exchange(Frozen, frozen=True):
    """A command that a device was sent, and the raw status that it answered: hex, no content."""

    sent: Annotated[str, Meta(pattern=r"^([0-9a-f]{2}){1,128}\Z")]
    answered: Annotated[str, Meta(pattern=r"^[0-9a-f ]{1,700}\Z")]
    milliseconds: Count


class Cursor(Frozen, frozen=True):
    """A durable point of an erase: everything up to `position` is gone and flushed."""

    position: Position
    done: Count  # bytes or rows of the step erased so far, for progress
    outage: Count = 0  # milliseconds, measured: for how long others had to wait on the way to this point
    failed: Ranges = ()  # of a device, on the way to this point: the medium took no writing there
    exchanges: tuple[Exchange, ...] = ()  # commands that the device was sent on the way to this point


class Pattern(Frozen, frozen=True):
    """Bytes that anyone can compute again: the AES-256-CTR keystream of `key`, or a few that repeat."""

    kind: Literal["aes-256-ctr", "bytes"]
    key: KeyedDigest = ""  # of the keystream: 32 bytes, hex
    cycle: Annotated[str, Meta(pattern=r"^([0-9a-f]{2}){0,16}\Z")] = ""  # hex of the bytes that repeat

    def __post_init__(self) -> None:
        """Refuse a keystream without a key, and bytes that are none."""
        if bool(self.key) != (self.kind == "aes-256-ctr") or bool(self.cycle) != (self.kind == "bytes"):
            raise ValueError("a keystream has a key and no bytes that repeat, the other kind the reverse")


class Sampling(Frozen, frozen=True):
    """How many places are read after the erase, and which: fixed by `seed`."""

    mode: Literal["full", "sample"]
    count: Count  # places per target to read; in full mode every place is read
    seed: Digest  # 32 bytes, hex
    confidence: str = "0.99"
    max_bad_fraction: str = "0.01"


# How the core judges the result of a step. keystream: each place of each unit reads back as the pattern;
# pattern: the device does, from its first byte to its last, and stays; none: another pass follows.
# marked: the markers on a device read back as the pattern; changed: none of them does any more.
# size: the device shows its planned size, which a loss of power takes back: each run does it again.
Compare = Literal["keystream", "pattern", "absence", "none", "marked", "changed", "size"]
LIFT = "lift"  # the action before the first of a technique, where the job has hidden sectors lifted


class Step(Frozen, frozen=True):
    """One action on one target: what `Backend.erase` is asked to do."""

    id: StepId  # s1, s2, … in order
    target: Name
    technique: str
    action: str  # one of the technique's actions
    compare: Compare
    pattern: Pattern | None = None

    @property
    def reads_back(self) -> bool:
        """Whether what it left behind is compared with its pattern."""
        return self.compare in ("keystream", "pattern", "marked", "changed")

    @property
    def of_each_run(self) -> bool:
        """Whether what it does may not outlast a loss of power, so that each run does it again."""
        return self.compare == "size"

    @property
    def stays(self) -> bool:
        """Whether its target is still there afterwards, and is read back as a whole device."""
        return self.compare in ("pattern", "changed")

    @property
    def at_markers(self) -> bool:
        """Whether it is read back at the markers, and nowhere else."""
        return self.compare in ("marked", "changed")
