"""Verify a certificate offline, with public keys only, and trust nothing that lies beside it.

Rules: signatures first; then every file by its digest; then the statement is made again from plan
and journal and must come out the same, so a certificate that claims more than its evidence is
refused. A folder is read as if an enemy had packed it.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from deleatur.documents.certificate import Certificate
from deleatur.documents.codec import MAX_PLAN
from deleatur.documents.decode import decode_plan
from deleatur.documents.plan import Plan, PublicKey
from deleatur.errors import DeleaturError, Failed, Invalid, Malformed, Refused
from deleatur.judge.fingerprint import key_id
from deleatur.judge.staff import who_ran
from deleatur.judge.statement import Issue, statement
from deleatur.trust.approval import approvals_that_count
from deleatur.trust.dsse import IN_TOTO, MAX_ENVELOPE, unseal
from deleatur.trust.folder import ENVELOPE, EVIDENCE, read_statement, read_whole_journal
from deleatur.trust.untrusted import UntrustedFolder, named_file

MAX_JOURNAL = 4 << 30  # bytes; as much as the engine writes
MAX_SMALL = 1 << 20  # bytes of an identity text, an approval, a key, VERIFY.txt
_MAX_EVIDENCE = 1 << 20  # bytes: about ten thousand files
_LINE = re.compile(
    r"([0-9a-f]{64})  (plan\.json|journal\.jsonl|VERIFY\.txt|targets/t[1-9][0-9]{0,3}\.txt"
    r"|approvals/a[1-9][0-9]{0,2}\.dsse\.json|keys/[A-Za-z0-9][A-Za-z0-9._-]{0,79}\.pub)"
)


@dataclass(frozen=True)
class Verification:
    """A certificate that verifies, and how far it was looked into."""

    certificate: Certificate
    sha256: str  # of the envelope, hex
    signers: tuple[PublicKey, ...]  # trusted keys that signed
    plan: Plan | None  # None: it was looked at without its evidence
    operators: tuple[PublicKey, ...]  # who ran the job, as far as its plan says who is who

    @property
    def evidence(self) -> bool:
        """Whether plan and journal were there and bear every claim."""
        return self.plan is not None

    @property
    def certificate_id(self) -> str:
        """The certificate's own id."""
        return self.certificate.certificate_id


def verify(where: Path, trusted: Sequence[PublicKey], threshold: int, about: Path | None) -> Verification:
    """Verify a certificate: a folder with its evidence, or the envelope's file alone.

    Args:
        where: the folder, or the file `certificate.dsse.json`.
        trusted: public keys that came from elsewhere than the certificate.
        threshold: how many distinct ones of them must have signed, at least one.
        about: an identity text that must be one of the certificate's targets; None to not ask.

    Raises:
        Invalid: anything does not verify; what and where, in one line.
        Refused: no trusted key was named, or fewer than the threshold.
        Failed: a file could not be read.
    """
    if not 1 <= threshold <= len({key.spki for key in trusted}):
        raise Refused(f"{threshold} signatures by distinct keys cannot be checked with {len(trusted)} keys")
    folder = UntrustedFolder(where) if where.is_dir() else None
    envelope = named_file(where, MAX_ENVELOPE) if folder is None else folder.read(ENVELOPE, MAX_ENVELOPE)
    body, signers = unseal(envelope, IN_TOTO, trusted)
    if len(signers) < threshold:
        raise Invalid(f"{len(signers)} of the {threshold} signatures by trusted keys that are needed verify")
    try:
        certificate = read_statement(body)
    except Malformed as error:
        raise Invalid(f"not a certificate: {error}") from None
    _require_issuers(envelope, certificate)
    if about is not None:
        _require_subject(certificate, named_file(about, MAX_SMALL))
    plan: Plan | None = None
    operators: tuple[PublicKey, ...] = ()
    if folder is not None:
        try:
            plan, operators = _require_evidence(folder, body, certificate)
        except Invalid:
            raise
        except (Malformed, DeleaturError) as error:
            if isinstance(error, Failed):
                raise
            raise Invalid(f"the evidence does not bear the certificate: {error}") from None
    return Verification(
        certificate=certificate,
        sha256=hashlib.sha256(envelope).hexdigest(),
        signers=signers,
        plan=plan,
        operators=operators,
    )


