"""Hand archives over from a custodian to the successor, and end their retention.

The leaving custodian seals anew at home; the successor opens the new file before signing; the agent signs
last and takes the new file into the job. The old key opens nothing that is sealed from then on.
"""

import hashlib
import json
from datetime import date
from pathlib import Path
from urllib.parse import quote

import msgspec

from deleatur.archive.beside import Facts, stem_of
from deleatur.archive.copies import read_back, write_copy
from deleatur.archive.opening import look_inside
from deleatur.archive.reseal import reseal
from deleatur.documents.certificate import Digest
from deleatur.documents.codec import decode_json
from deleatur.documents.decode import decode_job
from deleatur.documents.gates import CustodyGate
from deleatur.documents.job import Custodian, Custody
from deleatur.documents.journal import Archived
from deleatur.documents.plan import PublicKey
from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan, seconds, state_of
from deleatur.engine.keeping import HANDOVERS, MAX_BESIDE, envelopes, put, put_envelope, write_beside
from deleatur.engine.reading import decoding, read_plain
from deleatur.errors import Refused
from deleatur.judge.custodians import Keeper, Register, Signed, register
from deleatur.trust.custody import Handover, handover_in, sign_handover, sign_too
from deleatur.trust.keys import SigningKey


def hand_over(
    archive: Path,
    identity: str,
    leaving: SigningKey,
    successor: PublicKey,
    recipient: str,
    out: Path,
    clock: Clock,
) -> Path:
    """Seal an archive anew without the leaving custodian, and sign that; return the hand-over's file.

    `archive` lies with the files beside it. The new archive and the hand-over go into the folder `out`.
    The names of both keys are those of the custodians.

    Raises:
        Refused: the leaving key's name is none of its custodians, the identity does not open it, or
            `out` has it already.
    """
    facts = decode_json(read_plain(archive.with_name(f"{stem_of(archive.name)}.json"), MAX_BESIDE), Facts)
    name = leaving.public.name
    if name not in {c.name for c in facts.custodians} or successor.name in {c.name for c in facts.custodians}:
        raise Refused(f"{name} is no custodian of {archive.name}, or {successor.name} is one already")
    if (out / archive.name).exists():
        raise Refused(f"{out / archive.name} is there already; choose another folder")
    others = [c.recipient for c in facts.custodians if c.name != name]
    sealed = reseal(archive, identity, [*others, recipient], out / archive.name)
    handover = Handover(
        schema_version="deleatur/archive-handover/v1",
        leaving=name,
        successor=successor.name,
        key=successor.spki,
        recipient=recipient,
        before=Digest(sha256=read_back(archive).sha256),
        size=sealed.size,
        contents=Digest(sha256=sealed.contents),
        at=seconds(clock),
    )
    path = out / f"{stem_of(archive.name)}.handover.dsse.json"
    put(path, sign_handover(archive.name, sealed.sha256, handover, leaving))
    return path


def accept(handover: Path, archive: Path, identity: str, key: SigningKey) -> None:
    """Open the archive that was sealed anew, as its successor, and sign the hand-over too.

    Raises:
        Refused: it does not open, is another file or has other contents, or the key is not the successor's.
    """
    envelope = read_plain(handover, MAX_BESIDE)
    _, sha256, said, _ = handover_in(envelope, ())
    if key.public.spki != said.key:
        raise Refused(f"{key.key_id} is not the key that the hand-over names for {said.successor}")
    if look_inside(archive, identity).contents != said.contents.sha256 or read_back(archive).sha256 != sha256:
        raise Refused(f"{archive.name} is not the archive that was handed over")
    put(handover, sign_too(envelope, key))


def take_over(directory: JobDirectory, handover: Path, archive: Path, agent: SigningKey) -> Register:
    """Sign a hand-over as the agent, and take the new archive into the job.

    What lacks a signature is kept too, so that the alarm lasts until it is there.

    Raises:
        Refused: custody stays where it is; why.
    """
    with directory.locked():
        envelope = read_plain(handover, MAX_BESIDE)
        file, sha256, said, _ = handover_in(envelope, ())
        before = register_of(directory, agent.public)
        known = {archived.file: archived for archived in before.archived}
        if file not in known or read_back(archive).sha256 != sha256:
            raise Refused(f"{archive.name} is not the archive that was handed over")
        put_envelope(directory.path, HANDOVERS, sign_too(envelope, agent))
        after = register_of(directory, agent.public)
        if after.alarms:
            raise Refused("; ".join(after.alarms))
        now = {archived.file: archived for archived in after.archived}
        if now[file].sha256 != sha256 or known[file].contents != said.contents.sha256:
            raise Refused(
                f"custody stays with {said.leaving}: the hand-over is not of the archive as it is now"
            )
        write_copy(archive, directory.archive, sha256)
        approved = read_plan(directory)
        custody = _custody(approved.plan.custody, after)
        write_beside(
            directory.archive,
            now[file],
            custody,
            job=approved.plan.job,
            plan_digest=approved.digest,
            key=agent,
        )
        return after


