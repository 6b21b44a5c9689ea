"""Find all records of one person over all places of a data map, and nobody else's.

Rules kept: stores are read and never changed; they are read again until nothing new follows, so
order does not matter; values stay in memory and go nowhere but to who asked.
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from deleatur.documents.datamap import DataMap, Place, Table
from deleatur.engine.mapped import Row, read_mapped
from deleatur.engine.opening import Registry
from deleatur.errors import Refused
from deleatur.judge.mentions import Mentions
from deleatur.judge.roles import Roles, Sieve, roles_of
from deleatur.judge.subject import Decision, Given, Identifier, Key, Record, Subject, blurred, decide

MOST = 100_000  # records of one table that anything leads to; one person has fewer, a shared key has more
_PASSES = 40  # as many tables may hang below one another
Tell = Callable[[str, int], None]  # place, records so far


@dataclass(frozen=True)
class Search:
    """Whose records are sought, and which columns lead to them."""

    datamap: DataMap
    given: Given
    links: Mapping[str, str] = field(default_factory=dict)  # column that points: column that it points to
    apart: Collection[str] = ()  # columns that are about somebody else
    decided: Mapping[str, bool] = field(default_factory=dict)  # a record's digest: theirs or not


@dataclass(frozen=True)
class Part:
    """The person's records in one table."""

    place: Place
    table: Table
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Aside:
    """A record that something leads to and that is not exported, with the reason."""

    place: str
    table: Table
    digest: str
    row: Row
    reason: str


@dataclass(frozen=True)
class Found:
    """What was found of one person. `mentions` and `unread` count by place and table, or place."""

    parts: tuple[Part, ...]
    others: tuple[Aside, ...]  # somebody else's, though an identifier is shared
    undecided: tuple[Aside, ...]  # for a person to decide
    mentions: Mapping[tuple[str, str], int]  # other records whose texts name the person
    unread: Mapping[str, int]

    @property
    def records(self) -> int:
        """Return how many records are theirs."""
        return sum(len(part.rows) for part in self.parts)


@dataclass(frozen=True)
class _Candidate:
    place: Place
    table: Table
    row: Row
    record: Record


def find_subject(search: Search, registry: Registry, tell: Tell = lambda _place, _records: None) -> Found:
    """Read all places until nothing new leads to a record; then count who else is named where.

    Raises:
        Refused: a column that is not in the map, a store that is not the one of the map, a column that
            is followed and does not tell records apart, or more records than one person can have.
    """
    roles = roles_of(search.datamap, search.links, search.apart, {column for column, _ in search.given.keys})
    identifiers, keys = set(search.given.identifiers), set(search.given.keys)
    by_table, unread = _collect(search, registry, roles, roles, identifiers, keys, tell)
    for _ in range(_PASSES):
        candidates = [c for table in roles for c in by_table[table]]
        decisions, subject = decide([c.record for c in candidates], search.given, search.decided)
        more = subject.identifiers - identifiers, subject.keys - keys
        if not any(more):
            break
        identifiers |= subject.identifiers
        keys |= subject.keys
        again = [table for table, role in roles.items() if role.concerned(*more)]
        by_table |= _collect(search, registry, roles, again, identifiers, keys, tell)[0]
    else:
        raise Refused(f"after {_PASSES} readings new records still follow; stop what writes to the stores")
    if column := blurred([c.record for c in candidates], decisions, subject):
        raise Refused(
            f"{column} has the same value in records of others: it cannot be followed; name each column "
            "that points to it with --apart"
        )
    mentions = _mentions(search, registry, roles, candidates, decisions, subject)
    return Found(
        parts=_parts(search.datamap, candidates, decisions),
        others=tuple(_aside(candidates, decisions, "other")),
        undecided=tuple(_aside(candidates, decisions, "undecided")),
        mentions=mentions,
        unread={place: count for place, count in unread.items() if count},
    )


