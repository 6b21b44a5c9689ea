"""The vetted limits of certificates: what the evidence may not reach, and what that does to the claim.

Rules: those of `deleatur.judge.sentences`, which fills their values in.
"""

from typing import Literal, NamedTuple


class Limit(NamedTuple):
    """Something that the evidence does not reach, and what it does to the claim.

    A boundary is printed and changes nothing: it holds for every erase of this kind. An exception
    is listed with the outcome. A cap says that the erase itself did not reach what it should.
    """

    effect: Literal["boundary", "exception", "cap"]
    type: str
    text: str


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
    "shared-with": Limit(
        "cap",
        "not-reached",
        "Blocks of {unit} are also held by {by}, which this job left as it was: they were not overwritten.",
    ),
    "shared-with-more": Limit(
        "cap",
        "not-reached",
        "Blocks of further files are also held by others, as the plan names them, and were not overwritten "
        "(files: {files}).",
    ),
    "moved-extents": Limit(
        "cap",
        "not-reached",
        "Files lie in other blocks after the overwrite than before: their old blocks were given up and not "
        "overwritten (files: {files}).",
    ),
    "thumbnails-left": Limit(
        "exception",
        "not-reached",
        "Small pictures of files of the target lie in caches of users, as the surfaces say, and were left as "
        "they are.",
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
    "medium-unknown": Limit(
        "exception",
        "over-provisioned",
        "Neither the drive nor its adapter says what keeps its bytes. If it is flash, or several drives "
        "behind one controller, old copies may lie where no address leads to.",
    ),
    "layered-device": Limit(
        "exception",
        "not-reached",
        "The block device is made by software of something below it (a mapping, an array, an image, a "
        "virtual machine's disk): whether that keeps old blocks was not looked at.",
    ),
    "openers-unseen": Limit(
        "exception",
        "not-probed",
        "Some processes could not be looked into: whether they had the device open is not known.",
    ),
    "hidden-area": Limit(
        "exception",
        "not-reached",
        "The drive keeps sectors from the host (a protected area, a configuration overlay or a lowered "
        "address): they were not overwritten.",
    ),
    "hidden-area-unknown": Limit(
        "exception",
        "not-probed",
        "The drive did not say whether it keeps sectors from the host: such sectors would not have been "
        "overwritten.",
    ),
    "answers-of-device": Limit(
        "boundary",
        "not-probed",
        "What was read back is what the device answered after it had confirmed that its cache was written "
        "out: whether a cache below the host answered is not known.",
    ),
    "repeating-pattern": Limit(
        "boundary",
        "not-probed",
        "What was written last repeats every few bytes: reading it back shows that nothing else is there, "
        "and not that each place keeps bytes of its own.",
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
    "provider-media": Limit(
        "cap",
        "not-reached",
        "Objects were deleted through the provider's interface only: what its media, caches and copies keep "
        "of them, and for how long, is its word.",
    ),
    "locked-objects": Limit(
        "exception",
        "not-erased",
        "A lock or a hold of the bucket keeps versions of what was selected; they were left as they are, and "
        "the plan says how many and until when.",
    ),
    "old-versions-whole": Limit(
        "boundary",
        "not-probed",
        "Old versions of objects that held selected rows were erased whole, with the other rows in them; "
        "what stays was kept for the current versions only.",
    ),
    "governance-bypassed": Limit(
        "boundary",
        "retention-bypassed",
        "A retention in governance mode kept some of the versions back; it was bypassed for those that the "
        "plan lists, with approvals that name the bucket.",
    ),
    "bucket-by-name": Limit(
        "boundary",
        "not-told",
        "The server did not say when the bucket was made: one that was deleted and made anew under its name "
        "would have counted as the one of the plan.",
    ),
    "unversioned-objects": Limit(
        "boundary",
        "not-probed",
        "The bucket kept no versions, so that a name was all that told an object: one that was written under "
        "it between the last listing and its deletion would have gone.",
    ),
    "attested-by-token": Limit(
        "cap",
        "not-reached",
        "Only the token said that the keys are gone, and its memory cannot be read from outside: that it "
        "overwrote them is its maker's word.",
    ),
    "attested-by-key-service": Limit(
        "cap",
        "not-reached",
        "Only the key service said that the keys are gone: its storage was not looked into, and a snapshot "
        "of it that is restored brings them back.",
    ),
    "needles-lost": Limit(
        "cap",
        "not-probed",
        "The sampled values were lost before the last search, so that search is not conclusive.",
    ),
    "carver-saw-nothing": Limit(
        "exception",
        "not-probed",
        "{program} carved no file after the erase, and did not show before it that it can: what it says is "
        "not conclusive, and nothing is claimed by it.",
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
    "words-not-searched": Limit(
        "boundary",
        "not-probed",
        "Full-text indexes of the database keep words, each without what it shares with the word before. "
        "Words were put together and searched where a block of the index lies in one piece; no value of "
        "several words stands there whole, so none would have been seen. These indexes were written anew.",
    ),
    "folded-words-not-searched": Limit(
        "boundary",
        "not-probed",
        "In full-text indexes, values with small letters and capitals, or with accents, were not searched.",
    ),
    "shared-words-not-searched": Limit(
        "boundary",
        "not-probed",
        "In full-text indexes of the database, words of sampled texts were searched one by one, whole and as "
        "the index folds them, in the files of the database only. Words of under 4 or over 64 bytes, "
        "words behind the first 512 bytes of a value, words of numbers, of bytes that are no text in "
        "databases of UTF-16, and of rows that stay, were not searched: a value of nothing but such words "
        "would not have been seen there. These indexes were written anew.",
    ),
    "words-seen-in-part": Limit(
        "boundary",
        "not-probed",
        "Of {count} words of sampled texts that full-text indexes held, the scan saw {seen} before the "
        "erase; of the others it says nothing.",
    ),
    "no-words-searched": Limit(
        "boundary",
        "not-probed",
        "No word was searched by itself in indexes of words: they held none of 4 to 64 bytes that sampled "
        "texts have and rows that stay do not.",
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
    "process-memory-now": Limit(
        "boundary",
        "not-probed",
        "Memory of programs that used the data was not looked at. What the host had put down of it on its "
        "disks was searched where the surfaces say so: swap areas that were there when the job was planned.",
    ),
    "memory-elsewhere": Limit(
        "boundary",
        "not-probed",
        "Memory of the server was read once, while it ran. Swap, and memory of other programs that used the "
        "data, were not looked at.",
    ),
    "device-not-searched": Limit(
        "boundary",
        "not-probed",
        "The block device under the target was read only where the files lay: its free blocks and the "
        "journal of the file system were not searched.",
    ),
    "device-not-scanned": Limit(
        "boundary",
        "not-probed",
        "The block device under the target was not read: its free blocks and the journal of the file system "
        "were not searched.",
    ),
}
