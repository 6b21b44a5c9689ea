"""Remove the records of a job after their last day, and never before.

Rules: the last day is that of the certificate and of every record of destruction, whichever is later;
what does not verify is not removed, since nobody knows what it says; an archive is no record: it is
erased by a job of its own; only what a job writes is removed, anything else stays and is named.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory, sync_directory
from deleatur.errors import Refused
from deleatur.trust.bundle import certificate_issuers
from deleatur.trust.record import party_keys, verify_record
from deleatur.trust.verification import verify

_PURGED = ".purged"  # holds what was being removed, in case it is cut short; alone it proves nothing


@dataclass(frozen=True)
class Purged:
    """What was removed, and what stays because no job writes it."""

    last_day: str
    removed: tuple[str, ...]
    left: tuple[str, ...]


def purge_job(directory: JobDirectory, clock: Clock) -> Purged:
    """Remove the records of a job, if the last of their last days is over.

    Raises:
        Refused: they must still be kept (with the date), there is an archive, or the job has not ended.
        Invalid: the certificate or a record does not verify.
    """
    with directory.locked():
        trash = directory.path / _PURGED
        begun = trash.is_dir() and not any(path.exists() for path in written_by_jobs(directory))
        last = "" if begun else _last_day(directory)
        today = f"{clock():%Y-%m-%d}"
        if last and today <= last:
            raise Refused(f"the records in {directory.path} are kept until {last}; purge them after that day")
        trash.mkdir(mode=0o700, exist_ok=True)
        removed = []
        for path in written_by_jobs(directory):  # the certificate last: while it is there, it can be asked
            if path.exists():
                path.rename(trash / path.name)
                removed.append(path.name)
        sync_directory(directory.path)
        shutil.rmtree(trash)
        left = sorted(path.name for path in directory.path.iterdir())
    if not left:
        directory.path.rmdir()
        sync_directory(directory.path.parent)
    return Purged(last, tuple(removed), tuple(left))


def written_by_jobs(directory: JobDirectory) -> tuple[Path, ...]:
    """Return everything that a job writes, in the order in which it goes."""
    return (
        directory.spool,
        directory.digest_key,
        directory.token_key,
        directory.custody,
        *directory.reports(),
        directory.output,
        directory.host,
        directory.archive,
        directory.approvals,
        directory.job,
        directory.plan,
        directory.plan_signature,
        directory.journal,
        directory.records,
        directory.stamps,
        directory.certificate,
    )


def _last_day(directory: JobDirectory) -> str:
    """Return the last day on which everything must still be there."""
    if directory.archive.is_dir() and any(directory.archive.iterdir()):
        raise Refused(f"{directory.archive} holds an archive; erase that by a job of its own first")
    days = []
    if directory.certificate.is_dir():
        issuers = certificate_issuers(directory.certificate)
        days.append(verify(directory.certificate, issuers, 1, None).certificate.retain_until)
    elif directory.plan.exists() or directory.journal.exists():
        raise Refused(f"the job in {directory.path} has no certificate, so nothing says how long to keep it")
    if directory.records.is_dir():
        for folder in sorted(directory.records.iterdir()):
            found = verify_record(folder, party_keys(folder), 1)
            days.append(found.statement.predicate.retain_until)
    if not days:
        raise Refused(f"there is neither a certificate nor a record of destruction in {directory.path}")
    return max(days)
