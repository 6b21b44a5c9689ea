"""What people say about their stores, in `declared.toml` (docs/spec/declared.md): input of `discover`."""

from collections.abc import Iterator
from typing import Literal

from deleatur.documents.codec import decode_toml
from deleatur.documents.datamap import Code, Kind
from deleatur.documents.detection import Level
from deleatur.documents.place import Count, Frozen, Name, Text
from deleatur.documents.rules import Fault, personal_text, raise_all, twice


class Owner(Frozen, frozen=True):
    """Who answers for stores: a pseudonym and the file of a public key, relative to this document."""

    name: Name
    key: Text


class Law(Frozen, frozen=True):
    """Whose law applies, and why."""

    code: Code
    reason: Text


class DeclaredTable(Frozen, frozen=True):
    """What the owner says of one table of a place, or of the files of one form, by the map's name of it."""

    name: Text
    source: Text


class DeclaredPlace(Frozen, frozen=True):
    """What the owner of a place that is read says of it."""

    url: Text
    id: Name
    owner: Name
    source: str = ""
    purpose: str = ""
    people: Count | None = None  # how many, as the owner believes
    jurisdiction: tuple[Law, ...] = ()
    encrypted: Literal["yes", "no", "unknown"] | None = None
    encryption: str = ""
    access: tuple[Text, ...] = ()
    table: tuple[DeclaredTable, ...] = ()


class Unreachable(Frozen, frozen=True):
    """A place that cannot be read: private mailbox, chat account, paper. It needs a file of evidence."""

    id: Name
    what: Text
    owner: Name
    evidence: Text  # a file, relative to this document
    level: Level
    state: Literal["attested", "lost", "unverifiable"] = "attested"
    people: Count = 0
    types: tuple[Kind, ...] = ()
    jurisdiction: tuple[Law, ...] = ()


class DeclaredCopy(Frozen, frozen=True):
    """An edge that is known: a replica, a backup, an export, a flow."""

    source: Name
    to: Name
    kind: Literal["replica", "backup", "export", "flow"]
    reason: str = ""


class DeclaredPeople(Frozen, frozen=True):
    """How many people all places together are believed to hold, and who says so."""

    count: Count
    owner: Name


class Declaration(Frozen, frozen=True):
    """The whole document."""

    schema: Literal["deleatur/declared/v1"]
    people: DeclaredPeople | None = None
    owner: tuple[Owner, ...] = ()
    place: tuple[DeclaredPlace, ...] = ()
    declared: tuple[Unreachable, ...] = ()
    copy: tuple[DeclaredCopy, ...] = ()


def decode_declaration(content: bytes) -> Declaration:
    """Decode `declared.toml`.

    Raises:
        Malformed: what docs/spec/declared.md forbids.
    """
    declaration = decode_toml(content, Declaration)
    raise_all([*faults_of_declaration(declaration)])
    return declaration


def faults_of_declaration(declaration: Declaration) -> Iterator[Fault]:
    """Yield every fault of `declaration`."""
    yield from twice((o.name for o in declaration.owner), "$.owner", "name")
    yield from twice((o.key for o in declaration.owner), "$.owner", "key")
    yield from twice((p.url for p in declaration.place), "$.place", "url")
    yield from twice((p.id for p in declaration.place), "$.place", "id")
    yield from twice((d.id for d in declaration.declared), "$.declared", "id")
    for n, place in enumerate(declaration.place):
        yield from twice((t.name for t in place.table), f"$.place[{n}].table", "name")
    known = {o.name for o in declaration.owner}
    owned = [(f"$.place[{n}]", p.owner) for n, p in enumerate(declaration.place)]
    owned += [(f"$.declared[{n}]", d.owner) for n, d in enumerate(declaration.declared)]
    owned += [("$.people", declaration.people.owner)] if declaration.people else []
    for where, owner in owned:
        if owner not in known:
            yield Fault("no-owner", f"{where}.owner", "no owner of this name is declared")
    for n, unreachable in enumerate(declaration.declared):
        yield from personal_text(unreachable.what, f"$.declared[{n}].what")
    ends = {p.id for p in declaration.place} | {d.id for d in declaration.declared}
    for n, copy in enumerate(declaration.copy):
        for end in sorted({copy.source, copy.to} - ends):
            yield Fault("contradiction", f"$.copy[{n}]", f"no place is called {end}")