def _require_issuers(envelope: bytes, certificate: Certificate) -> None:
    """Ask that whoever the statement names as issuer has signed it."""
    issuers = _keys(certificate.issuers)
    _, signed = unseal(envelope, IN_TOTO, issuers)
    if not issuers or len(signed) != len(issuers):
        raise Invalid("the certificate names an issuer that has not signed it")


def _keys(keys: Sequence[Any]) -> list[PublicKey]:
    named = [PublicKey(name=key.name, spki=key.spki) for key in keys]
    for key, claimed in zip(named, keys, strict=True):
        if key_id(key) != claimed.key_id:
            raise Invalid(f"the key {key.name} is shown with the fingerprint of another key")
    return named


def _require_subject(certificate: Certificate, identity: bytes) -> None:
    digest = hashlib.sha256(identity).hexdigest()
    if digest not in {target.identity_digest.sha256 for target in certificate.targets}:
        raise Invalid("the certificate is about other targets than the one named")


def _require_evidence(
    folder: UntrustedFolder, body: bytes, certificate: Certificate
) -> tuple[Plan, tuple[PublicKey, ...]]:
    """Read every file that the certificate rests on, make the statement again; return plan and operators."""
    evidence = folder.read(EVIDENCE, _MAX_EVIDENCE)
    files = _digests(evidence)
    plan_bytes = _checked(folder, "plan.json", files, MAX_PLAN)
    journal_bytes = _checked(folder, "journal.jsonl", files, MAX_JOURNAL)
    others = {
        name: _checked(folder, name, files, MAX_SMALL)
        for name in files
        if name not in ("plan.json", "journal.jsonl")
    }
    plan = decode_plan(plan_bytes)
    entries = read_whole_journal(journal_bytes, plan_bytes)
    approvals = [content for name, content in others.items() if name.startswith("approvals/")]
    again = statement(
        plan,
        plan_bytes,
        entries,
        Issue(
            certificate_id=certificate.certificate_id,
            issued_at=certificate.issued_at,
            issuers=_keys(certificate.issuers),
            approvals=approvals_that_count(plan, plan_bytes, approvals),
            journal_digest=hashlib.sha256(journal_bytes).hexdigest(),
            evidence_digest=hashlib.sha256(evidence).hexdigest(),
        ),
    )
    if again != body:
        raise Invalid(f"the certificate does not say what its evidence says: {first_difference(body, again)}")
    for number, target in enumerate(plan.targets, 1):
        name = f"targets/t{number}.txt"
        if others.get(name) != target.identity.text().encode():
            raise Invalid(f"{name} is not the identity of the plan's target {target.id}")
    return plan, tuple(who_ran(plan, entries))


def _digests(evidence: bytes) -> dict[str, str]:
    """Read evidence.sha256: only names that a certificate has, each once."""
    files: dict[str, str] = {}
    try:
        lines = evidence.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Invalid(f"{EVIDENCE} is not text") from None
    if lines.pop() != "":
        raise Invalid(f"{EVIDENCE} is cut off")
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is None or found[2] in files:
            raise Invalid(f"line {number} of {EVIDENCE} names no file of a certificate, or one twice")
        files[found[2]] = found[1]
    return files


def first_difference(claimed: bytes, again: bytes) -> str:
    """Name the first field that differs, by its path."""
    return _differing(msgspec.json.decode(claimed), msgspec.json.decode(again), "$")


def _differing(claimed: Any, again: Any, path: str) -> str:
    if isinstance(claimed, dict) and isinstance(again, dict):
        for key in sorted(claimed.keys() | again.keys()):
            if claimed.get(key) != again.get(key):
                return _differing(claimed.get(key), again.get(key), f"{path}.{key}")
    if isinstance(claimed, list) and isinstance(again, list):
        if len(claimed) != len(again):
            return f"{path} has {len(claimed)} entries instead of {len(again)}"
        for index, (one, other) in enumerate(zip(claimed, again, strict=True)):
            if one != other:
                return _differing(one, other, f"{path}[{index}]")
    return path


def _checked(folder: UntrustedFolder, name: str, digests: dict[str, str], limit: int) -> bytes:
    """Return the content of a file whose digest stands in evidence.sha256.

    Raises:
        Invalid: it cannot be read so, or the digest is missing or another.
    """
    if name not in digests:
        raise Invalid(f"{EVIDENCE} does not name {name}")
    content = folder.read(name, limit)
    if hashlib.sha256(content).hexdigest() != digests[name]:
        raise Invalid(f"{name} was changed: its digest is not the one in {EVIDENCE}")
    return content
