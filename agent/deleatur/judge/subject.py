"""Decide which records are one person's: theirs, somebody else's, or for a person to decide. Pure.

Rules kept (docs/explanation/one-person.md): an address or number that others use too never pulls in
a record; what was found, and not given, links only where a name or date of birth confirms it; the
answer does not depend on the order of the records.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Literal

from deleatur.judge.names import Name, among

Identifier = tuple[str, str]  # family ("e-mail", "mobile", "number"), normalised value
Key = tuple[str, str]  # "place/table.column", value as text
Verdict = Literal["theirs", "other", "undecided", "untouched"]

CROWD = 4  # others beside whom an identifier may stand before it is an office's: a household has no more
LASTING = ("resident-id", "social-security-number")  # a person has one for life; others are renewed


@dataclass(frozen=True)
class Pointer:
    """A column of a record that points to a record elsewhere."""

    column: str  # "place/table.column"
    to: Key
    people: bool  # the table that it points to holds people


@dataclass(frozen=True)
class Record:
    """What a record says about whose it is."""

    digest: str
    identifiers: frozenset[Identifier] = frozenset()
    certain: frozenset[Identifier] = frozenset()  # those that belong to one person only
    lasting: frozenset[tuple[str, str]] = frozenset()  # kind and value of those that never change
    name: Name = frozenset()
    born: str = ""  # ISO 8601
    keys: frozenset[Key] = frozenset()
    points: tuple[Pointer, ...] = ()
    letter: bool = False  # between people, so not all that it says is about one


@dataclass(frozen=True)
class Given:
    """What the operator says of the person: identifiers are vouched for, a name or birth only tells apart."""

    identifiers: frozenset[Identifier] = frozenset()
    certain: frozenset[Identifier] = frozenset()
    lasting: frozenset[tuple[str, str]] = frozenset()
    names: frozenset[Name] = frozenset()
    born: frozenset[str] = frozenset()
    keys: frozenset[Key] = frozenset()


@dataclass(frozen=True)
class Decision:
    """The verdict on one record, with the reason in words that hold no data."""

    verdict: Verdict
    reason: str


@dataclass
class Subject:
    """What is known of the person so far."""

    given: Given
    decided: Mapping[str, bool]
    shared: frozenset[Identifier]  # others use them too
    crowded: frozenset[Identifier]  # a clerk's, a seller's: they lead nowhere
    found: set[Identifier] = field(default_factory=set)
    certain: set[Identifier] = field(default_factory=set)
    lasting: set[tuple[str, str]] = field(default_factory=set)
    names: set[Name] = field(default_factory=set)
    born: set[str] = field(default_factory=set)
    keys: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin with what was given."""
        self.certain |= self.given.certain
        self.lasting |= self.given.lasting
        self.names |= self.given.names
        self.born |= self.given.born

    @property
    def identifiers(self) -> set[Identifier]:
        """Return all that stand in records of theirs, or were given."""
        return self.found | self.given.identifiers

    def linked(self, record: Record) -> bool:
        """Say whether an identifier leads to the record."""
        return bool(record.identifiers & ((self.found - self.crowded) | self.given.identifiers))

    def certainly(self, record: Record) -> bool:
        """Say whether the record holds a number that only one person has, unless it is an office's."""
        return bool(record.certain & (self.certain - self.crowded))

    def take(self, record: Record, *, own: bool) -> None:
        """Add a record. `own`: it is about the person itself, so what it says of them holds elsewhere."""
        self.keys |= record.keys
        if own:
            self.found |= record.identifiers
            self.certain |= record.certain
            self.lasting |= record.lasting
            self.names |= {record.name} - {frozenset()}
            self.born |= {record.born} - {""}

    def contradicts(self, record: Record) -> bool:
        """Say whether something in the record is of another person."""
        return (
            among(record.name, self.names) == "different"
            or bool(record.born and self.born and record.born not in self.born)
            or _other_lasting(record.lasting, self.lasting)
        )

    def confirms(self, record: Record) -> bool:
        """Say whether the name or the date of birth is the person's."""
        return among(record.name, self.names) == "same" or record.born in self.born

    def vouched(self, record: Record, *, by: frozenset[Identifier]) -> bool:
        """Say whether the operator's own word reaches the record, by nothing that others use too."""
        return bool((record.identifiers & by) - self.shared or record.keys & self.given.keys)

    def elsewhere(self, record: Record) -> str:
        """Return the column by which the record belongs to another person too, or ""."""
        return next((p.column for p in record.points if p.people and p.to not in self.keys), "")

    def below(self, record: Record) -> bool:
        """Say whether the record points to one of theirs."""
        return any(p.to in self.keys for p in record.points)

    def touches(self, record: Record) -> bool:
        """Say whether anything leads from the person to the record."""
        return (
            self.linked(record)
            or bool(record.keys & self.given.keys)
            or self.below(record)
            or record.digest in self.decided
        )


def decide(
    records: Sequence[Record], given: Given, decided: Mapping[str, bool] | None = None
) -> tuple[tuple[Decision, ...], Subject]:
    """Return a decision on each record, and the subject as it is known then.

    `decided` is a person's word on single records, by digest. An identifier that turns out to be
    used by others voids what it alone brought in: all is judged anew without it.
    """
    shared: frozenset[Identifier] = frozenset()
    crowded: frozenset[Identifier] = frozenset()
    while True:
        subject = Subject(given, decided or {}, shared, crowded)
        theirs = _gather(records, subject)
        used, crowd = _used_by_others(records, theirs, subject), _crowded(records, subject)
        if used <= shared and crowd <= crowded:
            return tuple(_decision(n, r, theirs, subject) for n, r in enumerate(records)), subject
        shared |= used
        crowded |= crowd


