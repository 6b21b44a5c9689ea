"""What a person does with a job: plan it, approve it, run it, ask how far it is."""

import hashlib
import json
import platform
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from threading import Event
from types import MappingProxyType

from msgspec.structs import replace

import deleatur
from deleatur.documents.codec import encode_json
from deleatur.documents.decode import decode_job, decode_plan
from deleatur.documents.gates import Member
from deleatur.documents.journal import Entry, read_chain
from deleatur.documents.plan import Plan, PublicKey, RoleKeys, Software
from deleatur.engine.chronicle import Clock
from deleatur.engine.crew import Crew
from deleatur.engine.directory import JobDirectory
from deleatur.engine.filling import look_at
from deleatur.engine.gates import Context, plan_gates
from deleatur.engine.gates.holds import require_gate
from deleatur.engine.holding import HoldSources
from deleatur.engine.hooks import Hooks
from deleatur.engine.machine import require_this_host, this_host
from deleatur.engine.opening import (
    Opener,
    Registry,
    absolute,
    make_digest_key,
    read_digest_key,
    secrets_for,
    values_digest,
)
from deleatur.engine.progress import Progress
from deleatur.engine.reading import decoding, read_journal
from deleatur.engine.registry import record_digest, scheme_of
from deleatur.engine.together import waiting
from deleatur.engine.walk import Walk
from deleatur.errors import Refused
from deleatur.judge import fold
from deleatur.judge.asked import missing_in
from deleatur.judge.confirming import unconfirmed
from deleatur.judge.fingerprint import key_id
from deleatur.judge.planning import Authors, Seen, planning
from deleatur.sanitize.pace import Pace
from deleatur.trust.approval import approvals_that_count, approve, require_planner, sign_plan
from deleatur.trust.keys import SigningKey


@dataclass(frozen=True)
class Approved:
    """A plan as it lies in a job's directory."""

    plan: Plan
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of plan.json: what people approve."""
        return hashlib.sha256(self.content).hexdigest()


def read_plan(directory: JobDirectory) -> Approved:
    """Read and decode the plan of a job."""
    content = directory.read_plan()
    with decoding("plan.json"):
        return Approved(decode_plan(content), content)


def write_short_job(path: Path, url: str, authority: str) -> JobDirectory:
    """Make a job directory for one whole target: what `deleatur erase URL` asks.

    The same request again, after one whose plan was refused, finds its own job there.

    Raises:
        Refused: the directory holds another job, or one with a plan.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = JobDirectory(path)
    single = scheme_of(url) == "file"  # only files may go with one approval, docs/spec/job.md
    lines = [
        'schema = "deleatur/job/v1"',
        'name = "erase"',
        'reason = "other"',
        f"authority = {_quoted(authority)}",
        'requested_by = "operator"',
        "[policy]",
        f"approvals = {1 if single else 2}",
        "[[target]]",
        'id = "target"',
        f"url = {_quoted(url)}",
    ]
    content = ("\n".join(lines) + "\n").encode()
    decode_job(content)
    if directory.plan.exists() or not directory.job.exists() or directory.read_job() != content:
        directory.write_once(directory.job, content)
    return directory


