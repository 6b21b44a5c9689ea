"""The vetted sentences of certificates: all that we say about an erase, and about its limits.

Rules: a sentence is never changed once it stood in a certificate, a new wording gets a new id; no
word that promises more than was read; an id that is not here cannot be certified.
"""

from typing import Literal, NamedTuple

from deleatur.documents.certificate import Sentence
from deleatur.errors import Refused

# Tests look for these in every text of ours.
FORBIDDEN = (
    "unrecoverable",
    "irrecoverable",
    "impossible",
    "guaranteed",
    "100 %",
    "100%",
    "military",
    "dod-grade",
    "forensically proven",
)


class Limit(NamedTuple):
    """Something that the evidence does not reach, and what it does to the claim.

    A boundary is printed and changes nothing: it holds for every erase of this kind. An exception
    is listed with the outcome. A cap says that the erase itself did not reach what it should.
    """

    effect: Literal["boundary", "exception", "cap"]
    type: str
    text: str


CLAIMS = {
    "executed": "All steps ended by {at}; as a whole the result counts as not verified.",
    "overwritten-complete": (
        "At {at} every place of the target was read back (places: {read}, bytes: {size}) and held exactly "
        "what it was overwritten with."
    ),
    "overwritten-sampled": (
        "At {at} a sample of {read} of {population} places was read back and held exactly what it was "
        "overwritten with: with confidence {confidence}, a fraction of less than {fraction} of all places "
        "did not."
    ),
    "device-reported": (
        "By {at} the device had taken a command to erase itself and had reported that it was done; commands "
        "and answers stand with the method."
    ),
    "markers-written": (
        "At {at}, before the command, markers were read back at every place where they had been written "
        "(places: {read}, bytes: {size})."
    ),
    "markers-changed": (
        "At {at}, after the command, every marker was read again and no sector of any held what it had held "
        "(places: {read}, bytes: {size})."
    ),
    "overwritten-readable": (
        "At {at} places of the target were read back (places: {read}, bytes: {size}) and held exactly what "
        "they were overwritten with; of others the medium did not show every byte (places: {left})."
    ),
    "absent-complete": (
        "At {at} a fresh look found nothing of what was selected (units: {units}), and nothing could be read "
        "where places had been sampled before (places: {places})."
    ),
    "absent-sampled": (
        "At {at} a fresh look found nothing of what was selected (units: {units}), and nothing could be read "
        "at a sample of the places (places: {places})."
    ),
    "searched": (
        "By {at} values sampled before the erase were searched in the raw bytes of the surfaces that could "
        "be read (values: {values}, bytes: {size}, surfaces: {surfaces}) and not found; the same search saw "
        "{seen} of them before the erase."
    ),
    "searched-sampled": (
        "The values searched by {at} are a sample: with confidence {confidence}, a fraction of less than "
        "{fraction} of all such values was still there."
    ),
    "gate-datamap": (
        "The job rested on the data map with the digest {digest}: at {at} every part was attested by its "
        "owner (owners: {owners}). The map shows what was looked at, it is no list of all that exists."
    ),
    "gate-follows": (
        "This job goes on with what the job {job} left because it was on hold (units: {units}); its "
        "certificate, with the digest {digest}, was there at {at}."
    ),
    "gate-holds": (
        "At {at} the register of legal holds, as it stood with the digest {digest}, named nothing that was "
        "still to be erased (open holds: {open}). A hold that nobody placed was not known."
    ),
    "gate-matters": (
        "At {at} the policies that say which matters are open were those of the plan (definitions: "
        "{matters}); rows of which the target itself said so stayed."
    ),
    "gate-notice": (
        "People were told before: at {at} the ledger with the digest {digest} named everybody concerned "
        "who could be reached (people: {told}, the last at {last}). {days} days and the cut-off day "
        "{cut_off} were over, and what belongs to those who wrote back was held (people: {replied}). That a "
        "letter was taken over or delivered does not show that it was read."
    ),
    "space-filled": (
        "By {at} the free blocks of the file system were overwritten (bytes: {written}); all of them were "
        "read back on its block device and held exactly what was written (places: {read}, bytes: {size}). "
        "The same comparison saw other bytes there before (places: {control})."
    ),
    "space-filled-sampled": (
        "By {at} the free blocks of the file system were overwritten (bytes: {written}); a sample of {read} "
        "of {population} places was read back on its block device and held exactly what was written: with "
        "confidence {confidence}, a fraction of less than {fraction} of all places did not. The same "
        "comparison saw other bytes there before (places: {control})."
    ),
    "reserved-written": (
        "Before {at} blocks that files had reserved and never written were overwritten with zeros, or given "
        "back (bytes: {size})."
    ),
    "token-key-erased": (
        "At {at} the key of the archive's tokens was overwritten where it lay and removed: no file of this"
        " job gives the token of a known value any more. Whoever copied the key before still has it."
    ),
    "risk-kept": (
        "By {at} the groups had been counted in what was written; no value was left out of the archive for "
        "them. Who knows more of a person than the named columns may still tell who it is."
    ),
    "risk-suppressed": (
        "By {at} the groups had been counted in what was written. In some rows the values of the named "
        "columns were left out of the archive: nothing in it keeps them (rows: {rows}). Who knows more of a "
        "person than the named columns may still tell who it is."
    ),
    "gate-custody": (
        "By {at} each archive lay in its copies (copies: {copies}, kinds of medium: {media}, sites: {sites}),"
        " no two of them on one medium, each read back whole; every custodian had signed a receipt which "
        "shows that it was opened (receipts: {receipts})."
    ),
    "gate-custody-transfer": (
        "At {at} the record of a transfer {record} (digest {digest}) let records of {law} lie under {to} "
        "until {until}; the plan that names it was approved as legal, it and business. Whether the law lets "
        "them is not said here."
    ),
    "gate-records": (
        "What others destroyed is attested, not verified: at {at} its records were there, signed by all "
        "their parties (records: {records}, digest of their list: {digest})."
    ),
    "gate-papers": (
        "At {at} the papers that the plan names lay there as they did when it was approved (papers: "
        "{papers}, digest of their list: {digest}). What they say nobody read here."
    ),
    "gate-staff": (
        "At {at} the job was run by {operator}, who had not approved it; approvals by keys of one person "
        "counted once. Who holds which key is as the settings of the agent say it (people: {people}), and "
        "nothing shows more."
    ),
    "gate-staff-trained": "At {at} the training of {operator} was entered as valid until {until}.",
    "kept": "What had to stay in the target had the same keyed digest before and after, at {at}.",
}

