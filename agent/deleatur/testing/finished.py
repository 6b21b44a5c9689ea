"""A made-up job that came to its end: its plan, its journal and its approvals, with keys of tests.

Tests of certificates take it, change one thing, and see what becomes of it. The keys are computed
from numbers, so nobody may ever trust them.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deleatur.documents import journal as j
from deleatur.documents.codec import encode_json
from deleatur.documents.gates import AnyGate, LeftCopy, Lowered, MapGate, NotVerified
from deleatur.documents.job import (
    ArchivedTable,
    Custodian,
    Custody,
    FreeSpace,
    Policy,
    Rule,
    Selection,
    Shares,
    Target,
    Verification,
    parts_of,
    tables_of,
)
from deleatur.documents.place import ArchivePart, Identity, Pattern, Sampling, Step, Surface, Unit
from deleatur.documents.plan import (
    Plan,
    PlannedFill,
    PlannedHost,
    PlannedTarget,
    PluginPin,
    PublicKey,
    RoleKeys,
    Software,
)
from deleatur.judge.fingerprint import key_id
from deleatur.trust.approval import approve
from deleatur.trust.keys import SigningKey


def known_key(name: str, number: int, kind: Literal["ed25519", "p-256"] = "ed25519") -> SigningKey:
    """Return the same key for the same number, without a file and without a passphrase."""
    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    if kind == "ed25519":
        private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    else:
        private = ec.derive_private_key(number, ec.SECP256R1())
    spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SigningKey(PublicKey(name=name, spki=base64.b64encode(spki).decode()), private)


AGENT = known_key("agent", 1)
SECOND_AGENT = known_key("vault", 2, "p-256")
PLANNER = known_key("planner", 3)
APPROVERS = (known_key("legal", 4), known_key("security", 5, "p-256"))

PIN = PluginPin(distribution="deleatur", version="0.1.0", record_digest="a1" * 32, entry_point="test:Backend")
RECIPIENT = "age1" + "q" * 58
SHARED = "age1" + "p" * 58
APART = "age1" + "t" * 58
_SAFE = Custodian(
    name="safe", recipient=APART, shares=Shares(needed=2, of=3), part="last-four"
)  # of last four digits, where there are any


def a_file(
    name: str = "export", *, limits: tuple[str, ...] = (), mode: Literal["full", "sample"] = "full"
) -> PlannedTarget:
    """Return a planned file of 8,192 bytes."""
    return PlannedTarget(
        id=name,
        target=Target(id=name, url=f"file:///srv/{name}.csv"),
        identity=Identity(kind="file", fields=(("host", "h-17"), ("path", f"/srv/{name}.csv"))),
        size=8192,
        units=(Unit(name="inode-12", size=8192, digest="b2" * 32),),
        held=(),
        kept=(),
        technique="overwrite-and-remove",
        limits=limits,
        surfaces=(
            Surface(name="file blocks", reach="scannable", paths=(f"/srv/{name}.csv",)),
            Surface(name="block device", reach="scannable", paths=("/dev/loop9",)),
            Surface(name="backups", reach="out-of-reach", reason="this host does not keep them"),
        ),
        sampling=Sampling(mode=mode, count=459, seed="c3" * 32),
        plugin=PIN,
    )


def some_rows(name: str = "crm", **rules: Rule) -> PlannedTarget:
    """Return the planned rows of one table, with an archive of them; `rules` are of more columns."""
    return PlannedTarget(
        id=name,
        target=Target(
            id=name,
            url=f"sqlite:///srv/{name}.sqlite",
            select=(Selection(table="customers"),),
            archive=(ArchivedTable(table="customers", columns={"id": Rule(rule="keep"), **rules}),),
        ),
        identity=Identity(kind="rows", fields=(("file", f"/srv/{name}.sqlite"), ("table", "客户"))),
        size=40,
        units=(Unit(name="table customers", size=40, digest="d4" * 32),),
        held=(Unit(name="table orders", size=2, digest="e5" * 32),),
        kept=(),
        technique="rewrite-and-shred",
        limits=(),
        surfaces=(Surface(name="database file", reach="scannable", paths=(f"/srv/{name}.sqlite",)),),
        sampling=Sampling(mode="full", count=459, seed="f6" * 32),
        plugin=PIN,
    )


def planned_for(target: Target) -> PlannedTarget:
    """Return a target as a plan holds it that looked at nothing: enough for its archive to be written."""
    return PlannedTarget(
        id=target.id,
        target=target,
        identity=Identity(kind="rows", fields=()),
        size=1,
        units=(),
        held=(),
        kept=(),
        technique="rewrite",
        limits=(),
        surfaces=(),
        sampling=Sampling(mode="full", count=1, seed="0" * 64),
        plugin=PIN,
    )


def a_map() -> MapGate:
    """Return the gate of a data map with a declared and a lost place, and a copy that is left."""
    return MapGate(
        file="/srv/datamap.toml",
        digest="4c" * 32,
        owners=2,
        people=40,
        laws=("DE",),
        packs=("de-hgb 1",),
        unverified=(
            NotVerified(place="mailbox", state="attested"),
            NotVerified(place="laptop-4", state="lost"),
        ),
        left=(LeftCopy(target="crm", place="backup", kind="backup"),),
        lowered=(Lowered(place="crm", table="customers", field="email", type="e-mail", level="internal"),),
    )


def a_fill(kind: str = "ext4", margin: int = 0) -> PlannedFill:
    """Return a planned fill of the file system on which the rows of `some_rows` lie."""
    fields = (("type", kind), ("uuid", "00-01"), ("mount-point", "/srv"))
    return PlannedFill(
        id="disk",
        asked=FreeSpace(id="disk", folder="/srv", margin=margin),
        identity=Identity(kind="file-system", fields=fields),
        size=1 << 20,
        limits=(),
        targets=("crm",),
        pattern=Pattern(kind="aes-256-ctr", key="08" * 32),
    )


def a_filling(fill: PlannedFill) -> j.Filled:
    """Return what the journal says of a fill that reached everything."""
    return j.Filled(
        fill=fill.id,
        written=1 << 20,
        left=0,
        control=1,
        control_equal=0,
        population=1,
        read=1,
        size=1 << 20,
        mismatches=0,
        reserved=0,
        reserved_left=0,
        files_left=0,
    )


@dataclass(frozen=True)
class FinishedJob:
    """The documents of a job of which every step is done and verified."""

    plan: Plan
    events: tuple[j.AnyEvent, ...]
    approvals: dict[str, bytes]

    @property
    def plan_bytes(self) -> bytes:
        """The bytes of plan.json."""
        return encode_json(self.plan)

    @property
    def entries(self) -> tuple[j.Entry, ...]:
        """The journal's entries, one second apart."""
        return chained(self.events, hashlib.sha256(self.plan_bytes).hexdigest())

    @property
    def journal_bytes(self) -> bytes:
        """The bytes of journal.jsonl."""
        return b"".join(j.line_of(entry) for entry in self.entries)

    def with_events(self, events: Iterable[j.AnyEvent]) -> "FinishedJob":
        """Return the same job with another story."""
        return FinishedJob(self.plan, tuple(events), self.approvals)


