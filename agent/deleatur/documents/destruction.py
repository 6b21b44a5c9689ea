"""The record of a physical destruction, in `destruction.toml` (docs/spec/destruction.md), written by people.

What was handed over, through whose hands it went, what was done to each piece, what shows it, and who
stood by. Whether that may be signed is judged elsewhere: `deleatur.judge.destruction`.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.carriers import LEVELLED, Area, Carrier, Level, Technique
from deleatur.documents.codec import decode_toml
from deleatur.documents.place import Count, Frozen, Moment, Name, Text
from deleatur.documents.plan import PublicKey
from deleatur.documents.rules import Fault, personal_text, raise_all, twice

LEAST_YEARS = 3  # requirement 68: records of a destruction are kept for three years at least
Years = Annotated[int, Meta(ge=LEAST_YEARS, le=1000)]
Serial = Annotated[str, Meta(pattern=r"^[!-~]( ?[!-~]){0,127}\Z")]  # as printed on it; of a box, its label
JobName = Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?\Z")]  # "": of no job
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]  # in evidence/


class Item(Frozen, frozen=True):
    """One piece that was handed over: the custody list, in."""

    serial: Serial
    carrier: Carrier
    what: Text  # "ledgers 2010 to 2014", "disk 2 of crm-1": what it held, not whom
    maker: str = ""
    model: str = ""
    boxes: Count = 0
    grams: Count = 0


class Handover(Frozen, frozen=True):
    """The pieces went from one hand to the next; without `serials`, all of them."""

    at: Moment
    giver: Name
    taker: Name
    serials: tuple[Serial, ...] = ()
    seal: str = ""  # of the container


class Treatment(Frozen, frozen=True):
    """What was done to which pieces, by the serials that were read off at the machine."""

    technique: Technique
    serials: Annotated[tuple[Serial, ...], Meta(min_length=1)]
    level: Level = ""  # of ISO/IEC 21964, for what leaves pieces
    particle: Area = ""  # area of the largest particles in mm², as the machine is set
    machine: str = ""


class Missing(Frozen, frozen=True):
    """A piece that was handed over and not destroyed, and why: an exception for ever."""

    serial: Serial
    reason: Text


class Exhibit(Frozen, frozen=True):
    """A file in `evidence/`; without `shows`, it shows all pieces."""

    file: FileName
    kind: Literal["video", "photo", "paper"]
    shows: tuple[Serial, ...] = ()


class Destruction(Frozen, frozen=True):
    """The whole record."""

    schema: Literal["deleatur/destruction/v1"]
    id: Name
    authority: Text  # under which order or law
    started: Moment
    ended: Moment
    place: Text
    by: Name  # a vendor of the register, or `ourselves`
    operator: Name
    item: Annotated[tuple[Item, ...], Meta(min_length=1)]
    handover: Annotated[tuple[Handover, ...], Meta(min_length=1)]
    treatment: Annotated[tuple[Treatment, ...], Meta(min_length=1)]
    evidence: Annotated[tuple[Exhibit, ...], Meta(min_length=1)]
    witness: Annotated[tuple[PublicKey, ...], Meta(min_length=2)]
    missing: tuple[Missing, ...] = ()
    job: JobName = ""  # of deleatur, if it belongs to one
    keep_years: Years = 5


def decode_destruction(content: bytes) -> Destruction:
    """Decode `destruction.toml`.

    Raises:
        Malformed: what docs/spec/destruction.md forbids.
    """
    record = decode_toml(content, Destruction)
    raise_all([*faults_of_destruction(record)])
    return record


def faults_of_destruction(record: Destruction) -> Iterator[Fault]:
    """Yield every fault of `record`."""
    for moment, where in ((record.started, "$.started"), (record.ended, "$.ended")):
        if not _is_moment(moment):
            yield Fault("bad-value", where, "no such time")
    yield from faults_of_custody(record.authority, record.item, record.handover, record.witness)
    if record.ended < record.started:
        yield Fault("contradiction", "$.ended", "ended before it started")
    yield from twice((m.serial for m in record.missing), "$.missing", "serial")
    yield from twice((e.file for e in record.evidence), "$.evidence", "file")
    yield from personal_text(record.place, "$.place")
    for n, missing in enumerate(record.missing):
        yield from personal_text(missing.reason, f"$.missing[{n}].reason")
    for n, treatment in enumerate(record.treatment):
        where = f"$.treatment[{n}]"
        yield from twice(treatment.serials, f"{where}.serials")
        if treatment.particle and not Decimal(treatment.particle):
            yield Fault("bad-value", f"{where}.particle", "no particle has an area of 0 mm²")
        if treatment.technique in LEVELLED and not treatment.level:
            yield Fault("missing-key", where, "what leaves pieces needs a `level` of ISO/IEC 21964")
        if treatment.technique not in LEVELLED and (treatment.level or treatment.particle):
            yield Fault("contradiction", where, "only what leaves pieces has a `level` and a `particle`")


def faults_of_custody(
    authority: str, items: Sequence[Item], handovers: Sequence[Handover], witnesses: Sequence[PublicKey]
) -> Iterator[Fault]:
    """Yield every fault of what was handed over, of a record or of an order."""
    for n, handover in enumerate(handovers):
        if not _is_moment(handover.at):
            yield Fault("bad-value", f"$.handover[{n}].at", "no such time")
    yield from twice((i.serial for i in items), "$.item", "serial")
    yield from twice((w.name for w in witnesses), "$.witness", "name")
    yield from personal_text(authority, "$.authority")
    for n, item in enumerate(items):
        yield from personal_text(item.what, f"$.item[{n}].what")
        if item.carrier == "paper" and not item.boxes and not item.grams:
            yield Fault("missing-key", f"$.item[{n}]", "paper needs `boxes` or `grams`")


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
