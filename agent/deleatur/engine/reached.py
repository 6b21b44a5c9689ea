"""Say how far maps and jobs are on the schedule of a company that closes, by what their documents show."""

from collections.abc import Sequence
from pathlib import Path

from deleatur.documents.gates import NoticeGate, WithoutNotice
from deleatur.engine.directory import JobDirectory
from deleatur.engine.jobs import read_plan, state_of
from deleatur.engine.mapping import require_closed
from deleatur.errors import Refused
from deleatur.judge.schedule import GATES, Gate


def reached(datamap: Path | None, jobs: Sequence[JobDirectory]) -> Gate | None:
    """Return the last gate that the map and every one of the jobs have behind them; None: none.

    Raises:
        Malformed: a document does not follow its specification.
    """
    mapped = _by_map(datamap)
    behind = [_by_job(job) for job in jobs]
    if not behind:
        return mapped
    slowest = min(behind, key=lambda gate: -1 if gate is None else GATES.index(gate))
    return slowest if slowest is not None else mapped


def _by_map(datamap: Path | None) -> Gate | None:
    if datamap is None or not datamap.exists():
        return None
    try:
        require_closed(datamap)
    except Refused:
        return "begin"  # there is a map, and something in it is open
    return "map"


def _by_job(directory: JobDirectory) -> Gate | None:
    if not directory.plan.exists():
        return None
    approved = read_plan(directory)
    progress = state_of(directory, approved)
    if progress.certified is not None:
        return "certificate"
    if any(progress.begun(approved.plan, target.id) for target in approved.plan.targets):
        return "erase"
    wanted = {target.id for target in approved.plan.targets if target.target.archive}
    if wanted and wanted <= progress.archived.keys():
        return "archive"
    told = any(isinstance(gate, NoticeGate | WithoutNotice) for gate in approved.plan.gates)
    return "notice" if told else "map"