def _quoted(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def plan_job(
    directory: JobDirectory,
    registry: Registry,
    *,
    planner: SigningKey,
    approvers: Sequence[PublicKey],
    clock: Clock,
    holds: HoldSources,
    roles: Sequence[RoleKeys] = (),
    people: Sequence[Member] = (),
) -> Approved:
    """Look at every target without changing it, and write the plan.

    Raises:
        Malformed: the job does not follow its specification.
        Refused: the plan exists, or the targets or the policy forbid it; all reasons at once.
    """
    with directory.locked():
        directory.require_here()
        content = directory.read_job()
        with decoding("job.toml"):
            job = decode_job(content)
        if directory.plan.exists():
            raise Refused(f"{directory.path} has a plan already; a new plan needs a new job directory")
        key = make_digest_key(directory)
        held = holds.read()
        seen, reasons = [], list[str]()
        for asked in job.target:
            target, why = held.widen(job.name, absolute(asked, directory.path))
            if why:
                reasons += why
                continue
            kind, pin = registry(scheme_of(target.url))
            known = secrets_for(target, key, directory.path)
            backend = kind.open(target, known)
            try:
                reasons += held.require_tables(job.name, target, backend)
                seen.append(Seen(target, backend.inspect(), pin, values_digest(known)))
            finally:
                backend.close()
        if reasons:
            raise Refused("; ".join(reasons))
        plan = planning(
            job,
            seen,
            job_digest=hashlib.sha256(content).hexdigest(),
            authors=Authors(planner.public, tuple(approvers), tuple(roles)),
            host=this_host(),
            software=_software(),
            created_at=seconds(clock),
            entropy=secrets.token_bytes(32),
            spaces=look_at(job.free_space, {s.target.id: s.inspection for s in seen}, directory.path),
        )
        opener = Opener(registry, directory, key, pace=None)
        around = Context(
            directory.path, clock, opener, plan.targets, agent=planner.public, people=tuple(people)
        )
        gates = plan_gates(job, plan, around)
        hold_gate = held.gate(job.name, plan.targets)
        plan = replace(plan, gates=gates if hold_gate is None else (*gates, hold_gate))
        written = Approved(plan, encode_json(plan))
        decode_plan(written.content)
        directory.plan_signature.unlink(missing_ok=True)  # of an attempt that was cut short
        signature = sign_plan(written.content, planner, plan.created_at)
        directory.write_once(directory.plan_signature, signature)
        directory.write_once(directory.plan, written.content)
        return written


def approve_job(
    directory: JobDirectory,
    key: SigningKey,
    clock: Clock,
    *,
    digest: str,
    typed: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Sign the plan's digest and return the name of the approval's file.

    `digest` is what the approver saw: a plan that was swapped since then is not signed. `typed` says,
    target by target, how the serial of each disk ends, and the name of each bucket of which a retention is
    bypassed.

    Raises:
        Refused: this key may not approve, has approved already, or the plan is another one.
    """
    with directory.locked():
        approved = read_plan(directory)
        if approved.digest != digest:
            raise Refused("plan.json changed while it was being approved; look at it again")
        if key.public.spki not in {k.spki for k in approved.plan.approvers}:
            raise Refused(f"{key.key_id} is not among the approvers of this plan")
        if missing := unconfirmed(approved.plan, typed):
            raise Refused(f"the serial or name of {', '.join(missing)} does not end with what was typed")
        name = f"approval-{hashlib.sha256(key.public.spki.encode()).hexdigest()[:16]}.dsse.json"
        if (directory.approvals / name).exists():
            raise Refused(f"{key.public.name} has approved this plan already, and counts once")
        envelope = approve(approved.content, key, seconds(clock), typed)
        directory.write_once(directory.approvals / name, envelope)
        return name


def run_job(
    directory: JobDirectory,
    *,
    registry: Registry,
    hooks: Hooks,
    keys: Sequence[SigningKey],
    approvers: Sequence[PublicKey],
    clock: Clock,
    progress: Progress,
    holds: HoldSources,
    roles: Sequence[RoleKeys] = (),
    people: Sequence[Member] = (),
    bytes_per_second: float | None = None,
) -> Approved:
    """Take an approved job to its certificate, from wherever it stands.

    Args:
        directory: of the job.
        registry: finds the backend of a scheme.
        hooks: that are asked and told.
        keys: that sign the certificate, the agent's first.
        approvers: whose approvals this agent accepts; what a plan says of itself is not enough.
        clock: tells the time.
        progress: is told how far it is.
        holds: where this agent looks for what holds in every job.
        roles: that this agent gives to keys; without one that the plan asks for nothing runs.
        people: who is who, for a plan that asks for it.
        bytes_per_second: the most that is read and written, and rows where a server moves them.

    Raises:
        Refused: approvals are missing, the plan is of another host, or something forbids going on.
        Residue: erased data can still be read.
    """
    with directory.locked():
        directory.require_here()
        approved = read_plan(directory)
        envelopes = list(directory.read_approvals().values())
        require_planner(approved.plan, approved.content, directory.read_plan_signature())
        counted = approvals_that_count(approved.plan, approved.content, envelopes)
        finished = state_of(directory, approved).certified is not None
        if not finished:
            require_this_host(approved.plan)
            _require_trusted(approved.plan, approvers)
            _require_same_roles(approved.plan, roles)
            _require_known_planner(approved.plan, [*(key.public for key in keys), *approvers])
            require_same_job(directory.read_job(), approved.plan)
            require_gate(approved.plan, holds)
        halt = Event()
        crew = Crew(
            opener=Opener(
                registry,
                directory,
                b"" if finished else read_digest_key(directory),
                pace=None if bytes_per_second is None else Pace(bytes_per_second, wait=waiting(halt)),
            ),
            halt=halt,
            hooks=hooks,
            keys=keys,
            approved_by=tuple(key_id(k) for k in counted),
            clock=clock,
            progress=progress,
            holds=holds,
            people=tuple(people),
        )
        Walk(directory, approved.plan, approved.content, crew).run()
        return approved


def _require_trusted(plan: Plan, approvers: Sequence[PublicKey]) -> None:
    """Refuse a plan that lets others approve than this agent does: anybody can write such a plan."""
    strangers = [key_id(k) for k in plan.approvers if k.spki not in {known.spki for known in approvers}]
    if strangers:
        raise Refused(f"the plan accepts approvals by {', '.join(strangers)}, and this agent does not")


def _require_same_roles(plan: Plan, roles: Sequence[RoleKeys]) -> None:
    """Refuse a plan that gives a role to a key which has none here: anybody can write such a plan."""
    known = {role.role: {*role.keys} for role in roles}
    strange = [role.role for role in plan.roles if not {*role.keys} <= known.get(role.role, set())]
    if strange:
        raise Refused(
            f"the plan lets keys approve as {', '.join(strange)} that do not have that role here; plan again"
        )


def _require_known_planner(plan: Plan, known: Sequence[PublicKey]) -> None:
    """Where one approval is enough, the planner must be somebody this agent knows.

    An approver could else make a key for the moment, plan with it, and approve the plan alone.
    """
    if plan.policy.approvals < 2 and plan.planned_by.spki not in {key.spki for key in known}:
        raise Refused(
            f"one approval is not enough for a plan by {key_id(plan.planned_by)}, which this agent does not "
            "know; plan with the agent's key, or ask for two approvals"
        )


def require_same_job(content: bytes, plan: Plan) -> None:
    """Refuse a plan of another job.toml than `content`, and one that leaves out what its job asks.

    Raises:
        Refused: it may be written by hand.
    """
    if hashlib.sha256(content).hexdigest() != plan.job_digest:
        raise Refused("job.toml changed since the plan, and what was approved is the plan; make a new job")
    with decoding("job.toml"):
        missing = [*missing_in(plan, decode_job(content))]
    if missing:
        raise Refused(f"the plan does not have what job.toml asks for: {', '.join(missing)}; make a new job")


def state_of(directory: JobDirectory, approved: Approved) -> fold.Progress:
    """Return how far the job is, by its journal; the journal is not changed."""
    return fold.fold(read_entries(directory, approved))


def read_entries(directory: JobDirectory, approved: Approved) -> list[Entry]:
    """Return the entries of a job's journal; the journal is not changed."""
    try:
        content = read_journal(directory.journal)
    except FileNotFoundError:
        content = b""
    with decoding("journal.jsonl"):
        return read_chain(content, approved.digest)[0]


def now() -> datetime:
    """Return the time of day; the one clock of the agent."""
    return datetime.now(UTC)


def seconds(clock: Callable[[], datetime]) -> str:
    """Return the time as documents have it: RFC 3339 in UTC with `Z`, to the second."""
    return clock().astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _software() -> Software:
    return Software(
        agent="deleatur",
        version=deleatur.__version__,
        python=platform.python_version(),
        record_digest=record_digest(distribution("deleatur"), "deleatur"),
    )
