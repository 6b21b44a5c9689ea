"""`deleatur controls`: law by law, what of it a job shows."""

from pathlib import Path

import click
import msgspec

from deleatur.cli.common import job_argument, job_directory
from deleatur.cli.output import as_json_option, emit, say, table


@click.command("controls")
@job_argument
@as_json_option
def command(job: Path, as_json: bool) -> None:
    """List what the policies of JOB ask for, the control that answers it, and the evidence, or a gap.

    The job must rest on a data map. A gap says that plan and journal do not show it. Reads only.
    """
    from deleatur.documents.decode import decode_job
    from deleatur.documents.gates import MapGate
    from deleatur.engine.gates.datamap import packs_of
    from deleatur.engine.jobs import read_entries, read_plan
    from deleatur.engine.mapping import read_map
    from deleatur.errors import Refused
    from deleatur.judge.controls import Papers, controls
    from deleatur.judge.explaining import source_in_words

    directory = job_directory(job)
    approved = read_plan(directory)
    gate = next((g for g in approved.plan.gates if isinstance(g, MapGate)), None)
    said = decode_job(directory.read_job()).datamap
    if gate is None or said is None:
        raise Refused("this job rests on no data map, so no policy was asked; see datamap in job.toml")
    packs = packs_of(gate, said, directory.path)
    papers = Papers(approved.plan, read_entries(directory, approved), read_map(Path(gate.file)))
    found = list(controls(papers, packs))
    gaps = sum(not one.evidence for one in found)
    if as_json:
        emit({"controls": msgspec.to_builtins(found), "gaps": gaps})
        return
    table(
        [(one.pack, one.part, one.control, one.evidence or "gap") for one in found],
        ("policy", "asks", "control", "evidence"),
    )
    for one in found:
        if not one.evidence:
            say(f"gap: {one.pack}, {one.part}: {one.asks}")
            for source in one.sources:
                say(f"    {source_in_words(source)}")
    say(f"demands: {len(found)}, gaps: {gaps}")