def finished(
    *targets: PlannedTarget,
    policy: Policy | None = None,
    approvers: Sequence[SigningKey] = APPROVERS,
    device: bool = False,
    gates: tuple[AnyGate, ...] = (),
    roles: tuple[RoleKeys, ...] = (),
    fills: tuple[PlannedFill, ...] = (),
) -> FinishedJob:
    """Return a job that erased `targets` without a fault; a file and some rows if none is named."""
    planned = targets or (a_file(), some_rows())
    plan = _plan(planned, policy or Policy(), approvers, Verification(device=device), gates, roles)
    plan = msgspec.structs.replace(plan, free_space=fills)
    digest = hashlib.sha256(encode_json(plan)).hexdigest()
    approvals = {
        f"{key.public.name}.dsse.json": approve(encode_json(plan), key, "2026-03-01T09:00:00Z")
        for key in approvers
    }
    events: list[j.AnyEvent] = [
        j.Started(
            schema="deleatur/journal/v1",
            plan=digest,
            selftests=42,
            resumed=False,
            approved_by=tuple(key_id(key.public) for key in approvers),
        )
    ]
    events += [_preflighted(target) for target in planned]
    passed = {
        after: [j.Passed(gate=g.name, digest="4c" * 32, counts=()) for g in gates if g.after_archive == after]
        for after in (False, True)
    }
    events += passed[False]
    events.append(j.Unheld(asked=("litigation",)))
    events += [_archived(target, part) for target in planned for part in parts_of(target.target)]
    events += passed[True]
    events += [_controlled(target, device=device) for target in planned]
    for step in plan.steps:
        events += _steps(step, next(target for target in planned if target.id == step.target))
    for fill in fills:
        events += [j.Filling(fill=fill.id), a_filling(fill)]
    events += [_verified(target, device=device) for target in planned]
    if any(target.target.archive for target in planned):
        events.append(j.KeyErased(key="tokens"))
    return FinishedJob(plan, tuple(events), approvals)


def chained(events: Iterable[j.AnyEvent], plan_digest: str) -> tuple[j.Entry, ...]:
    """Return the entries of a journal, chained as the engine would."""
    entries: list[j.Entry] = []
    previous = plan_digest
    for number, event in enumerate(events):
        at = f"2026-03-01T10:{number // 60:02}:{number % 60:02}.000Z"
        entries.append(j.Entry(n=number, at=at, previous=previous, event=event))
        previous = j.digest_of_line(j.line_of(entries[-1]))
    return tuple(entries)


def changed(job: FinishedJob, kind: type[j.AnyEvent], **fields: object) -> FinishedJob:
    """Return the job with these fields changed in every event of one kind."""
    return job.with_events(
        msgspec.structs.replace(event, **fields) if isinstance(event, kind) else event for event in job.events
    )


