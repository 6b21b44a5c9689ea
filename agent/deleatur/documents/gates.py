"""Gates: the conditions that a job rests on, as the plan carries them (docs/spec/plan.md).

A gate is planned, so approvers see it; it is asked in every run before anything changes and again
before every step; each time that it lets the job through is an entry of the journal.
"""

from typing import ClassVar, Literal

from deleatur.documents.detection import Level
from deleatur.documents.job import Recipients
from deleatur.documents.ledger import Day, LetterDigest
from deleatur.documents.place import (
    ArchivePart,
    Code,
    CopyKind,
    Count,
    Digest,
    Frozen,
    Instant,
    Moment,
    Name,
    PublicKey,
    Text,
)


class Gate(Frozen, frozen=True, tag_field="kind"):
    """Base of all gates; the tag is what the journal and the certificate call it."""

    after_archive: ClassVar[bool] = False  # asked when all archives are written, not before

    @property
    def name(self) -> str:
        """What journal and certificate call this gate."""
        return str(self.__struct_config__.tag)


class NotVerified(Frozen, frozen=True):
    """A place of the map that nobody could read."""

    place: Name
    state: Literal["attested", "lost", "unverifiable"]


class LeftCopy(Frozen, frozen=True):
    """A copy of a target that the job leaves, by name."""

    target: Name  # of the job
    place: Name  # of the map
    kind: CopyKind


class Lowered(Frozen, frozen=True):
    """A field of the map whose level is lower than that of its type: only two approvers may decide so."""

    place: Name
    table: Text
    field: Text
    type: Text
    level: Level


class MapGate(Gate, frozen=True, tag="datamap"):
    """The data map that names every target, closed and attested by all its owners."""

    file: Text  # absolute path
    digest: Digest  # sha256 hex of datamap.toml
    owners: Count  # who attested their parts
    people: Count  # that all places hold together
    laws: tuple[Code, ...]  # of what is selected, where the job narrows those of the map
    packs: tuple[Text, ...]  # "id version" of each policy that was asked
    unverified: tuple[NotVerified, ...]
    left: tuple[LeftCopy, ...]
    lowered: tuple[Lowered, ...]  # of the targets


class KnownHold(Frozen, frozen=True):
    """An open hold about a target of the job, whose rows the plan holds or does not select."""

    id: Name
    matter: Name
    authority: Text
    case: Text


class KnownRegister(Frozen, frozen=True):
    """The register of legal holds as it stood when the plan was made."""

    file: Text  # absolute path
    head: Digest  # sha256 hex of its last line
    entries: Count
    holds: tuple[KnownHold, ...]  # any other open hold about a target stops the job


class ReadFile(Frozen, frozen=True):
    """A file that a gate rests on."""

    file: Text  # absolute path
    digest: Digest  # sha256 hex


class HoldGate(Gate, frozen=True, tag="holds"):
    """What holds in every job of this agent: its register of legal holds, and its open matters."""

    register: KnownRegister | None
    policies: tuple[ReadFile, ...]  # whose matters stand in the targets' holds
    matters: Count  # that are defined there


class NoticeGate(Gate, frozen=True, tag="notice"):
    """People were told, in time, and who wrote back is held."""

    folder: Text  # absolute path of the notice
    digest: Digest  # sha256 hex of the first `entries` lines of its ledger
    entries: Count
    sealed_by: Text  # base64 of the SubjectPublicKeyInfo whose seal ends the ledger
    days: Count  # that people have, by the strictest policy or the job
    packs: tuple[Text, ...]  # ids of the policies that say so
    cut_off: Day
    last_told: Instant | None  # by the ledger; None: nobody could be told
    opens: Moment  # nothing may go before
    letters: tuple[LetterDigest, ...]
    recipients: tuple[Recipients, ...]
    undelivered: Literal["hold", "except"]
    told: Count  # people of the selection
    unreached: Count  # people of the selection whom no letter reached; 0 if those are held
    replied: Count  # people who wrote back; none of them is selected


class WithoutNotice(Gate, frozen=True, tag="without-notice"):
    """Nobody was told, and those who approve decide that it shall be so."""

    reason: Text
    digest: Digest  # sha256 hex of the reason
    days: Count  # that people should have had


class FollowGate(Gate, frozen=True, tag="follows"):
    """The finished job that this one goes on with: what it had to leave, because it was on hold."""

    file: Text  # absolute path of its certificate
    digest: Digest  # sha256 hex of that file
    job: Name
    held: Count  # units that it left


class KeptCopy(Frozen, frozen=True):
    """Where a copy of every archive has to lie."""

    id: Name
    folder: Text  # absolute
    medium: Text
    site: Name
    law: Code


class Allowed(Frozen, frozen=True):
    """A decision that records of one law may lie under another."""

    id: Name  # of its record
    law: Code
    to: Code
    until: Day  # the last day on which it may be relied on
    digest: Digest  # sha256 hex of the record


class CustodyGate(Gate, frozen=True, tag="custody"):
    """The archives lie in all their copies, and every custodian has opened them."""

    after_archive: ClassVar[bool] = True

    copies: tuple[KeptCopy, ...]
    custodians: tuple[PublicKey, ...]  # whose receipts count, by name
    last_four: tuple[PublicKey, ...]  # whose receipts count for the last-four parts
    laws: tuple[Code, ...]  # of the records
    packs: tuple[Text, ...]  # "id version" of each policy that was asked
    transfers: tuple[Allowed, ...]

    def receivers(self, part: ArchivePart) -> tuple[PublicKey, ...]:
        """Return whose receipts count for a part of an archive."""
        return self.last_four if part == "last-four" else self.custodians


class KnownRecord(Frozen, frozen=True):
    """A record of what others destroyed, verified when the plan was made."""

    id: Name
    folder: Name  # under records/
    digest: Digest  # sha256 hex of its envelope
    signers: tuple[Text, ...]  # fingerprints of all its parties, for approvers to compare
    exceptions: Count
    days_late: Count


class RecordGate(Gate, frozen=True, tag="records"):
    """What others destroyed before, attested by those who were there."""

    digest: Digest  # sha256 hex of the list of the records
    records: tuple[KnownRecord, ...]


class KnownPaper(Frozen, frozen=True):
    """A paper as it lay there when the plan was made."""

    id: Name
    kind: Literal["consent", "assessment", "contract", "opinion", "decision"]
    file: Text  # relative to the job's directory
    digest: Digest  # sha256 hex


class PaperGate(Gate, frozen=True, tag="papers"):
    """Consents, assessments and the like that the job rests on; nobody here reads what they say."""

    digest: Digest  # sha256 hex of the list of the papers
    papers: tuple[KnownPaper, ...]


class Member(Frozen, frozen=True):
    """Somebody, by a pseudonym, and all keys that are theirs."""

    name: Name
    keys: tuple[str, ...]  # base64 of the DER bytes
    trained_until: Day | None  # the last day as operator; None: runs nothing


class StaffGate(Gate, frozen=True, tag="staff"):
    """Who is who: keys of one person count once, and who approves does not run the job.

    What passes carries the digest of the operator's key, another in each run.
    """

    operator: Literal["named", "trained"]
    people: tuple[Member, ...]


AnyGate = (
    MapGate
    | HoldGate
    | FollowGate
    | NoticeGate
    | WithoutNotice
    | CustodyGate
    | RecordGate
    | StaffGate
    | PaperGate
)
