"""The Data map: which stores hold what, in `datamap.toml` (docs/spec/datamap.md).

It names places, types and counts, never data. What was not read itself is `attested`, for ever.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.codec import decode_toml
from deleatur.documents.detection import Level
from deleatur.documents.place import Code as Code
from deleatur.documents.place import CopyKind as CopyKind
from deleatur.documents.place import Count, Digest, Frozen, Moment, Name, Text
from deleatur.documents.plan import PublicKey
from deleatur.documents.rules import Fault, personal_text, raise_all, twice
from deleatur.documents.toml import encode_toml

MAX_DATAMAP = 16 << 20  # bytes; a place of a thousand tables takes about half a MiB

LEVELS: tuple[Level, ...] = ("public", "internal", "sensitive", "core")
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[01][0-9]-[0-3][0-9]\Z")]
Kind = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]  # a type id: words joined by dashes
Share = Annotated[str, Meta(pattern=r"^(0\.[0-9]{1,4}|1)\Z")]
State = Literal["found", "lost", "unverifiable", "erased"]


class TypeCount(Frozen, frozen=True):
    """A type that was seen in a field."""

    type: Kind
    level: Level
    count: Count  # values of this type
    of: Count  # values looked at
    confidence: Share


class Field(Frozen, frozen=True):
    """A column, or a part of a document such as a mail's sender."""

    name: Text
    level: Level
    type: Kind = "other"
    stored_as: Text = "text"  # the store's own word for its type
    references: str = ""  # "table.column" that it points to
    minors: Count = 0  # values, of those sampled, that speak of somebody under age
    finding: tuple[TypeCount, ...] = ()


class Totals(Frozen, frozen=True):
    """How many records were active by a stated rule. Those without a readable date are not dormant."""

    rule: Text
    all: Count
    active: Count
    dormant: Count
    undated: Count


class Table(Frozen, frozen=True):
    """Records of one form: a table, or all files of a place that have the same columns."""

    name: Text
    kind: Kind  # table, full-text, csv, jsonl, parquet, xlsx, mail, contacts, text, json …
    records: Count
    sampled: Count  # records whose values were classified; counts of findings are out of these
    files: Count = 0
    bytes: Count = 0
    units: tuple[Text, ...] = ()  # "inode-17", the first few; never a file's name
    dialect: str = ""  # encoding and delimiter
    source: str = ""  # where these records came from, if not where the place's do
    totals: Totals | None = None
    field: tuple[Field, ...] = ()


class Unread(Frozen, frozen=True):
    """Something that is there and was not read: it is an open item until it is explained."""

    unit: Text
    reason: Text
    count: Count = 1


class Jurisdiction(Frozen, frozen=True):
    """Whose law applies, and why we think so."""

    code: Code
    reason: Text
    records: Count = 0


class Place(Frozen, frozen=True):
    """A store or a directory tree that was read."""

    id: Name
    url: Text
    host: Text
    kind: Text
    identity: tuple[tuple[Text, str], ...] = ()  # empty only when it is not there
    state: State = "found"
    owner: str = ""  # a name of the owners below; "": nobody, which is an open item
    source: str = ""  # registered, ordered, support …: where the data came from
    purpose: str = ""
    encrypted: Literal["yes", "no", "unknown"] = "unknown"
    encryption: str = ""  # by what, or why it is unknown
    access: tuple[Text, ...] = ()
    jurisdiction: tuple[Jurisdiction, ...] = ()
    people: Count = 0  # distinct, within this place
    table: tuple[Table, ...] = ()
    unread: tuple[Unread, ...] = ()


class Declared(Frozen, frozen=True):
    """A place that we cannot read: attested by its owner, not verified, for ever."""

    id: Name
    what: Text  # "private mailbox of the sales team", "chat account", "three boxes of paper"
    owner: Name
    evidence: Text  # the name of the evidence file
    evidence_sha256: Digest
    level: Level
    state: Literal["attested", "lost", "unverifiable"] = "attested"
    people: Count = 0
    types: tuple[Kind, ...] = ()
    jurisdiction: tuple[Jurisdiction, ...] = ()


class Copy(Frozen, frozen=True):
    """An edge: what stands in one place also stands in the other."""

    source: Name
    to: Name
    kind: CopyKind
    basis: Literal["found", "declared"]
    count: Count = 0  # people that both hold
    reason: str = ""


