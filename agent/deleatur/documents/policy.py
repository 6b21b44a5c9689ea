"""The Policy: what becomes of which records under which law, in `policy/*.toml` (docs/spec/policy.md).

Every rule cites its source, where it stands, and how far that was checked. Packs are data: no
period and no country stands in code.
"""

from typing import Annotated, Literal, get_args

from msgspec import Meta

from deleatur.documents.detection import Level
from deleatur.documents.job import Condition
from deleatur.documents.place import Frozen, Name, Text

SCHEMA = "deleatur/policy/v1"

Category = Literal["logical-delete", "clear", "purge", "destroy"]
CATEGORIES: tuple[Category, ...] = ("logical-delete", "clear", "purge", "destroy")  # weakest first
ArchiveRule = Literal["keep", "drop", "null", "mask", "keep-last-4", "keyed-hash", "generalise"]
Purpose = Literal["accounting", "contract", "evidence", "marketing", "payment", "security", "service", "tax"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)

Word = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*\Z", max_length=64)]
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")]
# ISO 3166-1 alpha-2, or 3166-2; EU is reserved there for the Union; `any` stands for every place.
Jurisdiction = Annotated[str, Meta(pattern=r"^([A-Z]{2}(-[A-Z0-9]{1,3})?|any)\Z")]

CLASSES: dict[str, str] = {  # what a record is, whatever store holds it
    "account": "a customer's account: name, addresses, credentials, settings",
    "annual-report": "annual accounts and annual financial statements",
    "book": "ledgers, journals, inventories and other books of account",
    "browsing-record": "pages and products that a person looked at",
    "business-letter": "letters received and sent to conclude or carry out business, electronic ones too",
    "chat": "what a person and support wrote to each other, if no business was concluded in it",
    "complaint": "a complaint and how it was settled",
    "contract": "a contract and what belongs to it",
    "destroyed-records-list": "the list of accounting records that were destroyed",
    "destruction-record": "job, plan, journal and certificate of an erase",
    "evidence": "what a court, an arbitrator or an authority may ask for",
    "impact-assessment": "an assessment of the risk that processing brings to people",
    "interim-statement": "monthly, quarterly and half-yearly financial statements",
    "invoice": "an invoice, issued or received",
    "marketing-profile": "what was inferred about a person, in order to sell",
    "order": "an order: what was bought, when, at which price",
    "payment-secret": "payment passwords and complete card data",
    "privacy-request": "a person's request to see, correct or erase, and the answer to it",
    "processing-record": "the record of who processed personal data, of what kind and why",
    "reconciliation": "bank reconciliations and statements of account",
    "search-term": "what a person searched for",
    "tax-return": "tax returns and what was filed with them",
    "voucher": "accounting vouchers: what an entry in the books rests on",
}


class Source(Frozen, frozen=True):
    """Where a rule comes from, and how far somebody looked."""

    id: Word
    kind: Literal["law", "standard", "house"]  # house: nobody's law, our own caution or the operator's wish
    text: Text  # what it says, in one sentence
    where: Text  # article, and what was read to learn it
    date: Day  # of checking
    checked: Literal["verified", "read", "known-not-checked"]
    # verified: compared with the official text; read: in a secondary source; else from general knowledge


class ClassOfPack(Frozen, frozen=True):
    """A record class that this pack adds to the vocabulary."""

    id: Word
    meaning: Text


class Retention(Frozen, frozen=True):
    """How long the law keeps a record, in years from an event."""

    start: Word  # the event that starts it: issued, filed, closed …
    years: Annotated[int, Meta(ge=1, le=100)] | Literal["permanent"]
    begins: Literal["event", "end-of-calendar-year"] = "event"
    suspended_by: tuple[Word, ...] = ()  # causes while which the period does not run out
    suspension: Literal["defers-end", "stops-clock"] = "defers-end"


