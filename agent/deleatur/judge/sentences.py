"""The vetted sentences of certificates: all that we say about an erase, and about its limits.

Rules: a sentence is never changed once it stood in a certificate, a new wording gets a new id; no
word that promises more than was read; an id that is not here cannot be certified.
"""

from deleatur.documents.certificate import Sentence
from deleatur.errors import Refused
from deleatur.judge.limits import LIMITS, Limit

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
    "hidden-lifted": (
        "The drive had hidden {hidden} of its {size} bytes from the host. By {at} it had been made to show "
        "them, and they are part of what was overwritten and read back; commands and answers stand with the "
        "method."
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
    "overwritten-sampled-readable": (
        "At {at} a sample of {read} of {population} places was read back and held exactly what it was "
        "overwritten with; of others that were drawn or had taken no writing the medium did not show every "
        "byte (places: {left}). With confidence {confidence}, a fraction of less than {fraction} of the "
        "places that can be read did not hold it."
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
    "carved": (
        "By {at} {program} (version {version}, SHA-256 {sha256}) had looked for files of a few kinds on the "
        "whole device and carved none; before the erase the same program had carved files there (at least "
        "{seen}: {kinds}). It is a second opinion of other people: what it does not know as a file it does "
        "not see."
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
            f"no vetted sentence is called {name[:80]!r}; add it to deleatur.judge.limits"
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
