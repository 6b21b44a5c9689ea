"""Go on with finished jobs: what they left on hold, and is free now, becomes the next job's plan.

Rules kept: nothing is erased and nothing approved here; a draft is there whole or not at all, and
is made once; a register that lost what a finished job had seen stops everything.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from deleatur.documents.codec import MAX_JOB
from deleatur.documents.decode import decode_job
from deleatur.documents.gates import Member
from deleatur.documents.hold import with_values_in
from deleatur.documents.job import Custody, Job, Target
from deleatur.documents.journal import Passed, read_chain
from deleatur.documents.plan import PublicKey, RoleKeys
from deleatur.documents.toml import encode_toml
from deleatur.engine.chronicle import Clock
from deleatur.engine.directory import JobDirectory, sync_directory
from deleatur.engine.holding import HeldNow, HoldSources
from deleatur.engine.jobs import plan_job, read_plan, state_of
from deleatur.engine.opening import KEY_SIZE, Registry, absolute, secrets_for
from deleatur.engine.reading import decoding, read_journal
from deleatur.engine.registry import scheme_of
from deleatur.errors import DeleaturError, Gone, Refused
from deleatur.trust.keys import SigningKey

State = Literal["unfinished", "nothing held", "goes on", "still held", "drafted", "refused"]
_LONGEST = 64  # characters of a job's name
_NUMBERED = re.compile(r"(.+)\.([0-9]{1,6})")


@dataclass(frozen=True)
class Turn:
    """What became of one job in a cycle."""

    job: Path
    state: State
    follower: Path | None = None  # the job that goes on with it
    digest: str = ""  # of the follower's plan, if it was drafted now
    why: str = ""


@dataclass(frozen=True)
class Agent:
    """Who drafts, and what it needs around it."""

    registry: Registry
    planner: SigningKey
    approvers: Sequence[PublicKey]
    clock: Clock
    holds: HoldSources
    roles: Sequence[RoleKeys] = ()
    people: Sequence[Member] = ()


def cycle(folder: Path, agent: Agent) -> Iterator[Turn]:
    """Look at each job in `folder`, and draft the next one for what it left and is free now.

    Raises:
        Refused: what is on hold cannot be asked, another cycle runs, or the register lost lines
            that a finished job has seen.
    """
    with JobDirectory(folder).locked():
        now = agent.holds.read()
        jobs = [JobDirectory(path) for path in sorted(folder.iterdir()) if (path / "plan.json").is_file()]
        jobs = [job for job in jobs if not job.path.name.startswith(".")]
        for job in jobs:
            _require_grown(job, now)
        for job in jobs:
            yield _turn(job, agent, now)


def _turn(directory: JobDirectory, agent: Agent, now: HeldNow) -> Turn:
    path = directory.path
    try:
        approved = read_plan(directory)
        if state_of(directory, approved).certified is None:
            return Turn(path, "unfinished")
        if not any(target.held for target in approved.plan.targets):
            return Turn(path, "nothing held")
        follower = path.with_name(_next(path.name))
        if os.path.lexists(follower):
            return Turn(path, "goes on", follower)
        held = {target.id for target in approved.plan.targets if target.held}
        job = _resolved(directory, held)
        free = tuple(t for t in job.target if _has_free_rows(job, t, directory, agent, now))
        if not free:
            return Turn(path, "still held")
        digest = _draft(replace(job, target=free), follower, agent)
    except DeleaturError as error:
        return Turn(path, "refused", why=str(error))
    return Turn(path, "drafted", follower, digest)


def _require_grown(directory: JobDirectory, now: HeldNow) -> None:
    """Compare the register with what each job has seen of it: between two jobs only this finds a cut.

    Raises:
        Refused: a line is gone.
    """
    if now.register is None:
        return
    approved = read_plan(directory)
    with suppress(FileNotFoundError), decoding(str(directory.journal)):
        entries, _ = read_chain(read_journal(directory.journal), approved.digest)
        seen = {
            e.event.digest
            for e in entries
            if isinstance(e.event, Passed) and e.event.gate == "holds" and dict(e.event.counts).get("entries")
        }
        if not seen <= set(now.register.digests):
            raise Refused(
                f"the hold register lost lines that the job in {directory.path} has seen, which counts as a "
                "hold on everything; restore it"
            )


def _resolved(directory: JobDirectory, held: set[str]) -> Job:
    """Return the job for its held targets, with every path that it has made absolute."""
    with decoding(str(directory.job)):
        job = decode_job(directory.read_job())
    if job.notice is not None:
        raise Refused("the job told people first: write the next one by hand, with a notice of its own")
    folder = str(directory.path)
    targets = tuple(_target(t, directory.path, folder) for t in job.target if t.id in held)
    mapped = job.datamap
    if mapped is not None:
        packs = tuple(str(directory.path / name) for name in mapped.packs)
        mapped = replace(mapped, file=str(directory.path / mapped.file), packs=packs)
    custody = None if job.custody is None else _custody(job.custody, directory.path)
    name = _next(job.name)
    return replace(job, name=name, target=targets, datamap=mapped, custody=custody, follows=folder)


def _custody(custody: Custody, path: Path) -> Custody:
    return replace(
        custody,
        custodian=tuple(replace(c, key=c.key and str(path / c.key)) for c in custody.custodian),
        packs=tuple(str(path / name) for name in custody.packs),
        transfer=tuple(replace(t, record=str(path / t.record)) for t in custody.transfer),
    )


def _target(target: Target, path: Path, folder: str) -> Target:
    found = absolute(target, path)
    return replace(
        found,
        select=tuple(replace(s, where=with_values_in(s.where, folder)) for s in found.select),
        hold=tuple(replace(h, where=with_values_in(h.where, folder)) for h in found.hold),
        archive=tuple(replace(a, where=with_values_in(a.where, folder)) for a in found.archive),
    )


def _has_free_rows(job: Job, target: Target, directory: JobDirectory, agent: Agent, now: HeldNow) -> bool:
    """Look, without changing anything, whether something is selected and not on hold any more."""
    wanted, reasons = now.widen(job.name, target)
    if reasons:
        return False
    kind, _ = agent.registry(scheme_of(wanted.url))
    backend = kind.open(wanted, secrets_for(wanted, secrets.token_bytes(KEY_SIZE), directory.path))
    try:
        return bool(backend.inspect().units)
    except Gone:
        return False
    finally:
        backend.close()


def _draft(job: Job, follower: Path, agent: Agent) -> str:
    """Make the follower's directory with its plan, whole or not at all; return the plan's digest."""
    content = encode_toml(job).encode()
    if len(content) > MAX_JOB or decode_job(content) != job:
        raise Refused(f"{follower.name}: the next job cannot be written as TOML; write it by hand")
    draft = follower.with_name(f".{follower.name}.new")
    if draft.exists():  # of a cycle that was killed; nobody can have approved it there
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    try:
        directory = JobDirectory(draft)
        directory.write_once(directory.job, content)
        approved = plan_job(
            directory,
            agent.registry,
            planner=agent.planner,
            approvers=agent.approvers,
            clock=agent.clock,
            holds=agent.holds,
            roles=agent.roles,
            people=agent.people,
        )
    except DeleaturError:
        shutil.rmtree(draft)
        raise
    os.rename(draft, follower)  # noqa: PTH104 - counted by deleatur.testing.faults
    sync_directory(follower.parent)
    return approved.digest


def _next(name: str) -> str:
    """Return the name after this one: `shop` is followed by `shop.2`, that by `shop.3`."""
    found = _NUMBERED.fullmatch(name)
    stem, tail = (found[1], f".{int(found[2]) + 1}") if found else (name, ".2")
    return stem[: _LONGEST - len(tail)] + tail
