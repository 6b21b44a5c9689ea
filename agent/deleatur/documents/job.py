"""The Job: what an operator asks for, in `job.toml` (docs/spec/job.md)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from msgspec import Meta, structs

from deleatur.documents.ledger import Day, Language
from deleatur.documents.place import MAX_INTEGER, ArchivePart, Code, Frozen, Role, Text
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


OPTIONS = {  # of the rules of an archive: which rules take it, and whether they need it
    "to": (("generalise",), True),
    "form": (("format-preserving",), True),
    "by": (("date-shift",), True),
    "known": (("redact",), False),
    "domain": (("keyed-hash", "format-preserving", "date-shift"), False),
}


class Coarser(Frozen, frozen=True):
    """A rung of the ladder: generalise a column further than its rule does."""

    column: Text
    to: Literal["year", "five-years", "decade", "first-letter", "first-2", "thousands"]


class RiskLimit(Frozen, frozen=True):
    """How far the kept columns together may single somebody out, and what gives way where they do."""

    quasi: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=5)]  # quasi-identifiers
    k: Annotated[int, Meta(ge=2, le=1000)]  # rows at least that agree in all of them
    sensitive: Text | None = None  # a column of which each such group has `l` different values
    l: Annotated[int, Meta(ge=2, le=1000)] | None = None  # noqa: E741  (the letter of the literature)
    suppress: Annotated[str, Meta(pattern=r"^0(\.[0-9]{1,6})?\Z")] = "0"  # share of rows that may lose them
    ladder: Annotated[
        tuple[Coarser, ...], Meta(max_length=8)
    ] = ()  # taken in order, until the rest is enough


class ArchivedTable(Frozen, frozen=True):
    """Records that are kept, desensitized. Every column needs a rule: silence is refused."""

    table: Text
    columns: dict[Text, Rule]
    where: tuple[Condition, ...] = ()
    risk: RiskLimit | None = None  # None: not measured


class Shares(Frozen, frozen=True):
    """An identity in the hands of several people: so many of its shares open."""

    needed: Annotated[int, Meta(ge=2, le=16)]
    of: Annotated[int, Meta(ge=2, le=16)]


class Custodian(Frozen, frozen=True):
    """Who can open the archive: an age recipient and a name that is not a person's."""

    name: Name
    recipient: Annotated[str, Meta(pattern=r"^age1[0-9a-z]{10,4000}\Z")]
    shares: Shares | None = None  # None: who has the identity opens alone
    key: Text | None = None  # file of the public key that signs receipts
    part: ArchivePart = "main"  # which package of each target they open, and no other

    def in_words(self) -> str:
        """Say how many people it takes to open the archive as this custodian."""
        return "alone" if self.shares is None else f"{self.shares.needed} of {self.shares.of} shares"


class ArchiveCopy(Frozen, frozen=True):
    """A place where a copy of every archive of the job has to lie."""

    id: Name
    url: Text  # of a folder on the medium
    medium: Literal["disk", "flash", "tape", "optical", "object-store"]
    site: Name  # a pseudonym of the building
    law: Code  # of the place


class Transfer(Frozen, frozen=True):
    """A decision that records of one law may lie under another."""

    law: Code
    to: Code
    record: Text  # the file of its record: docs/spec/transfer.md


class Custody(Frozen, frozen=True):
    """Who keeps the archives, until when, and in which copies. Files are relative to the job's directory."""

    retain_until: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
    custodian: Annotated[tuple[Custodian, ...], Meta(min_length=1, max_length=16)]
    copy: Annotated[tuple[ArchiveCopy, ...], Meta(max_length=16)] = ()
    without_copies: Text | None = None  # why the archive lies with the job only: approvers see it
    laws: tuple[Code, ...] = ()  # of the records that are archived
    packs: tuple[Text, ...] = ()  # policies of the operator's own, beside those that ship
    transfer: tuple[Transfer, ...] = ()

    def of(self, part: ArchivePart) -> "Custody":
        """Return the custody of one part: its custodians, and all else as it is."""
        return structs.replace(self, custodian=tuple(c for c in self.custodian if c.part == part))


class Target(Frozen, frozen=True):
    """What to erase: a URL, and for databases the rows."""

    id: Name
    url: Text
    technique: Text | None = None  # None: the strongest that the target allows
    select: tuple[Selection, ...] = ()
    hold: tuple[HeldRows, ...] = ()
    archive: tuple[ArchivedTable, ...] = ()
    others_write: bool = False  # to rows that stay, while the job runs: a change there does not end it
    leave_shared: bool = False  # blocks of files that other files or snapshots hold too: left, and named
    lift_hidden: bool = False  # have an ATA drive show the sectors that it hides, and overwrite them too


def parts_of(target: Target) -> tuple[ArchivePart, ...]:
    """Return the packages that the archive of a target has, in the order in which they are written."""
    if not target.archive:
        return ()
    return ("main", "last-four") if tables_of(target, "last-four") else ("main",)


