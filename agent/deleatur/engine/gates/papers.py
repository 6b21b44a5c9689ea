"""The gate of the papers: consents, assessments and the like are there, and are those that approvers saw."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from deleatur.documents.gates import KnownPaper, PaperGate
from deleatur.documents.job import Job, Paper
from deleatur.documents.journal import Passed
from deleatur.errors import Invalid, Refused
from deleatur.trust.untrusted import UntrustedFolder


def plan_papers(job: Job, folder: Path) -> PaperGate:
    """Return the gate of a job that rests on papers.

    Raises:
        Refused: one is not there, is empty, or is no plain file.
    """
    known = tuple(
        KnownPaper(id=paper.id, kind=paper.kind, file=paper.file, digest=_digest(paper, folder))
        for paper in job.paper
    )
    return PaperGate(digest=_digest_of(known), papers=known)


def pass_papers(gate: PaperGate, folder: Path) -> Passed:
    """Let the job through if every paper is the planned one.

    Raises:
        Refused: one is gone, or is another than planned.
    """
    for known in gate.papers:
        if _digest(known, folder) != known.digest:
            raise Refused(f"the {known.kind} {known.id} is another than planned; plan again")
    return Passed(gate=gate.name, digest=gate.digest, counts=(("papers", len(gate.papers)),))


def _digest(paper: Paper | KnownPaper, folder: Path) -> str:
    path = folder / paper.file
    try:
        found = UntrustedFolder(path.parent).measure(path.name)
    except (Invalid, FileNotFoundError):
        raise Refused(f"the {paper.kind} {paper.id} is not there as a plain file; put it back") from None
    if not found.size:
        raise Refused(f"the {paper.kind} {paper.id} is empty, and shows nothing")
    return found.sha256


def _digest_of(papers: Sequence[KnownPaper]) -> str:
    """Digest the list of the papers in the form of `sha256sum`."""
    return hashlib.sha256("".join(f"{p.digest}  {p.id}\n" for p in papers).encode()).hexdigest()
