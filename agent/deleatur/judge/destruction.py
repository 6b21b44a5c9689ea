"""Judge the record of a physical destruction, and make the statement that people sign about it.

Rules: what the register does not bear on the very day is refused; every piece that was handed over
was destroyed or stands as an exception; a technique that does not work on a carrier is no destruction;
all reasons are told at once. We measured nothing: the assurance is A1 and never more.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from deleatur.documents.attested import (
    DESTRUCTION_TYPE,
    AttestedDestruction,
    DestructionStatement,
    Entry,
    Evidence,
    Performer,
)
from deleatur.documents.carriers import LETTERS, TECHNIQUES, Carrier, largest_area
from deleatur.documents.certificate import STATEMENT_TYPE, Digest, Sentence
from deleatur.documents.codec import encode_json
from deleatur.documents.destruction import Destruction, Handover, Item, Treatment
from deleatur.documents.order import Order
from deleatur.documents.plan import PublicKey
from deleatur.documents.vendors import OURSELVES, Qualification, Vendor, Vendors
from deleatur.errors import Refused
from deleatur.judge.attesting import FileFact, entry_of, kept_until, known_key, subjects
from deleatur.judge.fingerprint import spki_bytes
from deleatur.judge.sentences import attested_sentence

_SHOWN = 5  # serials in one reason


@dataclass(frozen=True)
class _Performing:
    """Who destroyed, as the register knows them."""

    name: str
    key: PublicKey
    trained_until: str
    certificates: tuple[Qualification, ...]


def destruction_statement(
    record: Destruction, vendors: Vendors, files: Mapping[str, FileFact], entered_at: str
) -> bytes:
    """Return the in-toto Statement that operator and witnesses sign.

    Args:
        record: what people wrote.
        vendors: the register as it stood.
        files: what lies in the folder, by path: the two documents and `evidence/…`.
        entered_at: when the first of them signed, RFC 3339 in UTC with `Z`, to the second.

    Raises:
        Refused: it does not bear a statement; all reasons in one line.
        Invalid: a key is none that we use.
    """
    performing, reasons = _performing(record, vendors)
    reasons += _objections(record, files, [*([performing.key] if performing else []), *record.witness])
    if performing is None or reasons:
        raise Refused(f"not a destruction that may be signed: {'; '.join(reasons)}")
    entry = entry_of(record.ended, entered_at)
    predicate = AttestedDestruction(
        schema_version="deleatur/attested-destruction/v1",
        id=record.id,
        job=record.job,
        authority=record.authority,
        place=record.place,
        started_at=record.started,
        ended_at=record.ended,
        entry=entry,
        retain_until=kept_until(record.ended, record.keep_years),
        performer=Performer(
            id=record.by,
            name=performing.name,
            operator=record.operator,
            trained_until=performing.trained_until,
            key=known_key(performing.key),
            certificates=performing.certificates,
        ),
        witnesses=tuple(map(known_key, record.witness)),
        items=record.item,
        custody=record.handover,
        treatments=record.treatment,
        exceptions=record.missing,
        evidence=tuple(
            Evidence(
                file=e.file,
                kind=e.kind,
                digest=Digest(sha256=files[f"evidence/{e.file}"].sha256),
                size=files[f"evidence/{e.file}"].size,
                shows=e.shows or tuple(i.serial for i in record.item),
            )
            for e in record.evidence
        ),
        state="attested-with-exceptions" if record.missing else "attested",
        assurance="A1",
        sentences=_sentences(record, entry),
    )
    return encode_json(
        DestructionStatement(
            type_=STATEMENT_TYPE,
            subject=subjects(files),
            predicate_type=DESTRUCTION_TYPE,
            predicate=predicate,
        )
    )


def require_orderable(order: Order, vendors: Vendors, day: str) -> None:
    """Ask that the register bears a vendor on `day` (YYYY-MM-DD), and that the pieces came to them.

    Raises:
        Refused: they would be ordered to do what nobody may sign; all reasons in one line.
    """
    vendor = next((v for v in vendors.vendor if v.id == order.by), None)
    if vendor is None:
        raise Refused(f"the register has no vendor called {order.by}")
    carriers = {item.carrier for item in order.item}
    _, reasons = _qualified(vendor, vendors.requires, carriers, day, day)
    reasons += _custody(order.item, order.handover, order.by, "")
    if reasons:
        raise Refused(f"not an order that may be sent: {'; '.join(reasons)}")


def _sentences(record: Destruction, entry: Entry) -> tuple[Sentence, ...]:
    told = [attested_sentence("destruction-attested", witnesses=len(record.witness))]
    if record.missing:
        told.append(attested_sentence("pieces-missing", count=len(record.missing), all=len(record.item)))
    if entry.days_late:
        told.append(attested_sentence("entered-late", about=entry.about, days=entry.days_late))
    return tuple(told)


def _objections(
    record: Destruction, files: Mapping[str, FileFact], keys: Sequence[PublicKey]
) -> Iterator[str]:
    yield from _custody(record.item, record.handover, record.by, record.started)
    yield from _accounted(record)
    for treatment in record.treatment:
        yield from _effect(record, treatment)
    yield from _evidence(record, files)
    if len({spki_bytes(key) for key in keys}) != len(keys):
        yield "one key would attest twice: operator and witnesses need distinct keys"


def _performing(record: Destruction, vendors: Vendors) -> tuple[_Performing | None, list[str]]:
    """Find who destroyed in the register, and what speaks against them on the days of the record."""
    if record.by == OURSELVES:
        own = next((o for o in vendors.own_operator if o.name == record.operator), None)
        if own is None:
            return None, [f"the register has no own operator called {record.operator}"]
        key = PublicKey(name=own.name, spki=own.spki)
        return _Performing(OURSELVES, key, own.trained_until, ()), [*_training(record, own.trained_until)]
    vendor = next((v for v in vendors.vendor if v.id == record.by), None)
    if vendor is None:
        return None, [f"the register has no vendor called {record.by}"]
    operator = next((o for o in vendor.operator if o.name == record.operator), None)
    if operator is None:
        return None, [f"the register has no operator {record.operator} of {record.by}"]
    carriers = {item.carrier for item in record.item}
    first, last = record.started[:10], record.ended[:10]
    bearing, reasons = _qualified(vendor, vendors.requires, carriers, first, last)
    key = PublicKey(name=vendor.id, spki=vendor.spki)
    found = _Performing(vendor.name, key, operator.trained_until, bearing)
    return found, [*reasons, *_training(record, operator.trained_until)]


def _training(record: Destruction, until: str) -> Iterator[str]:
    if until < record.ended[:10]:
        yield f"the training of {record.operator} ended on {until}, before {record.ended[:10]}"


def _qualified(
    vendor: Vendor, requires: Sequence[str], carriers: Set[Carrier], first: str, last: str
) -> tuple[tuple[Qualification, ...], list[str]]:
    """Return the certificates that bear the job on its days, and why a required standard is not borne."""
    bearing, reasons = [], []
    for standard in dict.fromkeys(requires):
        held = [c for c in vendor.certificate if c.standard == standard]
        valid = [c for c in held if c.issued <= first and last <= c.expires]
        whole = [c for c in valid if carriers <= set(c.carriers)]
        if whole:
            bearing.append(whole[0])
        elif valid:
            outside = sorted(carriers - set(valid[0].carriers))
            reasons.append(f"the {standard} of {vendor.id} has not {', '.join(outside)} in its scope")
        elif held:
            spans = ", ".join(f"{c.issued} to {c.expires}" for c in held)
            reasons.append(f"the {standard} of {vendor.id} was not valid on {last}: it is valid {spans}")
        else:
            reasons.append(f"{vendor.id} holds no {standard}")
    return tuple(bearing), reasons


def _custody(items: Sequence[Item], handovers: Sequence[Handover], by: str, started: str) -> Iterator[str]:
    """Follow every piece from hand to hand to the one who destroys it; `started` is "" before that."""
    pieces = {item.serial for item in items}
    for n, handover in enumerate(handovers, 1):
        if strange := set(handover.serials) - pieces:
            yield f"handover {n} names {_few(strange)}, which no item is"
    if any(later.at < earlier.at for earlier, later in pairwise(handovers)):
        yield "the handovers are not in the order of their times"
    named = [(h, frozenset(h.serials) or pieces) for h in handovers]
    open_ends: dict[str, set[str]] = {}
    for serial in sorted(pieces):
        way = [handover for handover, serials in named if serial in serials]
        if any(later.giver != earlier.taker for earlier, later in pairwise(way)):
            open_ends.setdefault("the chain of custody is broken at", set()).add(serial)
        elif not way or way[-1].taker != by:
            open_ends.setdefault(f"never handed to {by}:", set()).add(serial)
        elif started and way[-1].at > started:
            open_ends.setdefault("handed over only after the destruction had started:", set()).add(serial)
    yield from (f"{what} {_few(serials)}" for what, serials in open_ends.items())


def _accounted(record: Destruction) -> Iterator[str]:
    """Ask that what went in is what came out: destroyed, or an exception."""
    handed = {item.serial for item in record.item}
    treated = {serial for treatment in record.treatment for serial in treatment.serials}
    missing = {one.serial for one in record.missing}
    if unknown := treated - handed:
        yield f"destroyed, and on no custody list: {_few(unknown)}"
    if unaccounted := handed - treated - missing:
        yield f"handed over, and neither destroyed nor declared missing: {_few(unaccounted)}"
    if both := treated & missing:
        yield f"both destroyed and missing: {_few(both)}"
    if strange := missing - handed:
        yield f"missing, and on no custody list: {_few(strange)}"


def _effect(record: Destruction, treatment: Treatment) -> Iterator[str]:
    """Ask whether a technique does anything to these carriers, and whether it bears its level."""
    carriers: dict[Carrier, list[str]] = {}
    treated = set(treatment.serials)
    for item in record.item:
        if item.serial in treated:
            carriers.setdefault(item.carrier, []).append(item.serial)
    for carrier, serials in carriers.items():
        if treatment.technique not in TECHNIQUES[carrier]:
            yield f"to {treatment.technique} does not destroy {carrier}: {_few(serials)}"
        if treatment.level and treatment.level[0] != LETTERS[carrier]:
            yield f"{carrier} has levels {LETTERS[carrier]}-1 to {LETTERS[carrier]}-7, not {treatment.level}"
    if not treatment.level:
        return
    area = largest_area(treatment.level)
    if area is None:
        return
    if treatment.technique == "crush":
        yield f"{treatment.level} asks for particles of at most {area} mm², and crushing leaves none"
    elif not treatment.particle:
        yield f"{treatment.level} asks for particles of at most {area} mm², and no `particle` is said"
    elif Decimal(treatment.particle) > area:
        yield f"particles of {treatment.particle} mm² are no {treatment.level}: at most {area} mm²"


def _evidence(record: Destruction, files: Mapping[str, FileFact]) -> Iterator[str]:
    lying = {name for name in files if name.startswith("evidence/")}
    named = {f"evidence/{e.file}" for e in record.evidence}
    if absent := named - lying:
        yield f"not there: {_few(absent)}"
    if unnamed := lying - named:
        yield f"in the folder, and not in the record: {_few(unnamed)}"
    if empty := {name for name in named & lying if files[name].size == 0}:
        yield f"empty: {_few(empty)}"
    pieces = {item.serial for item in record.item}
    shown: set[str] = set()
    for exhibit in record.evidence:
        if strange := set(exhibit.shows) - pieces:
            yield f"{exhibit.file} shows {_few(strange)}, which no item is"
        if exhibit.kind != "paper":
            shown |= set(exhibit.shows) or pieces
    treated = {serial for treatment in record.treatment for serial in treatment.serials}
    if unseen := (treated & pieces) - shown:
        yield f"no video and no photo shows {_few(unseen)}"


def _few(names: set[str] | Sequence[str]) -> str:
    """Name the first few."""
    listed = sorted(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
