"""Sign and verify the folder of a record of destruction: documents, evidence, and one envelope over all.

Rules: whoever signs has the files before them, and signs the same bytes as everyone else; signers are
counted by public key; a verifier digests every file and makes the statement again.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from deleatur.documents.attested import (
    AttestedDestruction,
    DestructionStatement,
    ProcessorsStatement,
    decode_attested,
)
from deleatur.documents.certificate import Key
from deleatur.documents.codec import MAX_JOB
from deleatur.documents.destruction import decode_destruction
from deleatur.documents.plan import PublicKey
from deleatur.documents.processors import decode_processors
from deleatur.documents.vendors import decode_vendors
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.attesting import FileFact, known_key
from deleatur.judge.destruction import destruction_statement
from deleatur.judge.fingerprint import spki_bytes
from deleatur.judge.processors import processors_statement
from deleatur.trust.dsse import IN_TOTO, MAX_ENVELOPE, add_signature, seal, unseal
from deleatur.trust.keys import SigningKey
from deleatur.trust.untrusted import UntrustedFolder, named_file
from deleatur.trust.verification import first_difference

ENVELOPE = "record.dsse.json"
DESTRUCTION, VENDORS, PROCESSORS = "destruction.toml", "vendors.toml", "processors.toml"
_UNFINISHED = f".{ENVELOPE}.new"  # of somebody whose signing was cut short
_EVIDENCE = re.compile(r"evidence/[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

T = TypeVar("T")
Statement = DestructionStatement | ProcessorsStatement


@dataclass(frozen=True)
class Record:
    """A record as it stands: what it says, and who has signed it."""

    statement: Statement
    sha256: str  # of the envelope, hex; "": nobody has signed
    signed: tuple[Key, ...]
    unsigned: tuple[Key, ...]


@dataclass(frozen=True)
class VerifiedRecord:
    """A record that verifies, and how far it was looked into."""

    statement: Statement
    sha256: str  # of the envelope, hex
    signers: tuple[PublicKey, ...]  # trusted keys that signed
    evidence: bool  # whether its documents and evidence were there and bear it


def parties(statement: Statement) -> tuple[Key, ...]:
    """Return the keys that must sign: operator and witnesses, or the officer."""
    said = statement.predicate
    if isinstance(said, AttestedDestruction):
        return (said.performer.key, *said.witnesses)
    return (said.officer,)


def party_keys(path: Path) -> list[PublicKey]:
    """Return the keys that a signed record names as its parties; whether they are theirs, others judge.

    Raises:
        Invalid: nobody has signed it, or it is no record.
    """
    envelope = UntrustedFolder(path).read(ENVELOPE, MAX_ENVELOPE)
    return [_public(key) for key in parties(_statement(unseal(envelope, IN_TOTO, [])[0]))]


def look_at_record(path: Path, at: str) -> Record:
    """Return what a folder's record says, and who has signed it; `at` is now, if nobody has.

    Raises:
        Refused: it does not bear a statement, or is not what was signed.
        Malformed: one of its documents does not follow its specification.
        Invalid: a link, a device, or an envelope that is none.
    """
    return _look(UntrustedFolder(path), at)[0]


def sign_record(path: Path, key: SigningKey, at: str) -> Record:
    """Sign the record in a folder; the first signature enters it, with `at` as its time.

    Raises:
        Refused: as `look_at_record`; or the key is no party to it, or has signed already.
        Malformed, Invalid: as `look_at_record`.
    """
    record, body, envelope = _look(UntrustedFolder(path), at)
    mine = spki_bytes(key.public)
    if mine not in {spki_bytes(_public(party)) for party in parties(record.statement)}:
        raise Refused(f"{key.key_id} is neither operator nor witness nor officer of this record")
    if mine in {spki_bytes(_public(party)) for party in record.signed}:
        raise Refused(f"{key.key_id} has signed this record already, and counts once")
    signed = seal(body, IN_TOTO, [key]) if envelope is None else add_signature(envelope, key)
    _replace(path / ENVELOPE, signed)
    return _looked(record.statement, signed)


def verify_record(where: Path, trusted: Sequence[PublicKey], threshold: int) -> VerifiedRecord:
    """Verify a record: a folder with its evidence, or the envelope's file alone.

    Args:
        where: the folder, or the file `record.dsse.json`.
        trusted: public keys that came from elsewhere than the record.
        threshold: how many distinct ones of them must have signed, at least one.

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
    statement = _statement(body)
    record = _looked(statement, envelope)
    if record.unsigned:
        raise Invalid(f"not signed by {', '.join(key.name for key in record.unsigned)}")
    if folder is not None:
        try:
            _require_same(folder, body, statement)
        except (Malformed, Refused) as error:
            raise Invalid(f"the record does not bear what was signed: {error}") from None
    return VerifiedRecord(statement, record.sha256, signers, folder is not None)