def register_of(directory: JobDirectory, agent: PublicKey) -> Register:
    """Return who keeps the archives of a job.

    Raises:
        Refused: it keeps no copies, or has archived nothing.
    """
    approved = read_plan(directory)
    gate = next((g for g in approved.plan.gates if isinstance(g, CustodyGate)), None)
    custody = approved.plan.custody
    archived: tuple[Archived, ...] = tuple(state_of(directory, approved).archived.values())
    if gate is None or custody is None or not archived:
        raise Refused("this job has no archives that custodians received; there is nobody to hand over")
    recipients = {c.name: c.recipient for c in custody.custodian}
    since = approved.plan.created_at
    keepers = [
        Keeper(key=k, recipient=recipients[k.name], since=since, part=part)
        for part in ("main", "last-four")
        for k in gate.receivers(part)
    ]
    found = []
    known = [agent, *gate.custodians, *gate.last_four]
    for envelope in envelopes(directory.path, HANDOVERS):
        successor = handover_in(envelope, ())[2]
        known.append(PublicKey(name=successor.successor, spki=successor.key))
    for envelope in envelopes(directory.path, HANDOVERS):
        file, sha256, said, signers = handover_in(envelope, known)
        found.append(
            Signed(
                file=file,
                sha256=sha256,
                size=said.size,
                before=said.before.sha256,
                contents=said.contents.sha256,
                leaving=said.leaving,
                successor=PublicKey(name=said.successor, spki=said.key),
                recipient=said.recipient,
                at=said.at,
                signers=frozenset(key.spki for key in signers),
            )
        )
    return register(keepers, archived, found, agent)


def _custody(planned: Custody | None, now: Register) -> Custody:
    if planned is None:
        raise Refused("the plan names no custodians")
    shares = {c.recipient: c.shares for c in planned.custodian}
    keepers = [k for k in now.keepers if not k.until]
    custodians = tuple(
        Custodian(name=k.key.name, recipient=k.recipient, shares=shares.get(k.recipient), part=k.part)
        for k in keepers
    )
    return msgspec.structs.replace(planned, custodian=custodians)


def draft_expiry(directory: JobDirectory, into: Path, clock: Clock) -> Path:
    """Write a job that erases every copy of archives whose retention has ended; return its folder.

    Raises:
        Refused: the last day is not over, there are no archives, or the folder has a job.
    """
    approved = read_plan(directory)
    custody = approved.plan.custody
    archived = state_of(directory, approved).archived.values()
    if custody is None or not archived:
        raise Refused(f"the job in {directory.path} has no archive")
    if clock().date() <= date.fromisoformat(custody.retain_until):
        raise Refused(f"the archives are kept until {custody.retain_until}; erase them after that day")
    gates = [g for g in approved.plan.gates if isinstance(g, CustodyGate)]
    folders = [directory.archive, *(Path(c.folder) for g in gates for c in g.copies)]
    paths = [folder / archive.file for folder in folders for archive in archived]
    plan = hashlib.sha256(approved.content).hexdigest()[:16]
    lines = [
        'schema = "deleatur/job/v1"',
        f'name = "{approved.plan.job[:50]}-expired"',
        'reason = "retention-expired"',
        f'authority = "kept until {custody.retain_until} by the plan sha256:{plan}"',
        'requested_by = "operator"',
        *(
            f'\n[[target]]\nid = "copy-{number}"\nurl = {json.dumps("file://" + quote(bytes(path)))}'
            for number, path in enumerate(paths, 1)
        ),
    ]
    content = ("\n".join(lines) + "\n").encode()
    with decoding("job.toml"):
        decode_job(content)
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    JobDirectory(into).write_once(into / "job.toml", content)
    return into
