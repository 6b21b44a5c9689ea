"""Keep the archives: what lies beside them, their copies on other media, and the receipts of custodians.

A job has `custody/copies`, `custody/receipts` and `custody/handovers`: signed envelopes, each written once
under the digest of its content, so that none replaces another. What counts is decided when it is read.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from deleatur.archive.beside import KEY_FILE, Facts, beside, facts, facts_in, stem_of
from deleatur.archive.copies import read_back
from deleatur.archive.media import disks_of
from deleatur.archive.sheet import sheet
from deleatur.documents.gates import CustodyGate, KeptCopy
from deleatur.documents.job import Custody
from deleatur.documents.journal import Archived
from deleatur.documents.plan import PublicKey
from deleatur.engine.directory import sync_directory, write_all
from deleatur.engine.reading import read_plain
from deleatur.errors import Invalid, Refused
from deleatur.judge.custody import SeenCopy
from deleatur.trust.custody import CopyRead, challenge_of, copy_in, receipt_in, require_opened
from deleatur.trust.keys import SigningKey, load_public, public_pem, verifies

MAX_BESIDE = 1 << 20  # bytes of one file beside an archive, or of one envelope
MAX_ENVELOPES = 10_000  # of one kind
ARCHIVE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\.tar\.age")
COPIES, RECEIPTS, HANDOVERS = "copies", "receipts", "handovers"


def write_beside(
    folder: Path, archived: Archived, custody: Custody, *, job: str, plan_digest: str, key: SigningKey
) -> None:
    """Write facts, digests and signature beside an archive, durably; doing it again replaces them."""
    custody = custody.of(archived.part)
    told = facts(job, plan_digest, archived, custody)
    for name, content in beside(told, custody, public_pem(key.public), key.sign).items():
        put(folder / name, content)


def files_beside(file: str) -> tuple[str, ...]:
    """Return the names of what lies beside an archive."""
    stem = stem_of(file)
    return (f"{stem}.json", f"{stem}.README.txt", f"{stem}.sha256", f"{stem}.sha256.sig", KEY_FILE)


def vouched(folder: Path, file: str, agent: PublicKey) -> Facts | None:
    """Return the facts beside an archive if the agent signed them, else None."""
    files = {}
    for name in files_beside(file):
        try:
            files[name] = read_plain(folder / name, MAX_BESIDE)
        except FileNotFoundError:
            return None
    return facts_in(files, file, lambda signature, message: verifies(agent, signature, message))


def sheet_of(archive: Path) -> bytes:
    """Return the page to be printed of an archive, from what lies beside it; the agent's key lies there too.

    Raises:
        Refused: the archive is not what its facts say, they are not signed by the key beside them, or its
            name is none that we give.
    """
    if not ARCHIVE_NAME.fullmatch(archive.name):
        raise Refused(f"{archive.name!r} is no archive of ours: its name would stand in commands")
    try:
        pem = read_plain(archive.with_name(KEY_FILE), MAX_BESIDE)
        told = vouched(archive.parent, archive.name, load_public(archive.with_name(KEY_FILE)))
        found = read_back(archive)
    except FileNotFoundError as error:
        raise Refused(
            f"{Path(error.filename).name} is not there; a sheet is made where a copy lies"
        ) from None
    if told is None or (found.sha256, found.size) != (told.sha256, told.size):
        raise Refused(f"{archive.name} is not what the agent signed beside it; take another copy")
    return sheet(told, pem).encode()


def put(path: Path, content: bytes) -> None:
    """Write a file durably and all at once; one that is there is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)
    sync_directory(path.parent)


def put_envelope(job: Path, kind: str, envelope: bytes) -> Path:
    """Store an envelope of a job under the digest of its content."""
    path = job / "custody" / kind / f"{hashlib.sha256(envelope).hexdigest()[:32]}.dsse.json"
    put(path, envelope)
    return path


def envelopes(job: Path, kind: str) -> Iterator[bytes]:
    """Yield the envelopes of a kind, in the order of their names.

    Raises:
        Refused: more than are looked at, or one is no plain file.
    """
    paths = sorted((job / "custody" / kind).glob("*.dsse.json"))
    if len(paths) > MAX_ENVELOPES:
        raise Refused(f"custody/{kind} holds {len(paths)} files; at most {MAX_ENVELOPES} are looked at")
    for path in paths:
        yield read_plain(path, MAX_BESIDE)


