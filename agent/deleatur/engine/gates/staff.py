"""The gate of the staff: who is who, and that somebody runs the job who may and has not approved it."""

from deleatur.documents.gates import StaffGate
from deleatur.documents.job import Job, Staff
from deleatur.documents.journal import Passed
from deleatur.documents.plan import Plan
from deleatur.engine.gates.context import Context
from deleatur.errors import Refused
from deleatur.judge.staff import digest_of, objections, operator_in
from deleatur.trust.keys import load_public


def plan_staff(job: Job, staff: Staff, plan: Plan, context: Context) -> StaffGate:
    """Return the gate of a job that asks who is who.

    Raises:
        Refused: these people cannot do the job; all reasons in one line.
    """
    gate = StaffGate(operator=staff.operator, people=context.people)
    keepers = job.custody.custodian if job.custody is not None else ()
    keys = [load_public(context.folder / keeper.key) for keeper in keepers if keeper.key is not None]
    if reasons := [*objections(gate, plan, keys, f"{context.clock():%Y-%m-%d}")]:
        raise Refused("; ".join(reasons))
    return gate


def pass_staff(gate: StaffGate, context: Context) -> Passed:
    """Let the job through if an operator runs it who has not approved it.

    Raises:
        Refused: nobody who is here is one, or people changed since the plan.
    """
    day = f"{context.clock():%Y-%m-%d}"
    key, fault = operator_in(gate, context.people, context.signers, context.approved_by, day)
    if key is None:
        raise Refused(fault)
    return Passed(gate=gate.name, digest=digest_of(key), counts=(("people", len(gate.people)),))