def _look(folder: UntrustedFolder, at: str) -> tuple[Record, bytes, bytes | None]:
    """Return the record with its statement's bytes and its envelope, if somebody has signed."""
    names = folder.names()
    if ENVELOPE not in names:
        body = _made(*_sources(folder, names), at)
        statement = decode_attested(body)
        return Record(statement, "", (), parties(statement)), body, None
    envelope = folder.read(ENVELOPE, MAX_ENVELOPE)
    body, _ = unseal(envelope, IN_TOTO, [])
    statement = _statement(body)
    _require_same(folder, body, statement)
    return _looked(statement, envelope), body, envelope


def _looked(statement: Statement, envelope: bytes) -> Record:
    keys = parties(statement)
    named = [_public(key) for key in keys]
    if len({spki_bytes(key) for key in named}) != len(named):
        raise Invalid("one key stands for two of those who attest")
    _, signers = unseal(envelope, IN_TOTO, named)
    held = {key.spki for key in signers}
    return Record(
        statement,
        hashlib.sha256(envelope).hexdigest(),
        tuple(key for key in keys if key.spki in held),
        tuple(key for key in keys if key.spki not in held),
    )


def _statement(body: bytes) -> Statement:
    try:
        return decode_attested(body)
    except Malformed as error:
        raise Invalid(f"not a record of destruction: {error}") from None


def _public(key: Key) -> PublicKey:
    named = PublicKey(name=key.name, spki=key.spki)
    if known_key(named) != key:
        raise Invalid(f"the key {key.name} is shown with the fingerprint of another key")
    return named


def _require_same(folder: UntrustedFolder, body: bytes, statement: Statement) -> None:
    """Ask that the files are those that were signed, and that they still bear every word."""
    files, content = _sources(folder, folder.names())
    signed = {subject.name: subject.digest.sha256 for subject in statement.subject}
    for name in sorted(signed.keys() | files.keys()):
        if name not in files:
            raise Refused(f"{name} is missing")
        if name not in signed:
            raise Refused(f"{name} was not there when it was signed")
        if files[name].sha256 != signed[name]:
            raise Refused(f"{name} was changed: its digest is not the one that was signed")
    again = _made(files, content, statement.predicate.entry.entered_at)
    if again != body:
        raise Refused(f"it says something else than its documents: {first_difference(body, again)}")


def _sources(folder: UntrustedFolder, names: Sequence[str]) -> tuple[dict[str, FileFact], dict[str, bytes]]:
    """Return the files of a record by what is in them, and the content of its documents."""
    documents = [name for name in names if "/" not in name and name not in (ENVELOPE, _UNFINISHED)]
    if documents not in ([DESTRUCTION, VENDORS], [PROCESSORS]):
        raise Refused(
            f"a record holds {DESTRUCTION} and {VENDORS}, or {PROCESSORS}, and evidence/; "
            f"there is {', '.join(documents) or 'none of them'}"
        )
    for name in names:
        if "/" in name and not _EVIDENCE.fullmatch(name):
            raise Refused("a file of the evidence has a name that a record cannot have; rename it")
    content = {name: folder.read(name, MAX_JOB) for name in documents}
    files = {name: folder.measure(name) for name in names if "/" in name}
    files |= {n: FileFact(hashlib.sha256(c).hexdigest(), len(c)) for n, c in content.items()}
    return files, content


def _made(files: Mapping[str, FileFact], content: Mapping[str, bytes], at: str) -> bytes:
    """Make the statement of a record from its documents."""
    if PROCESSORS in content:
        return processors_statement(_decoded(content, PROCESSORS, decode_processors), files, at)
    record = _decoded(content, DESTRUCTION, decode_destruction)
    return destruction_statement(record, _decoded(content, VENDORS, decode_vendors), files, at)


def _decoded(content: Mapping[str, bytes], name: str, decode: Callable[[bytes], T]) -> T:
    try:
        return decode(content[name])
    except Malformed as error:
        raise Malformed(f"{name}: {error.what}", kind=error.kind, where=error.where) from None


def _replace(path: Path, content: bytes) -> None:
    """Replace the envelope whole: a signature is added, or nothing is changed."""
    temporary = path.with_name(_UNFINISHED)
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
