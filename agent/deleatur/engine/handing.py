"""What people do with the archives of a job: copy them, sign and import receipts, ask how they stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deleatur.archive.copies import read_back, write_copy
from deleatur.archive.media import disks_of
from deleatur.archive.opening import look_inside
from deleatur.documents.gates import CustodyGate
from deleatur.documents.journal import Archived
from deleatur.documents.plan import PublicKey
from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory
from deleatur.engine.gates.custody import open_points
from deleatur.engine.jobs import Approved, read_plan, seconds, state_of
from deleatur.engine.keeping import (
    COPIES,
    RECEIPTS,
    files_beside,
    put,
    put_envelope,
    receipt_fault,
    seen_copies,
)
from deleatur.engine.opening import read_digest_key
from deleatur.engine.reading import read_plain
from deleatur.engine.succession import register_of
from deleatur.errors import Failed, Refused
from deleatur.judge.custody import copies_missing
from deleatur.trust.custody import CopyRead, sign_copy, sign_receipt
from deleatur.trust.keys import SigningKey

MAX_BESIDE = 1 << 20  # bytes


@dataclass(frozen=True)
class Kept:
    """The archives of a job, and the gate that asks for their copies and receipts."""

    approved: Approved
    gate: CustodyGate
    archived: tuple[Archived, ...]


def kept(directory: JobDirectory) -> Kept:
    """Return what a job has archived.

    Raises:
        Refused: it keeps no copies, or has archived nothing yet.
    """
    approved = read_plan(directory)
    gate = next((g for g in approved.plan.gates if isinstance(g, CustodyGate)), None)
    if gate is None:
        raise Refused("the plan of this job asks for no copies; write [[custody.copy]] into a new job")
    archived = tuple(state_of(directory, approved).archived.values())
    if not archived:
        raise Refused("nothing is archived yet; run the job, which stops when all archives are written")
    return Kept(approved, gate, archived)


def copy_archives(
    directory: JobDirectory, agent: SigningKey, clock: Clock, only: Sequence[str]
) -> list[tuple[str, str]]:
    """Write each archive to the media that are here, read it back, and enter it; return copy and disks.

    A copy that is there already and the same is only read. `only` names copies; none: all that are here.

    Raises:
        Refused: no such copy, its folder is not there, or nothing is archived.
        Failed: the medium is full, or gave other bytes back.
    """
    with directory.locked():
        job = kept(directory)
        archived = register_of(directory, agent.public).archived
        if unknown := sorted({*only} - {c.id for c in job.gate.copies}):
            raise Refused(f"the plan has no copy {', '.join(unknown)}")
        done = []
        for copy in job.gate.copies:
            folder = Path(copy.folder)
            if (only and copy.id not in only) or not (only or folder.is_dir()):
                continue
            for archive in archived:
                read = _copied(directory, archive, folder, copy.id, seconds(clock))
                put_envelope(directory.path, COPIES, sign_copy(archive.file, archive.sha256, read, agent))
                done.append((copy.id, ", ".join(read.disks)))
        return done


def _copied(directory: JobDirectory, archive: Archived, folder: Path, copy: str, at: str) -> CopyRead:
    path = folder / archive.file
    if not folder.is_dir():
        raise Refused(f"copy {copy}: {folder} is not there; mount the medium, or make the folder on it")
    if not _same(path, archive):
        write_copy(directory.archive / archive.file, folder, archive.sha256)
    for name in files_beside(archive.file):
        put(folder / name, read_plain(directory.archive / name, MAX_BESIDE))
    try:
        back = read_back(path)
    except OSError as error:
        raise Failed(f"copy {copy}: cannot be read back: {error.strerror}; take another medium") from None
    if (back.sha256, back.size) != (archive.sha256, archive.size):
        raise Failed(f"copy {copy}: the medium gave other bytes back than were written; take another one")
    return CopyRead(
        schema_version="deleatur/archive-copy/v1",
        copy=copy,
        size=back.size,
        disks=disks_of(folder),
        file=f"{back.inode[0]}:{back.inode[1]}",
        way=back.way,
        at=at,
    )


def _same(path: Path, archive: Archived) -> bool:
    try:
        found = read_back(path)
    except FileNotFoundError:
        return False
    except OSError:
        return False  # it is written again, and read again
    return (found.sha256, found.size) == (archive.sha256, archive.size)


def make_receipt(archive: Path, identity: str, custodian: str, key: SigningKey, clock: Clock) -> bytes:
    """Open an archive on the custodian's machine, to its end, and return the signed receipt of it.

    Raises:
        Refused: the identity does not open it.
        Failed: what is inside is not as it should be.
    """
    look = look_inside(archive, identity)
    return sign_receipt(
        archive.name,
        read_back(archive).sha256,
        custodian=custodian,
        contents=look.contents,
        challenge=look.challenge,
        at=seconds(clock),
        key=key,
    )


def import_receipt(directory: JobDirectory, envelope: bytes) -> str:
    """Take a custodian's receipt into the job, and return whose it is.

    Raises:
        Refused: it does not count for any archive of the job; the reason.
    """
    with directory.locked():
        job = kept(directory)
        name, fault = receipt_fault(
            envelope, job.gate, job.archived, key=read_digest_key(directory), plan_digest=job.approved.digest
        )
        if fault:
            raise Refused(f"the receipt is not taken: {fault}")
        put_envelope(directory.path, RECEIPTS, envelope)
        return name


def missing(directory: JobDirectory, agent: PublicKey) -> list[str]:
    """Return what keeps the archives of a job from being kept and received.

    After the job's end nobody asks for receipts any more, but copies and custodians are asked for.
    """
    job = kept(directory)
    if state_of(directory, job.approved).certified is not None:
        now = register_of(directory, agent)
        copies = (seen for seen, _ in seen_copies(directory.path, job.gate, now.archived, agent))
        return [*now.alarms, *copies_missing(job.gate, now.archived, [*copies])]
    key = read_digest_key(directory)
    return open_points(directory.path, job.gate, job.archived, agent, key, job.approved.digest).reasons
