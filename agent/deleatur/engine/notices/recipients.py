"""Who is told: the people of the job's selection, read from the stores through their backends.

Rules kept: names and addresses live in memory only; what leaves this module for a document is a
keyed digest or a count; a row that a hold keeps is not told that it goes.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from deleatur.documents.job import ArchivedTable, Condition, Job, Notice, Recipients, Rule, Target
from deleatur.documents.ledger import CHANNELS, Channel
from deleatur.documents.plan import PlannedTarget
from deleatur.engine.opening import Opener, Registry, absolute, secrets_for
from deleatur.engine.registry import scheme_of
from deleatur.errors import Refused
from deleatur.judge.letters import one_line
from deleatur.sanitize.digest import keyed_digest

_MARK = 16  # bytes of a person's digest: two of a billion people share them once in 2^69 such lists
Row = dict[str, Any]
Read = Callable[[ArchivedTable], Iterator[Row]]  # the rows that meet a condition, of one target


@dataclass(slots=True)
class Recipient:
    """One person to be told. Never written down."""

    digest: str  # keyed: what the ledger calls this person
    subject: str  # the value that tells this person from others, in the store
    name: str = ""
    language: object = None  # as the store says it: a language or a country
    contacts: tuple[tuple[Channel, str], ...] = ()  # in the order of trying

    @property
    def channels(self) -> Iterator[Channel]:
        """The channels by which this person can be written to, in the order of trying."""
        return (channel for channel, _ in self.contacts)

    def contact(self, channel: Channel) -> str:
        """Return the address of a channel that is among the contacts."""
        return dict(self.contacts)[channel]


class Waiting:
    """Recipients in the order in which they came, packed: a million people take some 250 MB."""

    def __init__(self) -> None:
        self._packed: list[bytes] = []

    def append(self, person: Recipient) -> None:
        """Put one more at the end."""
        self._packed.append(msgspec.msgpack.encode(person))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._packed)

    def __iter__(self) -> Iterator[Recipient]:
        """Yield each, unpacked."""
        return map(_UNPACK, self._packed)

    def some(self, size: int) -> Iterator[list[Recipient]]:
        """Yield them, at most `size` at a time."""
        for start in range(0, len(self._packed), size):
            yield list(map(_UNPACK, self._packed[start : start + size]))


_UNPACK = msgspec.msgpack.Decoder(Recipient).decode


def recipients_of(job: Job, registry: Registry, key: bytes, folder: Path) -> Iterator[Recipient]:
    """Yield everybody whom a job's notice names, each once.

    Whom only the notice's own list holds is among them: they may have to be written to in another way.
    """
    notice = notice_of(job)
    targets = {t.id: _without(absolute(t, folder), notice.held) for t in job.target}
    for wanted in notice.recipients:
        target = targets[wanted.target]
        yield from _people(wanted, target, key, partial(_rows, registry, target, key, folder))


def notice_of(job: Job) -> Notice:
    """Return the notice of a job.

    Raises:
        Refused: it has none.
    """
    if job.notice is None:
        raise Refused(f"the job {job.name} has no [notice]; docs/howto/tell-people.md says what goes there")
    return job.notice


def _without(target: Target, held: str) -> Target:
    """Return the target without the holds by the notice's own list."""
    kept = (h for h in target.hold if held not in {c.values_from for c in h.where})
    return replace(target, hold=tuple(kept))


def people_of_plan(
    wanted: Sequence[Recipients], planned: Iterable[PlannedTarget], key: bytes, opener: Opener
) -> Iterator[Recipient]:
    """Yield everybody of the targets as they were planned; each is opened as the target of the plan first."""
    targets = {t.id: t for t in planned}
    for part in wanted:
        if part.target in targets:
            target = targets[part.target]
            with opener.fresh(target) as (_, look):
                gone = look is None
            if not gone:
                yield from _people(part, target.target, key, partial(opener.rows, target))


def _rows(
    registry: Registry, target: Target, key: bytes, folder: Path, table: ArchivedTable
) -> Iterator[Row]:
    kind, _ = registry(scheme_of(target.url))
    asked = replace(target, archive=(table,))
    backend = kind.open(asked, secrets_for(asked, key, folder))
    try:
        yield from backend.records(table.table)
    finally:
        backend.close()


def _people(wanted: Recipients, target: Target, key: bytes, read: Read) -> Iterator[Recipient]:
    """Yield each person once; of several rows of a person the first that says where counts."""
    seen: set[bytes] = set()
    nowhere: dict[str, Recipient] = {}
    for row in _selected(wanted, target, read):
        person = _person(wanted, row, key)
        mark = bytes.fromhex(person.digest)[:_MARK]
        if mark in seen:
            continue
        if person.contacts:
            seen.add(mark)
            nowhere.pop(person.digest, None)
            yield person
        else:
            nowhere[person.digest] = person
    yield from nowhere.values()


def _selected(wanted: Recipients, target: Target, read: Read) -> Iterator[Row]:
    """Yield the rows that go: those of each selection, without those that a hold keeps.

    Conditions look at a row's own values only, so rows that are alike are held alike.
    """
    columns = {
        name: Rule(rule="keep")
        for name in (wanted.subject, wanted.name, wanted.language, *_columns(wanted))
        if name is not None
    }

    def rows(where: tuple[Condition, ...]) -> Iterator[Row]:
        yield from read(ArchivedTable(table=wanted.table, columns=columns, where=where))

    chosen = [s.where for s in target.select if s.table == wanted.table]
    held = {_mark(row) for h in target.hold if h.table == wanted.table for row in rows(h.where)}
    for where in chosen or [wanted.where]:
        for row in rows(where):
            if _mark(row) not in held:
                missing = [column for column in columns if column not in row]
                if missing:
                    raise Refused(f"{target.id}: {wanted.table} has no column {', '.join(missing)[:200]}")
                yield row


def _columns(wanted: Recipients) -> tuple[str | None, ...]:
    return wanted.email, wanted.phone, *wanted.postal, wanted.app


def _mark(row: Row) -> bytes:
    return hashlib.sha256(repr(sorted(row.items())).encode("utf-8", "surrogateescape")).digest()


def _person(wanted: Recipients, row: Row, key: bytes) -> Recipient:
    subject = "" if row[wanted.subject] is None else str(row[wanted.subject])
    if not subject.strip() or len(subject.splitlines()) > 1:  # it becomes a line of the list of who is held
        raise Refused(
            f"{wanted.table}.{wanted.subject} is empty in a row, or no single line; name another column"
        )
    postal = "\n".join(filter(None, (_text(row[column]) for column in wanted.postal)))
    said: dict[Channel, str] = {
        "email": _text(row[wanted.email]) if wanted.email else "",
        "phone": _text(row[wanted.phone]) if wanted.phone else "",
        "postal": postal,
        "app": _text(row[wanted.app]) if wanted.app else "",
    }
    return Recipient(
        digest=keyed_digest(key, b"subject", wanted.target.encode(), wanted.table.encode(), subject.encode()),
        subject=subject,
        name=_text(row[wanted.name]) if wanted.name else "",
        language=row[wanted.language] if wanted.language else None,
        contacts=tuple((channel, said[channel]) for channel in CHANNELS if said[channel]),
    )


def _text(value: object) -> str:
    return "" if value is None else one_line(str(value))
