"""Legal holds: `hold.toml`, and the register `holds.jsonl` that keeps them (docs/spec/hold.md).

The register is append-only: one signed act a line, hash-chained, so that no line can be changed,
dropped or put between two others. It names places and rows by condition; who is held stands in a
values file, of which the register has a keyed digest only.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, structs

from deleatur.documents.codec import MAX_JOB, MAX_LINE, decode_canonical, decode_toml
from deleatur.documents.job import Condition, nested
from deleatur.documents.place import Count, Digest, Frozen, Instant, KeyedDigest, Name, Text
from deleatur.documents.plan import PublicKey
from deleatur.documents.rules import (
    Fault,
    absolute_url,
    faults_of_conditions,
    personal_text,
    raise_all,
    real_date,
)

Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
MatterKind = Literal[
    "open-order", "unpaid-receivable", "complaint", "dispute", "court-order", "audit", "other"
]
BY_TWO: frozenset[MatterKind] = frozenset({"court-order"})  # what one key alone cannot release


class Scope(Frozen, frozen=True):
    """What is held. Without a key of its own: everything, in every job."""

    job: Name | None = None  # one job, by its name
    place: Text | None = None  # the URL of a store or folder, with all that lies in it
    table: Text | None = None  # of that place
    where: tuple[Condition, ...] = ()  # rows of that table; none: all of them


class Hold(Frozen, frozen=True):
    """A reason why something must stay, as `hold.toml` has it."""

    schema: Literal["deleatur/hold/v1"]
    id: Name
    matter: MatterKind
    authority: Text  # the court, the law or the department that asks for it
    case: Text  # its number of the case
    since: Day
    scope: Scope


class Act(Frozen, frozen=True, tag_field="kind"):
    """Base of what a line of the register does."""


class Begun(Act, frozen=True, tag="begun"):
    """The register began. The digest of this line tells one register from every other."""

    schema: Literal["deleatur/holds/v1"]
    id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]


class Placed(Act, frozen=True, tag="placed"):
    """A hold was placed. `values` is the keyed digest of its values files, "" if it has none."""

    hold: Hold
    values: KeyedDigest


class Released(Act, frozen=True, tag="released"):
    """A key released a hold; a hold of two keys is open until a second one has."""

    hold: Name
    reason: Text


AnyAct = Begun | Placed | Released


class Line(Frozen, frozen=True):
    """What is signed of one line of the register."""

    n: Count  # 0, 1, 2, … without gaps
    at: Instant  # of the signer's clock
    previous: Digest  # sha256 hex of the line before, without its newline; for n = 0 only zeros
    by: PublicKey
    act: AnyAct


def decode_hold(content: bytes) -> Hold:
    """Decode `hold.toml`.

    Raises:
        Malformed: what docs/spec/hold.md forbids.
    """
    hold = decode_toml(content, Hold, limit=MAX_JOB)
    raise_all([*faults_of_hold(hold, "$")])
    return hold


def decode_line(content: bytes) -> Line:
    """Decode what is signed of one line of the register, which must be written the canonical way.

    Raises:
        Malformed: what docs/spec/hold.md forbids.
    """
    line = decode_canonical(content, Line, limit=MAX_LINE)
    match line.act:
        case Placed():
            raise_all([*faults_of_hold(line.act.hold, "$.act.hold")])
        case Released():
            raise_all([*personal_text(line.act.reason, "$.act.reason")])
    return line


def faults_of_hold(hold: Hold, where: str) -> Iterator[Fault]:
    """Yield every fault of `hold`."""
    yield from personal_text(hold.authority, f"{where}.authority")
    yield from personal_text(hold.case, f"{where}.case")
    yield from real_date(hold.since, f"{where}.since")
    scope = hold.scope
    if scope.job is not None and scope.place is not None:
        yield Fault("contradiction", f"{where}.scope", "one job or one place is held, not both")
    if scope.place is not None:
        yield from absolute_url(scope.place, f"{where}.scope.place")
    if scope.table is not None and scope.place is None:
        yield Fault("missing-key", f"{where}.scope", "a table needs the place in which it lies")
    if scope.where and scope.table is None:
        yield Fault("missing-key", f"{where}.scope", "conditions need the table whose rows they are about")
    yield from faults_of_conditions(scope.where, f"{where}.scope.where")


def values_files(scope: Scope) -> tuple[str, ...]:
    """Return the names of the values files that a scope rests on."""
    return tuple(sorted({c.values_from for c in nested(scope.where) if c.values_from is not None}))


def with_values_in(conditions: tuple[Condition, ...], folder: str) -> tuple[Condition, ...]:
    """Return conditions whose values files have the absolute names that they have in `folder`."""
    return tuple(_absolute(condition, folder) for condition in conditions)


def _absolute(condition: Condition, folder: str) -> Condition:
    within = condition.within
    if within is not None:
        within = structs.replace(within, where=with_values_in(within.where, folder))
    name = condition.values_from
    if name is not None and not name.startswith("/"):
        name = f"{folder}/{name}"
    return structs.replace(condition, within=within, values_from=name)
