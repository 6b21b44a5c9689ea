"""The gate of a job that goes on with a finished one: its certificate is there, unchanged."""

import hashlib
from pathlib import Path

from deleatur.documents.codec import read_limited
from deleatur.documents.decode import decode_plan
from deleatur.documents.gates import FollowGate
from deleatur.documents.journal import Passed
from deleatur.engine.directory import JobDirectory
from deleatur.engine.gates.context import Context
from deleatur.engine.reading import decoding
from deleatur.errors import Refused
from deleatur.trust.dsse import MAX_ENVELOPE
from deleatur.trust.folder import ENVELOPE


def plan_follows(folder: str, context: Context) -> FollowGate:
    """Return the gate of a job that goes on with the finished one in `folder`.

    Raises:
        Refused: that job has no certificate.
    """
    earlier = JobDirectory(context.folder / folder)
    file = earlier.certificate / ENVELOPE
    digest = _digest(file)
    with decoding(str(earlier.plan)):
        plan = decode_plan(earlier.read_plan())
    held = sum(len(target.held) for target in plan.targets)
    return FollowGate(file=str(file), digest=digest, job=plan.job, held=held)


def pass_follows(gate: FollowGate) -> Passed:
    """Let the job through if the certificate of the earlier one is still what it was.

    Raises:
        Refused: it is gone or another one.
    """
    digest = _digest(Path(gate.file))
    if digest != gate.digest:
        raise Refused(f"{gate.file} is another certificate than this job goes on with; put it back")
    return Passed(gate=gate.name, digest=digest, counts=(("held", gate.held),))


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(read_limited(file, MAX_ENVELOPE)).hexdigest()
    except FileNotFoundError:
        raise Refused(f"there is no certificate at {file}; a job goes on with a finished one only") from None
