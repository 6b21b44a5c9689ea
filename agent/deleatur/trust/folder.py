"""Write the folder of a certificate: what is signed, what it rests on, and how to check it.

Rules: the folder appears whole or not at all (temporary name, fsync, rename); it is written once;
what is written is first read again by the strict decoder.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from deleatur.documents.certificate import Certificate, Statement
from deleatur.documents.codec import decode_canonical
from deleatur.documents.decode import decode_plan
from deleatur.documents.journal import Entry, read_chain
from deleatur.documents.plan import PublicKey
from deleatur.errors import Malformed, Refused
from deleatur.judge.statement import Issue, statement
from deleatur.trust.approval import approvals_that_count, approvers_in
from deleatur.trust.dsse import IN_TOTO, seal
from deleatur.trust.instructions import instructions
from deleatur.trust.keys import SigningKey, public_pem

ENVELOPE = "certificate.dsse.json"
EVIDENCE = "evidence.sha256"
MAX_STATEMENT = 32 << 20  # bytes; the envelope's base64 then stays under its own limit


def write_certificate(
    folder: Path,
    *,
    plan_bytes: bytes,
    journal_bytes: bytes,
    approvals: Mapping[str, bytes],
    keys: Sequence[SigningKey],
    issued_at: str,
    certificate_id: str,
) -> str:
    """Write `folder` and return the SHA-256 (hex) of its envelope.

    A crash before the rename leaves a temporary folder that the next call replaces; after it, the
    certificate is there, to be verified and not to be written again. The same documents, keys and
    time give the same bytes.

    Args:
        folder: the certificate's folder; its parent is there, itself it is not.
        plan_bytes: plan.json as it was approved.
        journal_bytes: journal.jsonl up to now, without a torn line.
        approvals: the DSSE envelopes of the approvals, by file name.
        keys: that sign, in the order in which they stand in the envelope.
        issued_at: RFC 3339 in UTC with `Z`.
        certificate_id: 8 to 64 letters, digits and dashes.

    Raises:
        Residue: something of what was to be erased can still be read.
        Refused: the folder is there already, or plan, journal and approvals do not bear a certificate.
        Malformed: plan or journal do not follow their specification.
    """
    if os.path.lexists(folder):
        raise Refused(f"{folder} is there already; verify it, a certificate is written once")
    plan = decode_plan(plan_bytes)
    entries = read_whole_journal(journal_bytes, plan_bytes)
    envelopes = [approvals[name] for name in sorted(approvals)]
    counted = approvals_that_count(plan, plan_bytes, envelopes)
    issuers = [key.public for key in keys]
    files = {
        "plan.json": plan_bytes,
        "journal.jsonl": journal_bytes,
        **{f"targets/t{n}.txt": t.identity.text().encode() for n, t in enumerate(plan.targets, 1)},
        **{f"approvals/a{n}.dsse.json": envelope for n, envelope in enumerate(envelopes, 1)},
    }
    named = named_keys([*issuers, plan.planned_by, *counted])
    files |= {f"keys/{name}.pub": public_pem(key) for name, key in named.items()}
    approvers = [approvers_in(plan, plan_bytes, envelope) for envelope in envelopes]
    names = {key.spki: name for name, key in named.items()}
    files["VERIFY.txt"] = instructions(issuers, approvers, names).encode()
    evidence = evidence_of(files)
    body = statement(
        plan,
        plan_bytes,
        entries,
        Issue(
            certificate_id=certificate_id,
            issued_at=issued_at,
            issuers=issuers,
            approvals=counted,
            journal_digest=hashlib.sha256(journal_bytes).hexdigest(),
            evidence_digest=hashlib.sha256(evidence).hexdigest(),
        ),
    )
    read_statement(body)
    envelope = seal(body, IN_TOTO, keys)
    _write_folder(folder, {**files, EVIDENCE: evidence, ENVELOPE: envelope})
    return hashlib.sha256(envelope).hexdigest()


def read_whole_journal(journal_bytes: bytes, plan_bytes: bytes) -> list[Entry]:
    """Decode a journal that must be sound to its last byte.

    Raises:
        Malformed: the chain is broken, or the last line is torn.
    """
    entries, sound = read_chain(journal_bytes, hashlib.sha256(plan_bytes).hexdigest())
    if sound != len(journal_bytes):
        raise Malformed("the last line of the journal is torn", kind="torn", where=f"byte {sound}")
    return entries


def read_statement(body: bytes) -> Certificate:
    """Decode the statement of a certificate strictly.

    Raises:
        Malformed: it does not follow docs/spec/certificate.md, or is written another way.
    """
    return decode_canonical(body, Statement, limit=MAX_STATEMENT).predicate


def evidence_of(files: Mapping[str, bytes]) -> bytes:
    """Return the list of the files and their digests in the form of stock `sha256sum`."""
    lines = (f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items()))
    return "".join(lines).encode()


def named_keys(keys: Sequence[PublicKey]) -> dict[str, PublicKey]:
    """Give each distinct key a file name: its pseudonym, numbered if two keys share it."""
    names: dict[str, PublicKey] = {}
    for key in {key.spki: key for key in reversed(keys)}.values():
        name, number = key.name, 2
        while name in names:
            name, number = f"{key.name}-{number}", number + 1
        names[name] = key
    return names


def _write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    temporary = folder.with_name(f".{folder.name}.new")
    if os.path.lexists(temporary):
        shutil.rmtree(temporary)  # of an attempt that was cut short; refuses a symbolic link
    temporary.mkdir(mode=0o700)
    inner = {(temporary / name).parent for name in files} - {temporary}
    for path in inner:
        path.mkdir(mode=0o700)
    for name, content in files.items():
        _write_file(temporary / name, content)
    for path in (*inner, temporary):
        _sync(path)
    temporary.rename(folder)
    _sync(folder.parent)


def _write_file(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