def _collect(
    search: Search,
    registry: Registry,
    roles: Mapping[tuple[str, str], Roles],
    wanted: Collection[tuple[str, str]],
    identifiers: Collection[Identifier],
    keys: Collection[Key],
    tell: Tell,
) -> tuple[dict[tuple[str, str], list[_Candidate]], Counter[str]]:
    """Return the records of the wanted tables that anything leads to; a file is always read to its end."""
    found: dict[tuple[str, str], list[_Candidate]] = {table: [] for table in wanted}
    sieves = {table: Sieve(roles[table], identifiers, keys) for table in wanted}
    seen: Counter[str] = Counter()

    def visit(place: Place, table: Table, rows: Iterator[Row]) -> None:
        sieve, role = sieves.get((place.id, table.name)), roles[place.id, table.name]
        if sieve is None:
            deque(rows if table.files else (), maxlen=0)
            return
        here = found[place.id, table.name]
        for row in rows:
            seen[place.id] += 1
            if not seen[place.id] % 10_000:
                tell(place.id, seen[place.id])
            if sieve.holds(row):
                here.append(_Candidate(place, table, row, role.record(row, digest_of(role.where, row))))
                if len(here) > MOST:
                    raise Refused(
                        f"more than {MOST} records of {role.where} follow: a column that is "
                        "followed leads to other people; name it with --apart"
                    )

    places = (p for p in search.datamap.place if not p.table or any((p.id, t.name) in found for t in p.table))
    return found, read_mapped(replace(search.datamap, place=tuple(places)), registry, visit)


def digest_of(where: str, row: Row) -> str:
    """Return the SHA-256 (hex) of a record by which a person's decision on it is found again."""
    content = json.dumps([where, *map(repr, row)], ensure_ascii=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _mentions(
    search: Search,
    registry: Registry,
    roles: Mapping[tuple[str, str], Roles],
    candidates: list[_Candidate],
    decisions: tuple[Decision, ...],
    subject: Subject,
) -> dict[tuple[str, str], int]:
    """Count the records of others whose texts name the person, a copy of a text in an index not again."""
    mine = [c for c, d in zip(candidates, decisions, strict=True) if d.verdict == "theirs"]
    listed = {c.record.digest for c, d in zip(candidates, decisions, strict=True) if d.verdict != "untouched"}
    named = [
        [str(c.row[n]) for n in roles[c.place.id, c.table.name].names if isinstance(c.row[n], str)]
        for c in mine
        if c.record.name and c.record.name in subject.names
    ]
    sought = Mentions(subject.identifiers, named)
    texts: dict[str, set[str]] = {}
    for c in mine:
        texts.setdefault(c.place.id, set()).update(v for v in c.row if isinstance(v, str))
    counts: Counter[tuple[str, str]] = Counter()

    def visit(place: Place, table: Table, rows: Iterator[Row]) -> None:
        where = roles[place.id, table.name].where
        known = texts.get(place.id, set()) if table.kind == "full-text" else ()
        for row in rows:
            if sought.within(row, known) and digest_of(where, row) not in listed:
                counts[place.id, table.name] += 1

    read_mapped(search.datamap, registry, visit)
    return dict(counts)


def _parts(
    datamap: DataMap, candidates: list[_Candidate], decisions: tuple[Decision, ...]
) -> tuple[Part, ...]:
    rows: dict[tuple[str, str], list[Row]] = {}
    for candidate, decision in zip(candidates, decisions, strict=True):
        if decision.verdict == "theirs":
            rows.setdefault((candidate.place.id, candidate.table.name), []).append(candidate.row)
    return tuple(
        Part(place, table, tuple(rows[place.id, table.name]))
        for place in datamap.place
        for table in place.table
        if (place.id, table.name) in rows
    )


def _aside(candidates: list[_Candidate], decisions: tuple[Decision, ...], verdict: str) -> Iterator[Aside]:
    for c, d in zip(candidates, decisions, strict=True):
        if d.verdict == verdict:
            yield Aside(c.place.id, c.table, c.record.digest, c.row, d.reason)
