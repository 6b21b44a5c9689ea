"""Judge a validation: whether it answers all of a certificate, and whether this key may give it. Pure.

Rules: what is not answered is not accepted; an outcome says no more than its answers; whoever made,
approved or ran the job validates nothing of it; and a validation raises no claim.
"""

from collections.abc import Iterator, Sequence

from deleatur.documents.certificate import Certificate, Digest
from deleatur.documents.plan import Plan, PublicKey
from deleatur.documents.validation import (
    CHECKS,
    OPEN,
    CheckAsked,
    Checked,
    ExceptionAsked,
    Exempted,
    Limit,
    LimitAsked,
    Policy,
    Sheet,
    Validation,
)
from deleatur.errors import Refused
from deleatur.judge.attesting import known_key
from deleatur.judge.fingerprint import spki_bytes
from deleatur.judge.staff import people_of, staff_of

_LEFT = "executed-unverified"  # the state of a target that stands as an exception to be accepted


def limits_of(certificate: Certificate) -> tuple[tuple[str, str], ...]:
    """Return every limit of a certificate by id and text, the one about other copies first."""
    told = (certificate.copies_not_covered, *certificate.known_limits)
    return tuple(dict.fromkeys((one.id, one.text) for one in told))


def exceptions_of(certificate: Certificate) -> tuple[tuple[str, str, str], ...]:
    """Return every exception by target, type and text; a target that nothing verified is one, too."""
    told = [(e.target_id, e.type, e.sentence.text) for e in certificate.exceptions]
    told += [
        (one.target_id, _LEFT, f"assurance {one.assurance}")
        for one in certificate.outcome.per_target
        if one.state == _LEFT
    ]
    return tuple(dict.fromkeys(told))


def sheet_of(certificate: Certificate, sha256: str, policy: Policy) -> Sheet:
    """Return the sheet for a certificate, in which nothing is answered."""
    return Sheet(
        schema="deleatur/validation-sheet/v1",
        certificate=certificate.certificate_id,
        certificate_sha256=sha256,
        policy=policy.file,
        policy_sha256=policy.digest.sha256,
        outcome=OPEN,
        reason=OPEN,
        check=tuple(CheckAsked(name=name, answer=OPEN) for name in CHECKS),
        limit=tuple(LimitAsked(id=i, text=t, accepted=OPEN) for i, t in limits_of(certificate)),
        exception=tuple(
            ExceptionAsked(target=target, type=kind, text=text, accepted=OPEN, reason=OPEN)
            for target, kind, text in exceptions_of(certificate)
        ),
    )


def answered(
    sheet: Sheet, certificate: Certificate, sha256: str, validator: PublicKey, validated_at: str
) -> Validation:
    """Return what a filled sheet says of the very certificate that it was drafted for.

    Raises:
        Refused: it is another certificate's, or something is not answered; all reasons in one line.
    """
    reasons = [*_open(sheet)]
    if (sheet.certificate, sheet.certificate_sha256) != (certificate.certificate_id, sha256):
        reasons.insert(0, "the sheet was drafted for another certificate")
    if reasons:
        raise Refused(f"not a validation that may be signed: {'; '.join(reasons)}")
    return Validation(
        schema_version="deleatur/validation/v1",
        certificate_id=certificate.certificate_id,
        certificate_state=certificate.outcome.overall,
        validator=known_key(validator),
        validated_at=validated_at,
        policy=Policy(file=sheet.policy, digest=Digest(sha256=sheet.policy_sha256)),
        checks=tuple(Checked(name=c.name, answer=c.answer) for c in sheet.check if c.answer != OPEN),
        limits=tuple(
            Limit(id=o.id, text=o.text, accepted=o.accepted) for o in sheet.limit if o.accepted != OPEN
        ),
        exceptions=tuple(
            Exempted(target_id=o.target, type=o.type, text=o.text, accepted=o.accepted, reason=o.reason)
            for o in sheet.exception
            if o.accepted != OPEN
        ),
        outcome="rejected" if sheet.outcome == OPEN else sheet.outcome,
        reason=sheet.reason,
    )


