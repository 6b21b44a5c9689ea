"""The gate of the notice: everybody who is selected was told in time, and nobody who wrote back is."""

import hashlib
from pathlib import Path

from deleatur.documents.gates import NoticeGate, WithoutNotice
from deleatur.documents.job import Job
from deleatur.documents.journal import Passed
from deleatur.documents.plan import Plan, PublicKey
from deleatur.engine.gates.context import Context
from deleatur.engine.notices.desk import days_of, tally_of
from deleatur.engine.notices.folder import NoticeFolder, Read, read_ledger, require_sealed
from deleatur.engine.notices.recipients import notice_of, people_of_plan
from deleatur.engine.notices.uptime import uptime
from deleatur.errors import Refused
from deleatur.judge.notice import Standing, Tally, earliest, not_told, said, too_early


def plan_notice(job: Job, plan: Plan, context: Context) -> NoticeGate:
    """Return the gate of a job that tells people; its days need not be over yet.

    Raises:
        Refused: somebody who is selected was not told, or wrote back; or the ledger does not hold.
    """
    notice = notice_of(job)
    folder = NoticeFolder(context.folder / notice.folder)
    read = read_ledger(folder)
    standing = read.standing
    require_sealed(standing, (plan.planned_by, *plan.approvers))
    tally = tally_of(people_of_plan(notice.recipients, plan.targets, folder.key(), context.opener), standing)
    _require_told(tally, notice.undelivered)
    days, packs = days_of(job, context.folder)
    return NoticeGate(
        folder=str(folder.path),
        digest=read.digest,
        entries=standing.entries,
        sealed_by=standing.sealed_by,
        days=days,
        packs=packs,
        cut_off=notice.cut_off,
        last_told=standing.last_told or None,
        opens=said(earliest(standing, days, notice.cut_off)),
        letters=standing.letters,
        recipients=notice.recipients,
        undelivered=notice.undelivered,
        told=tally.told,
        unreached=tally.unreached,
        replied=sum(map(standing.replied, standing.subjects)),
    )


def pass_notice(gate: NoticeGate, context: Context) -> Passed:
    """Let the job through if the ledger goes on from the planned one, time is over and everybody was told.

    Raises:
        Refused: the ledger is another one, it is too early, or somebody was not told or wrote back.
    """
    folder = NoticeFolder(Path(gate.folder))
    read = read_ledger(folder, first=gate.entries)
    _require_planned(gate, read)
    _require_late(gate, read.standing, context)
    people = people_of_plan(gate.recipients, context.untouched, folder.key(), context.opener)
    tally = tally_of(people, read.standing)
    _require_told(tally, gate.undelivered)
    if tally.unreached > gate.unreached:
        more = tally.unreached - gate.unreached
        raise Refused(f"{more} more letters came back since the plan; plan again, so that the approvers know")
    counts = (("told", gate.told), ("unreached", gate.unreached), ("replied", gate.replied))
    return Passed(gate=gate.name, digest=gate.digest, counts=counts)


def _require_planned(gate: NoticeGate, read: Read) -> None:
    if read.early != gate.digest:
        raise Refused(f"the ledger in {gate.folder} is not the one of the plan; put it back, or plan again")
    require_sealed(read.standing, (PublicKey(name="sealer", spki=gate.sealed_by),))


def _require_late(gate: NoticeGate, standing: Standing, context: Context) -> None:
    watch = uptime()
    reasons = too_early(
        standing,
        context.clock(),
        days=gate.days,
        after=gate.opens,
        boot=watch.boot,
        uptime=watch.seconds,
    )
    if reasons:
        raise Refused("; ".join(reasons))


def _require_told(tally: Tally, undelivered: str) -> None:
    if reasons := [*not_told(tally, holds_unreached=undelivered == "hold")]:
        raise Refused("; ".join(reasons))


def plan_without_notice(job: Job, reason: str, context: Context) -> WithoutNotice:
    """Return the gate of a job that tells nobody: those who approve the plan decide it."""
    days, _ = days_of(job, context.folder)
    return WithoutNotice(reason=reason, digest=hashlib.sha256(reason.encode()).hexdigest(), days=days)


def pass_without_notice(gate: WithoutNotice) -> Passed:
    """Let the job through: its plan says that nobody is told, and that plan was approved."""
    return Passed(gate=gate.name, digest=gate.digest, counts=(("days", gate.days),))
