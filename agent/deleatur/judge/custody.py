"""Judge who keeps the archives: where copies may lie, whether all are there and were received. Pure.

Every reason at once. A copy counts if it was read back whole and shares its medium with no other; a
receipt counts if its custodian's key signed it and it shows that the archive was opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from deleatur.documents.gates import Allowed, CustodyGate, KeptCopy
from deleatur.documents.job import Custody
from deleatur.documents.journal import Archived
from deleatur.documents.place import PublicKey
from deleatur.documents.policy import Pack
from deleatur.errors import Refused
from deleatur.judge.demands import kept_elsewhere


@dataclass(frozen=True)
class SeenCopy:
    """A copy of one archive, as its medium gave it when it was last read."""

    copy: str
    file: str
    disks: frozenset[str]
    inode: str
    here: bool  # its medium can be read now
    fault: str = ""  # what is wrong with it now


def custody_gate(
    custody: Custody,
    *,
    folders: Mapping[str, str],
    keys: Sequence[PublicKey],
    agent: PublicKey,
    packs: Sequence[Pack],
    transfers: Sequence[Allowed],
    needed: frozenset[str],
) -> CustodyGate:
    """Return the gate of a job that keeps copies.

    Args:
        custody: as the job says.
        folders: absolute, by the id of the copy.
        keys: of the custodians, by name.
        agent: the key of the agent, which may not sign for a custodian.
        packs: all policies that are asked.
        transfers: what the records that were read allow.
        needed: laws that the data map names for what is archived.

    Raises:
        Refused: a copy may not lie where it should; all reasons in one line.
    """
    reasons = [
        f"{key.name}: the agent's own key cannot sign for a custodian"
        for key in keys
        if key.spki == agent.spki
    ]
    reasons += [
        f"{one.name} and {other.name} have one key, and are two custodians only with two"
        for one, other in combinations(keys, 2)
        if one.spki == other.spki
    ]
    if forgotten := sorted(needed - {*custody.laws}):
        reasons.append(f"custody: the data map says {', '.join(forgotten)}, and custody.laws does not")
    for copy in custody.copy:
        reasons += _elsewhere(copy.id, copy.law, custody.laws, packs, transfers)
    if reasons:
        raise Refused("; ".join(reasons))
    apart = {c.name for c in custody.of("last-four").custodian}
    return CustodyGate(
        copies=tuple(
            KeptCopy(id=c.id, folder=folders[c.id], medium=c.medium, site=c.site, law=c.law)
            for c in custody.copy
        ),
        custodians=tuple(key for key in keys if key.name not in apart),
        last_four=tuple(key for key in keys if key.name in apart),
        laws=custody.laws,
        packs=tuple(f"{p.id} {p.version}" for p in packs),
        transfers=tuple(transfers),
    )


def _elsewhere(
    copy: str, place: str, laws: Sequence[str], packs: Sequence[Pack], transfers: Sequence[Allowed]
) -> Iterator[str]:
    allowed = {(t.law, t.to) for t in transfers}
    for law in laws:
        if (law, place) in allowed:
            continue
        for demand in kept_elsewhere(law, place, packs):
            by = ", ".join(demand.packs)
            yield f"copy {copy}: {demand.value} ({by}); attach an approved [[custody.transfer]]"


def ended(gate: CustodyGate, day: str) -> Iterator[str]:
    """Name each transfer that may not be relied on any more on `day` (YYYY-MM-DD)."""
    for transfer in gate.transfers:
        if day > transfer.until:
            yield f"the transfer {transfer.id} ended on {transfer.until}; decide it anew, and plan again"


def copies_missing(
    gate: CustodyGate, archived: Sequence[Archived], seen: Sequence[SeenCopy]
) -> Iterator[str]:
    """Name what keeps the copies from being enough."""
    for archive in archived:
        of_this = {s.copy: s for s in seen if s.file == archive.file}
        missing = [c.id for c in gate.copies if c.id not in of_this]
        if missing:
            yield f"{archive.file}: not read back from {', '.join(missing)}; run `deleatur custody copy`"
        for copy in of_this.values():
            if copy.fault:
                yield f"{archive.file}: the copy {copy.copy} {copy.fault}; run `deleatur custody copy`"
        for one, other in combinations(of_this.values(), 2):
            if one.inode == other.inode:
                yield f"{archive.file}: {one.copy} and {other.copy} are one file under two names"
            elif common := sorted(one.disks & other.disks):
                yield f"{archive.file}: {one.copy} and {other.copy} lie on one medium ({common[0]})"


def receipts_missing(
    gate: CustodyGate,
    archived: Sequence[Archived],
    received: Sequence[tuple[str, str]],
    refused: Mapping[tuple[str, str], str],
) -> Iterator[str]:
    """Name each custodian who has not shown to have opened an archive.

    Args:
        gate: of the plan.
        archived: the archives.
        received: custodian and file of each receipt that counts.
        refused: why a receipt of this custodian about this file does not count.
    """
    for archive in archived:
        for custodian in gate.receivers(archive.part):
            pair = (custodian.name, archive.file)
            if pair not in received:
                yield refused.get(pair, f"{archive.file}: no receipt of {custodian.name}")
