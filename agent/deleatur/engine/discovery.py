"""Discover: look at stores through their backends, change nothing, and write a data map.

Rules kept: a place that cannot be opened stops the look, one that its owner declared and the
storage says is not there is written down as lost; what is there and cannot be read is listed; the
map holds counts, types and names of tables and columns, and no data.
"""

import hashlib
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from deleatur.documents.codec import MAX_JOB, read_limited
from deleatur.documents.datamap import Copy, DataMap, Declared, Jurisdiction, Place, Table, Unread
from deleatur.documents.datamap import People as PeopleFound
from deleatur.documents.declared import Declaration, DeclaredPlace, Law, decode_declaration
from deleatur.documents.detection import Detector
from deleatur.documents.job import Target
from deleatur.documents.plan import PublicKey
from deleatur.engine.naming import columns_of, is_value, shown, unique
from deleatur.engine.opening import Registry, absolute
from deleatur.engine.profile import SAMPLING, Profile
from deleatur.engine.registry import scheme_of
from deleatur.errors import Gone, Refused
from deleatur.formats import Parsed, Unreadable, tables_of
from deleatur.holding import HeldFile, HeldTable, NotRead
from deleatur.judge.activity import Activity
from deleatur.judge.datamap import differences
from deleatur.judge.jurisdiction import jurisdictions
from deleatur.judge.people import RULE, People, overlaps
from deleatur.trust.keys import load_public

Tell = Callable[[str, int], None]  # place, records so far

_LISTED = 1000  # things not read that a place names one by one; the rest is counted by reason
LIMITS = (
    SAMPLING,
    "deleted records in free pages, logs and unallocated blocks are not looked at",
    "who may read a place is told by its mode bits; access lists and roles come on top",
    "people that stand only in places that are declared are not counted",
)


@dataclass(frozen=True)
class Request:
    """What to look at. `folder` is where relative URLs and files of the declaration begin."""

    urls: tuple[str, ...]
    as_of: date
    made_at: str
    declaration: Declaration
    folder: Path = Path()
    rule: Activity | None = None
    detectors: tuple[Detector, ...] = ()


@dataclass
class _Look:
    """What is gathered while one place is read."""

    number: int
    request: Request
    people: People
    tell: Callable[[int], None]
    profiles: dict[tuple[str, ...], Profile] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    unread: dict[str, list[str]] = field(default_factory=dict)
    countries: dict[str, Counter[str]] = field(default_factory=dict)
    types: dict[str, Counter[str]] = field(default_factory=dict)
    records: int = 0


def read_declaration(path: Path) -> Declaration:
    """Read `declared.toml`.

    Raises:
        Malformed: it does not follow docs/spec/declared.md.
    """
    return decode_declaration(read_limited(path, MAX_JOB))


def discover(request: Request, registry: Registry, tell: Tell = lambda _place, _records: None) -> DataMap:
    """Read every place and return the map.

    Raises:
        Refused: nothing to look at, a rule of activity for a table that no place has, a key that is
            not there. And whatever a backend raises when a place cannot be opened.
    """
    spoken = {_absolute(p.url, request.folder).url: p for p in request.declaration.place}
    urls = [*dict.fromkeys([*(_absolute(url, Path.cwd()).url for url in request.urls), *spoken])]
    if not urls and not request.declaration.declared:
        raise Refused("nothing to look at: name a URL, such as sqlite:///srv/crm.db or file:///srv/exports")
    owners, unreachable = _owners(request), _unreachable(request)  # a missing file is told before a long look
    people = People(secrets.token_bytes(32))
    places = [
        _place(url, spoken.get(url), number, request, people, registry, tell)
        for number, url in enumerate(urls)
    ]
    if request.rule and not any(t.totals for p in places for t in p.table):
        raise Refused(f"no place has a table {request.rule.table} with a column {request.rule.column}")
    numbers = {place.id: number for number, place in enumerate(places)}
    found = {p.id: people.in_place(n) for p, n in zip(places, numbers.values(), strict=True)}
    found["people"] = people.count()
    declared = _declared_counts(request.declaration)
    return DataMap(
        schema="deleatur/datamap/v1",
        made_at=request.made_at,
        as_of=request.as_of.isoformat(),
        limits=LIMITS,
        people=PeopleFound(
            rule=RULE, found=found["people"], mentioned=people.mentioned(), complete=people.complete
        ),
        owner=owners,
        place=tuple(replace(place, people=found[place.id]) for place in places),
        declared=unreachable,
        copy=_copies(request.declaration, [*numbers], people),
        difference=differences(
            declared,
            found,
            {p.id: sum(u.count for u in p.unread) for p in places},
            {p.id: p.owner for p in places},
        ),
    )