def objections(said: Validation, certificate: Certificate) -> Iterator[str]:
    """Yield why a validation does not answer this certificate, or says more than its answers do."""
    if said.certificate_id != certificate.certificate_id:
        yield "it names another certificate by its id"
    if said.certificate_state != certificate.outcome.overall:
        yield f"it says {said.certificate_state} where the certificate says {certificate.outcome.overall}"
    if said.validated_at < certificate.issued_at:
        yield f"it is of {said.validated_at}, before the certificate of {certificate.issued_at}"
    if tuple(c.name for c in said.checks) != CHECKS:
        yield f"it does not name each check once and in order: {', '.join(CHECKS)}"
    if tuple((o.id, o.text) for o in said.limits) != limits_of(certificate):
        yield "its limits are not those of the certificate, one by one"
    if tuple((o.target_id, o.type, o.text) for o in said.exceptions) != exceptions_of(certificate):
        yield "its exceptions are not those of the certificate, one by one"
    yield from _unanswered(said)
    if said.outcome != "rejected":
        yield from _overstated(said, certificate)


def identity_objections(
    validator: PublicKey, certificate: Certificate, plan: Plan, signers: Sequence[PublicKey]
) -> Iterator[str]:
    """Yield why the holder of this key may not validate this job.

    Args:
        validator: the key that signs the validation.
        certificate: who issued, planned and approved.
        plan: who might have approved, and who holds which key.
        signers: further keys that signed the certificate, or ran the job.
    """
    named = [*certificate.issuers, certificate.planner, *certificate.approvals.keys]
    taking_part = [*(PublicKey(name=key.name, spki=key.spki) for key in named), *plan.approvers, *signers]
    mine = spki_bytes(validator)
    if same := [key.name for key in taking_part if spki_bytes(key) == mine]:
        yield f"its key is {same[0]}'s, who took part in the job: validation needs another identity"
    if staff_of(plan) is None:
        return
    people = people_of(plan)
    person = people.get(validator.spki)
    if person is None:
        yield "nobody in [[person]] holds its key, so nobody knows that it is another person's"
    elif person in {people.get(key.spki) for key in taking_part}:
        yield f"{person} took part in the job with another key: validation needs another person"


def _open(sheet: Sheet) -> Iterator[str]:
    """Yield what the sheet leaves open; an answer to a limit is asked for one by one."""
    if sheet.outcome == OPEN:
        yield "`outcome` is not answered"
    for check in sheet.check:
        if check.answer == OPEN:
            yield f"the check {check.name} is not answered"
    for limit in sheet.limit:
        if limit.accepted == OPEN:
            yield f"the limit {limit.id} is not answered"
    for exception in sheet.exception:
        if exception.accepted == OPEN:
            yield f"the exception {exception.type} of {exception.target} is not answered"


def _unanswered(said: Validation) -> Iterator[str]:
    """Yield where a reason is asked for and none stands."""
    if said.reason == OPEN:
        yield "no reason is given for the outcome"
    for exception in said.exceptions:
        if exception.reason == OPEN:
            yield f"no reason is given for the exception {exception.type} of {exception.target_id}"


def _overstated(said: Validation, certificate: Certificate) -> Iterator[str]:
    """Yield where an acceptance is more than the answers below it."""
    for check in said.checks:
        if check.answer == "no":
            yield f"it is {said.outcome} although {check.name} is `no`"
    for limit in said.limits:
        if limit.accepted == "no":
            yield f"it is {said.outcome} although the limit {limit.id} is not accepted"
    for exception in said.exceptions:
        if exception.accepted == "no":
            yield f"it is {said.outcome} although {exception.type} of {exception.target_id} is not accepted"
    excepted = bool(said.exceptions) or certificate.outcome.overall != "verified"
    if said.outcome == "accepted" and excepted:
        yield "a certificate with exceptions is `accepted-with-exceptions`, or rejected"
    if said.outcome == "accepted-with-exceptions" and not excepted:
        yield "the certificate has no exceptions: it is `accepted`, or rejected"
