"""Ask the gates of a plan: read what each rests on, let the judge decide, and enter it.

One module a gate. A gate that is closed raises `Refused`; what it let through is a `Passed`.
"""

from pathlib import Path

from deleatur.documents.gates import (
    AnyGate,
    CustodyGate,
    FollowGate,
    HoldGate,
    MapGate,
    NoticeGate,
    PaperGate,
    RecordGate,
    StaffGate,
    WithoutNotice,
)
from deleatur.documents.job import Job
from deleatur.documents.journal import Passed
from deleatur.documents.plan import Plan
from deleatur.engine.gates.context import Context
from deleatur.engine.gates.custody import pass_custody, plan_custody
from deleatur.engine.gates.datamap import pass_map, plan_map
from deleatur.engine.gates.follows import pass_follows, plan_follows
from deleatur.engine.gates.holds import pass_holds
from deleatur.engine.gates.notice import pass_notice, pass_without_notice, plan_notice, plan_without_notice
from deleatur.engine.gates.papers import pass_papers, plan_papers
from deleatur.engine.gates.records import pass_records, plan_records
from deleatur.engine.gates.staff import pass_staff, plan_staff
from deleatur.engine.notices.folder import NoticeFolder, close_notice


def plan_gates(job: Job, plan: Plan, context: Context) -> tuple[AnyGate, ...]:
    """Return the gates that `job` asks for, each as it stands now.

    Raises:
        Refused: one of them is closed.
    """
    gates: list[AnyGate] = []
    if job.staff is not None:
        gates.append(plan_staff(job, job.staff, plan, context))
    if job.datamap is not None:
        gates.append(plan_map(job, job.datamap, plan, context))
    if job.notice is not None:
        gates.append(plan_notice(job, plan, context))
    if job.without_notice is not None:
        gates.append(plan_without_notice(job, job.without_notice, context))
    if job.follows is not None:
        gates.append(plan_follows(job.follows, context))
    if job.custody is not None and job.custody.copy:
        gates.append(plan_custody(job, job.custody, plan, context))
    if job.paper:
        gates.append(plan_papers(job, context.folder))
    if job.records:
        gates.append(plan_records(job, context.folder))
    return tuple(gates)


def pass_gate(gate: AnyGate, context: Context) -> Passed:
    """Ask a gate whether the job may go on.

    Raises:
        Refused: it is closed.
    """
    match gate:
        case MapGate():
            return pass_map(gate, context)
        case HoldGate():
            return pass_holds(gate, context)
        case NoticeGate():
            return pass_notice(gate, context)
        case WithoutNotice():
            return pass_without_notice(gate)
        case FollowGate():
            return pass_follows(gate)
        case CustodyGate():
            return pass_custody(gate, context)
        case RecordGate():
            return pass_records(gate, context.folder)
        case PaperGate():
            return pass_papers(gate, context.folder)
        case StaffGate():
            return pass_staff(gate, context)


def close_gate(gate: AnyGate) -> None:
    """Destroy what a gate keeps secret, when the job has its certificate; harmless to do twice."""
    if isinstance(gate, NoticeGate):
        close_notice(NoticeFolder(Path(gate.folder)))


__all__ = ["Context", "close_gate", "pass_gate", "plan_gates"]
