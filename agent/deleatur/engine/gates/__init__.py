"""Ask the gates of a plan: read what each rests on, let the judge decide, and enter it.

One module a gate. A gate that is closed raises `Refused`; what it let through is a `Passed`.
"""

from deleatur.documents.gates import AnyGate, HoldGate, MapGate
from deleatur.documents.job import Job
from deleatur.documents.journal import Passed
from deleatur.documents.plan import Plan
from deleatur.engine.gates.context import Context
from deleatur.engine.gates.datamap import pass_map, plan_map
from deleatur.engine.gates.holds import pass_holds


def plan_gates(job: Job, plan: Plan, context: Context) -> tuple[AnyGate, ...]:
    """Return the gates that `job` asks for, each as it stands now.

    Raises:
        Refused: one of them is closed.
    """
    gates: list[AnyGate] = []
    if job.datamap is not None:
        gates.append(plan_map(job, job.datamap, plan, context))
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


__all__ = ["Context", "pass_gate", "plan_gates"]