def seen_copies(
    job: Path, gate: CustodyGate, archived: Sequence[Archived], agent: PublicKey
) -> list[tuple[SeenCopy, bytes]]:
    """Return each copy that the agent has read back, as it stands now, with the envelope that says so.

    A copy whose medium is here is read again, whole. One whose medium is elsewhere stands by its envelope.
    """
    newest: dict[tuple[str, str], tuple[CopyRead, bytes]] = {}
    wanted = {a.file: (a.sha256, a.size) for a in archived}
    for envelope in envelopes(job, COPIES):
        try:
            file, sha256, read = copy_in(envelope, agent)
        except Invalid:
            continue  # not the agent's word: it counts for nothing
        if wanted.get(file) == (sha256, read.size):
            earlier = newest.get((read.copy, file))
            if earlier is None or earlier[0].at <= read.at:
                newest[read.copy, file] = read, envelope
    found = []
    for copy in gate.copies:
        for archive in archived:
            if (copy.id, archive.file) in newest:
                read, envelope = newest[copy.id, archive.file]
                found.append((_now(job, copy, archive, read), envelope))
    return found


def _now(job: Path, copy: KeptCopy, archive: Archived, read: CopyRead) -> SeenCopy:
    """Look at a copy again, if its medium is here."""
    path = Path(copy.folder) / archive.file
    here, fault, inode = False, "", read.file
    try:
        if frozenset(disks_of(Path(copy.folder))) == frozenset(read.disks):
            here = True
            again = read_back(path)
            inode = f"{again.inode[0]}:{again.inode[1]}"
            own = (job / "archive" / archive.file).stat()
            if (again.sha256, again.size) != (archive.sha256, archive.size):
                fault = "is not what was sealed"
            elif again.inode == (own.st_dev, own.st_ino):
                fault = "is the job's own file under a second name"
    except FileNotFoundError:
        fault = "is gone from its medium" if here else ""
    except Refused as error:
        fault = f"does not count: {error}"
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    return SeenCopy(copy.id, archive.file, frozenset(read.disks), inode, here, fault)


def received(
    job: Path, gate: CustodyGate, archived: Sequence[Archived], *, key: bytes, plan_digest: str
) -> tuple[dict[tuple[str, str], bytes], dict[tuple[str, str], str]]:
    """Return the receipts that count, by custodian and file, and why others do not.

    `key` is the job's secret, from which the challenge inside each archive came.
    """
    counted: dict[tuple[str, str], bytes] = {}
    refused: dict[tuple[str, str], str] = {}
    for envelope in envelopes(job, RECEIPTS):
        for archive in archived:
            for custodian in gate.receivers(archive.part):
                try:
                    if _about(envelope, custodian, archive, key=key, plan_digest=plan_digest):
                        counted[custodian.name, archive.file] = envelope
                except Refused as error:
                    refused[custodian.name, archive.file] = str(error)
    return counted, refused


def receipt_fault(
    envelope: bytes, gate: CustodyGate, archived: Sequence[Archived], *, key: bytes, plan_digest: str
) -> tuple[str, str]:
    """Return whose receipt an envelope is, and why it does not count; "" if it does."""
    fault = "no custodian of this plan signed it, or it is about no archive of this job"
    for archive in archived:
        for custodian in gate.receivers(archive.part):
            try:
                if _about(envelope, custodian, archive, key=key, plan_digest=plan_digest):
                    return custodian.name, ""
            except Refused as error:
                fault = str(error)
    return "", fault


def _about(envelope: bytes, custodian: PublicKey, archive: Archived, *, key: bytes, plan_digest: str) -> bool:
    """Say whether an envelope is this custodian's receipt for this archive.

    Raises:
        Refused: it is, and does not count.
    """
    try:
        file, sha256, receipt = receipt_in(envelope, custodian)
    except Invalid:
        return False  # another custodian's, or nobody's
    if file != archive.file:
        return False
    if sha256 != archive.sha256:
        raise Refused(f"the receipt of {custodian.name} is for an earlier {file}, or for another job's")
    challenge = challenge_of(key, plan_digest, archive.package)
    require_opened(sha256, receipt, contents=archive.contents, challenge=challenge)
    return True