def without(job: FinishedJob, number: int) -> FinishedJob:
    """Return the job without its event of this number."""
    return job.with_events(job.events[:number] + job.events[number + 1 :])


def _plan(
    targets: Sequence[PlannedTarget],
    policy: Policy,
    approvers: Sequence[SigningKey],
    verification: Verification,
    gates: tuple[AnyGate, ...],
    roles: tuple[RoleKeys, ...],
) -> Plan:
    steps: list[Step] = []
    for target in targets:
        actions: tuple[tuple[str, Literal["keystream", "absence"]], ...] = (("rewrite", "absence"),)
        if target.technique == "overwrite-and-remove":
            actions = (("overwrite", "keystream"), ("remove", "absence"))
        for action, compare in actions:
            steps.append(
                Step(
                    id=f"s{len(steps) + 1}",
                    target=target.id,
                    technique=target.technique,
                    action=action,
                    compare=compare,
                    pattern=Pattern(kind="aes-256-ctr", key="07" * 32),
                )
            )
    return Plan(
        schema="deleatur/plan/v1",
        id="0123456789abcdef0123456789abcdef",
        job="close-the-shop",
        job_digest="18" * 32,
        reason="contract-end",
        authority="board decision 2026-02",
        requested_by="clerk-7",
        created_at="2026-03-01T08:00:00Z",
        planned_by=PLANNER.public,
        approvers=tuple(key.public for key in approvers),
        roles=roles,
        policy=msgspec.structs.replace(policy, roles=tuple(role.role for role in roles)),
        verification=verification,
        custody=Custody(
            retain_until="2036-12-31",
            custodian=(
                Custodian(name="notary", recipient=RECIPIENT),
                Custodian(name="board", recipient=SHARED, shares=Shares(needed=2, of=3)),
                *([_SAFE] if any("last-four" in parts_of(t.target) for t in targets) else []),
            ),
        ),
        targets=tuple(targets),
        steps=tuple(steps),
        free_space=(),
        gates=gates,
        host=PlannedHost(name="files-1", machine="3a" * 32),
        software=Software(agent="deleatur", version="0.1.0", python="3.11.7", record_digest="29" * 32),
    )


def _preflighted(target: PlannedTarget) -> j.Preflighted:
    identity = hashlib.sha256(target.identity.text().encode()).hexdigest()
    return j.Preflighted(target=target.id, identity=identity, units=len(target.units))


def _archived(target: PlannedTarget, part: ArchivePart) -> j.Archived:
    tables = tables_of(target.target, part)
    return j.Archived(
        target=target.id,
        part=part,
        file=f"{j.package_of(target.id, part)}.tar.age",
        sha256="4b" * 32,
        size=5000,
        tables=tuple(j.ArchivedRows(table=t.table, rows=40, sha256="3a" * 32) for t in tables),
        contents="5c" * 32,
        recipients=(RECIPIENT, SHARED) if part == "main" else (APART,),
        compared="decrypted",
    )


SCANNERS = ("aho-corasick", "hyperscan")


def _scans(target: PlannedTarget, *, hits: int, device: bool) -> tuple[j.SurfaceScan, ...]:
    return tuple(
        j.SurfaceScan(
            name=surface.name,
            size=8192,
            hits=hits,
            seen=hits,
            scanners=SCANNERS,
            live=int(surface.is_device),
        )
        for surface in target.surfaces
        if surface.reach == "scannable" and (device or not surface.is_device)
    )


def _controlled(target: PlannedTarget, *, device: bool) -> j.Controlled:
    return j.Controlled(
        target=target.id,
        places=2,
        values=2,
        shared=0,
        short=0,
        seen=2,
        set_digest="5c" * 32,
        surfaces=_scans(target, hits=2, device=device),
        keep_digest="6d" * 32 if target.target.select else "",
    )


def _steps(step: Step, target: PlannedTarget) -> list[j.AnyEvent]:
    events: list[j.AnyEvent] = [
        j.Erasing(step=step.id),
        j.Advanced(step=step.id, position="1", done=target.size),
        j.Erased(step=step.id, done=target.size),
    ]
    if step.reads_back:
        if target.sampling.mode == "sample":
            events.append(j.Challenged(step=step.id, seed="5d" * 32))
        population = 2 if target.sampling.mode == "full" else 2000
        events.append(
            j.Compared(
                step=step.id,
                mode=target.sampling.mode,
                population=population,
                read=min(population, target.sampling.count),
                size=target.size,
                mismatches=0,
                unreadable=0,
                surfaces=_scans(target, hits=0, device=False),
            )
        )
    return events


def _verified(target: PlannedTarget, *, device: bool) -> j.Verified:
    return j.Verified(
        target=target.id,
        verdict="CLEAN",
        reason="",
        absent=2,
        present=0,
        remaining=0,
        values=2,
        surfaces=_scans(target, hits=0, device=device),
        keep_digest="6d" * 32 if target.target.select else "",
    )
