"""Put together what somebody asks for who doubts an erase: one folder that verifies elsewhere.

Rules: only what verifies goes in; every file is named by digest in one list, which is signed; the
folder appears whole or not at all, and is believed in nothing when it is read.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from deleatur.documents.attested import (
    BUNDLE_TYPE,
    Bundle,
    BundledCertificate,
    BundledRecord,
    BundleStatement,
    decode_bundle,
)
from deleatur.documents.certificate import STATEMENT_TYPE, Digest, Subject
from deleatur.documents.codec import MAX_PLAN, encode_json
from deleatur.documents.decode import decode_plan
from deleatur.documents.gates import CustodyGate, MapGate, NoticeGate, PaperGate, RecordGate
from deleatur.documents.journal import Archived
from deleatur.documents.plan import PublicKey
from deleatur.errors import Invalid, Malformed, Refused
from deleatur.judge.attesting import known_key
from deleatur.judge.fingerprint import spki_bytes
from deleatur.trust import record as records
from deleatur.trust.bundle_instructions import bundle_instructions
from deleatur.trust.custody import copy_in, receipt_in
from deleatur.trust.dsse import IN_TOTO, MAX_ENVELOPE, decode_envelope, seal, signature_places, unseal
from deleatur.trust.folder import ENVELOPE as CERTIFICATE
from deleatur.trust.folder import named_keys, read_statement, read_whole_journal
from deleatur.trust.keys import SigningKey, public_pem
from deleatur.trust.stamp import MAX_ROOTS, MAX_STAMP, Stamp, verify_stamp
from deleatur.trust.untrusted import UntrustedFolder
from deleatur.trust.verification import MAX_JOURNAL, MAX_SMALL, Verification, first_difference, verify

ENVELOPE = "bundle.dsse.json"
MANIFEST = "manifest.sha256"
VERIFY = "VERIFY.txt"
LEDGER = "ledger.jsonl"
_LEDGER = f"notices/{LEDGER}"
_MAX_MANIFEST = 32 << 20  # bytes: a hundred thousand files
_Word = TypeVar("_Word")


@dataclass(frozen=True)
class VerifiedBundle:
    """A bundle that verifies, with everything in it."""

    bundle: Bundle
    sha256: str  # of the envelope, hex
    signers: tuple[PublicKey, ...]  # trusted keys that signed the bundle
    files: int


@dataclass(frozen=True)
class _Parts:
    """What of a bundle is signed by itself, each verified."""

    certificates: tuple[Verification, ...]
    records: tuple[tuple[str, records.VerifiedRecord], ...]  # by folder
    stamps: Mapping[str, Stamp]  # by path without its ending

    def keys(self) -> list[PublicKey]:
        """Return every key that one of the parts names as its signer."""
        named = [key for one in self.certificates for key in one.certificate.issuers]
        named += [key for _, one in self.records for key in records.parties(one.statement)]
        return [PublicKey(name=key.name, spki=key.spki) for key in named]


def write_bundle(folder: Path, sources: Mapping[str, Path], key: SigningKey, at: str) -> VerifiedBundle:
    """Copy the files, verify what is signed, list everything, sign the list; all or nothing.

    Args:
        folder: the bundle's; its parent is there, itself it is not.
        sources: the files, by their path in the bundle: `certificate/…`, `records/NAME/…`, others.
        key: of who makes the bundle.
        at: RFC 3339 in UTC with `Z`, to the second.

    Raises:
        Refused: the folder is there already, there is nothing to show, or a name cannot be listed.
        Invalid: the certificate or a record does not verify.
    """
    if os.path.lexists(folder):
        raise Refused(f"{folder} is there already; choose another name, nothing is overwritten")
    if odd := [name for name in sources if "\\" in name or not name.isprintable()]:
        raise Refused(f"{len(odd)} file names cannot stand in a list of digests; rename them")
    temporary = folder.with_name(f".{folder.name}.new")
    if os.path.lexists(temporary):
        shutil.rmtree(temporary)  # of an attempt that was killed; refuses a symbolic link
    temporary.mkdir(mode=0o700)
    try:
        verified = _fill(temporary, sources, key, at)
        temporary.rename(folder)
    finally:
        if os.path.lexists(temporary):
            shutil.rmtree(temporary)
    _sync(folder.parent)
    return verified


def _fill(folder: Path, sources: Mapping[str, Path], key: SigningKey, at: str) -> VerifiedBundle:
    """Write everything into a new folder, flush it, and verify what stands there."""
    for name, source in sources.items():
        (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name, follow_symlinks=False)
    inside = UntrustedFolder(folder)
    parts = _parts(folder, inside.names(), None)
    named = named_keys([key.public, *parts.keys()])
    _write_all(folder, {f"keys/{name}.pub": public_pem(public) for name, public in named.items()})
    names = {public.spki: name for name, public in named.items()}
    text = bundle_instructions(key.public, _signers(folder, parts), names, parts.stamps)
    _write_all(folder, {VERIFY: text.encode()})
    listed = {name: inside.measure(name).sha256 for name in inside.names()}
    manifest = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items())).encode()
    body = _statement(parts, key.public, at, manifest)
    _write_all(folder, {MANIFEST: manifest, ENVELOPE: seal(body, IN_TOTO, [key])})
    _sync_all(folder)
    return verify_bundle(folder, [key.public, *parts.keys()], 1)


def verify_bundle(where: Path, trusted: Sequence[PublicKey], threshold: int) -> VerifiedBundle:
    """Verify a bundle: its signature, every file by its digest, the certificate and every record.

    Args:
        where: the folder.
        trusted: public keys that came from elsewhere; each part must be signed by one of them.
        threshold: how many distinct ones of them must have signed something in the bundle.

    Raises:
        Invalid: anything does not verify; what and where, in one line.
        Refused: no trusted key was named, or fewer than the threshold.
        Failed: a file could not be read.
    """
    if not 1 <= threshold <= len({key.spki for key in trusted}):
        raise Refused(f"{threshold} signatures by distinct keys cannot be checked with {len(trusted)} keys")
    folder = UntrustedFolder(where)
    envelope = folder.read(ENVELOPE, MAX_ENVELOPE)
    body, signers = unseal(envelope, IN_TOTO, trusted)
    if not signers:
        raise Invalid("the bundle is signed by no key that you named")
    try:
        said = decode_bundle(body).predicate
    except Malformed as error:
        raise Invalid(f"not a bundle: {error}") from None
    maker = PublicKey(name=said.maker.name, spki=said.maker.spki)
    if known_key(maker) != said.maker or not unseal(envelope, IN_TOTO, [maker])[1]:
        raise Invalid("the bundle names a maker who has not signed it")
    manifest = folder.read(MANIFEST, _MAX_MANIFEST)
    names = [name for name in folder.names() if name not in (MANIFEST, ENVELOPE)]
    _require_listed(folder, names, manifest)
    parts = _parts(where, names, trusted)
    _require_rested(folder, parts, names)
    again = _statement(parts, maker, said.made_at, manifest)
    if again != body:
        raise Invalid(f"the bundle does not say what is in it: {first_difference(body, again)}")
    used = {spki_bytes(key) for key in signers}
    used |= {spki_bytes(key) for one in parts.certificates for key in one.signers}
    used |= {spki_bytes(key) for _, one in parts.records for key in one.signers}
    if len(used) < threshold:
        raise Invalid(f"{len(used)} of the {threshold} trusted keys that are needed signed anything in it")
    return VerifiedBundle(said, hashlib.sha256(envelope).hexdigest(), signers, len(names) + 2)


def _require_listed(folder: UntrustedFolder, names: Sequence[str], manifest: bytes) -> None:
    """Compare what lies there with the list, file by file."""
    there = {name: folder.measure(name).sha256 for name in names}
    again = "".join(f"{digest}  {name}\n" for name, digest in sorted(there.items())).encode()
    if again == manifest:
        return
    lines = dict(line.split("  ", 1)[::-1] for line in manifest.decode("utf-8", "replace").splitlines())
    for name in sorted(lines.keys() | there.keys()):
        if name not in there:
            raise Invalid(f"{name} is in the list, and missing")
        if name not in lines:
            raise Invalid(f"{name} is there, and not in the list")
        if lines[name] != there[name]:
            raise Invalid(f"{name} was changed: its digest is not the one in {MANIFEST}")
    raise Invalid(f"{MANIFEST} is not a list of digests, sorted by name")


def _parts(where: Path, names: Sequence[str], trusted: Sequence[PublicKey] | None) -> _Parts:
    """Verify what is signed by itself; without `trusted`, against the keys that each part names."""
    certificates, found = [], []
    if any(name.startswith("certificate") for name in names):
        path = where / "certificate"
        with _named("certificate"):
            keys = certificate_issuers(path) if trusted is None else trusted
            certificates.append(verify(path, keys, 1, None))
    for folder in sorted({name.split("/")[1] for name in names if name.startswith("records/")}):
        path = where / "records" / folder
        with _named(f"records/{folder}"):
            keys = records.party_keys(path) if trusted is None else trusted
            found.append((folder, records.verify_record(path, keys, 1)))
    if not certificates and not found:
        raise Invalid("there is neither a certificate nor a record of destruction in it")
    if not all(one.evidence for one in certificates) or not all(one.evidence for _, one in found):
        raise Invalid("a certificate or a record is there without its evidence")
    jobs = {one.certificate.plan.job for one in certificates}
    jobs |= {one.statement.predicate.job for _, one in found} - {""}
    if len(jobs) > 1:
        raise Invalid(f"its parts belong to different jobs: {', '.join(sorted(jobs))}")
    return _Parts(tuple(certificates), tuple(found), _stamps(UntrustedFolder(where), names))


def _stamps(folder: UntrustedFolder, names: Sequence[str]) -> dict[str, Stamp]:
    """Verify every time stamp under the roots that lie beside it; whether to trust those, others judge."""
    found = {}
    for name in sorted({name.rpartition(".")[0] for name in names if name.startswith("stamps/")}):
        with _named(name):
            response = folder.read(f"{name}.tsr", MAX_STAMP)
            envelope = folder.read(f"certificate/{CERTIFICATE}", MAX_ENVELOPE)
            found[name] = verify_stamp(response, envelope, folder.read(f"{name}.pem", MAX_ROOTS))
    return found


def _require_rested(folder: UntrustedFolder, parts: _Parts, names: Sequence[str]) -> None:
    """Ask that a job is shown with all that its certified plan rested on."""
    shown = {one.sha256 for _, one in parts.records}
    maps = {folder.measure(name).sha256 for name in names if name.startswith("map/")}
    for certificate in parts.certificates:
        content = folder.read("certificate/plan.json", MAX_PLAN)
        for gate in decode_plan(content).gates:
            match gate:
                case MapGate() if gate.digest not in maps:
                    raise Invalid("the data map that the job rested on is not in the bundle")
                case NoticeGate() if folder.measure(_LEDGER, lines=gate.entries).sha256 != gate.digest:
                    raise Invalid("the ledger of notices in the bundle is not the one that the job rested on")
                case RecordGate():
                    for known in gate.records:
                        if known.digest not in shown:
                            raise Invalid(
                                f"the record {known.id} that the job rested on is not in the bundle"
                            )
                case PaperGate():
                    papers = {folder.measure(n).sha256 for n in names if n.startswith("papers/")}
                    if absent := [f"{p.kind} {p.id}" for p in gate.papers if p.digest not in papers]:
                        raise Invalid(f"the {absent[0]} that the job rested on is not in the bundle")
                case CustodyGate():
                    envelopes = [folder.read(n, MAX_SMALL) for n in names if n.startswith("custody/")]
                    journal = folder.read("certificate/journal.jsonl", MAX_JOURNAL)
                    events = (entry.event for entry in read_whole_journal(journal, content))
                    archived = {e.package: e for e in events if isinstance(e, Archived)}
                    issuers = certificate.certificate.issuers
                    agents = [PublicKey(name=key.name, spki=key.spki) for key in issuers]
                    records = {folder.measure(n).sha256 for n in names if n.startswith("transfers/")}
                    if gone := [t.id for t in gate.transfers if t.digest not in records]:
                        raise Invalid(f"the record of the transfer {gone[0]} is not in the bundle")
                    _require_kept(gate, [*archived.values()], agents, envelopes)


def _require_kept(
    gate: CustodyGate, archived: Sequence[Archived], agents: Sequence[PublicKey], envelopes: Sequence[bytes]
) -> None:
    """Ask for the agent's word about each copy of each archive, and for each custodian's receipt of it."""
    found = {(f"the copy {read.copy}", *about) for *about, read in _opened(envelopes, agents, copy_in)}
    keepers = (*gate.custodians, *gate.last_four)
    found |= {
        (f"the receipt of {r.custodian}", *about) for *about, r in _opened(envelopes, keepers, receipt_in)
    }
    for archive in archived:
        wanted = [f"the copy {copy.id}" for copy in gate.copies]
        wanted += [f"the receipt of {keeper.name}" for keeper in gate.receivers(archive.part)]
        for what in wanted:
            if (what, archive.file, archive.sha256) not in found:
                raise Invalid(f"nothing in the bundle shows {what} of {archive.file}")


def _opened(
    envelopes: Sequence[bytes],
    keys: Sequence[PublicKey],
    opened: Callable[[bytes, PublicKey], tuple[str, str, _Word]],
) -> Iterator[tuple[str, str, _Word]]:
    """Yield what those envelopes say that one of the keys signed; the others are words of others."""
    for envelope in envelopes:
        for key in keys:
            with suppress(Invalid):
                yield opened(envelope, key)


@contextmanager
def _named(part: str) -> Iterator[None]:
    """Name the part of a bundle in what does not verify inside."""
    try:
        yield
    except Invalid as error:
        raise Invalid(f"{part}: {error}") from None


def certificate_issuers(path: Path) -> list[PublicKey]:
    """Return the keys that a certificate names as its issuers; whether they are theirs, others judge.

    Raises:
        Invalid: it is no certificate.
    """
    envelope = UntrustedFolder(path).read(CERTIFICATE, MAX_ENVELOPE)
    try:
        said = read_statement(decode_envelope(envelope).payload)
    except Malformed as error:
        raise Invalid(f"not a certificate: {error}") from None
    return [PublicKey(name=key.name, spki=key.spki) for key in said.issuers]


def _statement(parts: _Parts, maker: PublicKey, at: str, manifest: bytes) -> bytes:
    predicate = Bundle(
        schema_version="deleatur/bundle/v1",
        made_at=at,
        maker=known_key(maker),
        certificates=tuple(
            BundledCertificate(
                id=one.certificate_id,
                digest=Digest(sha256=one.sha256),
                retain_until=one.certificate.retain_until,
                state=one.certificate.outcome.overall,
            )
            for one in parts.certificates
        ),
        records=tuple(
            BundledRecord(
                id=one.statement.predicate.id,
                folder=folder,
                digest=Digest(sha256=one.sha256),
                retain_until=one.statement.predicate.retain_until,
                state=one.statement.predicate.state,
                assurance=one.statement.predicate.assurance,
                days_late=one.statement.predicate.entry.days_late,
            )
            for folder, one in parts.records
        ),
    )
    digest = Digest(sha256=hashlib.sha256(manifest).hexdigest())
    return encode_json(
        BundleStatement(
            type_=STATEMENT_TYPE,
            subject=(Subject(name=MANIFEST, digest=digest),),
            predicate_type=BUNDLE_TYPE,
            predicate=predicate,
        )
    )


def _signers(where: Path, parts: _Parts) -> dict[str, tuple[tuple[int, PublicKey], ...]]:
    """Return, for each record's envelope, which of its signatures is by which party."""
    found = {}
    for folder, _ in parts.records:
        path = where / "records" / folder
        envelope = UntrustedFolder(path).read(records.ENVELOPE, MAX_ENVELOPE)
        name = f"records/{folder}/{records.ENVELOPE}"
        found[name] = signature_places(envelope, records.party_keys(path))
    return found


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
        (folder / name).write_bytes(content)


def _sync_all(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