LIMITS = {
    "copy-on-write": Limit(
        "cap",
        "not-reached",
        "The file system writes changed blocks to new places: the old blocks were not overwritten.",
    ),
    "shared-extents": Limit(
        "cap",
        "not-reached",
        "Blocks were shared with another file or a snapshot: the shared blocks were not overwritten.",
    ),
    "compressed-extents": Limit(
        "cap",
        "not-reached",
        "The file system stores blocks compressed, in new places at each write: the old blocks were not "
        "overwritten.",
    ),
    "data-journal": Limit(
        "cap",
        "not-reached",
        "The file system writes data through its journal: older copies of blocks may stand there until it is "
        "used again.",
    ),
    "network-file-system": Limit(
        "cap",
        "not-reached",
        "The file system is served over a network: where the server wrote could not be seen from here.",
    ),
    "unknown-file-system": Limit(
        "cap", "not-reached", "It is not known whether this file system overwrites blocks in place."
    ),
    "placement-unknown": Limit(
        "cap", "not-reached", "The file system did not say on which blocks the bytes of every file lie."
    ),
    "inline-data": Limit(
        "cap",
        "not-reached",
        "Small files lie among the records of the file system, which copies them through its journal.",
    ),
    "open-files-unseen": Limit(
        "exception",
        "not-probed",
        "Some processes could not be looked into: whether they had the files open is not known.",
    ),
    "memory-file-system": Limit(
        "exception",
        "not-probed",
        "The file system lives in memory: what the system had swapped out was not looked at.",
    ),
    "flash": Limit(
        "exception",
        "over-provisioned",
        "The medium is flash: its controller may keep old copies in cells without an address. "
        "An overwrite by the host is Clear, never Purge.",
    ),
    "layered-device": Limit(
        "exception",
        "not-reached",
        "The block device is made by software of something below it (a mapping, an array, an image, a "
        "virtual machine's disk): whether that keeps old blocks was not looked at.",
    ),
    "reserved-blocks": Limit(
        "exception",
        "not-reached",
        "The file system keeps its last free blocks for the administrator: those that the target gave back "
        "into that part were not overwritten.",
    ),
    "freed-blocks": Limit(
        "cap",
        "not-reached",
        "The target gave back blocks that nobody can name, and they were not overwritten: they lie in the "
        "free space of its file systems.",
    ),
    "space-left": Limit(
        "exception",
        "not-reached",
        "Free blocks that the file system gave to no file were not overwritten (bytes: {count}).",
    ),
    "space-margin": Limit(
        "exception",
        "not-reached",
        "Free space was left to other programs, as the plan says, and not overwritten (bytes: {count}).",
    ),
    "reserved-in-use": Limit(
        "exception",
        "not-reached",
        "Blocks that files had reserved and never written were not overwritten: the files were in use "
        "(files: {files}, bytes: {count}).",
    ),
    "reserved-not-read": Limit(
        "exception",
        "not-probed",
        "Blocks that files had reserved and never written may hold what lay there before: they read as "
        "zeros, and the device below could not be read (bytes: {count}).",
    ),
    "file-system-records": Limit(
        "boundary",
        "not-probed",
        "A fill reaches free blocks: neither the unused space inside files nor blocks that held the file "
        "system's own records while it ran.",
    ),
    "symlink-text": Limit(
        "exception",
        "not-overwritten",
        "The text of symbolic links was removed by the file system and not overwritten.",
    ),
    "links-elsewhere": Limit(
        "exception",
        "not-reached",
        "Symbolic links lead out of the target, and what they lead to was left as it was.",
    ),
    "extended-attributes": Limit(
        "exception",
        "not-overwritten",
        "Extended attributes were replaced through the file system, which may keep older values in unused "
        "space of inodes and in its journal.",
    ),
    "directory-names": Limit(
        "exception",
        "not-overwritten",
        "Names were replaced before removal: older copies may stand in unused space of directories and in "
        "the journal of the file system.",
    ),
    "logical-only": Limit(
        "cap",
        "not-reached",
        "Rows were deleted through the server's interface only: its files, logs and free pages may hold them "
        "until it writes there again.",
    ),
    "attested-by-token": Limit(
        "cap",
        "not-reached",
        "Only the token said that the keys are gone, and its memory cannot be read from outside: that it "
        "overwrote them is its maker's word.",
    ),
    "needles-lost": Limit(
        "cap",
        "not-probed",
        "The sampled values were lost before the last search, so that search is not conclusive.",
    ),
    "not-conclusive": Limit("cap", "not-probed", "The search for residue was not conclusive: {reason}."),
    "values-too-short": Limit(
        "exception",
        "not-probed",
        "Some sampled values were too short or too plain to be searched for (values: {count}).",
    ),
    "values-shared": Limit(
        "exception",
        "not-probed",
        "Some sampled values also stand in what must stay, or in the conditions of the job, and were not "
        "searched for (values: {count}).",
    ),
    "others-wrote": Limit(
        "exception",
        "not-probed",
        "Others wrote to the target while the job ran, as its plan says: what had to stay is not what it was "
        "before, and whether they alone changed it was not looked at.",
    ),
    "surface-not-read": Limit(
        "exception", "not-probed", "The surface {name} was not read raw, although it could have been."
    ),
    "device-word": Limit(
        "boundary",
        "device",
        "That the device erased all that it holds, also where no address leads, is its own word: read were "
        "markers, at places that the plan names.",
    ),
    "ranges-not-read": Limit(
        "exception",
        "unreadable",
        "The medium did not show every byte after the erase (ranges: {ranges}, bytes: {count}; of these it "
        "took no writing at: {refused}). What they hold is not known; each range stands in the comparison.",
    ),
    "surface-unreadable": Limit(
        "cap",
        "unreadable",
        "A part of the surface {name} could not be read after the erase (bytes: {count}).",
    ),
    "earlier-finding": Limit(
        "exception",
        "tool-error",
        "An earlier look in this job found something left; the journal says when, and a later look did not.",
    ),
    "surface-out-of-reach": Limit("boundary", "not-probed", "The surface {name} was out of reach: {reason}."),
    "surface-attested": Limit(
        "boundary", "not-probed", "The surface {name} can only be attested by its provider: {reason}."
    ),
    "surface-without-control": Limit(
        "boundary",
        "not-probed",
        "The surface {name} was searched without a control of its own: it need not have held the values "
        "before the erase, so that only the search of the other surfaces shows that they would be seen.",
    ),
    "held-units": Limit("boundary", "legal-hold", "What is held was left where it is (units: {count})."),
    "earlier-free-blocks": Limit(
        "boundary", "not-probed", "Blocks that the target gave back before this job were not overwritten."
    ),
    "sealed-values": Limit(
        "boundary",
        "not-erased",
        "What was sealed under the destroyed keys was left as it is, in every copy of it: who has a copy of "
        "a key can open it. That nothing of it was ever stored unsealed was not looked at.",
    ),
    "numbers-not-searched": Limit(
        "boundary",
        "not-probed",
        "Only texts and blobs were searched in raw bytes: a number is stored in too few bytes to be told "
        "from others, so numbers were looked for as rows only.",
    ),
    "small-numbers-not-searched": Limit(
        "boundary",
        "not-probed",
        "Of numbers and times, only those were searched in raw bytes of which six bytes or more say "
        "something: whole numbers from 2^40 on, times with a fraction of a second, hardware addresses, "
        "decimals of MariaDB and floating-point numbers of MariaDB and SQLite that have as many digits. "
        "Others were looked for as rows only.",
    ),
    "index-parts-not-searched": Limit(
        "boundary",
        "not-probed",
        "Indexes of the database keep parts of values without their beginnings. Only whole values were "
        "searched: a part that an index kept would not have been seen. These indexes were written anew.",
    ),
    "packed-numbers-not-searched": Limit(
        "boundary",
        "not-probed",
        "Columns of numbers that the database packs into bits, as it does with most, were looked for as rows "
        "only.",
    ),
    "no-integrity-check": Limit(
        "boundary",
        "not-probed",
        "The database has no integrity check of its own installed: the rewritten tables and indexes were not "
        "checked by it, only the rows that stay were compared.",
    ),
    "engine-check-not-run": Limit(
        "boundary",
        "not-probed",
        "What was written anew was checked by no integrity check of the engine's own: this job runs none on "
        "this engine. The keys or rows that stay were compared.",
    ),
    "copies-elsewhere": Limit(
        "boundary",
        "not-probed",
        "Copies elsewhere were not looked for: backups, snapshots, replicas, exports, mail, logs, caches.",
    ),
    "known-copy-left": Limit(
        "exception",
        "not-erased",
        "The data map knows a copy that this job left, as its plan says: {place} ({kind}).",
    ),
    "people-not-reached": Limit(
        "exception",
        "not-told",
        "No letter reached some people whose records were erased all the same, as the plan says (people: "
        "{count}).",
    ),
    "people-not-told": Limit(
        "exception",
        "not-told",
        "The people concerned were not told before, where policies ask for {days} days; those who approved "
        "the plan decided so, because: {reason}",
    ),
    "level-lowered": Limit(
        "boundary",
        "not-probed",
        "The data map gives the field {field} of {place} the level {level}, lower than its type {type} has; "
        "who approved the plan decided so.",
    ),
    "place-attested": Limit(
        "boundary",
        "not-probed",
        "The place {place} of the data map is attested by its owner, not verified: nobody could read it.",
    ),
    "place-lost": Limit(
        "exception",
        "not-probed",
        "The place {place} of the data map is lost: what it held was neither read nor erased by this job.",
    ),
    "place-unverifiable": Limit(
        "exception",
        "not-probed",
        "The place {place} of the data map could not be verified: nobody could read it.",
    ),
    "archive-in-one-place": Limit(
        "boundary",
        "not-probed",
        "No copies of the archive and no receipts of its custodians were asked for: it lay in one place when "
        "the erase began.",
    ),
    "record-exceptions": Limit(
        "exception",
        "not-erased",
        "The record {record} of what others destroyed names exceptions (count: {count}).",
    ),
    "record-late": Limit(
        "boundary",
        "not-probed",
        "The record {record} of what others destroyed was entered {days} days after the day it is about.",
    ),
    "process-memory": Limit(
        "boundary", "not-probed", "Memory and swap of programs that used the data were not looked at."
    ),
    "memory-elsewhere": Limit(
        "boundary",
        "not-probed",
        "Memory of the server was read once, while it ran. Swap, and memory of other programs that used the "
        "data, were not looked at.",
    ),
    "device-not-scanned": Limit(
        "boundary",
        "not-probed",
        "The block device under the target was not read: its free blocks and the journal of the file system "
        "were not searched.",
    ),
}


