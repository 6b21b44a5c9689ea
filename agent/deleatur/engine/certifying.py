"""The certificate of a run: issued once, and taken for this run's only after it verified.

Rule kept: a run that was killed after it wrote the certificate left it without its entry; it is
verified then, and never written twice.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC

from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory
from deleatur.errors import Invalid
from deleatur.trust.folder import write_certificate
from deleatur.trust.keys import SigningKey
from deleatur.trust.verification import Verification, verify


def issue_certificate(
    directory: JobDirectory, plan_bytes: bytes, keys: Sequence[SigningKey], clock: Clock
) -> None:
    """Write the certificate about what the job's directory holds. Raises as `write_certificate` does."""
    write_certificate(
        directory.certificate,
        plan_bytes=plan_bytes,
        journal_bytes=directory.journal.read_bytes(),
        approvals=directory.read_approvals(),
        keys=keys,
        issued_at=clock().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        certificate_id=_certificate_id(plan_bytes),
    )


def own_certificate(directory: JobDirectory, plan_bytes: bytes, keys: Sequence[SigningKey]) -> Verification:
    """Verify the certificate that lies in the job's directory.

    Raises:
        Invalid: it does not verify, or is about another job, or about another run of this one.
    """
    checked = verify(directory.certificate, [key.public for key in keys], threshold=len(keys), about=None)
    rests_on = checked.certificate.evidence
    lines = directory.journal.read_bytes().splitlines(keepends=True)[: rests_on.journal_entries]
    if checked.certificate.plan.digest.sha256 != hashlib.sha256(plan_bytes).hexdigest():
        raise Invalid("the certificate in this job's directory is about another plan; remove it")
    if hashlib.sha256(b"".join(lines)).hexdigest() != rests_on.journal.sha256:
        raise Invalid("the certificate in this job's directory rests on another journal; remove it")
    return checked


def _certificate_id(plan_bytes: bytes) -> str:
    """Return the one certificate id that a plan can have, so that no plan has two."""
    digest = hashlib.sha256(plan_bytes).hexdigest()
    return hashlib.sha256(f"deleatur certificate {digest}".encode()).hexdigest()[:32]