def _gather(records: Sequence[Record], subject: Subject) -> set[int]:
    """Add records until nothing more follows: the sure ones first, each round in no order."""
    theirs: set[int] = set()
    while True:
        waiting = [n for n in range(len(records)) if n not in theirs]
        sure = [n for n in waiting if _sure(records[n], subject)]
        follow = [n for n in waiting if not sure and _follows(records[n], subject)]
        if not (chosen := sure or follow):
            for by in (subject.given.certain, subject.given.identifiers):  # numbers of one person first
                trusted = [n for n in waiting if _taken_on_trust(records[n], subject, by)]
                if chosen := _without_quarrel(records, trusted):
                    break
        if not chosen:
            return theirs
        theirs |= set(chosen)
        for n in chosen:
            subject.take(records[n], own=chosen is not follow and not records[n].letter)


def _sure(record: Record, subject: Subject) -> bool:
    if record.digest in subject.decided:
        return subject.decided[record.digest]
    return subject.linked(record) and subject.confirms(record) and not subject.contradicts(record)


def _follows(record: Record, subject: Subject) -> bool:
    """Say whether a record hangs below one of theirs, and is not another person's own."""
    return (
        subject.decided.get(record.digest, True)
        and subject.below(record)
        and not subject.elsewhere(record)
        and not (record.identifiers and subject.contradicts(record))
    )


def _taken_on_trust(record: Record, subject: Subject, by: frozenset[Identifier]) -> bool:
    named = bool(record.name or record.born)
    return (
        subject.decided.get(record.digest, True)
        and subject.vouched(record, by=by)
        and not subject.contradicts(record)
        and (named or not subject.elsewhere(record))
    )


def _without_quarrel(records: Sequence[Record], chosen: Sequence[int]) -> list[int]:
    """Return the records, or none if two of them cannot be one person's."""
    says = {(r.name, r.born, r.lasting) for r in (records[n] for n in chosen)}
    quarrel = any(
        among(one[0], {other[0]}) == "different"
        or bool(one[1] and other[1] and one[1] != other[1])
        or _other_lasting(one[2], other[2])
        for one, other in combinations(sorted(says, key=repr), 2)
    )
    return [] if quarrel else list(chosen)


def _used_by_others(records: Sequence[Record], theirs: Collection[int], subject: Subject) -> set[Identifier]:
    """Return the person's identifiers that stand in records of other people as well."""
    return {
        identifier
        for number, record in enumerate(records)
        if number not in theirs
        and (subject.decided.get(record.digest) is False or subject.contradicts(record))
        for identifier in record.identifiers & subject.identifiers
    }


def _crowded(records: Sequence[Record], subject: Subject) -> set[Identifier]:
    """Return the identifiers that were found and stand beside so many others that they are nobody's own.

    A clerk's address and a seller's tax number stand in the records of every customer.
    """
    beside: dict[Identifier, set[object]] = {
        each: set() for each in subject.found - subject.given.identifiers
    }
    for record in records:
        if not record.letter:
            others: set[object] = {*(record.identifiers - subject.identifiers)}
            others |= {record.name} if among(record.name, subject.names) == "different" else set()
            for identifier in record.identifiers & beside.keys():
                beside[identifier] |= others
    return {identifier for identifier, others in beside.items() if len(others) > CROWD}


def _decision(number: int, record: Record, theirs: Collection[int], subject: Subject) -> Decision:
    if number in theirs:
        return Decision("theirs", "decided" if record.digest in subject.decided else "linked")
    if subject.decided.get(record.digest) is False:
        return Decision("other", "decided")
    if not subject.touches(record):
        return Decision("untouched", "")
    given_keys = subject.given.keys
    contradicts = subject.contradicts(record)
    speaks_for_them = (
        subject.below(record)
        or subject.confirms(record)
        or subject.certainly(record)
        or bool(record.keys & given_keys)
    )
    if contradicts and not speaks_for_them:
        return Decision("other", "shares an identifier, and is somebody else's by name, birth or number")
    if contradicts:
        return Decision("undecided", "linked, but its name, birth or number is another one")
    if column := subject.elsewhere(record):
        return Decision("undecided", f"points to somebody else too, by {column}")
    if record.identifiers & subject.given.identifiers:
        return Decision("undecided", "shares an identifier that more than one person uses")
    return Decision("undecided", "shares an identifier that was found, not given, and no name confirms it")


def blurred(records: Sequence[Record], decisions: Sequence[Decision], subject: Subject) -> str:
    """Return a column that is followed although it does not tell records apart, or "".

    A part of a key, such as a tenant's number, stands in the records of many people.
    """
    return min(
        (
            column
            for record, decision in zip(records, decisions, strict=True)
            if decision.verdict != "theirs"
            for column, _ in record.keys & subject.keys
        ),
        default="",
    )


def _other_lasting(one: Iterable[tuple[str, str]], other: Iterable[tuple[str, str]]) -> bool:
    """Say whether two records hold different lifelong numbers of the same kind."""
    first, second = dict(one), dict(other)
    return any(second[kind] != value for kind, value in first.items() if kind in second)