def _place(
    url: str,
    said: DeclaredPlace | None,
    number: int,
    request: Request,
    people: People,
    registry: Registry,
    tell: Tell,
) -> Place:
    name = said.id if said else f"{scheme_of(url)}-{hashlib.sha256(url.encode()).hexdigest()[:6]}"
    base = Place(
        id=name,
        url=shown(url, 4096),
        host=socket.gethostname() or "unknown",
        kind="not there",
        owner=said.owner if said else "",
        source=said.source if said else "",
        purpose=said.purpose if said else "",
    )
    backend, _ = registry(scheme_of(url))
    look = _Look(number, request, people, lambda records: tell(name, records))
    try:
        opened = backend.open(Target(id="discover", url=url), {"digest-key": secrets.token_bytes(32)})
    except Gone:
        return _lost(base, said)
    with closing(opened):
        try:
            contents = opened.contents()
            for holding in contents.holdings:
                match holding:
                    case HeldTable():
                        _table(look, holding)
                    case HeldFile():
                        _file(look, holding)
                    case NotRead():
                        look.unread.setdefault(shown(holding.reason), []).append(shown(holding.unit))
        except Gone:
            return _lost(base, said)
    look.tables += [_finished(look, p, (), ()) for p in look.profiles.values()]
    return replace(
        base,
        kind=contents.identity.kind,
        identity=tuple((shown(k), shown(v, 4096)) for k, v in contents.identity.fields),
        encrypted=said.encrypted if said and said.encrypted else contents.encrypted,
        encryption=said.encryption if said and said.encryption else contents.encryption,
        access=(*contents.access, *(f"declared: {line}" for line in (said.access if said else ()))),
        jurisdiction=_laws(said.jurisdiction) if said and said.jurisdiction else _judged(look),
        table=tuple(_sourced(look.tables, said)),
        unread=_unread(look.unread),
    )


def _sourced(tables: Sequence[Table], said: DeclaredPlace | None) -> Iterator[Table]:
    """Yield the tables with the sources that their owner named."""
    sources = {table.name: table.source for table in said.table} if said else {}
    if said and (strangers := sorted(sources.keys() - {table.name for table in tables})):
        raise Refused(f"{said.id} has no table {strangers[0]}; its source cannot be declared")
    for table in tables:
        yield replace(table, source=sources.get(table.name, ""))


def _lost(base: Place, said: DeclaredPlace | None) -> Place:
    """Write down a declared place that is not there; one that nobody declared is a wrong URL."""
    if said is None:
        raise Gone(f"{base.url} is not there; check the URL, or declare the place")
    laws = _laws(said.jurisdiction)
    return replace(base, state="lost", encryption="it is not there", jurisdiction=laws)


def _table(look: _Look, held: HeldTable) -> None:
    names = columns_of(held)
    profile = Profile(
        shown(held.name),
        held.kind,
        names,
        linked=True,
        rule=look.request.rule,
        detectors=look.request.detectors,
        as_of=look.request.as_of,
    )
    _read(look, profile, held.read())
    stored = [shown(c.stored_as) for c in held.columns]
    look.tables.append(_finished(look, profile, stored, [shown(c.references) for c in held.columns]))


