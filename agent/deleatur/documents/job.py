"""The Job: what an operator asks for, in `job.toml` (docs/spec/job.md)."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from deleatur.documents.place import MAX_INTEGER, Code, Frozen, Text
from deleatur.documents.place import Name as Name

Value = (
    Annotated[str, Meta(max_length=4096)]
    | Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    | float
    | bool
)

SCHEMA = "deleatur/job/v1"


class Within(Frozen, frozen=True):
    """A set of values read from another table of the same database."""

    table: Text
    column: Text
    where: tuple["Condition", ...] = ()


class Condition(Frozen, frozen=True):
    """One condition on one column. Names are checked against the schema, values are bound."""

    column: Text
    operator: Literal["=", "!=", "<", "<=", ">", ">=", "in", "is-null", "not-null", "within", "not-within"]
    value: Value | None = None
    values: tuple[Value, ...] | None = None
    values_from: Text | None = (
        None  # a file of the operator's, one value a line: for values that name a person
    )
    within: Within | None = None


class Selection(Frozen, frozen=True):
    """Rows of one table: those that meet every condition, or all."""

    table: Text
    where: tuple[Condition, ...] = ()


class HeldRows(Frozen, frozen=True):
    """Rows that stay whatever the selection says, because a matter is open."""

    id: Name
    reason: Text
    table: Text
    where: tuple[Condition, ...] = ()


class Rule(Frozen, frozen=True):
    """What becomes of one column in the archive."""

    rule: Literal[
        "keep",
        "drop",
        "null",
        "mask",
        "keep-last-4",
        "keyed-hash",
        "format-preserving",
        "date-shift",
        "generalise",
        "redact",
    ]
    to: (
        Literal[
            "year", "month", "five-years", "decade", "first-letter", "first-2", "first-3", "tens", "thousands"
        ]
        | None
    ) = None  # for generalise
    form: Literal["digits", "capitals", "letters", "bank-card", "resident-id"] | None = (
        None  # format-preserving
    )
    by: Text | None = None  # for date-shift: the column of the same table that names the subject
    known: tuple[Text, ...] | None = None  # for redact: columns whose values are sought in the row's own text
    domain: Name | None = None  # for rules with a key: columns of different domains never share a token


class ArchivedTable(Frozen, frozen=True):
    """Records that are kept, desensitized. Every column needs a rule: silence is refused."""

    table: Text
    columns: dict[Text, Rule]
    where: tuple[Condition, ...] = ()


class Custodian(Frozen, frozen=True):
    """Who can open the archive: an age recipient and a name that is not a person's."""

    name: Name
    recipient: Annotated[str, Meta(pattern=r"^age1[0-9a-z]{10,4000}\Z")]
    retain_until: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]


class Target(Frozen, frozen=True):
    """What to erase: a URL, and for databases the rows."""

    id: Name
    url: Text
    technique: Text | None = None  # None: the strongest that the target allows
    select: tuple[Selection, ...] = ()
    hold: tuple[HeldRows, ...] = ()
    archive: tuple[ArchivedTable, ...] = ()


def conditions_of(target: Target) -> Iterator[Condition]:
    """Yield every condition of a target, those inside `within` included."""
    parts: list[Selection | HeldRows | ArchivedTable] = [*target.select, *target.hold, *target.archive]
    for part in parts:
        yield from nested(part.where)


def nested(conditions: tuple[Condition, ...]) -> Iterator[Condition]:
    """Yield conditions, each before those inside its `within`."""
    for condition in conditions:
        yield condition
        if condition.within is not None:
            yield from nested(condition.within.where)


class Policy(Frozen, frozen=True):
    """How many keys must approve, and how long the certificate is kept."""

    approvals: Annotated[int, Meta(ge=1, le=9)] = 2
    certificate_retention_years: Annotated[int, Meta(ge=5, le=100)] = 10


class Verification(Frozen, frozen=True):
    """How hard to look afterwards."""

    mode: Literal["full", "sample"] = "full"
    confidence: Annotated[str, Meta(pattern=r"^0\.[0-9]{1,6}\Z")] = "0.99"
    max_bad_fraction: Annotated[str, Meta(pattern=r"^0\.[0-9]{1,6}\Z")] = "0.01"
    needles: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000  # values sampled for the residue scan
    device: bool = False  # also read the whole block device under the target


class Mapped(Frozen, frozen=True):
    """The data map that the job rests on. Files are relative to the job's directory."""

    file: Text
    packs: tuple[Text, ...] = ()  # policies of the operator's own, beside those that ship
    laws: tuple[Code, ...] = ()  # of what is selected, where the map names more for the whole place
    leaves: tuple[Name, ...] = ()  # places of the map that hold a copy, and are knowingly left


class Job(Frozen, frozen=True):
    """The whole request."""

    schema: Literal["deleatur/job/v1"]
    name: Name
    reason: Literal[
        "retention-expired", "subject-request", "contract-end", "decommission", "incident", "other"
    ]
    authority: Text  # the decision or law that this rests on
    requested_by: Name  # a pseudonym
    target: Annotated[tuple[Target, ...], Meta(min_length=1, max_length=1000)]
    policy: Policy = Policy()
    verification: Verification = Verification()
    custodian: Custodian | None = None
    datamap: Mapped | None = None