class Difference(Frozen, frozen=True):
    """Declared is not found. `explanation` is written by a person, and signed with the owner's part."""

    id: Name
    what: Text
    owner: Name
    declared: Count
    found: Count
    explanation: str = ""


class People(Frozen, frozen=True):
    """How many people all places hold together, each counted once."""

    rule: Text
    found: Count
    mentioned: Count  # identifiers that stand only in texts, in no record
    complete: bool  # false: the index was full, so `found` is a lower bound


class DataMap(Frozen, frozen=True):
    """The whole map."""

    schema: Literal["deleatur/datamap/v1"]
    made_at: Moment
    as_of: Day
    people: People
    limits: tuple[Text, ...] = ()  # what was not looked at, in words
    owner: tuple[PublicKey, ...] = ()
    place: tuple[Place, ...] = ()
    declared: tuple[Declared, ...] = ()
    copy: tuple[Copy, ...] = ()
    difference: tuple[Difference, ...] = ()


def decode_datamap(content: bytes) -> DataMap:
    """Decode `datamap.toml`.

    Raises:
        Malformed: what docs/spec/datamap.md forbids.
    """
    datamap = decode_toml(content, DataMap, limit=MAX_DATAMAP)
    raise_all([*faults_of_datamap(datamap)])
    return datamap


def encode_datamap(datamap: DataMap) -> bytes:
    """Encode a map the one way we write it, and read it again first.

    Raises:
        Malformed: the map contradicts itself, which is a defect of who made it.
    """
    content = encode_toml(datamap).encode()
    decode_datamap(content)
    return content


def faults_of_datamap(datamap: DataMap) -> Iterator[Fault]:
    """Yield every fault of `datamap`."""
    yield from twice((k.name for k in datamap.owner), "$.owner", "name")
    yield from twice((k.spki for k in datamap.owner), "$.owner", "spki")
    yield from twice((p.id for p in datamap.place), "$.place", "id")
    yield from twice((d.id for d in datamap.declared), "$.declared", "id")
    yield from twice((d.id for d in datamap.difference), "$.difference", "id")
    known = {p.id for p in datamap.place} | {d.id for d in datamap.declared}
    if len(known) < len(datamap.place) + len(datamap.declared):
        yield Fault("repeated", "$.declared", "a declared place has the id of one that was read")
    for n, copy in enumerate(datamap.copy):
        for end in sorted({copy.source, copy.to} - known):
            yield Fault("contradiction", f"$.copy[{n}]", f"no place is called {end}")
    owners = {k.name for k in datamap.owner}
    owned = [(f"$.place[{n}]", p.owner) for n, p in enumerate(datamap.place) if p.owner]
    owned += [(f"$.declared[{n}]", d.owner) for n, d in enumerate(datamap.declared)]
    owned += [(f"$.difference[{n}]", d.owner) for n, d in enumerate(datamap.difference)]
    for where, owner in owned:
        if owner not in owners:
            yield Fault("no-owner", f"{where}.owner", "no owner of this name has a key in the map")
    for n, difference in enumerate(datamap.difference):
        yield from personal_text(difference.explanation, f"$.difference[{n}].explanation")
    for n, place in enumerate(datamap.place):
        yield from _faults_of_place(place, f"$.place[{n}]")


def _faults_of_place(place: Place, where: str) -> Iterator[Fault]:
    yield from twice((t.name for t in place.table), f"{where}.table", "name")
    for n, table in enumerate(place.table):
        here = f"{where}.table[{n}]"
        yield from twice((f.name for f in table.field), f"{here}.field", "name")
        if table.sampled > table.records:
            yield Fault("contradiction", f"{here}.sampled", "more records sampled than there are")
        total = table.totals
        if total is not None and total.all != total.active + total.dormant + total.undated:
            yield Fault("contradiction", f"{here}.totals", "active, dormant and undated do not add up to all")
        for m, field in enumerate(table.field):
            if field.minors > table.sampled:
                yield Fault("contradiction", f"{here}.field[{m}].minors", "more values than records sampled")
            for k, finding in enumerate(field.finding):
                if finding.count > finding.of:
                    at = f"{here}.field[{m}].finding[{k}]"
                    yield Fault("contradiction", at, "more values found than looked at")