def _file(look: _Look, held: HeldFile) -> None:
    """Read one file; files of one form, such as mails or workbooks with the same columns, are one table."""
    try:
        with held.open() as stream:
            for parsed in tables_of(stream, held.suffix, held.size, is_value):
                profile = _profile_of(look, parsed)
                profile.add_file(held.unit, held.size, parsed.dialect)
                _read(look, profile, parsed.rows)
    except Unreadable as error:
        reason = f"{held.suffix} file: {error}" if held.suffix else str(error)
        look.unread.setdefault(reason, []).append(held.unit)
    except (OSError, Refused) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        look.unread.setdefault((words or "cannot be read").lower(), []).append(held.unit)


def _profile_of(look: _Look, parsed: Parsed) -> Profile:
    columns = unique(parsed.columns)
    key = (parsed.kind, *columns)
    if key not in look.profiles:
        number = 1 + sum(known[0] == parsed.kind for known in look.profiles)
        look.profiles[key] = Profile(
            f"{parsed.kind}-{number}",
            parsed.kind,
            columns,
            linked=parsed.linked,
            rule=look.request.rule,
            detectors=look.request.detectors,
            as_of=look.request.as_of,
        )
    return look.profiles[key]


def _read(look: _Look, profile: Profile, rows: Iterator[tuple[Any, ...]]) -> None:
    before = profile.records
    for records in profile.read(rows, look.people, look.number):
        look.tell(look.records + records - before)
    look.records += profile.records - before


def _finished(look: _Look, profile: Profile, stored_as: Sequence[str], references: Sequence[str]) -> Table:
    for column, codes in profile.countries.items():
        look.countries[f"{profile.name}.{column}"] = codes
    look.types.update({f"{profile.name}.{column}": counts for column, counts in profile.types().items()})
    return profile.table(stored_as, references)


def _judged(look: _Look) -> tuple[Jurisdiction, ...]:
    if not any(table.records for table in look.tables) and not look.unread:
        return (Jurisdiction(code="unknown", reason="the place is empty"),)
    return jurisdictions(look.countries, look.types)


def _laws(laws: Sequence[Law]) -> tuple[Jurisdiction, ...]:
    return tuple(Jurisdiction(code=law.code, reason=f"declared: {law.reason}") for law in laws)


def _unread(found: dict[str, list[str]]) -> tuple[Unread, ...]:
    named = []
    for reason, units in sorted(found.items()):
        named += [Unread(unit=unit, reason=reason) for unit in units[:_LISTED]]
        if len(units) > _LISTED:
            named.append(Unread(unit="further ones", reason=reason, count=len(units) - _LISTED))
    return tuple(named)


def _owners(request: Request) -> tuple[PublicKey, ...]:
    return tuple(
        PublicKey(name=owner.name, spki=load_public(request.folder / owner.key).spki)
        for owner in request.declaration.owner
    )


def _unreachable(request: Request) -> tuple[Declared, ...]:
    return tuple(
        Declared(
            id=said.id,
            what=said.what,
            owner=said.owner,
            evidence=Path(said.evidence).name,
            evidence_sha256=_digest(request.folder / said.evidence),
            level=said.level,
            state=said.state,
            people=said.people,
            types=said.types,
            jurisdiction=_laws(said.jurisdiction),
        )
        for said in request.declaration.declared
    )


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Refused(f"the evidence {path} cannot be read: {error.strerror}") from None


def _declared_counts(declaration: Declaration) -> dict[str, tuple[str, int]]:
    counts = {p.id: (p.owner, p.people) for p in declaration.place if p.people is not None}
    if declaration.people:
        counts["people"] = (declaration.people.owner, declaration.people.count)
    return counts


def _copies(declaration: Declaration, places: Sequence[str], people: People) -> tuple[Copy, ...]:
    said = [
        Copy(source=c.source, to=c.to, kind=c.kind, basis="declared", reason=c.reason)
        for c in declaration.copy
    ]
    shared = overlaps(people, range(len(places)))
    return (
        *said,
        *(
            Copy(source=places[one], to=places[other], kind="same-people", basis="found", count=count)
            for (one, other), count in shared.items()
        ),
    )


def _absolute(url: str, folder: Path) -> Target:
    return absolute(Target(id="discover", url=url), folder.absolute())