def tables_of(target: Target, part: ArchivePart) -> tuple[ArchivedTable, ...]:
    """Return the tables of one package: all are in the main one, those with last four digits in the other."""
    if part == "main":
        return target.archive
    return tuple(structs.replace(t, risk=None) for t in target.archive if last_fours(t.columns))


def last_fours(rules: Mapping[str, Rule]) -> tuple[str, ...]:
    """Return the columns that stand in the last-four part only."""
    return tuple(name for name, rule in rules.items() if rule.rule == "keep-last-4")


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
    """How many keys must approve, in which roles, and how long the certificate is kept."""

    approvals: Annotated[int, Meta(ge=1, le=9)] = 2
    roles: Annotated[tuple[Role, ...], Meta(max_length=9)] = ()  # each by a key of its own
    certificate_retention_years: Annotated[int, Meta(ge=5, le=100)] = 10


class Verification(Frozen, frozen=True):
    """How hard to look afterwards."""

    mode: Literal["full", "sample"] = "full"
    confidence: Annotated[str, Meta(pattern=r"^0\.[0-9]{1,6}\Z")] = "0.99"
    max_bad_fraction: Annotated[str, Meta(pattern=r"^0\.[0-9]{1,6}\Z")] = "0.01"
    needles: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000  # values sampled for the residue scan
    device: bool = False  # also read the whole block device under the target
    memory: bool = False  # also read the memory of the server, where a target has one
    swap: bool = False  # also read the swap areas and core dumps of this host
    carver: Literal["foremost", "photorec"] | None = None  # a second opinion on whole devices


class Staff(Frozen, frozen=True):
    """Who may do what: keys of one person count once, and who approves does not run the job."""

    operator: Literal["named", "trained"]  # trained: on the very day


class FreeSpace(Frozen, frozen=True):
    """A file system whose free blocks are overwritten when all targets are erased."""

    id: Name
    folder: Text  # any folder on it; reserved blocks of the files below are written too
    margin: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]  # bytes left to other programs, and so out of reach


class Mapped(Frozen, frozen=True):
    """The data map that the job rests on. Files are relative to the job's directory."""

    file: Text
    packs: tuple[Text, ...] = ()  # policies of the operator's own, beside those that ship
    laws: tuple[Code, ...] = ()  # of what is selected, where the map names more for the whole place
    leaves: tuple[Name, ...] = ()  # places of the map that hold a copy, and are knowingly left


class Letter(Frozen, frozen=True):
    """What a letter in one language says; a template puts the four parts into order."""

    language: Language
    sender: Text
    reason: Text  # part 1: why the records go
    erased: Text  # part 2: which records; `cut_off` says when
    method: Text  # part 2: how
    export: Text  # part 3: how to get a copy before
    contact: Text  # part 3: where to object, and to write by the cut-off day
    template: Text | None = None  # a file of the operator's own, relative to the job's directory


class Paper(Frozen, frozen=True):
    """A file that the job rests on and that nobody here reads, relative to the job's directory."""

    id: Name
    kind: Literal["consent", "assessment", "contract", "opinion", "decision"]
    file: Text


class Recipients(Frozen, frozen=True):
    """A table that says who is told, and the columns that say where."""

    target: Name
    table: Text
    subject: Text  # the column that tells one person from another
    name: Text | None = None
    language: Text | None = None  # of a language tag or a country
    email: Text | None = None
    phone: Text | None = None
    postal: tuple[Text, ...] = ()
    app: Text | None = None
    where: tuple[Condition, ...] = ()  # needed where the target selects nothing from this table


class Notice(Frozen, frozen=True):
    """How people are told before their records go. Paths are relative to the job's directory."""

    folder: Text  # of the notice's key and ledger; it may serve a job that is planned anew
    cut_off: Day  # the last day to write back
    letter: Annotated[tuple[Letter, ...], Meta(min_length=1)]  # the first for who has no other language
    recipients: Annotated[tuple[Recipients, ...], Meta(min_length=1)]
    mail_from: Text | None = None  # the address that letters come from
    packs: tuple[Text, ...] = ()  # policies of the operator's own, beside those that ship
    days: Annotated[int, Meta(ge=0, le=366)] = 0  # if longer than the policies ask
    undelivered: Literal["hold", "except"] = "hold"  # records of whom no letter reached

    @property
    def held(self) -> str:
        """The `values_from` file of those who wrote back, and of those whom no letter reached."""
        return f"{self.folder.rstrip('/')}/held.txt"


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
    free_space: Annotated[tuple[FreeSpace, ...], Meta(max_length=64)] = ()
    custody: Custody | None = None
    staff: Staff | None = None
    datamap: Mapped | None = None
    notice: Notice | None = None
    without_notice: Text | None = None  # why nobody is told: printed in the certificate
    follows: Text | None = None  # directory of a finished job, whose held rows this one goes on with
    paper: tuple[Paper, ...] = ()  # consents, assessments: approvers see that they are there
    records: tuple[Name, ...] = ()  # folders in records/: what others destroyed before