class DispositionRule(Frozen, frozen=True):
    """What becomes of the records of some classes."""

    id: Word
    classes: Annotated[tuple[Word, ...], Meta(min_length=1)]  # `any` alone: every class
    disposition: Literal["erase-now", "hold", "archive"]
    why: Text  # one sentence for a person
    sources: Annotated[tuple[Word, ...], Meta(min_length=1)]
    purpose: tuple[Purpose, ...] = ()  # empty: whatever it was collected for
    jurisdiction: tuple[Jurisdiction, ...] = ()  # empty: that of the pack
    in_force: Day | None = None  # first day; None: on every day that we decide about
    after: tuple[Word, ...] = ()  # erase-now: only once one of these has happened
    matters: tuple[Word, ...] = ()  # hold: while one of these is open
    retention: Retention | None = None  # archive: how long


class Protection(Frozen, frozen=True):
    """What records of a level need at least."""

    level: Level
    technique: Category  # the weakest category of technique that may erase them
    archive: tuple[ArchiveRule, ...]  # the rules that a column of this level may have in an archive
    sources: Annotated[tuple[Word, ...], Meta(min_length=1)]


class Notice(Frozen, frozen=True):
    """How long people are told before their records are erased."""

    days: Annotated[int, Meta(ge=0, le=366)]
    sources: Annotated[tuple[Word, ...], Meta(min_length=1)]


class CertificateTerm(Frozen, frozen=True):
    """How long the certificate is kept."""

    years: Annotated[int, Meta(ge=5, le=100)]
    sources: Annotated[tuple[Word, ...], Meta(min_length=1)]


class Residency(Frozen, frozen=True):
    """Where the archive of a jurisdiction's records may lie."""

    jurisdiction: Jurisdiction  # whose records; `any`: each jurisdiction's
    sources: Annotated[tuple[Word, ...], Meta(min_length=1)]
    within: tuple[Jurisdiction, ...] = ()  # places; empty: in the same jurisdiction


class Apart(Frozen, frozen=True):
    """Record classes that may not lie in one part of an archive."""

    classes: Annotated[tuple[Word, ...], Meta(min_length=1)]
    other: Annotated[tuple[Word, ...], Meta(min_length=1)]
    sources: Annotated[tuple[Word, ...], Meta(min_length=1)]


class Records(Frozen, frozen=True):
    """Of which class the records of a table are, in the operator's own stores."""

    table: Text
    record_class: Word
    place: Name | None = None  # a place of the data map or a target of the job; None: every one
    purpose: Purpose | None = None


class Reach(Frozen, frozen=True):
    """How an open matter holds the rows of a table: by a key that both have, or as its own rows."""

    table: Text
    column: Text | None = None  # of this table; None: the rows of the matter itself
    by: Text | None = None  # the column of the matter's table that has the same values


class Matter(Frozen, frozen=True):
    """When one department says that a matter is open, and which rows that holds, in one store."""

    id: Name
    matter: Word  # open-order, unpaid-receivable, dispute … as rules name it
    department: Word  # whose word it is: a matter is closed only when every department says so
    place: Text  # the URL of the store
    table: Text  # in which the matter stands
    holds: Annotated[tuple[Reach, ...], Meta(min_length=1)]
    where: tuple[Condition, ...] = ()  # its rows that are open; none: every row that is there
    spares: tuple[Text, ...] = ()  # tables that it knowingly does not hold


class Pack(Frozen, frozen=True):
    """One policy file. `policy` names the struct of a job that counts approvals; this is the law's side."""

    schema: Literal["deleatur/policy/v1"]
    id: Word
    version: Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+){0,3}\Z")]
    title: Text
    jurisdiction: Jurisdiction
    date: Day  # of the last look at it
    notice: Notice | None = None
    certificate: CertificateTerm | None = None
    source: tuple[Source, ...] = ()
    record_class: tuple[ClassOfPack, ...] = ()
    rule: tuple[DispositionRule, ...] = ()
    protection: tuple[Protection, ...] = ()
    residency: tuple[Residency, ...] = ()
    apart: tuple[Apart, ...] = ()
    records: tuple[Records, ...] = ()
    matter: tuple[Matter, ...] = ()
