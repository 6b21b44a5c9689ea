"""Judge whether a job may rest on a data map: every reason against it at once. Pure.

The map is closed and names every target as it is; it knows no copy that the job forgets; the
policies forbid nothing; and no table has a column of which the map does not know what it holds.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from msgspec.structs import replace

from deleatur.documents.datamap import LEVELS, DataMap, Place
from deleatur.documents.detection import Level
from deleatur.documents.gates import LeftCopy, Lowered, MapGate, NotVerified
from deleatur.documents.job import Job, Mapped
from deleatur.documents.place import Identity
from deleatur.documents.policy import Pack
from deleatur.errors import Refused
from deleatur.judge.datamap import gate as require_closed
from deleatur.judge.datamap import owners_of
from deleatur.judge.lint import narrowed, remarks_on_job, remarks_on_map

MIN_TO_LOWER = 2  # approvals of a plan that rests on a lower level than the type's: requirement 12
Columns = Mapping[str, tuple[str, ...]]  # of each table, as they are shown in a map


@dataclass(frozen=True)
class Standing:
    """A target as it stands there now, in the words of a map."""

    target: str
    url: str
    identity: Identity
    columns: Columns


def map_gate(
    job: Job,
    datamap: DataMap,
    standing: Sequence[Standing],
    packs: Sequence[Pack],
    *,
    attested: Collection[str],
    file: str,
    digest: str,
    on_date: date,
    levels: Mapping[str, Level],
) -> MapGate:
    """Return the gate of a job that rests on `datamap`.

    Args:
        job: with absolute URLs and the techniques that were chosen.
        datamap: the map.
        standing: each target as it stands there now.
        packs: all policies that are asked.
        attested: the owners whose signature over their part holds.
        file: where the map lies.
        digest: SHA-256 (hex) of the map.
        on_date: the day of the plan.
        levels: the level of each type of personal data.

    Raises:
        Refused: anything forbids it; all reasons in one line.
    """
    said = job.datamap
    if said is None:
        raise ValueError("a job without a data map has no such gate")  # the engine asks for one that has
    require_closed(datamap, attested)
    left = tuple(_left(job, datamap))
    lowered = tuple(_lowered(datamap, standing, levels))
    reasons = [
        *strangers(datamap, standing),
        *_forgotten(said, datamap, left),
        *_narrowing(said, datamap, standing),
        *_alone(job, lowered),
        *_forbidden(job, said, datamap, standing, packs, on_date),
    ]
    if reasons:
        raise Refused("; ".join(reasons))
    lost = (p for p in datamap.place if p.state in ("lost", "unverifiable"))
    return MapGate(
        file=file,
        digest=digest,
        owners=len(owners_of(datamap)),
        people=datamap.people.found,
        laws=said.laws,
        packs=tuple(f"{p.id} {p.version}" for p in packs),
        unverified=(
            *(NotVerified(place=d.id, state=d.state) for d in datamap.declared),
            *(NotVerified(place=p.id, state="lost" if p.state == "lost" else "unverifiable") for p in lost),
        ),
        left=left,
        lowered=lowered,
    )


def strangers(datamap: DataMap, standing: Sequence[Standing]) -> list[str]:
    """Name what of the targets the map does not know: the whole place, another identity, new columns."""
    places = {place.url: place for place in datamap.place}
    return [reason for now in standing for reason in _strange(now, places.get(now.url))]


def _strange(now: Standing, place: Place | None) -> Iterator[str]:
    if place is None:
        yield f"{now.target}: the data map does not name this place; map it with `deleatur discover`"
        return
    if dict(place.identity) != dict(now.identity.fields):
        yield f"{now.target}: not the store that the data map found at this place; map it again"
        return
    mapped = {table.name: {field.name for field in table.field} for table in place.table}
    for table, columns in now.columns.items():
        new = [column for column in columns if column not in mapped.get(table, set())]
        if new and table in mapped:
            yield f"{now.target}: the column {table}.{new[0]} is not in the data map; map it again"
        elif table not in mapped:
            yield f"{now.target}: the table {table} is not in the data map; map it again"


def _left(job: Job, datamap: DataMap) -> Iterator[LeftCopy]:
    """Yield every copy of a target that is no target itself; that people are the same makes no copy."""
    urls = {target.url: target.id for target in job.target}
    erased = {place.id: urls[place.url] for place in datamap.place if place.url in urls}
    for edge in datamap.copy:
        for here, there in ((edge.source, edge.to), (edge.to, edge.source)):
            if edge.kind != "same-people" and here in erased and there not in erased:
                yield LeftCopy(target=erased[here], place=there, kind=edge.kind)


def _forgotten(said: Mapped, datamap: DataMap, left: Sequence[LeftCopy]) -> Iterator[str]:
    for copy in left:
        if copy.place not in said.leaves:
            yield (
                f"{copy.target}: the data map knows a copy of it in {copy.place} ({copy.kind}); "
                "make that a target, or name it in datamap.leaves"
            )
    known = {*(p.id for p in datamap.place), *(d.id for d in datamap.declared)}
    for name in said.leaves:
        if name not in known:
            yield f"datamap.leaves names {name}, and the data map does not"


def _lowered(
    datamap: DataMap, standing: Sequence[Standing], levels: Mapping[str, Level]
) -> Iterator[Lowered]:
    urls = {now.url for now in standing}
    for place in (p for p in datamap.place if p.url in urls):
        for table in place.table:
            for field in table.field:
                usual = levels.get(field.type)
                if usual is not None and LEVELS.index(field.level) < LEVELS.index(usual):
                    yield Lowered(
                        place=place.id,
                        table=table.name,
                        field=field.name,
                        type=field.type,
                        level=field.level,
                    )


def _alone(job: Job, lowered: Sequence[Lowered]) -> Iterator[str]:
    if lowered and job.policy.approvals < MIN_TO_LOWER:
        field = lowered[0]
        yield (
            f"the data map lowers {field.table}.{field.field} ({field.type}) to {field.level}: "
            f"{MIN_TO_LOWER} must approve that"
        )


def _narrowing(said: Mapped, datamap: DataMap, standing: Sequence[Standing]) -> Iterator[str]:
    """Refuse to narrow to a law that the map did not find there: it would lead around a strict one."""
    urls = {now.url for now in standing}
    for place in datamap.place:
        strange = {*said.laws} - {law.code for law in place.jurisdiction}
        if place.url in urls and strange:
            yield f"datamap.laws names {', '.join(sorted(strange))}, and the data map does not for {place.id}"


def _forbidden(
    job: Job,
    said: Mapped,
    datamap: DataMap,
    standing: Sequence[Standing],
    packs: Sequence[Pack],
    on_date: date,
) -> Iterator[str]:
    urls = {now.url for now in standing}
    asked = narrowed(datamap, said.laws) if said.laws else datamap
    asked = replace(asked, place=tuple(p for p in asked.place if p.url in urls))
    remarks = [*remarks_on_map(asked, packs), *remarks_on_job(job, packs, asked, on_date)]
    return (f"{r.where}: {r.text}" for r in remarks if r.severity == "error")
