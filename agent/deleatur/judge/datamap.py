"""Judge a data map: what is open, whether a plan may rest on it, what a later map changed. Pure.

The gate is closed while anything is open: an unowned or unattested part, a difference that nobody
explained, something unread, a jurisdiction that nobody knows.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from deleatur.documents.codec import encode_json
from deleatur.documents.datamap import Copy, DataMap, Declared, Difference, People, Place, Table
from deleatur.documents.detection import Level
from deleatur.documents.place import Frozen, Name
from deleatur.errors import Refused

LEVELS: tuple[Level, ...] = ("public", "internal", "sensitive", "core")
_EMPTY = frozenset(
    {"a symbolic link, which is not followed", "a fifo", "a socket"}
)  # reasons of the file backend
_SHOWN = 5  # open items that one line names; the rest is counted


@dataclass(frozen=True)
class OpenItem:
    """One reason why no plan may rest on the map. `blocks`: only an attestation or a person closes it."""

    kind: Literal[
        "no-owner", "unattested", "difference", "unread", "jurisdiction", "count", "attested-only", "minors"
    ]
    where: str  # the id of a place, an owner or a difference
    what: str
    blocks: bool = True


class Part(Frozen, frozen=True):
    """What one owner signs: all of the map that is theirs, and what belongs to everybody.

    The ids of all places are in it, so nobody's place can be taken out of the map unnoticed.
    """

    owner: Name
    made_at: str
    as_of: str
    limits: tuple[str, ...]
    people: People
    places: tuple[str, ...]
    copy: tuple[Copy, ...]
    place: tuple[Place, ...]
    declared: tuple[Declared, ...]
    difference: tuple[Difference, ...]


def part_of(datamap: DataMap, owner: str) -> bytes:
    """Return the bytes that `owner` signs, in canonical form.

    Raises:
        Refused: nothing in the map belongs to them.
    """
    part = Part(
        owner=owner,
        made_at=datamap.made_at,
        as_of=datamap.as_of,
        limits=datamap.limits,
        people=datamap.people,
        places=(*(p.id for p in datamap.place), *(d.id for d in datamap.declared)),
        copy=datamap.copy,
        place=tuple(p for p in datamap.place if p.owner == owner),
        declared=tuple(d for d in datamap.declared if d.owner == owner),
        difference=tuple(d for d in datamap.difference if d.owner == owner),
    )
    if not (part.place or part.declared or part.difference):
        raise Refused(f"nothing in the data map belongs to {owner}; see its owners with `deleatur map`")
    return encode_json(part)


def owners_of(datamap: DataMap) -> tuple[str, ...]:
    """Return the owners of any part of the map, in order of their names."""
    named = {p.owner for p in datamap.place} | {d.owner for d in datamap.declared}
    named |= {d.owner for d in datamap.difference}
    return tuple(sorted(named - {""}))


def open_items(datamap: DataMap, attested: Collection[str]) -> tuple[OpenItem, ...]:
    """Return everything that is open; `attested` names the owners whose signature over their part holds.

    What blocks comes first, then what speaks of minors. Declared places are listed for ever, as attested
    and not verified.
    """
    items = [*_blocking(datamap, attested), *_minors(datamap)]
    for declared in datamap.declared:
        words = {"attested": "attested, not verified", "lost": "lost", "unverifiable": "unverifiable"}
        what = f"{declared.id} is {words[declared.state]} by {declared.owner}"
        items.append(OpenItem("attested-only", declared.id, what, blocks=False))
    items += [
        OpenItem("attested-only", place.id, f"{place.id} is {place.state}", blocks=False)
        for place in datamap.place
        if place.state in ("lost", "unverifiable")
    ]
    return tuple(items)


def gate(datamap: DataMap, attested: Collection[str]) -> None:
    """Let a plan rest on the map only when nothing that blocks is open.

    Raises:
        Refused: with what is open, in one line.
    """
    blocking = [item.what for item in open_items(datamap, attested) if item.blocks]
    if blocking:
        more = f"; and {len(blocking) - _SHOWN} more" if len(blocking) > _SHOWN else ""
        raise Refused(f"the data map is open: {'; '.join(blocking[:_SHOWN])}{more}")


def tables_from(datamap: DataMap, source: str) -> tuple[tuple[Place, Table], ...]:
    """Return the tables whose records came from `source`: their own, or else that of their place.

    Raises:
        Refused: nothing in the map came from there.
    """
    found = [(p, t, t.source or p.source) for p in datamap.place for t in p.table]
    chosen = tuple((p, t) for p, t, said in found if said.casefold() == source.casefold())
    if not chosen:
        known = ", ".join(sorted({said for _, _, said in found} - {""})) or "none"
        raise Refused(f"no table of the data map came from {source!r}; its sources: {known}")
    return chosen


def above(datamap: DataMap, most: Level) -> Iterator[str]:
    """Name everything that holds more than `most`, or that may: what nobody read or explained.

    Links, pipes and sockets hold no data. An explained difference over unread things is their owner's word.
    """
    explained = {d.id for d in datamap.difference if d.explanation}
    for place in datamap.place:
        for table in place.table:
            for field in table.field:
                if LEVELS.index(field.level) > LEVELS.index(most):
                    types = ", ".join(f"{f.type} {f.count}" for f in field.finding)
                    where = f" in {', '.join(table.units)}" if table.units else ""
                    yield f"{place.id}/{table.name}.{field.name} is {field.level} ({types}){where}"
        for unread in place.unread if f"unread-{place.id}" not in explained else ():
            if unread.reason not in _EMPTY:
                yield f"{place.id}: {unread.unit} was not read ({unread.reason})"
    for declared in datamap.declared:
        if LEVELS.index(declared.level) > LEVELS.index(most):
            yield f"{declared.id} is declared as {declared.level}"


def _minors(datamap: DataMap) -> Iterator[OpenItem]:
    for place in datamap.place:
        for table in place.table:
            for field in table.field:
                if field.minors:
                    what = f"{place.id}, {table.name}.{field.name} speaks of minors in {field.minors} of "
                    what += f"{table.sampled} records that were classified"
                    yield OpenItem("minors", place.id, what, blocks=False)


def _blocking(datamap: DataMap, attested: Collection[str]) -> Iterator[OpenItem]:
    for owner in owners_of(datamap):
        if owner not in attested:
            yield OpenItem("unattested", owner, f"{owner} has not attested their part")
    for difference in datamap.difference:
        if not difference.explanation:
            numbers = f"declared {difference.declared}, found {difference.found}"
            what = f"difference {difference.id} ({numbers}) is not explained"
            yield OpenItem("difference", difference.id, what)
    for place in datamap.place:
        if not place.owner:
            yield OpenItem("no-owner", place.id, f"{place.id} has no owner")
        if any(law.code == "unknown" for law in place.jurisdiction) or not place.jurisdiction:
            yield OpenItem("jurisdiction", place.id, f"the jurisdiction of {place.id} is unknown")
    if not datamap.people.complete:
        yield OpenItem("count", "people", "people could not all be counted; map fewer places at once")


def differences(
    declared: dict[str, tuple[str, int]],
    found: dict[str, int],
    unread: dict[str, int],
    owners: dict[str, str],
) -> tuple[Difference, ...]:
    """Compare what was declared with what was found, and name everything unread.

    `declared` has the owner and the number of each place, and of "people" for all of them together.
    """
    named = []
    for place, (owner, count) in declared.items():
        if found[place] != count:
            what = "people in all places, each counted once" if place == "people" else f"people in {place}"
            named.append(
                Difference(id=f"people-{place}", what=what, owner=owner, declared=count, found=found[place])
            )
    for place, count in unread.items():
        if count and owners.get(place):
            what = f"things in {place} that are there and were not read"
            named.append(
                Difference(id=f"unread-{place}", what=what, owner=owners[place], declared=0, found=count)
            )
    return tuple(named)


def left_after(datamap: DataMap, erased: Collection[str]) -> tuple[str, ...]:
    """Return the places that still hold copies of what the erased places held, by any chain of copies.

    Raises:
        Refused: the map has no place of that name.
    """
    known = {p.id for p in datamap.place} | {d.id for d in datamap.declared}
    if strangers := sorted(set(erased) - known):
        raise Refused(f"the data map has no place {strangers[0]!r}; its places: {', '.join(sorted(known))}")
    reached, waiting = set(erased), list(erased)
    while waiting:
        here = waiting.pop()
        for copy in datamap.copy:
            ends = {copy.source, copy.to}
            if here in ends:
                (there,) = ends - {here} or {here}
                if there not in reached:
                    reached.add(there)
                    waiting.append(there)
    return tuple(sorted(reached - set(erased)))


@dataclass(frozen=True)
class Change:
    """One thing that a later map has and an earlier one has not."""

    kind: Literal[
        "new-place",
        "new-table",
        "new-column",
        "higher-level",
        "new-type",
        "new-copy",
        "came-back",
        "not-mapped",
    ]
    what: str


def compare(old: DataMap, new: DataMap) -> tuple[Change, ...]:
    """Name what is new, what came back, and what the later map no longer looks at."""
    before = {place.id: place for place in old.place}
    found: list[Change] = []
    for place in new.place:
        earlier = before.pop(place.id, None)
        if earlier is None:
            found.append(Change("new-place", f"place {place.id}"))
            continue
        if earlier.state in ("erased", "lost") and any(t.records for t in place.table):
            found.append(Change("came-back", f"{place.id} was {earlier.state} and holds records again"))
        found += _tables(earlier, place)
    for gone in before.values():
        if gone.state == "found":
            found.append(Change("not-mapped", f"place {gone.id} is not in the later map"))
    known = {(c.source, c.to, c.kind) for c in old.copy}
    for copy in new.copy:
        if (copy.source, copy.to, copy.kind) not in known:
            found.append(Change("new-copy", f"{copy.source} and {copy.to}: {copy.kind}"))
    return tuple(found)


def _tables(earlier: Place, place: Place) -> Iterator[Change]:
    before = {_key(table): table for table in earlier.table}
    for table in place.table:
        old = before.get(_key(table))
        where = f"{place.id}, {table.name}"
        if old is None:
            yield Change("new-table", where)
            continue
        if table.records and not old.records:
            yield Change("came-back", f"{where}: {table.records} records where there were none")
        fields = {field.name: field for field in old.field}
        for field in table.field:
            known = fields.get(field.name)
            if known is None:
                yield Change("new-column", f"{where}, {field.name} ({field.type}, {field.level})")
                continue
            if LEVELS.index(field.level) > LEVELS.index(known.level):
                yield Change(
                    "higher-level", f"{where}, {field.name}: {known.level} before, {field.level} now"
                )
            for type_ in sorted({f.type for f in field.finding} - {f.type for f in known.finding}):
                yield Change("new-type", f"{where}, {field.name}: {type_}")


def _key(table: Table) -> tuple[str, ...]:
    """Tell a table by its name; files of one form, whose numbers change, by form and columns."""
    if table.files:
        return (table.kind, *(field.name for field in table.field))
    return (table.name,)
