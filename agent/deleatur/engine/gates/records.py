"""The gate of the records: what others destroyed is there, signed by all its parties, as it was planned."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from deleatur.documents.attested import AttestedDestruction
from deleatur.documents.gates import KnownRecord, RecordGate
from deleatur.documents.job import Job
from deleatur.documents.journal import Passed
from deleatur.engine.directory import RECORDS
from deleatur.errors import Invalid, Refused
from deleatur.judge.fingerprint import key_id
from deleatur.trust.record import ENVELOPE, Statement, party_keys, verify_record


def plan_records(job: Job, folder: Path) -> RecordGate:
    """Return the gate of a job that rests on records of destruction, each verified with all its evidence.

    Raises:
        Refused: one is not signed by all, was changed, or belongs to another job.
    """
    known = tuple(_known(job.name, folder / RECORDS / name) for name in job.records)
    return RecordGate(digest=_digest(known), records=known)


def pass_records(gate: RecordGate, folder: Path) -> Passed:
    """Let the job through if every record is the planned one.

    Its evidence was digested when the plan was made, and the digests are signed.

    Raises:
        Refused: one is gone, or is another than planned.
    """
    for known in gate.records:
        path = folder / RECORDS / known.folder
        try:
            found = verify_record(path / ENVELOPE, party_keys(path), 1)
        except Invalid as error:
            raise Refused(f"records/{known.folder}: {error}") from None
        if found.sha256 != known.digest:
            raise Refused(f"records/{known.folder} is another record than planned; plan again")
    counts = (
        ("records", len(gate.records)),
        ("exceptions", sum(known.exceptions for known in gate.records)),
        ("late", sum(known.days_late > 0 for known in gate.records)),
    )
    return Passed(gate=gate.name, digest=gate.digest, counts=counts)


def _known(job: str, path: Path) -> KnownRecord:
    try:
        keys = party_keys(path)
        found = verify_record(path, keys, 1)
    except Invalid as error:
        raise Refused(f"records/{path.name}: {error}") from None
    said = found.statement.predicate
    if said.job not in ("", job):
        raise Refused(f"records/{path.name} belongs to the job {said.job}, not to {job}")
    return KnownRecord(
        id=said.id,
        folder=path.name,
        digest=found.sha256,
        signers=tuple(key_id(key) for key in keys),
        exceptions=_exceptions(found.statement),
        days_late=said.entry.days_late,
    )


def _exceptions(statement: Statement) -> int:
    said = statement.predicate
    if isinstance(said, AttestedDestruction):
        return len(said.exceptions)
    return sum(one.state == "missing" for one in said.processors)


def _digest(records: Sequence[KnownRecord]) -> str:
    """Digest the list of the records in the form of `sha256sum`."""
    lines = "".join(f"{one.digest}  {RECORDS}/{one.folder}/{ENVELOPE}\n" for one in records)
    return hashlib.sha256(lines.encode()).hexdigest()