ATTESTED = {  # what others say with their keys, where we looked at nothing ourselves
    "destruction-attested": (
        "Whoever destroyed and {witnesses} witnesses attest with their keys what stands here. It is "
        "attested, not verified: nothing of it was measured by deleatur."
    ),
    "pieces-missing": "Of {all} pieces handed over, {count} were not destroyed: see the exceptions.",
    "processors-attested": (
        "What processors say of their own erasure is kept as it came. It is attested, not verified: nothing "
        "of it was measured by deleatur."
    ),
    "processors-missing": "Of {all} processors {count} sent no certificate: each is an exception.",
    "entered-late": "Entered late: it is about {about} and was entered {days} days after.",
}


def attested_sentence(name: str, /, **values: str | int) -> Sentence:
    """Return the sentence about what others attest, with its values filled in."""
    return Sentence(id=name, text=ATTESTED[name].format(**values))


def claim(name: str, /, **values: str | int) -> Sentence:
    """Return the claim called `name` with its values filled in."""
    return Sentence(id=name, text=CLAIMS[name].format(**values))


def limit(name: str) -> Limit:
    """Return the limit called `name`.

    Raises:
        Refused: no vetted sentence has this id, so nothing may be certified under it.
    """
    try:
        return LIMITS[name]
    except KeyError:
        raise Refused(
            f"no vetted sentence is called {name[:80]!r}; add it to deleatur.judge.sentences"
        ) from None


def limit_sentence(name: str, /, **values: str | int) -> Sentence:
    """Return the limit's sentence with its values filled in.

    Raises:
        Refused: no vetted sentence has this id, or one of its values is missing.
    """
    text = limit(name).text
    try:
        return Sentence(id=name, text=text.format(**values))
    except KeyError as error:
        raise Refused(f"the sentence {name} needs a value for {error}") from None
