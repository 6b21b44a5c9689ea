"""The gate of custody: the archives lie in all their copies, and each custodian has opened them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from deleatur.documents.codec import read_limited
from deleatur.documents.gates import Allowed, CustodyGate
from deleatur.documents.job import Custody, Job, Transfer
from deleatur.documents.journal import Archived, Passed
from deleatur.documents.place import PublicKey
from deleatur.documents.plan import Plan
from deleatur.documents.transfer import MAX_TRANSFER, decode_transfer
from deleatur.engine.gates.context import Context
from deleatur.engine.keeping import received, seen_copies
from deleatur.engine.mapping import read_map
from deleatur.engine.packs import read_policy, shipped
from deleatur.engine.reading import decoding
from deleatur.errors import Refused
from deleatur.judge.custody import SeenCopy, copies_missing, custody_gate, ended, receipts_missing
from deleatur.judge.jurisdictions import split
from deleatur.judge.lint import jurisdiction_of
from deleatur.trust.keys import load_public


def plan_custody(job: Job, custody: Custody, plan: Plan, context: Context) -> CustodyGate:
    """Return the gate of a job that keeps copies of its archives.

    Raises:
        Refused: a copy may not lie where it should, or a file is missing; all reasons in one line.
    """
    return custody_gate(
        custody,
        folders={copy.id: _folder(copy.url) for copy in custody.copy},
        keys=[_key(context.folder, c.key or "", c.name) for c in custody.custodian],
        agent=context.agent,
        packs=(*shipped(), *(read_policy(context.folder / name) for name in custody.packs)),
        transfers=[_allowed(t, context.folder, f"{context.clock():%Y-%m-%d}") for t in custody.transfer],
        needed=_laws(job, plan, context),
    )


@dataclass(frozen=True)
class Standing:
    """How the archives of a job are kept now."""

    copies: list[tuple[SeenCopy, bytes]]
    receipts: dict[tuple[str, str], bytes]
    reasons: list[str]  # why this is not enough


def open_points(
    folder: Path,
    gate: CustodyGate,
    archived: Sequence[Archived],
    agent: PublicKey,
    key: bytes,
    plan_digest: str,
) -> Standing:
    """Look at all copies and receipts of a job; `key` is its secret."""
    copies = seen_copies(folder, gate, archived, agent)
    counted, refused = received(folder, gate, archived, key=key, plan_digest=plan_digest)
    reasons = [
        *copies_missing(gate, archived, [seen for seen, _ in copies]),
        *receipts_missing(gate, archived, [*counted], refused),
    ]
    return Standing(copies, counted, reasons)


def pass_custody(gate: CustodyGate, context: Context) -> Passed:
    """Let the job through if every archive is kept in its copies and was received by every custodian.

    Raises:
        Refused: the job is archived-unreceived; all reasons in one line.
    """
    found = open_points(
        context.folder, gate, context.archived, context.agent, context.opener.key, context.plan_digest
    )
    if found.reasons:
        raise Refused(f"archived-unreceived: {'; '.join(found.reasons)}")
    if reasons := [*ended(gate, f"{context.clock():%Y-%m-%d}")]:
        raise Refused("; ".join(reasons))
    copies, counted = found.copies, found.receipts
    rests_on = sorted(hashlib.sha256(e).hexdigest() for e in (*(e for _, e in copies), *counted.values()))
    return Passed(
        gate=gate.name,
        digest=hashlib.sha256("".join(f"{digest}\n" for digest in rests_on).encode()).hexdigest(),
        counts=(
            ("archives", len(context.archived)),
            ("copies", len(copies)),
            ("read-again", sum(seen.here for seen, _ in copies)),
            ("receipts", len(counted)),
        ),
    )


def _laws(job: Job, plan: Plan, context: Context) -> frozenset[str]:
    """Return the laws that the job's data map names for the targets that are archived."""
    said = job.datamap
    if said is None:
        return frozenset()
    if said.laws:
        return frozenset(said.laws)
    urls = {t.target.url for t in plan.targets if t.target.archive}
    places = (p for p in read_map(context.folder / said.file).place if p.url in urls)
    return frozenset(code for place in places for code in split(jurisdiction_of(place)))


def _folder(url: str) -> str:
    return unquote(urlsplit(url).path, errors="surrogateescape")


def _key(folder: Path, file: str, name: str) -> PublicKey:
    return replace(load_public(folder / file), name=name)


def _allowed(transfer: Transfer, folder: Path, day: str) -> Allowed:
    """Return what the record of a transfer allows on `day`."""
    path = folder / transfer.record
    try:
        content = read_limited(path, MAX_TRANSFER)
    except FileNotFoundError:
        raise Refused(f"the record {path} is missing; a transfer without one is not approved") from None
    with decoding(path.name):
        record = decode_transfer(content)
    if (record.law, record.to) != (transfer.law, transfer.to):
        raise Refused(
            f"{path.name} lets {record.law} lie under {record.to}, not {transfer.law} under {transfer.to}"
        )
    if not record.decided <= day <= record.until:
        raise Refused(
            f"the transfer {record.id} holds from {record.decided} to {record.until}; decide it anew"
        )
    return Allowed(
        id=record.id,
        law=record.law,
        to=record.to,
        until=record.until,
        digest=hashlib.sha256(content).hexdigest(),
    )
